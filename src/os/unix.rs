//! Unix: a rename is durable only after its directory has been synced; a plain open follows
//! symbolic links and waits for ever on a FIFO that nobody writes to.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

use super::Identity;

/// Creates a file that did not exist, readable by all and writable by its owner, less the umask. A
/// link planted under the name is not followed.
pub fn create_new(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
}

/// Opens a file for reading without following a link and without waiting on a FIFO. The caller
/// checks what kind of file it got.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Makes the renames and creations in a directory durable.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub fn directory_identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// The number of the file system that a path lies on.
pub fn device(path: &Path) -> io::Result<Option<u64>> {
    Ok(Some(fs::metadata(path)?.dev()))
}
