//! One pass over the bytes before any decoding: what is it, is it all there, how large is it, which
//! way up.
//!
//! Decoders are forgiving about missing ends, so completeness is proved here: a JPEG by walking
//! its segments and entropy-coded data to the EOI marker (ITU T.81 annex B), a PNG by walking its
//! chunks to IEND, a WebP by the length that it starts with. What is merely cut short is `Incomplete`, since more may come; what is something
//! else is `Bad`.

use super::chunks::{self, Header};
use super::error::PictureError;
use super::exif;
use super::markers::{self, APP1, APP2, Frame, SOS, Walk};
use super::profile::Parts;
use super::recipe::Format;
use super::riff::{self, Extended, Image};
use crate::outcome::Step;

/// What the bytes say about themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub format: Format,
    /// Pixels as stored, before orientation; 0 where a JPEG has no frame header.
    pub width: u32,
    pub height: u32,
    /// EXIF orientation, 1..=8.
    pub orientation: u8,
    /// Whether its samples are exact, so that a WebP of them should be.
    pub lossless: bool,
    /// What of a PNG has a checksum that is not its own.
    pub damaged: Option<Damage>,
}

/// What of a PNG's samples is damaged by its checksum, and the picture shown all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Pillow and libvips open such files, and browsers do in part, so that alone is no reason to
    /// refuse one.
    Data,
    /// All of them leave it out.
    Transparency,
}

impl Damage {
    pub fn text(self) -> &'static str {
        match self {
            Self::Data => "chunk IDAT has a wrong checksum",
            Self::Transparency => "chunk tRNS has a wrong checksum",
        }
    }
}

impl Probe {
    /// Of a picture of which nothing but its format is known yet.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            width: 0,
            height: 0,
            orientation: 1,
            lossless: format == Format::Png,
            damaged: None,
        }
    }
}

/// The format that the signature tells.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(markers::SIGNATURE) {
        Some(Format::Jpeg)
    } else if bytes.starts_with(chunks::SIGNATURE) {
        Some(Format::Png)
    } else if riff::is_webp(bytes) {
        Some(Format::WebP)
    } else {
        None
    }
}

/// Probes a picture. A JPEG's or WebP's ICC profile is collected into `icc`, which is left empty when there
/// is none or a part of it is missing.
pub fn probe(bytes: &[u8], icc: &mut Vec<u8>) -> Result<Probe, PictureError> {
    icc.clear();
    if bytes.starts_with(markers::SIGNATURE) {
        walk_jpeg(bytes, icc)
    } else if bytes.starts_with(chunks::SIGNATURE) {
        walk_png(bytes)
    } else if riff::is_webp(bytes) {
        walk_webp(bytes, icc)
    } else if markers::SIGNATURE.starts_with(bytes)
        || chunks::SIGNATURE.starts_with(bytes)
        || riff::may_become_one(bytes)
    {
        Err(incomplete("the file is empty or ends within its signature"))
    } else if bytes.iter().take(16).all(|&byte| byte == 0) {
        Err(incomplete(
            "the file starts with zeros: allocated, but not written yet",
        ))
    } else {
        Err(bad(format!(
            "neither JPEG, PNG nor WebP: {}",
            resemblance(bytes)
        )))
    }
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
    let mut walk = chunks::Walk::new(bytes);
    let (mut has_data, mut has_transparency, mut colours) = (false, false, None);
    while let Some(header) = walk.header() {
        if header
            == (Header {
                length: 0,
                kind: [0; 4],
            })
        {
            return Err(incomplete(
                "the end is zeros: allocated, but not written yet",
            ));
        }
        if !header.makes_sense() {
            let cause = format!("damaged chunk header at byte {}", walk.position());
            // All of the picture may be there, and its end missing in front of a trailer.
            return Err(if has_data {
                incomplete(&cause)
            } else {
                bad(cause)
            });
        }
        let Some(chunk) = walk.chunk() else { break };
        match (chunk.kind, chunk.body) {
            (b"IHDR", &[w3, w2, w1, w0, h3, h2, h1, h0, ..]) if found.width == 0 => {
                found.width = u32::from_be_bytes([w3, w2, w1, w0]);
                found.height = u32::from_be_bytes([h3, h2, h1, h0]);
                colours = chunk.body.get(9);
            }
            (b"IDAT", _) => {
                has_data = true;
                if !chunk.has_its_checksum() {
                    found.damaged = Some(Damage::Data);
                }
            }
            // Pictures with alpha need none, and of two the first counts.
            (b"tRNS", _)
                if !has_data && !has_transparency && matches!(colours, Some(0 | 2 | 3)) =>
            {
                has_transparency = true;
                if !chunk.has_its_checksum() {
                    found.damaged = Some(Damage::Transparency);
                }
            }
            (b"eXIf", body) if chunk.has_its_checksum() => {
                found.orientation = exif::orientation(body);
            }
            (b"IEND", _) => return Ok(found),
            _ => {}
        }
    }
    Err(premature())
}

fn walk_webp(bytes: &[u8], icc: &mut Vec<u8>) -> Result<Probe, PictureError> {
    let mut found = Probe::new(Format::WebP);
    match bytes.first_chunk().map_or(0, riff::end) {
        0 => return Err(incomplete("its length is not written yet")),
        end if end > bytes.len() as u64 => return Err(premature()),
        _ => {}
    }
    let (mut walk, mut extended, mut image) = (riff::Walk::new(bytes), None, None);
    let mut upright = false;
    for (kind, body) in walk.by_ref() {
        let body = bytes.get(body).unwrap_or_default();
        match kind {
            b"VP8X" if image.is_none() && extended.is_none() => extended = Extended::of(body),
            b"ANIM" | b"ANMF" => return Err(bad(ANIMATED.to_owned())),
            b"VP8 " | b"VP8L" if image.is_none() => image = Image::of(*kind, body),
            b"ICCP" if icc.is_empty() => icc.extend_from_slice(body),
            b"EXIF" if !upright => {
                found.orientation = exif::orientation(riff::tiff(body));
                upright = true;
            }
            _ => {}
        }
    }
    if !walk.is_at_end() {
        let at = walk.position();
        return Err(bad(format!("damaged chunk header at byte {at}")));
    }
    if extended.is_some_and(|extended| extended.animated) {
        return Err(bad(ANIMATED.to_owned()));
    }
    let Some(image) = image else {
        return Err(bad("there is no picture in it".to_owned()));
    };
    // What is decoded is as large as the image says, and what was planned as the header.
    if extended.is_some_and(|told| (told.width, told.height) != (image.width, image.height)) {
        return Err(bad(
            "the headers disagree about the picture's size".to_owned()
        ));
    }
    (found.width, found.height) = (image.width, image.height);
    found.lossless = image.lossless;
    Ok(found)
}

const ANIMATED: &str = "an animated WebP is not taken, only a still one";

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
        let mut bytes = chunks::SIGNATURE.to_vec();
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
                lossless: false,
                damaged: None
            }
        );
        assert_eq!(
            probe(&png(), &mut icc).unwrap(),
            Probe {
                format: Format::Png,
                width: 3,
                height: 2,
                orientation: 1,
                lossless: true,
                damaged: Some(Damage::Data)
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
