//! The few things that std does not offer alike on every platform.

use std::{
    io,
    path::{Path, PathBuf},
};

#[cfg(unix)]
#[path = "os/unix.rs"]
mod platform;
#[cfg(not(unix))]
#[path = "os/windows.rs"]
mod platform;

pub use platform::{create_new, device, directory_identity, open_regular, sync_directory};

/// Tells whether a path still leads to the directory it led to before: device and inode.
pub type Identity = (u64, u64);

/// `path` relative to `directory`, where it lies inside, with links on the way resolved.
pub fn relative_inside(path: &Path, directory: &Path) -> io::Result<Option<PathBuf>> {
    let path = path.canonicalize()?;
    Ok(path
        .strip_prefix(directory.canonicalize()?)
        .ok()
        .map(Path::to_owned))
}
