//! A PNG scaled while it is decoded: of a source of any height only the rows under one strip of the
//! output are in memory, and those that the next strip needs again.
//!
//! The resizer takes samples from outside of its crop box where the filter reaches there, as
//! Pillow's does, so strips that hold these rows too come out as the whole picture would. An
//! interlaced picture has its last rows only at the end; it is decoded whole, but still scaled in
//! strips, which spares a second copy of it where alpha is multiplied in.

use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

use super::bytes::{sum, times};
use super::colour::{Colour, PngColour};
use super::decode::{Form, PngSource};
use super::error::{PictureError, bad};
use super::filter::Filter;
use super::geometry::Task;
use super::head::PngCoding;
use super::orient::exchanges_sides;
use super::pixels::Pixels;
use super::probe::Damage;
use super::samples::Pair;
use super::turbo::Warning;
use crate::outcome::Step;

/// Source bytes of a strip, if not more are needed for it to be worth its overlap.
const BYTES: u64 = 4 << 20;

/// How a picture is cut: heights in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    source: u32,
    target: u32,
    /// Rows of the output that are made at once.
    step: u32,
    filter: Filter,
}

impl Cut {
    fn new((source, target): (u32, u32), row_bytes: u64, filter: Filter) -> Self {
        let larger = u64::from(source.max(target));
        let target_rows = u64::from(target.max(1));
        // Above and below a strip, together.
        let overlap = (larger * u64::from(filter.reach) * 2).div_ceil(target_rows) + 4;
        let rows = (BYTES / row_bytes.max(1)).max(overlap * 3) - overlap;
        let step = u128::from(rows) * u128::from(target) / u128::from(source.max(1));
        Self {
            source,
            target,
            step: u32::try_from(step)
                .unwrap_or(u32::MAX)
                .clamp(1, target.max(1)),
            filter,
        }
    }

    /// Source rows from and to which the output rows `first..end` reach.
    fn span(self, first: u32, end: u32) -> (u32, u32) {
        let (source, target) = (u128::from(self.source), u128::from(self.target.max(1)));
        let reach = u128::from(self.filter.reach) * 2 * source.max(target);
        let middle = |row: u32| (u128::from(row) * 2 + 1) * source;
        // A row more on each side, for the rounding of the resizer's own arithmetic.
        let low = (middle(first).saturating_sub(reach) / (target * 2)).saturating_sub(1);
        let high = (middle(end.saturating_sub(1)) + reach).div_ceil(target * 2) + 1;
        let row = |row: u128| u32::try_from(row).unwrap_or(u32::MAX).min(self.source);
        (row(low), row(high))
    }

    /// Source rows that are in memory at once, at most.
    fn rows(self) -> u32 {
        let larger = u64::from(self.source.max(self.target));
        let target = u64::from(self.target.max(1));
        let under = (u64::from(self.step) * u64::from(self.source)).div_ceil(target);
        let reach = (larger * u64::from(self.filter.reach) * 2).div_ceil(target);
        let rows = under + reach + 4;
        u32::try_from(rows).unwrap_or(u32::MAX).min(self.source)
    }
}

/// Bytes that the source's rows take while they come, without the scaled picture.
pub fn need(task: &Task<'_>, coding: PngCoding) -> u64 {
    let sample = if coding.deep { 2 } else { 1 };
    let pixel = u64::from(coding.channels) * sample;
    let row = times(u64::from(task.source.width), pixel);
    let (width, height) = stored(task);
    let cut = Cut::new(
        (task.source.height, height),
        row,
        Filter::of(&task.geometry),
    );
    let strip = times(row, u64::from(cut.rows()));
    let room = if coding.interlaced {
        times(row, u64::from(task.source.height))
    } else {
        strip
    };
    // With alpha multiplied in, of the rows that are looked at.
    let alpha = if coding.channels.is_multiple_of(2) {
        strip
    } else {
        0
    };
    // Words are first made as narrow as the output, bytes as low.
    let between = if coding.deep {
        times(times(u64::from(width), pixel), u64::from(cut.rows()))
    } else {
        times(row, u64::from(cut.step))
    };
    // Inflated rows, the row before, and one in the decoder's own hands.
    let rows = times(row, 8) + (1 << 20);
    let filter = Filter::of(&task.geometry);
    let weights = [
        filter.need(task.source.width.into(), width.into()),
        filter.need(task.source.height.into(), height.into()),
    ];
    sum([room, alpha, between, rows, weights[0], weights[1]])
}

