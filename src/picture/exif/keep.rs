//! A block that is kept whole, made true of the written picture in place, so that offsets inside of
//! maker notes stay right: upright, of the new size, without pictures of the unmarked one.

use std::ops::Range;

use super::super::preview;
use super::block::{Block, EXIF_DIRECTORY, LONG, ORIENTATION, RATIONAL, SHORT};

const WIDTH: u16 = 0x0100;
const HEIGHT: u16 = 0x0101;
const STRIP_OFFSETS: u16 = 0x0111;
const STRIP_LENGTHS: u16 = 0x0117;
const SUB_DIRECTORIES: u16 = 0x014a;
const JPEG_OFFSET: u16 = 0x0201;
const JPEG_LENGTH: u16 = 0x0202;
/// What is true of the source only, and would be taken for true of the result: places on the picture,
/// and the bits that its compression spends on a pixel.
const GONE: [u16; 3] = [0x9214, 0xa214, 0x9102];
/// Pixels on a unit of the sensor, across and down, by EXIF and by TIFF/EP. The size of the sensor
/// follows from them and the size of the picture, and from that how long the lens would be on film.
const FOCAL: [[u16; 2]; 2] = [[0xa20e, 0xa20f], [0x920e, 0x920f]];
const PIXEL_WIDTH: u16 = 0xa002;
const PIXEL_HEIGHT: u16 = 0xa003;
const INTEROPERABILITY: u16 = 0xa005;
const RELATED_WIDTH: u16 = 0x1001;
const RELATED_HEIGHT: u16 = 0x1002;

/// Directories of thumbnails, and strips of one, that are looked at.
const MOST: usize = 64;

/// How a picture was changed on its way: its sizes before and after, upright, pixels.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub from: (u32, u32),
    pub to: (u32, u32),
    /// Turned or mirrored.
    pub turned: bool,
    /// Turned so that rows became columns.
    pub exchanged: bool,
}

