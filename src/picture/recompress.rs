//! Reduces the picture to a JPEG quality before the mark is laid on, by encoding the planes and
//! decoding them again: what a low quality does to the picture must not be done to the mark.
//!
//! It needs no memory of its own: the JPEG goes where the written one goes later, and the planes are
//! spare ones of the written picture.

use super::engines::Engines;
use super::planes::Planes;
use super::samples::Pair;
use super::turbo::AtWarning;

/// Reduces planes of a picture of `size` to a quality of 1..=100.
pub fn run(
    quality: u8,
    size: (u32, u32),
    engines: &mut Engines,
    planes: &mut Pair<Planes>,
) -> Result<(), String> {
    let Engines {
        compressor,
        decompressor,
        jpeg,
        ..
    } = engines;
    let length = compressor.jpeg(&planes.front, size, quality, &[], 0, jpeg)?;
    decompressor.planes(&jpeg[..length], 8, AtWarning::GoOn, &mut planes.back)?;
    planes.flip();
    Ok(())
}