/// Sides of the scaled picture while it is as it was stored.
fn stored(task: &Task<'_>) -> (u32, u32) {
    let (width, height) = task.size();
    if exchanges_sides(task.source.orientation) {
        (height, width)
    } else {
        (width, height)
    }
}

/// Decodes and scales a picture, as it is stored. Returns what was wrong with it all the same.
pub fn run(
    bytes: &[u8],
    task: &Task<'_>,
    resizer: &mut Resizer,
    colour: &mut Colour,
    pixels: &mut Pair<Pixels>,
    after_step: &mut dyn FnMut(Step),
) -> Result<Warning, PictureError> {
    let damaged = task.source.damaged;
    let of_data = damaged == Some(Damage::Data);
    let source = PngSource::open(bytes, of_data).map_err(bad(Step::Decode))?;
    let Pair { front, back } = pixels;
    colour.png = png(
        source,
        (stored(task), Filter::of(&task.geometry)),
        &mut colour.icc,
        resizer,
        back,
        front,
        after_step,
    )?;
    Ok(damaged.map(|damage| damage.text().to_owned()))
}

/// Decodes and scales to a size; the source's rows pass through `room`. The profile goes to `icc`.
fn png(
    mut source: PngSource<'_>,
    ((width, height), filter): ((u32, u32), Filter),
    icc: &mut Vec<u8>,
    resizer: &mut Resizer,
    room: &mut Pixels,
    target: &mut Pixels,
    after_step: &mut dyn FnMut(Step),
) -> Result<PngColour, PictureError> {
    let form = source.form();
    let row_bytes = form.width as usize * form.channels * if form.deep { 2 } else { 1 };
    let cut = Cut::new((form.height, height), row_bytes as u64, filter);
    let held = if source.interlaced() {
        form.height
    } else {
        cut.rows()
    };
    room.allocate(form.width, held, form.channels, form.deep);
    target.allocate(width, height, form.channels, form.deep);
    // The source rows that are in the room.
    let (mut from, mut to) = (0, 0);
    if source.interlaced() {
        source.frame(room).map_err(bad(Step::Decode))?;
        to = form.height;
        after_step(Step::Decode);
    }
    let mut first = 0;
    while first < height {
        let end = first.saturating_add(cut.step).min(height);
        let (low, high) = cut.span(first, end);
        if to < high {
            // A strip reaches into the one before, so no row is left out.
            let kept = to.saturating_sub(low);
            let row = |rows: u32| rows as usize * row_bytes;
            room.bytes_mut()
                .copy_within(row(to - from - kept)..row(to - from), 0);
            source
                .rows(room, row(kept)..row(high - low))
                .map_err(bad(Step::Decode))?;
            (from, to) = (low, high);
            after_step(Step::Decode);
        }
        let part = (low - from) as usize * row_bytes..(high - from) as usize * row_bytes;
        let rows = Rows {
            bytes: &room.bytes()[part],
            from: low,
            to: high,
        };
        scale(resizer, &rows, &form, cut, first..end, target).map_err(bad(Step::Resize))?;
        after_step(Step::Resize);
        first = end;
    }
    let colour = source.finish(icc).map_err(bad(Step::Decode))?;
    after_step(Step::Decode);
    Ok(colour)
}

/// Scales a picture that was decoded as a whole into the back buffer, as it is stored.
pub fn whole(
    task: &Task<'_>,
    resizer: &mut Resizer,
    pixels: &mut Pair<Pixels>,
) -> Result<(), String> {
    let Pair { front, back } = pixels;
    let (width, height) = stored(task);
    let form = Form {
        width: back.width,
        height: back.height,
        channels: back.channels,
        deep: back.deep,
    };
    let row_bytes = back.bytes().len() / back.height.max(1) as usize;
    let filter = Filter::of(&task.geometry);
    let cut = Cut::new((form.height, height), row_bytes as u64, filter);
    front.allocate(width, height, form.channels, form.deep);
    let mut first = 0;
    while first < height {
        let end = first.saturating_add(cut.step).min(height);
        let (from, to) = cut.span(first, end);
        let part = from as usize * row_bytes..to as usize * row_bytes;
        let rows = Rows {
            bytes: &back.bytes()[part],
            from,
            to,
        };
        scale(resizer, &rows, &form, cut, first..end, front)?;
        first = end;
    }
    Ok(())
}

/// Rows of the source, `from..to`.
struct Rows<'a> {
    bytes: &'a [u8],
    from: u32,
    to: u32,
}

