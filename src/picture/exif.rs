//! EXIF blocks (TIFF 6.0 layout, without the `Exif\0\0` that precedes them in JPEG): what is read
//! from one, what of it is written again, and what must be mended in one that is kept.
//!
//! A few tags are all that is needed, so this reads and writes bytes itself: the crates for it
//! parse everything into trees, and those that write move values, which breaks maker notes, whose
//! offsets count from the start of the block.

mod block;
pub mod colours;
mod keep;

use block::{ASCII, BYTE, Block, EXIF_DIRECTORY, LONG, ORIENTATION, RATIONAL, SHORT, UNDEFINED};

pub use keep::{Change, mend, scaled};

const X_RESOLUTION: u16 = 0x011a;
const Y_RESOLUTION: u16 = 0x011b;
const RESOLUTION_UNIT: u16 = 0x0128;
const MAKE: u16 = 0x010f;
const MODEL: u16 = 0x0110;
const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
const EXIF_VERSION: u16 = 0x9000;
const TAKEN: u16 = 0x9003;
const TAKEN_OFFSET: u16 = 0x9011;
const TAKEN_FRACTION: u16 = 0x9291;
const OWNER: u16 = 0xa430;
/// Windows' own, in UTF-16.
const XP_AUTHOR: u16 = 0x9c9d;

/// Bytes of a value that is written: more than any name, far less than a segment holds.
const LONGEST: usize = 8 << 10;

/// Who made a picture, when, and whose it is, with the resolution; borrowed from where it was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rights<'a> {
    /// ASCII by the standard, UTF-8 in practice; without the NUL at the end.
    pub artist: &'a [u8],
    pub copyright: &'a [u8],
    /// UTF-16.
    pub xp_author: &'a [u8],
    pub resolution: Option<Resolution>,
    /// Of the camera.
    pub owner: &'a [u8],
    /// When the picture was taken, "2024:05:01 12:00:00", local time.
    pub taken: &'a [u8],
    /// From UTC, "+02:00".
    pub offset: &'a [u8],
    /// Digits behind the second.
    pub fraction: &'a [u8],
}

/// Pixels per unit as fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    pub x: (u32, u32),
    pub y: (u32, u32),
    /// 2 inch, 3 centimetre.
    pub unit: u16,
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
    let inner = block.find(first, EXIF_DIRECTORY);
    let inner = inner.and_then(|entry| block.number(&entry));
    let of_exif = |tag| inner.map_or(&[][..], |inner| text(block, inner, tag));
    Rights {
        artist: text(block, first, ARTIST),
        copyright: text(block, first, COPYRIGHT),
        xp_author: text(block, first, XP_AUTHOR),
        resolution: resolution(block, first),
        owner: of_exif(OWNER),
        taken: of_exif(TAKEN),
        offset: of_exif(TAKEN_OFFSET),
        fraction: of_exif(TAKEN_FRACTION),
    }
}

/// The camera's maker and model.
pub fn camera(tiff: &[u8]) -> (&[u8], &[u8]) {
    let block = Block::of(tiff).and_then(|block| Some((block, block.long(4)?)));
    block.map_or((&[], &[]), |(block, first)| {
        (text(block, first, MAKE), text(block, first, MODEL))
    })
}

/// A text without the blanks at its end; empty where there is none.
fn text(block: Block<'_>, directory: usize, tag: u16) -> &[u8] {
    let found = block
        .find(directory, tag)
        .and_then(|entry| block.bytes.get(block.value(&entry)?));
    let text = found.unwrap_or_default();
    let end = if tag == XP_AUTHOR {
        text.len()
    } else {
        // Cameras fill their fields with NULs or blanks; "photographer NUL editor" is allowed.
        let blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        text.len() - text.iter().rev().take_while(|byte| blank(byte)).count()
    };
    &text[..end.min(LONGEST)]
}

fn resolution(block: Block<'_>, directory: usize) -> Option<Resolution> {
    let fraction = |tag| {
        let entry = block.find(directory, tag)?;
        let range = block.value(&entry).filter(|_| entry.kind == RATIONAL)?;
        let (above, below) = (
            block.long(range.start)?,
            block.long(range.start.checked_add(4)?)?,
        );
        Some((u32::try_from(above).ok()?, u32::try_from(below).ok()?))
            .filter(|(above, below)| *above > 0 && *below > 0)
    };
    let unit = block
        .find(directory, RESOLUTION_UNIT)
        .and_then(|entry| block.number(&entry))
        .and_then(|unit| u16::try_from(unit).ok())
        .unwrap_or(2);
    fraction(X_RESOLUTION)
        .zip(fraction(Y_RESOLUTION))
        .map(|(x, y)| Resolution { x, y, unit })
        .filter(|_| unit == 2 || unit == 3)
}

