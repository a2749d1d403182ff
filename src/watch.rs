//! Notices files: by events where the file system delivers them, by a scan at start, and by a
//! jittered rescan for ever, because an event is only a hint and the folder is the truth.
//!
//! The order is always watch first, scan second, so that nothing can slip in between. Overflow, a
//! lost watch or a burst all collapse to "scan that folder".

mod filter;
mod mounts;
mod scan;

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never, select};
use notify::{
    ErrorKind, EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tracing::{debug, info, warn};

pub use filter::{Ignored, TEMP_PREFIX, judge, promised_format};
pub use scan::scan_once;

use crate::{
    config::{self, Folder},
    ledger::Ledger,
    os,
    publish::OutputPlace,
};

/// A configured folder's lasting number in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub i64);

/// A folder that is being worked on.
#[derive(Debug)]
pub struct Root {
    pub id: FolderId,
    pub folder: Folder,
    /// The fingerprint of the folder's recipe.
    pub recipe_id: u64,
    /// The output, relative to the input, where it lies inside: it is never entered.
    pub excluded: Option<PathBuf>,
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

/// Picks the mode of a folder and says why.
#[must_use]
pub fn choose_mode(folder: &Folder) -> (Mode, String) {
    match folder.watch {
        config::Watch::Events => (Mode::Events, "as configured".to_owned()),
        config::Watch::Poll => (Mode::Poll, "as configured".to_owned()),
        config::Watch::Auto => mounts::choose(&folder.input),
    }
}

/// Elsewhere the system's own watches cover whole trees; inotify watches single directories, and
/// adding them ourselves keeps excluded folders out.
const ONE_WATCH_A_DIRECTORY: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// Raw events that wait for the `watch` thread; more collapse to a scan.
const RAW_EVENTS: usize = 8192;
/// Waits between two looks at a folder that is gone.
const PROBE_FIRST: Duration = Duration::from_secs(10);
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Wait before a watch that could not be set is tried again.
const REWATCH: Duration = Duration::from_secs(60);

/// What the callback passes on of an event.
enum Raw {
    File(PathBuf, Hint),
    /// May be a directory: it has to be looked at.
    Appeared(PathBuf),
    Removed(PathBuf),
    WatchLimit,
}

/// A root as the `watch` thread sees it.
struct Watched {
    root: Arc<Root>,
    mode: Mode,
    state: State,
    next_look: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// `watched` tells whether the watch holds, `tried` when setting it was last tried.
    Online {
        identity: os::Identity,
        watched: bool,
        tried: Option<Instant>,
    },
    Offline {
        wait: Duration,
    },
}

/// Runs the `watch` thread until `plans` or `events` is disconnected.
pub fn run(plan: Plan, plans: &Receiver<Plan>, events: &Sender<FileEvent>, ledger: &Ledger) {
    let (raw_sender, raw) = bounded(RAW_EVENTS);
    let lost = Arc::new(AtomicBool::new(false));
    let mut watching = Watching {
        watcher: None,
        raw_sender,
        raw,
        lost,
        roots: Vec::new(),
        appeared: Vec::new(),
        poll: plan.poll,
        rescan: plan.rescan,
        events,
        ledger,
    };
    watching.adopt(plan);
    let mut ready = false;
    loop {
        let Ok(()) = watching.look_at_due_roots() else {
            return;
        };
        if !std::mem::replace(&mut ready, true) {
            info!(folders = watching.roots.len(), "ready");
        }
        let wake = match watching.roots.iter().map(|watched| watched.next_look).min() {
            Some(next) => crossbeam_channel::at(next),
            None => never(),
        };
        select! {
            recv(watching.raw) -> raw => {
                let Ok(raw) = raw else { return };
                let Ok(()) = watching.take(raw).and_then(|()| watching.drain_raw()) else { return };
            }
            recv(plans) -> plan => match plan {
                Ok(plan) => watching.adopt(plan),
                Err(_) => return,
            },
            recv(wake) -> _ => {}
        }
    }
}

/// The receiver of file events is gone: the daemon is stopping.
struct Stopped;

struct Watching<'a> {
    watcher: Option<notify::RecommendedWatcher>,
    raw_sender: Sender<Raw>,
    raw: Receiver<Raw>,
    /// Set by the callback when events were lost.
    lost: Arc<AtomicBool>,
    roots: Vec<Watched>,
    /// Directories, absolute, that appeared and have to be walked.
    appeared: Vec<PathBuf>,
    poll: Duration,
    rescan: Duration,
    events: &'a Sender<FileEvent>,
    ledger: &'a Ledger,
}

impl Watching<'_> {
    /// Takes over a plan. Folders that stay keep their watch and get a scan, since their rules may
    /// have changed.
    fn adopt(&mut self, plan: Plan) {
        let now = Instant::now();
        self.poll = plan.poll;
        self.rescan = plan.rescan;
        let mut before = std::mem::take(&mut self.roots);
        for root in plan.roots {
            let (mode, why) = choose_mode(&root.folder);
            let old = before.iter().position(|old| {
                old.root.id == root.id
                    && old.mode == mode
                    && old.root.folder.recursive == root.folder.recursive
                    && old.root.excluded == root.excluded
            });
            let state = if let Some(index) = old {
                before.swap_remove(index).state
            } else {
                let mode = if mode == Mode::Events {
                    "events"
                } else {
                    "poll"
                };
                info!(path = %root.folder.input.display(), mode, why, "watching");
                State::New
            };
            self.roots.push(Watched {
                root,
                mode,
                state,
                next_look: now,
            });
        }
        for gone in before {
            info!(path = %gone.root.folder.input.display(), "no longer watching");
        }
        // A fresh watcher is the one sure way to lose the watches of folders that left. Those of
        // the others are set again before their scan, so nothing falls between.
        self.watcher = None;
        for watched in &mut self.roots {
            if let State::Online { watched, tried, .. } = &mut watched.state {
                *watched = false;
                *tried = None;
            }
        }
    }

    /// Looks at every root whose time has come.
    fn look_at_due_roots(&mut self) -> Result<(), Stopped> {
        if self.lost.swap(false, Ordering::AcqRel) {
            warn!("events were lost in a burst, every folder is scanned");
            let now = Instant::now();
            self.roots
                .iter_mut()
                .for_each(|watched| watched.next_look = now);
        }
        for index in 0..self.roots.len() {
            if self.roots[index].next_look <= Instant::now() {
                self.look_at(index)?;
            }
        }
        Ok(())
    }

    /// Makes sure that the root is there and watched, then scans it.
    fn look_at(&mut self, index: usize) -> Result<(), Stopped> {
        let root = Arc::clone(&self.roots[index].root);
        let path = root.folder.input.display();
        let now = Instant::now();
        let before = self.roots[index].state;
        let identity = match identity(&root.folder.input) {
            Ok(identity) => identity,
            Err(cause) => {
                let wait = match before {
                    State::Offline { wait } => (wait * 2).min(PROBE_MAX),
                    State::New | State::Online { .. } => {
                        warn!(%path, %cause, "folder is offline, waiting for its return");
                        PROBE_FIRST
                    }
                };
                self.roots[index].state = State::Offline { wait };
                self.roots[index].next_look = now + wait;
                return Ok(());
            }
        };
        let (mut watched, mut tried) = match before {
            State::Online {
                identity: same,
                watched,
                tried,
            } if same == identity => (watched, tried),
            State::Online { .. } | State::Offline { .. } => {
                info!(%path, "folder is back");
                (false, None)
            }
            State::New => (false, None),
        };
        let wanted = self.roots[index].mode == Mode::Events;
        if wanted && !watched && tried.is_none_or(|at| now - at >= REWATCH) {
            tried = Some(now);
            watched = match self.watch_root(&root) {
                Ok(()) => true,
                Err(cause) => {
                    let cause = explain_watch_error(&cause);
                    warn!(%path, cause, "no events for this folder, it is polled");
                    false
                }
            };
        }
        self.roots[index].state = State::Online {
            identity,
            watched,
            tried,
        };

        let watch_directories = watched && root.folder.recursive && ONE_WATCH_A_DIRECTORY;
        let scanned = self.scan(&root, PathBuf::new(), watch_directories)?;
        let interval = match scanned {
            Ok(()) if watched => jittered(self.rescan),
            Ok(()) => self.poll,
            Err(cause) => {
                warn!(%path, %cause, "folder could not be scanned, trying again");
                PROBE_FIRST
            }
        };
        self.roots[index].next_look = Instant::now() + interval;
        Ok(())
    }

    /// Sets the watch of a root itself; subdirectories follow in its scan where the system wants
    /// one watch a directory.
    fn watch_root(&mut self, root: &Root) -> notify::Result<()> {
        let mode = if root.folder.recursive && !ONE_WATCH_A_DIRECTORY {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        let path = root.folder.input.clone();
        // A dead watch of an earlier directory of this name may still be registered.
        if let Err(cause) = self.watcher()?.unwatch(&path) {
            debug!(path = %path.display(), %cause, "no earlier watch to remove");
        }
        self.watcher()?.watch(&path, mode)
    }

    fn watcher(&mut self) -> notify::Result<&mut notify::RecommendedWatcher> {
        if self.watcher.is_none() {
            let sender = self.raw_sender.clone();
            let lost = Arc::clone(&self.lost);
            let callback = move |event| forward(event, &sender, &lost);
            self.watcher = Some(notify::recommended_watcher(callback)?);
        }
        self.watcher
            .as_mut()
            .ok_or_else(|| notify::Error::generic("no watcher"))
    }

    /// Walks a directory of a root and reports what a scan finds there.
    fn scan(
        &mut self,
        root: &Arc<Root>,
        start: PathBuf,
        watch_directories: bool,
    ) -> Result<anyhow::Result<()>, Stopped> {
        let mut walk = scan::Walk::new(Arc::clone(root), start);
        let mut seen = 0_u32;
        loop {
            // Watch first, scan second, for every directory on its own.
            if watch_directories && let Some(directory) = walk.next_directory() {
                let path = root.folder.input.join(directory);
                if let Err(cause) = self
                    .watcher()
                    .and_then(|w| w.watch(&path, RecursiveMode::NonRecursive))
                {
                    let cause = explain_watch_error(&cause);
                    warn!(path = %path.display(), cause, "no events for this subfolder, the rescan covers it");
                }
            }
            let found = match walk.next(self.ledger) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Ok(())),
                Err(cause) => return Ok(Err(cause)),
            };
            for file in found {
                self.events
                    .send(FileEvent {
                        file: file.key,
                        hint: file.hint,
                    })
                    .map_err(|_gone| Stopped)?;
                seen = seen.wrapping_add(1);
                if seen.is_multiple_of(512) {
                    self.drain_files()?;
                }
            }
        }
    }

    /// Passes on what has come in meanwhile without walking into new directories.
    fn drain_files(&mut self) -> Result<(), Stopped> {
        while let Ok(raw) = self.raw.try_recv() {
            self.take_file(raw)?;
        }
        Ok(())
    }

    fn drain_raw(&mut self) -> Result<(), Stopped> {
        while let Ok(raw) = self.raw.try_recv() {
            self.take(raw)?;
        }
        Ok(())
    }

    /// Handles one raw event and walks the directories that it brought to light.
    fn take(&mut self, raw: Raw) -> Result<(), Stopped> {
        self.take_file(raw)?;
        while let Some(path) = self.appeared.pop() {
            let Some((root, directory)) = self.locate(&path) else {
                continue;
            };
            debug!(path = %path.display(), "walking a new folder");
            if let Err(cause) = self.scan(&root, directory, ONE_WATCH_A_DIRECTORY)? {
                warn!(path = %path.display(), %cause, "new folder could not be scanned, the rescan covers it");
            }
        }
        Ok(())
    }

    fn take_file(&mut self, raw: Raw) -> Result<(), Stopped> {
        match raw {
            Raw::File(path, hint) => {
                let Some((root, relative)) = self.locate(&path) else {
                    return Ok(());
                };
                let deep = relative.components().nth(1).is_some();
                if (deep && !root.folder.recursive)
                    || judge(&relative, &root.folder.ignore).is_err()
                {
                    return Ok(());
                }
                let file = FileKey {
                    folder: root.id,
                    path: Arc::from(relative),
                };
                self.events
                    .send(FileEvent { file, hint })
                    .map_err(|_gone| Stopped)?;
            }
            Raw::Appeared(path) => {
                let Some((root, relative)) = self.locate(&path) else {
                    return Ok(());
                };
                if root.folder.recursive
                    && fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir())
                    && filter::judge_directory(&relative, &root.folder.ignore).is_ok()
                {
                    self.appeared.push(path);
                }
            }
            Raw::Removed(path) => {
                // Only the loss of a root matters: its watch is dead.
                let now = Instant::now();
                for watched in self
                    .roots
                    .iter_mut()
                    .filter(|w| w.root.folder.input == path)
                {
                    watched.next_look = now;
                }
            }
            Raw::WatchLimit => warn!(
                cause = explain_watch_error(&notify::Error::new(ErrorKind::MaxFilesWatch)),
                "no events for some subfolders, the rescan covers them"
            ),
        }
        Ok(())
    }

    /// The root that a path belongs to, and the path relative to it.
    fn locate(&self, path: &Path) -> Option<(Arc<Root>, PathBuf)> {
        self.roots.iter().find_map(|watched| {
            let root = &watched.root;
            let relative = path.strip_prefix(&root.folder.input).ok()?;
            let excluded = root
                .excluded
                .as_ref()
                .is_some_and(|out| relative.starts_with(out));
            (!excluded && !relative.as_os_str().is_empty())
                .then(|| (Arc::clone(root), relative.to_owned()))
        })
    }
}

