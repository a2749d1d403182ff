//! The watched folders as the `watch` thread sees them: which are there, which have a watch, and
//! when each is looked at next.

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
    time::{Duration, Instant},
};

use anyhow::bail;
use crossbeam_channel::{Receiver, Sender};
use notify::{ErrorKind, RecursiveMode, Watcher};
use tracing::{debug, info, warn};

use super::{
    FileEvent, FileKey, Mode, Plan, Quit, Root, choose_mode,
    events::{Raw, explain_watch_error, forward, watch_directory},
    filter, judge, scan, told_to_quit,
};
use crate::{ledger::Ledger, log::text, os};

/// Elsewhere the system's own watches cover whole trees; inotify watches single directories, and
/// adding them ourselves keeps excluded folders out.
const ONE_WATCH_A_DIRECTORY: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// Waits between two looks at a folder that is gone.
const PROBE_FIRST: Duration = Duration::from_secs(10);
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Wait before a watch that could not be set is tried again.
const REWATCH: Duration = Duration::from_secs(60);

/// A root as the `watch` thread sees it.
struct Watched {
    root: Arc<Root>,
    mode: Mode,
    state: State,
    next_look: Instant,
    /// The mount point that the input lay on when it was last online.
    place: Option<PathBuf>,
}

impl Watched {
    /// The path leads to another directory than at the last look, or to none any more.
    fn has_moved(&self) -> bool {
        match (self.state, identity(&self.root.folder.input)) {
            (State::Online { identity, .. }, Ok(now)) => identity != now,
            (State::Online { .. }, Err(_)) | (State::Offline { .. }, Ok(_)) => true,
            (State::Offline { .. }, Err(_)) | (State::New, _) => false,
        }
    }

    /// The directory's identity, if it lies where it should: an empty mount point is no folder
    /// whose files have gone. A folder that has moved to a mount of its own is welcome.
    fn find(&mut self) -> anyhow::Result<os::Identity> {
        let input = &self.root.folder.input;
        let identity = identity(input)?;
        let place = os::mount_point(input)?;
        if let Some(before) = &self.place
            && *before != place
            && before.starts_with(&place)
        {
            bail!("nothing is mounted on {} any more", before.display());
        }
        self.place = Some(place);
        Ok(identity)
    }
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

/// The receiver of file events is gone: the daemon is stopping.
pub struct Stopped;

pub struct Watching<'a> {
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
    quit: &'a Quit,
    ledger: &'a Ledger,
}

