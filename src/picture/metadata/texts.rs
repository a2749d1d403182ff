//! PNG's text chunks: read in their three forms, and the profiles that ImageMagick and Exiv2 write
//! into them as hexadecimal digits, which are the EXIF, IPTC and XMP of many PNGs.

use std::borrow::Cow;
use std::io::{Read, Write};

use png::chunk::{self, ChunkType};

use super::super::{markers, preview};
use super::iptc;
use super::packet::{self, SIGNATURE};

/// Bytes of a PNG's texts together, of each, and of what one inflates to.
pub const LONGEST: usize = packet::LONGEST;

/// What the keyword of a profile starts with.
const PROFILE: &[u8] = b"Raw profile type ";

/// Digits of a line of a profile, as ImageMagick has them.
const LINE: usize = 72;

/// What texts tell of a picture besides themselves.
#[derive(Debug, Default)]
pub struct Told {
    /// UTF-8.
    pub author: Vec<u8>,
    pub copyright: Vec<u8>,
    pub exif: Vec<u8>,
    pub xmp: Vec<u8>,
    /// Photoshop's image resources.
    pub resources: Vec<u8>,
    /// UTF-8.
    pub comment: Vec<u8>,
}

impl Told {
    /// Takes a text chunk; true if it may be kept as it is: with all texts, or for its maker.
    pub fn take(&mut self, kind: [u8; 4], body: &[u8], all: bool) -> bool {
        let Some((keyword, rest)) = split(body) else {
            return false;
        };
        let profile = keyword.strip_prefix(PROFILE);
        let right = matches!(keyword, b"Author" | b"Copyright" | b"Creation Time");
        if !all && !right && profile.is_none() {
            return false;
        }
        let Some(text) = read(kind, rest) else {
            return false;
        };
        if let Some(name) = profile {
            self.profile(name, &text);
            return false;
        }
        if preview::within(&text) {
            return false;
        }
        match keyword {
            b"Author" => self.author = text.into_owned(),
            b"Copyright" => self.copyright = text.into_owned(),
            b"Comment" => self.comment = text.into_owned(),
            _ => {}
        }
        true
    }

    fn profile(&mut self, name: &[u8], text: &[u8]) {
        let Some(bytes) = decoded(text) else { return };
        match name {
            b"exif" | b"APP1" | b"app1" => {
                if let Some(packet) = bytes.strip_prefix(SIGNATURE) {
                    self.xmp = packet.to_vec();
                } else {
                    self.exif = markers::exif(&bytes).unwrap_or(&bytes).to_vec();
                }
            }
            b"xmp" => self.xmp = bytes.strip_prefix(SIGNATURE).unwrap_or(&bytes).to_vec(),
            b"iptc" | b"8bim" => {
                let resources = bytes.strip_prefix(iptc::SIGNATURE).unwrap_or(&bytes);
                iptc::join(resources, &mut self.resources);
            }
            _ => {}
        }
    }
}

/// Keyword and rest.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, body)?;
    Some((&body[..end], &body[end + 1..]))
}

/// What stands behind the keyword, in UTF-8.
fn read(kind: [u8; 4], rest: &[u8]) -> Option<Cow<'_, [u8]>> {
    let latin = |text: &[u8]| {
        let text: String = text.iter().copied().map(char::from).collect();
        text.into_bytes()
    };
    match (ChunkType(kind), rest) {
        (chunk::tEXt, text) if text.is_ascii() => Some(Cow::Borrowed(text)),
        (chunk::tEXt, text) => Some(Cow::Owned(latin(text))),
        (chunk::zTXt, [_method, deflated @ ..]) => {
            let text = inflated(deflated)?;
            Some(Cow::Owned(if text.is_ascii() {
                text
            } else {
                latin(&text)
            }))
        }
        (chunk::iTXt, rest) => international(rest),
        _ => None,
    }
}

/// The text of an iTXt chunk (PNG 11.3.3.4), inflated if need be, from its compression flag on.
pub fn international(rest: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (&[compressed, _method], rest) = rest.split_first_chunk::<2>()?;
    let (_language, rest) = split(rest)?;
    let (_translated, text) = split(rest)?;
    if compressed == 0 {
        return Some(Cow::Borrowed(text));
    }
    inflated(text).map(Cow::Owned)
}

fn inflated(deflated: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(deflated)
        .take(LONGEST as u64)
        .read_to_end(&mut bytes)
        .ok()?;
    (bytes.len() < LONGEST).then_some(bytes)
}

