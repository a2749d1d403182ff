//! How a command tells the running daemon that it has changed the ledger: it makes a file in a
//! folder beside the ledger, which the daemon watches, and removes it. The ledger lies on a local
//! disk, where there are events on every system; and unlike a signal the file cannot reach another
//! process that has come by the daemon's pid.

use std::{ffi::OsStr, fs, io, path::Path};

use ::notify::{EventKind, RecursiveMode, Watcher};
use anyhow::Context;
use crossbeam_channel::Sender;

use super::{open::BELL, value::beside};
use crate::{os::Directory, stop::wake};

/// Notified until it is dropped.
pub struct Listener {
    _watcher: ::notify::RecommendedWatcher,
}

/// Wakes `changed` whenever a command has changed the ledger.
pub fn listen(ledger: &Path, changed: Sender<()>) -> anyhow::Result<Listener> {
    let folder = beside(ledger, BELL);
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
    let folder = Directory::open(ledger.parent().unwrap_or(Path::new(".")))?;
    let name = beside(ledger, BELL);
    let folder = folder.enter(name.file_name().unwrap_or_default())?;
    let file = std::process::id().to_string();
    let file = OsStr::new(&file);
    match folder.create_new(file) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            // Left by a command that was killed.
            folder.remove(file)?;
            folder.create_new(file)?;
        }
        made => drop(made?),
    }
    folder.remove(file)
}
