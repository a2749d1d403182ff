//! Reduces the picture to a JPEG quality before the mark is laid on: what a low quality does to the
//! picture must not be done to the mark.
//!
//! The samples are those that libjpeg-turbo would give back of a JPEG that it wrote. It needs no memory.

use super::baseline::requantize;
use super::planes::Planes;

/// The quantization tables of T.81 annex K at quality 50, row by row.
const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, //
    18, 21, 26, 66, 99, 99, 99, 99, //
    24, 26, 56, 99, 99, 99, 99, 99, //
    47, 66, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// Reduces planes to a quality of 1..=100.
pub fn run(quality: u8, planes: &mut Planes) {
    let tables = [LUMA, CHROMA, CHROMA];
    for (plane, table) in planes.used_mut().iter_mut().zip(tables) {
        requantize(plane, &at_quality(table, quality));
    }
}

/// A table at a quality, as libjpeg counts it.
fn at_quality(table: [u8; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    table.map(|step| {
        let step = (u32::from(step) * percent + 50) / 100;
        u8::try_from(step).unwrap_or(u8::MAX).max(1)
    })
}

#[cfg(test)]
mod tests {
    use super::super::planes::Sampling;
    use super::super::turbo::{AtWarning, Compressor, Decompressor};
    use super::*;

    const SAMPLINGS: [Sampling; 7] = [
        Sampling::Grey,
        Sampling::S444,
        Sampling::S422,
        Sampling::S420,
        Sampling::S440,
        Sampling::S411,
        Sampling::S441,
    ];

    /// Planes with noise, hard edges, gradients and flat parts.
    fn made(sampling: Sampling, (width, height): (u32, u32), seed: u32) -> Planes {
        let mut planes = Planes::default();
        planes.allocate(sampling, width, height);
        let mut state = seed;
        for plane in planes.used_mut() {
            let width = plane.width;
            for (at, sample) in plane.samples.iter_mut().enumerate() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let [noise, ..] = state.to_be_bytes();
                let (x, y) = (at % width, at / width);
                *sample = match (x / 21 + y / 13 + seed as usize) % 5 {
                    0 => noise,
                    1 => noise / 128 * 255,
                    2 => u8::try_from((x * 5 + y * 3) % 256).unwrap(),
                    3 => u8::try_from((x + y) % 2 * 255).unwrap(),
                    _ => 200,
                };
            }
        }
        planes
    }

    fn by_way_of_a_jpeg(planes: &Planes, size: (u32, u32), quality: u8) -> Planes {
        let (mut jpeg, mut back) = (Vec::new(), Planes::default());
        let mut compressor = Compressor::new().unwrap();
        let length = compressor.jpeg(planes, size, quality, &[], 0, &mut jpeg);
        let jpeg = &jpeg[..length.unwrap()];
        let mut decompressor = Decompressor::new().unwrap();
        let warning = decompressor.planes(jpeg, 8, AtWarning::GoOn, &mut back);
        assert_eq!(warning, Ok(None));
        back
    }

    #[test]
    fn samples_are_those_of_a_jpeg_of_that_quality() {
        for quality in 1..=100_u8 {
            for (index, sampling) in SAMPLINGS.into_iter().enumerate() {
                let number = u32::from(quality) * 7 + u32::try_from(index).unwrap();
                let sizes = [(1 + number % 37, 1 + number % 23), (120 + number % 41, 17)];
                for size in sizes {
                    let mut planes = made(sampling, size, number);
                    let expected = by_way_of_a_jpeg(&planes, size, quality);
                    run(quality, &mut planes);
                    for (index, both) in planes.used().iter().zip(expected.used()).enumerate() {
                        assert_eq!((both.0.width, both.0.area), (both.1.width, both.1.area));
                        assert!(
                            both.0.samples == both.1.samples,
                            "quality {quality}, {sampling:?}, {size:?}, plane {index}"
                        );
                    }
                }
            }
        }
    }

    /// A picture as large as those of every day, so that no group of blocks is left out.
    #[test]
    fn large_pictures_are_alike() {
        let size = (1441, 1081);
        let mut planes = made(Sampling::S420, size, 3);
        let expected = by_way_of_a_jpeg(&planes, size, 30);
        run(30, &mut planes);
        for (ours, theirs) in planes.used().iter().zip(expected.used()) {
            assert!(ours.samples == theirs.samples);
        }
    }
}
