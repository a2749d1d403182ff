//! A mark made ready for planes: premultiplied, in JFIF YCbCr, its chroma averaged over the pixels
//! that share a sample. It is made once and kept.

use fast_image_resize::Resizer;

use super::convert::saturated;
use super::kept::Kept;
use super::planes::Sampling;
use super::shape::{Shape, Shapes};
use crate::mark::Mark;

/// Bytes of stamps that a worker keeps: several that cover a picture of 4 megapixels.
const BUDGET: usize = 48 << 20;

/// What a stamp depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct StampKey {
    pub shape: Shape,
    /// 0..=1, as bits.
    pub opacity: u32,
    pub sampling: Sampling,
    /// Position of the mark within the first chroma sample, pixels.
    pub phase: (u32, u32),
}

/// A mark ready for one kind of planes: one or three.
#[derive(Debug)]
pub struct Stamp(pub Vec<StampPlane>);

#[derive(Debug)]
pub struct StampPlane {
    pub width: usize,
    /// 0..=255 for each sample.
    pub alpha: Vec<u8>,
    /// Sample × alpha, 0..=65025.
    pub product: Vec<u16>,
}

/// What a worker keeps of the marks that it lays on.
#[derive(Debug)]
pub struct Stamps {
    pub shapes: Shapes,
    stamps: Kept<StampKey, Stamp>,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            shapes: Shapes::default(),
            stamps: Kept::new(BUDGET),
        }
    }
}

impl Stamps {
    pub fn find(&mut self, key: StampKey, resizer: &mut Resizer) -> Result<&Stamp, String> {
        self.stamps.find(key, |key| {
            let mark = self.shapes.find(&key.shape, resizer)?;
            let count = if key.sampling == Sampling::Grey { 1 } else { 3 };
            let planes: Vec<_> = (0..count)
                .map(|plane| StampPlane::new(mark, key, plane))
                .collect();
            let bytes = planes.iter().map(|plane| plane.alpha.len() * 3).sum();
            Ok((Stamp(planes), bytes))
        })
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.stamps.len()
    }
}

/// JFIF: offset and weights of R, G and B in Y, Cb and Cr.
pub const YCBCR: [[f32; 4]; 3] = [
    [0.0, 0.299, 0.587, 0.114],
    [128.0, -0.168_736, -0.331_264, 0.5],
    [128.0, 0.5, -0.418_688, -0.081_312],
];

impl StampPlane {
    fn new(mark: &Mark, key: &StampKey, plane: usize) -> Self {
        let opacity = f32::from_bits(key.opacity);
        let (x_step, y_step) = key.sampling.steps(plane);
        let (x_phase, y_phase) = if plane == 0 { (0, 0) } else { key.phase };
        let width = (x_phase + mark.width).div_ceil(x_step) as usize;
        let height = (y_phase + mark.height).div_ceil(y_step) as usize;
        // Sums over the pixels of a sample; pixels beyond the mark add nothing.
        let mut sums = vec![(0.0_f32, 0.0_f32); width * height];
        let [offset, red, green, blue] = YCBCR[plane];
        for (y, row) in (y_phase..).zip(mark.rgba.chunks_exact(mark.width as usize * 4)) {
            let line = (y / y_step) as usize * width;
            for (x, pixel) in (x_phase..).zip(row.chunks_exact(4)) {
                let alpha = f32::from(pixel[3]) * opacity;
                let value = offset
                    + red * f32::from(pixel[0])
                    + green * f32::from(pixel[1])
                    + blue * f32::from(pixel[2]);
                let (alphas, products) = &mut sums[line + (x / x_step) as usize];
                *alphas += alpha;
                *products += alpha * value.clamp(0.0, 255.0);
            }
        }
        let share = 1.0 / (f32::from(u8::try_from(x_step * y_step).unwrap_or(1)));
        Self {
            width,
            alpha: sums
                .iter()
                .map(|(alpha, _)| saturated(alpha * share))
                .collect(),
            product: sums
                .iter()
                .map(|(_, product)| rounded(product * share))
                .collect(),
        }
    }
}

/// The nearest whole number, at most 255 × 255 so that `blend` cannot overflow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which is what is wanted"
)]
fn rounded(value: f32) -> u16 {
    ((value + 0.5) as u16).min(255 * 255)
}
