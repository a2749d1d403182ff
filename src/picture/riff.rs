//! The chunks of a WebP (RFC 9649): the one reader of them, for files and for bytes in memory, and
//! their writer.

use std::io::{self, Read};
use std::ops::Range;

use super::markers::array;

/// Bytes of what every WebP starts with: RIFF, the length of all that follows, WEBP.
pub const START: usize = 12;

/// Bytes of a chunk in front of its body.
const FRONT: usize = 8;

/// The longest side that a WebP can have.
pub const LONGEST_SIDE: u32 = 16_383;

/// Flags of the extended header.
const ANIMATED: u8 = 0x02;
const HAS_XMP: u8 = 0x04;
const HAS_EXIF: u8 = 0x08;
const HAS_ALPHA: u8 = 0x10;
const HAS_PROFILE: u8 = 0x20;

/// Bytes of a bitstream from which [`Image::of`] tells all.
pub const IMAGE_HEAD: usize = 10;

/// Whether bytes, 12 or more, start as a WebP does.
pub fn is_webp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..START) == Some(b"WEBP")
}

/// Whether bytes that end within that start can become a WebP.
pub fn may_become_one(bytes: &[u8]) -> bool {
    let (tag, kind) = (bytes.get(..4), bytes.get(8..));
    bytes.len() < START
        && tag.map_or(b"RIFF".starts_with(bytes), |tag| tag == b"RIFF")
        && b"WEBP".starts_with(kind.unwrap_or_default())
}

/// Where the picture ends, counted from the start of the file. 0 stands for a length that is not
/// written yet.
pub fn end(start: &[u8; START]) -> u64 {
    let [.., l0, l1, l2, l3, _, _, _, _] = *start;
    match u32::from_le_bytes([l0, l1, l2, l3]) {
        0 => 0,
        length => u64::from(length) + FRONT as u64,
    }
}

/// The start of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: [u8; 4],
    /// Bytes of its body.
    pub length: u32,
}

/// The next chunk, at whose body the source stands then. Breaks off with `UnexpectedEof`.
pub fn next(source: &mut impl Read) -> io::Result<Header> {
    Ok(Header {
        kind: array(source)?,
        length: u32::from_le_bytes(array(source)?),
    })
}

/// A WebP in memory, from chunk to chunk: kind and place of each body. Ends at what is no whole chunk.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    webp: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Of a file, or of the beginning of one; what follows the picture is not looked at.
    pub fn new(file: &'a [u8]) -> Self {
        let end = file.first_chunk().map_or(0, end);
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(file.len());
        Self {
            webp: &file[..end],
            at: START,
        }
    }

    /// All that is there of the picture.
    pub fn picture(&self) -> &'a [u8] {
        self.webp
    }

    /// Where the next chunk starts; what stands there is none, unless it is the end.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether nothing is left but less than the front of a chunk.
    pub fn is_at_end(&self) -> bool {
        self.webp.len() < self.at.saturating_add(FRONT)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (&'a [u8; 4], Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.webp.get(self.at..)?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let start = self.at.checked_add(FRONT)?;
        rest.get(..length)?;
        let end = start.checked_add(length)?;
        // Bodies are padded to even lengths.
        self.at = end.checked_add(length % 2)?;
        Some((kind, start..end))
    }
}

/// What the header of an image's own data tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    pub width: u32,
    pub height: u32,
    pub lossless: bool,
    /// Of lossy data always false: its alpha is a chunk of its own.
    pub alpha: bool,
}

impl Image {
    /// Of the body of a `VP8 ` or `VP8L` chunk, or its beginning; `None` of all others.
    pub fn of(kind: [u8; 4], body: &[u8]) -> Option<Self> {
        match (&kind, body) {
            (b"VP8 ", &[_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
                // The upper two bits ask for enlarging, which nobody does.
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                Some(Self {
                    width: side(w0, w1),
                    height: side(h0, h1),
                    lossless: false,
                    alpha: false,
                })
            }
            (b"VP8L", &[0x2f, b0, b1, b2, b3, ..]) => {
                let bits = u32::from_le_bytes([b0, b1, b2, b3]);
                Some(Self {
                    width: (bits & 0x3fff) + 1,
                    height: (bits >> 14 & 0x3fff) + 1,
                    lossless: true,
                    alpha: bits >> 28 & 1 == 1,
                })
            }
            _ => None,
        }
    }
}

/// What the extended header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended {
    pub width: u32,
    pub height: u32,
    pub alpha: bool,
    pub animated: bool,
}

impl Extended {
    /// Of the body of a `VP8X` chunk.
    pub fn of(body: &[u8]) -> Option<Self> {
        let &[flags, _, _, _, w0, w1, w2, h0, h1, h2, ..] = body else {
            return None;
        };
        Some(Self {
            width: u32::from_le_bytes([w0, w1, w2, 0]) + 1,
            height: u32::from_le_bytes([h0, h1, h2, 0]) + 1,
            alpha: flags & HAS_ALPHA != 0,
            animated: flags & ANIMATED != 0,
        })
    }
}

