//! One pass over the bytes before any decoding: what is it, is it all there, how large is it, which
//! way up.
//!
//! Decoders are forgiving about missing ends, so completeness is proved here: a JPEG by walking
//! its segments and entropy-coded data to the EOI marker (ITU T.81 annex B), a PNG by walking its
//! chunks to IEND. What is merely cut short is `Incomplete`, since more may come; what is something
//! else is `Bad`.

use super::error::PictureError;
use super::exif;
use super::markers::{self, APP1, APP2, Frame, SOS, Walk};
use super::profile::Parts;
use super::recipe::Format;
use crate::outcome::Step;

pub const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What the bytes say about themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub format: Format,
    /// Pixels as stored, before orientation; 0 where a JPEG has no frame header.
    pub width: u32,
    pub height: u32,
    /// EXIF orientation, 1..=8.
    pub orientation: u8,
    /// Whether a PNG's picture data has a checksum that is not its own. Pillow and libvips open
    /// such files, and browsers do in part, so that alone is no reason to refuse one.
    pub damaged: bool,
}

impl Probe {
    /// Of a picture of which nothing but its format is known yet.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            width: 0,
            height: 0,
            orientation: 1,
            damaged: false,
        }
    }
}

/// The format that the signature tells.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(markers::SIGNATURE) {
        Some(Format::Jpeg)
    } else if bytes.starts_with(PNG_SIGNATURE) {
        Some(Format::Png)
    } else {
        None
    }
}

/// Probes a picture. A JPEG's ICC profile is collected into `icc`, which is left empty when there
/// is none or a part of it is missing.
pub fn probe(bytes: &[u8], icc: &mut Vec<u8>) -> Result<Probe, PictureError> {
    icc.clear();
    if bytes.starts_with(markers::SIGNATURE) {
        walk_jpeg(bytes, icc)
    } else if bytes.starts_with(PNG_SIGNATURE) {
        walk_png(bytes)
    } else if markers::SIGNATURE.starts_with(bytes) || PNG_SIGNATURE.starts_with(bytes) {
        Err(incomplete("the file is empty or ends within its signature"))
    } else if bytes.iter().take(16).all(|&byte| byte == 0) {
        Err(incomplete(
            "the file starts with zeros: allocated, but not written yet",
        ))
    } else {
        Err(bad(format!("neither JPEG nor PNG: {}", resemblance(bytes))))
    }
}

/// Type and body of each whole chunk of a PNG.
pub fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes.get(PNG_SIGNATURE.len()..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (body, after) = after.split_at_checked(length)?;
        rest = after.get(4..)?;
        Some((kind, body))
    })
}

fn walk_jpeg(bytes: &[u8], icc: &mut Vec<u8>) -> Result<Probe, PictureError> {
    let mut found = Probe::new(Format::Jpeg);
    let mut profile = Parts::default();
    // What is reserved for a picture is told by what stands before its first scan: nothing behind
    // may change that.
    let (mut upright, mut scanned) = (false, false);
    let cut_short = |_end_of_data| premature();
    let mut walk = Walk::new(bytes);
    while let Some((marker, body)) = walk.segment().map_err(cut_short)? {
        match marker {
            APP1 if !upright && !scanned => {
                if let Some(tiff) = markers::exif(body) {
                    found.orientation = exif::orientation(tiff);
                    upright = true;
                }
            }
            APP2 if !scanned => profile.add(body),
            SOS => {
                scanned = true;
                walk.pass_scan().map_err(cut_short)?;
                // What follows is a trailer, and the end in there is another picture's.
                if walk.starts_anew() {
                    return Err(premature());
                }
            }
            _ => {
                if let Some(size) = Frame::of(marker, body).and_then(Frame::size)
                    && found.width == 0
                {
                    (found.width, found.height) = size;
                }
            }
        }
    }
    profile.join(icc);
    Ok(found)
}

