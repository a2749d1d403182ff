//! A picture on its way through the steps, in one of its two forms.

use std::mem::swap;

use super::pixels::Pixels;
use super::planes::Planes;

/// Two buffers of a kind: a step reads the front, writes the back, and flips them, so that nothing
/// is copied, and nothing allocated for a picture that is not larger than those before.
#[derive(Debug, Default)]
pub struct Pair<T> {
    /// The picture, between two steps.
    pub front: T,
    pub back: T,
}

impl<T> Pair<T> {
    pub fn flip(&mut self) {
        swap(&mut self.front, &mut self.back);
    }
}

/// The samples of a picture, and room for those that the next step makes of them.
#[derive(Debug, Default)]
pub struct Samples {
    /// What was JPEG, or becomes one.
    pub planes: Pair<Planes>,
    /// What was PNG, or becomes one.
    pub pixels: Pair<Pixels>,
    /// 8-bit packed pixels on their way between the forms.
    pub packed: Vec<u8>,
}

impl Samples {
    /// Bytes that the buffers have room for.
    pub fn kept(&self) -> usize {
        let Self {
            planes,
            pixels,
            packed,
        } = self;
        let planes = planes.front.kept() + planes.back.kept();
        let pixels = pixels.front.kept() + pixels.back.kept();
        planes + pixels + packed.capacity()
    }
}
