//! Walks a folder and finds the pictures in it that have no fate yet. Symbolic links are neither
//! followed nor taken: a link is no arrival of a file, and one that leads out of the folder would
//! publish what was never dropped.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use crossbeam_channel::Sender;
use tracing::{debug, warn};

use super::{FileEvent, FileKey, Hint, Root, Stamp, filter};
use crate::ledger::Ledger;

/// A walk over a root's input, a directory at a time.
pub struct Walk {
    root: Arc<Root>,
    /// Relative to the input.
    directories: VecDeque<PathBuf>,
    first: bool,
    /// Take a file's age as proof that it has been left alone.
    trust_age: bool,
}

pub struct Found {
    pub key: FileKey,
    pub hint: Hint,
}

impl Walk {
    pub fn new(root: Arc<Root>, start: PathBuf) -> Walk {
        Walk {
            root,
            directories: VecDeque::from([start]),
            first: true,
            trust_age: false,
        }
    }

    /// The directory that [`Walk::next`] reads, relative to the input.
    pub fn next_directory(&self) -> Option<&Path> {
        self.directories.front().map(PathBuf::as_path)
    }

    /// Reads the next directory; `None` when all are read. Only the first one's failure is an
    /// error: the others may have been removed meanwhile, and disturb nothing else.
    pub fn next(&mut self, ledger: &Ledger) -> anyhow::Result<Option<Vec<Found>>> {
        let Some(directory) = self.directories.pop_front() else {
            return Ok(None);
        };
        let path = self.root.folder.input.join(&directory);
        let first = std::mem::take(&mut self.first);
        match self.read(&directory, &path, ledger) {
            Ok(found) => Ok(Some(found)),
            Err(cause) if first => {
                Err(cause).with_context(|| format!("cannot scan {}", path.display()))
            }
            Err(cause) => {
                match cause.downcast_ref::<io::Error>() {
                    Some(gone) if gone.kind() == io::ErrorKind::NotFound => {
                        debug!(path = %path.display(), "subfolder went away during the scan");
                    }
                    _ => {
                        warn!(path = %path.display(), cause = format!("{cause:#}"), "subfolder could not be scanned");
                    }
                }
                Ok(Some(Vec::new()))
            }
        }
    }

    fn read(
        &mut self,
        directory: &Path,
        path: &Path,
        ledger: &Ledger,
    ) -> anyhow::Result<Vec<Found>> {
        let now = SystemTime::now();
        let mut found = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let relative = directory.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let excluded = self.root.excluded.as_ref() == Some(&relative);
                if self.root.folder.recursive
                    && !excluded
                    && filter::judge_directory(&relative, &self.root.folder.ignore).is_ok()
                {
                    self.directories.push_back(relative);
                }
                continue;
            }
            if !kind.is_file() || filter::judge(&relative, &self.root.folder.ignore).is_err() {
                continue;
            }
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => continue,
                Err(cause) => {
                    warn!(path = %entry.path().display(), %cause, "file could not be looked at");
                    continue;
                }
            };
            let stamp = Stamp::of(&metadata);
            let key = FileKey {
                folder: self.root.id,
                path: Arc::from(relative),
            };
            if ledger.has_fate(&key, stamp)? {
                continue;
            }
            let quiet_for = match metadata.modified() {
                Ok(modified) if self.trust_age => now.duration_since(modified).unwrap_or_default(),
                _ => Duration::ZERO,
            };
            found.push(Found {
                key,
                hint: Hint::Found { stamp, quiet_for },
            });
        }
        Ok(found)
    }
}

/// Reports what stands in the folders now and ends: the source of `run --once`, where a file's age
/// counts as quiet time.
pub fn scan_once(
    roots: &[Arc<Root>],
    events: &Sender<FileEvent>,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    for root in roots {
        let mut walk = Walk {
            trust_age: true,
            ..Walk::new(Arc::clone(root), PathBuf::new())
        };
        while let Some(found) = walk.next(ledger)? {
            for Found { key, hint } in found {
                if events.send(FileEvent { file: key, hint }).is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