fn walk_png(bytes: &[u8]) -> Result<Probe, PictureError> {
    let mut found = Probe::new(Format::Png);
    let mut at = PNG_SIGNATURE.len();
    let mut has_data = false;
    loop {
        let Some((length, kind)) = bytes
            .get(at..at + 8)
            .and_then(|header| header.split_first_chunk::<4>())
        else {
            return Err(premature());
        };
        let length = u32::from_be_bytes(*length);
        if length == 0 && kind == [0; 4] {
            return Err(incomplete(
                "the end is zeros: allocated, but not written yet",
            ));
        }
        if !kind.iter().all(u8::is_ascii_alphabetic) || length > i32::MAX.unsigned_abs() {
            let cause = format!("damaged chunk header at byte {at}");
            // All of the picture may be there, and its end missing in front of a trailer.
            return Err(if has_data {
                incomplete(&cause)
            } else {
                bad(cause)
            });
        }
        let start = at + 8;
        // Length, type and checksum are 12 bytes around the body.
        let end = start.saturating_add(length as usize);
        let next = end.saturating_add(4);
        if next > bytes.len() {
            return Err(premature());
        }
        match kind {
            b"IHDR" if length >= 8 && found.width == 0 => {
                let side = |at: usize| {
                    bytes[at..at + 4]
                        .iter()
                        .fold(0, |side, &byte| side << 8 | u32::from(byte))
                };
                (found.width, found.height) = (side(start), side(start + 4));
            }
            b"IDAT" => {
                has_data = true;
                found.damaged |= !has_its_checksum(&bytes[at + 4..next]);
            }
            b"eXIf" => found.orientation = exif::orientation(&bytes[start..end]),
            b"IEND" => return Ok(found),
            _ => {}
        }
        at = next;
    }
}

/// Whether a chunk from its type on ends with the checksum of the rest.
fn has_its_checksum(chunk: &[u8]) -> bool {
    chunk.split_last_chunk::<4>().is_some_and(|(rest, stored)| {
        let mut checksum = flate2::Crc::new();
        checksum.update(rest);
        checksum.sum() == u32::from_be_bytes(*stored)
    })
}

fn premature() -> PictureError {
    incomplete("premature end of data")
}

fn incomplete(cause: &str) -> PictureError {
    PictureError::Incomplete {
        step: Step::Decode,
        cause: cause.to_owned(),
    }
}

fn bad(cause: String) -> PictureError {
    PictureError::Bad {
        step: Step::Decode,
        cause,
    }
}

