//! A picture as PNG codes it: interleaved samples, 8 or 16 bits, alpha not premultiplied.

use bytemuck::{cast_slice, cast_slice_mut};

#[derive(Debug, Default)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    /// 1 grey, 2 grey + alpha, 3 R G B, 4 R G B A.
    pub channels: usize,
    /// 16-bit samples in native order instead of 8-bit ones.
    pub deep: bool,
    /// 16-bit words so that both depths are aligned.
    store: Vec<u16>,
}

impl Pixels {
    /// Makes room; the samples are whatever was there before.
    pub fn allocate(&mut self, width: u32, height: u32, channels: usize, deep: bool) {
        (self.width, self.height, self.channels, self.deep) = (width, height, channels, deep);
        let length = self.samples();
        self.store
            .resize(if deep { length } else { length.div_ceil(2) }, 0);
    }

    /// Samples in all: width × height × channels.
    pub fn samples(&self) -> usize {
        self.width as usize * self.height as usize * self.channels
    }

    /// Length in bytes.
    fn length(&self) -> usize {
        self.samples() * if self.deep { 2 } else { 1 }
    }

    /// Bytes that the buffer has room for.
    pub fn kept(&self) -> usize {
        self.store.capacity() * 2
    }

    pub fn has_alpha(&self) -> bool {
        self.channels.is_multiple_of(2)
    }

    pub fn bytes(&self) -> &[u8] {
        &cast_slice(&self.store)[..self.length()]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let length = self.length();
        &mut cast_slice_mut(&mut self.store)[..length]
    }

    /// The samples of a `deep` picture.
    pub fn words_mut(&mut self) -> &mut [u16] {
        &mut self.store
    }

    /// The samples of a `deep` picture.
    pub fn words(&self) -> &[u16] {
        &self.store
    }
}
