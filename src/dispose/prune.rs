//! Subfolders of an input that were emptied are removed, if the folder says so: never the input
//! itself, and never one with anything in it, which the system sees to.
//!
//! One that has just been emptied may be about to be filled: who copies a folder makes it first and
//! then its files, one by one. So it is left alone for a while after the last file that left it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tracing::{debug, info};

use crate::{log::text, os::Directory};

/// Since the last file left.
pub const QUIET: Duration = Duration::from_secs(120);
/// Folders that are kept in mind; others stay until a file leaves them again.
const AT_MOST: usize = 10_000;

/// Folders that may be empty now.
#[derive(Debug, Default)]
pub struct Emptied {
    /// Input, and the folder below it, with the time at which it is looked at.
    folders: BTreeMap<(PathBuf, PathBuf), Instant>,
}

impl Emptied {
    /// A file has left.
    pub fn note(&mut self, input: &Path, file: &Path) {
        let Some(parent) = file.parent().filter(|parent| *parent != Path::new("")) else {
            return;
        };
        let folder = (input.to_owned(), parent.to_owned());
        if self.folders.len() < AT_MOST || self.folders.contains_key(&folder) {
            self.folders.insert(folder, Instant::now() + QUIET);
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.folders.values().min().copied()
    }

    /// Removes what is due and empty.
    pub fn prune(&mut self, now: Instant) {
        let mut due = Vec::new();
        self.folders.retain(|key, at| {
            let waits = *at > now;
            if !waits {
                due.push(key.clone());
            }
            waits
        });
        for (mut input, folder) in due {
            for folder in folder.ancestors().filter(|one| *one != Path::new("")) {
                let key = (input, folder.to_owned());
                // A file has left this one a moment ago.
                let waits = self.folders.contains_key(&key);
                input = key.0;
                if waits {
                    break;
                }
                let path = input.join(folder);
                match remove(&input, folder) {
                    Ok(()) => info!(path = text(&path), "empty folder removed"),
                    Err(cause) => {
                        let cause = cause.to_string();
                        debug!(path = text(&path), cause, "folder stays");
                        break;
                    }
                }
            }
        }
    }
}

/// Through no link on the way.
fn remove(input: &Path, folder: &Path) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new(""));
    let name = folder.file_name().unwrap_or(OsStr::new(""));
    let directory = Directory::open(input)?.descend(parent)?;
    directory.remove_directory(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_is_empty_and_was_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().canonicalize().unwrap();
        for folder in ["a/b/c", "full/x", "untouched", "a2/b"] {
            fs::create_dir_all(input.join(folder)).unwrap();
        }
        fs::write(input.join("full/new.jpg"), "").unwrap();
        let mut emptied = Emptied::default();
        for file in [
            "a/b/c/1.jpg",
            "a/b/c/2.jpg",
            "full/x/1.jpg",
            "top.jpg",
            "gone/1.jpg",
        ] {
            emptied.note(&input, Path::new(file));
        }
        emptied.prune(Instant::now());
        assert!(input.join("a/b/c").exists(), "it was left a moment ago");
        assert_eq!(emptied.folders.len(), 3);
        emptied.prune(Instant::now() + QUIET);
        assert!(emptied.next().is_none());
        fs::create_dir_all(input.join("busy/deep")).unwrap();
        let folder = |name: &str| (input.clone(), PathBuf::from(name));
        let now = Instant::now();
        emptied.folders.insert(folder("busy/deep"), now);
        emptied.folders.insert(folder("busy"), now + QUIET);
        emptied.prune(now);
        assert!(!input.join("busy/deep").exists());
        assert!(input.join("busy").exists(), "a file has just left it");
        for (folder, stays) in [
            ("a", false),
            ("full/x", false),
            ("full", true),
            ("untouched", true),
            ("a2/b", true),
        ] {
            assert_eq!(input.join(folder).exists(), stays, "{folder}");
        }
    }
}
