//! EXIF blocks (TIFF 6.0 layout, without the `Exif\0\0` that precedes them in JPEG): what is read
//! from one, what of it is written again, and what must be mended in one that is kept.
//!
//! A few tags are all that is needed, so this reads and writes bytes itself: the crates for it
//! parse everything into trees, and those that write move values, which breaks maker notes, whose
//! offsets count from the start of the block.

mod block;
mod keep;

use block::{ASCII, BYTE, Block, ORIENTATION, RATIONAL, SHORT};

pub use keep::mend;

const X_RESOLUTION: u16 = 0x011a;
const Y_RESOLUTION: u16 = 0x011b;
const RESOLUTION_UNIT: u16 = 0x0128;
const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
/// Windows' own, in UTF-16.
const XP_AUTHOR: u16 = 0x9c9d;

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
