//! EXIF blocks (TIFF 6.0 layout, without the `Exif\0\0` that precedes them in JPEG): what is read
//! from one, what of it is written again, and what must be mended in one that is kept.
//!
//! A few tags are all that is needed, so this reads and writes bytes itself: the crates for it
//! parse everything into trees, and those that write move values, which breaks maker notes, whose
//! offsets count from the start of the block.

use std::ops::Range;

const WIDTH: u16 = 0x0100;
const HEIGHT: u16 = 0x0101;
const STRIP_OFFSETS: u16 = 0x0111;
const ORIENTATION: u16 = 0x0112;
const STRIP_LENGTHS: u16 = 0x0117;
const X_RESOLUTION: u16 = 0x011a;
const Y_RESOLUTION: u16 = 0x011b;
const RESOLUTION_UNIT: u16 = 0x0128;
const ARTIST: u16 = 0x013b;
const JPEG_OFFSET: u16 = 0x0201;
const JPEG_LENGTH: u16 = 0x0202;
const COPYRIGHT: u16 = 0x8298;
const EXIF_DIRECTORY: u16 = 0x8769;
/// Windows' own, in UTF-16.
const XP_AUTHOR: u16 = 0x9c9d;
const PIXEL_WIDTH: u16 = 0xa002;
const PIXEL_HEIGHT: u16 = 0xa003;

const BYTE: u16 = 1;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

/// Bytes of a value that is written: more than any name, far less than a segment holds.
const LONGEST: usize = 8 << 10;

/// Who made a picture and whose it is, with the resolution; borrowed from where it was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rights<'a> {
    /// ASCII by the standard, UTF-8 in practice; without the NUL at the end.
    pub artist: &'a [u8],
    pub copyright: &'a [u8],
    /// UTF-16.
    pub xp_author: &'a [u8],
    pub resolution: Option<Resolution>,
}

/// Pixels per unit as fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    pub x: (u32, u32),
    pub y: (u32, u32),
    /// 2 inch, 3 centimetre.
    pub unit: u16,
}

#[derive(Clone, Copy)]
struct Block<'a> {
    bytes: &'a [u8],
    little: bool,
}

struct Entry {
    /// Where its 12 bytes start.
    at: usize,
    tag: u16,
    kind: u16,
    count: usize,
}

/// The orientation, 1..=8; 1 where there is none or it makes no sense.
pub fn orientation(tiff: &[u8]) -> u8 {
    Block::of(tiff)
        .and_then(|block| {
            let entry = block.find(block.long(4)?, ORIENTATION)?;
            u8::try_from(block.number(&entry)?).ok()
        })
        .filter(|value| (1..=8).contains(value))
        .unwrap_or(1)
}

/// What of a block is worth keeping for its maker.
pub fn rights(tiff: &[u8]) -> Rights<'_> {
    let Some((block, first)) = Block::of(tiff).and_then(|block| Some((block, block.long(4)?)))
    else {
        return Rights::default();
    };
    let text = |tag| {
        let found = block
            .find(first, tag)
            .and_then(|entry| tiff.get(block.value(&entry)?));
        let text = found.unwrap_or_default();
        let end = if tag == XP_AUTHOR {
            text.len()
        } else {
            // Cameras fill their fields with NULs or blanks; "photographer NUL editor" is allowed.
            let blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
            text.len() - text.iter().rev().take_while(|byte| blank(byte)).count()
        };
        &text[..end.min(LONGEST)]
    };
    let fraction = |tag| {
        let entry = block.find(first, tag)?;
        let range = block.value(&entry).filter(|_| entry.kind == RATIONAL)?;
        let (above, below) = (
            block.long(range.start)?,
            block.long(range.start.checked_add(4)?)?,
        );
        Some((u32::try_from(above).ok()?, u32::try_from(below).ok()?))
            .filter(|(above, below)| *above > 0 && *below > 0)
    };
    let unit = block
        .find(first, RESOLUTION_UNIT)
        .and_then(|entry| block.number(&entry))
        .and_then(|unit| u16::try_from(unit).ok())
        .unwrap_or(2);
    let resolution = fraction(X_RESOLUTION)
        .zip(fraction(Y_RESOLUTION))
        .map(|(x, y)| Resolution { x, y, unit })
        .filter(|_| unit == 2 || unit == 3);
    Rights {
        artist: text(ARTIST),
        copyright: text(COPYRIGHT),
        xp_author: text(XP_AUTHOR),
        resolution,
    }
}

