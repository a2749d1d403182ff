//! A mark made ready for blending: premultiplied, for planes in JFIF YCbCr with its chroma averaged
//! over the pixels that share a sample, for pixels with each of their samples. It is made once and
//! kept.

use fast_image_resize::Resizer;

use super::cache::Cache;
use super::convert::saturated;
use super::mark::Mark;
use super::planes::Sampling;
use super::shape::{Shape, Shapes};
use super::texts::Letterings;

/// Bytes of stamps that a worker keeps: several that cover a picture of 4 megapixels.
const BUDGET: usize = 48 << 20;

/// What a stamp depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct StampKey {
    pub shape: Shape,
    /// 0..=1, as bits.
    pub opacity: u32,
    pub ground: Ground,
    /// Position of the mark within the first chroma sample, pixels.
    pub phase: (u32, u32),
}

/// What a stamp is laid on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ground {
    Planes(Sampling),
    /// Opaque pixels of one or three samples, which are a plane as wide as all of a row's.
    Pixels {
        channels: usize,
    },
}

/// A mark ready for its ground: one plane or three.
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
    pub letterings: Letterings,
    pub shapes: Shapes,
    made: Cache<StampKey, Stamp>,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            letterings: Letterings::default(),
            shapes: Shapes::default(),
            made: Cache::new(BUDGET),
        }
    }
}

impl Stamps {
    pub fn find(&mut self, key: StampKey, resizer: &mut Resizer) -> Result<&Stamp, String> {
        self.made.find(key, |key| {
            let mark = self.shapes.find(&key.shape, resizer)?;
            let planes: Vec<_> = match key.ground {
                Ground::Planes(sampling) => (0..if sampling == Sampling::Grey { 1 } else { 3 })
                    .map(|plane| StampPlane::new(mark, key, sampling, plane))
                    .collect(),
                Ground::Pixels { channels } => vec![StampPlane::packed(mark, key, channels)],
            };
            let bytes = planes.iter().map(|plane| plane.alpha.len() * 3).sum();
            Ok((Stamp(planes), bytes))
        })
    }

    /// Bytes of texts, shapes and stamps.
    pub fn kept(&self) -> usize {
        self.made.bytes() + self.shapes.bytes() + self.letterings.bytes()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.made.len()
    }
}

/// JFIF: offset and weights of R, G and B in Y, Cb and Cr.
const YCBCR: [[f32; 4]; 3] = [
    [0.0, 0.299, 0.587, 0.114],
    [128.0, -0.168_736, -0.331_264, 0.5],
    [128.0, 0.5, -0.418_688, -0.081_312],
];

/// What grey pixels take of a mark's colour.
pub fn brightness(pixel: &[u8]) -> f32 {
    let [_, red, green, blue] = YCBCR[0];
    red * f32::from(pixel[0]) + green * f32::from(pixel[1]) + blue * f32::from(pixel[2])
}

impl StampPlane {
    fn packed(mark: &Mark, key: &StampKey, channels: usize) -> Self {
        let opacity = f32::from_bits(key.opacity);
        let samples = mark.rgba.len() / 4 * channels;
        let (mut alphas, mut products) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
        for pixel in mark.rgba.chunks_exact(4) {
            let alpha = f32::from(pixel[3]) * opacity;
            let rounded_alpha = saturated(alpha);
            // Weighted by the alpha that will be taken from the picture, so that equal colours
            // stay what they are.
            let product = |value: f32| rounded(value * f32::from(rounded_alpha));
            if channels == 1 {
                alphas.push(rounded_alpha);
                products.push(product(brightness(pixel)));
            } else {
                alphas.extend([rounded_alpha; 3]);
                products.extend(pixel[..3].iter().map(|&value| product(value.into())));
            }
        }
        Self {
            width: mark.width as usize * channels,
            alpha: alphas,
            product: products,
        }
    }

    fn new(mark: &Mark, key: &StampKey, sampling: Sampling, plane: usize) -> Self {
        let opacity = f32::from_bits(key.opacity);
        let (x_step, y_step) = sampling.steps(plane);
        let (x_phase, y_phase) = if plane == 0 { (0, 0) } else { key.phase };
        let width = (x_phase + mark.width).div_ceil(x_step) as usize;
        let height = (y_phase + mark.height).div_ceil(y_step) as usize;
        // Sums over the pixels of a sample; pixels beyond the mark add nothing.
        let mut sums = vec![(0.0_f32, 0.0_f32); width * height];
        let [offset, red, green, blue] = YCBCR[plane];
        // Beside a picture that is thinner than the margin nothing is left of it.
        let rows = mark.rgba.chunks_exact((mark.width as usize * 4).max(1));
        for (y, row) in (y_phase..).zip(rows) {
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
