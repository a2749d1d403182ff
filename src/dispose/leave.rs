//! One source leaves its folder: it is deleted or moved, if it still is what was processed.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Context;
use tracing::{debug, info};

use super::{
    compare::{compare, is_gone},
    failure::{Failure, for_all, for_one},
    places::Places,
    transfer,
};
use crate::{
    config::{Folder, Source},
    ledger::{Ledger, Left, Owed},
    log::{self, text},
    os::{self, Directory},
    root::Root,
};

/// Deletes or moves one file, if it still is what was treated.
pub fn leave(
    root: &Root,
    owed: &Owed,
    places: &Places,
    ledger: &Ledger,
    touched: &mut Touched,
) -> Result<Left, Failure> {
    let folder = &root.folder;
    let fate = if owed.failed {
        &folder.on_failure
    } else {
        &folder.after
    };
    let path = folder.input.join(&owed.file.path);
    let (Some(name), Some(parent)) = (path.file_name(), owed.file.path.parent()) else {
        return Ok(Left::Kept);
    };
    if *fate == Source::Keep {
        if let Ok(directory) =
            Directory::open(&folder.input).and_then(|input| input.descend(parent))
        {
            transfer::come_back(&directory, name, &path)
                .map_err(|cause| for_one(&path, "cannot bring back", cause))?;
        }
        return Ok(Left::Kept);
    }
    let Some(found) = find(folder, parent, name, &path, places)? else {
        return Ok(Left::Gone);
    };
    // Its own renaming changed that time as well.
    let written = !found.came_back
        && owed.ctime_ns.is_some()
        && os::ctime_ns(&found.metadata) != owed.ctime_ns;
    let left = compare(owed, &found.metadata).or(written.then_some(Left::Replaced));
    let left = match (left, fate) {
        (Some(left), _) => left,
        (None, Source::Keep) => Left::Kept,
        (None, Source::Delete) => delete(found, name, &path, owed)?,
        (None, Source::MoveTo(to)) => {
            places.make_sure(to, ledger)?;
            let moved = move_away(found, name, parent, &path, owed, to, places.since)?;
            touched
                .destinations
                .extend(moved.is_ok().then(|| to.join(parent)));
            moved.map_or_else(|left| left, |()| Left::Gone)
        }
    };
    if left == Left::Gone {
        touched.sources.extend(path.parent().map(Path::to_owned));
    } else {
        debug!(path = text(&path), ?left, "changed meanwhile, stays");
    }
    Ok(left)
}

/// A source that is there.
struct Found {
    directory: Directory,
    file: fs::File,
    metadata: fs::Metadata,
    /// It was found under the name that an earlier try had given it.
    came_back: bool,
}

/// None if it is gone for good.
fn find(
    folder: &Folder,
    parent: &Path,
    name: &OsStr,
    path: &Path,
    places: &Places,
) -> Result<Option<Found>, Failure> {
    let input = Directory::open(&folder.input)
        .map_err(|cause| for_all(&folder.input, "cannot open", cause))?;
    let found = input.descend(parent).and_then(|directory| {
        let (file, came_back) = match directory.open_file(name) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                transfer::come_back(&directory, name, path)?;
                (directory.open_file(name)?, true)
            }
            opened => (opened?, false),
        };
        Ok(Found {
            metadata: file.metadata()?,
            directory,
            file,
            came_back,
        })
    });
    match found {
        Ok(found) => Ok(Some(found)),
        Err(cause) if is_gone(&cause) => {
            places.is_in_place(&folder.input)?;
            if is_empty(folder) {
                let cause = anyhow::Error::new(NothingThere).context(path.display().to_string());
                return Err(Failure { cause, all: false });
            }
            Ok(None)
        }
        Err(cause) => Err(for_one(path, "cannot look at", cause)),
    }
}

fn delete(found: Found, name: &OsStr, path: &Path, owed: &Owed) -> Result<Left, Failure> {
    drop(found.file);
    let deleted = transfer::delete(&found.directory, name, path, owed);
    let left = deleted.map_err(|cause| for_one(path, "cannot delete", cause))?;
    if left == Left::Gone {
        info!(target: log::PICTURE, path = text(path), "deleted");
    }
    Ok(left)
}

fn move_away(
    found: Found,
    name: &OsStr,
    parent: &Path,
    path: &Path,
    owed: &Owed,
    to: &Path,
    since: SystemTime,
) -> Result<Result<(), Left>, Failure> {
    let destination = open_mirror(to, parent)?;
    let Found {
        directory, file, ..
    } = found;
    let moved = transfer::transfer(&directory, name, path, file, owed, &destination, since);
    let moved = moved.map_err(|cause| for_one(path, "cannot move", cause).into_folder(to))?;
    Ok(moved.map(|new| {
        let new = to.join(parent).join(new);
        info!(target: log::PICTURE, path = text(path), to = text(&new), "moved");
    }))
}

/// An input in which there is nothing at all may be a mount point whose file system comes later.
#[derive(Debug, thiserror::Error)]
#[error("its folder is empty, or its mount has not come yet")]
pub struct NothingThere;

/// Whether there is nothing in an input but what is made here, as far as that can be seen.
fn is_empty(folder: &Folder) -> bool {
    let Ok(mut entries) = fs::read_dir(&folder.input) else {
        return true;
    };
    let made_here = |path: &Path| {
        let mut made = folder.moved_to().chain([folder.output.as_path()]);
        made.any(|folder| folder.starts_with(path))
    };
    entries.all(|entry| entry.is_err() || entry.is_ok_and(|entry| made_here(&entry.path())))
}

/// Folders whose changes are not durable yet.
#[derive(Default)]
pub struct Touched {
    destinations: BTreeSet<PathBuf>,
    sources: BTreeSet<PathBuf>,
}

impl Touched {
    /// First where files went to: a power cut must not leave them in neither place.
    pub fn sync(&self) -> anyhow::Result<()> {
        for path in self.destinations.iter().chain(&self.sources) {
            match os::sync_directory(path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(cause).context(format!("cannot sync {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The folder below `to` that mirrors a subfolder, made if it is missing. A link in its place is not
/// followed.
fn open_mirror(to: &Path, relative: &Path) -> Result<Directory, Failure> {
    let start = Directory::open(to).map_err(|cause| for_all(to, "cannot open", cause))?;
    relative
        .iter()
        .try_fold(start, |directory, name| directory.enter_or_make(name))
        .map_err(|cause| for_one(&to.join(relative), "cannot open", cause))
}
