//! An output folder: where it stands, whether it is there, and whether it has room.
//!
//! A file system is never filled up: of its space [`MARGIN`] or a hundredth stay free, whichever is
//! more; one that is smaller altogether is never written to. What is wrong with the folder meets
//! all its pictures alike, so it is told once for the folder, when it begins and once an hour, and
//! the pictures wait in silence.

use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tracing::{debug, info, warn};

use crate::{ledger::Ledger, log::text, memory::Size, os, watch::Root, worker::Failure};

/// Bytes that stay free at least.
const MARGIN: u64 = 64 << 20;
const TELL_AGAIN: Duration = Duration::from_secs(3600);
/// The step in which a picture fails whose output folder is in the way.
pub const STEP: &str = "output";
/// Temporary files that are remembered; the sweep at the next start gets any others.
const LEFT_BEHIND: usize = 1024;

/// The folder, and not the picture, is in the way.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// What is known of an output folder, for as long as it is configured.
#[derive(Debug, Clone, Default)]
pub struct OutputPlace(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The mount point that it lies on, once that is known. Below an unmounted mount point the
    /// folder would be made again, and filled, on the wrong disk; a mount that comes later is
    /// welcome, and from then on missed when it goes.
    mount: Option<PathBuf>,
    /// The one that the ledger has.
    noted: Option<PathBuf>,
    /// Where it leads, links resolved, once that is known. Who may write beside it must not lead it
    /// elsewhere.
    real: Option<PathBuf>,
    /// While it is unusable: when the log last told so.
    told: Option<Instant>,
    /// Temporary files that could not be removed.
    left_behind: Vec<PathBuf>,
}

impl OutputPlace {
    /// The place of a folder as it is now. If it lay on the mount `before`, of which there is nothing
    /// now but a mount point, that is waited for.
    pub fn of(folder: &Path, before: Option<PathBuf>) -> OutputPlace {
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
        OutputPlace(Arc::new(Mutex::new(Known {
            mount: before.clone().filter(is_away).or(now),
            noted: before,
            ..Known::default()
        })))
    }

    /// Takes note of a temporary file that could not be removed, as the folder was going away.
    pub fn leave_behind(&self, temp: &Path) {
        let mut known = self.known();
        if known.left_behind.len() < LEFT_BEHIND {
            known.left_behind.push(temp.to_owned());
        }
    }

    pub fn confirm(&self, folder: &Path, now: PathBuf) -> anyhow::Result<()> {
        let mut known = self.known();
        if let Some(before) = &known.mount
            && now != *before
            && before.starts_with(&now)
        {
            bail!(
                "folder {} is gone with its mount {}",
                folder.display(),
                before.display()
            );
        }
        known.mount = Some(now);
        Ok(())
    }

    /// Has the place noted in the ledger, once it has been written to, if it is another one there.
    pub fn note(&self, folder: &Path, ledger: &Ledger) {
        let mut known = self.known();
        if known.mount == known.noted {
            return;
        }
        let Some(mount) = known.mount.clone() else {
            return;
        };
        known.noted = Some(mount.clone());
        drop(known);
        if let Err(cause) = ledger.note_mount(folder, &mount) {
            let (path, cause) = (text(folder), format!("{cause:#}"));
            warn!(
                path,
                cause, "a start without its mount would not be noticed"
            );
        }
    }

