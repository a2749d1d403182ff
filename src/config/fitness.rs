//! What `check` holds against a configuration that a start would take and wait with: folders in
//! which nothing can be written, and those that will hardly ever be there.

use std::path::Path;

use super::{
    layout::Site,
    model::{Config, Source},
    section::Findings,
    state::Places,
};
use crate::os;

pub fn check(config: &Config, sites: &[Site], places: &Places, findings: &Findings) {
    for site in sites {
        let folder = &site.folder;
        let written_to = site.moved_to().chain([(&*folder.output, &site.output_at)]);
        // The default output goes with its input.
        let with_input = folder.output.parent() == Some(&folder.input);
        for (path, at) in written_to {
            if let Some(cause) = unfit_for_writing(path) {
                findings.add(at, cause);
            } else if let Some(cause) = orphaned(path)
                && !(with_input && path == folder.output)
            {
                findings.add(at, cause);
            }
        }
        let leaves = folder.after != Source::Keep || folder.on_failure != Source::Keep;
        if let Some(cause) = orphaned(&folder.input) {
            findings.add(&site.input_at, cause);
        } else if let Some(cause) = unfit_for_writing(&folder.input)
            && leaves
        {
            let cause = format!("{cause}, as `after` and `on_failure` ask");
            findings.add(&site.input_at, cause);
        }
    }
    // What is wrong with the files themselves is found already.
    let ledger = config.ledger.parent().unwrap_or(Path::new("."));
    for (dir, at) in [(ledger, &places.ledger), (&config.log.dir, &places.log_dir)] {
        if let Some(cause) = unfit_for_writing(dir) {
            findings.add(at, cause);
        }
    }
}

/// Why a folder that is not there will hardly ever be.
fn orphaned(folder: &Path) -> Option<String> {
    if folder.is_dir() {
        return None;
    }
    let parent = folder.parent()?;
    if folder.is_symlink() {
        Some(format!("{} is a link that leads nowhere", folder.display()))
    } else if parent.is_dir() {
        None
    } else {
        let folder = folder.display();
        Some(format!("{folder} is missing, and so is its parent"))
    }
}

/// Why nothing could be written in a folder, which may have to be made first.
fn unfit_for_writing(folder: &Path) -> Option<String> {
    let nearest = folder.ancestors().find(|path| path.exists())?;
    if !nearest.is_dir() {
        Some(format!("{} is not a folder", nearest.display()))
    } else if !os::is_writable(nearest) {
        Some(format!("folder {} is not writable", nearest.display()))
    } else {
        None
    }
}
