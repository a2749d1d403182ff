//! The few things that std does not offer alike on every platform.

use std::{
    io,
    path::{self, Component, Path, PathBuf},
};

#[cfg(unix)]
mod directory;
#[cfg(not(unix))]
#[path = "os/directory_windows.rs"]
mod directory;
mod facts;
mod memory;
pub mod mounts;
#[cfg(unix)]
#[path = "os/unix.rs"]
mod platform;
#[cfg(not(unix))]
#[path = "os/windows.rs"]
mod platform;
#[cfg(unix)]
mod sync;
#[cfg(target_os = "linux")]
mod user;
#[cfg(not(target_os = "linux"))]
#[path = "os/user_elsewhere.rs"]
mod user;

pub use directory::{Directory, Entry};
pub use facts::{Identity, Space};
pub use memory::{give_back_what_is_freed, limit_own_memory, memory};
pub use platform::{
    create_new, ctime_ns, death, first_bytes, has_hole, identity, inode, is_link, is_of_device,
    is_of_encoding, is_writable, limit_access, mount_point, space, start_writing, sync_directory,
    user_name, without_links,
};

pub use user::{User, is_root, user, with_rights_of};

/// The program that this process runs, also after its file was replaced by a newer one.
pub fn own_program() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && link.exists() {
        return Ok(link.to_owned());
    }
    std::env::current_exe()
}

/// `path` relative to `directory`, where it lies inside, with links on the way resolved.
pub fn relative_inside(path: &Path, directory: &Path) -> io::Result<Option<PathBuf>> {
    Ok(resolve(path)?
        .strip_prefix(resolve(directory)?)
        .ok()
        .map(Path::to_owned))
}

/// `path` with the links on the way resolved, as far as it exists. From what is missing ".." goes
/// back by name, as it will once that is there.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let path = path::absolute(path)?;
    for ancestor in path.ancestors() {
        let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) else {
            continue;
        };
        let mut resolved = real;
        for component in rest.components() {
            if component == Component::ParentDir {
                resolved.pop();
            } else {
                resolved.push(component);
            }
        }
        return Ok(resolved);
    }
    Ok(path)
}

/// Windows: longer names only reach the system in the canonical form.
const LONG_NAME: usize = 240;

/// The path under which the system's events name a folder: macOS resolves all links on the way.
pub fn watch_path(path: &Path) -> PathBuf {
    let canonical =
        cfg!(target_os = "macos") || cfg!(windows) && path.as_os_str().len() > LONG_NAME;
    if canonical {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    } else {
        path.to_owned()
    }
}
