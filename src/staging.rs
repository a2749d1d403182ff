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
    mem,
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
    output::{self, NameRefused, NameTaken, Place, explain, may_be_the_name},
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

#[derive(Debug)]
enum State {
    Open(File),
    Closed,
    Landed,
}

/// A picture under its temporary name, removed again unless it lands.
#[derive(Debug)]
pub struct Staged {
    state: State,
    site: Site,
    temp: OsString,
    /// The name that the picture is to have.
    name: OsString,
}

impl Staged {
    /// Holds no file open until it lands: a process may have only so many.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }

    /// The path that the picture is to have.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.site.path().join(&self.name)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let State::Landed = mem::replace(&mut self.state, State::Closed) {
            return;
        }
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
/// room. `source` is where it was made of below the input, `target` where it goes below the output.
pub fn stage_for(
    root: &Root,
    source: &Path,
    target: &Path,
    bytes: &[u8],
) -> anyhow::Result<Staged> {
    let place = &root.output;
    let name = target.file_name().unwrap_or_default();
    let parent = target.parent().unwrap_or(Path::new(""));
    let site = || Site::Output {
        place: place.clone(),
        parent: parent.to_owned(),
    };
    let attempt = || {
        let directory = place.directory(parent)?;
        place.has_room(bytes.len() as u64)?;
        let context = || format!("cannot write {}", place.folder().join(target).display());
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
    staged.map_err(|cause| place.note_failure(&root.folder.input.join(source), cause))
}

fn stage(directory: &Directory, site: Site, name: &OsStr, bytes: &[u8]) -> io::Result<Staged> {
    let temp = OsString::from(temp_name());
    let mut file = directory.create_new(&temp)?;
    let written = file.write_all(bytes);
    os::start_writing(&file);
    let staged = Staged {
        state: State::Open(file),
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
    /// The results that the same source made before: replaced in any case.
    pub own: &'a [PathBuf],
    /// What becomes of the file of another that has exactly its name.
    pub taken: Taken,
}

/// What a picture does whose name another has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It replaces it.
    Replace,
    /// It gets a number.
    Number,
    /// It fails.
    Fail,
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
    if let State::Open(file) = &staged.state {
        file.sync_all().map_err(|cause| explain(cause, context()))?;
    }
    let directory = staged.site.open().with_context(context)?;
    if let State::Closed = staged.state {
        let synced = directory.sync_file(&staged.temp);
        synced.map_err(|cause| explain(cause, context()))?;
    }
    let (name, replaced) = give_name(&staged, &directory, rights).map_err(|cause| {
        // The picture is there under a name that every file system takes.
        let is_there = || {
            directory
                .look(&staged.temp)
                .is_ok_and(|temp| temp.is_some())
        };
        if rights.taken == Taken::Fail && cause.kind() == io::ErrorKind::AlreadyExists {
            anyhow::Error::new(NameTaken).context(context())
        } else if may_be_the_name(&cause) && is_there() {
            anyhow::Error::new(NameRefused(cause)).context(context())
        } else {
            explain(cause, context())
        }
    })?;
    staged.state = State::Landed;
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
    let folder = staged.site.path();
    let own = rights
        .own
        .iter()
        .filter(|own| own.parent() == Some(&folder));
    let mut own = own.filter_map(|own| own.file_name());
    // A source has one result of a name, with a number or without.
    let own = own.find(|name| is_numbered(name, &staged.name));
    let names = own
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
                    || rights.taken == Taken::Replace && name == staged.name
                    // A process that ended between rename and ledger has left it there.
                    || hold_the_same(directory, &staged.temp, &name)?
            }
        };
        if free {
            directory.replace(&staged.temp, directory, &name)?;
            return Ok((name, replaced));
        }
        if rights.taken == Taken::Fail && name == staged.name {
            return Err(io::ErrorKind::AlreadyExists.into());
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
            own: &[],
            taken: Taken::Replace,
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