/// Appends a block with nothing but the rights; nothing at all where there are none.
pub fn write(rights: &Rights<'_>, out: &mut Vec<u8>) {
    if *rights == Rights::default() {
        return;
    }
    let fraction = |(above, below): (u32, u32)| [above.to_le_bytes(), below.to_le_bytes()].concat();
    let terminated = |text: &[u8]| {
        let mut text = text[..text.len().min(LONGEST)].to_vec();
        if !text.is_empty() {
            text.push(0);
        }
        text
    };
    let mut values: Vec<(u16, u16, u32, Vec<u8>)> = Vec::new();
    if let Some(resolution) = rights.resolution {
        values.push((X_RESOLUTION, RATIONAL, 1, fraction(resolution.x)));
        values.push((Y_RESOLUTION, RATIONAL, 1, fraction(resolution.y)));
        let unit = resolution.unit.to_le_bytes().to_vec();
        values.push((RESOLUTION_UNIT, SHORT, 1, unit));
    }
    for (tag, kind, value) in [
        (ARTIST, ASCII, terminated(rights.artist)),
        (COPYRIGHT, ASCII, terminated(rights.copyright)),
        (XP_AUTHOR, BYTE, rights.xp_author.to_vec()),
    ] {
        if !value.is_empty() {
            let count = u32::try_from(value.len()).unwrap_or(0);
            values.push((tag, kind, count, value));
        }
    }
    // At most six entries of at most 8 KB each: every number below fits.
    let number = |value: usize| u32::try_from(value).unwrap_or(0).to_le_bytes();
    out.extend(b"II*\0\x08\0\0\0");
    out.extend(&number(values.len())[..2]);
    let mut free = 8 + 2 + values.len() * 12 + 4;
    for (tag, kind, count, value) in &values {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        if value.len() <= 4 {
            out.extend(value);
            out.resize(out.len() + 4 - value.len(), 0);
        } else {
            out.extend(number(free));
            free += value.len().next_multiple_of(2);
        }
    }
    out.extend([0; 4]);
    for (.., value) in values.iter().filter(|(.., value)| value.len() > 4) {
        out.extend(value);
        out.resize(out.len() + value.len() % 2, 0);
    }
}

/// Makes a whole block true of the written picture, in place, so that offsets inside of maker notes
/// stay right: upright, of the new size, without the thumbnail of the unmarked picture.
pub fn mend(tiff: &mut Vec<u8>, (width, height): (u32, u32)) {
    let mut patches = Vec::new();
    let mut blanks = Vec::new();
    if let Some(block) = Block::of(tiff) {
        block.plan(&mut patches, &mut blanks, (width, height));
    }
    for Patch { at, bytes, length } in patches {
        if let Some(place) = tiff.get_mut(at..at + length) {
            place.copy_from_slice(&bytes[..length]);
        }
    }
    for range in blanks {
        // A thumbnail is the end of most blocks.
        if range.end == tiff.len() {
            tiff.truncate(range.start);
        } else if let Some(bytes) = tiff.get_mut(range) {
            bytes.fill(0);
        }
    }
}

/// New bytes at a place: the first `length` of them.
struct Patch {
    at: usize,
    bytes: [u8; 4],
    length: usize,
}

