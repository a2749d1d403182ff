//! What the scheduler hands to the workers, and how long it goes on.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use crate::{
    arrival::{FileKey, History, Stamp},
    ledger::Dues,
    retry::NextTry,
    root::Root,
};

/// A file for a worker, with everything that it was queued with: a reload does not touch it.
#[derive(Debug)]
pub struct Job {
    pub file: FileKey,
    pub root: Arc<Root>,
    /// Length and mtime at the look that found it settled.
    pub stamp: Stamp,
    /// Whether the file is to leave its folder then.
    pub dues: Dues,
    pub history: History,
    /// What is there now is all that will come: a damaged picture is taken as it is.
    pub last_try: bool,
    /// What comes if it fails for what may pass.
    pub next_try: NextTry,
    /// For a suspect, which is made in a process of its own: the configuration that this one loads.
    pub trial: Option<Arc<Path>>,
    pub queued: Instant,
}

impl Job {
    /// The file's absolute path.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        self.root.folder.input.join(&self.file.path)
    }
}

/// When the loop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When it is told to stop.
    Stopped,
    /// When every file that the scan found has its fate; what may pass is not waited for.
    AllDone,
}
