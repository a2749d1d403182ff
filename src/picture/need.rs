//! What a picture will take of memory at most, told from its header before anything is read.
//!
//! This follows the path step by step: whoever changes what a step allocates changes it here. The
//! bound holds for every content, so it is well above what friendly content takes where the size
//! of a written file is in it.

use super::decode;
use super::geometry::{self, Geometry};
use super::head::{Coding, Head, JpegCoding, PngCoding};
use super::metadata;
use super::orient::exchanges_sides;
use super::placement::{gets, place};
use super::probe::Probe;
use super::recipe::{Chroma, Format, Position, Recipe};
use super::strip::Cut;

/// Codecs, tables, and the allocator's rounding.
const BASE: u64 = 3 << 20;

/// Bytes of a JPEG's blocks of 64 coefficients.
const BLOCK: u64 = 128;

/// Bytes that a picture takes from when its file is read until it is written, without what a worker
/// still holds from those before. `length` is the file's.
pub fn need(head: &Head, length: u64, wanted: Format, recipe: &Recipe) -> u64 {
    // Metadata are collected, mended and written, the profile is copied into the codecs.
    let around = match head.coding {
        // A PNG's may stand behind its samples.
        Coding::Png(_) => head.around.max(length.min(3 * metadata::LONGEST as u64)),
        Coding::Jpeg(_) => head.around,
    };
    let around = times(around, 3).saturating_add(times(head.profile, 3));
    let fixed = sum([BASE, length, around]);
    // A PNG may say which way up it is behind its samples.
    let orientations: &[u8] = match head.coding {
        Coding::Png(_) => &[1, 6],
        Coding::Jpeg(_) => &[head.probe.orientation],
    };
    let ways = orientations.iter().filter_map(|&orientation| {
        let source = Probe {
            orientation,
            ..head.probe
        };
        // What is refused is refused before it is decoded.
        let geometry = geometry::plan(&source, wanted, recipe).ok()?;
        let decoded = match head.coding {
            Coding::Jpeg(_) => jpeg(head, &source, wanted, recipe, &geometry),
            Coding::Png(_) => png(head, &source, wanted, recipe, &geometry),
        };
        Some(sum([decoded, marks(recipe, &geometry)]))
    });
    fixed.saturating_add(ways.max().unwrap_or(0))
}

/// Bytes that libjpeg holds itself while it decodes: all coefficients, or a few rows.
pub fn decoder(head: &Head) -> u64 {
    let Coding::Jpeg(JpegCoding {
        components,
        factors,
        whole,
        ..
    }) = head.coding
    else {
        return 0;
    };
    let used = &factors[..components.min(factors.len())];
    let most = |side: fn(&(u8, u8)) -> u8| u64::from(used.iter().map(side).max().unwrap_or(1));
    let units = |side: u32, most: u64| u64::from(side).div_ceil(most * 8);
    let (across, down) = (
        units(head.probe.width, most(|factor| factor.0)),
        units(head.probe.height, most(|factor| factor.1)),
    );
    let rows = times(u64::from(head.probe.width) + 64, 40 * components as u64);
    let coefficients = used.iter().map(|&(h, v)| {
        let blocks = times(times(across, u64::from(h)), times(down, u64::from(v)));
        times(blocks, BLOCK)
    });
    let coefficients = if whole { sum(coefficients) } else { 0 };
    rows.saturating_add(coefficients)
}

fn jpeg(head: &Head, source: &Probe, wanted: Format, recipe: &Recipe, geometry: &Geometry) -> u64 {
    let Coding::Jpeg(JpegCoding {
        components,
        factors,
        lossless,
        ..
    }) = head.coding
    else {
        return 0;
    };
    let eighths = if lossless {
        8
    } else {
        decode::eighths(geometry.source_height, geometry.height)
    };
    let scaled = |side: u32| (u64::from(side) * u64::from(eighths)).div_ceil(8);
    let (width, height) = (scaled(source.width), scaled(source.height));
    // Sides are padded to whole chroma samples, of 4 pixels at most.
    let luma = times(width + 4, height + 4);
    let enlarged = geometry.height > geometry.source_height;
    let (planes, packed) = match (components, factors) {
        // It goes by way of packed pixels of full size.
        _ if lossless => (times(luma, 3), times(luma, 4)),
        (1, _) => (luma, 0),
        // RGB, which only a later look tells from YCbCr, goes by way of packed pixels.
        (3, [(1, 1), (1, 1), (1, 1), _]) => (times(luma, 3), times(luma, 3)),
        (3, [(h, v), (1, 1), (1, 1), _]) if !enlarged && h * v <= 4 => {
            let chroma = luma.div_ceil(u64::from(h * v));
            (sum([luma, chroma, chroma]), 0)
        }
        // By way of packed pixels, full sampling.
        (3, _) => (times(luma, 3), times(luma, 3)),
        _ => (times(luma, 3), times(luma, 4)),
    };
    let turned = source.orientation != 1;
    let across = if exchanges_sides(source.orientation) {
        height
    } else {
        width
    };
    let output = written(wanted, recipe, geometry, components == 1, 3);
    // The plane that is scaled is first made as high as the output, then turned over, and where a
    // side is odd it may be copied to be a sample wider.
    let widest = across.max(u64::from(geometry.width)) + 4;
    let between = times(times(widest, u64::from(geometry.height) + 4), 2);
    // Pixels, and those again in colour.
    let area = times(u64::from(geometry.width), u64::from(geometry.height));
    let pixels = match wanted {
        Format::Png => times(area, 6),
        Format::Jpeg => 0,
    };
    let wider = if planes > luma { luma } else { 0 };
    let spare = if turned {
        planes.max(output.planes)
    } else {
        output.planes
    };
    sum([
        decoder(head),
        packed,
        planes.max(output.planes),
        spare,
        between,
        wider,
        pixels,
        output.rest,
    ])
}

