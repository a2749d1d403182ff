//! Moves one file into another folder, under its own name or, where others have that, `a.1.jpg` and
//! so on; never over anything.
//!
//! On the same file system that is a rename. Onto another one the file is copied, synced, and
//! compared byte by byte before it gets its name; the source goes last, and only if it is still what
//! was copied. A crash leaves the source, and at most a complete copy that the next try recognises.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, FileTimes},
    io::{self, BufRead, BufReader, Seek, Write},
    path::Path,
};

use super::compare;
use crate::{
    ledger::Owed,
    os::{self, Directory},
    publish,
};

/// Names that are tried.
const NAMES: u32 = 10_000;

/// Moves `name`, opened as `file`, into `to`. Returns the name that it has there, or none if it
/// changed meanwhile and stays.
pub fn transfer(
    from: &Directory,
    name: &OsStr,
    file: File,
    owed: &Owed,
    to: &Directory,
) -> io::Result<Option<OsString>> {
    for number in 0..NAMES {
        let new = numbered(name, number);
        match from.move_new(name, to, &new) {
            Ok(()) => return look_over(from, name, owed, to, new),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                if is_same_file(&file, to, &new)? {
                    // Linked there by an earlier try.
                    from.remove(name)?;
                    return Ok(Some(new));
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::CrossesDevices => {
                return copy_over(from, name, file, owed, to);
            }
            Err(cause) => return Err(cause),
        }
    }
    Err(taken())
}

/// Whether what was moved is what was looked at; if another file had taken its name, it goes back.
fn look_over(
    from: &Directory,
    name: &OsStr,
    owed: &Owed,
    to: &Directory,
    new: OsString,
) -> io::Result<Option<OsString>> {
    let metadata = to.open_file(&new)?.metadata()?;
    if compare(owed, &metadata).is_none() {
        return Ok(Some(new));
    }
    to.move_new(&new, from, name)?;
    Ok(None)
}

fn copy_over(
    from: &Directory,
    name: &OsStr,
    mut file: File,
    owed: &Owed,
    to: &Directory,
) -> io::Result<Option<OsString>> {
    let temp = OsString::from(publish::temp_name());
    let copied = copy(&mut file, to, &temp)
        .and_then(|()| is_unchanged(from, name, owed))
        .and_then(|unchanged| {
            if unchanged {
                give_name(&mut file, name, to, &temp).map(Some)
            } else {
                to.remove(&temp)?;
                Ok(None)
            }
        });
    let new = match copied {
        Ok(Some(new)) => new,
        Ok(None) => return Ok(None),
        Err(cause) => {
            return match to.remove(&temp) {
                Err(second) if second.kind() != io::ErrorKind::NotFound => Err(second),
                _ => Err(cause),
            };
        }
    };
    to.sync()?;
    if !is_unchanged(from, name, owed)? {
        return Ok(None);
    }
    drop(file);
    from.remove(name)?;
    Ok(Some(new))
}

fn copy(file: &mut File, to: &Directory, temp: &OsStr) -> io::Result<()> {
    let metadata = file.metadata()?;
    let mut copy = to.create_new(temp)?;
    io::copy(file, &mut copy)?;
    copy.flush()?;
    if let Ok(modified) = metadata.modified() {
        // Some file systems keep no such times or modes; the bytes are what counts.
        let (Ok(()) | Err(_)) = copy.set_times(FileTimes::new().set_modified(modified));
    }
    let (Ok(()) | Err(_)) = os::limit_access(&copy, &metadata);
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
fn give_name(file: &mut File, name: &OsStr, to: &Directory, temp: &OsStr) -> io::Result<OsString> {
    for number in 0..NAMES {
        let new = numbered(name, number);
        match to.move_new(temp, to, &new) {
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

fn is_copy(file: &mut File, to: &Directory, name: &OsStr) -> io::Result<bool> {
    let Ok(mut other) = to.open_file(name) else {
        return Ok(false);
    };
    let (one, two) = (file.metadata()?, other.metadata()?);
    Ok(two.is_file()
        && one.len() == two.len()
        && one.modified().ok() == two.modified().ok()
        && is_same_content(file, &mut other)?)
}

fn is_same_file(file: &File, to: &Directory, name: &OsStr) -> io::Result<bool> {
    let Ok(other) = to.open_file(name) else {
        return Ok(false);
    };
    let (one, two) = (file.metadata()?, other.metadata()?);
    let known = os::inode(&one) != 0;
    Ok(known && os::directory_identity(&one) == os::directory_identity(&two))
}

fn is_unchanged(from: &Directory, name: &OsStr, owed: &Owed) -> io::Result<bool> {
    match from.open_file(name) {
        Ok(file) => Ok(compare(owed, &file.metadata()?).is_none()),
        Err(cause) if super::is_gone(&cause) => Ok(false),
        Err(cause) => Err(cause),
    }
}

fn is_same_content(one: &mut File, two: &mut File) -> io::Result<bool> {
    one.rewind()?;
    two.rewind()?;
    let (mut one, mut two) = (
        BufReader::with_capacity(1 << 16, one),
        BufReader::with_capacity(1 << 16, two),
    );
    loop {
        let (left, right) = (one.fill_buf()?, two.fill_buf()?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] || left.is_empty() != right.is_empty() {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
        one.consume(length);
        two.consume(length);
    }
}

/// `a.jpg`, `a.1.jpg`, `a.2.jpg` and so on.
fn numbered(name: &OsStr, number: u32) -> OsString {
    if number == 0 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let mut new = path.file_stem().unwrap_or(name).to_owned();
    new.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        new.push(".");
        new.push(extension);
    }
    new
}

fn taken() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{NAMES} names are taken"),
    )
}
