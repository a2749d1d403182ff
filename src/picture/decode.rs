//! Bytes → samples: a JPEG to planes, scaled down within the inverse DCT as far as the output
//! allows, a PNG to pixels.

use std::io::Cursor;
use std::ops::Range;

use super::baseline::{self, Sink};
use super::bytes::{sum, times};
use super::cause;
use super::chunks::{self, still::Still};
use super::colour::{Colour, PngColour};
use super::engines::Engines;
use super::geometry::Geometry;
use super::head::{self, Coding, JpegCoding, LONGEST_PROFILE};
use super::mend;
use super::pixels::Pixels;
use super::planes::{Planes, Sampling};
use super::probe::Probe;
use super::recipe::Resample;
use super::turbo::{AtWarning, Decompressor, Says, Space, Warning, says};

/// How many times as high as its output the decoder leaves a picture at least.
///
/// What the decoder takes off itself, it takes off block by block, and what is near its limit comes out as
/// moiré and stairs. Behind a margin the filter removes that. `benches/quality` has the curve: with twice the
/// output a Lanczos filter comes within 0.1 of the full size by SSIMULACRA2, with 1.5 within 0.7, without a
/// margin within 2.3.
fn margin(resample: Resample) -> u64 {
    match resample {
        Resample::Fast => 1,
        Resample::Fine => 2,
    }
}

/// The smallest scale, in eighths, that leaves a picture of `height` at least `output` high with its margin.
fn eighths(height: u32, output: u32, resample: Resample) -> u32 {
    let wanted = u64::from(output) * 8 * margin(resample);
    (1..8)
        .find(|eighths| u64::from(height) * u64::from(*eighths) >= wanted)
        .unwrap_or(8)
}

/// What a decoded JPEG takes, bytes.
pub struct Decoded {
    /// Sides of the stored picture as far as it is scaled down, pixels.
    pub width: u64,
    pub height: u64,
    /// All of its planes.
    pub planes: u64,
    /// Packed pixels on the way to them.
    pub packed: u64,
    /// What libjpeg holds itself meanwhile.
    pub within: u64,
}

/// What [`jpeg`] allocates at most.
pub fn need(source: &Probe, coding: &JpegCoding, geometry: &Geometry) -> Decoded {
    let eighths = if coding.lossless {
        8
    } else {
        eighths(geometry.source_height, geometry.height, geometry.resample)
    };
    let scaled = |side: u32| (u64::from(side) * u64::from(eighths)).div_ceil(8);
    let (width, height) = (scaled(source.width), scaled(source.height));
    // Sides are padded to whole chroma samples, of 4 pixels at most.
    let luma = times(width + 4, height + 4);
    let (planes, packed) = match (coding.components, coding.factors) {
        // It goes by way of packed pixels of full size.
        _ if coding.lossless => (times(luma, 3), times(luma, 4)),
        (1, _) => (luma, 0),
        // RGB, which only a later look tells from YCbCr, goes by way of packed pixels.
        (3, [(1, 1), (1, 1), (1, 1), _]) if coding.may_be_rgb => (times(luma, 3), times(luma, 3)),
        (3, [(1, 1), (1, 1), (1, 1), _]) => (times(luma, 3), 0),
        (3, [(h, v), (1, 1), (1, 1), _]) if !geometry.enlarges() && h * v <= 4 => {
            let chroma = luma.div_ceil(u64::from(h * v));
            (sum([luma, chroma, chroma]), 0)
        }
        // By way of packed pixels, full sampling.
        (3, _) => (times(luma, 3), times(luma, 3)),
        _ => (times(luma, 3), times(luma, 4)),
    };
    Decoded {
        width,
        height,
        planes,
        packed,
        within: within(source, coding).saturating_add(baseline::NEED),
    }
}

/// Bytes of a JPEG's blocks of 64 coefficients.
const BLOCK: u64 = 128;

/// Bytes that libjpeg holds itself while it decodes: all coefficients, or a few rows.
fn within(source: &Probe, coding: &JpegCoding) -> u64 {
    let components = coding.components;
    let used = &coding.factors[..components.min(coding.factors.len())];
    let most = |side: fn(&(u8, u8)) -> u8| u64::from(used.iter().map(side).max().unwrap_or(1));
    let units = |side: u32, most: u64| u64::from(side).div_ceil(most * 8);
    let across = units(source.width, most(|factor| factor.0));
    let down = units(source.height, most(|factor| factor.1));
    let rows = times(u64::from(source.width) + 64, 40 * components as u64);
    let coefficients = used.iter().map(|&(h, v)| {
        let blocks = times(times(across, u64::from(h)), times(down, u64::from(v)));
        times(blocks, BLOCK)
    });
    let coefficients = if coding.whole { sum(coefficients) } else { 0 };
    rows.saturating_add(coefficients)
}

