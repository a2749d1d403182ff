//! Pictures within metadata, wherever they hide: they would show the picture without its mark.
//! Formats have a place for one, and programs invent more (maker notes, notes of editors), so they
//! are found by what they are: the bytes of a JPEG, or the base64 of a JPEG or PNG.

use std::ops::Range;

use memchr::memmem;

use super::markers::{Frame, SIGNATURE, SOS, Walk};

/// What base64 of a JPEG and of a PNG starts with.
const STARTS: [&[u8]; 2] = [b"/9j/", b"iVBORw0KGgo"];

/// Letters of base64 that are a picture: less is a name or an address by chance.
const SHORTEST: usize = 100;

/// Beginnings of a JPEG that are followed in one block, since each may lead through all of it.
const MOST: usize = 100;

/// Where JPEGs stand, one that lacks its end up to the end of the bytes. None where there are too
/// many beginnings to look at.
pub fn jpegs(bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let (mut found, mut from) = (Vec::new(), 0);
    for _ in 0..MOST {
        let rest = bytes.get(from..).unwrap_or_default();
        let Some(start) = memmem::find(rest, SIGNATURE) else {
            return Some(found);
        };
        let length = length(&rest[start..]);
        let start = from + start;
        from = start + length.unwrap_or(SIGNATURE.len());
        if length.is_some() {
            found.push(start..from);
        }
    }
    None
}

/// Bytes of the JPEG that stands here; none if it is none.
fn length(bytes: &[u8]) -> Option<usize> {
    let mut walk = Walk::new(bytes);
    let mut framed = false;
    loop {
        let end = match walk.segment() {
            Ok(Some((SOS, _))) if framed => {
                if walk.pass_scan().is_ok() {
                    continue;
                }
                bytes.len()
            }
            Ok(Some((marker, body))) => {
                let size = Frame::of(marker, body).and_then(Frame::size);
                framed |= size.is_some();
                continue;
            }
            Ok(None) => bytes.len() - walk.rest().len(),
            Err(_) => bytes.len(),
        };
        return framed.then_some(end);
    }
}

/// Where base64 of pictures stands, with its line breaks.
pub fn encoded(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for start in STARTS {
        let mut from = 0;
        while let Some(at) = memmem::find(bytes.get(from..).unwrap_or_default(), start) {
            let rest = &bytes[from + at..];
            // Breaks may be written as references.
            let belongs =
                |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_\\ \t\r\n&#;".contains(byte);
            let length = rest.iter().take_while(|byte| belongs(byte)).count();
            from += at;
            if length >= SHORTEST {
                found.push(from..from + length);
            }
            from += length;
        }
    }
    found
}

/// Whether a picture stands in a block or a text.
pub fn within(bytes: &[u8]) -> bool {
    jpegs(bytes).is_none_or(|found| !found.is_empty()) || !encoded(bytes).is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::tests::jpeg;
    use super::*;

    #[test]
    fn jpegs_are_found_with_their_ends() {
        let picture = jpeg(16, 16, turbojpeg::Subsamp::Sub2x2);
        let mut bytes = b"maker note \xff\xd8\xff no picture ".to_vec();
        let start = bytes.len();
        bytes.extend(&picture);
        let end = bytes.len();
        bytes.extend(b" between ");
        bytes.extend(&picture);
        let second = end + 9..bytes.len();
        bytes.extend(b"\xff\xd8\xff");
        assert_eq!(jpegs(&bytes).unwrap(), [start..end, second]);
        // Cut off within its scan.
        let cut = &bytes[..end - 2];
        assert_eq!(jpegs(cut).unwrap().first(), Some(&(start..cut.len())));
        assert!(jpegs(b"nothing").unwrap().is_empty());
        assert_eq!(jpegs(&b"\xff\xd8\xff".repeat(100_000)), None);
    }

    #[test]
    fn base64_of_pictures_is_found_and_short_words_are_not() {
        let letters = "/9j/4AAQSkZJRgABAQ&#xA;".repeat(10);
        let text = format!("{{\"preview\":\"data:image/jpeg;base64,{letters}\"}}");
        let start = text.find("/9j/").unwrap();
        let found = encoded(text.as_bytes());
        assert_eq!(found.first(), Some(&(start..start + letters.len())));
        assert!(encoded(b"https://example.org/9j/picture").is_empty());
        assert!(within("iVBORw0KGgoAAAANSUhEUg".repeat(9).as_bytes()));
        assert!(!within(b"a picture of Rome"));
    }
}
