//! Unix: an open directory, in which names are looked up without following links. What is planted
//! in it, or swapped for a link on the way to it, leads nowhere.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{self, Component, Path, PathBuf},
};

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
use rustix::fs::{RenameFlags, renameat_with};
#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::fs::{ResolveFlags, openat2};
use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, linkat, mkdirat, openat,
        readlinkat, renameat, statat, unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use super::{facts::Identity, platform::identity};

/// Links on the way to a folder at most, as the kernel has it.
const LINKS: usize = 40;
/// Opens a directory only to go through it, for which it need not be readable.
#[cfg(any(target_os = "linux", target_os = "android"))]
const THROUGH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const THROUGH: OFlags = OFlags::RDONLY;

#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens a folder that the operator has named. Links on the way are followed only if nobody but
    /// root and this process's user can have made them, or exchange them.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let path = path::absolute(path)?;
        match open_without_links(&path) {
            Ok(directory) => Ok(directory),
            Err(_) => Directory::walk(&path, LINKS),
        }
    }

    /// Opens a folder by its real path. A link on the way is an error, whoever made it: it was put
    /// there since the path was found.
    pub fn open_real(path: &Path) -> io::Result<Directory> {
        match open_without_links(path) {
            Err(cause) if cause.kind() == io::ErrorKind::Unsupported => Directory::walk(path, 0),
            opened => opened,
        }
    }

    /// Goes from the root to a folder, and looks at each link on the way, of which there may be so
    /// many.
    fn walk(path: &Path, allowed: usize) -> io::Result<Directory> {
        let flags = THROUGH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = || openat(CWD, "/", flags, Mode::empty());
        let mut here = root()?;
        let mut rest = steps(path);
        let mut links = 0;
        while let Some(step) = rest.pop_front() {
            let target = match openat(&here, &step, flags, Mode::empty()) {
                Ok(next) => {
                    here = next;
                    continue;
                }
                Err(cause @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => {
                    links += 1;
                    if links > allowed {
                        return Err(cause.into());
                    }
                    match trusted_link(&here, &step, path)? {
                        Some(target) => target,
                        None => return Err(cause.into()),
                    }
                }
                Err(cause) => return Err(cause.into()),
            };
            if target.is_absolute() {
                here = root()?;
            }
            for step in steps(&target).into_iter().rev() {
                rest.push_front(step);
            }
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Directory(openat(&here, ".", flags, Mode::empty())?))
    }

    pub fn enter(&self, name: &OsStr) -> io::Result<Directory> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Directory(openat(&self.0, name, flags, Mode::empty())?))
    }

    /// The folder `relative` below this one, through no link.
    pub fn descend(self, relative: &Path) -> io::Result<Directory> {
        relative
            .iter()
            .try_fold(self, |directory, name| directory.enter(name))
    }

    /// Makes a subfolder, writable by all, less the umask.
    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?)
    }

    /// Enters a subfolder. If it is missing it is made, and is there to stay.
    pub fn enter_or_make(&self, name: &OsStr) -> io::Result<Directory> {
        match self.enter(name) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                match self.make(name) {
                    // Another thread or process was quicker.
                    Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                    made => made.and_then(|()| self.sync())?,
                }
                self.enter(name)
            }
            entered => entered,
        }
    }

    /// Opens for reading without waiting on a FIFO. The caller checks what kind of file it got.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Syncs a file that is not open.
    pub fn sync_file(&self, name: &OsStr) -> io::Result<()> {
        self.open_file(name)?.sync_all()
    }

    /// Creates a file that did not exist, readable and writable by all, less the umask.
    pub fn create_new(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::from_raw_mode(0o666))?.into())
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// What has the name, be it a link: None if nothing has.
    pub fn look(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(entry(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    pub fn identity(&self) -> Option<Identity> {
        let opened = File::from(self.0.try_clone().ok()?);
        identity(&opened.metadata().ok()?)
    }

    /// The names in it, as they are spelled there.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        Ok(names)
    }

    /// Renames a file, be it into another directory of the file system, and replaces what has the name.
    pub fn replace(&self, name: &OsStr, to: &Directory, new: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, name, &to.0, new)?)
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

/// The folder, in one system call, if no link is on the way to it. `Unsupported` where the kernel is
/// older than 5.6, or a filter forbids the call.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_without_links(path: &Path) -> io::Result<Directory> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(opened) => Ok(Directory(opened)),
        Err(Errno::NOSYS | Errno::PERM) => Err(io::ErrorKind::Unsupported.into()),
        Err(cause) => Err(cause.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_without_links(_: &Path) -> io::Result<Directory> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What has a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub is_file: bool,
    pub is_directory: bool,
    /// Bytes.
    pub length: u64,
}

fn entry(stat: &Stat) -> Entry {
    let kind = FileType::from_raw_mode(stat.st_mode);
    Entry {
        is_file: kind == FileType::RegularFile,
        is_directory: kind == FileType::Directory,
        length: u64::try_from(stat.st_size).unwrap_or(0),
    }
}

/// The parts of a path. `..` is taken by name in what is named, and by the directory in a link.
fn steps(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// Where a link leads, on the way to `path`; None if it is no link. An error if others than root and
/// this process's user could have made it or can exchange it.
fn trusted_link(directory: &OwnedFd, name: &OsStr, path: &Path) -> io::Result<Option<PathBuf>> {
    let link = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(link.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let holder = fstat(directory)?;
    let is_ours = |uid: u32| uid == 0 || uid == geteuid().as_raw();
    // In a directory like /tmp others cannot take away what is not theirs.
    let is_closed = holder.st_mode & 0o022 == 0 || holder.st_mode & 0o1000 != 0;
    if !(is_ours(link.st_uid) && is_ours(holder.st_uid) && is_closed) {
        let (name, path) = (name.display(), path.display());
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{name} on the way to {path} is a symbolic link that others may have made or can \
                 exchange: put a folder in its place, or give the link and the folder that it lies \
                 in to root"
            ),
        ));
    }
    let target = readlinkat(directory, name, Vec::new())?;
    Ok(Some(PathBuf::from(OsStr::from_bytes(target.as_bytes()))))
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_new(from: &Directory, name: &OsStr, to: &Directory, new: &OsStr) -> Result<(), Errno> {
    renameat_with(&from.0, name, &to.0, new, RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_new(_: &Directory, _: &OsStr, _: &Directory, _: &OsStr) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_walk_leads_where_the_kernel_does() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        fs::create_dir_all(home.join("a/real")).unwrap();
        symlink("a", home.join("link")).unwrap();
        let real = home.join("a/real");
        let expected = Directory::open_real(&real).unwrap().identity();
        assert!(expected.is_some());
        for path in [
            real.clone(),
            home.join("link/real"),
            home.join("link/../a/real"),
        ] {
            for allowed in [LINKS, 0] {
                let has_link = path != real;
                let walked = Directory::walk(&path, allowed);
                if has_link && allowed == 0 {
                    assert!(walked.is_err(), "{path:?}");
                } else {
                    assert_eq!(walked.unwrap().identity(), expected, "{path:?}");
                }
            }
            assert_eq!(Directory::open(&path).unwrap().identity(), expected);
            assert_eq!(Directory::open_real(&path).is_ok(), path == real);
        }
    }
}
