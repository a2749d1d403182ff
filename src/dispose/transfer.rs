//! Moves one file into another folder, under its own name or, where others have that, `a.1.jpg` and
//! so on; never over anything.
//!
//! On the same file system that is a rename. Onto another one the file is copied, synced, and
//! compared byte by byte before it gets its name; the source goes last, and only if it is still what
//! was copied. A crash leaves the source, and at most a complete copy that the next try recognises.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, FileTimes},
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use tracing::error;

use super::compare::{compare, is_gone};
use crate::{
    ledger::{Left, Owed},
    log::text,
    os::{self, Directory},
    staging::{LEAVING_PREFIX, is_same_content, numbered, temp_name},
};

/// Names that are tried.
const NAMES: u32 = 10_000;

/// Deletes `name`, which is at `path`, under another name: what it turns out to be there, nobody
/// exchanges any more.
pub fn delete(from: &Directory, name: &OsStr, path: &Path, owed: &Owed) -> io::Result<Left> {
    let leaving = leaving(name);
    loop {
        match from.move_new(name, from, &leaving) {
            Ok(()) => break,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                // An earlier process ended there.
                make_way(from, name, &leaving, path)?;
            }
            // There is no other name for one that is as long as names can be.
            Err(cause) if cause.kind() == io::ErrorKind::InvalidFilename => {
                from.remove(name)?;
                return Ok(Left::Gone);
            }
            Err(cause) if is_gone(&cause) => return Ok(Left::Gone),
            Err(cause) => return Err(cause),
        }
    }
    match look_over(from, &leaving, owed) {
        Ok(None) => {
            from.remove(&leaving)?;
            Ok(Left::Gone)
        }
        other => {
            put_back(from, &leaving, from, name, path)?;
            other.map(|left| left.unwrap_or(Left::Kept))
        }
    }
}

/// Brings a file back that was being deleted when a process ended, if there is one.
pub fn come_back(from: &Directory, name: &OsStr, path: &Path) -> io::Result<()> {
    let leaving = leaving(name);
    match from.open_file(&leaving) {
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename
            ) =>
        {
            Ok(())
        }
        _ => put_back(from, &leaving, from, name, path),
    }
}

/// Clears the name for what leaves; what it may hold is not known any more, so it is treated again.
fn make_way(from: &Directory, name: &OsStr, leaving: &OsStr, path: &Path) -> io::Result<()> {
    if let Ok(file) = from.open_file(leaving)
        && (is_same_file(&file, from, name)? || file.metadata()?.len() == 0)
    {
        return from.remove(leaving);
    }
    put_back(from, leaving, from, name, path)
}

/// Moves a file back to where it was taken from by mistake; if its name has been taken meanwhile, it
/// gets a number.
fn put_back(
    from: &Directory,
    moved: &OsStr,
    to: &Directory,
    name: &OsStr,
    path: &Path,
) -> io::Result<()> {
    for number in 0..NAMES {
        let new = numbered(name, number);
        match from.move_new(moved, to, &new) {
            Ok(()) if number == 0 => return Ok(()),
            Ok(()) => {
                let (path, now) = (text(path), text(&path.with_file_name(new)));
                error!(
                    path,
                    now, "two files had the same name while one was to leave, one has another now"
                );
                return Ok(());
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause),
        }
    }
    Err(taken())
}

/// The name of a file that is being deleted, beside its own and hidden from all who look for files.
fn leaving(name: &OsStr) -> OsString {
    let mut leaving = OsString::from(LEAVING_PREFIX);
    leaving.push(name);
    leaving
}

