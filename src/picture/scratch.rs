//! What a worker keeps from one picture to the next.

use super::colour::Colour;
use super::encode;
use super::engines::Engines;
use super::error::PictureError;
use super::metadata::Blocks;
use super::planes::Planes;
use super::resize;
use super::samples::Samples;
use super::sharpen;
use super::stamp::Stamps;

/// A worker's engines and the buffers of its steps, used for one picture after another.
pub struct Scratch {
    pub(super) engines: Engines,
    pub(super) samples: Samples,
    /// What several results are made of.
    pub(super) base: Planes,
    pub(super) colour: Colour,
    pub(super) metadata: Blocks,
    pub(super) resize: resize::Room,
    pub(super) sharpen: sharpen::Room,
    pub(super) stamps: Stamps,
    pub(super) encode: encode::Room,
}

impl Scratch {
    /// Fails only where libjpeg-turbo has no memory.
    pub fn new() -> Result<Self, PictureError> {
        Ok(Self {
            engines: Engines::new()?,
            samples: Samples::default(),
            base: Planes::default(),
            colour: Colour::default(),
            metadata: Blocks::default(),
            resize: resize::Room::default(),
            sharpen: sharpen::Room::default(),
            stamps: Stamps::default(),
            encode: encode::Room::default(),
        })
    }

    /// Bytes that are kept for the next picture.
    pub fn kept(&self) -> u64 {
        let rooms = [
            self.engines.kept(),
            self.samples.kept(),
            self.base.kept(),
            self.colour.icc.capacity(),
            self.metadata.kept(),
            self.resize.kept(),
            self.sharpen.kept(),
            self.stamps.kept(),
            self.encode.kept(),
        ];
        rooms.into_iter().map(|bytes| bytes as u64).sum()
    }
}