/// Where a decoded JPEG is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    /// The sink has taken all of its rows.
    Taken,
    /// In the planes, and the sink has none of it.
    Whole,
}

/// A decoded JPEG: what was wrong with it, and where it is.
type Outcome = Result<(Warning, Lies), String>;

/// Room for a picture that is decoded.
pub struct Target<'a> {
    pub planes: &'a mut Planes,
    pub packed: &'a mut Vec<u8>,
    pub sink: &'a mut dyn Sink,
}

/// Decodes a JPEG, as far scaled down as its output allows. Every planar sampling stays as it is; RGB,
/// CMYK and odd samplings become 4:4:4 by way of packed pixels. So does what will be enlarged:
/// libjpeg's own interpolation of chroma is what the picture looks like everywhere else, and
/// bicubic on a quarter of the samples would differ visibly.
pub fn jpeg(
    bytes: &[u8],
    source: &Probe,
    geometry: &Geometry,
    engines: &mut Engines,
    colour: &mut Colour,
    to: &mut Target<'_>,
) -> Outcome {
    let mut decode = |bytes: &[u8], at_warning| {
        decoded(bytes, source, geometry, at_warning, engines, colour, to)
    };
    let text = match decode(bytes, AtWarning::Stop)? {
        (None, lies) => return Ok((None, lies)),
        (Some(text), _) => text,
    };
    if says(&text) == Says::Damage {
        return decode(bytes, AtWarning::GoOn);
    }
    // libjpeg tells of its first warning only: what else there is shows without that one's cause.
    let mended = mend::mended(bytes)?;
    let (warning, lies) = decode(&mended, AtWarning::GoOn)?;
    let warning = warning.filter(|text| !mend::says_nothing(text, &mended));
    Ok((warning, lies))
}

/// Decodes once. The warning is the first that libjpeg had.
fn decoded(
    bytes: &[u8],
    source: &Probe,
    geometry: &Geometry,
    at_warning: AtWarning,
    engines: &mut Engines,
    colour: &mut Colour,
    to: &mut Target<'_>,
) -> Outcome {
    let Engines {
        baseline,
        decompressor,
        compressor,
        ..
    } = engines;
    // libjpeg keeps Huffman and quantization tables from one picture to the next: a damaged one
    // would spoil all that follow, and one that lacks its own would be decoded with another's. A
    // new instance is a few small allocations.
    *decompressor = Decompressor::new()?;
    // More than its header tells it takes is not for it to have.
    if let Ok(Some(head)) = head::read(&mut Cursor::new(bytes))
        && let Coding::Jpeg(coding) = &head.coding
    {
        let within = within(&head.probe, coding);
        decompressor.limit(within, source.width, source.height)?;
    }
    let header = decompressor.header(bytes)?;
    // The limits were checked against what the walk found.
    if (header.width, header.height) != (source.width, source.height) {
        return Err("the headers disagree about the picture's size".to_owned());
    }
    let planar = match (header.space, header.sampling) {
        (Space::Grey, Some(_)) | (Space::YCbCr, Some(Sampling::S444)) => true,
        (Space::YCbCr, Some(_)) => !geometry.enlarges(),
        _ => false,
    };
    let eighths = eighths(geometry.source_height, geometry.height, geometry.resample);
    let Target {
        planes,
        packed,
        sink,
    } = to;
    if planar && !header.lossless {
        let picture = (header.width, header.height);
        let sampling = header.sampling.filter(|_| at_warning == AtWarning::Stop);
        if let Some(sampling) = sampling
            && let sink = &mut **sink as &mut dyn Sink
            && let Some(()) = baseline.planes(bytes, (picture, sampling), eighths, (planes, sink))
        {
            return Ok((None, Lies::Taken));
        }
        let warning = decompressor.planes(bytes, eighths, at_warning, planes)?;
        return Ok((warning, Lies::Whole));
    }
    let (width, height, warning) = decompressor.packed(bytes, eighths, at_warning, packed)?;
    if warning.is_some() && at_warning == AtWarning::Stop {
        return Ok((warning, Lies::Whole));
    }
    if header.space == Space::Cmyk && !colour.made.cmyk(&colour.icc, packed) {
        cmyk_to_rgb(packed);
    }
    compressor.planes_of(packed, (width, height), Sampling::S444, planes)?;
    if !header.lossless {
        planes.end_within((header.width, header.height), eighths);
    }
    Ok((warning, Lies::Whole))
}

