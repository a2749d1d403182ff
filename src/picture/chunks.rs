//! The chunks of a PNG (PNG 5.3): the one reader of them, for files and for bytes in memory, and what
//! the still picture does not need of them.

pub mod still;
pub mod text;

use std::io::{self, Read};

use super::markers::array;

/// What every PNG starts with.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Bytes of a chunk in front of its body, and behind it.
const FRONT: usize = 8;
const CHECKSUM: usize = 4;

/// The start of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of its body.
    pub length: u32,
    pub kind: [u8; 4],
}

impl Header {
    /// Whether there can be such a chunk.
    pub fn makes_sense(self) -> bool {
        self.kind.iter().all(u8::is_ascii_alphabetic) && self.length <= i32::MAX.unsigned_abs()
    }
}

/// The next chunk, at whose body the source stands then. Breaks off with `UnexpectedEof`.
pub fn next(source: &mut impl Read) -> io::Result<Header> {
    Ok(Header {
        length: u32::from_be_bytes(array(source)?),
        kind: array(source)?,
    })
}

/// A chunk that is there as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    pub kind: &'a [u8; 4],
    pub body: &'a [u8],
    /// Kind and body, which the checksum is of.
    summed: &'a [u8],
    checksum: [u8; 4],
}

impl Chunk<'_> {
    pub fn has_its_checksum(&self) -> bool {
        let mut checksum = flate2::Crc::new();
        checksum.update(self.summed);
        checksum.sum() == u32::from_be_bytes(self.checksum)
    }

    /// Whether it says anything: one that the picture can do without is left out when it is damaged
    /// (PNG 13.2).
    pub fn counts(&self) -> bool {
        self.kind[0].is_ascii_uppercase() || self.has_its_checksum()
    }
}

/// A PNG in memory, from chunk to chunk.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    png: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Starts behind the signature.
    pub fn new(png: &'a [u8]) -> Self {
        Self::starting_at(png, SIGNATURE.len())
    }

    /// Starts where a chunk does.
    pub fn starting_at(png: &'a [u8], at: usize) -> Self {
        Self { png, at }
    }

    /// Where the next chunk starts.
    pub fn position(&self) -> usize {
        self.at
    }

    /// What stands there, whether or not all of the chunk does; `None` where not even its start does.
    pub fn header(&self) -> Option<Header> {
        next(&mut self.png.get(self.at..)?).ok()
    }

    /// The next chunk; `None` unless all of it is there.
    pub fn chunk(&mut self) -> Option<Chunk<'a>> {
        let length = usize::try_from(self.header()?.length).ok()?;
        let body = self.at.checked_add(FRONT)?;
        let end = body.checked_add(length)?;
        let next = end.checked_add(CHECKSUM)?;
        let chunk = Chunk {
            kind: self.png.get(body - 4..body)?.try_into().ok()?,
            body: self.png.get(body..end)?,
            summed: self.png.get(body - 4..end)?,
            checksum: self.png.get(end..next)?.try_into().ok()?,
        };
        self.at = next;
        Some(chunk)
    }
}

/// Kind and body of each whole chunk of a PNG that counts.
pub fn all(png: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> + Clone {
    let mut walk = Walk::new(png);
    std::iter::from_fn(move || walk.chunk())
        .filter(Chunk::counts)
        .map(|chunk| (chunk.kind, chunk.body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_chunks_are_read() {
        let mut png = SIGNATURE.to_vec();
        png.extend(b"\0\0\0\x03IDATa\0b\x22\x7c\xc9\xdc");
        png.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
        let found: Vec<_> = all(&png).collect();
        assert_eq!(found, [(b"IDAT", &b"a\0b"[..]), (b"IEND", b"")]);
        for end in 0..png.len() {
            assert_eq!(all(&png[..end]).count(), usize::from(end >= 23), "{end}");
        }
        let mut with_text = png.clone();
        with_text[12..16].copy_from_slice(b"tEXt");
        let found: Vec<_> = all(&with_text).collect();
        assert_eq!(found, [(b"IEND", &b""[..])], "a damaged text says nothing");
        let mut walk = Walk::new(&png);
        let text = walk.chunk().unwrap();
        assert!(!text.has_its_checksum());
        assert_eq!(walk.position(), 23);
        assert!(walk.chunk().unwrap().has_its_checksum());
        assert_eq!((walk.header(), walk.position()), (None, png.len()));
        // The longest of all lengths leads nowhere.
        png[8..12].fill(0xff);
        assert_eq!(all(&png).count(), 0);
        assert!(!Walk::new(&png).header().unwrap().makes_sense());
    }
}
