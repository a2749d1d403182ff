//! Notices files: by events where the file system delivers them, by a scan at start, and by a
//! jittered rescan for ever, because an event is only a hint and the folder is the truth.
//!
//! The order is always watch first, scan second, so that nothing can slip in between. Overflow, a
//! lost watch or a burst all collapse to "scan that folder".

mod events;
mod filter;
mod mounts;
mod roots;
mod scan;

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, never, select};
use tracing::{info, warn};

pub use filter::{Ignored, TEMP_PREFIX, judge, promised_format};
pub use scan::scan_once;

use self::{events::Raw, roots::Watching};

use crate::{
    config::{self, Folder},
    ledger::Ledger,
    os,
    publish::OutputPlace,
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
    /// The output's device and inode, by which it is known under another name.
    pub output_identity: os::Identity,
    pub output: OutputPlace,
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
    /// Created or written to.
    Changed,
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

/// What the `watch` thread works on; a reload replaces it whole.
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

/// Raw events that wait for the `watch` thread; more collapse to a scan.
const RAW_EVENTS: usize = 8192;

/// Runs the `watch` thread until `plans` or `events` is disconnected.
pub fn run(
    plan: Plan,
    plans: &Receiver<Plan>,
    events: &Sender<FileEvent>,
    quit: &Quit,
    ledger: &Ledger,
) {
    let (raw_sender, raw) = bounded(RAW_EVENTS);
    let mounts = raw_sender.clone();
    if let Err(cause) = mounts::follow(move || mounts.send(Raw::Mounts).is_ok()) {
        warn!(
            cause = cause.to_string(),
            "mounts are not followed, the rescan notices them"
        );
    }
    let folders = plan.roots.len();
    let mut watching = Watching::new(plan, (raw_sender, raw.clone()), events, quit, ledger);
    let mut ready = false;
    loop {
        let Ok(()) = watching.look_at_due_roots() else {
            return;
        };
        if !std::mem::replace(&mut ready, true) {
            info!(folders, "ready");
        }
        let wake = watching
            .next_look()
            .map_or_else(never, crossbeam_channel::at);
        select! {
            recv(raw) -> raw => {
                let Ok(raw) = raw else { return };
                let Ok(()) = watching.take(raw).and_then(|()| watching.take_waiting()) else { return };
            }
            recv(plans) -> plan => match plan {
                Ok(plan) => watching.adopt(plan),
                Err(_) => return,
            },
            recv(wake) -> _ => {}
        }
    }
}