fn png(head: &Head, source: &Probe, wanted: Format, recipe: &Recipe, geometry: &Geometry) -> u64 {
    let Coding::Png(PngCoding {
        channels,
        deep,
        interlaced,
    }) = head.coding
    else {
        return 0;
    };
    let sample = if deep { 2 } else { 1 };
    let pixel = u64::from(channels) * sample;
    let row = times(u64::from(source.width), pixel);
    let (width, height) = if exchanges_sides(source.orientation) {
        (geometry.height, geometry.width)
    } else {
        (geometry.width, geometry.height)
    };
    let cut = Cut::new(source.height, height, row);
    let strip = times(row, u64::from(cut.rows()));
    let room = if interlaced {
        times(row, u64::from(source.height))
    } else {
        strip
    };
    // With alpha multiplied in, of the rows that are looked at: all of the interlaced ones.
    let alpha = if channels.is_multiple_of(2) { strip } else { 0 };
    // Words are first made as narrow as the output, bytes as low.
    let between = if deep {
        times(times(u64::from(width), pixel), u64::from(cut.rows()))
    } else {
        times(row, u64::from(cut.step()))
    };
    let area = times(u64::from(width), u64::from(height));
    let scaled = times(area, pixel);
    let turned = if source.orientation == 1 { 0 } else { scaled };
    // A coloured mark makes grey colour.
    let coloured = match channels {
        1 | 2 => times(area, (u64::from(channels) + 2) * sample),
        _ => 0,
    };
    let marked = if channels <= 2 {
        channels + 2
    } else {
        channels
    };
    let written_pixel = u64::from(marked) * sample;
    let output = written(wanted, recipe, geometry, channels <= 2, written_pixel);
    // Inflated rows, the row before, and one in the decoder's own hands.
    let rows = times(row, 8) + (1 << 20);
    let pixels = match wanted {
        Format::Png => coloured,
        // Flattened, then two sets of planes.
        Format::Jpeg => sum([times(area, 3), times(output.planes, 2)]),
    };
    sum([
        room,
        alpha,
        between,
        rows,
        scaled,
        turned,
        pixels,
        output.rest,
    ])
}

/// What a written picture takes.
struct Output {
    /// A set of planes for it.
    planes: u64,
    /// The encoded file.
    rest: u64,
}

fn written(wanted: Format, recipe: &Recipe, geometry: &Geometry, grey: bool, pixel: u64) -> Output {
    let area = times(
        u64::from(geometry.width) + 16,
        u64::from(geometry.height) + 16,
    );
    // Grey may take colour from the mark.
    let grey = grey && !geometry.marked;
    let planes = match (grey, wanted, recipe.chroma) {
        (true, ..) => area,
        (false, Format::Jpeg, Chroma::Half) => area + area.div_ceil(2),
        (false, ..) => times(area, 3),
    };
    let rest = match wanted {
        // TurboJPEG's own worst case.
        Format::Jpeg => times(planes, 2),
        // Deflated once in the encoder's hands and once in ours, at most as long as the samples;
        // both grow by doubling.
        Format::Png => times(area, pixel * 3),
    };
    Output { planes, rest }
}

/// Marks as they are laid on: scaled, cut to what shows, with stamps for planes.
fn marks(recipe: &Recipe, geometry: &Geometry) -> u64 {
    let size = (geometry.width, geometry.height);
    let area = |(width, height): (u32, u32)| times(u64::from(width), u64::from(height));
    sum(recipe
        .marks
        .iter()
        .filter(|mark| gets(mark, size))
        .map(|mark| {
            let place = place(mark, size);
            let window = area((place.window.width, place.window.height));
            // Tiles stand at odd and even places, where chroma is shared.
            let stamps = match mark.position {
                Position::Tile { .. } => 4,
                Position::At(_) => 1,
            };
            // The mark in the picture's colours and scaled; its window; each stamp's 9 bytes a pixel at
            // most, made by way of 8 more.
            sum([
                times(area((mark.mark.width, mark.mark.height)), 4),
                times(area(place.size), 4),
                times(window, 4 + 9 * stamps + 8),
            ])
        }))
}

fn times(one: u64, other: u64) -> u64 {
    one.saturating_mul(other)
}

fn sum(parts: impl IntoIterator<Item = u64>) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}
