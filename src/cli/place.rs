//! Where a file lies: in which watched folder, and under which name there.

use std::path::{self, Path, PathBuf};

use anyhow::Context;

use crate::{
    config::{Config, Folder},
    os,
};

/// Where a file lies.
pub struct Place<'a> {
    /// Absolute, with the links on the way resolved.
    pub path: PathBuf,
    /// The watched folder that it lies in, and its path relative to the input.
    pub inside: Option<(&'a Folder, PathBuf)>,
    /// As it was named it lies in a folder that a link on the way leads out of.
    pub by_link: Option<&'a Folder>,
}

/// Finds out where a file lies, which need not be there.
pub fn place<'a>(config: &'a Config, file: &Path) -> anyhow::Result<Place<'a>> {
    let named =
        path::absolute(file).with_context(|| format!("cannot tell where {} is", file.display()))?;
    // The file itself may be a link, which is not followed.
    let path = match (named.parent(), named.file_name()) {
        (Some(parent), Some(name)) => os::resolve(parent)?.join(name),
        _ => os::resolve(&named)?,
    };
    let inside = deepest(config, |input| {
        let input = os::resolve(input).ok()?;
        path.strip_prefix(input).ok().map(Path::to_owned)
    });
    let by_link = match inside {
        Some(_) => None,
        None => deepest(config, |input| {
            named.strip_prefix(input).ok().map(Path::to_owned)
        })
        .map(|(folder, _)| folder),
    };
    Ok(Place {
        path,
        inside,
        by_link,
    })
}

fn deepest(
    config: &Config,
    relative: impl Fn(&Path) -> Option<PathBuf>,
) -> Option<(&Folder, PathBuf)> {
    let folders = config.folders.iter();
    folders
        .filter_map(|folder| Some((folder, relative(&folder.input)?)))
        .min_by_key(|(_, path)| path.components().count())
}

/// The output of a folder relative to its input, where it lies inside.
pub fn output_inside(folder: &Folder) -> Option<PathBuf> {
    os::relative_inside(&folder.output, &folder.input).unwrap_or_else(|_| {
        let inside = folder.output.strip_prefix(&folder.input).ok();
        inside.map(Path::to_owned)
    })
}

/// The folder that a picture lies in, or the first one.
pub fn folder_of<'a>(config: &'a Config, absolute: &Path) -> anyhow::Result<&'a Folder> {
    let inside = |folder: &&Folder| {
        folder
            .input
            .canonicalize()
            .is_ok_and(|input| absolute.starts_with(input))
    };
    let folder = config
        .folders
        .iter()
        .find(inside)
        .or(config.folders.first());
    folder.context("the configuration has no folder")
}
