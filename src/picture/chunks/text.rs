//! A PNG's text chunks, read in their three forms, and the profiles that ImageMagick and Exiv2 write
//! into them as hexadecimal digits, which are the EXIF, IPTC, XMP and colours of many PNGs.

use std::borrow::Cow;
use std::io::{Read, Write};

use png::chunk::{self, ChunkType};

/// Bytes of a text that is looked into, and of what one inflates to.
pub const LONGEST: usize = 1 << 20;

/// What the keyword of a profile starts with.
const PROFILE: &[u8] = b"Raw profile type ";

/// What the keyword of a colour profile starts with; its end is a `c` or an `m`.
pub const ICC: &[u8] = b"Raw profile type ic";

/// Digits of a line of a profile, as ImageMagick has them.
const LINE: usize = 72;

/// What the keyword names a profile; `None` for other texts.
pub fn profile_name(keyword: &[u8]) -> Option<&[u8]> {
    keyword.strip_prefix(PROFILE)
}

/// Keyword and rest.
pub fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, body)?;
    Some((&body[..end], &body[end + 1..]))
}

/// What stands behind the keyword, in UTF-8.
pub fn read(kind: [u8; 4], rest: &[u8]) -> Option<Cow<'_, [u8]>> {
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

/// The bytes of a profile by its text: a line with its name, one with its length, then digits in lines.
pub fn decoded(text: &[u8]) -> Option<Vec<u8>> {
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

/// The body of a text chunk as an ICC profile, if it is one.
pub fn icc(kind: [u8; 4], body: &[u8]) -> Option<Vec<u8>> {
    let (keyword, rest) = split(body)?;
    if !matches!(profile_name(keyword)?, b"icc" | b"icm") || body.len() > LONGEST {
        return None;
    }
    decoded(&read(kind, rest)?)
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_colour_profile_is_read_in_every_form() {
        let icc_ = |kind: &[u8; 4], body: &[u8]| icc(*kind, body);
        let deflated = encoded("icc", b"profile").unwrap();
        let digits = b"\nicc\n       7\n70726f66696c65\n";
        let plain = [b"Raw profile type icm\0", &digits[..]].concat();
        let wide = [b"Raw profile type icc\0\0\0\0\0", &digits[..]].concat();
        for (kind, body) in [(b"zTXt", &deflated), (b"tEXt", &plain), (b"iTXt", &wide)] {
            assert_eq!(icc_(kind, body).as_deref(), Some(&b"profile"[..]));
        }
        for (kind, body) in [
            (b"tEXt", deflated),
            (b"gAMA", plain.clone()),
            (b"zTXt", encoded("exif", b"profile").unwrap()),
            (
                b"tEXt",
                b"Raw profile type icc\0\nicc\n       8\n70726f66696c65\n".to_vec(),
            ),
            (b"tEXt", [&plain[..], &b" ".repeat(LONGEST)].concat()),
            (b"tEXt", b"Raw profile type icc".to_vec()),
        ] {
            assert_eq!(icc_(kind, &body), None);
        }
    }
}