/// What else the bytes look like, for a person who wonders.
fn resemblance(bytes: &[u8]) -> &'static str {
    let inner = bytes.get(4..12).unwrap_or_default();
    match bytes {
        [b'G', b'I', b'F', b'8', ..] => "looks like GIF",
        [b'R', b'I', b'F', b'F', ..] if inner.ends_with(b"WEBP") => "looks like WebP",
        [b'B', b'M', ..] => "looks like BMP",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => {
            "looks like TIFF or a camera raw file"
        }
        _ if inner.starts_with(b"ftypavi") => "looks like AVIF",
        _ if inner.starts_with(b"ftyphei") || inner.starts_with(b"ftypmif1") => "looks like HEIC",
        _ if inner.starts_with(b"ftyp") => "looks like a video",
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', b' ', ..] => "looks like JPEG XL",
        [0, 0, 0, 0x0c, b'j', b'P', b' ', b' ', ..] => "looks like JPEG 2000",
        [b'8', b'B', b'P', b'S', ..] => "looks like Photoshop",
        [b'%', b'P', b'D', b'F', ..] => "looks like PDF",
        [b'P', b'K', 3, 4, ..] => "looks like ZIP",
        [b'<', ..] => "looks like HTML, XML or SVG",
        _ if bytes
            .iter()
            .take(512)
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
        {
            "looks like text"
        }
        _ => "no known signature",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SOI, APP1 with orientation 6, SOF0 of 3×2, SOS, entropy-coded data with a stuffed byte and
    /// a restart marker, EOI.
    fn jpeg() -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        bytes.extend(b"\xff\xc0\x00\x0b\x08\x00\x02\x00\x03\x01\x01\x11\x00");
        bytes.extend(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00");
        bytes.extend(b"\x12\xff\x00\x34\xff\xd0\x56\xff\xff\xd9");
        bytes
    }

    fn png() -> Vec<u8> {
        let mut bytes = PNG_SIGNATURE.to_vec();
        bytes.extend(b"\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02\x08\0\0\0\0CRC!");
        bytes.extend(b"\0\0\0\x04IDATdataCRC!");
        bytes.extend(b"\0\0\0\0IENDCRC!");
        bytes
    }

    #[test]
    fn reads_size_and_orientation() {
        let mut icc = Vec::new();
        assert_eq!(
            probe(&jpeg(), &mut icc).unwrap(),
            Probe {
                format: Format::Jpeg,
                width: 3,
                height: 2,
                orientation: 6,
                damaged: false
            }
        );
        assert_eq!(
            probe(&png(), &mut icc).unwrap(),
            Probe {
                format: Format::Png,
                width: 3,
                height: 2,
                orientation: 1,
                damaged: true
            }
        );
    }

    #[test]
    fn every_prefix_is_incomplete() {
        for whole in [jpeg(), png()] {
            for end in 0..whole.len() {
                let mut padded = whole[..end].to_vec();
                for _ in 0..2 {
                    let result = probe(&padded, &mut Vec::new());
                    assert!(
                        matches!(result, Err(PictureError::Incomplete { .. })),
                        "{end} of {} bytes, {} with zeros: {result:?}",
                        whole.len(),
                        padded.len()
                    );
                    // The same with the rest allocated but not written, where it is not mistaken
                    // for a length field of zero.
                    if end < 8 || whole[..2] == [0xff, 0xd8] || ![16, 33, 45].contains(&end) {
                        break;
                    }
                    padded.resize(whole.len() + 40, 0);
                }
            }
        }
    }

    #[test]
    fn trailing_bytes_do_no_harm() {
        for mut whole in [jpeg(), png()] {
            let expected = probe(&whole, &mut Vec::new()).unwrap();
            whole.extend(b"\xff\xd8 a second picture of an MPO file");
            assert_eq!(probe(&whole, &mut Vec::new()).unwrap(), expected);
        }
    }

    #[test]
    fn others_are_named() {
        for (bytes, name) in [
            (&b"GIF89a...."[..], "GIF"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "WebP"),
            (b"hello, this is a note", "text"),
            (b"\0\0\0\x20ftypheic\0\0", "HEIC"),
        ] {
            let error = probe(bytes, &mut Vec::new()).unwrap_err();
            assert!(
                matches!(&error, PictureError::Bad { cause, .. } if cause.contains(name)),
                "{error}"
            );
        }
    }

    #[test]
    fn zeros_are_incomplete() {
        for length in [0, 1, 8, 4096] {
            let result = probe(&vec![0; length], &mut Vec::new());
            assert!(
                matches!(result, Err(PictureError::Incomplete { .. })),
                "{length} zeros: {result:?}"
            );
        }
    }

    #[test]
    fn joins_a_profile_of_several_parts() {
        let mut bytes = b"\xff\xd8".to_vec();
        for (number, part) in [(2u8, b"BBBB"), (1, b"AAAA")] {
            bytes.extend(b"\xff\xe2\x00\x14");
            bytes.extend(super::super::profile::TAG);
            bytes.extend([number, 2]);
            bytes.extend(part);
        }
        bytes.extend(&jpeg()[2..]);
        let mut icc = Vec::new();
        probe(&bytes, &mut icc).unwrap();
        assert_eq!(icc, b"AAAABBBB");
    }

    #[test]
    fn nothing_behind_the_first_scan_changes_the_plan() {
        let whole = crate::picture::tests::jpeg(40, 30, turbojpeg::Subsamp::Sub2x2);
        let mut exif = vec![0xff, 0xe1, 0, 34];
        exif.extend_from_slice(
            b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
        );
        let with = |at: usize| {
            let mut bytes = whole.clone();
            bytes.splice(at..at, exif.iter().copied());
            probe(&bytes, &mut Vec::new()).unwrap().orientation
        };
        assert_eq!((with(2), with(whole.len() - 2)), (6, 1));
    }
}
