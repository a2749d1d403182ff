//! Windows: NTFS journals renames itself and a directory cannot be opened to sync it; there are no
//! FIFOs among files, and making a symbolic link takes a privilege. std tells no stable identity
//! of a directory, so that an exchanged folder is only noticed by the rescan.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::Identity;

pub fn create_new(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

pub fn open_regular(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is the same on every platform"
)]
pub fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub fn directory_identity(_metadata: &fs::Metadata) -> Identity {
    (0, 0)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is the same on every platform"
)]
pub fn device(_path: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}