impl<'a> Block<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let little = match bytes.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let block = Self { bytes, little };
        (block.short(2)? == 42).then_some(block)
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let value = if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        usize::try_from(value).ok()
    }

    fn entry(&self, directory: usize, index: usize) -> Option<Entry> {
        let at = directory.checked_add(2 + index * 12)?;
        Some(Entry {
            at,
            tag: self.short(at)?,
            kind: self.short(at.checked_add(2)?)?,
            count: self.long(at.checked_add(4)?)?,
        })
    }

    fn find(&self, directory: usize, tag: u16) -> Option<Entry> {
        let count = usize::from(self.short(directory)?);
        (0..count)
            .map_while(|index| self.entry(directory, index))
            .find(|entry| entry.tag == tag)
    }

    /// Where a value's bytes stand, if all of them do.
    fn value(&self, entry: &Entry) -> Option<Range<usize>> {
        let size = match entry.kind {
            SHORT => 2,
            LONG => 4,
            RATIONAL => 8,
            _ => 1,
        };
        let length = entry.count.checked_mul(size)?;
        let start = if length <= 4 {
            entry.at + 8
        } else {
            self.long(entry.at + 8)?
        };
        let range = start..start.checked_add(length)?;
        (range.end <= self.bytes.len()).then_some(range)
    }

    /// A single number. Some writers store as LONG what should be SHORT.
    fn number(&self, entry: &Entry) -> Option<usize> {
        match entry.kind {
            LONG => self.long(entry.at + 8),
            _ => self.short(entry.at + 8).map(usize::from),
        }
    }

    /// Where the directory after this one starts; 0 where there is none.
    fn next(&self, directory: usize) -> Option<(usize, usize)> {
        let count = usize::from(self.short(directory)?);
        let at = directory.checked_add(2 + count * 12)?;
        Some((at, self.long(at)?))
    }

    fn plan(
        &self,
        patches: &mut Vec<Patch>,
        blanks: &mut Vec<Range<usize>>,
        (width, height): (u32, u32),
    ) {
        let mut set = |directory: usize, tag: u16, value: u32| {
            if let Some(entry) = self.find(directory, tag) {
                let (bytes, length) = match (entry.kind, u16::try_from(value)) {
                    (SHORT, Ok(short)) => {
                        let bytes = if self.little {
                            short.to_le_bytes()
                        } else {
                            short.to_be_bytes()
                        };
                        ([bytes[0], bytes[1], 0, 0], 2)
                    }
                    (LONG, _) if self.little => (value.to_le_bytes(), 4),
                    (LONG, _) => (value.to_be_bytes(), 4),
                    _ => return,
                };
                patches.push(Patch {
                    at: entry.at + 8,
                    bytes,
                    length,
                });
            }
        };
        let Some(first) = self.long(4) else { return };
        set(first, ORIENTATION, 1);
        set(first, WIDTH, width);
        set(first, HEIGHT, height);
        let inner = self.find(first, EXIF_DIRECTORY);
        if let Some(inner) = inner.and_then(|entry| self.number(&entry)) {
            set(inner, PIXEL_WIDTH, width);
            set(inner, PIXEL_HEIGHT, height);
        }
        let Some((link, second)) = self.next(first).filter(|(_, second)| *second > 0) else {
            return;
        };
        patches.push(Patch {
            at: link,
            bytes: [0; 4],
            length: 4,
        });
        for (offset, length) in [(JPEG_OFFSET, JPEG_LENGTH), (STRIP_OFFSETS, STRIP_LENGTHS)] {
            let number = |tag| {
                let entry = self.find(second, tag).filter(|entry| entry.count == 1)?;
                self.number(&entry)
            };
            if let Some((start, length)) = number(offset).zip(number(length))
                && let Some(end) = start.checked_add(length)
                && start >= 8
                && end <= self.bytes.len()
            {
                blanks.push(start..end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(little: bool, tag: u16, value: u16) -> Vec<u8> {
        let short = |v: u16| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let long = |v: u32| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let mut tiff = if little {
            b"II".to_vec()
        } else {
            b"MM".to_vec()
        };
        tiff.extend(short(42));
        tiff.extend(long(8));
        tiff.extend(short(1));
        tiff.extend(short(tag));
        tiff.extend(short(SHORT));
        tiff.extend(long(1));
        tiff.extend(short(value));
        tiff.extend([0, 0]);
        tiff
    }

    /// A camera's block: orientation, artist, and a second directory with a thumbnail at the end.
    fn camera() -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
        tiff.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
        tiff.extend(b"\x3b\x01\x02\0\x08\0\0\0\x26\0\0\0");
        tiff.extend(b"\x2e\0\0\0Ann Lee\0");
        tiff.extend(b"\x02\0\x01\x02\x04\0\x01\0\0\0\x4c\0\0\0");
        tiff.extend(b"\x02\x02\x04\0\x01\0\0\0\x05\0\0\0\0\0\0\0");
        tiff.extend(b"THUMB");
        tiff
    }

    #[test]
    fn reads_both_byte_orders() {
        for little in [true, false] {
            for value in 1..=8u8 {
                assert_eq!(
                    orientation(&block(little, ORIENTATION, value.into())),
                    value
                );
            }
        }
    }

    #[test]
    fn nonsense_is_upright() {
        let good = block(true, ORIENTATION, 6);
        for cut in 0..good.len() - 2 {
            assert_eq!(orientation(&good[..cut.min(17)]), 1);
        }
        assert_eq!(orientation(&block(true, ORIENTATION, 9)), 1);
        assert_eq!(orientation(&block(true, 0x0113, 6)), 1);
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), 1);
    }

    #[test]
    fn what_is_written_is_read() {
        for rights_ in [
            Rights {
                artist: b"Ann",
                copyright: "© 2024 Ann".as_bytes(),
                xp_author: b"A\0n\0n\0\0\0",
                resolution: Some(Resolution {
                    x: (300, 1),
                    y: (2997, 10),
                    unit: 3,
                }),
            },
            Rights {
                artist: b"An",
                ..Rights::default()
            },
        ] {
            let mut bytes = Vec::new();
            write(&rights_, &mut bytes);
            assert_eq!(rights(&bytes), rights_);
            assert_eq!(orientation(&bytes), 1);
        }
        let mut nothing = Vec::new();
        write(&Rights::default(), &mut nothing);
        assert!(nothing.is_empty());
    }

    #[test]
    fn a_kept_block_is_upright_and_without_its_thumbnail() {
        let mut tiff = camera();
        assert_eq!((orientation(&tiff), tiff.len()), (6, 0x51));
        mend(&mut tiff, (20, 10));
        assert_eq!(orientation(&tiff), 1);
        assert_eq!(rights(&tiff).artist, b"Ann Lee");
        assert_eq!(tiff.len(), 0x4c);
        let first = Block::of(&tiff).unwrap().next(8).unwrap();
        assert_eq!(first, (34, 0));
    }

    #[test]
    fn hostile_blocks_do_no_harm() {
        let whole = camera();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut tiff = whole.clone();
                tiff[at] = value;
                rights(&tiff);
                mend(&mut tiff, (1, 1));
                rights(&whole[..at]);
                mend(&mut whole[..at].to_vec(), (1, 1));
            }
        }
    }
}