/// Inverted C M Y K, as Adobe writes it, to R G B in place where no profile says more: a channel is its ink's lack times the
/// lack of black.
fn cmyk_to_rgb(packed: &mut Vec<u8>) {
    let pixels = packed.len() / 4;
    for pixel in 0..pixels {
        let (from, to) = (pixel * 4, pixel * 3);
        let black = u16::from(packed[from + 3]);
        for channel in 0..3 {
            let product = u16::from(packed[from + channel]) * black + 128;
            let [high, _] = (product + (product >> 8)).to_be_bytes();
            packed[to + channel] = high;
        }
    }
    packed.truncate(pixels * 3);
}

/// Decodes a PNG whole: palettes and small depths are expanded, 16 bits stay 16 bits. The profile
/// of its colours goes to `icc`. Checksums are not looked at where the picture data is known to be
/// `damaged`: then it counts whether it can be inflated.
pub fn png(
    bytes: &[u8],
    damaged: bool,
    icc: &mut Vec<u8>,
    pixels: &mut Pixels,
) -> Result<PngColour, String> {
    let mut source = PngSource::open(bytes, damaged)?;
    let form = source.form();
    pixels.allocate(form.width, form.height, form.channels, form.deep);
    source.frame(pixels)?;
    source.finish(icc)
}

/// A PNG of which rows are asked for, the first frame if it is animated.
pub struct PngSource<'a> {
    bytes: &'a [u8],
    reader: png::Reader<Still<'a>>,
}

/// Size and samples of a PNG once it is expanded.
pub struct Form {
    pub width: u32,
    pub height: u32,
    pub channels: usize,
    /// 16 bits.
    pub deep: bool,
}

impl<'a> PngSource<'a> {
    pub fn open(bytes: &'a [u8], damaged: bool) -> Result<Self, String> {
        // The decoder counts a row of the output too, 8 bytes a pixel at most.
        let width = bytes.get(16..20).and_then(|side| side.try_into().ok());
        let row = u64::from(width.map_or(0, u32::from_be_bytes)) * 8;
        let limits = png::Limits {
            bytes: usize::try_from(LONGEST_PROFILE + row).unwrap_or(usize::MAX),
        };
        let mut decoder = png::Decoder::new_with_limits(Still::new(bytes), limits);
        decoder.set_ignore_text_chunk(true);
        if damaged {
            decoder.ignore_checksums(true);
        }
        decoder.set_transformations(png::Transformations::EXPAND);
        let reader = decoder.read_info().map_err(|error| cause::of_png(&error))?;
        // What deflate shrinks 1032 times at most cannot come out of a few bytes.
        if reader.info().raw_bytes() / 1032 > bytes.len() {
            return Err("chunk IDAT has less data than the picture".to_owned());
        }
        Ok(Self { bytes, reader })
    }

    pub fn form(&self) -> Form {
        let (colour, depth) = self.reader.output_color_type();
        let (width, height) = self.reader.info().size();
        Form {
            width,
            height,
            channels: colour.samples(),
            deep: depth == png::BitDepth::Sixteen,
        }
    }

    pub fn interlaced(&self) -> bool {
        self.reader.info().interlaced
    }

    /// The whole picture.
    pub fn frame(&mut self, pixels: &mut Pixels) -> Result<(), String> {
        self.reader
            .next_frame(pixels.bytes_mut())
            .map_err(|error| cause::of_png(&error))?;
        to_native(pixels, 0..pixels.bytes().len());
        Ok(())
    }

    /// The next rows, of a picture that is not interlaced, into the bytes `range`.
    pub fn rows(&mut self, pixels: &mut Pixels, range: Range<usize>) -> Result<(), String> {
        let width = self.reader.info().width;
        let length = self
            .reader
            .output_line_size(width)
            .ok_or("rows are too long")?;
        for row in pixels.bytes_mut()[range.clone()].chunks_exact_mut(length) {
            let read = self
                .reader
                .read_row(row)
                .map_err(|error| cause::of_png(&error))?;
            if read.is_none() {
                return Err("fewer rows than the header says".to_owned());
            }
        }
        to_native(pixels, range);
        Ok(())
    }

