//! A look at a watched folder: whether it is there and has a watch, and then a scan of it.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::bail;
use notify::{RecursiveMode, Watcher};
use tracing::{debug, trace, warn};

use super::{
    events::{explain_watch_error, forward, watch_directory},
    forget::forget_old,
    mode::Mode,
    scan,
    watching::{ONE_WATCH_A_DIRECTORY, State, Stopped, Watching, identity},
};
use crate::{log::text, os, stop::told_to_quit, watchdog};

/// Wait between two looks at a folder that is gone. It costs next to nothing, so it does not grow:
/// pictures are to flow again within 15 s of the return.
const PROBE: Duration = Duration::from_secs(10);
/// Wait before a watch that could not be set is tried again.
const REWATCH: Duration = Duration::from_secs(60);
/// After a scan the folder is left alone for so many times as long as scans take, however short the
/// interval: a tenth of the time is enough.
const REST: u32 = 9;

impl Watching<'_> {
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
    pub fn look_until_done(&mut self) -> Result<(), Stopped> {
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
        let now = Instant::now();
        let (mut watched, tried) = self.keep_watch(identity, now);
        let mut watch_directories = watched && root.folder.recursive && ONE_WATCH_A_DIRECTORY;
        let wanted_directories = watch_directories;
        root.backlog.begin_scan();
        if let Err(cause) = self.seen.begin(self.ledger) {
            self.set_offline(&cause);
            return Ok(());
        }
        let asked = std::mem::take(&mut self.asked);
        match self.scan_for(PathBuf::new(), &mut watch_directories, asked)? {
            Ok(Reach::Whole) => {
                self.seen.end();
                forget_old(&root, self.ledger, self.ledger_keep, self.quit);
            }
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
        self.rest(watched, took);
        Ok(())
    }

    /// Sets the watch where there is none, as far as the folder takes one. Returns whether it holds,
    /// and when setting it was last tried.
    fn keep_watch(
        &mut self,
        identity: Option<os::Identity>,
        now: Instant,
    ) -> (bool, Option<Instant>) {
        let (watched, tried) = match self.state {
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
        // Windows neither tells of an overflow nor of a watch that died: every look renews it.
        let wanted = self.mode == Mode::Events && (!watched || cfg!(windows));
        if !wanted || tried.is_some_and(|at| now - at < REWATCH) {
            return (watched, tried);
        }
        let set = self.watch_root();
        if let (Err(cause), None) = (&set, tried) {
            let path = text(&self.root.folder.input);
            let cause = explain_watch_error(cause);
            warn!(path, cause, "no events for this folder, it is polled");
        }
        (set.is_ok(), Some(now))
    }

    /// Decides when the folder is looked at next, after a scan that took so long.
    fn rest(&mut self, watched: bool, took: Duration) {
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
        let is_whole = start.as_os_str().is_empty();
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
                Ok(None) => {
                    if is_whole {
                        scan::tell_not_taken(&root, &walk.not_taken, self.ledger);
                    }
                    return Ok(Ok(Reach::Whole));
                }
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

/// `interval` ± 25 %, so that many folders, or many daemons on one NAS, do not scan in step.
fn jittered(interval: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 501;
    interval.mul_f64(0.75 + f64::from(u32::try_from(random).unwrap_or(250)) / 1000.0)
}
