//! One watched folder: whether it is there, whether it has a watch, and when it is looked at next.
//!
//! The order is always watch first, scan second, so that nothing can slip in between. Overflow, a
//! lost watch, a burst: all collapse to "scan the folder".

use std::{
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, at, select};
use tracing::info;

use super::{
    events::Raw,
    mode::{Mode, choose_mode},
    seen::Seen,
};
use crate::{arrival::FileEvent, ledger::Ledger, log::text, os, root::Root, stop::Quit, watchdog};

/// Elsewhere the system's own watches cover whole trees; inotify watches single directories, and
/// adding them ourselves keeps excluded folders out.
pub const ONE_WATCH_A_DIRECTORY: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What a folder's thread works on; a reload replaces it whole.
pub struct Order {
    pub root: Arc<Root>,
    pub poll: Duration,
    pub rescan: Duration,
    pub ledger_keep: Duration,
}

/// The channel that notify's callback, and others, send to.
pub struct Raws {
    pub sender: Sender<Raw>,
    pub receiver: Receiver<Raw>,
    /// Set when events were lost.
    pub lost: Arc<AtomicBool>,
}

/// Runs the thread of one folder until `orders` or `events` is disconnected. Lets go of `first`
/// after the first scan.
pub fn run(
    order: Order,
    orders: &Receiver<Order>,
    raws: Raws,
    mut first: Option<Sender<Infallible>>,
    events: &Sender<FileEvent>,
    quit: &Quit,
    ledger: &Ledger,
) {
    let raw = raws.receiver.clone();
    let mut watching = Watching::new(order, raws, events, quit, ledger);
    loop {
        watchdog::busy();
        let Ok(()) = watching.look_until_done() else {
            return;
        };
        drop(first.take());
        watchdog::idle();
        select! {
            recv(raw) -> raw => {
                let Ok(raw) = raw else { return };
                let Ok(()) = watching.take(raw).and_then(|()| watching.take_waiting()) else { return };
            }
            recv(orders) -> order => match order {
                Ok(order) => watching.adopt(order),
                Err(_) => return,
            },
            recv(at(watching.next_look)) -> _ => {}
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    New,
    /// `watched` tells whether the watch holds, `tried` when setting it was last tried.
    Online {
        identity: Option<os::Identity>,
        watched: bool,
        tried: Option<Instant>,
    },
    Offline,
}

/// The receiver of file events is gone: the daemon is stopping.
pub struct Stopped;

pub struct Watching<'a> {
    pub root: Arc<Root>,
    pub mode: Mode,
    pub state: State,
    pub next_look: Instant,
    /// The mount point that the input lay on when it was last online.
    pub place: Option<PathBuf>,
    /// The directory that it was when it was first online, and the mount point of that.
    pub first: Option<(PathBuf, Option<os::Identity>)>,
    pub seen: Seen,
    pub poll: Duration,
    pub rescan: Duration,
    pub ledger_keep: Duration,
    /// Lives while the folder is offline.
    pub offline: Option<watchdog::Offline>,
    /// How long the last scan took.
    pub took: Duration,
    /// The next scan looks for files that somebody asked for.
    pub asked: bool,
    pub watcher: Option<notify::RecommendedWatcher>,
    pub raws: Raws,
    /// Directories, absolute, that appeared and have to be walked.
    pub appeared: Vec<PathBuf>,
    pub events: &'a Sender<FileEvent>,
    pub quit: &'a Quit,
    pub ledger: &'a Ledger,
}

impl<'a> Watching<'a> {
    fn new(
        order: Order,
        raws: Raws,
        events: &'a Sender<FileEvent>,
        quit: &'a Quit,
        ledger: &'a Ledger,
    ) -> Watching<'a> {
        let mut watching = Watching {
            root: order.root,
            mode: Mode::Events,
            state: State::New,
            next_look: Instant::now(),
            place: None,
            first: None,
            seen: Seen::new(),
            poll: order.poll,
            rescan: order.rescan,
            ledger_keep: order.ledger_keep,
            offline: None,
            took: Duration::ZERO,
            asked: false,
            watcher: None,
            raws,
            appeared: Vec::new(),
            events,
            quit,
            ledger,
        };
        watching.choose_mode("watching");
        watching
    }

    pub fn choose_mode(&mut self, event: &str) {
        let (mode, why) = choose_mode(&self.root.folder);
        self.mode = mode;
        let (path, mode) = (text(&self.root.folder.input), mode.name());
        info!(path, mode, why, "{event}");
    }

    /// Takes over an order. The folder gets a scan, since its rules may have changed.
    fn adopt(&mut self, order: Order) {
        let before = std::mem::replace(&mut self.root, order.root);
        (self.poll, self.rescan) = (order.poll, order.rescan);
        self.ledger_keep = order.ledger_keep;
        self.next_look = Instant::now();
        if choose_mode(&self.root.folder).0 != self.mode
            || before.folder.recursive != self.root.folder.recursive
            || before.excluded != self.root.excluded
        {
            self.state = State::New;
            self.choose_mode("watching");
        }
        match &mut self.state {
            // A fresh watcher is the one sure way to lose the watches of folders that are ignored
            // now. The others are set again before their scan, so nothing falls between.
            State::Online { watched, tried, .. } => (*watched, *tried) = (false, None),
            // An order to reload says that an offline folder is as it should be now.
            State::New | State::Offline => self.place = None,
        }
        self.watcher = None;
    }

    /// The path leads to another directory than at the last look, or to none any more.
    pub fn has_moved(&self) -> bool {
        match (self.state, identity(&self.root.folder.input)) {
            (State::Online { identity, .. }, Ok(now)) => identity != now,
            (State::Online { .. }, Err(_)) | (State::Offline, Ok(_)) => true,
            (State::Offline, Err(_)) | (State::New, _) => false,
        }
    }
}

pub fn identity(path: &Path) -> io::Result<Option<os::Identity>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(os::identity(&metadata))
}
