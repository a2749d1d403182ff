//! A PNG without the chunks that its still picture does not need, so that a damaged one of them
//! spoils nothing. The crate `png` refuses a picture for an animation that it cannot follow, which
//! browsers and libpng show all the same.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::{Chunk, SIGNATURE, Walk};

/// The colour type of pictures whose pixels are numbers of a palette.
const INDEXED: u8 = 3;

/// Where the header has the colour type.
const COLOUR_TYPE: usize = 25;

/// Bytes of a PNG in memory, from its first one to its last.
#[derive(Debug)]
pub struct Still<'a> {
    png: &'a [u8],
    indexed: bool,
    /// What is handed out at present, as a part of the PNG.
    at: usize,
    end: usize,
}

impl<'a> Still<'a> {
    pub fn new(png: &'a [u8]) -> Self {
        Self {
            png,
            indexed: png.get(COLOUR_TYPE) == Some(&INDEXED),
            at: 0,
            end: SIGNATURE.len().min(png.len()),
        }
    }

    /// Passes over what is not needed, and takes the chunks behind it up to the next of that kind.
    fn go_on(&mut self) {
        let mut walk = Walk::starting_at(self.png, self.end);
        self.at = self.end;
        while let Some(chunk) = walk.chunk() {
            let needed = is_needed(&chunk, self.indexed);
            match (needed, self.at == self.end) {
                (true, _) => self.end = walk.position(),
                (false, true) => (self.at, self.end) = (walk.position(), walk.position()),
                (false, false) => return,
            }
        }
        // Of what is no chunk the decoder may judge.
        self.end = self.png.len();
    }
}

/// Whether the pixels, or what they mean, depend on a chunk. What is not known may be critical.
fn is_needed(chunk: &Chunk<'_>, indexed: bool) -> bool {
    match (chunk.kind, chunk.body) {
        (b"acTL" | b"fcTL" | b"fdAT" | b"eXIf", _) => false,
        // To others it is a proposal for screens of few colours.
        (b"PLTE", _) => indexed,
        // Of samples that a PNG cannot have: browsers pass over it, and the decoder gives up.
        (b"cICP", body) if !matches!(body, [_, _, 0, 0 | 1]) => false,
        _ => chunk.counts(),
    }
}

impl Read for Still<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Still<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.end && self.end < self.png.len() {
            self.go_on();
        }
        Ok(self.png.get(self.at..self.end).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.end);
    }
}

/// The decoder asks for it, and never seeks.
impl Seek for Still<'_> {
    fn seek(&mut self, _to: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_still_picture_does_not_need_is_left_out() {
        let png = |colour: u8, kinds: &[&[u8; 4]]| {
            let mut png = SIGNATURE.to_vec();
            png.extend(b"\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02\x08");
            png.extend([colour, 0, 0, 0]);
            png.extend(b"CRC!");
            for kind in kinds {
                png.extend(b"\0\0\0\x02");
                png.extend(*kind);
                png.extend(b"..");
                // The compressed text is damaged.
                let mut checksum = flate2::Crc::new();
                checksum.update(if *kind == b"zTXt" { b"damaged" } else { *kind });
                checksum.update(b"..");
                png.extend(checksum.sum().to_be_bytes());
            }
            png
        };
        let all: &[&[u8; 4]] = &[
            b"acTL", b"gAMA", b"PLTE", b"tRNS", b"eXIf", b"fcTL", b"IDAT", b"IDAT", b"fcTL",
            b"fdAT", b"tEXt", b"zTXt", b"cICP", b"ABCD", b"IEND", b"fdAT",
        ];
        let kept: &[&[u8; 4]] = &[
            b"gAMA", b"PLTE", b"tRNS", b"IDAT", b"IDAT", b"tEXt", b"ABCD", b"IEND",
        ];
        let without_palette: Vec<_> = kept.iter().filter(|k| **k != b"PLTE").copied().collect();
        for (colour, kept) in [(3, kept), (2, &without_palette), (0, &without_palette)] {
            let mut found = Vec::new();
            let source = png(colour, all);
            Still::new(&source).read_to_end(&mut found).unwrap();
            assert!(found == png(colour, kept), "{}", found.escape_ascii());
        }
        // Of all others every byte is handed out, whole or not.
        let source = png(2, &without_palette);
        for end in 0..source.len() {
            let mut found = Vec::new();
            Still::new(&source[..end]).read_to_end(&mut found).unwrap();
            assert!(found == source[..end], "{end}");
        }
    }
}
