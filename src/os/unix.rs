//! Unix: a rename is durable only after its directory has been synced; a plain open follows
//! symbolic links and waits for ever on a FIFO that nobody writes to.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    ops::Range,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::ExitStatus,
};

#[cfg(target_os = "linux")]
use rustix::fs::Advice;
use rustix::{
    fs::{Access, OFlags, StatVfsMountFlags},
    io::Errno,
    process::Signal,
};

use super::{
    facts::{Identity, Space},
    sync::synced,
};

/// Creates a file that did not exist, readable and writable by all, less the umask: it alone says who
/// works together, and a folder's default ACL counts only as far as the mode goes. A link planted
/// under the name is not followed.
pub fn create_new(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o666)
        .open(path)
}

/// Files opened so are no links: one that others planted under the name is an error.
pub fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
}

/// Lets the same people read and write a copy that could the original. It is never executable, nor
/// does it act as the user who copied it.
pub fn limit_access(copy: &File, original: &fs::Metadata) -> io::Result<()> {
    let mode = original.mode() & 0o666 | 0o400;
    copy.set_permissions(fs::Permissions::from_mode(mode))
}

/// Makes the renames and creations in a directory durable, where its file system can.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    synced(File::open(path)?.sync_all())
}

/// None where the file system does not tell, as some FUSE ones.
pub fn space(path: &Path) -> io::Result<Option<Space>> {
    let found = rustix::fs::statvfs(path)?;
    Ok((found.f_blocks > 0).then(|| Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        size: found.f_blocks.saturating_mul(found.f_frsize),
        read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
    }))
}

/// Whether this process may create files in a directory.
pub fn is_writable(directory: &Path) -> bool {
    rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Lets the system start writing a file's pages, so that a later sync has less to wait for.
#[cfg(target_os = "linux")]
pub fn start_writing(file: &File) {
    // Only a hint: where it is refused, the sync does the work.
    drop(rustix::fs::fadvise(file, 0, None, Advice::DontNeed).map_err(io::Error::from));
}

#[cfg(not(target_os = "linux"))]
pub fn start_writing(_file: &File) {}

/// How a process died, unless it ended by itself or was told to: a service manager tells every
/// process of a service to stop, and a terminal those in its foreground.
pub fn death(status: ExitStatus) -> Option<String> {
    let told = [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::PIPE,
    ];
    let number = status.signal()?;
    (!told.iter().any(|signal| signal.as_raw() == number)).then(|| {
        let core = if status.core_dumped() {
            ", core dumped"
        } else {
            ""
        };
        format!("signal {number}{core}")
    })
}

pub fn identity(metadata: &fs::Metadata) -> Option<Identity> {
    Some((metadata.dev(), metadata.ino()))
}

/// Whether something was not opened because it is a link.
pub fn is_link(cause: &io::Error) -> bool {
    cause.raw_os_error().map(Errno::from_raw_os_error) == Some(Errno::LOOP)
}

/// Whether the disk, or the server behind a soft mount, is in trouble rather than the file.
pub fn is_of_device(cause: &io::Error) -> bool {
    cause.raw_os_error().map(Errno::from_raw_os_error) == Some(Errno::IO)
}

/// The first bytes of a name that is no UTF-8.
pub fn first_bytes(name: &OsStr, most: usize) -> OsString {
    OsString::from_vec(name.as_bytes().iter().copied().take(most).collect())
}

/// Whether a name cannot be written in the file system's character set.
pub fn is_of_encoding(cause: &io::Error) -> bool {
    cause.raw_os_error().map(Errno::from_raw_os_error) == Some(Errno::ILSEQ)
}

/// Tells a file from another one that took its name. Numbers are used again once a file is gone.
pub fn inode(metadata: &fs::Metadata) -> u64 {
    metadata.ino()
}

/// When contents, name, rights or anything else of the file last changed; no program can set it.
pub fn ctime_ns(metadata: &fs::Metadata) -> Option<i64> {
    let seconds = metadata.ctime().saturating_mul(1_000_000_000);
    Some(seconds.saturating_add(metadata.ctime_nsec()))
}

/// Whether parts of these bytes of a file were never written, as far as its file system can tell.
/// Moves the file's position.
pub fn has_hole(file: &File, bytes: Range<u64>) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{SeekFrom, seek};
        seek(file, SeekFrom::Hole(bytes.start)).is_ok_and(|first| first < bytes.end)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, bytes);
        false
    }
}

/// The mount point of the file system that a directory lies on, found by the change of mount on the
/// way up. The numbers of devices and mounts themselves are no good to remember: a network share
/// may get other ones each time it is mounted.
pub fn mount_point(directory: &Path) -> io::Result<PathBuf> {
    let mut point = directory.canonicalize()?;
    let mount = mount(&point)?;
    while let Some(parent) = point.parent() {
        if self::mount(parent)? != mount {
            break;
        }
        point = parent.to_owned();
    }
    Ok(point)
}

/// Device and number in the mount table of what a path lies on. A bind mount has the device of what
/// it shows, and only a number of its own, which Linux tells since 5.8.
#[cfg(target_os = "linux")]
fn mount(path: &Path) -> io::Result<(u64, Option<u64>)> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
    match statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID) {
        Ok(found) if StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID) => {
            let device = makedev(found.stx_dev_major, found.stx_dev_minor);
            Ok((device, Some(found.stx_mnt_id)))
        }
        // An old kernel, or a sandbox that does not know the call.
        Ok(_) | Err(Errno::NOSYS | Errno::PERM) => Ok((fs::metadata(path)?.dev(), None)),
        Err(cause) => Err(cause.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn mount(path: &Path) -> io::Result<(u64, Option<u64>)> {
    Ok((fs::metadata(path)?.dev(), None))
}
/// What the user of this process is called, in full where the system knows it; none for root, who is
/// nobody in particular.
pub fn user_name() -> Option<String> {
    let uid = rustix::process::getuid();
    if uid.is_root() {
        return None;
    }
    let entries = std::fs::read_to_string("/etc/passwd").ok()?;
    full_name(&entries, uid.as_raw())
}

/// The name in the entries of /etc/passwd: `login:x:uid:gid:full name,office,…:home:shell`.
fn full_name(entries: &str, uid: u32) -> Option<String> {
    let entry = entries.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_meant = fields.get(2)?.parse() == Ok(uid);
        is_meant.then_some(fields)
    })?;
    let login = entry.first()?.trim();
    let full = entry.get(4)?.split(',').next()?.trim();
    let name = if full.is_empty() { login } else { full };
    (!name.is_empty()).then(|| name.to_owned())
}
