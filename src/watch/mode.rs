//! How a folder is watched: which ones deliver events.
//!
//! Linux delivers inotify events for what happens through the mount on this machine. What another
//! machine writes to a network share, or what is written to the directory behind a FUSE mount,
//! raises none. So the type of the mount that a folder lies on decides. macOS is the same with other
//! names. Windows delivers events for local folders and, from most servers, for shares; there the
//! rescan is the net.

use std::{fs, path::Path};

use crate::{
    config::{self, Folder},
    os::mounts::{self, FileSystem},
};

/// How a folder is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Events,
    Poll,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Events => "events",
            Mode::Poll => "poll",
        }
    }
}

/// Picks the mode of a folder and says why.
#[must_use]
pub fn choose_mode(folder: &Folder) -> (Mode, String) {
    match folder.watch {
        config::Watch::Events => (Mode::Events, "as configured".to_owned()),
        config::Watch::Poll => (Mode::Poll, "as configured".to_owned()),
        config::Watch::Auto => by_mount(&folder.input),
    }
}

fn by_mount(input: &Path) -> (Mode, String) {
    let path = fs::canonicalize(input).unwrap_or_else(|_| input.to_owned());
    match mounts::file_system(&path) {
        Ok(Some(FileSystem { kind, remote: true })) if cfg!(windows) => (
            Mode::Events,
            format!("{kind} whose server passes events on as a rule; the rescan is the net"),
        ),
        Ok(Some(FileSystem { kind, remote: true })) => (
            Mode::Poll,
            format!("{kind} does not tell what others write"),
        ),
        Ok(Some(FileSystem { kind, .. })) => (Mode::Events, format!("{kind} delivers events")),
        Ok(None) => (
            Mode::Events,
            "its mount is not in the mount table".to_owned(),
        ),
        Err(cause) => (
            Mode::Events,
            format!("its file system is not known: {cause}"),
        ),
    }
}