/// Tag, type, count and bytes of a value that is written.
type Value = (u16, u16, u32, Vec<u8>);

/// Appends a block with nothing but the rights; nothing at all where there are none.
pub fn write(rights: &Rights<'_>, out: &mut Vec<u8>) {
    if *rights == Rights::default() {
        return;
    }
    let fraction = |(above, below): (u32, u32)| [above.to_le_bytes(), below.to_le_bytes()].concat();
    let mut values: Vec<Value> = Vec::new();
    if let Some(resolution) = rights.resolution {
        values.push((X_RESOLUTION, RATIONAL, 1, fraction(resolution.x)));
        values.push((Y_RESOLUTION, RATIONAL, 1, fraction(resolution.y)));
        let unit = resolution.unit.to_le_bytes().to_vec();
        values.push((RESOLUTION_UNIT, SHORT, 1, unit));
    }
    values.extend(written(ARTIST, rights.artist));
    values.extend(written(COPYRIGHT, rights.copyright));
    let mut inner: Vec<Value> = Vec::new();
    inner.extend(written(TAKEN, rights.taken));
    inner.extend(written(TAKEN_OFFSET, rights.offset));
    inner.extend(written(TAKEN_FRACTION, rights.fraction));
    inner.extend(written(OWNER, rights.owner));
    if !inner.is_empty() {
        inner.insert(0, (EXIF_VERSION, UNDEFINED, 4, b"0232".to_vec()));
        values.push((EXIF_DIRECTORY, LONG, 1, vec![0; 4]));
    }
    if !rights.xp_author.is_empty() {
        let count = u32::try_from(rights.xp_author.len()).unwrap_or(0);
        values.push((XP_AUTHOR, BYTE, count, rights.xp_author.to_vec()));
    }
    let behind = 8 + length(&values);
    for (tag, .., value) in &mut values {
        if *tag == EXIF_DIRECTORY {
            *value = number(behind).to_vec();
        }
    }
    out.extend(b"II*\0\x08\0\0\0");
    directory(&values, 8, out);
    if !inner.is_empty() {
        directory(&inner, behind, out);
    }
}

fn written(tag: u16, text: &[u8]) -> Option<Value> {
    let mut text = text[..text.len().min(LONGEST)].to_vec();
    if text.is_empty() {
        return None;
    }
    text.push(0);
    Some((tag, ASCII, u32::try_from(text.len()).unwrap_or(0), text))
}

/// There are at most a dozen entries of at most 8 KB each, so that every number fits.
fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(0).to_le_bytes()
}

/// Bytes of a value that does not fit into its entry.
fn outside((.., value): &Value) -> usize {
    if value.len() > 4 {
        value.len().next_multiple_of(2)
    } else {
        0
    }
}

/// Bytes of a directory with its values.
fn length(values: &[Value]) -> usize {
    2 + values.len() * 12 + 4 + values.iter().map(outside).sum::<usize>()
}

/// Appends a directory that starts at this place of the block. Tags must ascend.
fn directory(values: &[Value], at: usize, out: &mut Vec<u8>) {
    out.extend(&number(values.len())[..2]);
    let mut free = at + 2 + values.len() * 12 + 4;
    for whole in values {
        let (tag, kind, count, value) = whole;
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        if value.len() <= 4 {
            out.extend(value);
            out.resize(out.len() + 4 - value.len(), 0);
        } else {
            out.extend(number(free));
            free += outside(whole);
        }
    }
    out.extend([0; 4]);
    for (.., value) in values.iter().filter(|(.., value)| value.len() > 4) {
        out.extend(value);
        out.resize(out.len() + value.len() % 2, 0);
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
                owner: b"Bo",
                taken: b"2024:05:01 12:00:00",
                offset: b"+02:00",
                fraction: b"123",
            },
            Rights {
                taken: b"2024:05:01 12:00:00",
                ..Rights::default()
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
}
