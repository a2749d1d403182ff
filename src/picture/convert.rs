//! Changes between planes and pixels, where the written format is not the read one: after scaling,
//! when there is least to convert.

use super::bytes::{area, times};
use super::pixels::Pixels;
use super::planes::{Planes, Sampling};
use super::turbo::{Compressor, Decompressor};

/// Pixels → planes for a JPEG: 16 bits rounded to 8, alpha laid on white, since JPEG has neither.
pub fn to_planes(
    compressor: &mut Compressor,
    pixels: &Pixels,
    sampling: Sampling,
    packed: &mut Vec<u8>,
    planes: &mut Planes,
) -> Result<(), String> {
    flatten(pixels, packed);
    let size = (pixels.width, pixels.height);
    if pixels.channels >= 3 {
        return compressor.planes_of(packed, size, sampling, planes);
    }
    planes.allocate(Sampling::Grey, pixels.width, pixels.height);
    if let [luma] = planes.used_mut() {
        luma.samples.copy_from_slice(packed);
    }
    Ok(())
}

/// Bytes of the packed pixels from which [`to_planes`] makes planes.
pub fn flattened_need(size: (u32, u32)) -> u64 {
    times(area(size), 3)
}

/// Opaque 8-bit samples, grey or R G B.
fn flatten(pixels: &Pixels, packed: &mut Vec<u8>) {
    packed.clear();
    let (channels, alpha) = (pixels.channels, pixels.has_alpha());
    match (pixels.deep, alpha) {
        (false, false) => packed.extend_from_slice(pixels.bytes()),
        (true, false) => packed.extend(
            pixels
                .words()
                .iter()
                .map(|&word| rounded(u32::from(word), 257)),
        ),
        (false, true) => {
            for pixel in pixels.bytes().chunks_exact(channels) {
                let alpha = u32::from(pixel[channels - 1]);
                packed.extend(
                    pixel[..channels - 1].iter().map(|&sample| {
                        rounded(u32::from(sample) * alpha + 255 * (255 - alpha), 255)
                    }),
                );
            }
        }
        (true, true) => {
            for pixel in pixels.words().chunks_exact(channels) {
                let alpha = f32::from(pixel[channels - 1]) / 65535.0;
                packed.extend(pixel[..channels - 1].iter().map(|&sample| {
                    let word = f32::from(sample) * alpha + 65535.0 * (1.0 - alpha);
                    saturated(word / 257.0)
                }));
            }
        }
    }
}

/// 16-bit samples rounded to 8 bits, alpha among them.
pub fn narrow(pixels: &Pixels, packed: &mut Vec<u8>) {
    packed.clear();
    let words = pixels.words().iter();
    packed.extend(words.map(|&word| rounded(u32::from(word), 257)));
}

/// Planes → 8-bit pixels for a PNG. The planes must be grey or of full sampling to be exact.
pub fn to_pixels(
    decompressor: &mut Decompressor,
    planes: &Planes,
    (width, height): (u32, u32),
    pixels: &mut Pixels,
) -> Result<(), String> {
    if let [luma] = planes.used() {
        pixels.allocate(width, height, 1, false);
        pixels.bytes_mut().copy_from_slice(&luma.samples);
        return Ok(());
    }
    pixels.allocate(width, height, 3, false);
    decompressor.rgb_of(planes, width, height, pixels.bytes_mut())
}

/// Bytes of the pixels that [`to_pixels`] makes.
pub fn pixels_need(size: (u32, u32)) -> u64 {
    times(area(size), 3)
}

/// Replaces grey samples by what a table of 16-bit values says.
pub fn grey_planes(table: &[u16], planes: &mut Planes) {
    if let [luma] = planes.used_mut() {
        for sample in &mut luma.samples {
            *sample = looked_up(table, *sample);
        }
    }
}

/// The same for pixels; their alpha stays.
pub fn grey_pixels(table: &[u16], pixels: &mut Pixels) {
    let channels = pixels.channels;
    if pixels.deep {
        for grey in pixels.words_mut().iter_mut().step_by(channels) {
            *grey = table.get(usize::from(*grey)).copied().unwrap_or(*grey);
        }
    } else {
        for grey in pixels.bytes_mut().iter_mut().step_by(channels) {
            *grey = looked_up(table, *grey);
        }
    }
}

fn looked_up(table: &[u16], sample: u8) -> u8 {
    let found = table.get(usize::from(sample) * 257);
    found.map_or(sample, |&word| rounded(u32::from(word), 257))
}

/// Gives grey pixels colour channels of equal value.
pub fn colour(source: &Pixels, target: &mut Pixels) {
    let channels = source.channels + 2;
    target.allocate(source.width, source.height, channels, source.deep);
    macro_rules! spread {
        ($samples:ident, $samples_mut:ident) => {
            for (from, to) in source
                .$samples()
                .chunks_exact(source.channels)
                .zip(target.$samples_mut().chunks_exact_mut(channels))
            {
                to[..3].fill(from[0]);
                to[3..].copy_from_slice(&from[1..]);
            }
        };
    }
    if source.deep {
        spread!(words, words_mut);
    } else {
        spread!(bytes, bytes_mut);
    }
}

/// 8-bit R G B A of any pixels.
pub fn to_rgba(pixels: &Pixels) -> Vec<u8> {
    let mut rgba = Vec::with_capacity(pixels.width as usize * pixels.height as usize * 4);
    let mut push = |pixel: [u8; 4], channels: usize| match channels {
        1 => rgba.extend([pixel[0], pixel[0], pixel[0], 255]),
        2 => rgba.extend([pixel[0], pixel[0], pixel[0], pixel[1]]),
        3 => rgba.extend([pixel[0], pixel[1], pixel[2], 255]),
        _ => rgba.extend(pixel),
    };
    let channels = pixels.channels;
    if pixels.deep {
        for pixel in pixels.words().chunks_exact(channels) {
            let sample = |at: usize| {
                pixel
                    .get(at)
                    .map_or(0, |&word| rounded(u32::from(word), 257))
            };
            push([sample(0), sample(1), sample(2), sample(3)], channels);
        }
    } else {
        for pixel in pixels.bytes().chunks_exact(channels) {
            let sample = |at: usize| pixel.get(at).copied().unwrap_or(0);
            push([sample(0), sample(1), sample(2), sample(3)], channels);
        }
    }
    rgba
}

fn rounded(value: u32, divisor: u32) -> u8 {
    u8::try_from((value + divisor / 2) / divisor).unwrap_or(u8::MAX)
}

/// The nearest 8-bit value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which is what is wanted"
)]
pub fn saturated(value: f32) -> u8 {
    (value + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_laid_on_white() {
        let mut pixels = Pixels::default();
        let mut packed = Vec::new();
        pixels.allocate(3, 1, 4, false);
        pixels
            .bytes_mut()
            .copy_from_slice(&[10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128]);
        flatten(&pixels, &mut packed);
        assert_eq!(packed, [10, 20, 30, 255, 255, 255, 127, 127, 127]);
        pixels.allocate(2, 1, 2, true);
        pixels.words_mut().copy_from_slice(&[257 * 9, 65535, 0, 0]);
        flatten(&pixels, &mut packed);
        assert_eq!(packed, [9, 255]);
    }
}
