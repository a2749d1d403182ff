//! Windows: NTFS journals renames itself and a directory cannot be opened to sync it; there are no
//! FIFOs among files, and making a symbolic link takes a privilege. std tells no stable identity
//! of a directory, so that an exchanged folder is only noticed by the rescan.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use super::{Identity, Space};

pub fn create_new(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

pub fn open_regular(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// How a process died: of an exception, whose code it then ends with. Whoever ends a process by hand
/// chooses a small code as a rule.
pub fn death(status: ExitStatus) -> Option<String> {
    let code = status.code()?.cast_unsigned();
    (code >= 0xC000_0000 && code != 0xC000_013A).then(|| format!("exception {code:#x}"))
}

pub fn directory_identity(_metadata: &fs::Metadata) -> Identity {
    (0, 0)
}

/// Links are told by looking, not by trying.
pub fn is_link(_cause: &io::Error) -> bool {
    false
}

/// std tells none.
pub fn inode(_metadata: &fs::Metadata) -> u64 {
    0
}

/// std does not tell.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is the same on every platform"
)]
pub fn space(_path: &Path) -> io::Result<Option<Space>> {
    Ok(None)
}

/// Access lists are only told by trying.
pub fn is_writable(_directory: &Path) -> bool {
    true
}

pub fn start_writing(_file: &File) {}

/// Drives are not mounted into folders as a rule; an output folder that is gone is simply gone.
pub fn mount_point(_directory: &Path) -> io::Result<PathBuf> {
    Ok(PathBuf::new())
}

/// Whether the disk or the server of a share is in trouble rather than the file.
pub fn is_of_device(cause: &io::Error) -> bool {
    // ERROR_BAD_NETPATH, ERROR_UNEXP_NET_ERR, ERROR_NETNAME_DELETED, ERROR_BAD_NET_NAME, ERROR_IO_DEVICE.
    matches!(cause.raw_os_error(), Some(53 | 59 | 64 | 67 | 1117))
}
