//! Windows: NTFS journals renames itself and a directory cannot be opened to sync it; there are no
//! FIFOs among files, and making a symbolic link takes a privilege. std tells no stable identity
//! of a directory, so that an exchanged folder is only noticed by the rescan.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    ops::Range,
    os::windows::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process::ExitStatus,
};

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

use super::facts::{Identity, Space};

pub fn create_new(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// Only administrators make links here.
pub fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// A copy has the access list of the folder that it lies in.
pub fn limit_access(_copy: &File, _original: &fs::Metadata) -> io::Result<()> {
    Ok(())
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

/// std tells none that stays.
pub fn identity(_metadata: &fs::Metadata) -> Option<Identity> {
    None
}

/// Links are told by looking, not by trying.
pub fn is_link(_cause: &io::Error) -> bool {
    false
}

/// std tells none that stays.
pub fn ctime_ns(_metadata: &fs::Metadata) -> Option<i64> {
    None
}

/// Not asked for: a file that is open for writing can rarely be opened by others here.
pub fn has_hole(_file: &File, _bytes: Range<u64>) -> bool {
    false
}

/// std tells none.
/// The beginning of a name that is no Unicode, at most so many bytes, three for each of its units.
pub fn first_bytes(name: &OsStr, most: usize) -> OsString {
    let units: Vec<u16> = name.encode_wide().take(most / 3).collect();
    OsString::from_wide(&units)
}

/// Whether a name cannot be written in the file system's character set: any can be.
pub fn is_of_encoding(_cause: &io::Error) -> bool {
    false
}

pub fn inode(_metadata: &fs::Metadata) -> u64 {
    0
}

/// What is free is told for this account, quotas included.
#[expect(unsafe_code, reason = "the space is told by a system call only")]
pub fn space(path: &Path) -> io::Result<Option<Space>> {
    // The canonical form has no limit of length; the name of a share must end in a backslash.
    let path = path.canonicalize()?.join("");
    let name: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let (mut free, mut size) = (0, 0);
    // SAFETY: the name ends in NUL, and both numbers outlive the call; the third is not asked for.
    let told = unsafe {
        GetDiskFreeSpaceExW(
            name.as_ptr(),
            &raw mut free,
            &raw mut size,
            std::ptr::null_mut(),
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Some(Space {
        free,
        size,
        read_only: false,
    }))
}

/// Access lists are only told by trying.
pub fn is_writable(_directory: &Path) -> bool {
    true
}

pub fn start_writing(_file: &File) {}

/// Drives are not mounted into folders as a rule: a folder is there, or it is gone.
pub fn mount_point(directory: &Path) -> io::Result<PathBuf> {
    fs::metadata(directory)?;
    Ok(PathBuf::new())
}

/// Whether the disk or the server of a share is in trouble rather than the file.
pub fn is_of_device(cause: &io::Error) -> bool {
    // ERROR_BAD_NETPATH, ERROR_UNEXP_NET_ERR, ERROR_NETNAME_DELETED, ERROR_BAD_NET_NAME, ERROR_IO_DEVICE.
    matches!(cause.raw_os_error(), Some(53 | 59 | 64 | 67 | 1117))
}

/// What the user of this process is called.
pub fn user_name() -> Option<String> {
    let name = std::env::var("USERNAME").ok()?;
    (!name.trim().is_empty()).then_some(name)
}