/// Moves `name`, which is at `path` and opened as `file`, into `to`. Returns the name that it has
/// there, or what it is if it changed meanwhile and stays. `since` is when this process began.
pub fn transfer(
    from: &Directory,
    name: &OsStr,
    path: &Path,
    file: File,
    owed: &Owed,
    to: &Directory,
    since: SystemTime,
) -> io::Result<Result<OsString, Left>> {
    for number in 0..NAMES {
        let new = numbered(name, number);
        match move_new(from, name, to, &new, since) {
            Ok(()) => {
                // Another file may have taken its name since it was looked at.
                return match look_over(to, &new, owed) {
                    Ok(None) => Ok(Ok(new)),
                    other => {
                        put_back(to, &new, from, name, path)?;
                        other.map(|left| Err(left.unwrap_or(Left::Kept)))
                    }
                };
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                if is_same_file(&file, to, &new)? {
                    // Linked there by an earlier try.
                    from.remove(name)?;
                    return Ok(Ok(new));
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::CrossesDevices => {
                return copy_over(from, name, path, file, owed, to, since);
            }
            Err(cause) => return Err(cause),
        }
    }
    Err(taken())
}

/// Renames a file to a name that nobody has but what a crash left of such a renaming.
fn move_new(
    from: &Directory,
    name: &OsStr,
    to: &Directory,
    new: &OsStr,
    since: SystemTime,
) -> io::Result<()> {
    match from.move_new(name, to, new) {
        Err(cause)
            if cause.kind() == io::ErrorKind::AlreadyExists && is_left_empty(to, new, since)? =>
        {
            from.replace(name, to, new)
        }
        moved => moved,
    }
}

fn copy_over(
    from: &Directory,
    name: &OsStr,
    path: &Path,
    mut file: File,
    owed: &Owed,
    to: &Directory,
    since: SystemTime,
) -> io::Result<Result<OsString, Left>> {
    let temp = OsString::from(temp_name());
    let copied = copy(&mut file, to, &temp).and_then(|()| match look_over(from, name, owed)? {
        None => give_name(&mut file, name, to, &temp, since).map(Ok),
        Some(left) => {
            to.remove(&temp)?;
            Ok(Err(left))
        }
    });
    let new = match copied {
        Ok(Ok(new)) => new,
        Ok(Err(left)) => return Ok(Err(left)),
        Err(cause) => {
            return match to.remove(&temp) {
                Err(second) if second.kind() != io::ErrorKind::NotFound => Err(second),
                _ => Err(cause),
            };
        }
    };
    to.sync()?;
    if let Some(left) = look_over(from, name, owed)? {
        return Ok(Err(left));
    }
    drop(file);
    Ok(match delete(from, name, path, owed)? {
        Left::Gone => Ok(new),
        left => Err(left),
    })
}

fn copy(file: &mut File, to: &Directory, temp: &OsStr) -> io::Result<()> {
    let metadata = file.metadata()?;
    let mut copy = to.create_new(temp)?;
    // Before it has anything that others might read.
    drop(os::limit_access(&copy, &metadata));
    io::copy(file, &mut copy)?;
    copy.flush()?;
    if let Ok(modified) = metadata.modified() {
        // Some file systems keep no such times or modes; the bytes are what counts.
        drop(copy.set_times(FileTimes::new().set_modified(modified)));
    }
    copy.sync_all()?;
    // So that it is read from the disk, where the system lets go of what is synced.
    os::start_writing(&copy);
    drop(copy);
    if is_same_content(file, &mut to.open_file(temp)?)? {
        Ok(())
    } else {
        Err(io::Error::other("the copy differs from the file"))
    }
}

/// Gives a copy its name, unless an earlier try has left the same copy there.
fn give_name(
    file: &mut File,
    name: &OsStr,
    to: &Directory,
    temp: &OsStr,
    since: SystemTime,
) -> io::Result<OsString> {
    for number in 0..NAMES {
        let new = numbered(name, number);
        match move_new(to, temp, to, &new, since) {
            Ok(()) => return Ok(new),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                if is_copy(file, to, &new)? {
                    to.remove(temp)?;
                    return Ok(new);
                }
            }
            Err(cause) => return Err(cause),
        }
    }
    Err(taken())
}

/// Whether an earlier try has left the same copy there. Its times may be coarser than the file's.
fn is_copy(file: &mut File, to: &Directory, name: &OsStr) -> io::Result<bool> {
    let Ok(mut other) = to.open_file(name) else {
        return Ok(false);
    };
    let (one, two) = (file.metadata()?, other.metadata()?);
    Ok(two.is_file() && one.len() == two.len() && is_same_content(file, &mut other)?)
}

/// Whether a name is taken by the empty file that a process left there which ended while it gave the
/// name away, on a file system where that takes two calls: it is older than this process.
fn is_left_empty(to: &Directory, name: &OsStr, since: SystemTime) -> io::Result<bool> {
    let Ok(file) = to.open_file(name) else {
        return Ok(false);
    };
    let metadata = file.metadata()?;
    let is_older = metadata.modified().is_ok_and(|modified| modified < since);
    Ok(metadata.is_file() && metadata.len() == 0 && is_older)
}

fn is_same_file(file: &File, to: &Directory, name: &OsStr) -> io::Result<bool> {
    let Ok(other) = to.open_file(name) else {
        return Ok(false);
    };
    let (one, two) = (file.metadata()?, other.metadata()?);
    let identity = os::identity(&one);
    Ok(identity.is_some() && identity == os::identity(&two))
}

/// What a file is, if it is not the one that was treated.
fn look_over(from: &Directory, name: &OsStr, owed: &Owed) -> io::Result<Option<Left>> {
    match from.open_file(name) {
        Ok(file) => Ok(compare(owed, &file.metadata()?)),
        Err(cause) if is_gone(&cause) => Ok(Some(Left::Gone)),
        Err(cause) => Err(cause),
    }
}

fn taken() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{NAMES} names are taken"),
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::*;
    use crate::arrival::{FileKey, FolderId, Stamp};

    #[test]
    fn only_what_was_treated_is_deleted_and_what_was_being_deleted_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let from = Directory::open(folder.path()).unwrap();
        let name = OsStr::new("a.jpg");
        let path = folder.path().join(name);
        fs::write(&path, b"treated").unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let owed = Owed {
            file: FileKey {
                folder: FolderId(1),
                path: Arc::from(Path::new(name)),
            },
            stamp: Stamp::of(&metadata),
            inode: Some(os::inode(&metadata)),
            ctime_ns: None,
            failed: false,
        };
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let aside = folder.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        fs::write(&path, b"another").unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(metadata.modified().unwrap())
            .unwrap();
        // Where files have no number, one of the same length and time is taken for the same.
        if os::inode(&metadata) != 0 {
            let left = delete(&from, name, &path, &owed).unwrap();
            assert_eq!((left, names().len()), (Left::Replaced, 2));
        }
        assert_eq!(fs::read(&path).unwrap(), b"another");

        // A process ended in between, and another file came.
        fs::rename(&aside, folder.path().join(leaving(name))).unwrap();
        come_back(&from, name, &path).unwrap();
        assert_eq!(names(), ["a.1.jpg", "a.jpg"]);
        fs::rename(folder.path().join("a.1.jpg"), &path).unwrap();
        fs::write(folder.path().join(leaving(name)), b"earlier").unwrap();
        assert_eq!(delete(&from, name, &path, &owed).unwrap(), Left::Gone);
        assert_eq!(names(), ["a.1.jpg"]);
        assert_eq!(delete(&from, name, &path, &owed).unwrap(), Left::Gone);
    }
}
