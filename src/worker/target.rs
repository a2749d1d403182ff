//! Where a result goes below its output, and what it is called there.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::civil::DateTime;

use crate::{
    arrival::Stamp,
    config::Rendition,
    log::Local,
    picture::{self, Treated},
    scheduler::Job,
    template::About,
};

/// What the names of a source's results and the texts on them tell of it. `bytes` is the source as it was
/// read; it is asked only where one of them needs it.
pub fn about(job: &Job, bytes: &[u8]) -> About {
    let renditions = &job.root.folder.renditions;
    let asks = |one: &Rendition| one.name.asks_the_picture() || one.recipe.asks_the_picture();
    let source = job.file.path.file_name().unwrap_or_default().to_owned();
    if renditions.iter().any(asks) {
        picture::about(bytes, source, written(job.stamp))
    } else {
        About {
            source,
            ..About::default()
        }
    }
}

/// The path of a result below the output.
pub fn target(source: &Path, about: &About, rendition: &Rendition, made: &Treated<'_>) -> PathBuf {
    let mut target = rendition.to.clone();
    target.extend(source.parent());
    target.push(rendition.name.name_for(about, (made.width, made.height)));
    target
}

/// When a file was last written, where the machine stands.
pub fn written(stamp: Stamp) -> DateTime {
    let since = Duration::from_nanos(stamp.mtime_ns.unsigned_abs());
    let written = if stamp.mtime_ns < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since)
    };
    Local::of(written.unwrap_or(SystemTime::UNIX_EPOCH)).civil()
}