    /// Checks the end of the image data. The ICC profile goes to `icc`.
    pub fn finish(mut self, icc: &mut Vec<u8>) -> Result<PngColour, String> {
        let interlaced = self.interlaced();
        // Behind the last row this reads no row.
        if !interlaced
            && self
                .reader
                .read_row(&mut [])
                .map_err(|error| cause::of_png(&error))?
                .is_some()
        {
            return Err("more rows than the header says".to_owned());
        }
        let grey = self.form().channels <= 2;
        let chunks = chunks::all(self.bytes);
        Ok(PngColour::read(self.reader.info(), chunks, grey, icc))
    }
}

/// PNG's byte order → ours, in these bytes.
fn to_native(pixels: &mut Pixels, range: Range<usize>) {
    if pixels.deep {
        for word in &mut pixels.words_mut()[range.start / 2..range.end / 2] {
            *word = u16::from_be(*word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recipe::{Format, Recipe, Resample, Size};
    use super::super::tests::{jpeg, recipe};
    use super::super::{Scratch, treat};
    use super::*;

    /// The samples do not tell, for they are the same.
    #[test]
    fn plain_pictures_are_decoded_without_libjpeg_turbo() {
        let mut scratch = Scratch::new().unwrap();
        let bytes = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        treat(&bytes, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ()).unwrap();
        let buffers = scratch.engines.baseline.kept();
        assert_eq!(buffers > 0, baseline::is_used_here());
    }

    #[test]
    fn scale_is_never_below_the_output() {
        for (height, output, fast, fine) in [
            (8000, 1000, 1, 2),
            (2160, 1080, 4, 8),
            (2159, 1080, 5, 8),
            (1080, 1080, 8, 8),
            (100, 1080, 8, 8),
            (2880, 1080, 3, 6),
            (2879, 1080, 4, 7),
            (2468, 1080, 4, 8),
        ] {
            for (resample, expected) in [(Resample::Fast, fast), (Resample::Fine, fine)] {
                let found = eighths(height, output, resample);
                assert_eq!(found, expected, "{height} to {output}, {resample:?}");
            }
        }
    }

    /// Lines that are finer than the output can show become an even grey, not broad stripes.
    #[test]
    fn fine_leaves_less_moire() {
        let (width, height) = (640, 480);
        let pixels: Vec<u8> = (0..width * height)
            .map(|at| {
                let (x, y) = (at % width, at / width);
                if (x * 7 + y * 13) % 40 < 20 { 20 } else { 230 }
            })
            .collect();
        let image = turbojpeg::Image {
            pixels: &pixels[..],
            width,
            pitch: width,
            height,
            format: turbojpeg::PixelFormat::GRAY,
        };
        let bytes = turbojpeg::compress(image, 95, turbojpeg::Subsamp::Gray).unwrap();
        let mut scratch = Scratch::new().unwrap();
        let mut uneven = |resample| {
            let recipe = Recipe {
                marks: Vec::new(),
                size: Size::Height(216),
                quality: 100,
                resample,
                sharpen: 0,
                max_pixels: 1_000_000,
                ..recipe()
            };
            treat(&bytes, Format::Jpeg, &recipe, &mut scratch, &mut |_| ()).unwrap();
            let luma = &scratch.samples.planes.front.used()[0];
            let inner = luma.samples.chunks(luma.width).skip(20).take(176);
            assert_eq!((luma.width, luma.height), (288, 216));
            let inner: Vec<u8> = inner.flat_map(|row| row[20..268].to_vec()).collect();
            inner.iter().max().unwrap() - inner.iter().min().unwrap()
        };
        let (fast, fine) = (uneven(Resample::Fast), uneven(Resample::Fine));
        assert!(fine * 4 < fast, "{fine} levels, and {fast} by fast");
    }

    #[test]
    fn inverted_cmyk() {
        // No ink; all cyan; all black.
        let mut packed = vec![255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 0];
        cmyk_to_rgb(&mut packed);
        assert_eq!(packed, [255, 255, 255, 0, 255, 255, 0, 0, 0]);
    }
}
