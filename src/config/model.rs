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
use crate::{
    picture::{Format, Order, Recipe},
    retry::Backoff,
    template::{About, Template},
};

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
    pub on_conflict: OnConflict,
    /// What is made of each picture; at least one.
    pub renditions: Vec<Rendition>,
    /// A fingerprint of the renditions.
    pub recipe_id: u64,
}

/// A result that is made of each picture of a folder.
#[derive(Debug, Clone)]
pub struct Rendition {
    /// The folder below the output: relative, without "..", empty for the output itself.
    pub to: PathBuf,
    pub name: Template,
    /// As the name says; `None` for that of the source.
    pub format: Option<Format>,
    pub recipe: Arc<Recipe>,
}

/// Renditions of a folder at most: each costs time, and nobody needs more.
pub const MOST_RENDITIONS: usize = 16;

impl Rendition {
    /// The one of a folder that does not list any: under the name of the source.
    #[must_use]
    pub fn only(recipe: Arc<Recipe>) -> Self {
        Self {
            to: PathBuf::new(),
            name: Template::of_source(),
            format: None,
            recipe,
        }
    }

    /// What is to be made of a source whose name promises this format, and of which this is known.
    #[must_use]
    pub fn order<'a>(&'a self, promised: Format, about: &'a About) -> Order<'a> {
        Order {
            wanted: self.format.unwrap_or(promised),
            recipe: &self.recipe,
            about,
        }
    }
}

impl Folder {
    /// Whether results go into subfolders of the output.
    #[must_use]
    pub fn fills_subfolders(&self) -> bool {
        let has_own = |one: &Rendition| !one.to.as_os_str().is_empty();
        self.recursive || self.renditions.iter().any(has_own)
    }

    /// Whether a result has the name of its source, and so of no other one.
    #[must_use]
    pub fn keeps_names(&self) -> bool {
        matches!(&self.renditions[..], [only] if only.name == Template::of_source())
    }

    /// The recipe of what is made first.
    #[must_use]
    pub fn recipe(&self) -> Option<&Arc<Recipe>> {
        self.renditions.first().map(|first| &first.recipe)
    }

    /// The folders that its files are moved to.
    pub fn moved_to(&self) -> impl Iterator<Item = &Path> {
        let sources = [&self.after, &self.on_failure].into_iter();
        sources.filter_map(|source| match source {
            Source::MoveTo(path) => Some(path.as_path()),
            Source::Keep | Source::Delete => None,
        })
    }
}

/// What becomes of a result whose name another file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It replaces what its own source made before, and gets a number beside the result of another.
    Auto,
    /// It replaces what is there.
    Replace,
    /// It gets a number, also beside what its own source made before.
    Number,
    /// It replaces what its own source made before, and fails beside the result of another.
    Fail,
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