/// The bytes of a profile: a line with its name, one with its length, then digits in lines.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut words = text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let _name = words.next()?;
    let length: usize = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let mut digits = words.flatten().map(|digit| char::from(*digit).to_digit(16));
    let mut bytes = Vec::with_capacity(length.min(text.len() / 2));
    while let Some(high) = digits.next() {
        bytes.push(u8::try_from(high? << 4 | digits.next()??).ok()?);
    }
    (bytes.len() == length && length > 0).then_some(bytes)
}

/// The body of the zTXt chunk of a profile.
pub fn encoded(name: &str, profile: &[u8]) -> Option<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = format!("\n{name}\n{:8}", profile.len()).into_bytes();
    for line in profile.chunks(LINE / 2) {
        text.push(b'\n');
        text.extend(
            line.iter()
                .flat_map(|byte| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])),
        );
    }
    text.push(b'\n');
    // The keyword, its end, and deflate as the method.
    let body = [PROFILE, name.as_bytes(), &[0; 2]].concat();
    let mut writer = flate2::write::ZlibEncoder::new(body, flate2::Compression::fast());
    writer.write_all(&text).ok()?;
    writer.finish().ok()
}

/// Kind and body of the chunk of a comment: tEXt is Latin-1. None if it has NULs within, which no
/// text has.
pub fn comment(text: &[u8]) -> Option<(ChunkType, Vec<u8>)> {
    let blank = |byte: &&u8| **byte == 0;
    let text = &text[..text.len() - text.iter().rev().take_while(blank).count()];
    if text.is_empty() || text.contains(&0) {
        return None;
    }
    let wide = !text.is_ascii() && std::str::from_utf8(text).is_ok();
    Some(if wide {
        // Not deflated, no language, no translated keyword.
        (chunk::iTXt, [b"Comment\0\0\0\0\0", text].concat())
    } else {
        (chunk::tEXt, [b"Comment\0", text].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_as_they_are_written() {
        let iim = [b"\x1c\x02\x50\0\x64".as_slice(), &[b'A'; 100]].concat();
        let body = encoded("iptc", &iim).unwrap();
        let mut told = Told::default();
        assert!(!told.take(*b"zTXt", &body, true));
        let mut expected = b"8BIM\x04\x04\0\0\0\0\0\x69".to_vec();
        expected.extend(&iim);
        expected.push(0);
        assert_eq!(told.resources, expected);
        // The same once more, among others.
        told.take(*b"zTXt", &encoded("8bim", &expected).unwrap(), false);
        assert_eq!(told.resources, expected);
    }

    #[test]
    fn the_maker_and_the_date_stay_and_the_place_does_not() {
        let mut told = Told::default();
        for (text, kept) in [
            (&b"Author\0Ann"[..], true),
            (b"Copyright\0Ann", true),
            (b"Creation Time\x002024-05-01", true),
            (b"Comment\0Rome", false),
        ] {
            assert_eq!(told.take(*b"tEXt", text, false), kept);
            assert!(told.take(*b"tEXt", text, true));
        }
    }

    #[test]
    fn each_profile_has_its_names() {
        let mut told = Told::default();
        for (name, digits, length) in [("exif", "457869660000 4d4d", 8), ("xmp", "3c613e", 3)] {
            let text = format!("Raw profile type {name}\0\n{name}\n  {length}\n{digits}\n");
            told.take(*b"tEXt", text.as_bytes(), false);
        }
        assert_eq!((&told.exif[..], &told.xmp[..]), (&b"MM"[..], &b"<a>"[..]));
        for (name, block) in [
            ("APP1", [SIGNATURE, b"<b>"].concat()),
            ("APP1", b"Exif\0\0II".to_vec()),
        ] {
            told.take(*b"zTXt", &encoded(name, &block).unwrap(), false);
        }
        assert_eq!((&told.exif[..], &told.xmp[..]), (&b"II"[..], &b"<b>"[..]));
    }

    #[test]
    fn damaged_profiles_are_left_out() {
        for text in [
            "",
            "exif",
            "exif 3 4d4d",
            "exif 1 4d4",
            "exif 1 xx",
            "exif 0 ",
            "exif 99999999999999999999 4d",
            "exif -1 4d",
        ] {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decoded(b"\nexif\n       2\n4D\n4d\n").unwrap(), b"MM");
    }

    #[test]
    fn comments_are_what_their_letters_are() {
        assert_eq!(
            comment(b"Rome\0").unwrap(),
            (chunk::tEXt, b"Comment\0Rome".to_vec())
        );
        assert_eq!(comment("Köln".as_bytes()).unwrap().0, chunk::iTXt);
        assert_eq!(comment(b"K\xf6ln").unwrap().0, chunk::tEXt);
        assert_eq!(comment(b"a\0b"), None);
        assert_eq!(comment(b"\0\0"), None);
    }
}
