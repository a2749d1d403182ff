//! Temporary files: how a picture is written beside its target, lands under its name, and what a
//! crash leaves of it.
//!
//! A visible file is a complete file. So a picture is written under a name that everybody ignores,
//! in its target's own directory, synced, and only then renamed.

use std::{
    collections::hash_map::RandomState,
    ffi::OsStr,
    fs::{self, File},
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

use crate::{
    log::text,
    os,
    output::{Place, explain},
    root::Root,
    stop::{Quit, told_to_quit},
};

/// What every temporary file of ours is called, in every output folder.
pub const TEMP_PREFIX: &str = ".watermarkd-";

/// A picture under its temporary name, removed again unless it lands.
#[derive(Debug)]
pub struct Staged {
    file: Option<File>,
    temp: PathBuf,
    target: PathBuf,
    output: Option<Place>,
}

impl Staged {
    /// The name that the picture is to have.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            drop(file);
            if let Err(cause) = fs::remove_file(&self.temp) {
                // The sweep at the next start gets it, if not this process before.
                if let Some(output) = &self.output {
                    output.leave_behind(&self.temp);
                }
                debug!(
                    path = text(&self.temp),
                    cause = cause.to_string(),
                    "temporary file stays behind"
                );
            }
        }
    }
}

/// Writes a picture of a folder under a temporary name in its output, if that is there and has
/// room.
pub fn stage_for(root: &Root, relative: &Path, bytes: &[u8]) -> anyhow::Result<Staged> {
    let output = &root.output;
    output
        .target(relative)
        .and_then(|target| {
            output.has_room(bytes.len() as u64)?;
            let context = format!("cannot write {}", target.display());
            stage(target, bytes, Some(output)).map_err(|cause| explain(cause, context))
        })
        .map_err(|cause| output.note_failure(&root.folder.input.join(relative), cause))
}

/// Writes a picture under a temporary name beside its target.
pub fn stage(target: PathBuf, bytes: &[u8], output: Option<&Place>) -> io::Result<Staged> {
    let directory = target.parent().unwrap_or(Path::new("."));
    let temp = directory.join(temp_name());
    let mut file = os::create_new(&temp)?;
    let written = file.write_all(bytes);
    os::start_writing(&file);
    let staged = Staged {
        file: Some(file),
        temp,
        target,
        output: output.cloned(),
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

/// Syncs a staged picture and gives it its name. Returns the directory that is to be synced.
pub fn land(mut staged: Staged) -> io::Result<PathBuf> {
    if let Some(file) = &staged.file {
        file.sync_all()?;
    }
    fs::rename(&staged.temp, &staged.target)?;
    staged.file = None;
    Ok(staged.target.parent().unwrap_or(Path::new(".")).to_owned())
}

/// Publishes one picture on its own, durably: for commands outside the daemon.
pub fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let attempt = || {
        let directory = land(stage(std::path::absolute(target)?, bytes, None)?)?;
        os::sync_directory(&directory)
    };
    attempt().with_context(|| format!("cannot write {}", target.display()))
}

/// Removes what a crash left in an output folder, beside the work that goes on there.
pub fn sweep(output: &Path, recursive: bool, quit: &Quit) {
    let mut directories = vec![output.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(cause) => {
                warn!(
                    path = text(&directory),
                    cause = cause.to_string(),
                    "cannot look for leftovers"
                );
                continue;
            }
        };
        for entry in entries.flatten() {
            if told_to_quit(quit) {
                return;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && recursive {
                directories.push(entry.path());
            } else if kind.is_file() && is_leftover(&entry.file_name()) {
                match fs::remove_file(entry.path()) {
                    Ok(()) => info!(path = text(&entry.path()), "leftover removed"),
                    Err(cause) => {
                        warn!(
                            path = text(&entry.path()),
                            cause = cause.to_string(),
                            "leftover stays"
                        );
                    }
                }
            }
        }
    }
}

fn is_leftover(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(TEMP_PREFIX.as_bytes())
        && !name.starts_with(own_prefix().as_bytes())
        && !name.starts_with(LEAVING_PREFIX.as_bytes())
}
