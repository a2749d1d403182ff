//! Which names in a drop folder are pictures that have arrived, and which are something else: the
//! temporary files of copy programs, the litter of file managers and NAS systems, our own.

use std::{ffi::OsStr, path::Path};

use globset::GlobSet;

use crate::{config::Folder, picture::Format};

/// Why a path is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("not a .jpg, .jpeg, .jpe, .jfif, .png or .webp")]
    Extension,
    /// With the pattern.
    #[error("hidden, temporary or a system's own name: {0}")]
    BuiltIn(&'static str),
    /// With its place in the list, from 0.
    #[error("matches a glob of `ignore`")]
    Glob(usize),
    #[error("lies in the output")]
    Output,
    #[error("lies in a subfolder, and the folder is not recursive")]
    Subfolder,
}

/// What a watched folder says to a path in it. `output` is the folder's output, relative to its
/// input as `path` is, where it lies inside.
pub fn judge_in(folder: &Folder, output: Option<&Path>, path: &Path) -> Result<Format, Ignored> {
    if output.is_some_and(|output| path.starts_with(output)) {
        return Err(Ignored::Output);
    }
    if !folder.recursive && path.components().nth(1).is_some() {
        return Err(Ignored::Subfolder);
    }
    judge(path, &folder.ignore)
}

/// The format that a name promises, or why the name is not taken. `path` is relative to the
/// folder's input; every part of it is judged.
pub fn judge(path: &Path, ignore: &GlobSet) -> Result<Format, Ignored> {
    let format = promised_format(path).ok_or(Ignored::Extension)?;
    judge_names(path, ignore)?;
    Ok(format)
}

/// Whether a directory, relative to the folder's input, is entered.
pub fn judge_directory(path: &Path, ignore: &GlobSet) -> Result<(), Ignored> {
    judge_names(path, ignore)
}

/// The format that a file name's extension promises.
#[must_use]
pub fn promised_format(path: &Path) -> Option<Format> {
    Format::of_extension(path.extension()?)
}

fn judge_names(path: &Path, ignore: &GlobSet) -> Result<(), Ignored> {
    let glob = |name: &Path| {
        // Most names match none, and that question costs no allocation.
        ignore.is_match(name).then(|| ignore.matches(name))
    };
    let refused = |matches: Vec<usize>| Ignored::Glob(matches.first().copied().unwrap_or(0));
    for part in path {
        // Names that are not UTF-8 are legal; none of the patterns needs more than ASCII.
        if let Some(pattern) = built_in(part.as_encoded_bytes()) {
            return Err(Ignored::BuiltIn(pattern));
        }
        if let Some(matches) = glob(Path::new(part)) {
            return Err(refused(matches));
        }
    }
    match glob(path) {
        Some(matches) => Err(refused(matches)),
        None => Ok(()),
    }
}

/// Names that copy programs, browsers, file managers, sync tools and NAS systems use for what is
/// not (yet) a user's picture; a star stands at one end only.
const BUILT_IN: [&str; 20] = [
    // This covers `._*`, `.~tmp~`, `.DS_Store`, `.stfolder`, `.stversions`, `.nfs*`, `.Trash*`,
    // rsync's and Syncthing's temporaries and our own.
    ".*",
    "~*",
    "*~",
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.tmp",
    "*.download",
    "*.filepart",
    "@eaDir",
    "#recycle",
    "@Recycle",
    "#snapshot",
    "@Recently-Snapshot",
    "$RECYCLE.BIN",
    "Thumbs.db",
    "desktop.ini",
    "__MACOSX",
    "System Volume Information",
    "lost+found",
];

/// Whether a name is hidden, temporary or a system's own.
pub fn is_hidden(name: &OsStr) -> bool {
    built_in(name.as_encoded_bytes()).is_some()
}

/// The pattern that a name matches, whatever its case.
fn built_in(name: &[u8]) -> Option<&'static str> {
    let is_like = |pattern: &&str| {
        let pattern = pattern.as_bytes();
        match (pattern.strip_prefix(b"*"), pattern.strip_suffix(b"*")) {
            (Some(end), _) => {
                let start = name.len().checked_sub(end.len());
                start.is_some_and(|start| name[start..].eq_ignore_ascii_case(end))
            }
            (_, Some(start)) => name.starts_with(start),
            _ => name.eq_ignore_ascii_case(pattern),
        }
    };
    BUILT_IN.into_iter().find(|pattern| is_like(pattern))
}

#[cfg(test)]
mod tests {
    use globset::{Glob, GlobSetBuilder};

    use super::*;

    #[test]
    fn names() {
        let ignore = GlobSetBuilder::new()
            .add(Glob::new("*-draft.*").unwrap())
            .add(Glob::new("raw/**").unwrap())
            .build()
            .unwrap();
        for (name, verdict) in [
            ("a.jpg", Ok(Format::Jpeg)),
            ("A.JPEG", Ok(Format::Jpeg)),
            ("a.jpe", Ok(Format::Jpeg)),
            ("Download.JFIF", Ok(Format::Jpeg)),
            ("sub/dir/ü 1.PnG", Ok(Format::Png)),
            ("a~b.jpg", Ok(Format::Jpeg)),
            ("a.WebP", Ok(Format::WebP)),
            ("a.gif", Err(Ignored::Extension)),
            ("jpg", Err(Ignored::Extension)),
            (".jpg", Err(Ignored::Extension)),
            (".hidden.jpg", Err(Ignored::BuiltIn(".*"))),
            (".a.jpg.Xy12Zw", Err(Ignored::Extension)),
            ("._a.jpg", Err(Ignored::BuiltIn(".*"))),
            ("~a.jpg", Err(Ignored::BuiltIn("~*"))),
            ("a.jpg~", Err(Ignored::Extension)),
            ("a.jpg.part", Err(Ignored::Extension)),
            ("x.part/a.jpg", Err(Ignored::BuiltIn("*.part"))),
            ("@eaDir/a.jpg", Err(Ignored::BuiltIn("@eaDir"))),
            ("sub/#RECYCLE/a.jpg", Err(Ignored::BuiltIn("#recycle"))),
            (".~tmp~/a.jpg", Err(Ignored::BuiltIn(".*"))),
            (".watermarkd-1-2.jpg", Err(Ignored::BuiltIn(".*"))),
            ("x~/a.jpg", Err(Ignored::BuiltIn("*~"))),
            ("thumbs.DB/a.jpg", Err(Ignored::BuiltIn("Thumbs.db"))),
            ("a-draft.jpg", Err(Ignored::Glob(0))),
            ("sub/a-draft.png", Err(Ignored::Glob(0))),
            ("x/my-draft.d/a.png", Err(Ignored::Glob(0))),
            ("raw/a.jpg", Err(Ignored::Glob(1))),
        ] {
            assert_eq!(judge(Path::new(name), &ignore), verdict, "{name}");
        }
    }
}
