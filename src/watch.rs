//! Notices files: by events where the file system delivers them, by a scan at start, and by a
//! jittered rescan for ever, because an event is only a hint and the folder is the truth.
//!
//! The order is always watch first, scan second, so that nothing can slip in between. Overflow, a
//! lost watch or a burst all collapse to "scan that folder".

mod arrivals;
mod events;
mod filter;
mod mounts;
mod roots;
mod scan;
mod seen;
mod watching;

use std::{sync::Arc, time::Duration};

pub use filter::{Ignored, judge, judge_directory, judge_in, promised_format};
pub use roots::{Ends, run};
pub use scan::scan_once;

use self::seen::Seen;
use crate::{
    config::{self, Folder},
    root::Root,
};

/// The folders that are watched; a reload replaces it whole.
#[derive(Debug, Clone)]
pub struct Plan {
    pub roots: Vec<Arc<Root>>,
    /// Scan interval of polled folders.
    pub poll: Duration,
    /// Safety scan of every folder, ±25 %.
    pub rescan: Duration,
}

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
        config::Watch::Auto => mounts::choose(&folder.input),
    }
}
