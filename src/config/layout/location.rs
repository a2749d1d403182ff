//! Where a configured folder lies, whatever it is called.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::os;

/// A directory, whatever it is called: symlinks are resolved, and bind mounts have an identity.
pub struct Location {
    pub path: PathBuf,
    identity: Option<os::Identity>,
}

impl Location {
    pub fn same(&self, other: &Self) -> bool {
        self.path == other.path || (self.identity.is_some() && self.identity == other.identity)
    }

    pub fn inside(&self, other: &Self) -> bool {
        self.path != other.path && self.path.starts_with(&other.path)
    }
}

/// Where an input lies. One that is not there is offline.
pub fn of_input(input: &Path) -> Result<Location, String> {
    let located = || {
        fs::read_dir(input)?;
        Ok(Location {
            path: fs::canonicalize(input)?,
            identity: os::identity(&fs::metadata(input)?),
        })
    };
    located().or_else(|error: io::Error| {
        offline(input, &error).ok_or_else(|| format!("cannot read {}: {error}", input.display()))
    })
}

/// Where a folder will lie that is not there, unless something else is in its place.
fn offline(path: &Path, error: &io::Error) -> Option<Location> {
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied => None,
        _ => Some(Location {
            path: os::resolve(path).ok()?,
            identity: None,
        }),
    }
}

/// Where an output lies. It need not exist, as the daemon makes it.
pub fn of_output(output: &Path) -> Result<Location, String> {
    let failed = |path: &Path, error: &io::Error| format!("cannot use {}: {error}", path.display());
    match fs::canonicalize(output) {
        Ok(path) if path.is_dir() => {
            let metadata = fs::metadata(&path).map_err(|error| failed(output, &error))?;
            Ok(Location {
                identity: os::identity(&metadata),
                path,
            })
        }
        Ok(_) => Err(failed(output, &io::ErrorKind::NotADirectory.into())),
        Err(error) => offline(output, &error).ok_or_else(|| failed(output, &error)),
    }
}
