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
    picture::{self, Told, Treated},
    scheduler::Job,
    template::Facts,
};

/// What the names of a source's results are made of.
pub struct Source<'a> {
    path: &'a Path,
    told: Told,
    taken: DateTime,
}

impl<'a> Source<'a> {
    /// `bytes` is the source as it was read; it is asked only where a name needs it.
    pub fn of(job: &'a Job, bytes: &[u8]) -> Self {
        let renditions = &job.root.folder.renditions;
        let asked = renditions.iter().any(|one| one.name.asks_the_picture());
        let told = if asked {
            picture::told(bytes)
        } else {
            Told::default()
        };
        let taken = if asked {
            taken(&told, job.stamp)
        } else {
            DateTime::default()
        };
        Self {
            path: &job.file.path,
            told,
            taken,
        }
    }

    /// The path of a result below the output.
    pub fn target(&self, rendition: &Rendition, treated: &Treated<'_>) -> PathBuf {
        let facts = Facts {
            source: self.path.file_name().unwrap_or_default(),
            taken: self.taken,
            camera: &self.told.camera,
            width: treated.width,
            height: treated.height,
        };
        let mut target = rendition.to.clone();
        target.extend(self.path.parent());
        target.push(rendition.name.fill(&facts));
        target
    }
}

/// When the picture was taken; when its file was last written, if it does not say.
fn taken(told: &Told, stamp: Stamp) -> DateTime {
    let by_camera = DateTime::strptime("%Y:%m:%d %H:%M:%S", &told.taken);
    by_camera.unwrap_or_else(|_| {
        let since = Duration::from_nanos(stamp.mtime_ns.unsigned_abs());
        let written = if stamp.mtime_ns < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(since)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(since)
        };
        Local::of(written.unwrap_or(SystemTime::UNIX_EPOCH)).civil()
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_picture_without_a_date_has_that_of_its_file() {
        let stamp = Stamp {
            length: 1,
            // Noon, so that it is the same day in most places.
            mtime_ns: 1_714_564_800_000_000_000,
        };
        for (text, expected) in [
            ("2019:02:03 04:05:06", date(2019, 2, 3)),
            ("0000:00:00 00:00:00", date(2024, 5, 1)),
            ("", date(2024, 5, 1)),
            ("yesterday", date(2024, 5, 1)),
        ] {
            let told = Told {
                taken: text.to_owned(),
                ..Told::default()
            };
            assert_eq!(taken(&told, stamp).date(), expected, "{text}");
        }
    }
}
