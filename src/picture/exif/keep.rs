//! A block that is kept whole, made true of the written picture in place, so that offsets inside of
//! maker notes stay right: upright, of the new size, without pictures of the unmarked one.

use std::ops::Range;

use super::super::preview;
use super::block::{Block, EXIF_DIRECTORY, LONG, ORIENTATION, SHORT};

const WIDTH: u16 = 0x0100;
const HEIGHT: u16 = 0x0101;
const STRIP_OFFSETS: u16 = 0x0111;
const STRIP_LENGTHS: u16 = 0x0117;
const SUB_DIRECTORIES: u16 = 0x014a;
const JPEG_OFFSET: u16 = 0x0201;
const JPEG_LENGTH: u16 = 0x0202;
/// Places on the picture as it was, which no reader could tell from true ones.
const PLACES: [u16; 2] = [0x9214, 0xa214];
const PIXEL_WIDTH: u16 = 0xa002;
const PIXEL_HEIGHT: u16 = 0xa003;
const INTEROPERABILITY: u16 = 0xa005;
const RELATED_WIDTH: u16 = 0x1001;
const RELATED_HEIGHT: u16 = 0x1002;

/// Directories of thumbnails, and strips of one, that are looked at.
const MOST: usize = 64;

/// Mends a block. False if it cannot be mended, and so must not be kept.
pub fn mend(tiff: &mut Vec<u8>, size: (u32, u32)) -> bool {
    let (mut patches, mut blanks) = (Vec::new(), Vec::new());
    let Some(block) = Block::of(tiff) else {
        return false;
    };
    plan(block, size, &mut patches, &mut blanks);
    let Some(jpegs) = preview::jpegs(tiff) else {
        return false;
    };
    blanks.extend(jpegs);
    blanks.extend(preview::encoded(tiff));
    for Patch { at, bytes, length } in patches {
        if let Some(place) = tiff.get_mut(at..at + length) {
            place.copy_from_slice(&bytes[..length]);
        }
    }
    for tag in PLACES {
        remove(tiff, tag);
    }
    // A thumbnail is the end of most blocks: from the last one on, what ends with the block is cut.
    blanks.sort_by_key(|range| range.end);
    for range in blanks.into_iter().rev() {
        if range.end >= tiff.len() {
            tiff.truncate(range.start);
        } else if let Some(bytes) = tiff.get_mut(range) {
            bytes.fill(0);
        }
    }
    true
}

/// New bytes at a place: the first `length` of them.
struct Patch {
    at: usize,
    bytes: [u8; 4],
    length: usize,
}

fn plan(
    block: Block<'_>,
    (width, height): (u32, u32),
    patches: &mut Vec<Patch>,
    blanks: &mut Vec<Range<usize>>,
) {
    let Some(first) = block.long(4) else { return };
    for (tag, value) in [(ORIENTATION, 1), (WIDTH, width), (HEIGHT, height)] {
        patches.extend(set(block, first, tag, value));
    }
    let inner = block.find(first, EXIF_DIRECTORY);
    if let Some(inner) = inner.and_then(|entry| block.number(&entry)) {
        patches.extend(set(block, inner, PIXEL_WIDTH, width));
        patches.extend(set(block, inner, PIXEL_HEIGHT, height));
        let related = block.find(inner, INTEROPERABILITY);
        if let Some(related) = related.and_then(|entry| block.number(&entry)) {
            patches.extend(set(block, related, RELATED_WIDTH, width));
            patches.extend(set(block, related, RELATED_HEIGHT, height));
        }
    }
    pictures(block, first, blanks);
    if let Some(entry) = block.find(first, SUB_DIRECTORIES) {
        for directory in block.numbers(entry).take(MOST) {
            pictures(block, directory, blanks);
        }
    }
    let mut before = first;
    for _ in 0..MOST {
        let Some((link, next)) = block.next(before).filter(|(_, next)| *next > 0) else {
            break;
        };
        if before == first {
            let (bytes, length) = ([0; 4], 4);
            patches.push(Patch {
                at: link,
                bytes,
                length,
            });
        }
        pictures(block, next, blanks);
        before = next;
    }
}