/// The whole work of the callback: drop what is of no use, pass on the rest, never wait.
fn forward(event: notify::Result<notify::Event>, sender: &Sender<Raw>, lost: &AtomicBool) {
    let raise = |raw| match sender.try_send(raw) {
        Ok(()) | Err(TrySendError::Disconnected(_)) => {}
        // The receiver is awake, as its channel is full, and looks at the flag afterwards.
        Err(TrySendError::Full(_)) => lost.store(true, Ordering::Release),
    };
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            match error.kind {
                ErrorKind::MaxFilesWatch => raise(Raw::WatchLimit),
                _ => lost.store(true, Ordering::Release),
            }
            return;
        }
    };
    if event.need_rescan() {
        lost.store(true, Ordering::Release);
        // Wakes the receiver; an event for no known path has no other effect.
        raise(Raw::Removed(PathBuf::new()));
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

fn explain_watch_error(error: &notify::Error) -> String {
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

fn identity(path: &Path) -> io::Result<os::Identity> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(os::directory_identity(&metadata))
}

/// `interval` ± 25 %, so that many folders, or many daemons on one NAS, do not scan in step.
fn jittered(interval: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 501;
    interval.mul_f64(0.75 + f64::from(u32::try_from(random).unwrap_or(250)) / 1000.0)
}
