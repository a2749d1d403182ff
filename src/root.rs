//! A configured folder while the machine runs: its settings, where its pictures go, and what the
//! stages tell each other of it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{arrival::FolderId, config::Folder, os, output::Place};

/// A folder that is being worked on.
#[derive(Debug)]
pub struct Root {
    pub id: FolderId,
    pub folder: Folder,
    /// The fingerprint of the folder's recipe.
    pub recipe_id: u64,
    /// The output, relative to the input, where it lies inside: it is never entered.
    pub excluded: Option<PathBuf>,
    /// The output's device and inode, by which it is known under another name; none while it is not
    /// there, or where the system has no such thing.
    pub output_identity: Option<os::Identity>,
    pub output: Place,
    pub backlog: Arc<Backlog>,
}

/// What `settle` and the scans tell each other of a folder that has more files than are kept in
/// mind: the folder itself remembers the rest, and is scanned again when there is room.
#[derive(Debug, Default)]
pub struct Backlog {
    full: AtomicBool,
    left_out: AtomicBool,
}

impl Backlog {
    /// A file was left out for want of room. Returns whether it is the first.
    pub fn leave_out(&self) -> bool {
        self.left_out.store(true, Ordering::SeqCst);
        !self.full.swap(true, Ordering::SeqCst)
    }

    /// A scan broke off for want of room. Only who makes room may say that there is none: said here,
    /// after room was made, it would never be taken back.
    pub fn leave_rest(&self) {
        self.left_out.store(true, Ordering::SeqCst);
    }

    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// There is room again; the scans have to be told.
    pub fn make_room(&self) {
        self.full.store(false, Ordering::SeqCst);
    }

    /// Files were left out, and there is room for them.
    pub fn is_to_be_scanned(&self) -> bool {
        self.left_out.load(Ordering::SeqCst) && !self.is_full()
    }

    /// A scan begins that will find what was left out.
    pub fn begin_scan(&self) {
        self.left_out.store(false, Ordering::SeqCst);
    }
}
