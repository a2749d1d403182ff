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

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use crossbeam_channel::{Receiver, TryRecvError};

pub use filter::{Ignored, TEMP_PREFIX, judge, judge_directory, judge_in, promised_format};
pub use roots::run;
pub use scan::scan_once;

use self::seen::Seen;
use crate::{
    config::{self, Folder},
    os,
    publish::output::OutputPlace,
};

/// A configured folder's lasting number in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub i64);

/// Disconnected when the daemon stops: what works for long without touching a channel looks at it.
pub type Quit = Receiver<Infallible>;

pub fn told_to_quit(quit: &Quit) -> bool {
    matches!(quit.try_recv(), Err(TryRecvError::Disconnected))
}

/// A folder that is being worked on.
#[derive(Debug)]
pub struct Root {
    pub id: FolderId,
    pub folder: Folder,
    /// The fingerprint of the folder's recipe.
    pub recipe_id: u64,
    /// The output, relative to the input, where it lies inside: it is never entered.
    pub excluded: Option<PathBuf>,
    /// The output's device and inode, by which it is known under another name; none while it is not
    /// there, or where the system has no such thing.
    pub output_identity: Option<os::Identity>,
    pub output: OutputPlace,
    pub backlog: Arc<Backlog>,
}

/// What `settle` and the scans tell each other of a folder that has more files than are kept in
/// mind: the folder itself remembers the rest, and is scanned again when there is room.
#[derive(Debug, Default)]
pub struct Backlog {
    full: AtomicBool,
    left_out: AtomicBool,
}

impl Backlog {
    /// A file was left out for want of room. Returns whether it is the first.
    pub fn leave_out(&self) -> bool {
        self.left_out.store(true, Ordering::SeqCst);
        !self.full.swap(true, Ordering::SeqCst)
    }

    /// A scan broke off for want of room. Only who makes room may say that there is none: said here,
    /// after room was made, it would never be taken back.
    fn leave_rest(&self) {
        self.left_out.store(true, Ordering::SeqCst);
    }

    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// There is room again; the scans have to be told.
    pub fn make_room(&self) {
        self.full.store(false, Ordering::SeqCst);
    }

    /// Files were left out, and there is room for them.
    fn is_to_be_scanned(&self) -> bool {
        self.left_out.load(Ordering::SeqCst) && !self.is_full()
    }

    /// A scan begins that will find what was left out.
    fn begin_scan(&self) {
        self.left_out.store(false, Ordering::SeqCst);
    }
}

/// A file, by folder and path relative to the folder's input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey {
    pub folder: FolderId,
    pub path: Arc<Path>,
}

/// A sign of life of a file.
#[derive(Debug)]
pub struct FileEvent {
    pub file: FileKey,
    pub hint: Hint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Created or changed.
    Changed,
    /// Written to, on a system that tells the closing as well.
    Written,
    /// Its writer closed it, or it was renamed to this name.
    Closed,
    /// Seen by a scan; `quiet_for` is how long it is known to have been left alone.
    Found { stamp: Stamp, quiet_for: Duration },
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub length: u64,
    /// Nanoseconds since 1970, UTC; negative before.
    pub mtime_ns: i64,
}

impl Stamp {
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Stamp {
        let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let mtime_ns = match metadata
            .modified()
            .map(|m| m.duration_since(SystemTime::UNIX_EPOCH))
        {
            Ok(Ok(since)) => nanos(since),
            Ok(Err(before)) => nanos(before.duration()).saturating_neg(),
            // Every platform that has file events has mtimes.
            Err(_) => 0,
        };
        Stamp {
            length: metadata.len(),
            mtime_ns,
        }
    }
}

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
