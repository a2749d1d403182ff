//! What a PNG's texts tell: the maker, a comment, and the EXIF, IPTC and XMP of many PNGs.

use png::chunk::{self, ChunkType};

use super::super::chunks::text::{decoded, profile_name, read, split};
use super::super::{markers, preview};
use super::iptc;
use super::packet::SIGNATURE;

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
        let profile = profile_name(keyword);
        let right = matches!(keyword, b"Author" | b"Copyright" | b"Creation Time");
        if !all && !right && profile.is_none() {
            return false;
        }
        // The picture's colours have taken it, or have no use for it.
        if matches!(profile, Some(b"icc" | b"icm")) {
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
    use super::super::super::chunks::text::encoded;
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