/// The TIFF block of an EXIF chunk. Some programs write JPEG's prefix before it.
pub fn tiff(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"Exif\0\0").unwrap_or(body)
}

/// What goes along with an image's data; empty where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Along<'a> {
    pub icc: &'a [u8],
    pub exif: &'a [u8],
    pub xmp: &'a [u8],
}

/// Writes a WebP anew into `out`, with what goes along with it.
pub fn write(webp: &[u8], along: &Along<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    let Along { icc, exif, xmp } = *along;
    let (mut images, mut alpha) = (Vec::with_capacity(2), false);
    let mut size = None;
    for (kind, body) in Walk::new(webp) {
        let body = webp.get(body).unwrap_or_default();
        alpha |= kind == b"ALPH";
        if let Some(image) = Image::of(*kind, body) {
            alpha |= image.alpha;
            size = Some((image.width, image.height));
        }
        if kind != b"VP8X" {
            images.push((kind, body));
        }
    }
    let (width, height) = size.ok_or("libwebp wrote no image")?;
    out.extend(b"RIFF\0\0\0\0WEBP");
    if images.len() > 1 || !icc.is_empty() || !exif.is_empty() || !xmp.is_empty() {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(alpha, HAS_ALPHA)
            | flag(!icc.is_empty(), HAS_PROFILE)
            | flag(!exif.is_empty(), HAS_EXIF)
            | flag(!xmp.is_empty(), HAS_XMP);
        let mut body = [flags, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        body[4..7].copy_from_slice(&width.saturating_sub(1).to_le_bytes()[..3]);
        body[7..].copy_from_slice(&height.saturating_sub(1).to_le_bytes()[..3]);
        chunk(*b"VP8X", &body, out)?;
    }
    let mut some = |kind: [u8; 4], body: &[u8]| {
        if body.is_empty() {
            return Ok(());
        }
        chunk(kind, body, out)
    };
    some(*b"ICCP", icc)?;
    for (kind, body) in images {
        some(*kind, body)?;
    }
    some(*b"EXIF", exif)?;
    some(*b"XMP ", xmp)?;
    let length = number(out.len().saturating_sub(FRONT))?;
    out[4..FRONT].copy_from_slice(&length);
    Ok(())
}

fn chunk(kind: [u8; 4], body: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.extend(kind);
    out.extend(number(body.len())?);
    out.extend_from_slice(body);
    if body.len() % 2 == 1 {
        out.push(0);
    }
    Ok(())
}

fn number(length: usize) -> Result<[u8; 4], String> {
    let length = u32::try_from(length);
    let length = length.map_err(|_too_long| "a WebP has 4 GiB at most".to_owned())?;
    Ok(length.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lossless image of 3×2 without data.
    const IMAGE: &[u8] = b"RIFF\x12\0\0\0WEBPVP8L\x05\0\0\0\x2f\x02\x40\0\x10\0";

    #[test]
    fn what_goes_along_is_found_again() {
        let mut out = Vec::new();
        write(IMAGE, &Along::default(), &mut out).unwrap();
        assert_eq!(out, IMAGE);
        let along = Along {
            icc: b"icc",
            exif: b"II*\0",
            xmp: b"<x/>",
        };
        write(IMAGE, &along, &mut out).unwrap();
        assert_eq!(end(out.first_chunk().unwrap()), out.len() as u64);
        let mut walk = Walk::new(&out);
        let found: Vec<_> = walk
            .by_ref()
            .map(|(kind, body)| (*kind, out[body].to_vec()))
            .collect();
        assert!(walk.is_at_end());
        let header = b"\x3c\0\0\0\x02\0\0\x01\0\0".to_vec();
        assert_eq!(
            found,
            [
                (*b"VP8X", header.clone()),
                (*b"ICCP", b"icc".to_vec()),
                (*b"VP8L", IMAGE[20..25].to_vec()),
                (*b"EXIF", b"II*\0".to_vec()),
                (*b"XMP ", b"<x/>".to_vec()),
            ]
        );
        let extended = Extended::of(&header).unwrap();
        assert_eq!((extended.width, extended.height), (3, 2));
        assert!(extended.alpha && !extended.animated);
    }

    #[test]
    fn the_start_tells() {
        for end in 0..START {
            assert!(may_become_one(&IMAGE[..end]), "{end}");
            assert!(!is_webp(&IMAGE[..end]), "{end}");
        }
        assert!(is_webp(IMAGE));
        for other in [&b"RIFX"[..], b"RIFF\0\0\0\0WAV", b"hello", b"RIFF....WAVE"] {
            assert!(!may_become_one(other) && !is_webp(other));
        }
    }
}
