//! Unix: an open directory, in which names are looked up without following links. What is planted
//! in it, or swapped for a link on the way to it, leads nowhere.

use std::{ffi::OsStr, fs::File, io, os::fd::OwnedFd, path::Path};

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
use rustix::fs::{RenameFlags, renameat_with};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};

pub struct Directory(OwnedFd);

impl Directory {
    /// Opens a folder that the operator has named, be it through a link.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Directory(openat(CWD, path, flags, Mode::empty())?))
    }

    pub fn enter(&self, name: &OsStr) -> io::Result<Directory> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Directory(openat(&self.0, name, flags, Mode::empty())?))
    }

    /// Makes a subfolder, writable by its owner, less the umask.
    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::from_raw_mode(0o755))?)
    }

    /// Opens for reading without waiting on a FIFO. The caller checks what kind of file it got.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Creates a file that did not exist.
    pub fn create_new(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::from_raw_mode(0o644))?.into())
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Renames a file, be it into another directory of the file system, to a name that nobody has:
    /// `AlreadyExists` otherwise.
    pub fn move_new(&self, name: &OsStr, to: &Directory, new: &OsStr) -> io::Result<()> {
        match rename_new(self, name, to, new) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            moved => return Ok(moved?),
        }
        // NFS and some FUSE file systems do not know the flag.
        match linkat(&self.0, name, &to.0, new, AtFlags::empty()) {
            Ok(()) => return self.remove(name),
            Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP | Errno::MLINK) => {}
            Err(cause) => return Err(cause.into()),
        }
        // Nor does this one know links: the name is taken by an empty file of ours, then replaced.
        drop(to.create_new(new)?);
        let moved = renameat(&self.0, name, &to.0, new);
        if moved.is_err() {
            to.remove(new)?;
        }
        Ok(moved?)
    }

    pub fn sync(&self) -> io::Result<()> {
        super::sync::synced(File::from(self.0.try_clone()?).sync_all())
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_new(from: &Directory, name: &OsStr, to: &Directory, new: &OsStr) -> Result<(), Errno> {
    renameat_with(&from.0, name, &to.0, new, RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_new(_: &Directory, _: &OsStr, _: &Directory, _: &OsStr) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
