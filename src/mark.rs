//! Makes marks: reads them from `.npy` arrays, PNG or JPEG, draws them from a text, and writes them
//! as arrays. A mark is made once and shared by all workers.

mod npy;
mod sample;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView3;
use ndarray_npy::WriteNpyExt;

use crate::picture::open_rgba;

pub use crate::picture::{Mark, lettering as text};
pub use sample::sample;

/// Bytes that a mark's file may have: the largest mark in 64-bit floats.
const MAX_BYTES: u64 = Mark::MAX_PIXELS * 4 * 8 + 65_536;

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

/// Bytes of a font's file: collections of Chinese, Japanese and Korean fonts have about a hundred
/// million.
const LARGEST_FONT: u64 = 512 << 20;

/// Reads a font's file. The error names it.
pub fn font(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |cause: &dyn std::fmt::Display| format!("font {}: {cause}", path.display());
    // A FIFO would be waited on for ever.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(failed(&"is not a file"));
    }
    let mut bytes = Vec::new();
    let source = File::open(path).map_err(|cause| failed(&cause))?;
    let read = source.take(LARGEST_FONT + 1).read_to_end(&mut bytes);
    if read.map_err(|cause| failed(&cause))? as u64 > LARGEST_FONT {
        return Err(failed(&format!(
            "more than {LARGEST_FONT} bytes are not taken"
        )));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Mark, String> {
    if bytes.starts_with(npy::SIGNATURE) {
        return npy::parse(bytes);
    }
    if bytes.is_empty() {
        return Err("the file is empty, a .npy array, PNG or JPEG is wanted".to_owned());
    }
    open_rgba(bytes, Mark::MAX_PIXELS)
        .map_err(|error| format!("{error}; a .npy array, PNG or JPEG is wanted"))
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

    #[test]
    fn a_picture_with_a_profile_becomes_a_mark_in_srgb() {
        let mut bytes = Vec::new();
        let mut info = png::Info::with_size(1, 1);
        info.color_type = png::ColorType::Rgba;
        let adobe = moxcms::ColorProfile::new_adobe_rgb();
        info.icc_profile = Some(adobe.encode().unwrap().into());
        let encoder = png::Encoder::with_info(&mut bytes, info).unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[219, 0, 0, 99]).unwrap();
        writer.finish().unwrap();
        let [red, green, blue, alpha] = parse(&bytes).unwrap().rgba[..] else {
            panic!("a pixel")
        };
        assert!(
            red >= 254 && green <= 1 && blue <= 1,
            "{red} {green} {blue}"
        );
        assert_eq!(alpha, 99);
    }

    /// Flips, cuts, zeroes and repeats parts of marks of every kind: each is a mark or refused in
    /// words, soon and without a panic.
    #[test]
    #[expect(clippy::too_many_lines, reason = "it is read from top to bottom")]
    fn mutated_marks_are_marks_or_refused() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below.max(1)
        };
        let array = to_npy(&sample()).unwrap();
        let (data, header) = (array.len() - sample().rgba.len(), array[10..].to_vec());
        let mut sources = vec![array[..data + 4 * 400].to_vec(), array.clone()];
        for version in [2, 3] {
            let mut longer = array[..6].to_vec();
            longer.extend([version, 0, array[8], array[9], 0, 0]);
            longer.extend(&header);
            sources.push(longer);
        }
        let picture = image::RgbImage::from_fn(40, 30, |x, y| {
            let value = |at: u32| u8::try_from(at % 256).unwrap();
            image::Rgb([value(x * 6), value(y * 8), value(x * y)])
        });
        for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
            let mut bytes = io::Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            sources.push(bytes.into_inner());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let started = std::time::Instant::now();
        let (mut loaded, mut refused) = (0, 0);
        for round in 0..1200 {
            let mut bytes = sources[round % sources.len()].clone();
            // Most of what can go wrong stands in the first bytes.
            let reach = [150, bytes.len()][random(2)].min(bytes.len());
            for _ in 0..=random(3) {
                let at = random(reach.min(bytes.len()));
                let end = (at + 1 + random(12)).min(bytes.len());
                match random(6) {
                    0 | 1 => bytes[at] = u8::try_from(random(256)).unwrap(),
                    2 => bytes[at] = b"0123456789()[]<>|'"[random(18)],
                    3 => bytes[at..end].fill(0),
                    4 => {
                        let part = bytes[at..end].to_vec();
                        bytes.splice(at..at, part);
                    }
                    _ => bytes.truncate(end),
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            match load(&path) {
                Ok(mark) => {
                    assert_eq!(
                        mark.rgba.len() as u64,
                        u64::from(mark.width) * u64::from(mark.height) * 4
                    );
                    loaded += 1;
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.starts_with("mark ") && !text.contains(" { "), "{text}");
                    refused += 1;
                }
            }
        }
        assert!(
            loaded > 100 && refused > 300,
            "{loaded} loaded, {refused} refused"
        );
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}