/// Takes an entry out of the EXIF directory, if it is there: those behind it move up.
fn remove(tiff: &mut [u8], tag: u16) -> Option<()> {
    let block = Block::of(tiff)?;
    let directory = block.number(&block.find(block.long(4)?, EXIF_DIRECTORY)?)?;
    let entry = block.find(directory, tag)?;
    let left = block.short(directory)?.checked_sub(1)?;
    let (link, _next) = block.next(directory)?;
    let count = if block.little {
        left.to_le_bytes()
    } else {
        left.to_be_bytes()
    };
    let rest = tiff.get_mut(entry.at..link.checked_add(4)?)?;
    rest.rotate_left(12);
    let length = rest.len();
    rest.get_mut(length.checked_sub(12)?..)?.fill(0);
    tiff.get_mut(directory..directory.checked_add(2)?)?
        .copy_from_slice(&count);
    Some(())
}

/// A number of a directory set anew, if it is there.
fn set(block: Block<'_>, directory: usize, tag: u16, value: u32) -> Option<Patch> {
    let entry = block.find(directory, tag)?;
    let (bytes, length) = match (entry.kind, u16::try_from(value)) {
        (SHORT, Ok(short)) => {
            let [one, other] = if block.little {
                short.to_le_bytes()
            } else {
                short.to_be_bytes()
            };
            ([one, other, 0, 0], 2)
        }
        (LONG, _) if block.little => (value.to_le_bytes(), 4),
        (LONG, _) => (value.to_be_bytes(), 4),
        _ => return None,
    };
    let at = entry.at + 8;
    Some(Patch { at, bytes, length })
}

