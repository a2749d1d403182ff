//! Windows: a directory is a path, since making a symbolic link takes a privilege there; a rename
//! replaces what has the name, so a name is taken before it is used.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

pub struct Directory(PathBuf);

impl Directory {
    pub fn open(path: &Path) -> io::Result<Directory> {
        if fs::metadata(path)?.is_dir() {
            Ok(Directory(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub fn enter(&self, name: &OsStr) -> io::Result<Directory> {
        let path = self.0.join(name);
        if fs::symlink_metadata(&path)?.is_dir() {
            Ok(Directory(path))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
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

    pub fn create_new(&self, name: &OsStr) -> io::Result<File> {
        super::create_new(&self.0.join(name))
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub fn move_new(&self, name: &OsStr, to: &Directory, new: &OsStr) -> io::Result<()> {
        drop(to.create_new(new)?);
        let moved = fs::rename(self.0.join(name), to.0.join(new));
        if moved.is_err() {
            to.remove(new)?;
        }
        moved
    }

    pub fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