/// Mends a block. False if it cannot be mended, and so must not be kept.
pub fn mend(tiff: &mut Vec<u8>, change: Change) -> bool {
    let (mut patches, mut blanks) = (Vec::new(), Vec::new());
    let mut lost = [None; FOCAL.len()];
    let Some(block) = Block::of(tiff) else {
        return false;
    };
    plan(block, change.to, &mut patches, &mut blanks);
    for (tags, lost) in FOCAL.into_iter().zip(&mut lost) {
        match focal(block, tags, change) {
            Some(scaled) => patches.extend(scaled),
            None => *lost = Some(tags),
        }
    }
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
    for tag in GONE.into_iter().chain(lost.into_iter().flatten().flatten()) {
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

/// The pixels on a unit of the sensor as the result has them; `None` if they cannot be told.
fn focal(block: Block<'_>, tags: [u16; 2], change: Change) -> Option<[Patch; 4]> {
    let inner = block.number(&block.find(block.long(4)?, EXIF_DIRECTORY)?)?;
    let [(x_at, x), (y_at, y)] = [
        fraction(block, inner, tags[0])?,
        fraction(block, inner, tags[1])?,
    ];
    // What went down the sensor goes across the picture.
    let (across, down) = if change.exchanged { (y, x) } else { (x, y) };
    let (x1, x0) = scaled(across, change.from.0, change.to.0)?;
    let (y1, y0) = scaled(down, change.from.1, change.to.1)?;
    let patch = |at, value: u32| Patch {
        at,
        bytes: if block.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        },
        length: 4,
    };
    let places = [
        (x_at, x1),
        (x_at.checked_add(4)?, x0),
        (y_at, y1),
        (y_at.checked_add(4)?, y0),
    ];
    Some(places.map(|(at, value)| patch(at, value)))
}

/// A fraction, and where it stands.
fn fraction(block: Block<'_>, directory: usize, tag: u16) -> Option<(usize, (u32, u32))> {
    let entry = block.find(directory, tag)?;
    let place = block.value(&entry)?;
    if entry.kind != RATIONAL || place.len() != 8 {
        return None;
    }
    let part = |at| u32::try_from(block.long(at)?).ok();
    let parts = (part(place.start)?, part(place.start.checked_add(4)?)?);
    Some((place.start, parts))
}

/// A fraction times `to` by `from`, in the lowest terms, and off by a 4096th at most where those are too large.
/// `None` where that is not enough.
pub fn scaled((above, below): (u32, u32), from: u32, to: u32) -> Option<(u32, u32)> {
    let mut above = u64::from(above).checked_mul(u64::from(to))?;
    let mut below = u64::from(below).checked_mul(u64::from(from))?;
    let (mut divisor, mut rest) = (above, below);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (above, below) = (above.checked_div(divisor)?, below.checked_div(divisor)?);
    if above.max(below) > u64::from(u32::MAX) {
        while above.max(below) > u64::from(u32::MAX) {
            (above, below) = (above >> 1, below >> 1);
        }
        // Off by more than a 4096th.
        if above.min(below) < 1 << 12 {
            return None;
        }
    }
    let parts = (u32::try_from(above).ok()?, u32::try_from(below).ok()?);
    (parts.0 > 0 && parts.1 > 0).then_some(parts)
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

    const SMALL: Change = Change {
        from: (40, 20),
        to: (20, 10),
        turned: false,
        exchanged: false,
    };

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
        assert!(mend(&mut tiff, SMALL));
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
        assert!(mend(&mut mended, SMALL));
        assert_eq!(mended.len(), tiff.len());
        assert_eq!(mended[0x4c..0x51], [0; 5]);
        let after = 0x51 + picture.len();
        assert!(mended[0x51..after].iter().all(|byte| *byte == 0));
        assert_eq!(mended[after..after + 10], *b"maker note");
        assert!(preview::encoded(&mended).is_empty());
        assert!(mended.ends_with(b"\"end"));
        tiff.extend(b"\xff\xd8\xff".repeat(1000));
        assert!(!mend(&mut tiff, SMALL));
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
        assert!(mend(&mut tiff, SMALL));
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
        tiff.extend(entry(GONE[0], SHORT, 2, [1, 2, 3, 4]));
        tiff.extend(entry(PIXEL_WIDTH, SHORT, 1, half(4000)));
        tiff.extend(entry(GONE[1], SHORT, 2, [1, 2, 3, 4]));
        tiff.extend(long(0));
        tiff.extend(b"maker note");
        tiff
    }

    #[test]
    fn places_on_the_source_go() {
        for little in [true, false] {
            let mut tiff = focused(little);
            let length = tiff.len();
            assert!(mend(&mut tiff, SMALL));
            assert_eq!(tiff.len(), length);
            assert!(tiff.ends_with(b"maker note"));
            let block = Block::of(&tiff).unwrap();
            assert_eq!(block.short(26), Some(1));
            let width = block.find(26, PIXEL_WIDTH).unwrap();
            assert_eq!(block.number(&width), Some(20));
            assert_eq!(block.next(26), Some((40, 0)));
            assert!(GONE[..2].iter().all(|tag| block.find(26, *tag).is_none()));
        }
    }

    /// An EXIF directory with these tags, and their fractions behind it.
    fn with_tags(little: bool, tags: &[Tag]) -> Vec<u8> {
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
        let start = if little { b"II" } else { b"MM" };
        let count = u16::try_from(tags.len()).unwrap();
        let mut tiff = [&start[..], &short(42), &long(8), &short(1)].concat();
        tiff.extend(
            [
                &short(EXIF_DIRECTORY)[..],
                &short(LONG),
                &long(1),
                &long(26),
            ]
            .concat(),
        );
        tiff.extend([&long(0)[..], &short(count)].concat());
        let mut behind = Vec::new();
        for (tag, kind, count, value) in tags {
            tiff.extend([&short(*tag)[..], &short(*kind), &long(*count)].concat());
            let place = 26 + 2 + tags.len() * 12 + 4 + behind.len();
            match *kind {
                RATIONAL => {
                    tiff.extend(long(u32::try_from(place).unwrap()));
                    behind.extend(value.iter().flat_map(|part| long(*part)));
                }
                SHORT => tiff.extend([short(u16::try_from(value[0]).unwrap()), [0; 2]].concat()),
                _ => tiff.extend(long(value[0])),
            }
        }
        tiff.extend(long(0));
        tiff.extend(behind);
        tiff
    }

    type Tag = (u16, u16, u32, [u32; 2]);
    type Found = Option<[u32; 2]>;

    /// All tags of EXIF 3.0 and TIFF/EP that speak of the picture's pixels, each alone but for the
    /// halves of a pair: tag, kind, count and value; what the result has.
    fn tags_of_pixels() -> Vec<(Vec<Tag>, Vec<Found>)> {
        let fraction = |tag, value| (tag, RATIONAL, 1, value);
        let (x, y, unit) = ([5000, 3], [7000, 1], (0xa210, SHORT, 1, [3, 0]));
        let halves = [Some([2500, 3]), Some([3500, 1])];
        let none = vec![None, None];
        vec![
            (vec![(PIXEL_WIDTH, SHORT, 1, [40, 0])], vec![Some([20, 0])]),
            (vec![(PIXEL_HEIGHT, LONG, 1, [20, 0])], vec![Some([10, 0])]),
            (vec![(0x9214, SHORT, 2, [1, 0])], vec![None]),
            (vec![(0xa214, SHORT, 2, [1, 0])], vec![None]),
            (vec![fraction(0x9102, [4, 1])], vec![None]),
            (
                vec![fraction(0xa20e, x), fraction(0xa20f, y), unit],
                vec![halves[0], halves[1], Some([3, 0])],
            ),
            (
                vec![fraction(0x920e, x), fraction(0x920f, y)],
                halves.to_vec(),
            ),
            // The other half is missing, makes no sense, or is no fraction.
            (vec![fraction(0xa20e, x)], vec![None]),
            (
                vec![fraction(0xa20e, x), fraction(0xa20f, [1, 0])],
                none.clone(),
            ),
            (vec![fraction(0xa20e, x), (0xa20f, LONG, 1, [7, 0])], none),
            // What says nothing of pixels stays.
            (vec![(0xa405, SHORT, 1, [50, 0])], vec![Some([50, 0])]),
        ]
    }

    fn check(change: Change, tags: &[Tag], expected: &[Found]) {
        for little in [true, false] {
            let mut tiff = with_tags(little, tags);
            assert!(mend(&mut tiff, change));
            let block = Block::of(&tiff).unwrap();
            let value = |tag: &Tag| {
                let entry = block.find(26, tag.0)?;
                if tag.1 == RATIONAL {
                    let (_, (above, below)) = fraction(block, 26, tag.0)?;
                    return Some([above, below]);
                }
                Some([u32::try_from(block.number(&entry)?).unwrap(), 0])
            };
            let found: Vec<_> = tags.iter().map(value).collect();
            assert_eq!(found, expected, "{tags:x?}");
        }
    }

    #[test]
    fn what_speaks_of_the_sources_pixels_is_made_true_or_goes() {
        for (tags, expected) in tags_of_pixels() {
            check(SMALL, &tags, &expected);
        }
        // What went down the sensor goes across the picture.
        let turned = Change {
            from: (30, 40),
            to: (20, 10),
            turned: true,
            exchanged: true,
        };
        let tags = [
            (0xa20e, RATIONAL, 1, [5000, 3]),
            (0xa20f, RATIONAL, 1, [7000, 1]),
        ];
        check(turned, &tags, &[Some([14_000, 3]), Some([1250, 3])]);
    }

    #[test]
    fn fractions_are_scaled_as_exactly_as_they_fit() {
        for (fraction, from, to, expected) in [
            ((5_184_000, 1459), 5184, 1620, Some((1_620_000, 1459))),
            ((1, 3), 7, 7, Some((1, 3))),
            ((u32::MAX, 1), 3, 2, Some((2_863_311_530, 1))),
            ((0, 1), 2, 1, None),
            ((1, 0), 2, 1, None),
            ((1, 1), 0, 1, None),
            ((u32::MAX, 1), 1, u32::MAX, None),
            ((i32::MAX.unsigned_abs(), 3), 4000, 4001, None),
        ] {
            assert_eq!(scaled(fraction, from, to), expected, "{fraction:?}");
        }
        let (above, below) = scaled((u32::MAX, 65_537), 65_521, 65_519).unwrap();
        let found = f64::from(above) / f64::from(below);
        assert!((found / (65_535.0 * 65_519.0 / 65_521.0) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn hostile_blocks_do_no_harm() {
        let sensor = with_tags(
            true,
            &[(0xa20e, RATIONAL, 1, [9, 4]), (0xa20f, RATIONAL, 1, [9, 4])],
        );
        for whole in [camera(), focused(true), focused(false), sensor] {
            hostile(&whole);
        }
    }

    fn hostile(whole: &[u8]) {
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut tiff = whole.to_vec();
                tiff[at] = value;
                rights(&tiff);
                mend(&mut tiff, SMALL);
                rights(&whole[..at]);
                mend(&mut whole[..at].to_vec(), SMALL);
            }
        }
    }
}
