//! Temporary files: how a picture is written beside its target, lands under its name, and what a
//! crash leaves of it.
//!
//! A visible file is a complete file. So a picture is written under a name that everybody ignores,
//! in its target's own directory, synced, and only then renamed.

mod name;

use std::{
    collections::hash_map::RandomState,
    ffi::{OsStr, OsString},
    fs::File,
    hash::{BuildHasher, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context;
use tracing::{debug, info, warn};

use self::name::{Spelling, hold_the_same, is_numbered, spelling};
pub use self::name::{is_same_content, numbered};
use crate::{
    log::text,
    os::{self, Directory},
    output::{self, NameRefused, Place, explain, may_be_the_name},
    root::Root,
    stop::{Quit, told_to_quit},
};

/// What every temporary file of ours is called, in every output folder.
pub const TEMP_PREFIX: &str = ".watermarkd-";

/// Names that are tried.
pub const NAMES: u32 = 10_000;
/// Tries to write into a folder that somebody removes again and again, as it is empty.
const REMOVALS: usize = 10;

/// Where a picture goes.
#[derive(Debug)]
enum Site {
    /// Below the output folder, in this subfolder.
    Output { place: Place, parent: PathBuf },
    /// In a folder that a command names.
    Named(PathBuf),
}

impl Site {
    /// The folder is opened anew each time: one that is held open cannot be unmounted.
    fn open(&self) -> anyhow::Result<Directory> {
        match self {
            Site::Output { place, parent } => Ok(place.open()?.descend(parent)?),
            Site::Named(folder) => Ok(Directory::open(folder)?),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Site::Output { place, parent } => place.folder().join(parent),
            Site::Named(folder) => folder.clone(),
        }
    }
}

/// A picture under its temporary name, removed again unless it lands.
#[derive(Debug)]
pub struct Staged {
    file: Option<File>,
    site: Site,
    temp: OsString,
    /// The name that the picture is to have.
    name: OsString,
}

impl Staged {
    /// The path that the picture is to have.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.site.path().join(&self.name)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        drop(file);
        let removed = self
            .site
            .open()
            .and_then(|directory| Ok(directory.remove(&self.temp)?));
        if let Err(cause) = removed {
            let temp = self.site.path().join(&self.temp);
            debug!(
                path = text(&temp),
                cause = format!("{cause:#}"),
                "temporary file stays behind"
            );
            // The sweep at the next start gets it, if not this process before.
            if let Site::Output { place, .. } = &self.site {
                place.leave_behind(&temp);
            }
        }
    }
}

/// Writes a picture of a folder under a temporary name in its output, if that is there and has
/// room. `relative` is where the source lies below its input.
pub fn stage_for(root: &Root, relative: &Path, bytes: &[u8]) -> anyhow::Result<Staged> {
    let place = &root.output;
    let name = relative.file_name().unwrap_or_default();
    let site = || Site::Output {
        place: place.clone(),
        parent: relative.parent().unwrap_or(Path::new("")).to_owned(),
    };
    let attempt = || {
        let directory = place.directory(relative.parent().unwrap_or(Path::new("")))?;
        place.has_room(bytes.len() as u64)?;
        let context = || format!("cannot write {}", place.folder().join(relative).display());
        stage(&directory, site(), name, bytes).map_err(|cause| explain(cause, context()))
    };
    let is_gone = |cause: &anyhow::Error| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
    };
    let mut staged = attempt();
    for _ in 0..REMOVALS {
        // Somebody who takes the pictures away removed the folder meanwhile, as it was empty.
        match &staged {
            Err(cause) if is_gone(cause) && !output::is_unusable(cause) => staged = attempt(),
            _ => break,
        }
    }
    staged.map_err(|cause| place.note_failure(&root.folder.input.join(relative), cause))
}

fn stage(directory: &Directory, site: Site, name: &OsStr, bytes: &[u8]) -> io::Result<Staged> {
    let temp = OsString::from(temp_name());
    let mut file = directory.create_new(&temp)?;
    let written = file.write_all(bytes);
    os::start_writing(&file);
    let staged = Staged {
        file: Some(file),
        site,
        temp,
        name: name.to_owned(),
    };
    written.map(|()| staged)
}

/// What a source is called while it is being deleted: no leftover, it may turn out to be another file.
pub const LEAVING_PREFIX: &str = ".watermarkd-leaving-";

/// The name of another temporary file.
pub fn temp_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}{number}", own_prefix())
}

/// What the temporary files of this process are called: other than those of any before it, also
/// where every process has the same pid, as in a container.
fn own_prefix() -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let run = RandomState::new().build_hasher().finish();
        format!("{TEMP_PREFIX}{run:016x}-")
    })
}

/// What a picture may do with a file that has its name.
#[derive(Debug, Clone, Copy)]
pub struct Rights<'a> {
    /// The result that the same source made before: replaced in any case.
    pub own: Option<&'a Path>,
    /// Whether it replaces a file that has exactly its name. Otherwise that is the result of another
    /// source, which may have left.
    pub replaces: bool,
}

