//! Walks a folder and finds the pictures in it that have no fate yet. Symbolic links are neither
//! followed nor taken: a link is no arrival of a file, and one that leads out of the folder would
//! publish what was never dropped.

use std::{
    collections::VecDeque,
    fs::{self, DirEntry, ReadDir},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use crossbeam_channel::Sender;
use tracing::{debug, warn};

use super::{Plan, filter, forget::forget_old, seen::Seen};
use crate::{
    arrival::{FileEvent, FileKey, Hint, Stamp},
    ledger::Ledger,
    log::text,
    os,
    root::Root,
    stop::{Quit, told_to_quit},
};

/// Entries that are looked at between two looks at what else there is to do.
const STRIDE: usize = 512;

/// A walk over a root's input, some entries at a time, so that a folder of any size neither holds
/// up events nor has to be in memory.
pub struct Walk {
    root: Arc<Root>,
    /// Still to be read, relative to the input.
    directories: VecDeque<PathBuf>,
    reading: Option<(PathBuf, ReadDir)>,
    /// Take a file's age as proof that it has been left alone.
    trust_age: bool,
    /// Look for files that somebody asked for: they have settled before.
    pub asked: bool,
    /// The start was readable; what fails below it concerns only itself.
    started: bool,
    /// Subfolders and files that could not be looked at.
    missed: usize,
}

impl Walk {
    pub fn new(root: Arc<Root>, start: PathBuf) -> Walk {
        Walk {
            root,
            directories: VecDeque::from([start]),
            reading: None,
            trust_age: false,
            asked: false,
            started: false,
            missed: 0,
        }
    }

    /// Looks at the next entries; None when all have been seen. `enter` is called with every
    /// directory, relative to the input, before it is read. Only the start's failure, and the
    /// ledger's, are errors.
    pub fn next(
        &mut self,
        seen: &mut Seen,
        ledger: &Ledger,
        enter: &mut dyn FnMut(&Path),
    ) -> anyhow::Result<Option<Vec<FileEvent>>> {
        let mut found = Vec::new();
        for _ in 0..STRIDE {
            let Some((directory, entries)) = &mut self.reading else {
                let Some(directory) = self.directories.pop_front() else {
                    return Ok((!found.is_empty()).then_some(found));
                };
                enter(&directory);
                self.open(directory)?;
                continue;
            };
            match entries.next() {
                None => self.reading = None,
                Some(Ok(entry)) => {
                    let relative = directory.join(entry.file_name());
                    match self.look(&entry, relative, seen, ledger)? {
                        Ok(event) => found.extend(event),
                        Err(cause) => self.miss(&entry.path(), &cause),
                    }
                }
                Some(Err(cause)) => {
                    let path = self.root.folder.input.join(&*directory);
                    self.reading = None;
                    self.miss(&path, &cause);
                }
            }
        }
        Ok(Some(found))
    }

    fn open(&mut self, directory: PathBuf) -> anyhow::Result<()> {
        let path = self.root.folder.input.join(&directory);
        match fs::read_dir(&path) {
            Ok(entries) => self.reading = Some((directory, entries)),
            Err(cause) if !self.started => {
                return Err(cause).with_context(|| format!("cannot scan {}", path.display()));
            }
            Err(cause) => self.miss(&path, &cause),
        }
        self.started = true;
        Ok(())
    }

    /// The outer error is the ledger's, the inner one the entry's.
    fn look(
        &mut self,
        entry: &DirEntry,
        relative: PathBuf,
        seen: &mut Seen,
        ledger: &Ledger,
    ) -> anyhow::Result<io::Result<Option<FileEvent>>> {
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(cause) => return Ok(Err(cause)),
        };
        if kind.is_dir() {
            if self.is_entered(entry, &relative) {
                self.directories.push_back(relative);
            }
            return Ok(Ok(None));
        }
        if !kind.is_file() || filter::judge(&relative, &self.root.folder.ignore).is_err() {
            return Ok(Ok(None));
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(cause) => return Ok(Err(cause)),
        };
        let stamp = Stamp::of(&metadata);
        if seen.knows(&relative, stamp) {
            return Ok(Ok(None));
        }
        let file = FileKey {
            folder: self.root.id,
            path: Arc::from(relative),
        };
        if seen.learn(ledger, &file, stamp)? {
            return Ok(Ok(None));
        }
        let asked = self.asked && ledger.is_asked_for(&file, stamp)?;
        let quiet_for = match metadata.modified() {
            _ if asked => Duration::MAX,
            Ok(modified) if self.trust_age => SystemTime::now()
                .duration_since(modified)
                .unwrap_or_default(),
            _ => Duration::ZERO,
        };
        Ok(Ok(Some(FileEvent {
            file,
            hint: Hint::Found { stamp, quiet_for },
        })))
    }

    fn is_entered(&self, entry: &DirEntry, relative: &Path) -> bool {
        let root = &self.root;
        root.folder.recursive
            && root.excluded.as_deref() != Some(relative)
            && filter::judge_directory(relative, &root.folder.ignore).is_ok()
            // The output may show up under another name, through a bind mount.
            && !entry
                .metadata()
                .is_ok_and(|metadata| {
                    let identity = os::identity(&metadata);
                    identity.is_some() && identity == root.output_identity
                })
    }

    fn miss(&mut self, path: &Path, cause: &io::Error) {
        if cause.kind() == io::ErrorKind::NotFound {
            debug!(path = text(path), "went away during the scan");
        } else {
            warn!(
                path = text(path),
                cause = cause.to_string(),
                "could not be looked at in the scan"
            );
            self.missed += 1;
        }
    }
}

/// Reports what stands in the folders now and ends: the source of `run --once`, where a file's age
/// counts as quiet time.
pub fn scan_once(
    plan: &Plan,
    events: &Sender<FileEvent>,
    quit: &Quit,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    let mut missed = 0;
    for root in &plan.roots {
        let mut walk = Walk {
            trust_age: true,
            ..Walk::new(Arc::clone(root), PathBuf::new())
        };
        let mut seen = Seen::new();
        loop {
            match walk.next(&mut seen, ledger, &mut |_| {}) {
                Ok(Some(found)) => {
                    for event in found {
                        if events.send(event).is_err() {
                            return Ok(());
                        }
                    }
                }
                Ok(None) => break,
                Err(cause) => {
                    warn!(cause = format!("{cause:#}"), "folder could not be scanned");
                    missed += 1;
                    break;
                }
            }
            if told_to_quit(quit) {
                return Ok(());
            }
        }
        missed += walk.missed;
        forget_old(root, ledger, plan.ledger_keep, quit);
    }
    if missed > 0 {
        bail!("{missed} files or folders could not be looked at");
    }
    Ok(())
}
