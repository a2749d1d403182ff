//! What the folders are called in lines for people: a path below a folder is shown from there on.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, is_separator},
    sync::{Arc, PoisonError, RwLock},
};

use crate::config::Folder;

/// The names in force; a reload changes them for all writers at once.
#[derive(Clone, Default)]
pub struct Names(Arc<RwLock<Known>>);

/// From a folder's path to what stands for it, which is nothing for the only input.
#[derive(Debug, Default)]
pub struct Known(HashMap<String, String>);

impl Names {
    pub fn set(&self, folders: &[Folder]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known::of(folders);
    }

    pub fn with<T>(&self, what: impl FnOnce(&Known) -> T) -> T {
        what(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn of(folders: &[Folder]) -> Known {
        let inputs: BTreeSet<&Path> = folders.iter().map(|folder| &*folder.input).collect();
        let others = folders
            .iter()
            .flat_map(|folder| folder.moved_to().chain([&*folder.output]));
        let all: BTreeSet<&Path> = inputs.iter().copied().chain(others).collect();
        let mut known = tails(&all);
        if let [only] = folders
            && let Some(name) = known.get_mut(&*only.input.to_string_lossy())
        {
            name.clear();
        }
        Known(known)
    }

    /// The name of the folder that a path lies below, and the rest of the path.
    #[must_use]
    pub fn below<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a str)> {
        let mut end = path.len();
        while let Some(at) = path[..end].rfind(is_separator) {
            if let Some(name) = self.0.get(&path[..at]) {
                return Some((name, &path[at + 1..]));
            }
            end = at;
        }
        None
    }
}

/// The ends of paths by which they can be told apart, as short as can be.
fn tails(paths: &BTreeSet<&Path>) -> HashMap<String, String> {
    let mut tails = HashMap::new();
    let mut open: Vec<&Path> = paths.iter().copied().collect();
    for parts in 1.. {
        let mut counts: HashMap<String, u32> = HashMap::new();
        for path in paths {
            *counts.entry(tail(path, parts)).or_default() += 1;
        }
        open.retain(|path| {
            let tail = tail(path, parts);
            let is_clear = counts.get(&tail) == Some(&1) || path.components().count() <= parts;
            if is_clear {
                tails.insert(path.to_string_lossy().into_owned(), tail);
            }
            !is_clear
        });
        if open.is_empty() {
            break;
        }
    }
    tails
}

/// The last `parts` of a path.
fn tail(path: &Path, parts: usize) -> String {
    let skipped = path.components().count().saturating_sub(parts);
    let tail: &Path = &path
        .components()
        .skip(skipped)
        .collect::<std::path::PathBuf>();
    tail.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_called_by_what_tells_them_apart() {
        let paths = ["/nas/in", "/nas/out", "/nas/b/in", "/in", "/nas/b/in/done"];
        let known = Known(tails(&paths.map(Path::new).into()));
        for (path, wanted) in [
            ("/nas/in/a.jpg", Some(("nas/in", "a.jpg"))),
            ("/nas/b/in/x/a.jpg", Some(("b/in", "x/a.jpg"))),
            ("/nas/b/in/done/a.jpg", Some(("done", "a.jpg"))),
            ("/in/a.jpg", Some(("/in", "a.jpg"))),
            ("/nas/out/a.jpg", Some(("out", "a.jpg"))),
            ("/nas/in", None),
            ("/nas/inside/a.jpg", None),
            ("a.jpg", None),
        ] {
            assert_eq!(known.below(path), wanted, "{path}");
        }
    }
}
