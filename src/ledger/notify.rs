//! How a command tells the running daemon that it has changed the ledger: it makes a file in a
//! folder beside the ledger, which the daemon watches, and removes it. The ledger lies on a local
//! disk, where there are events on every system; and unlike a signal the file cannot reach another
//! process that has come by the daemon's pid.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use ::notify::{EventKind, RecursiveMode, Watcher};
use anyhow::Context;
use crossbeam_channel::Sender;

use super::open::beside;
use crate::stop::wake;

/// The folder's name, behind the ledger's.
const FOLDER: &str = ".bell";

/// Notified until it is dropped.
pub struct Listener {
    _watcher: ::notify::RecommendedWatcher,
}

/// Wakes `changed` whenever a command has changed the ledger.
pub fn listen(ledger: &Path, changed: Sender<()>) -> anyhow::Result<Listener> {
    let folder = beside(ledger, FOLDER);
    let context = || format!("cannot watch {}", folder.display());
    match fs::create_dir(&folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
            return Err(cause).with_context(context);
        }
        _ => {}
    }
    let callback = move |event: ::notify::Result<::notify::Event>| {
        let is_notice = match event {
            Ok(event) => matches!(event.kind, EventKind::Create(_)),
            // What was lost may have been a command's.
            Err(_) => true,
        };
        if is_notice {
            wake(&changed);
        }
    };
    let mut watcher = ::notify::recommended_watcher(callback).with_context(context)?;
    watcher
        .watch(&folder, RecursiveMode::NonRecursive)
        .with_context(context)?;
    Ok(Listener { _watcher: watcher })
}

/// Notifies the daemon that works with a ledger.
pub fn notify(ledger: &Path) -> io::Result<()> {
    let file = beside(ledger, FOLDER).join(std::process::id().to_string());
    match File::create_new(&file) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            // Left by a command that was killed.
            fs::remove_file(&file)?;
            File::create_new(&file)?;
        }
        made => drop(made?),
    }
    fs::remove_file(&file)
}
