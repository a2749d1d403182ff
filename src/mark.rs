//! A watermark: an RGBA picture read once from a `.npy` array (or a PNG or JPEG) and shared by
//! all workers.

mod npy;
mod sample;
pub mod text;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView3;
use ndarray_npy::WriteNpyExt;

use crate::picture::open_rgba;

pub use sample::sample;

/// Pixels that a mark may have: far more than any picture's mark needs, little enough to hold.
const MAX_PIXELS: u64 = 32_000_000;

/// Bytes that a mark's file may have: the largest mark in 64-bit floats.
const MAX_BYTES: u64 = MAX_PIXELS * 4 * 8 + 65_536;

/// A watermark ready for blending: 8-bit sRGB with straight (not premultiplied) alpha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Pixels, at least 1.
    pub width: u32,
    /// Pixels, at least 1.
    pub height: u32,
    /// `width × height × 4` bytes, rows top to bottom, R G B A.
    pub rgba: Vec<u8>,
}

/// Why a mark could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    #[error("mark {path}: cannot be read", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("mark {path}: cannot be written: {cause}", path = path.display())]
    Write { path: PathBuf, cause: String },
    /// What was found and what is wanted instead.
    #[error("mark {path}: {cause}", path = path.display())]
    Content { path: PathBuf, cause: String },
}

/// Reads a mark. The content decides what it is, not the name; `.npy` may be left out of the name.
pub fn load(path: &Path) -> Result<Mark, MarkError> {
    let bytes = read(path).map_err(|source| MarkError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes).map_err(|cause| MarkError::Content {
        path: path.to_owned(),
        cause,
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A FIFO would be waited on for ever.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("not a file"));
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut longer = path.as_os_str().to_owned();
            longer.push(".npy");
            // The name as it was given is the one to report.
            File::open(longer).map_err(|_second| error)?
        }
        other => other?,
    };
    let length = file.metadata()?.len();
    if length > MAX_BYTES {
        let cause = format!("the file has {length} bytes, {MAX_BYTES} are allowed");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, cause));
    }
    let mut bytes = Vec::new();
    // A growing file does not end where its metadata says.
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Mark, String> {
    if bytes.starts_with(npy::SIGNATURE) {
        return npy::parse(bytes);
    }
    if bytes.is_empty() {
        return Err("the file is empty, a .npy array, PNG or JPEG is wanted".to_owned());
    }
    let (width, height, rgba) = open_rgba(bytes, MAX_PIXELS)
        .map_err(|error| format!("{error}; a .npy array, PNG or JPEG is wanted"))?;
    Ok(Mark {
        width,
        height,
        rgba,
    })
}

/// Writes a mark as an H×W×4 array of uint8, in place.
pub fn save(mark: &Mark, path: &Path) -> Result<(), MarkError> {
    let failed = |cause: String| MarkError::Write {
        path: path.to_owned(),
        cause,
    };
    let file = File::create(path).map_err(|error| failed(error.to_string()))?;
    write(mark, BufWriter::new(file)).map_err(failed)
}

/// The bytes of such an array, for whoever makes a file of them.
pub fn to_npy(mark: &Mark) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(mark, &mut bytes).map_err(anyhow::Error::msg)?;
    Ok(bytes)
}

fn write(mark: &Mark, to: impl Write) -> Result<(), String> {
    let shape = (mark.height as usize, mark.width as usize, 4);
    let array = ArrayView3::from_shape(shape, &mark.rgba).map_err(|error| error.to_string())?;
    array.write_npy(to).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_with_and_without_extension() {
        let folder = tempfile::tempdir().unwrap();
        let mark = sample();
        save(&mark, &folder.path().join("mark.npy")).unwrap();
        assert_eq!(load(&folder.path().join("mark.npy")).unwrap(), mark);
        assert_eq!(load(&folder.path().join("mark")).unwrap(), mark);
    }

    #[test]
    fn a_png_is_a_mark_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark.of.any.name");
        let rgba = vec![1, 2, 3, 4, 5, 6, 7, 8];
        image::RgbaImage::from_raw(2, 1, rgba.clone())
            .unwrap()
            .save_with_format(&path, image::ImageFormat::Png)
            .unwrap();
        assert_eq!(
            load(&path).unwrap(),
            Mark {
                width: 2,
                height: 1,
                rgba
            }
        );
    }

    #[test]
    fn errors_name_the_file_and_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(&folder.path().join("nothing")).unwrap_err();
        assert!(
            matches!(&error, MarkError::Read { path, .. } if path.ends_with("nothing")),
            "{error}"
        );
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "GIF89a and more").unwrap();
        let error = load(&path).unwrap_err().to_string();
        for part in ["notes.txt", "GIF", "a .npy array, PNG or JPEG is wanted"] {
            assert!(error.contains(part), "{error}");
        }
        std::fs::write(&path, "").unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("empty"));
    }
}
