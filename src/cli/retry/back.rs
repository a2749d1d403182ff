//! A file that failed, and was moved for that, goes back into its input.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use crate::{
    arrival::{FileKey, Stamp},
    config::{Config, Folder, Source},
    ledger::{State, Visitor},
    os::{self, Directory},
    watch,
};

/// What came of the wish for one file.
pub enum Named {
    Asked,
    /// It is processed anyway: why.
    Anyway(String),
    /// It is in its input folder again, here.
    Back(PathBuf),
    /// It cannot be: why.
    Refused(String),
}

/// A folder that a moved file may have come from, with the folder that its failed files are moved to
/// and the file's place in both.
type Origin<'a> = (&'a Folder, &'a Path, PathBuf);

/// Moves a file that failed, and was moved for that, back into its input, where it is taken up like
/// a new one.
pub fn moved_back(config: &Config, ledger: &Visitor, path: &Path) -> anyhow::Result<Option<Named>> {
    let origins: Vec<Origin<'_>> = config
        .folders
        .iter()
        .filter_map(|folder| {
            let Source::MoveTo(to) = &folder.on_failure else {
                return None;
            };
            let relative = path.strip_prefix(os::resolve(to).ok()?).ok()?;
            Some((folder, to.as_path(), relative.to_owned()))
        })
        .collect();
    if origins.is_empty() {
        return Ok(None);
    }
    if stamp_of(path).is_none() {
        return Ok(Some(Named::Refused("there is no such file".to_owned())));
    }
    match origin(ledger, &origins)? {
        Ok(origin) => move_back(origin, path),
        Err(why) => Ok(Some(Named::Refused(why))),
    }
}

/// The one folder whose file it is, or why that is not certain. Folders may share where they move
/// files, and files that are done may be moved there, too.
fn origin<'a>(
    ledger: &Visitor,
    origins: &'a [Origin<'a>],
) -> anyhow::Result<Result<&'a Origin<'a>, String>> {
    let (mut failed, mut is_done) = (Vec::new(), false);
    for origin in origins {
        let (folder, _, relative) = origin;
        let Some(id) = ledger.folder(&folder.input)? else {
            continue;
        };
        let key = FileKey {
            folder: id,
            path: Arc::from(relative.as_path()),
        };
        match ledger.entry(&key)? {
            Some(entry) if entry.gone && entry.state == State::Failed => failed.push(origin),
            Some(entry) if entry.gone => is_done = true,
            _ => {}
        }
    }
    let takes_done = |(folder, to, _): &Origin<'_>| matches!(&folder.after, Source::MoveTo(after) if after == to);
    Ok(match (failed.as_slice(), origins) {
        ([origin], _) => Ok(*origin),
        ([], _) if is_done => Err("it was moved here because it is done".to_owned()),
        // It has a number, or the ledger has forgotten it.
        ([], [origin]) if !takes_done(origin) => Ok(origin),
        _ => {
            let inputs: Vec<String> = origins
                .iter()
                .map(|(folder, ..)| folder.input.display().to_string())
                .collect();
            let inputs = inputs.join(" or ");
            Err(format!(
                "the ledger does not tell whether it failed in {inputs}: move it back yourself"
            ))
        }
    })
}

fn move_back(
    (folder, failed, relative): &Origin<'_>,
    path: &Path,
) -> anyhow::Result<Option<Named>> {
    let refused = |why: String| Ok(Some(Named::Refused(why)));
    if let Err(ignored) = watch::judge_in(folder, None, relative) {
        return refused(format!("it is ignored: {ignored}"));
    }
    let (Some(name), Some(parent)) = (relative.file_name(), relative.parent()) else {
        return Ok(None);
    };
    let target = folder.input.join(relative);
    let context = || {
        format!(
            "cannot move {} back to {}",
            path.display(),
            target.display()
        )
    };
    let from = Directory::open(failed).and_then(|folder| folder.descend(parent));
    // The subfolder may have been removed once it was empty.
    let to = Directory::open(&folder.input).and_then(|input| {
        let mut steps = parent.iter();
        steps.try_fold(input, |directory, name| directory.enter_or_make(name))
    });
    match from.and_then(|from| {
        let to = to?;
        from.move_new(name, &to, name)?;
        to.sync()?;
        from.sync()
    }) {
        Ok(()) => Ok(Some(Named::Back(target))),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            refused(format!("{} is there already", target.display()))
        }
        Err(cause) if cause.kind() == io::ErrorKind::CrossesDevices => refused(format!(
            "it lies on another file system: copy it to {}",
            target.display()
        )),
        Err(cause) => Err(cause).with_context(context),
    }
}

/// None where there is no file, or none that is taken.
pub fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| Stamp::of(&metadata))
}