/// Makes output rows of the source rows under them. Colour is weighted by alpha, so that invisible
/// pixels do not bleed.
fn scale(
    resizer: &mut Resizer,
    rows: &Rows<'_>,
    form: &Form,
    cut: Cut,
    output: Range<u32>,
    target: &mut Pixels,
) -> Result<(), String> {
    let kind = match (form.deep, form.channels) {
        (false, 1) => PixelType::U8,
        (false, 2) => PixelType::U8x2,
        (false, 3) => PixelType::U8x3,
        (false, _) => PixelType::U8x4,
        (true, 1) => PixelType::U16,
        (true, 2) => PixelType::U16x2,
        (true, 3) => PixelType::U16x3,
        (true, _) => PixelType::U16x4,
    };
    let place = |row: u32| f64::from(row) * f64::from(cut.source) / f64::from(cut.target);
    let count = rows.to - rows.from;
    let top = place(output.start) - f64::from(rows.from);
    let bottom = (place(output.end) - f64::from(rows.from)).min(f64::from(count));
    let options = ResizeOptions::new()
        .resize_alg(cut.filter.algorithm())
        .use_alpha(target.has_alpha())
        .crop(0.0, top, f64::from(form.width), bottom - top);
    let source =
        ImageRef::new(form.width, count, rows.bytes, kind).map_err(|error| error.to_string())?;
    let width = target.width;
    let row_bytes = target.bytes().len() / target.height.max(1) as usize;
    let part = output.start as usize * row_bytes..output.end as usize * row_bytes;
    let (part, height) = (&mut target.bytes_mut()[part], output.end - output.start);
    let mut part =
        Image::from_slice_u8(width, height, part, kind).map_err(|error| error.to_string())?;
    resizer
        .resize(&source, &mut part, &options)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::super::filter::{BICUBIC, LANCZOS};
    use super::*;

    fn form(source: &[u8]) -> Form {
        PngSource::open(source, false).unwrap().form()
    }

    fn png_of(
        (width, height): (u32, u32),
        colour: png::ColorType,
        depth: png::BitDepth,
        range: RangeInclusive<u8>,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        let wide = if depth == png::BitDepth::Sixteen {
            2
        } else {
            1
        };
        let length = width as usize * height as usize * colour.samples() * wide;
        let mut state = 7_u32;
        let data: Vec<u8> = (0..length)
            .map(|at| {
                // Flat parts, gradients, noise, and hard edges.
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let [high, ..] = state.to_be_bytes();
                match at / 97 % 4 {
                    0 => high.clamp(*range.start(), *range.end()),
                    1 => *range.start(),
                    2 => *range.end(),
                    _ => u8::try_from(at % 251)
                        .unwrap()
                        .clamp(*range.start(), *range.end()),
                }
            })
            .collect();
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&data)
            .unwrap();
        bytes
    }

    /// The picture scaled as a whole.
    fn whole(bytes: &[u8], (width, height): (u32, u32), filter: Filter) -> Pixels {
        let (mut source, mut target) = (Pixels::default(), Pixels::default());
        super::super::decode::png(bytes, false, &mut Vec::new(), &mut source).unwrap();
        target.allocate(width, height, source.channels, source.deep);
        let form = form(bytes);
        let cut = Cut {
            source: form.height,
            target: height,
            step: height,
            filter,
        };
        let all = Rows {
            bytes: source.bytes(),
            from: 0,
            to: form.height,
        };
        let resizer = &mut Resizer::new();
        scale(resizer, &all, &form, cut, 0..height, &mut target).unwrap();
        target
    }

    fn in_strips(bytes: &[u8], size: (u32, u32), filter: Filter) -> Pixels {
        let (mut room, mut target) = (Pixels::default(), Pixels::default());
        png(
            PngSource::open(bytes, false).unwrap(),
            (size, filter),
            &mut Vec::new(),
            &mut Resizer::new(),
            &mut room,
            &mut target,
            &mut |_| (),
        )
        .unwrap();
        target
    }

    /// The largest difference of two samples.
    fn furthest(one: &Pixels, other: &Pixels) -> u16 {
        let wide = |pixels: &Pixels| -> Vec<u16> {
            if pixels.deep {
                pixels.words().to_vec()
            } else {
                pixels.bytes().iter().copied().map(u16::from).collect()
            }
        };
        assert_eq!((one.width, one.height), (other.width, other.height));
        let (one, other) = (wide(one), wide(other));
        let pairs = one.iter().zip(&other);
        pairs
            .map(|(one, other)| one.abs_diff(*other))
            .max()
            .unwrap()
    }

    const COLOURS: [png::ColorType; 4] = [
        png::ColorType::Grayscale,
        png::ColorType::GrayscaleAlpha,
        png::ColorType::Rgb,
        png::ColorType::Rgba,
    ];

    #[test]
    fn strips_are_the_whole_picture() {
        for colour in COLOURS {
            for (depth, sizes) in [
                (png::BitDepth::Eight, [(3001, 1999), (700, 4003)]),
                (png::BitDepth::Sixteen, [(1501, 1999), (300, 4003)]),
            ] {
                for (width, height) in sizes {
                    let bytes = png_of((width, height), colour, depth, 0..=255);
                    let row = width as usize
                        * colour.samples()
                        * if depth == png::BitDepth::Sixteen {
                            2
                        } else {
                            1
                        };
                    for size in [
                        (301, 200),
                        (width / 3, height / 3),
                        (97, 777),
                        (width, height),
                        (50, 1),
                    ] {
                        let (expected, found) = (
                            whole(&bytes, size, LANCZOS),
                            in_strips(&bytes, size, LANCZOS),
                        );
                        let far = furthest(&expected, &found);
                        let step = Cut::new((height, size.1), row as u64, LANCZOS).step;
                        assert!(
                            far <= 1,
                            "{colour:?} {depth:?} {width}×{height} to {size:?} by {step}: {far}"
                        );
                    }
                }
            }
        }
    }

    /// Quarter turns exchange the order in which the two directions are scaled, so that what is cut
    /// off at black and white in between differs: here there is no such overshoot.
    #[test]
    fn turning_after_scaling_is_turning_before() {
        use super::super::orient;
        for (depth, most) in [(png::BitDepth::Eight, 2), (png::BitDepth::Sixteen, 2)] {
            let bytes = png_of((407, 300), png::ColorType::Rgb, depth, 64..=191);
            let mut source = Pixels::default();
            super::super::decode::png(&bytes, false, &mut Vec::new(), &mut source).unwrap();
            for orientation in 2..=8 {
                let (mut turned, mut after) = (Pixels::default(), Pixels::default());
                orient::pixels(&source, orientation, &mut turned);
                let size = if orient::exchanges_sides(orientation) {
                    (150, 203)
                } else {
                    (203, 150)
                };
                let mut before = Pixels::default();
                before.allocate(size.0, size.1, turned.channels, turned.deep);
                let form = Form {
                    width: turned.width,
                    height: turned.height,
                    ..form(&bytes)
                };
                let cut = Cut {
                    source: turned.height,
                    target: size.1,
                    step: size.1,
                    filter: BICUBIC,
                };
                let all = Rows {
                    bytes: turned.bytes(),
                    from: 0,
                    to: turned.height,
                };
                let resizer = &mut Resizer::new();
                scale(resizer, &all, &form, cut, 0..size.1, &mut before).unwrap();
                orient::pixels(
                    &in_strips(&bytes, (203, 150), BICUBIC),
                    orientation,
                    &mut after,
                );
                let far = furthest(&before, &after);
                assert!(far <= most, "orientation {orientation}, {depth:?}: {far}");
            }
        }
    }

    #[test]
    fn every_source_row_is_in_the_strips_that_need_it() {
        for (source, target) in [
            (1, 1),
            (7, 1080),
            (1080, 7),
            (10_000, 1080),
            (1080, 1080),
            (65_000, 1),
            (1, 65_000),
            (333, 100),
        ] {
            for (row_bytes, filter) in [
                (1, BICUBIC),
                (4_000, LANCZOS),
                (80_000, LANCZOS),
                (80_000, BICUBIC),
                (800_000_000, LANCZOS),
            ] {
                let cut = Cut::new((source, target), row_bytes, filter);
                assert!(cut.step >= 1);
                let (mut first, mut read) = (0, 0);
                while first < target {
                    let end = (first + cut.step).min(target);
                    let (low, high) = cut.span(first, end);
                    let text =
                        format!("{source} to {target}, rows {first}..{end} of {low}..{high}");
                    assert!(low <= read && high >= read && high <= source, "{text}");
                    assert!(high - low <= cut.rows(), "{text}, {} held", cut.rows());
                    (first, read) = (end, high);
                }
                assert_eq!(read, source, "rows are left over");
            }
        }
    }

    /// 100 megapixels need some strips, not the picture.
    #[test]
    fn a_strip_is_small() {
        for (bytes_per_pixel, most) in [(3, 8 << 20), (8, 16 << 20)] {
            let row = 10_000 * bytes_per_pixel;
            let cut = Cut::new((10_000, 1080), row, LANCZOS);
            let held = u64::from(cut.rows()) * row;
            assert!(held <= most, "{held}");
        }
    }
}
