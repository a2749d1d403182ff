//! Which names in a drop folder are pictures that have arrived, and which are something else: the
//! temporary files of copy programs, the litter of file managers and NAS systems, our own.

use std::path::Path;

use globset::GlobSet;

use crate::picture::Format;

/// What every temporary file of ours is called, in every output folder.
pub const TEMP_PREFIX: &str = ".watermarkd-";

/// Why a path is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("not a .jpg, .jpeg or .png")]
    Extension,
    #[error("hidden, temporary or a system's own name")]
    BuiltIn,
    #[error("matches a glob of `ignore`")]
    Glob,
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
    let extension = path.extension()?;
    if extension.eq_ignore_ascii_case("jpg") || extension.eq_ignore_ascii_case("jpeg") {
        Some(Format::Jpeg)
    } else if extension.eq_ignore_ascii_case("png") {
        Some(Format::Png)
    } else {
        None
    }
}

fn judge_names(path: &Path, ignore: &GlobSet) -> Result<(), Ignored> {
    for part in path {
        // Names that are not UTF-8 are legal; none of the patterns needs more than ASCII.
        if built_in(part.as_encoded_bytes()) {
            return Err(Ignored::BuiltIn);
        }
        if ignore.is_match(part) {
            return Err(Ignored::Glob);
        }
    }
    if ignore.is_match(path) {
        return Err(Ignored::Glob);
    }
    Ok(())
}

/// Names that copy programs, browsers, file managers, sync tools and NAS systems use for what is
/// not (yet) a user's picture.
fn built_in(name: &[u8]) -> bool {
    let ends = |end: &str| {
        name.len() >= end.len()
            && name[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
    };
    let is = |whole: &str| name.eq_ignore_ascii_case(whole.as_bytes());
    // `.*` covers `._*`, `.~tmp~`, `.DS_Store`, `.stfolder`, `.stversions`, `.nfs*`, `.Trash*`,
    // rsync's and Syncthing's temporaries and our own.
    name.first() == Some(&b'.')
        || name.first() == Some(&b'~')
        || name.last() == Some(&b'~')
        || [
            ".part",
            ".partial",
            ".crdownload",
            ".tmp",
            ".download",
            ".filepart",
        ]
        .iter()
        .any(|end| ends(end))
        || [
            "@eaDir",
            "#recycle",
            "@Recycle",
            "#snapshot",
            "@Recently-Snapshot",
            "$RECYCLE.BIN",
        ]
        .iter()
        .any(|whole| is(whole))
        || [
            "Thumbs.db",
            "desktop.ini",
            "__MACOSX",
            "System Volume Information",
            "lost+found",
        ]
        .iter()
        .any(|whole| is(whole))
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
            ("sub/dir/ü 1.PnG", Ok(Format::Png)),
            ("a~b.jpg", Ok(Format::Jpeg)),
            ("a.gif", Err(Ignored::Extension)),
            ("jpg", Err(Ignored::Extension)),
            (".jpg", Err(Ignored::Extension)),
            (".hidden.jpg", Err(Ignored::BuiltIn)),
            (".a.jpg.Xy12Zw", Err(Ignored::Extension)),
            ("._a.jpg", Err(Ignored::BuiltIn)),
            ("~a.jpg", Err(Ignored::BuiltIn)),
            ("a.jpg~", Err(Ignored::Extension)),
            ("a.jpg.part", Err(Ignored::Extension)),
            ("x.part/a.jpg", Err(Ignored::BuiltIn)),
            ("@eaDir/a.jpg", Err(Ignored::BuiltIn)),
            ("sub/#RECYCLE/a.jpg", Err(Ignored::BuiltIn)),
            (".~tmp~/a.jpg", Err(Ignored::BuiltIn)),
            (".watermarkd-1-2.jpg", Err(Ignored::BuiltIn)),
            ("a-draft.jpg", Err(Ignored::Glob)),
            ("sub/a-draft.png", Err(Ignored::Glob)),
            ("x/my-draft.d/a.png", Err(Ignored::Glob)),
            ("raw/a.jpg", Err(Ignored::Glob)),
        ] {
            assert_eq!(judge(Path::new(name), &ignore), verdict, "{name}");
        }
    }
}
