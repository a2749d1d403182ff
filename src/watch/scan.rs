//! Walks a folder and finds the pictures in it that have no fate yet. Symbolic links are neither
//! followed nor taken: a link is no arrival of a file, and one that leads out of the folder would
//! publish what was never dropped.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, DirEntry, ReadDir},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use crossbeam_channel::Sender;
use tracing::{debug, info, warn};

use super::{
    Plan,
    filter::{self, Ignored},
    forget::forget_old,
    seen::{Known, Seen},
};
use crate::{
    arrival::{FileEvent, FileKey, Hint, NotTaken, Stamp},
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
    pub not_taken: NotTaken,
    /// Files that had their fate before.
    done: u64,
    failed: u64,
}

/// What a single scan of all folders found, beside the files that it sent.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Files and folders that could not be looked at.
    pub missed: usize,
    /// Files that had their fate before.
    pub done: u64,
    pub failed: u64,
    pub not_taken: NotTaken,
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
            not_taken: NotTaken::default(),
            done: 0,
            failed: 0,
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
            } else {
                self.leave_out_folder(&relative);
            }
            return Ok(Ok(None));
        }
        if !kind.is_file() {
            self.not_taken.links += 1;
            return Ok(Ok(None));
        }
        if let Err(ignored) = filter::judge(&relative, &self.root.folder.ignore) {
            self.leave_out(&relative, ignored);
            return Ok(Ok(None));
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(cause) => return Ok(Err(cause)),
        };
        let stamp = Stamp::of(&metadata);
        if let Some(known) = seen.knows(&relative, stamp) {
            self.count_known(known);
            return Ok(Ok(None));
        }
        let file = FileKey {
            folder: self.root.id,
            path: Arc::from(relative),
        };
        if let Some(known) = seen.learn(ledger, &file, stamp)? {
            self.count_known(known);
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

    fn count_known(&mut self, known: Known) {
        match known {
            Known::Done => self.done += 1,
            Known::Failed => self.failed += 1,
        }
    }

    fn leave_out(&mut self, relative: &Path, ignored: Ignored) {
        match ignored {
            // A system's own files are no pictures that somebody misses.
            Ignored::Extension if relative.file_name().is_some_and(filter::is_hidden) => {
                self.not_taken.hidden += 1;
            }
            Ignored::Extension => {
                let extension = relative.extension().map(OsStr::as_encoded_bytes);
                self.not_taken.count_extension(extension);
            }
            Ignored::BuiltIn(_) => self.not_taken.hidden += 1,
            Ignored::Glob(_) => self.not_taken.globs += 1,
            Ignored::Output | Ignored::Subfolder => {}
        }
    }

    /// Folders of our own are nothing that was left out.
    fn leave_out_folder(&mut self, relative: &Path) {
        let folder = &self.root.folder;
        let path = folder.input.join(relative);
        let is_ours = self.root.excluded.as_deref() == Some(relative)
            || folder.moved_to().any(|to| to.starts_with(&path))
            || folder.output.starts_with(&path);
        if is_ours {
            return;
        }
        match filter::judge_directory(relative, &folder.ignore) {
            Err(ignored) => self.leave_out(relative, ignored),
            Ok(()) => self.not_taken.subfolders += 1,
        }
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
pub fn scan_once(plan: &Plan, events: &Sender<FileEvent>, quit: &Quit, ledger: &Ledger) -> Scanned {
    let mut scanned = Scanned::default();
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
                            return scanned;
                        }
                    }
                }
                Ok(None) => break,
                Err(cause) => {
                    warn!(cause = format!("{cause:#}"), "folder could not be scanned");
                    scanned.missed += 1;
                    break;
                }
            }
            if told_to_quit(quit) {
                return scanned;
            }
        }
        scanned.missed += walk.missed;
        scanned.done += walk.done;
        scanned.failed += walk.failed;
        scanned.not_taken.add(&walk.not_taken);
        tell_not_taken(root, &walk.not_taken, ledger);
        forget_old(root, ledger, plan.ledger_keep, quit);
    }
    scanned
}

/// Tells what a scan of a whole folder did not take, if that is news.
pub fn tell_not_taken(root: &Root, not_taken: &NotTaken, ledger: &Ledger) {
    let is_news = ledger.announce_not_taken(&root.folder.input, not_taken);
    if is_news && not_taken.total() > 0 {
        let path = text(&root.folder.input);
        info!(path, not_taken = %not_taken, "scanned, some of it is not taken");
    }
}
