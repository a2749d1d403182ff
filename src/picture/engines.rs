//! What does the work in several steps: made once, used for one picture after another.

use fast_image_resize::Resizer;

use super::baseline::Baseline;
use super::error::{PictureError, bad};
use super::turbo::{Compressor, Decompressor};
use crate::outcome::Step;

/// The codecs and the resizer of a worker.
pub struct Engines {
    pub baseline: Baseline,
    pub decompressor: Decompressor,
    pub compressor: Compressor,
    pub resizer: Resizer,
    /// What the compressor writes: as long as the worst case, of which the JPEG is the beginning.
    pub jpeg: Vec<u8>,
}

impl Engines {
    pub fn new() -> Result<Self, PictureError> {
        Ok(Self {
            baseline: Baseline::default(),
            decompressor: Decompressor::new().map_err(bad(Step::Decode))?,
            compressor: Compressor::new().map_err(bad(Step::Encode))?,
            resizer: Resizer::new(),
            jpeg: Vec::new(),
        })
    }

    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        self.jpeg.capacity() + self.resizer.size_of_internal_buffers() + self.baseline.kept()
    }
}
