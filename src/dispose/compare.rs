//! Whether what lies under a name is still the file that was processed.

use std::{fs, io};

use crate::{
    arrival::Stamp,
    ledger::{Left, Owed},
    os,
};

/// Why a file is not the one that was treated.
pub fn compare(owed: &Owed, metadata: &fs::Metadata) -> Option<Left> {
    if !metadata.is_file() {
        // What lies there is no picture; the file itself has gone.
        Some(Left::Gone)
    } else if Stamp::of(metadata) != owed.stamp {
        Some(Left::Kept)
    } else if owed.inode.is_some_and(|inode| inode != os::inode(metadata)) {
        Some(Left::Replaced)
    } else {
        None
    }
}

/// The file, or a folder on the way to it, is not there.
pub fn is_gone(cause: &io::Error) -> bool {
    // A link under its name counts as nothing.
    matches!(
        cause.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || os::is_link(cause)
}
