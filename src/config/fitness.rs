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

/// The directories of the unit, which are there from its first start on.
const MADE_BY_SYSTEMD: [&str; 2] = ["/var/lib/watermarkd", "/var/log/watermarkd"];

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
        if let Some(cause) = missing(&folder.input) {
            findings.warn(&site.input_at, cause);
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
        let is_made_by_systemd = MADE_BY_SYSTEMD.iter().any(|made| dir == Path::new(made));
        if is_made_by_systemd && !dir.exists() {
            continue;
        }
        if let Some(cause) = unfit_for_writing(dir) {
            findings.add(at, cause);
        }
    }
}

/// Why an input is waited for.
fn missing(input: &Path) -> Option<String> {
    if input.is_dir() {
        return None;
    }
    let cause = orphaned(input).unwrap_or_else(|| format!("{} is missing", input.display()));
    Some(format!("{cause}; it is waited for"))
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
