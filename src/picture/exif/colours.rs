//! What EXIF tells of the colours of a picture without a profile: the colour space and the index of
//! interoperability (DCF 2.0), by which cameras say Adobe RGB, and TIFF's own tags.

use super::block::{Block, EXIF_DIRECTORY, Entry, RATIONAL};

const WHITE_POINT: u16 = 0x013e;
const PRIMARIES: u16 = 0x013f;
const COLOUR_SPACE: u16 = 0xa001;
const INTEROPERABILITY: u16 = 0xa005;
const GAMMA: u16 = 0xa500;
const INDEX: u16 = 0x0001;

/// Units of the numbers of [`Told::Numbers`].
const HUNDRED_THOUSAND: u64 = 100_000;

/// How a picture's samples are meant, other than as sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Adobe RGB (1998).
    Adobe,
    /// As PNG's gAMA and cHRM have them.
    Numbers {
        /// 1/100,000; the exponent of the encoder.
        gamma: Option<u32>,
        /// White, red, green, blue: x and y of each in 1/100,000.
        chromaticities: Option<[u32; 8]>,
    },
}

/// What a block tells; none where that is sRGB or nothing.
pub fn colours(tiff: &[u8]) -> Option<Told> {
    let block = Block::of(tiff)?;
    let first = block.long(4)?;
    let inner = block.find(first, EXIF_DIRECTORY);
    let inner = inner.and_then(|entry| block.number(&entry))?;
    let space = block.find(inner, COLOUR_SPACE);
    let index = || {
        let directory = block.number(&block.find(inner, INTEROPERABILITY)?)?;
        block
            .bytes
            .get(block.value(&block.find(directory, INDEX)?)?)
    };
    match space.and_then(|entry| block.number(&entry)) {
        // What says sRGB is believed, whatever else it says.
        Some(1) => None,
        // 2 is no number of the standard, but that of Windows and of some cameras.
        Some(2) => Some(Told::Adobe),
        _ if index().is_some_and(|index| index.starts_with(b"R03")) => Some(Told::Adobe),
        _ => numbers(block, first, inner),
    }
}

fn numbers(block: Block<'_>, first: usize, inner: usize) -> Option<Told> {
    let gamma = block.find(inner, GAMMA).and_then(|entry| {
        let [above, below] = *fractions(block, entry)?.first()?;
        share(below, above)
    });
    let shares = |tag| {
        let fractions = fractions(block, block.find(first, tag)?)?;
        let shares = fractions
            .into_iter()
            .map(|[above, below]| share(above, below));
        shares.collect::<Option<Vec<_>>>()
    };
    let chromaticities = shares(WHITE_POINT)
        .zip(shares(PRIMARIES))
        .and_then(|(white, primaries)| [white, primaries].concat().try_into().ok());
    (gamma.is_some() || chromaticities.is_some()).then_some(Told::Numbers {
        gamma,
        chromaticities,
    })
}

/// The fractions of an entry that has as many as a colour needs.
fn fractions(block: Block<'_>, entry: Entry) -> Option<Vec<[u64; 2]>> {
    if entry.kind != RATIONAL || !(1..=6).contains(&entry.count) {
        return None;
    }
    let part = |at| u64::try_from(block.long(at)?).ok();
    let range = block.value(&entry)?;
    range
        .step_by(8)
        .map(|at| Some([part(at)?, part(at + 4)?]))
        .collect()
}

fn share(above: u64, below: u64) -> Option<u32> {
    let share = above.checked_mul(HUNDRED_THOUSAND)?.checked_div(below)?;
    u32::try_from(share).ok()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A block with a colour space and an index, and fractions for the tags of numbers.
    pub fn block(space: u16, index: &str, numbers: bool) -> Vec<u8> {
        let fraction = |above: u32, below: u32| [above.to_le_bytes(), below.to_le_bytes()].concat();
        let mut tiff = b"II*\0\x08\0\0\0\x03\0".to_vec();
        tiff.extend(b"\x3e\x01\x05\0\x02\0\0\0\x80\0\0\0\x3f\x01\x05\0\x06\0\0\0\x90\0\0\0");
        tiff.extend(b"\x69\x87\x04\0\x01\0\0\0\x32\0\0\0\0\0\0\0");
        tiff.extend(b"\x03\0\x01\xa0\x03\0\x01\0\0\0");
        tiff.extend(space.to_le_bytes());
        tiff.extend(b"\0\0\x05\xa0\x04\0\x01\0\0\0\x60\0\0\0\0\xa5\x05\0\x01\0\0\0\xc0\0\0\0");
        tiff.resize(0x60, 0);
        tiff.extend(b"\x01\0\x01\0\x02\0\x04\0\0\0");
        tiff.extend(index.as_bytes());
        tiff.resize(0x80, 0);
        for share in [3127, 3290, 6400, 3300, 2100, 7100, 1500, 600] {
            tiff.extend(fraction(share, 10_000));
        }
        tiff.extend(fraction(22, 10));
        if !numbers {
            // Under tags that nobody reads.
            (tiff[10], tiff[22], tiff[0x4c]) = (0, 0, 1);
        }
        tiff
    }

    #[test]
    fn adobe_is_told_in_two_ways_and_srgb_is_believed() {
        for (space, index, expected) in [
            (0xffff, "R03", Some(Told::Adobe)),
            (0xffff, "R98", None),
            (2, "R98", Some(Told::Adobe)),
            (1, "R98", None),
            (1, "R03", None),
        ] {
            assert_eq!(
                colours(&block(space, index, false)),
                expected,
                "{space} {index:?}"
            );
        }
    }

    #[test]
    fn numbers_are_those_of_png() {
        let expected = Told::Numbers {
            gamma: Some(45_454),
            chromaticities: Some([
                31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000,
            ]),
        };
        assert_eq!(colours(&block(0xffff, "R98", true)), Some(expected));
        assert_eq!(colours(&block(1, "R98", true)), None);
    }

    #[test]
    fn hostile_blocks_do_no_harm() {
        let whole = block(0xffff, "R03", true);
        for at in 0..whole.len() {
            colours(&whole[..at]);
            for value in [0, 1, 0x7f, 0xff] {
                let mut tiff = whole.clone();
                tiff[at] = value;
                colours(&tiff);
            }
        }
    }
}
