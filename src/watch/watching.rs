//! One watched folder: whether it is there, whether it has a watch, and when it is looked at next.
//!
//! The order is always watch first, scan second, so that nothing can slip in between. Overflow, a
//! lost watch, a burst: all collapse to "scan the folder".

use std::{
    collections::hash_map::RandomState,
    convert::Infallible,
    fs,
    hash::{BuildHasher, Hasher},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::bail;
use crossbeam_channel::{Receiver, Sender, at, select};
use notify::{RecursiveMode, Watcher};
use tracing::{debug, info, trace, warn};

use super::{
    events::{Raw, explain_watch_error, forward, watch_directory},
    mode::{Mode, choose_mode},
    scan,
    seen::Seen,
};
use crate::{
    arrival::FileEvent,
    ledger::Ledger,
    log::text,
    os,
    root::Root,
    stop::{Quit, told_to_quit},
    watchdog,
};

/// Elsewhere the system's own watches cover whole trees; inotify watches single directories, and
/// adding them ourselves keeps excluded folders out.
pub const ONE_WATCH_A_DIRECTORY: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// Wait between two looks at a folder that is gone. It costs next to nothing, so it does not grow:
/// pictures are to flow again within 15 s of the return.
const PROBE: Duration = Duration::from_secs(10);
/// Wait before a watch that could not be set is tried again.
const REWATCH: Duration = Duration::from_secs(60);
/// After a scan the folder is left alone for so many times as long as scans take, however short the
/// interval: a tenth of the time is enough.
const REST: u32 = 9;

/// What a folder's thread works on; a reload replaces it whole.
pub struct Order {
    pub root: Arc<Root>,
    pub poll: Duration,
    pub rescan: Duration,
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
    mode: Mode,
    pub state: State,
    pub next_look: Instant,
    /// The mount point that the input lay on when it was last online.
    place: Option<PathBuf>,
    /// The directory that it was when it was first online, and the mount point of that.
    first: Option<(PathBuf, Option<os::Identity>)>,
    seen: Seen,
    poll: Duration,
    rescan: Duration,
    /// Lives while the folder is offline.
    offline: Option<watchdog::Offline>,
    /// How long the last scan took.
    took: Duration,
    /// The next scan looks for files that somebody asked for.
    pub asked: bool,
    watcher: Option<notify::RecommendedWatcher>,
    pub raws: Raws,
    /// Directories, absolute, that appeared and have to be walked.
    pub appeared: Vec<PathBuf>,
    pub events: &'a Sender<FileEvent>,
    quit: &'a Quit,
    ledger: &'a Ledger,
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

    fn choose_mode(&mut self, event: &str) {
        let (mode, why) = choose_mode(&self.root.folder);
        self.mode = mode;
        let (path, mode) = (text(&self.root.folder.input), mode.name());
        info!(path, mode, why, "{event}");
    }

    /// Takes over an order. The folder gets a scan, since its rules may have changed.
    fn adopt(&mut self, order: Order) {
        let before = std::mem::replace(&mut self.root, order.root);
        (self.poll, self.rescan) = (order.poll, order.rescan);
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

    /// The directory's identity, if it lies where it should: an empty mount point is no folder
    /// whose files have gone. A folder that has moved to a mount of its own is welcome, and so is the
    /// first one when what was mounted over it goes.
    fn find(&mut self) -> anyhow::Result<Option<os::Identity>> {
        let input = &self.root.folder.input;
        let identity = identity(input)?;
        let place = os::mount_point(input)?;
        let here = (place, identity);
        if let Some(before) = &self.place
            && *before != here.0
            && before.starts_with(&here.0)
            && self.first.as_ref() != Some(&here)
        {
            bail!("nothing is mounted on {} any more", before.display());
        }
        self.place = Some(here.0.clone());
        self.first.get_or_insert(here);
        Ok(identity)
    }

    /// Looks at the folder if its time has come, and walks the directories that have come to light,
    /// until nothing of the kind is left.
    fn look_until_done(&mut self) -> Result<(), Stopped> {
        loop {
            let now = Instant::now();
            if self.raws.lost.swap(false, Ordering::AcqRel) {
                let path = text(&self.root.folder.input);
                warn!(path, "events were lost in a burst, the folder is scanned");
                self.next_look = now;
            }
            if self.root.backlog.is_to_be_scanned() && self.state != State::Offline {
                self.next_look = now;
            }
            if self.next_look <= now {
                self.look()?;
            } else if self.appeared.is_empty() {
                return Ok(());
            }
            self.walk_appeared()?;
        }
    }

    /// Makes sure that the folder is there and watched, then scans it.
    fn look(&mut self) -> Result<(), Stopped> {
        let root = Arc::clone(&self.root);
        let path = text(&root.folder.input);
        let identity = match self.find() {
            Ok(identity) => identity,
            Err(cause) => {
                self.set_offline(&cause);
                return Ok(());
            }
        };
        let (mut watched, mut tried) = match self.state {
            State::Online {
                identity: same,
                watched,
                tried,
            } if same == identity => (watched, tried),
            State::Online { .. } | State::Offline => {
                // What is mounted there may be another file system now.
                self.choose_mode("folder is back");
                (false, None)
            }
            State::New => (false, None),
        };
        let now = Instant::now();
        // Windows neither tells of an overflow nor of a watch that died: every look renews it.
        if self.mode == Mode::Events
            && (!watched || cfg!(windows))
            && tried.is_none_or(|at| now - at >= REWATCH)
        {
            let first = tried.is_none();
            tried = Some(now);
            watched = match self.watch_root() {
                Ok(()) => true,
                Err(cause) => {
                    let cause = explain_watch_error(&cause);
                    if first {
                        warn!(path, cause, "no events for this folder, it is polled");
                    }
                    false
                }
            };
        }
        let mut watch_directories = watched && root.folder.recursive && ONE_WATCH_A_DIRECTORY;
        let wanted_directories = watch_directories;
        root.backlog.begin_scan();
        if let Err(cause) = self.seen.begin(self.ledger) {
            self.set_offline(&cause);
            return Ok(());
        }
        let asked = std::mem::take(&mut self.asked);
        match self.scan_for(PathBuf::new(), &mut watch_directories, asked)? {
            Ok(Reach::Whole) => self.seen.end(),
            Ok(Reach::Part) => {}
            Err(cause) => {
                self.set_offline(&cause);
                return Ok(());
            }
        }
        // Without a watch on every subfolder the root is polled, and the watches tried again.
        watched &= watch_directories == wanted_directories;
        self.offline = None;
        self.state = State::Online {
            identity,
            watched,
            tried,
        };
        let took = now.elapsed();
        trace!(path, ms = took.as_millis(), "scanned");
        let interval = if watched {
            jittered(self.rescan)
        } else {
            self.poll
        };
        // One long scan is no measure: the folder may not have answered for a while.
        let usual = took.min(std::mem::replace(&mut self.took, took));
        let rest = (usual * REST).min(self.rescan);
        self.next_look = Instant::now();
        // What was asked for during the scan may lie where it had been already.
        if !self.asked {
            self.next_look += interval.max(rest);
        }
        Ok(())
    }

    /// The folder is away, or cannot be read: its watch is dead, and it is probed.
    fn set_offline(&mut self, cause: &anyhow::Error) {
        if self.state != State::Offline {
            warn!(
                path = text(&self.root.folder.input),
                cause = format!("{cause:#}"),
                "folder is offline, waiting for its return"
            );
        }
        self.state = State::Offline;
        self.offline.get_or_insert_with(watchdog::offline);
        self.next_look = Instant::now() + PROBE;
    }

    /// Sets the watch of the folder itself; subdirectories follow in the scan where the system wants
    /// one watch a directory.
    fn watch_root(&mut self) -> notify::Result<()> {
        let folder = &self.root.folder;
        let mode = if folder.recursive && !ONE_WATCH_A_DIRECTORY {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        let path = os::watch_path(&folder.input);
        // A dead watch of an earlier directory of this name may still be registered.
        if let Err(cause) = self.watcher()?.unwatch(&path) {
            debug!(
                path = text(&path),
                cause = cause.to_string(),
                "no earlier watch to remove"
            );
        }
        self.watcher()?.watch(&path, mode)
    }

    fn watcher(&mut self) -> notify::Result<&mut notify::RecommendedWatcher> {
        if self.watcher.is_none() {
            let sender = self.raws.sender.clone();
            let lost = Arc::clone(&self.raws.lost);
            let callback = move |event| forward(event, &sender, &lost);
            self.watcher = Some(notify::recommended_watcher(callback)?);
        }
        self.watcher
            .as_mut()
            .ok_or_else(|| notify::Error::generic("no watcher"))
    }

    /// Walks a directory of the folder and reports what a scan finds there, for as long as there is
    /// room for it. `watch_directories` is cleared when the system has no more watches.
    pub fn scan(
        &mut self,
        start: PathBuf,
        watch_directories: &mut bool,
    ) -> Result<anyhow::Result<Reach>, Stopped> {
        self.scan_for(start, watch_directories, false)
    }

    fn scan_for(
        &mut self,
        start: PathBuf,
        watch_directories: &mut bool,
        asked: bool,
    ) -> Result<anyhow::Result<Reach>, Stopped> {
        let root = Arc::clone(&self.root);
        let mut walk = scan::Walk::new(Arc::clone(&root), start);
        walk.asked = asked;
        loop {
            let watcher = &mut self.watcher;
            // Watch first, scan second, for every directory on its own.
            let mut enter = |directory: &Path| {
                if let (true, Some(watcher)) = (*watch_directories, watcher.as_mut()) {
                    *watch_directories =
                        watch_directory(watcher, &root.folder.input.join(directory));
                }
            };
            watchdog::busy();
            let found = match walk.next(&mut self.seen, self.ledger, &mut enter) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Ok(Reach::Whole)),
                Err(cause) => return Ok(Err(cause)),
            };
            if !found.is_empty() && root.backlog.is_full() {
                root.backlog.leave_rest();
                return Ok(Ok(Reach::Part));
            }
            for event in found {
                watchdog::busy();
                self.events.send(event).map_err(|_gone| Stopped)?;
            }
            if told_to_quit(self.quit) {
                return Err(Stopped);
            }
            // What has come in meanwhile is passed on; new directories wait for their turn.
            while let Ok(raw) = self.raws.receiver.try_recv() {
                self.take_file(raw)?;
            }
        }
    }
}

/// How far a scan came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Whole,
    /// There was no room for what it found.
    Part,
}

fn identity(path: &Path) -> io::Result<Option<os::Identity>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(os::identity(&metadata))
}

/// `interval` ± 25 %, so that many folders, or many daemons on one NAS, do not scan in step.
fn jittered(interval: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 501;
    interval.mul_f64(0.75 + f64::from(u32::try_from(random).unwrap_or(250)) / 1000.0)
}
