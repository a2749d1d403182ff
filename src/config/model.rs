//! What a configuration says, resolved: absolute paths, built marks, enums.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use globset::GlobSet;
use tracing::Level;

use super::home::Home;
use crate::{picture::Recipe, retry::Backoff};

#[derive(Debug, Clone)]
pub struct Config {
    /// The file that was loaded, absolute.
    pub file: PathBuf,
    /// A hash of its bytes, to tell whether it was edited since.
    pub fingerprint: u64,
    /// At least one.
    pub folders: Vec<Folder>,
    /// Threads of the pool, 1..=1024.
    pub workers: NonZeroUsize,
    /// Quiet time before a file is tried, at most 1 h.
    pub settle: Duration,
    /// The same once the file's writer closed or renamed it, at most 1 h.
    pub settle_closed: Duration,
    /// Scan interval of polled folders, at least 100 ms.
    pub poll: Duration,
    /// Interval of the safety scan of every folder, at least 1 s.
    pub rescan: Duration,
    /// Bytes that all workers together may take for pictures, at least 16 MiB; `None` for half of
    /// what there is.
    pub max_memory: Option<u64>,
    /// Waits after what may pass: the first at least 100 ms, the longest not shorter.
    pub retry: Backoff,
    /// The `SQLite` file; it and its directory need not exist.
    pub ledger: PathBuf,
    pub home: Home,
    /// How long the fate of a source that has left its folder is remembered, 1 d to 100 y.
    pub ledger_keep: Duration,
    pub log: Log,
}

/// A drop folder and what becomes of its pictures.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Absolute; a readable directory when the file was loaded, or not there.
    pub input: PathBuf,
    /// Absolute; may be missing.
    pub output: PathBuf,
    /// Whether subfolders are taken too, and mirrored in the output.
    pub recursive: bool,
    pub watch: Watch,
    /// Extra globs, matched against every name on the way to a file and against its whole path
    /// relative to the input; `*` stops at a slash and `**` does not. Case counts, except on Windows.
    pub ignore: GlobSet,
    /// The same as they are written, in the same order.
    pub globs: Vec<String>,
    /// What becomes of a file once its picture is published.
    pub after: Source,
    /// What becomes of a file that failed; never [`Source::Delete`].
    pub on_failure: Source,
    /// How long a file that was given up may stay without a change, until it is a failed one for
    /// `on_failure`: 1 s to 1 y.
    pub give_up: Duration,
    /// Whether subfolders that were emptied so are removed.
    pub prune_empty: bool,
    pub recipe: Arc<Recipe>,
    /// The recipe's fingerprint.
    pub recipe_id: u64,
}

impl Folder {
    /// The folders that its files are moved to.
    pub fn moved_to(&self) -> impl Iterator<Item = &Path> {
        let sources = [&self.after, &self.on_failure].into_iter();
        sources.filter_map(|source| match source {
            Source::MoveTo(path) => Some(path.as_path()),
            Source::Keep | Source::Delete => None,
        })
    }
}

/// What becomes of a file that has been processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Keep,
    Delete,
    /// Absolute; may be missing.
    MoveTo(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Events where the file system has them, else polling.
    Auto,
    Events,
    Poll,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Absolute; need not exist.
    pub dir: PathBuf,
    pub rotation: Rotation,
    /// Log files that are kept, 1..=10000.
    pub keep: usize,
    /// Bytes of all log files together, at least 64 KiB.
    pub max_total: u64,
    pub level: Level,
    pub format: LogFormat,
    /// Whether the log also goes to the console.
    pub console: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    Hourly,
    Daily,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}