/// Where a directory's picture stands, as a JPEG or in strips.
fn pictures(block: Block<'_>, directory: usize, blanks: &mut Vec<Range<usize>>) {
    for (offsets, lengths) in [(JPEG_OFFSET, JPEG_LENGTH), (STRIP_OFFSETS, STRIP_LENGTHS)] {
        if let Some((offsets, lengths)) = block
            .find(directory, offsets)
            .zip(block.find(directory, lengths))
        {
            let strips = block.numbers(offsets).zip(block.numbers(lengths));
            blanks.extend(strips.take(MOST).filter_map(|(start, length)| {
                let end = start.checked_add(length)?;
                (start >= 8 && end <= block.bytes.len()).then_some(start..end)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::jpeg;
    use super::super::{orientation, rights};
    use super::*;

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
    fn a_kept_block_is_upright_and_without_its_thumbnail() {
        let mut tiff = camera();
        assert_eq!((orientation(&tiff), tiff.len()), (6, 0x51));
        assert!(mend(&mut tiff, (20, 10)));
        assert_eq!(orientation(&tiff), 1);
        assert_eq!(rights(&tiff).artist, b"Ann Lee");
        assert_eq!(tiff.len(), 0x4c);
        let first = Block::of(&tiff).unwrap().next(8).unwrap();
        assert_eq!(first, (34, 0));
    }

    /// As in maker notes, which no directory leads to, and as XMP in a tag.
    #[test]
    fn pictures_that_no_directory_names_are_blanked() {
        let picture = jpeg(16, 16, turbojpeg::Subsamp::Sub2x2);
        let mut tiff = camera();
        tiff.extend(&picture);
        tiff.extend(b"maker note");
        tiff.extend("/9j/4AAQ".repeat(20).as_bytes());
        tiff.extend(b"\"end");
        let mut mended = tiff.clone();
        assert!(mend(&mut mended, (20, 10)));
        assert_eq!(mended.len(), tiff.len());
        assert_eq!(mended[0x4c..0x51], [0; 5]);
        let after = 0x51 + picture.len();
        assert!(mended[0x51..after].iter().all(|byte| *byte == 0));
        assert_eq!(mended[after..after + 10], *b"maker note");
        assert!(preview::encoded(&mended).is_empty());
        assert!(mended.ends_with(b"\"end"));
        tiff.extend(b"\xff\xd8\xff".repeat(1000));
        assert!(!mend(&mut tiff, (20, 10)));
    }

    #[test]
    fn several_strips_sub_directories_and_later_ones_are_blanked() {
        // First directory at 8: one strip of its own at 0x60, a sub-directory at 0x2c; the second
        // at 0x4a has two strips of SHORT numbers.
        let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
        tiff.extend(b"\x11\x01\x04\0\x01\0\0\0\x80\0\0\0");
        tiff.extend(b"\x4a\x01\x04\0\x01\0\0\0\x26\0\0\0");
        tiff.extend(b"\x44\0\0\0");
        tiff.extend(
            b"\x02\0\x01\x02\x04\0\x01\0\0\0\x80\0\0\0\x02\x02\x04\0\x01\0\0\0\x04\0\0\0\0\0\0\0",
        );
        assert_eq!(tiff.len(), 0x44);
        tiff.extend(b"\x02\0\x11\x01\x03\0\x02\0\0\0\x84\0\x88\0\x17\x01\x03\0\x02\0\0\0\x04\0\x04\0\0\0\0\0");
        tiff.resize(0x80, b'.');
        tiff.extend(b"AAAABBBBCCCCtail");
        assert!(mend(&mut tiff, (20, 10)));
        assert_eq!(tiff[0x7f..], *b".\0\0\0\0\0\0\0\0\0\0\0\0tail");
    }

    /// An EXIF directory with a subject's area in front of the width, in either byte order.
    fn focused(little: bool) -> Vec<u8> {
        let short = |value: u16| {
            if little {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            }
        };
        let long = |value: u32| {
            if little {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            }
        };
        let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
            [&short(tag)[..], &short(kind), &long(count), &value].concat()
        };
        let half = |value: u16| [&short(value)[..], &[0; 2]].concat().try_into().unwrap();
        let mut tiff = if little {
            b"II".to_vec()
        } else {
            b"MM".to_vec()
        };
        tiff.extend([&short(42)[..], &long(8), &short(1)].concat());
        tiff.extend(entry(EXIF_DIRECTORY, LONG, 1, long(26)));
        tiff.extend([&long(0)[..], &short(3)].concat());
        tiff.extend(entry(PLACES[0], SHORT, 2, [1, 2, 3, 4]));
        tiff.extend(entry(PIXEL_WIDTH, SHORT, 1, half(4000)));
        tiff.extend(entry(PLACES[1], SHORT, 2, [1, 2, 3, 4]));
        tiff.extend(long(0));
        tiff.extend(b"maker note");
        tiff
    }

    #[test]
    fn places_on_the_source_go() {
        for little in [true, false] {
            let mut tiff = focused(little);
            let length = tiff.len();
            assert!(mend(&mut tiff, (20, 10)));
            assert_eq!(tiff.len(), length);
            assert!(tiff.ends_with(b"maker note"));
            let block = Block::of(&tiff).unwrap();
            assert_eq!(block.short(26), Some(1));
            let width = block.find(26, PIXEL_WIDTH).unwrap();
            assert_eq!(block.number(&width), Some(20));
            assert_eq!(block.next(26), Some((40, 0)));
            assert!(PLACES.iter().all(|tag| block.find(26, *tag).is_none()));
        }
    }

    #[test]
    fn hostile_blocks_do_no_harm() {
        for whole in [camera(), focused(true), focused(false)] {
            hostile(&whole);
        }
    }

    fn hostile(whole: &[u8]) {
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut tiff = whole.to_vec();
                tiff[at] = value;
                rights(&tiff);
                mend(&mut tiff, (1, 1));
                rights(&whole[..at]);
                mend(&mut whole[..at].to_vec(), (1, 1));
            }
        }
    }
}
