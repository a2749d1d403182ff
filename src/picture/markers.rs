//! The markers of a JPEG (ITU T.81 annex B): the one reader of them, for files and for bytes in
//! memory, and the one list of what they mean.
//!
//! Bytes between segments are passed over, and so are segments whose length is impossible, as
//! libjpeg does: what to make of them is for the decoder to say, as long as an end can be found.
//! Nothing within a segment is taken for a marker, so that thumbnails do not confuse the walk.

use std::io::{self, BufRead, Cursor, Read};

/// What every JPEG starts with: SOI, and the first byte of the marker behind it.
pub const SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// Bytes of SOI, which stands in front of all segments.
const START: u64 = 2;

pub const SOF0: u8 = 0xc0;
pub const SOF1: u8 = 0xc1;
pub const SOF9: u8 = 0xc9;
pub const DHT: u8 = 0xc4;
const SOI: u8 = 0xd8;
pub const EOI: u8 = 0xd9;
pub const SOS: u8 = 0xda;
pub const DQT: u8 = 0xdb;
pub const DRI: u8 = 0xdd;
pub const APP0: u8 = 0xe0;
pub const APP1: u8 = 0xe1;
pub const APP2: u8 = 0xe2;
pub const APP13: u8 = 0xed;
pub const APP14: u8 = 0xee;
pub const COM: u8 = 0xfe;

const TEM: u8 = 0x01;
pub const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;

/// The coding process of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// All that is known of a block comes at once; baseline is such a one.
    Sequential,
    /// Blocks become finer from scan to scan.
    Progressive,
    /// Without a DCT.
    Lossless,
    /// Frames refine other frames. Nobody writes such files, and libjpeg refuses them.
    Hierarchical,
}

/// A frame header, the segment of a `SOFn`.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub process: Process,
    header: &'a [u8],
}

impl<'a> Frame<'a> {
    /// `None` for segments of other markers.
    pub fn of(marker: u8, body: &'a [u8]) -> Option<Self> {
        process(marker).map(|process| Self {
            process,
            header: body,
        })
    }

    /// Width and height, pixels as stored.
    pub fn size(self) -> Option<(u32, u32)> {
        let &[_precision, h1, h0, w1, w0, ..] = self.header else {
            return None;
        };
        let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
        Some((side(w1, w0), side(h1, h0)))
    }

    pub fn components(self) -> Option<u8> {
        self.header.get(5).copied()
    }

    /// The sampling factors of each component that is described, across and down, 0..=15.
    pub fn factors(self) -> impl Iterator<Item = (u8, u8)> + 'a {
        self.described().map(|(_, factors)| factors)
    }

    /// The name of each component that is described, and its sampling factors.
    pub fn described(self) -> impl Iterator<Item = (u8, (u8, u8))> + 'a {
        let components = self.header.get(6..).unwrap_or_default();
        components
            .chunks_exact(3)
            .map(|component| (component[0], (component[1] >> 4, component[1] & 15)))
    }
}

/// The process that a `SOFn` stands for; among their numbers are DHT, JPG and DAC, which do not.
pub fn process(marker: u8) -> Option<Process> {
    match marker {
        0xc0 | 0xc1 | 0xc9 => Some(Process::Sequential),
        0xc2 | 0xca => Some(Process::Progressive),
        0xc3 | 0xcb => Some(Process::Lossless),
        0xc5..=0xc7 | 0xcd..=0xcf => Some(Process::Hierarchical),
        _ => None,
    }
}

/// The start of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub marker: u8,
    /// Bytes of its body.
    pub length: u16,
}

/// The next segment, at whose body the source stands then; `None` at EOI. Breaks off with
/// `UnexpectedEof`.
pub fn next(source: &mut impl BufRead) -> io::Result<Option<Segment>> {
    loop {
        source.skip_until(0xff)?;
        let mut marker = 0xff;
        while marker == 0xff {
            [marker] = array(source)?;
        }
        match marker {
            // A stuffed zero is no marker, and these have no segment.
            0 | TEM | RST0..=SOI => continue,
            EOI => return Ok(None),
            _ => {}
        }
        let length = u16::from_be_bytes(array(source)?);
        // The length counts itself.
        if let Some(length) = length.checked_sub(2) {
            return Ok(Some(Segment { marker, length }));
        }
    }
}

/// As many bytes as are asked for.
pub fn array<const N: usize>(source: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A JPEG in memory, from segment to segment.
#[derive(Debug)]
pub struct Walk<'a> {
    source: Cursor<&'a [u8]>,
}

impl<'a> Walk<'a> {
    /// Starts behind SOI.
    pub fn new(jpeg: &'a [u8]) -> Self {
        let mut source = Cursor::new(jpeg);
        source.set_position(START);
        Self { source }
    }

    /// Starts at the first of these bytes, which stand behind a scan.
    pub fn behind_scan(bytes: &'a [u8]) -> Self {
        Self {
            source: Cursor::new(bytes),
        }
    }

