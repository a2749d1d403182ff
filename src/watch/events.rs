//! What notify tells, cut down to what is of use.
//!
//! The callback runs on notify's own thread and must not hold it up: it drops most events before
//! anything is allocated for them, among them those that our own reading causes, and passes the
//! rest on to a bounded channel. What does not fit is remembered as lost, which means a scan.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crossbeam_channel::{Sender, TrySendError};
use notify::{
    ErrorKind, EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tracing::warn;

use super::filter::promised_format;
use crate::{arrival::Hint, log::text};

/// What the callback passes on of an event.
pub enum Raw {
    File(PathBuf, Hint),
    /// May be a directory: it has to be looked at.
    Appeared(PathBuf),
    Removed(PathBuf),
    WatchLimit,
    /// Events were lost, as `lost` tells, or there is room for more files.
    Wake,
    /// Something was mounted or unmounted.
    Mounts,
    /// Somebody took fates away in the ledger, so that files are tried again.
    Asked,
}

/// The whole work of the callback: drop what is of no use, pass on the rest, never wait.
pub fn forward(event: notify::Result<notify::Event>, sender: &Sender<Raw>, lost: &AtomicBool) {
    let raise = |raw| match sender.try_send(raw) {
        Ok(()) | Err(TrySendError::Disconnected(_)) => {}
        // The receiver is awake, as its channel is full, and looks at the flag afterwards.
        Err(TrySendError::Full(_)) => lost.store(true, Ordering::Release),
    };
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            if matches!(error.kind, ErrorKind::MaxFilesWatch) {
                raise(Raw::WatchLimit);
            } else {
                lost.store(true, Ordering::Release);
                raise(Raw::Wake);
            }
            return;
        }
    };
    if event.need_rescan() {
        lost.store(true, Ordering::Release);
        raise(Raw::Wake);
        return;
    }
    let Some(path) = event.paths.into_iter().next_back() else {
        return;
    };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
            raise(Raw::File(path, Hint::Closed));
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
            if promised_format(&path).is_some() {
                raise(Raw::File(path.clone(), Hint::Closed));
            }
            raise(Raw::Appeared(path));
        }
        // Where the system does not tell which end of a rename a path is, it is looked at.
        EventKind::Modify(ModifyKind::Name(RenameMode::Any | RenameMode::Other))
        | EventKind::Create(CreateKind::Any | CreateKind::Other) => {
            if promised_format(&path).is_some() {
                raise(Raw::File(path.clone(), Hint::Changed));
            }
            raise(Raw::Appeared(path));
        }
        EventKind::Create(CreateKind::Folder) => raise(Raw::Appeared(path)),
        EventKind::Modify(ModifyKind::Data(_)) if cfg!(target_os = "linux") => {
            if promised_format(&path).is_some() {
                raise(Raw::File(path, Hint::Written));
            }
        }
        EventKind::Create(CreateKind::File)
        | EventKind::Modify(ModifyKind::Any | ModifyKind::Data(_) | ModifyKind::Other) => {
            if promised_format(&path).is_some() {
                raise(Raw::File(path, Hint::Changed));
            }
        }
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            if promised_format(&path).is_none() {
                raise(Raw::Removed(path));
            }
        }
        EventKind::Any | EventKind::Other | EventKind::Access(_) | EventKind::Modify(_) => {}
    }
}

pub fn explain_watch_error(error: &notify::Error) -> String {
    match error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system's limit of watches is reached; raise it with `sysctl fs.inotify.max_user_watches=1048576`".to_owned()
        }
        ErrorKind::Io(ref cause) if cause.raw_os_error() == Some(24) => {
            "the system's limit of watchers is reached; raise it with `sysctl fs.inotify.max_user_instances=1024`".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Watches one directory of a tree. Returns whether more can be watched.
pub fn watch_directory(watcher: &mut notify::RecommendedWatcher, path: &Path) -> bool {
    match watcher.watch(path, RecursiveMode::NonRecursive) {
        Ok(()) => true,
        Err(error) => {
            let limit = matches!(error.kind, ErrorKind::MaxFilesWatch);
            let cause = explain_watch_error(&error);
            warn!(
                path = text(path),
                cause, "no events for this subfolder, scans cover it"
            );
            !limit
        }
    }
}
