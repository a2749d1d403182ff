//! The inputs, and the folders that files are moved to: whether they lie where they did. A file is not
//! gone because its mount is.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::failure::Failure;
use crate::{
    config::{Folder, Source},
    ledger::Ledger,
    os,
    output::Place,
    root::Root,
};

pub struct Places {
    places: BTreeMap<PathBuf, Place>,
    /// When this process began to move files.
    pub since: SystemTime,
}

impl Places {
    pub fn new(since: SystemTime) -> Places {
        Places {
            places: BTreeMap::new(),
            since,
        }
    }

    /// A folder whose mount goes later must not be taken for an empty one.
    pub fn learn(&mut self, roots: &[Arc<Root>], ledger: &Ledger) {
        for root in roots {
            let Folder {
                input,
                after,
                on_failure,
                ..
            } = &root.folder;
            if *after == Source::Keep && *on_failure == Source::Keep {
                continue;
            }
            for path in root.folder.moved_to().chain([input.as_path()]) {
                let known = self.places.entry(path.to_owned());
                known.or_insert_with(|| {
                    // Without what the ledger says it is as it is now.
                    let before = ledger.mount_of(path).unwrap_or_default();
                    Place::of(path, before.filter(|_| path != input))
                });
            }
        }
    }

    /// Whether a folder lies where it should: a file is not gone because its mount is.
    pub fn is_in_place(&self, folder: &Path) -> Result<(), Failure> {
        let confirmed = os::mount_point(folder)
            .map_err(anyhow::Error::new)
            .and_then(|now| match self.places.get(folder) {
                Some(place) => place.confirm(now),
                None => Ok(()),
            });
        confirmed.map_err(|cause| Failure { cause, all: true })
    }

    pub fn make_sure(&self, to: &Path, ledger: &Ledger) -> Result<(), Failure> {
        match self.places.get(to) {
            Some(place) => {
                place
                    .make_sure()
                    .map_err(|cause| Failure { cause, all: true })?;
                ledger.record_mount(place);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
