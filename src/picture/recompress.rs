//! Reduces the picture to a JPEG quality before the mark is laid on, by encoding the planes and
//! decoding them again: what a low quality does to the picture must not be done to the mark.

use super::planes::Planes;
use super::turbo::{Compressor, Decompressor};

pub fn planes(
    compressor: &mut Compressor,
    decompressor: &mut Decompressor,
    source: &Planes,
    size: (u32, u32),
    quality: u8,
    jpeg: &mut Vec<u8>,
    target: &mut Planes,
) -> Result<(), String> {
    let length = compressor.jpeg(source, size, quality, &[], 0, jpeg)?;
    decompressor.planes(&jpeg[..length], 8, target)?;
    Ok(())
}