    fn leads_where_it_did(&self, folder: &Path) -> anyhow::Result<()> {
        let now = folder
            .canonicalize()
            .with_context(|| format!("cannot look at folder {}", folder.display()))?;
        let mut known = self.known();
        match &known.real {
            Some(before) if *before != now => bail!(
                "folder {} leads to {} and no longer to {}; a restart accepts that",
                folder.display(),
                now.display(),
                before.display()
            ),
            Some(_) => {}
            None => known.real = Some(now),
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes an output folder if only it is missing, and remembers where it stands. One that cannot be
/// used is waited for. `before` is the mount that it was last written to on.
pub fn prepare(output: &Path, before: Option<PathBuf>) -> OutputPlace {
    let place = OutputPlace::of(output, before);
    let synced = || {
        os::sync_directory(output).with_context(|| {
            let output = output.display();
            format!("cannot sync output folder {output}: it must be readable")
        })
    };
    if let Err(cause) = make_sure(output, &place).and_then(|()| synced()) {
        warn!(
            output = text(output),
            cause = format!("{cause:#}"),
            "output is offline, its pictures wait until it returns"
        );
        place.known().told = Some(Instant::now());
    }
    place
}

/// Whether pictures of a folder have somewhere to go, if the last ones had not: so nothing is made
/// in vain while its output is away or full.
pub fn look_again(root: &Root, relative: &Path) -> anyhow::Result<()> {
    if root.output.known().told.is_none() {
        return Ok(());
    }
    make_sure(&root.folder.output, &root.output)
        .and_then(|()| has_room(root, 0))
        .map_err(|cause| note(root, relative, cause))
}

/// Whether the output looks as if pictures could be written to it.
pub fn looks_usable(root: &Root) -> bool {
    make_sure(&root.folder.output, &root.output)
        .and_then(|()| has_room(root, 0))
        .is_ok()
}

/// The failure of a picture that could not be written.
pub fn failure(cause: anyhow::Error) -> Failure {
    let step = if is_unusable(&cause) { STEP } else { "publish" };
    Failure::Transient { step, cause }
}

/// The path of a picture in its root's output; makes the folders on the way that are missing. A link
/// in the place of a subfolder is not followed: it would lead out of the output.
pub fn target(root: &Root, relative: &Path) -> anyhow::Result<PathBuf> {
    let output = &root.folder.output;
    make_sure(output, &root.output)?;
    let mut directory = output.clone();
    for part in relative.parent().into_iter().flatten() {
        directory.push(part);
        match fs::symlink_metadata(&directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => bail!("{} is no folder, or a link to one", directory.display()),
            Err(_) => make_directory(&directory)?,
        }
    }
    Ok(output.join(relative))
}

/// Makes a folder if only it is missing, and its place is the one it had.
pub fn make_sure(folder: &Path, known: &OutputPlace) -> anyhow::Result<()> {
    let make = || {
        let missing = !folder.is_dir();
        let nearest = if missing {
            folder.parent().unwrap_or(folder)
        } else {
            folder
        };
        let place = os::mount_point(nearest)
            .with_context(|| format!("folder {} is gone", folder.display()))?;
        known.confirm(folder, place)?;
        if missing {
            make_directory(folder)?;
        }
        known.leads_where_it_did(folder)
    };
    make().map_err(|cause: anyhow::Error| Unusable(format!("{cause:#}")).into())
}

/// Whether so many bytes more leave enough free.
pub fn has_room(root: &Root, more: u64) -> anyhow::Result<()> {
    let output = &root.folder.output;
    let space = os::space(output)
        .with_context(|| format!("cannot ask for the space of {}", output.display()))?;
    let Some(os::Space { free, size, .. }) = space else {
        return Ok(());
    };
    // While it waits it waits for a bit more, so that it does not come and go with every picture.
    let waits = root.output.known().told.is_some();
    let limit = least_free(size, waits);
    if free.saturating_sub(more) >= limit {
        return Ok(());
    }
    let (free, size, limit) = (Size(free), Size(size), Size(limit));
    let folder = output.display();
    bail!(Unusable(format!(
        "output folder {folder} has {free} free of {size}, waiting for {limit}"
    )))
}

/// Bytes that stay free on a file system of `size` bytes.
fn least_free(size: u64, waits: bool) -> u64 {
    let limit = MARGIN.max(size / 100);
    if waits { limit + limit / 8 } else { limit }
}

/// Tells what concerns the whole folder from what concerns one picture.
pub fn explain(cause: io::Error, context: String) -> anyhow::Error {
    let of_all = matches!(
        cause.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StaleNetworkFileHandle
            | io::ErrorKind::NotConnected
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    ) || os::is_of_device(&cause);
    if of_all {
        Unusable(format!("{context}: {cause}")).into()
    } else {
        anyhow::Error::new(cause).context(context)
    }
}

/// Tells the log of an output that cannot be used, with the first picture that waits for it.
pub fn note(root: &Root, relative: &Path, cause: anyhow::Error) -> anyhow::Error {
    if !is_unusable(&cause) {
        return cause;
    }
    let now = Instant::now();
    let mut known = root.output.known();
    if known.told.is_none_or(|told| now - told >= TELL_AGAIN) {
        let (output, file) = (
            text(&root.folder.output),
            text(&root.folder.input.join(relative)),
        );
        let cause = format!("{cause:#}");
        warn!(
            output,
            step = STEP,
            cause,
            file,
            "output cannot be used, its pictures wait until it can"
        );
        known.told = Some(now);
    }
    cause
}

/// A picture is in its output.
pub fn note_success(root: &Root) {
    let mut known = root.output.known();
    let was_away = known.told.take().is_some();
    let left_behind = mem::take(&mut known.left_behind);
    drop(known);
    if was_away {
        info!(output = text(&root.folder.output), "output is back");
    }
    for temp in left_behind {
        match fs::remove_file(&temp) {
            Ok(()) => debug!(path = text(&temp), "temporary file removed after all"),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(_) => root.output.leave_behind(&temp),
        }
    }
}

/// Whether the log has been told already, for all pictures of the folder.
pub fn is_unusable(cause: &anyhow::Error) -> bool {
    cause.chain().any(<dyn std::error::Error>::is::<Unusable>)
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
}
