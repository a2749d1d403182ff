//! A folder that pictures or sources go to: where it stands, whether it is there, and whether it has
//! room.
//!
//! A file system is never filled up: of its space [`MARGIN`] or a hundredth stay free, whichever is
//! more; one that is smaller altogether is never written to. What is wrong with the folder meets
//! all its pictures alike, so it is told once for the folder, when it begins and once an hour, and
//! the pictures wait in silence.

mod fault;

use std::{
    ffi::OsStr,
    fs, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::{Context, bail};
use tracing::{debug, info, warn};

use crate::{
    log::text,
    memory::Size,
    os::{self, Directory},
    outcome::Step,
    retry,
};

pub use fault::{NameRefused, NameTaken, Unusable, explain, failure, is_unusable, may_be_the_name};

/// Bytes that stay free at least.
const MARGIN: u64 = 64 << 20;
/// Temporary files that are remembered; the sweep at the next start gets any others.
const LEFT_BEHIND: usize = 1024;

/// A folder that is written to, and what is known of it for as long as it is configured. Clones
/// share what is known.
#[derive(Debug, Clone)]
pub struct Place {
    folder: Arc<Path>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The mount point that it lies on, once that is known. Below an unmounted mount point the
    /// folder would be made again, and filled, on the wrong disk; a mount that comes later is
    /// welcome, and from then on missed when it goes.
    mount: Option<PathBuf>,
    /// The one that the ledger has.
    recorded: Option<PathBuf>,
    /// Where it leads, links resolved, once that is known. Who may write beside it must not lead it
    /// elsewhere.
    real: Option<Arc<Path>>,
    /// While it is unusable: when the log last told so.
    told: Option<Instant>,
    /// Temporary files that could not be removed.
    left_behind: Vec<PathBuf>,
}

impl Place {
    /// The place of a folder as it is now. If it lay on the mount `before`, of which there is nothing
    /// now but a mount point, that is waited for.
    #[must_use]
    pub fn of(folder: &Path, before: Option<PathBuf>) -> Place {
        let nearest = if folder.is_dir() {
            Some(folder)
        } else {
            folder.parent()
        };
        let now = nearest.and_then(|nearest| os::mount_point(nearest).ok());
        let is_away = |before: &PathBuf| {
            now.as_ref()
                .is_none_or(|now| before != now && before.starts_with(now))
                && fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
        };
        Place {
            folder: Arc::from(folder),
            known: Arc::new(Mutex::new(Known {
                mount: before.clone().filter(is_away).or(now),
                recorded: before,
                ..Known::default()
            })),
        }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same, of an output, which is made if only it is missing. One that cannot be used is waited
    /// for.
    #[must_use]
    pub fn prepare(output: &Path, before: Option<PathBuf>) -> Place {
        let place = Place::of(output, before);
        let synced = || {
            os::sync_directory(output).with_context(|| {
                let output = output.display();
                format!("cannot sync output folder {output}: it must be readable")
            })
        };
        if let Err(cause) = place.make_sure().and_then(|()| synced()) {
            warn!(
                output = text(output),
                cause = format!("{cause:#}"),
                "output is offline, its pictures wait until it returns"
            );
            place.known().told = Some(Instant::now());
        }
        place
    }

    /// Makes the folder if only it is missing, and it lies where it did.
    pub fn make_sure(&self) -> anyhow::Result<()> {
        let folder = &*self.folder;
        let make = || {
            let missing = !folder.is_dir();
            let nearest = if missing {
                folder.parent().unwrap_or(folder)
            } else {
                folder
            };
            let mount = os::mount_point(nearest)
                .with_context(|| format!("folder {} is gone", folder.display()))?;
            self.confirm(mount)?;
            if missing {
                make_directory(folder)?;
            }
            self.leads_where_it_did()
        };
        make().map_err(|cause: anyhow::Error| Unusable(format!("{cause:#}")).into())
    }

    /// Holds the mount point that the folder lies on now against the one that it lay on.
    pub fn confirm(&self, now: PathBuf) -> anyhow::Result<()> {
        let mut known = self.known();
        if let Some(before) = &known.mount
            && now != *before
            && before.starts_with(&now)
        {
            bail!(
                "folder {} is gone with its mount {}",
                self.folder.display(),
                before.display()
            );
        }
        known.mount = Some(now);
        Ok(())
    }

    fn leads_where_it_did(&self) -> anyhow::Result<()> {
        let folder = &self.folder;
        let now = folder
            .canonicalize()
            .with_context(|| format!("cannot look at folder {}", folder.display()))?;
        let mut known = self.known();
        match &known.real {
            Some(before) if **before != *now => bail!(
                "folder {} leads to {} and no longer to {}; a restart accepts that",
                folder.display(),
                now.display(),
                before.display()
            ),
            Some(_) => {}
            None => known.real = Some(now.into()),
        }
        Ok(())
    }

    /// The mount point for the ledger to record, after the folder has been written to; None while
    /// the ledger has it. Without it a start while the mount is away would not be noticed.
    #[must_use]
    pub fn mount_to_record(&self) -> Option<PathBuf> {
        let mut known = self.known();
        if known.mount == known.recorded {
            return None;
        }
        let mount = known.mount.clone();
        known.recorded.clone_from(&mount);
        mount
    }

    /// Whether pictures have somewhere to go, if the last ones had not: so nothing is made in vain
    /// while the output is away or full. `source` is the picture's file, for the log.
    pub fn look_again(&self, source: &Path) -> anyhow::Result<()> {
        if self.known().told.is_none() {
            return Ok(());
        }
        self.make_sure()
            .and_then(|()| self.has_room(0))
            .map_err(|cause| self.note_failure(source, cause))
    }

    /// Whether it looks as if pictures could be written here.
    #[must_use]
    pub fn looks_usable(&self) -> bool {
        self.make_sure().and_then(|()| self.has_room(0)).is_ok()
    }

    /// The folder below this one that a picture goes to; makes those on the way that are missing. A
    /// link in the place of a subfolder is not followed: it would lead out of the output.
    pub fn directory(&self, relative: &Path) -> anyhow::Result<Directory> {
        self.make_sure()?;
        let mut directory = self.open()?;
        let mut path = self.folder.to_path_buf();
        for part in relative {
            path.push(part);
            directory = enter_or_make(&directory, part)
                .with_context(|| format!("cannot use folder {}", path.display()))?;
        }
        Ok(directory)
    }

    /// Opens the folder, which must be there. Once it is known where it leads, that is what is opened:
    /// a link may have been put in its place since that was looked at.
    pub fn open(&self) -> anyhow::Result<Directory> {
        let real = self.known().real.clone();
        let opened = match real {
            Some(real) => Directory::open_real(&real),
            None => Directory::open(&self.folder),
        };
        opened.map_err(|cause| {
            Unusable(format!(
                "cannot open folder {}: {cause}",
                self.folder.display()
            ))
            .into()
        })
    }

    /// Whether so many bytes more leave enough free.
    pub fn has_room(&self, more: u64) -> anyhow::Result<()> {
        let folder = self.folder.display();
        let space = os::space(&self.folder)
            .with_context(|| format!("cannot ask for the space of {folder}"))?;
        let Some(os::Space { free, size, .. }) = space else {
            return Ok(());
        };
        // While it waits it waits for a bit more, so that it does not come and go with every picture.
        let waits = self.known().told.is_some();
        let limit = least_free(size, waits);
        if free.saturating_sub(more) >= limit {
            return Ok(());
        }
        // From now on it waits for more, and for the picture's own bytes.
        let wanted = Size(least_free(size, true).saturating_add(more));
        let (free, size) = (Size(free), Size(size));
        bail!(Unusable(format!(
            "output folder {folder} has {free} free of {size}, waiting for {wanted}"
        )))
    }

    /// Tells the log if the folder cannot be used, with the first picture that waits for it, whose
    /// file is `source`. Returns the cause.
    pub fn note_failure(&self, source: &Path, cause: anyhow::Error) -> anyhow::Error {
        if !is_unusable(&cause) {
            return cause;
        }
        let now = Instant::now();
        let mut known = self.known();
        if retry::is_to_be_told(known.told, now) {
            let (output, file) = (text(&self.folder), text(source));
            let (step, cause) = (Step::Output.name(), format!("{cause:#}"));
            warn!(
                output,
                step, cause, file, "output cannot be used, its pictures wait until it can"
            );
            known.told = Some(now);
        }
        cause
    }

    /// A picture is in its output.
    pub fn note_success(&self) {
        let mut known = self.known();
        let was_away = known.told.take().is_some();
        let left_behind = mem::take(&mut known.left_behind);
        drop(known);
        if was_away {
            info!(output = text(&self.folder), "output is back");
        }
        for temp in left_behind {
            match fs::remove_file(&temp) {
                Ok(()) => debug!(path = text(&temp), "temporary file removed after all"),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.leave_behind(&temp),
            }
        }
    }

    /// Remembers a temporary file that could not be removed, as the folder was going away.
    pub fn leave_behind(&self, temp: &Path) {
        let mut known = self.known();
        if known.left_behind.len() < LEFT_BEHIND {
            known.left_behind.push(temp.to_owned());
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that stay free on a file system of `size` bytes.
fn least_free(size: u64, waits: bool) -> u64 {
    let limit = MARGIN.max(size / 100);
    if waits { limit + limit / 8 } else { limit }
}

/// Enters a subfolder, which is made if it is missing.
fn enter_or_make(directory: &Directory, name: &OsStr) -> anyhow::Result<Directory> {
    match directory.enter(name) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory || os::is_link(&cause) => {
            bail!("it is no folder, or a link to one")
        }
        entered => return Ok(entered?),
    }
    match directory.make(name) {
        // Another worker was quicker.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) if may_be_the_name(&cause) && takes_folders(directory) => {
            bail!(NameRefused(cause))
        }
        made => {
            made?;
            directory.sync()?;
            debug!(name = text(Path::new(name)), "folder made");
        }
    }
    Ok(directory.enter(name)?)
}

/// Whether a folder could be made here under a name that every file system takes.
fn takes_folders(directory: &Directory) -> bool {
    let name = OsStr::new(".watermarkd-probe");
    directory
        .make(name)
        .and_then(|()| directory.remove_directory(name))
        .is_ok()
}

fn make_directory(path: &Path) -> anyhow::Result<()> {
    let made = fs::create_dir(path).or_else(|cause| {
        // Another worker was quicker.
        if cause.kind() == io::ErrorKind::AlreadyExists && path.is_dir() {
            Ok(())
        } else {
            Err(cause)
        }
    });
    made.and_then(|()| os::sync_directory(path.parent().unwrap_or(path)))
        .with_context(|| format!("cannot create folder {}", path.display()))?;
    debug!(path = text(path), "folder made");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundredth_or_64_mib_stay_free() {
        for (size, waits, free) in [
            (1 << 20, false, 64 << 20),
            (6400 << 20, false, 64 << 20),
            (100 << 30, false, 1 << 30),
            (100 << 30, true, (1 << 30) + (1 << 27)),
            (u64::MAX, true, u64::MAX / 100 + u64::MAX / 800),
        ] {
            assert_eq!(least_free(size, waits), free, "{size} {waits}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_put_in_place_of_the_folder_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (output, elsewhere) = (home.path().join("out"), home.path().join("elsewhere"));
        for folder in [&output, &elsewhere] {
            fs::create_dir(folder).unwrap();
        }
        let place = Place::prepare(&output, None);
        assert!(place.open().is_ok());
        // As between the look at it and the opening.
        fs::rename(&output, home.path().join("away")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &output).unwrap();
        let cause = place.open().unwrap_err();
        assert!(is_unusable(&cause), "{cause:#}");
        let cause = format!("{:#}", place.make_sure().unwrap_err());
        assert!(cause.contains("a restart accepts that"), "{cause}");
    }
}
