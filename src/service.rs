//! The service manager: what it is told of the daemon's state. Without one every word is dropped.

use std::fmt::Write;

use crossbeam_channel::Sender;
use tracing::warn;

use crate::watchdog;

#[cfg(unix)]
mod systemd;
#[cfg(windows)]
pub mod windows;

/// The folders are watched.
pub fn ready() {
    #[cfg(windows)]
    windows::ready();
}

/// What the main thread has to tell.
#[derive(Debug)]
pub enum Word {
    /// A reload begins; one of the next two ends it.
    Reloading,
    Reloaded {
        folders: usize,
    },
    /// It changed nothing, and this is its first problem.
    Rejected(String),
    Stopping,
}

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Line(Option<Sender<Word>>);

/// Opens the line, before any other thread is started.
#[must_use]
pub fn open(folders: usize) -> Line {
    #[cfg(unix)]
    let opened = systemd::start(folders);
    #[cfg(not(unix))]
    let opened: std::io::Result<Option<Sender<Word>>> = {
        let _ = folders;
        Ok(None)
    };
    Line(opened.unwrap_or_else(|cause| {
        warn!(
            cause = cause.to_string(),
            "the service manager cannot be told of anything"
        );
        None
    }))
}

impl Line {
    pub fn tell(&self, word: Word) {
        // A full line means that the service manager does not listen; the daemon goes on.
        if let Some(sender) = &self.0
            && let Err(lost) = sender.try_send(word)
        {
            warn!(
                word = format!("{:?}", lost.into_inner()),
                "the service manager does not listen"
            );
        }
    }
}

/// The state in a line: `12 waiting, 3 folders, 1 offline`, or `idle, 3 folders`.
#[cfg_attr(not(unix), allow(dead_code, reason = "only systemd shows a text"))]
fn summary(state: watchdog::Status, folders: usize) -> String {
    let mut line = match state.waiting {
        0 => "idle".to_owned(),
        waiting => format!("{waiting} waiting"),
    };
    let plural = if folders == 1 { "" } else { "s" };
    let offline = state.offline;
    // A String takes everything.
    let (Ok(()) | Err(_)) = write!(line, ", {folders} folder{plural}");
    if offline > 0 {
        let (Ok(()) | Err(_)) = write!(line, ", {offline} offline");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_there_is() {
        let state = |waiting, offline| watchdog::Status {
            waiting,
            offline,
            ready: true,
        };
        assert_eq!(summary(state(0, 0), 3), "idle, 3 folders");
        assert_eq!(summary(state(12, 1), 3), "12 waiting, 3 folders, 1 offline");
        assert_eq!(summary(state(0, 1), 1), "idle, 1 folder, 1 offline");
    }
}
