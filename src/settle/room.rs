//! How many files wait, and whether there is room for more.

use super::Settle;
use crate::arrival::{FileKey, FolderId};

/// A folder that was full takes files up again when it has less than this part of what it may have,
/// so that the scan that finds them is worth its while.
const ROOM_PART: usize = 4;

impl Settle {
    /// Forgets the files of folders that are no longer configured.
    pub fn retain_folders(&mut self, keep: impl Fn(FolderId) -> bool) {
        self.pending.retain(|file, _| keep(file.folder));
        self.deadlines.retain(|(_, file)| keep(file.folder));
        self.fresh = self.pending.values().filter(|entry| !entry.waits).count();
        self.counts.retain(|folder, _| keep(*folder));
    }

    /// Whether a file is waiting already.
    #[must_use]
    pub fn contains(&self, file: &FileKey) -> bool {
        self.pending.contains_key(file)
    }

    /// Files of a folder that wait for anything.
    #[must_use]
    pub fn len_of(&self, folder: FolderId) -> usize {
        self.counts.get(&folder).copied().unwrap_or(0)
    }

    /// Whether there is no room for one more file of a folder. A folder gets as much as it leaves
    /// free, half of all if it is alone, so that one whose pictures cannot get out does not keep
    /// the others waiting.
    #[must_use]
    pub fn is_full_for(&self, folder: FolderId) -> bool {
        self.len_of(folder) >= self.most.saturating_sub(self.len())
    }

    /// Whether there is room for many files of a folder.
    #[must_use]
    pub fn has_much_room_for(&self, folder: FolderId) -> bool {
        self.len_of(folder) < self.most.saturating_sub(self.len()) / ROOM_PART
    }

    /// Whether there is no room for anything.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// Files that wait for anything.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Files that have not been tried yet since they last changed.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.fresh
    }
}
