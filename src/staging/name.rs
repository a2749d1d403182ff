//! Names in a directory: whether one is taken and by what, and the next one that is like it.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufRead, BufReader, Seek},
    path::Path,
};

use crate::{
    os::Directory,
    template::{LONGEST_NAME, cut},
};

/// How a name is spelled that a directory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    Same,
    /// The file system takes it for the same name, such as `A.JPG` for `a.jpg`.
    Other,
}

/// Looks whether a name is taken, and whether as it is spelled here. Only where the file system
/// takes other spellings for the same is the whole directory read.
pub fn spelling(directory: &Directory, name: &OsStr) -> io::Result<Option<Spelling>> {
    if directory.look(name)?.is_none() {
        return Ok(None);
    }
    // Inodes do not tell: some FUSE file systems give each spelling one of its own.
    let folds = match name.to_str() {
        // Accents can be spelled in two ways.
        Some(text) if !text.is_ascii() => true,
        Some(text) => {
            let other: String = text.chars().map(swap_case).collect();
            other != text && directory.look(OsStr::new(&other))?.is_some()
        }
        None => false,
    };
    if folds && !directory.names()?.iter().any(|one| one == name) {
        return Ok(Some(Spelling::Other));
    }
    Ok(Some(Spelling::Same))
}

fn swap_case(letter: char) -> char {
    if letter.is_ascii_lowercase() {
        letter.to_ascii_uppercase()
    } else {
        letter.to_ascii_lowercase()
    }
}

pub fn hold_the_same(directory: &Directory, one: &OsStr, two: &OsStr) -> io::Result<bool> {
    let (Some(left), Some(right)) = (directory.look(one)?, directory.look(two)?) else {
        return Ok(false);
    };
    if !right.is_file || left.length != right.length {
        return Ok(false);
    }
    is_same_content(
        &mut directory.open_file(one)?,
        &mut directory.open_file(two)?,
    )
}

/// Compares two files from their beginnings on, byte by byte.
pub fn is_same_content(one: &mut File, two: &mut File) -> io::Result<bool> {
    one.rewind()?;
    two.rewind()?;
    let (mut one, mut two) = (
        BufReader::with_capacity(1 << 16, one),
        BufReader::with_capacity(1 << 16, two),
    );
    loop {
        let (left, right) = (one.fill_buf()?, two.fill_buf()?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] || left.is_empty() != right.is_empty() {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
        one.consume(length);
        two.consume(length);
    }
}

/// `a.jpg`, `a.1.jpg`, `a.2.jpg` and so on. The stem of a name that would become too long is cut.
#[must_use]
pub fn numbered(name: &OsStr, number: u32) -> OsString {
    if number == 0 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let extension = path.extension().unwrap_or_default();
    let ending = if extension.is_empty() {
        OsString::from(format!(".{number}"))
    } else {
        let mut ending = OsString::from(format!(".{number}."));
        ending.push(extension);
        ending
    };
    let stem = path.file_stem().unwrap_or(name);
    let mut new = cut(stem, LONGEST_NAME.saturating_sub(ending.len()));
    new.push(ending);
    new
}

/// Whether `name` is what [`numbered`] makes of `base`.
pub fn is_numbered(name: &OsStr, base: &OsStr) -> bool {
    // The number is the last part of a name without an extension, and the last but one of others.
    let last = Path::new(name).extension();
    let before = Path::new(name)
        .file_stem()
        .and_then(|stem| Path::new(stem).extension());
    let is_made_with = |part: &OsStr| {
        let number = part.to_str().and_then(|text| text.parse().ok());
        number.is_some_and(|number| numbered(base, number) == name)
    };
    name == base || last.is_some_and(is_made_with) || before.is_some_and(is_made_with)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_number_stands_before_the_extension_and_the_name_stays_short_enough() {
        let long = |stem: &str, ending: &str| format!("{stem}{ending}");
        let (a, e) = ("a".repeat(251), "é".repeat(125));
        for (name, number, expected) in [
            ("a.jpg", 0, "a.jpg".to_owned()),
            ("a.jpg", 1, "a.1.jpg".to_owned()),
            ("a.b.jpg", 12, "a.b.12.jpg".to_owned()),
            ("a", 3, "a.3".to_owned()),
            (&long(&a, ".jpg"), 1, long(&a[..249], ".1.jpg")),
            // A letter of two bytes is not cut in half.
            (&long(&e, ".jpeg"), 1, long(&"é".repeat(124), ".1.jpeg")),
        ] {
            let found = numbered(OsStr::new(name), number);
            assert_eq!(found, OsStr::new(&expected), "{name} {number}");
            assert!(found.len() <= LONGEST_NAME);
            assert!(is_numbered(&found, OsStr::new(name)), "{name} {number}");
        }
        assert!(!is_numbered(OsStr::new("b.1.jpg"), OsStr::new("a.jpg")));
        assert!(!is_numbered(OsStr::new("a.x.jpg"), OsStr::new("a.jpg")));
    }

    #[test]
    fn a_name_is_taken_as_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.JPG"), "").unwrap();
        fs::write(folder.path().join("\u{e9}.jpg"), "").unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let found = |name: &str| spelling(&directory, OsStr::new(name)).unwrap();
        assert_eq!(found("a.JPG"), Some(Spelling::Same));
        assert_eq!(found("\u{e9}.jpg"), Some(Spelling::Same));
        assert_eq!(found("b.jpg"), None);
        // None where the two are two names.
        assert_ne!(found("A.jpg"), Some(Spelling::Same));
        assert_ne!(found("e\u{301}.jpg"), Some(Spelling::Same));
    }
}
