//! What a folder says of its sources: whether a file is to leave once it has its fate.

use std::fs;

use crate::{
    config::{Folder, Source},
    os,
};

/// Whether the source of a claimed file is to leave its folder.
#[derive(Debug, Clone, Copy)]
pub struct Dues {
    pub once_done: bool,
    pub once_failed: bool,
    /// The source's, to tell it from a file that took its place.
    pub inode: Option<u64>,
    /// When anything of it last changed, to tell that its bytes were written anew.
    pub ctime_ns: Option<i64>,
}

impl Dues {
    /// What a folder says of a file as it is now.
    #[must_use]
    pub fn of(folder: &Folder, metadata: &fs::Metadata) -> Dues {
        let (once_done, once_failed) = (
            folder.after != Source::Keep,
            folder.on_failure != Source::Keep,
        );
        let leaves = once_done || once_failed;
        Dues {
            once_done,
            once_failed,
            inode: leaves.then(|| os::inode(metadata)),
            ctime_ns: os::ctime_ns(metadata).filter(|_| leaves),
        }
    }

    pub const NONE: Dues = Dues {
        once_done: false,
        once_failed: false,
        inode: None,
        ctime_ns: None,
    };

    /// The bits of a row's `dues`.
    pub(super) const ONCE_DONE: i64 = 1;
    pub(super) const ONCE_FAILED: i64 = 2;

    pub(super) fn as_row(self) -> i64 {
        Self::ONCE_DONE * i64::from(self.once_done)
            + Self::ONCE_FAILED * i64::from(self.once_failed)
    }
}
