//! What a picture says of when, with what and by whom it was taken, for the names of its results and the
//! texts on them.

use std::ffi::OsString;

use jiff::civil::DateTime;

use super::markers::{self, APP1};
use super::probe::sniff;
use super::recipe::Format;
use super::{chunks, exif, riff};
use crate::template::About;

/// Longer texts are cut: more than any camera's name.
const LONGEST: usize = 64;

/// What the EXIF block of a picture tells of a source of this name. `written` is when its file was last
/// written, for one that does not say when it was taken.
#[must_use]
pub fn about(bytes: &[u8], source: OsString, written: DateTime) -> About {
    let tiff = block(bytes).unwrap_or_default();
    let rights = exif::rights(tiff);
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0')
            .chars()
            .take(LONGEST)
            .collect::<String>()
    };
    let (make, model) = exif::camera(tiff);
    let (make, model) = (text(make), text(model));
    let maker = make.split_whitespace().next().unwrap_or_default();
    let is_in_model = model.to_lowercase().starts_with(&maker.to_lowercase());
    let taken = DateTime::strptime("%Y:%m:%d %H:%M:%S", text(rights.taken));
    // The photographer's, and behind a NUL the editor's.
    let copyright = rights.copyright.split(|byte| *byte == 0).next();
    About {
        source,
        taken: taken.unwrap_or(written),
        artist: text(rights.artist),
        copyright: text(copyright.unwrap_or_default()),
        camera: if model.is_empty() {
            make
        } else if make.is_empty() || is_in_model {
            model
        } else {
            format!("{make} {model}")
        },
    }
}

fn block(bytes: &[u8]) -> Option<&[u8]> {
    match sniff(bytes)? {
        Format::Jpeg => markers::before_scan(bytes)
            .filter(|(marker, _)| *marker == APP1)
            .find_map(|(_, body)| markers::exif(body)),
        Format::WebP => riff::Walk::new(bytes)
            .find(|(kind, _)| *kind == b"EXIF")
            .and_then(|(_, body)| bytes.get(body))
            .map(riff::tiff),
        Format::Png => chunks::all(bytes)
            .find(|(kind, _)| *kind == b"eXIf")
            .map(|(_, body)| body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG with nothing but an EXIF block of a maker and a model.
    fn jpeg(make: &str, model: &str) -> Vec<u8> {
        let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
        let mut texts = Vec::new();
        for (tag, text) in [(0x010f_u16, make), (0x0110, model)] {
            let text = format!("{text}\0    ");
            tiff.extend(tag.to_be_bytes());
            tiff.extend(2_u16.to_be_bytes());
            tiff.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            let at = 8 + 2 + 24 + 4 + texts.len();
            tiff.extend(u32::try_from(at).unwrap().to_be_bytes());
            texts.extend(text.into_bytes());
        }
        tiff.extend([0; 4]);
        tiff.extend(texts);
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe1];
        jpeg.extend(u16::try_from(tiff.len() + 8).unwrap().to_be_bytes());
        jpeg.extend(b"Exif\0\0");
        jpeg.extend(tiff);
        jpeg.extend([0xff, 0xd9]);
        jpeg
    }

    #[test]
    fn a_maker_is_told_once() {
        for (make, model, camera) in [
            ("Canon", "Canon EOS R5", "Canon EOS R5"),
            ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
            ("Apple", "iPhone 12", "Apple iPhone 12"),
            ("", "Pixel 7", "Pixel 7"),
            ("Leica", "", "Leica"),
            ("", "", ""),
        ] {
            let about = about(&jpeg(make, model), OsString::new(), DateTime::MIN);
            assert_eq!(about.camera, camera, "{make} {model}");
            assert_eq!(about.taken, DateTime::MIN);
        }
        let nothing = about(b"no picture", OsString::new(), DateTime::default());
        assert_eq!(nothing, About::default());
    }
}