impl<'a> Watching<'a> {
    pub fn new(
        plan: Plan,
        (raw_sender, raw): (Sender<Raw>, Receiver<Raw>),
        events: &'a Sender<FileEvent>,
        quit: &'a Quit,
        ledger: &'a Ledger,
    ) -> Watching<'a> {
        let mut watching = Watching {
            watcher: None,
            raw_sender,
            raw,
            lost: Arc::new(AtomicBool::new(false)),
            roots: Vec::new(),
            appeared: Vec::new(),
            poll: plan.poll,
            rescan: plan.rescan,
            events,
            quit,
            ledger,
        };
        watching.adopt(plan);
        watching
    }

    /// When the next root is due; None without roots.
    pub fn next_look(&self) -> Option<Instant> {
        self.roots.iter().map(|watched| watched.next_look).min()
    }

    /// Takes over a plan. Folders that stay keep their watch and get a scan, since their rules may
    /// have changed.
    pub fn adopt(&mut self, plan: Plan) {
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
            let (state, place) = if let Some(index) = old {
                let old = before.swap_remove(index);
                // An order to reload says that an offline folder is as it should be now.
                let online = matches!(old.state, State::Online { .. });
                (old.state, old.place.filter(|_| online))
            } else {
                info!(
                    path = text(&root.folder.input),
                    mode = mode.name(),
                    why,
                    "watching"
                );
                (State::New, None)
            };
            self.roots.push(Watched {
                root,
                mode,
                state,
                next_look: now,
                place,
            });
        }
        for gone in before {
            info!(path = text(&gone.root.folder.input), "no longer watching");
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

    /// Looks at every root whose time has come, and walks the directories that have come to light,
    /// until nothing of the kind is left.
    pub fn look_at_due_roots(&mut self) -> Result<(), Stopped> {
        loop {
            let now = Instant::now();
            if self.lost.swap(false, Ordering::AcqRel) {
                warn!("events were lost in a burst, every folder is scanned");
                self.roots
                    .iter_mut()
                    .for_each(|watched| watched.next_look = now);
            }
            let due = self
                .roots
                .iter()
                .position(|watched| watched.next_look <= now);
            match due {
                Some(index) => self.look_at(index)?,
                None if self.appeared.is_empty() => return Ok(()),
                None => {}
            }
            self.walk_appeared()?;
        }
    }

    /// Makes sure that the root is there and watched, then scans it.
    fn look_at(&mut self, index: usize) -> Result<(), Stopped> {
        let root = Arc::clone(&self.roots[index].root);
        let path = text(&root.folder.input);
        let identity = match self.roots[index].find() {
            Ok(identity) => identity,
            Err(cause) => {
                self.set_offline(index, &cause);
                return Ok(());
            }
        };
        let (mut watched, mut tried) = match self.roots[index].state {
            State::Online {
                identity: same,
                watched,
                tried,
            } if same == identity => (watched, tried),
            State::Online { .. } | State::Offline { .. } => {
                // What is mounted there may be another file system now.
                let (mode, why) = choose_mode(&root.folder);
                self.roots[index].mode = mode;
                info!(path, mode = mode.name(), why, "folder is back");
                (false, None)
            }
            State::New => (false, None),
        };
        let now = Instant::now();
        let wanted = self.roots[index].mode == Mode::Events;
        // Windows neither tells of an overflow nor of a watch that died: every look renews it.
        if wanted && (!watched || cfg!(windows)) && tried.is_none_or(|at| now - at >= REWATCH) {
            let first = tried.is_none();
            tried = Some(now);
            watched = match self.watch_root(&root) {
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
        if let Err(cause) = self.scan(&root, PathBuf::new(), &mut watch_directories)? {
            self.set_offline(index, &cause);
            return Ok(());
        }
        // Without a watch on every subfolder the root is polled, and the watches tried again.
        watched &= watch_directories == wanted_directories;
        self.roots[index].state = State::Online {
            identity,
            watched,
            tried,
        };
        let interval = if watched {
            jittered(self.rescan)
        } else {
            self.poll
        };
        self.roots[index].next_look = Instant::now() + interval;
        Ok(())
    }

    /// The root is away, or cannot be read: its watch is dead, and it is probed at growing waits.
    fn set_offline(&mut self, index: usize, cause: &anyhow::Error) {
        let watched = &mut self.roots[index];
        let wait = match watched.state {
            State::Offline { wait } => (wait * 2).min(PROBE_MAX),
            State::New | State::Online { .. } => {
                let path = text(&watched.root.folder.input);
                warn!(
                    path,
                    cause = format!("{cause:#}"),
                    "folder is offline, waiting for its return"
                );
                PROBE_FIRST
            }
        };
        watched.state = State::Offline { wait };
        watched.next_look = Instant::now() + wait;
    }

    /// Sets the watch of a root itself; subdirectories follow in its scan where the system wants
    /// one watch a directory.
    fn watch_root(&mut self, root: &Root) -> notify::Result<()> {
        let mode = if root.folder.recursive && !ONE_WATCH_A_DIRECTORY {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        let path = os::watch_path(&root.folder.input);
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
            let sender = self.raw_sender.clone();
            let lost = Arc::clone(&self.lost);
            let callback = move |event| forward(event, &sender, &lost);
            self.watcher = Some(notify::recommended_watcher(callback)?);
        }
        self.watcher
            .as_mut()
            .ok_or_else(|| notify::Error::generic("no watcher"))
    }

    /// Walks a directory of a root and reports what a scan finds there. `watch_directories` is
    /// cleared when the system has no more watches.
    fn scan(
        &mut self,
        root: &Arc<Root>,
        start: PathBuf,
        watch_directories: &mut bool,
    ) -> Result<anyhow::Result<()>, Stopped> {
        let mut walk = scan::Walk::new(Arc::clone(root), start);
        loop {
            let watcher = &mut self.watcher;
            // Watch first, scan second, for every directory on its own.
            let mut enter = |directory: &Path| {
                if let (true, Some(watcher)) = (*watch_directories, watcher.as_mut()) {
                    *watch_directories =
                        watch_directory(watcher, &root.folder.input.join(directory));
                }
            };
            let found = match walk.next(self.ledger, &mut enter) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Ok(())),
                Err(cause) => return Ok(Err(cause)),
            };
            for event in found {
                self.events.send(event).map_err(|_gone| Stopped)?;
            }
            if told_to_quit(self.quit) {
                return Err(Stopped);
            }
            // What has come in meanwhile is passed on; new directories wait for their turn.
            while let Ok(raw) = self.raw.try_recv() {
                self.take_file(raw)?;
            }
        }
    }

    /// Takes what waits now, but not for ever: reloads and rescans have their turn.
    pub fn take_waiting(&mut self) -> Result<(), Stopped> {
        for _ in 0..self.raw.len() {
            let Ok(raw) = self.raw.try_recv() else { break };
            self.take(raw)?;
        }
        Ok(())
    }

    /// Handles one raw event and walks the directories that it brought to light.
    pub fn take(&mut self, raw: Raw) -> Result<(), Stopped> {
        self.take_file(raw)?;
        self.walk_appeared()
    }

    fn walk_appeared(&mut self) -> Result<(), Stopped> {
        while let Some(path) = self.appeared.pop() {
            let Some((root, directory)) = self.locate(&path) else {
                continue;
            };
            debug!(path = text(&path), "walking a new folder");
            if let Err(cause) = self.scan(&root, directory, &mut { ONE_WATCH_A_DIRECTORY })? {
                debug!(
                    path = text(&path),
                    cause = format!("{cause:#}"),
                    "new folder is gone again"
                );
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
                for watched in &mut self.roots {
                    if os::watch_path(&watched.root.folder.input) == path {
                        watched.next_look = now;
                        // The directory that comes next under this name may have the same inode.
                        if let State::Online { watched, tried, .. } = &mut watched.state {
                            (*watched, *tried) = (false, None);
                        }
                    }
                }
            }
            Raw::Wake => {}
            Raw::Mounts => {
                let now = Instant::now();
                for watched in &mut self.roots {
                    if watched.has_moved() {
                        watched.next_look = now;
                    }
                }
            }
            Raw::WatchLimit => warn!(
                cause = explain_watch_error(&notify::Error::new(ErrorKind::MaxFilesWatch)),
                "no events for some subfolders, the rescan covers them"
            ),
        }
        Ok(())
    }

    /// The root that a path belongs to, and the path relative to it. Of nested folders the deepest
    /// is meant: the outer one is not recursive, or the configuration would have been refused.
    fn locate(&self, path: &Path) -> Option<(Arc<Root>, PathBuf)> {
        let inside = self.roots.iter().filter_map(|watched| {
            let input = os::watch_path(&watched.root.folder.input);
            let relative = path.strip_prefix(&input).ok()?.to_owned();
            Some((&watched.root, relative))
        });
        let (root, relative) = inside.min_by_key(|(_, relative)| relative.components().count())?;
        let excluded = root
            .excluded
            .as_ref()
            .is_some_and(|out| relative.starts_with(out));
        (!excluded && !relative.as_os_str().is_empty()).then(|| (Arc::clone(root), relative))
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
