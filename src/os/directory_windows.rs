//! Windows: a directory is a path, since making a symbolic link takes a privilege there. A rename need
//! not replace what has the name, though std's always does.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::windows::ffi::OsStrExt,
    path::{self, Component, Path, PathBuf, Prefix},
};

use windows_sys::Win32::Storage::FileSystem::MoveFileExW;

use super::facts::Identity;

#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    pub fn open(path: &Path) -> io::Result<Directory> {
        if fs::metadata(path)?.is_dir() {
            Ok(Directory(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Opens a folder by its real path.
    pub fn open_real(path: &Path) -> io::Result<Directory> {
        Directory::open(path)
    }

    pub fn enter(&self, name: &OsStr) -> io::Result<Directory> {
        let path = self.0.join(name);
        if fs::symlink_metadata(&path)?.is_dir() {
            Ok(Directory(path))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// The folder `relative` below this one, through no link.
    pub fn descend(self, relative: &Path) -> io::Result<Directory> {
        relative
            .iter()
            .try_fold(self, |directory, name| directory.enter(name))
    }

    /// What has the name, be it a link: None if nothing has.
    pub fn look(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        match fs::symlink_metadata(self.0.join(name)) {
            Ok(metadata) => Ok(Some(Entry {
                is_file: metadata.is_file(),
                is_directory: metadata.is_dir(),
                length: metadata.len(),
            })),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    pub fn identity(&self) -> Option<Identity> {
        None
    }

    /// The names in it, as they are spelled there.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.0)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }

    /// Renames a file, be it into another directory of the file system, and replaces what has the name.
    pub fn replace(&self, name: &OsStr, to: &Directory, new: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(name), to.0.join(new))
    }

    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    /// Enters a subfolder. If it is missing it is made.
    pub fn enter_or_make(&self, name: &OsStr) -> io::Result<Directory> {
        match self.enter(name) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                match self.make(name) {
                    // Another thread or process was quicker.
                    Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                    made => made?,
                }
                self.enter(name)
            }
            entered => entered,
        }
    }

    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let path = self.0.join(name);
        if fs::symlink_metadata(&path)?.is_file() {
            File::open(path)
        } else {
            // As a link is on other systems: no file of that name.
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Who syncs must be allowed to write.
    pub fn sync_file(&self, name: &OsStr) -> io::Result<()> {
        let path = self.0.join(name);
        fs::OpenOptions::new().write(true).open(path)?.sync_all()
    }

    pub fn create_new(&self, name: &OsStr) -> io::Result<File> {
        super::create_new(&self.0.join(name))
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// Renames a file, be it into another directory of the volume, to a name that nobody has:
    /// `AlreadyExists` otherwise.
    #[expect(unsafe_code, reason = "std's rename replaces what has the name")]
    pub fn move_new(&self, name: &OsStr, to: &Directory, new: &OsStr) -> io::Result<()> {
        let (from, to) = (wide(&self.0.join(name))?, wide(&to.0.join(new))?);
        // SAFETY: both names end in NUL, and outlive the call.
        if unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    pub fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What has a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub is_file: bool,
    pub is_directory: bool,
    /// Bytes.
    pub length: u64,
}

/// A path as the system takes it at any length.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let path = path::absolute(path)?;
    let prefix = match path.components().next() {
        Some(Component::Prefix(prefix)) => Some(prefix.kind()),
        _ => None,
    };
    let mut name = OsString::new();
    let skipped = match prefix {
        Some(Prefix::Disk(_)) => {
            name.push(r"\\?\");
            0
        }
        Some(Prefix::UNC(..)) => {
            name.push(r"\\?\UNC\");
            2
        }
        _ => 0,
    };
    let rest = path.as_os_str().encode_wide().skip(skipped);
    Ok(name.encode_wide().chain(rest).chain([0]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_taken_in_one_form() {
        for (path, name) in [
            (r"C:\in\a.jpg", r"\\?\C:\in\a.jpg"),
            (r"C:/in/../a.jpg", r"\\?\C:\a.jpg"),
            (r"\\nas\pictures\a.jpg", r"\\?\UNC\nas\pictures\a.jpg"),
            (r"\\?\C:\in\a.jpg", r"\\?\C:\in\a.jpg"),
            (r"\\?\UNC\nas\pictures\a.jpg", r"\\?\UNC\nas\pictures\a.jpg"),
        ] {
            let found = wide(Path::new(path)).unwrap();
            let wanted: Vec<u16> = name.encode_utf16().chain([0]).collect();
            assert_eq!(found, wanted, "{path}");
        }
    }

    #[test]
    fn a_name_that_is_taken_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        for name in ["a", "b"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let moved = |new: &str| directory.move_new(OsStr::new("a"), &directory, OsStr::new(new));
        assert_eq!(moved("b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"b");
        moved("c").unwrap();
        assert_eq!(moved("d").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read(folder.path().join("c")).unwrap(), b"a");
        assert!(!folder.path().join("a").exists() && !folder.path().join("d").exists());
    }
}
