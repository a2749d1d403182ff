//! The two choices of a scaled decode, apart from the daemon: how much larger than the result the decoder leaves the
//! picture, and which filter does the rest.

use std::time::Instant;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use turbojpeg::{Compressor, DecompressHeader, Decompressor, ScalingFactor, Subsamp, YuvImage};

use super::measure::Rgb;

/// Infinite is the full size.
pub const MARGINS: [f64; 6] = [1.0, 1.25, 1.5, 1.75, 2.0, f64::INFINITY];

pub const FILTERS: &str = "catmull-rom,mitchell,lanczos,lanczos/catmull-rom";

/// Luma's and chroma's filter, by `filter` or `luma/chroma`.
pub fn filters(name: &str) -> (FilterType, FilterType) {
    let kind = |name: &str| match name {
        "bilinear" => FilterType::Bilinear,
        "mitchell" => FilterType::Mitchell,
        "lanczos" => FilterType::Lanczos3,
        _ => FilterType::CatmullRom,
    };
    let (luma, chroma) = name.split_once('/').unwrap_or((name, name));
    (kind(luma), kind(chroma))
}

/// A picture by one choice, and the best times for its two steps.
pub struct Made {
    pub picture: Rgb,
    /// Milliseconds.
    pub decode: f64,
    pub resize: f64,
}

/// The smallest scale that leaves the margin.
fn eighths(header: &DecompressHeader, output: u32, margin: f64) -> usize {
    let side = |eighths: u32| f64::from(u32::try_from(header.height).unwrap() * eighths) / 8.0;
    let found = (1..8).find(|eighths| side(*eighths) >= f64::from(output) * margin);
    found.unwrap_or(8) as usize
}

struct Decoded {
    samples: Vec<u8>,
    width: usize,
    height: usize,
    sampling: Subsamp,
    /// Size of the picture at the scale, pixels; it may end within a sample.
    sides: (f64, f64),
}

fn decode(jpeg: &[u8], output: u32, margin: f64, samples: Vec<u8>) -> Decoded {
    let mut decompressor = Decompressor::new().unwrap();
    let header = decompressor.read_header(jpeg).unwrap();
    let eighths = eighths(&header, output, margin);
    let factor = ScalingFactor::new(eighths, 8);
    decompressor.set_scaling_factor(factor).unwrap();
    let (width, height) = (factor.scale(header.width), factor.scale(header.height));
    let mut samples = samples;
    let length = turbojpeg::yuv_pixels_len(width, 1, height, header.subsamp).unwrap();
    samples.resize(length, 0);
    let image = YuvImage {
        pixels: &mut samples[..],
        width,
        align: 1,
        height,
        subsamp: header.subsamp,
    };
    // A warning counts as decoded, as in the daemon.
    drop(decompressor.decompress_to_yuv(jpeg, image));
    let exact = |side: usize| f64::from(u32::try_from(side * eighths).unwrap()) / 8.0;
    Decoded {
        samples,
        width,
        height,
        sampling: header.subsamp,
        sides: (exact(header.width), exact(header.height)),
    }
}

/// Each plane to the full output size.
fn resize(
    decoded: &Decoded,
    (width, height): (u32, u32),
    (luma, chroma): (FilterType, FilterType),
) -> Vec<Vec<u8>> {
    let (across, down) = decoded.sampling.size();
    let mut rest = &decoded.samples[..];
    let mut resizer = Resizer::new();
    let mut planes = Vec::new();
    let count = if decoded.sampling == Subsamp::Gray {
        1
    } else {
        3
    };
    for index in 0..count {
        let (x_step, y_step) = if index == 0 { (1, 1) } else { (across, down) };
        let columns = decoded.width.div_ceil(across) * across / x_step;
        let rows = decoded.height.div_ceil(down) * down / y_step;
        let (plane, others) = rest.split_at(columns * rows);
        rest = others;
        let side = |side: usize| u32::try_from(side).unwrap();
        let plane = TypedImageRef::<U8>::from_buffer(side(columns), side(rows), plane).unwrap();
        let mut scaled = TypedImage::<U8>::new(width, height);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(if index == 0 {
                luma
            } else {
                chroma
            }))
            .crop(
                0.0,
                0.0,
                decoded.sides.0 / f64::from(side(x_step)),
                decoded.sides.1 / f64::from(side(y_step)),
            );
        resizer.resize_typed(&plane, &mut scaled, &options).unwrap();
        planes.push(scaled.pixels().iter().map(|pixel| pixel.0).collect());
    }
    planes
}

/// As a JPEG of quality 100 and 4:4:4 shows it.
fn written(planes: &[Vec<u8>], (width, height): (u32, u32)) -> Rgb {
    let subsamp = if planes.len() == 1 {
        Subsamp::Gray
    } else {
        Subsamp::None
    };
    let samples = planes.concat();
    let image = YuvImage {
        pixels: &samples[..],
        width: width as usize,
        align: 1,
        height: height as usize,
        subsamp,
    };
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(100).unwrap();
    Rgb::of_jpeg(&compressor.compress_yuv_to_vec(image).unwrap())
}

/// Makes a picture `rounds` times.
pub fn make(
    jpeg: &[u8],
    size: (u32, u32),
    (margin, filters): (f64, (FilterType, FilterType)),
    rounds: usize,
) -> Made {
    let (mut decode_best, mut resize_best) = (f64::INFINITY, f64::INFINITY);
    let (mut samples, mut planes) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        let decoded = decode(jpeg, size.1, margin, samples);
        decode_best = decode_best.min(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        planes = resize(&decoded, size, filters);
        resize_best = resize_best.min(start.elapsed().as_secs_f64() * 1e3);
        samples = decoded.samples;
    }
    Made {
        picture: written(&planes, size),
        decode: decode_best,
        resize: resize_best,
    }
}