    /// Marker and body of the next segment; `None` at EOI. Breaks off with `UnexpectedEof`.
    pub fn segment(&mut self) -> io::Result<Option<(u8, &'a [u8])>> {
        let Some(Segment { marker, length }) = next(&mut self.source)? else {
            return Ok(None);
        };
        let body = self.rest().get(..usize::from(length));
        let body = body.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.pass(body.len());
        Ok(Some((marker, body)))
    }

    /// Goes on behind the entropy-coded data that follow the header of a scan. Breaks off with
    /// `UnexpectedEof`.
    pub fn pass_scan(&mut self) -> io::Result<()> {
        let data = self.rest();
        let end = memchr::memchr_iter(0xff, data).find(|at| {
            // After a stuffed zero, a restart marker or a fill byte the data go on.
            !matches!(data.get(at + 1), None | Some(0 | RST0..=RST7 | 0xff))
        });
        self.pass(end.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Whether another JPEG starts here.
    pub fn starts_anew(&self) -> bool {
        self.rest().starts_with(&[0xff, SOI])
    }

    /// Bytes that have been walked over.
    pub fn position(&self) -> usize {
        usize::try_from(self.source.position()).unwrap_or(usize::MAX)
    }

    /// All that has not been walked over.
    pub fn rest(&self) -> &'a [u8] {
        self.source
            .get_ref()
            .get(self.position()..)
            .unwrap_or_default()
    }

    fn pass(&mut self, bytes: usize) {
        self.source
            .set_position(self.source.position() + bytes as u64);
    }
}

/// Marker and body of each segment in front of the first scan.
pub fn before_scan(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut walk = Walk::new(jpeg);
    std::iter::from_fn(move || {
        let found = walk.segment().ok().flatten();
        found.filter(|(marker, _)| *marker != SOS)
    })
}

/// The TIFF block in the body of an APP1 segment, if that is EXIF. The second NUL that belongs behind
/// the name may be something else.
pub fn exif(body: &[u8]) -> Option<&[u8]> {
    let block = body.strip_prefix(b"Exif\0")?.get(1..)?;
    (!block.is_empty()).then_some(block)
}

/// Appends a segment whose body is made of two parts, at most 65,533 bytes together.
pub fn write(marker: u8, head: &[u8], body: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(2 + head.len() + body.len()).unwrap_or(u16::MAX);
    out.extend([0xff, marker]);
    out.extend(length.to_be_bytes());
    out.extend(head);
    out.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number between 0xc0 and 0xcf, as T.81 table B.1 has them.
    #[test]
    fn each_start_of_frame_is_known_and_nothing_else() {
        for marker in 0..=255 {
            let expected = match marker {
                0xc0 | 0xc1 | 0xc9 => Some(Process::Sequential),
                0xc2 | 0xca => Some(Process::Progressive),
                0xc3 | 0xcb => Some(Process::Lossless),
                0xc4 | 0xc8 | 0xcc => None,
                0xc5..=0xcf => Some(Process::Hierarchical),
                _ => None,
            };
            assert_eq!(process(marker), expected, "{marker:#x}");
        }
    }

    #[test]
    fn what_is_no_segment_is_passed_over() {
        // Bytes in between, a stuffed zero, TEM, a restart, an impossible length, fill bytes.
        let jpeg = b"\xff\xd8junk\xff\x00\xff\x01\xff\xd3\xff\xe5\0\x01\xff\xff\xff\xe1\0\x04ab\
            \xff\xda\0\x03c\x12\xff\x00\x34\xff\xd0\x56\xff\xff\xfe\0\x02\xff\xd9";
        let mut walk = Walk::new(jpeg);
        assert_eq!(walk.segment().unwrap(), Some((APP1, &b"ab"[..])));
        assert_eq!(walk.segment().unwrap(), Some((SOS, &b"c"[..])));
        walk.pass_scan().unwrap();
        assert_eq!(walk.segment().unwrap(), Some((0xfe, &b""[..])));
        assert_eq!(walk.segment().unwrap(), None);
        let found: Vec<_> = before_scan(jpeg).collect();
        assert_eq!(found, [(APP1, &b"ab"[..])]);
    }

    #[test]
    fn what_breaks_off_says_so() {
        for (jpeg, segments) in [
            (&b""[..], 0),
            (b"\xff\xd8", 0),
            (b"\xff\xd8\xff", 0),
            (b"\xff\xd8\xff\xe1\0", 0),
            (b"\xff\xd8\xff\xe1\0\x04a", 0),
            (b"\xff\xd8\xff\xe1\0\x04ab", 1),
        ] {
            let mut walk = Walk::new(jpeg);
            for _ in 0..segments {
                assert!(walk.segment().unwrap().is_some());
            }
            let error = walk.segment().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{jpeg:?}");
        }
    }
}
