//! The one door to the WebP codecs: pixels in and out. libwebp writes, since no other encoder comes
//! near its sizes. `image-webp` reads, since what is read may be hostile, and that crate has no
//! `unsafe`.

mod trees;

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};
use webp::{Encoder, PixelLayout, WebPConfig, WebPEncodingError};

use super::bytes::{sum, times};
use super::pixels::Pixels;
use super::riff::{Image, Walk};

/// Bytes that the codes of a lossless image may take. libwebp writes 2600 sets of them at most, of
/// some 20 KiB each; a hostile file could ask for more than a gigabyte.
const CODES: u64 = 64 << 20;

/// Bytes of codes that one byte of a file can ask for: the shortest description of a table of 4 KiB
/// has some 8.
const CODES_OF_A_BYTE: u64 = 600;

/// How pixels become a WebP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Lossless,
    /// With a quality of 1..=100.
    Lossy(u8),
}

/// Bytes that [`decode`] takes beside the pixels, for so many of them and a file of `length` bytes.
pub fn decode_need((width, height): (u32, u32), lossless: bool, alpha: bool, length: u64) -> u64 {
    let padded = |side: u32| u64::from(side) + 16;
    let area = times(padded(width), padded(height));
    let codes = CODES.min(times(length, CODES_OF_A_BYTE));
    // A lossless image has four bytes a pixel, and what is told of each block of 4×4 pixels.
    let exact = sum([times(area, 5), codes]);
    if lossless {
        return exact;
    }
    // Planes, and the coded data once more.
    let lossy = sum([times(area, 3), length]);
    // Alpha is a lossless image, and a byte a pixel in the end.
    lossy.saturating_add(if alpha { sum([exact, area]) } else { 0 })
}

/// Decodes a WebP that was probed: R G B, with alpha if it has that.
pub fn decode(bytes: &[u8], pixels: &mut Pixels) -> Result<(), String> {
    let webp = Walk::new(bytes).picture();
    for (kind, body) in Walk::new(webp) {
        let body = webp.get(body).unwrap_or_default();
        let codes = match (kind, body.split_first()) {
            (b"VP8L", _) => trees::of_image(body, CODES),
            // Its lowest bits say how it is compressed.
            (b"ALPH", Some((how, body))) if how & 3 == 1 => {
                let size = Walk::new(webp)
                    .find_map(|(kind, body)| Image::of(*kind, webp.get(body).unwrap_or_default()));
                let size = size.map_or((1, 1), |image| (image.width, image.height));
                trees::of_stream(body, size, CODES)
            }
            _ => continue,
        };
        if codes.ok_or("the compressed picture data is damaged")? > CODES {
            return Err("has more codes than any program writes".to_owned());
        }
    }
    let mut decoder = WebPDecoder::new(Cursor::new(webp)).map_err(|error| in_words(&error))?;
    let (width, height) = decoder.dimensions();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    pixels.allocate(width, height, channels, false);
    decoder
        .read_image(pixels.bytes_mut())
        .map_err(|error| in_words(&error))
}

/// The error without words of Rust.
fn in_words(error: &DecodingError) -> String {
    match error {
        DecodingError::IoError(_) => "the compressed picture data ends too early".to_owned(),
        DecodingError::InconsistentImageSizes => {
            "the headers disagree about the picture's size".to_owned()
        }
        DecodingError::ChunkMissing => "a chunk that its header tells of is missing".to_owned(),
        _ => "the compressed picture data is damaged".to_owned(),
    }
}

/// Bytes that [`encode`] takes for a picture of so many pixels, the written file included.
pub fn encode_need(area: u64, lossless: bool, alpha: bool) -> u64 {
    // Measured with noise: 41 bytes a pixel lossless, and 33 lossy; alpha is an exact image besides.
    let pixel = match (lossless, alpha) {
        (true, _) => 48,
        (false, false) => 36,
        (false, true) => 84,
    };
    times(area, pixel)
}

/// Encodes packed R G B, or R G B A if `alpha`. `quality` is that of a recipe: it only says how much
/// time is spent.
pub fn encode(
    packed: &[u8],
    (width, height): (u32, u32),
    alpha: bool,
    way: Way,
    quality: u8,
) -> Result<webp::WebPMemory, String> {
    let layout = if alpha {
        PixelLayout::Rgba
    } else {
        PixelLayout::Rgb
    };
    let samples = times(
        times(width.into(), height.into()),
        layout.bytes_per_pixel().into(),
    );
    if packed.len() as u64 != samples {
        return Err("the pixels are not of the picture's size".to_owned());
    }
    let mut config = WebPConfig::new().map_err(|()| "libwebp has another version".to_owned())?;
    match way {
        Way::Lossless => {
            let (method, effort) = exact_effort(quality);
            config.lossless = 1;
            config.method = method;
            config.quality = effort;
            // What is invisible is kept too: a PNG's result is what it was.
            config.exact = 1;
        }
        Way::Lossy(output) => {
            config.method = lossy_method(quality);
            config.quality = f32::from(output);
        }
    }
    Encoder::new(packed, layout, width, height)
        .encode_advanced(&config)
        .map_err(|error| match error {
            WebPEncodingError::VP8_ENC_ERROR_OUT_OF_MEMORY
            | WebPEncodingError::VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY => {
                "libwebp has no memory".to_owned()
            }
            other => format!("libwebp refused it: {other:?}"),
        })
}

/// libwebp's method and effort for a lossless image.
///
/// Measured on a scene of 1620×1080, against the first of these: 80 % of the size in 9 times as long.
/// Method 6 at 100 takes ten times as long again for a thousandth less, so it is not used.
fn exact_effort(quality: u8) -> (i32, f32) {
    match quality {
        50.. => (0, 20.0),
        20.. => (1, 50.0),
        _ => (4, 75.0),
    }
}

/// The same for a lossy one.
fn lossy_method(quality: u8) -> i32 {
    match quality {
        50.. => 4,
        20.. => 5,
        _ => 6,
    }
}

#[cfg(test)]
mod tests;
