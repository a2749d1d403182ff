//! Which pictures are to be made, and what each is to be called. A source is never a target.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use globset::GlobSet;

use crate::{picture::Format, staging, watch};

/// A picture that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub source: PathBuf,
    /// Its place in the output folder.
    pub relative: PathBuf,
    /// As its name promises.
    pub wanted: Format,
}

/// A path that cannot be taken, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub path: PathBuf,
    pub cause: String,
}

/// What the arguments name.
#[derive(Debug, Default)]
pub struct Gathered {
    pub found: Vec<Found>,
    pub refused: Vec<Refused>,
    /// Files in folders that are no pictures by their names.
    pub left_out: u64,
}

/// Looks at the arguments: files as they are, folders with their pictures. `output` is not gone into.
pub fn gather(files: &[PathBuf], recursive: bool, output: &Path) -> Gathered {
    let mut gathered = Gathered::default();
    let output = output.canonicalize().ok();
    for file in files {
        let looked = fs::metadata(file).and_then(|metadata| {
            if metadata.is_dir() {
                let output = output.as_deref();
                return walk(file, Path::new(""), recursive, output, &mut gathered);
            }
            let name = file.file_name().unwrap_or_default();
            match watch::promised_format(Path::new(name)) {
                Some(wanted) if metadata.is_file() => gathered.found.push(Found {
                    source: file.clone(),
                    relative: name.into(),
                    wanted,
                }),
                Some(_) => gathered.refuse(file, "it is no file"),
                None => gathered.refuse(
                    file,
                    "the name does not end in .jpg, .jpeg, .jpe, .jfif, .png or .webp",
                ),
            }
            Ok(())
        });
        if let Err(cause) = looked {
            gathered.refuse(file, &format!("cannot look at it: {cause}"));
        }
    }
    // One that was named twice is made once.
    let mut seen = HashSet::new();
    gathered.found.retain(|found| {
        let path = found.source.canonicalize();
        seen.insert(path.unwrap_or_else(|_| found.source.clone()))
    });
    gathered
}

impl Gathered {
    fn refuse(&mut self, path: &Path, cause: &str) {
        self.refused.push(Refused {
            path: path.to_owned(),
            cause: cause.to_owned(),
        });
    }
}

/// Takes the pictures of a folder, in the order of their names.
fn walk(
    folder: &Path,
    below: &Path,
    recursive: bool,
    output: Option<&Path>,
    gathered: &mut Gathered,
) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, relative) = (entry.path(), below.join(entry.file_name()));
        // Links to folders are not followed: they may lead round in a circle.
        if entry.file_type()?.is_dir() {
            let is_output = output.is_some() && path.canonicalize().ok().as_deref() == output;
            let is_taken = watch::judge_directory(&relative, &GlobSet::empty()).is_ok();
            if recursive
                && is_taken
                && !is_output
                && let Err(cause) = walk(&path, &relative, recursive, output, gathered)
            {
                gathered.refuse(&path, &format!("cannot read the folder: {cause}"));
            }
            continue;
        }
        match watch::judge(&relative, &GlobSet::empty()) {
            Ok(wanted) if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) => {
                gathered.found.push(Found {
                    source: path,
                    relative,
                    wanted,
                });
            }
            _ => gathered.left_out += 1,
        }
    }
    Ok(())
}

/// What stands at a place in the output folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    Nothing,
    /// A file, or something else.
    Something,
    /// One of the pictures that are to be made.
    Source,
}

/// Gives each picture a place in the output folder: its own name, or a numbered one if an earlier
/// picture has that. What is there is replaced only with `force`, and a source never.
pub fn assign(
    found: &[Found],
    force: bool,
    there: impl Fn(&Path) -> There,
) -> Vec<Result<PathBuf, Refused>> {
    let mut given = HashSet::new();
    let mut assign = |found: &Found| {
        for number in 0..=staging::NAMES {
            let name = found.relative.file_name().unwrap_or_default();
            let place = found
                .relative
                .with_file_name(staging::numbered(name, number));
            // Some file systems take names for one that differ in case alone.
            if given.contains(&folded(place.as_os_str())) {
                continue;
            }
            let cause = match there(&place) {
                There::Something if !force && number == 0 => {
                    "is there already; --force replaces it"
                }
                There::Source if number == 0 => "is a source itself: name another folder",
                There::Something if force => {
                    given.insert(folded(place.as_os_str()));
                    return Ok(place);
                }
                There::Nothing => {
                    given.insert(folded(place.as_os_str()));
                    return Ok(place);
                }
                There::Something | There::Source => continue,
            };
            return Err(cause);
        }
        Err("all its names are taken")
    };
    let mut assigned = Vec::with_capacity(found.len());
    for found in found {
        assigned.push(assign(found).map_err(|cause| Refused {
            path: found.relative.clone(),
            cause: cause.to_owned(),
        }));
    }
    assigned
}

fn folded(name: &OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(relative: &str) -> Found {
        Found {
            source: Path::new("/from").join(relative),
            relative: relative.into(),
            wanted: Format::Jpeg,
        }
    }

    #[test]
    fn every_picture_has_a_place_of_its_own() {
        let there = |path: &Path| match path.to_str() {
            Some("old.jpg" | "a.1.jpg") => There::Something,
            Some("in.jpg") => There::Source,
            _ => There::Nothing,
        };
        let names = ["a.jpg", "x/a.jpg", "A.jpg", "a.jpg", "old.jpg", "in.jpg"];
        for (force, wanted) in [
            (
                false,
                [
                    Ok("a.jpg"),
                    Ok("x/a.jpg"),
                    Ok("A.1.jpg"),
                    Ok("a.2.jpg"),
                    Err("--force"),
                    Err("source"),
                ],
            ),
            (
                true,
                [
                    Ok("a.jpg"),
                    Ok("x/a.jpg"),
                    Ok("A.1.jpg"),
                    Ok("a.2.jpg"),
                    Ok("old.jpg"),
                    Err("source"),
                ],
            ),
        ] {
            let assigned = assign(&names.map(found), force, there);
            for (place, wanted) in assigned.iter().zip(wanted) {
                match (place, wanted) {
                    (Ok(place), Ok(wanted)) => assert_eq!(place, Path::new(wanted)),
                    (Err(refused), Err(word)) => assert!(refused.cause.contains(word)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn files_are_taken_as_named_and_folders_with_their_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("in/sub")).unwrap();
        fs::create_dir_all(path("in/out")).unwrap();
        for name in [
            "in/b.jpg",
            "in/a.PNG",
            "in/.c.jpg",
            "in/t.txt",
            "in/sub/d.jpeg",
            "in/out/e.jpg",
        ] {
            fs::write(path(name), "").unwrap();
        }
        let files = ["in", "in/b.jpg", "in/t.txt", "gone.jpg"].map(path);
        for (recursive, wanted) in [
            (false, &["a.PNG", "b.jpg"][..]),
            (true, &["a.PNG", "b.jpg", "sub/d.jpeg"]),
        ] {
            let gathered = gather(&files, recursive, &path("in/out"));
            let places: Vec<&Path> = gathered
                .found
                .iter()
                .map(|found| &*found.relative)
                .collect();
            assert_eq!(places, wanted.iter().map(Path::new).collect::<Vec<_>>());
            let refused: Vec<&Path> = gathered.refused.iter().map(|one| &*one.path).collect();
            assert_eq!(refused, [&*files[2], &*files[3]]);
            assert_eq!(gathered.left_out, 2);
        }
    }
}