/// A picture that has its name.
#[derive(Debug)]
pub struct Landed {
    pub path: PathBuf,
    /// To be synced, which makes the name durable.
    pub directory: Directory,
    /// It has a number, since its own name is another picture's.
    pub numbered: bool,
    /// Another file had the name before.
    pub replaced: bool,
}

/// Syncs a staged picture and gives it its name, or a numbered one where that belongs to another.
pub fn land(mut staged: Staged, rights: Rights<'_>) -> anyhow::Result<Landed> {
    let context = || format!("cannot publish {}", staged.target().display());
    if let Some(file) = &staged.file {
        file.sync_all().map_err(|cause| explain(cause, context()))?;
    }
    let directory = staged.site.open().with_context(context)?;
    let (name, replaced) = give_name(&staged, &directory, rights).map_err(|cause| {
        // The picture is there under a name that every file system takes.
        let is_there = || {
            directory
                .look(&staged.temp)
                .is_ok_and(|temp| temp.is_some())
        };
        if may_be_the_name(&cause) && is_there() {
            anyhow::Error::new(NameRefused(cause)).context(context())
        } else {
            explain(cause, context())
        }
    })?;
    staged.file = None;
    Ok(Landed {
        path: staged.site.path().join(&name),
        directory,
        numbered: name != staged.name,
        replaced,
    })
}

/// The name that it got, and whether another file had it.
fn give_name(
    staged: &Staged,
    directory: &Directory,
    rights: Rights<'_>,
) -> io::Result<(OsString, bool)> {
    let own = rights
        .own
        .filter(|own| own.parent() == Some(&staged.site.path()));
    let own = own.and_then(Path::file_name);
    let is_own_number = |name: &&OsStr| is_numbered(name, &staged.name);
    let names = own
        .filter(is_own_number)
        .map(OsStr::to_owned)
        .into_iter()
        .chain((0..NAMES).map(|number| numbered(&staged.name, number)));
    for name in names {
        let found = spelling(directory, &name)?;
        let replaced = found.is_some();
        let free = match found {
            None => true,
            Some(Spelling::Other) => false,
            Some(Spelling::Same) => {
                own == Some(&*name)
                    || rights.replaces && name == staged.name
                    // A process that ended between rename and ledger has left it there.
                    || hold_the_same(directory, &staged.temp, &name)?
            }
        };
        if free {
            directory.replace(&staged.temp, directory, &name)?;
            return Ok((name, replaced));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{NAMES} names are taken"),
    ))
}

/// Publishes one picture on its own, durably: for commands outside the daemon.
pub fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let attempt = || {
        let rights = Rights {
            own: None,
            replaces: true,
        };
        land(stage_at(target, bytes)?, rights)?.directory.sync()?;
        anyhow::Ok(())
    };
    attempt().with_context(|| format!("cannot write {}", target.display()))
}

/// Writes a picture under a temporary name beside its target.
pub fn stage_at(target: &Path, bytes: &[u8]) -> anyhow::Result<Staged> {
    let target = std::path::absolute(target)?;
    let folder = target.parent().unwrap_or(Path::new("."));
    let name = target.file_name().unwrap_or_default();
    let site = Site::Named(folder.to_owned());
    Ok(stage(&site.open()?, site, name, bytes)?)
}

/// Removes what a crash left in an output folder, beside the work that goes on there.
pub fn sweep(output: &Path, recursive: bool, quit: &Quit) {
    match Directory::open(output) {
        Ok(directory) => sweep_directory(&directory, output, recursive, quit),
        Err(cause) => cannot_look(output, &cause),
    }
}

fn sweep_directory(directory: &Directory, path: &Path, recursive: bool, quit: &Quit) {
    let names = match directory.names() {
        Ok(names) => names,
        Err(cause) => return cannot_look(path, &cause),
    };
    for name in names {
        if told_to_quit(quit) {
            return;
        }
        let path = path.join(&name);
        let Ok(Some(entry)) = directory.look(&name) else {
            continue;
        };
        if entry.is_directory && recursive {
            match directory.enter(&name) {
                Ok(inner) => sweep_directory(&inner, &path, recursive, quit),
                Err(cause) => cannot_look(&path, &cause),
            }
        } else if entry.is_file && is_leftover(&name) {
            let path = text(&path);
            match directory.remove(&name) {
                Ok(()) => info!(path, "leftover removed"),
                Err(cause) => warn!(path, cause = cause.to_string(), "leftover stays"),
            }
        }
    }
}

fn cannot_look(path: &Path, cause: &io::Error) {
    warn!(
        path = text(path),
        cause = cause.to_string(),
        "cannot look for leftovers"
    );
}

fn is_leftover(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(TEMP_PREFIX.as_bytes())
        && !name.starts_with(own_prefix().as_bytes())
        && !name.starts_with(LEAVING_PREFIX.as_bytes())
}
