//! Lays marks on: out = picture × (1 - a) + mark × a, with a = alpha × opacity.
//!
//! On planes this is done in YCbCr, which equals blending in RGB up to rounding because the
//! conversion is linear.

use std::sync::Arc;

use fast_image_resize::Resizer;

use super::bytes::{area, sum, times};
use super::colour::{Colour, PngColour};
use super::convert::{self, saturated};
use super::geometry::Task;
use super::mark::Mark;
use super::pixels::Pixels;
use super::placement::{gets, place};
use super::planes::{Planes, Sampling};
use super::profile::fitting;
use super::recipe::{Format, PlacedMark, Position, Subject};
use super::samples::Samples;
use super::shape::Shape;
use super::stamp::{Ground, Stamp, StampKey, StampPlane, Stamps, brightness};
use super::texts;
use crate::template::About;

/// Bytes that marks take as they are laid on: scaled, cut to what shows, with stamps for planes.
pub fn need(task: &Task<'_>) -> u64 {
    let size = task.size();
    let marks = task.recipe.marks.iter().filter(|mark| gets(mark, size));
    sum(marks.map(|mark| {
        let (own, drawn) = match &mark.mark {
            Subject::Image(image) => ((image.width, image.height), 0),
            // It is drawn in masks, and no larger than the picture unless it cannot be read any more.
            Subject::Text(text) => (size, times(texts::most_pixels(text, size), 12)),
        };
        let place = place(mark, own, size);
        let window = area((place.window.width, place.window.height));
        // Tiles stand at odd and even places, where chroma is shared.
        let stamps = match mark.position {
            Position::Tile { .. } => 4,
            Position::At(_) => 1,
        };
        // The mark in the picture's colours and scaled; its window; each stamp's 9 bytes a pixel at
        // most, made by way of 8 more.
        sum([
            drawn,
            times(area(own), 4),
            times(area(place.size), 4),
            times(window, 4 + 9 * stamps + 8),
        ])
    }))
}

/// Lays on all marks that the picture gets, one over the other.
pub fn run(
    task: &Task<'_>,
    resizer: &mut Resizer,
    stamps: &mut Stamps,
    colour: &mut Colour,
    samples: &mut Samples,
    about: &About,
) -> Result<(), String> {
    let size = task.size();
    let marks = task.recipe.marks.iter();
    for placed in marks.filter(|placed| gets(placed, size)) {
        let mark = match &placed.mark {
            Subject::Image(mark) => Some(Arc::clone(mark)),
            Subject::Text(text) => stamps.letterings.find(placed, text, about, size)?,
        };
        // A picture that does not say its artist has no words for him.
        let Some(mark) = mark else { continue };
        let coloured = is_coloured(&mark);
        let grey = match task.wanted {
            Format::Jpeg => samples.planes.front.sampling == Sampling::Grey,
            Format::Png | Format::WebP => samples.pixels.front.channels <= 2,
        };
        if grey && coloured {
            take_colour(task, colour, samples);
        }
        let icc = fitting(&colour.icc, grey && !coloured);
        let laid = Laid {
            mark: &colour.made.mark(&mark, icc),
            placed,
        };
        match task.wanted {
            Format::Jpeg => planes(stamps, resizer, laid, size, &mut samples.planes.front)?,
            Format::Png | Format::WebP => {
                pixels(stamps, resizer, laid, &mut samples.pixels.front)?;
            }
        }
    }
    Ok(())
}

/// A mark that is laid on, in the picture's colours.
#[derive(Clone, Copy)]
struct Laid<'a> {
    mark: &'a Arc<Mark>,
    placed: &'a PlacedMark,
}

impl Laid<'_> {
    fn own(&self) -> (u32, u32) {
        (self.mark.width, self.mark.height)
    }
}

/// Makes pixels that are grey ones of colours, for a format that knows no grey.
pub fn with_colour(task: &Task<'_>, colour: &mut Colour, samples: &mut Samples) {
    if samples.pixels.front.channels <= 2 {
        take_colour(task, colour, samples);
    }
}

/// Makes a grey picture one of colours. Its profile cannot describe them, so it becomes sRGB.
fn take_colour(task: &Task<'_>, colour: &mut Colour, samples: &mut Samples) {
    let table = colour.made.grey(&colour.icc);
    match task.wanted {
        Format::Jpeg => {
            let planes = &mut samples.planes.front;
            if let Some(table) = table {
                convert::grey_planes(table, planes);
            }
            let (width, height) = task.size();
            planes.colour(task.sampling(), width, height);
        }
        Format::Png | Format::WebP => {
            let pixels = &mut samples.pixels;
            if let Some(table) = table {
                convert::grey_pixels(table, &mut pixels.front);
            }
            // Chunks that described a grey picture would say something else of its colours.
            colour.png = PngColour::default();
            convert::colour(&pixels.front, &mut pixels.back);
            pixels.flip();
        }
    }
}

/// Whether a mark has any visible colour.
fn is_coloured(mark: &Mark) -> bool {
    mark.rgba.chunks_exact(4).any(|pixel| {
        matches!(pixel, &[red, green, blue, alpha] if alpha > 0 && (red != green || green != blue))
    })
}

/// Lays a mark on planes. Grey planes take a mark's brightness only.
fn planes(
    stamps: &mut Stamps,
    resizer: &mut Resizer,
    laid: Laid<'_>,
    size: (u32, u32),
    planes: &mut Planes,
) -> Result<(), String> {
    let placed = laid.placed;
    let place = place(placed, laid.own(), size);
    let (across, down) = if planes.sampling == Sampling::Grey {
        (1, 1)
    } else {
        planes.sampling.steps(1)
    };
    let shape = Shape::of(laid.mark, placed.rotate, &place);
    // Tiles that stand alike in their chroma samples share a stamp, so these are laid together.
    for of_row in 0..down {
        let rows = place.rows(size.1).filter(|y| phase(*y, down) == of_row);
        for of_column in 0..across {
            let mut columns = place
                .columns(size.0)
                .filter(|x| phase(*x, across) == of_column)
                .peekable();
            if columns.peek().is_none() || rows.clone().next().is_none() {
                continue;
            }
            let key = StampKey {
                shape: shape.clone(),
                opacity: opacity(placed).to_bits(),
                ground: Ground::Planes(planes.sampling),
                phase: (of_column, of_row),
            };
            let stamp = stamps.find(key, resizer)?;
            for y in rows.clone() {
                for x in columns.clone() {
                    press(stamp, (x, y), size, planes);
                }
            }
        }
    }
    Ok(())
}

/// Blends a stamp onto the planes of a picture of this size.
fn press(stamp: &Stamp, (x, y): (i64, i64), (width, height): (u32, u32), planes: &mut Planes) {
    let sampling = planes.sampling;
    for (index, (plane, stamp)) in planes.used_mut().iter_mut().zip(&stamp.0).enumerate() {
        let (x_step, y_step) = sampling.steps(index);
        let corner = (x.div_euclid(x_step.into()), y.div_euclid(y_step.into()));
        let size = (width.div_ceil(x_step), height.div_ceil(y_step));
        press_plane(stamp, corner, size, plane.width, &mut plane.samples);
    }
}

/// The same for one plane of samples whose rows are `pitch` long.
fn press_plane(
    stamp: &StampPlane,
    (left, top): (i64, i64),
    (width, height): (u32, u32),
    pitch: usize,
    samples: &mut [u8],
) {
    let columns = overlap(left, stamp.width, width);
    let rows = overlap(top, stamp.alpha.len() / stamp.width.max(1), height);
    for row in 0..rows.length {
        let from = (rows.mark + row) * stamp.width + columns.mark;
        let to = (rows.picture + row) * pitch + columns.picture;
        blend(
            &mut samples[to..to + columns.length],
            &stamp.alpha[from..from + columns.length],
            &stamp.product[from..from + columns.length],
        );
    }
}

/// As a share, 0..=1.
fn opacity(placed: &PlacedMark) -> f32 {
    (placed.opacity / 100.0).clamp(0.0, 1.0)
}

/// One row. `picture × (255 - alpha) + product + 128` is at most 65280, so that division by 255 is
/// exact in 16 bits as (v + v / 256) / 256, and compilers vectorise it.
fn blend(picture: &mut [u8], alpha: &[u8], product: &[u16]) {
    for ((sample, &alpha), &product) in picture.iter_mut().zip(alpha).zip(product) {
        let sum = u16::from(*sample) * u16::from(255 - alpha) + product + 128;
        let [high, _] = (sum + (sum >> 8)).to_be_bytes();
        *sample = high;
    }
}

/// A stretch that mark and picture share along one axis.
struct Overlap {
    /// First shared sample, counted in the mark.
    mark: usize,
    /// The same, counted in the picture.
    picture: usize,
    length: usize,
}

fn overlap(start: i64, mark: usize, picture: u32) -> Overlap {
    let end = start
        .saturating_add(i64::try_from(mark).unwrap_or(i64::MAX))
        .min(picture.into());
    let first = start.max(0);
    let count = |value: i64| usize::try_from(value).unwrap_or(0);
    match count(end.saturating_sub(first)) {
        // Without a shared sample the other two could lie outside of both.
        0 => Overlap {
            mark: 0,
            picture: 0,
            length: 0,
        },
        length => Overlap {
            mark: count(first - start),
            picture: count(first),
            length,
        },
    }
}

fn phase(position: i64, step: u32) -> u32 {
    u32::try_from(position.rem_euclid(step.into())).unwrap_or(0)
}

/// Lays a mark on pixels by the source-over rule, also onto transparency. Grey pixels take a
/// mark's brightness only.
fn pixels(
    stamps: &mut Stamps,
    resizer: &mut Resizer,
    laid: Laid<'_>,
    pixels: &mut Pixels,
) -> Result<(), String> {
    let placed = laid.placed;
    let place = place(placed, laid.own(), (pixels.width, pixels.height));
    let shape = Shape::of(laid.mark, placed.rotate, &place);
    if let (false, channels @ (1 | 3)) = (pixels.deep, pixels.channels) {
        let key = StampKey {
            shape,
            opacity: opacity(placed).to_bits(),
            ground: Ground::Pixels { channels },
            phase: (0, 0),
        };
        let stamp = stamps.find(key, resizer)?;
        let samples = if channels == 1 { 1 } else { 3 };
        // A PNG's sides are below 2^31, but three samples for each of its pixels may not be.
        let Some(width) = pixels.width.checked_mul(samples) else {
            return Err("the picture is too wide".to_owned());
        };
        for y in place.rows(pixels.height) {
            for x in place.columns(pixels.width) {
                let corner = (x * i64::from(samples), y);
                let (size, pitch) = ((width, pixels.height), pixels.width as usize * channels);
                for plane in &stamp.0 {
                    press_plane(plane, corner, size, pitch, pixels.bytes_mut());
                }
            }
        }
        return Ok(());
    }
    let mark = stamps.shapes.find(&shape, resizer)?;
    for y in place.rows(pixels.height) {
        for x in place.columns(pixels.width) {
            lay(mark, (x, y), opacity(placed), pixels);
        }
    }
    Ok(())
}

fn lay(mark: &Mark, (x, y): (i64, i64), opacity: f32, pixels: &mut Pixels) {
    let columns = overlap(x, mark.width as usize, pixels.width);
    let rows = overlap(y, mark.height as usize, pixels.height);
    let (width, channels, deep) = (pixels.width as usize, pixels.channels, pixels.deep);
    for row in 0..rows.length {
        let from = ((rows.mark + row) * mark.width as usize + columns.mark) * 4;
        let to = ((rows.picture + row) * width + columns.picture) * channels;
        let mark = mark.rgba[from..from + columns.length * 4].chunks_exact(4);
        let span = to..to + columns.length * channels;
        if deep {
            let row = pixels.words_mut()[span].chunks_exact_mut(channels);
            for (pixel, mark) in row.zip(mark) {
                over(pixel, mark, opacity, 65535.0);
            }
        } else {
            let row = pixels.bytes_mut()[span].chunks_exact_mut(channels);
            for (pixel, mark) in row.zip(mark) {
                over(pixel, mark, opacity, 255.0);
            }
        }
    }
}

/// A sample of either depth.
trait Sample: Copy + Into<f32> {
    fn nearest(value: f32) -> Self;
}

impl Sample for u8 {
    fn nearest(value: f32) -> Self {
        saturated(value)
    }
}

impl Sample for u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, which is what is wanted"
    )]
    fn nearest(value: f32) -> Self {
        (value + 0.5) as Self
    }
}

/// One pixel of the mark over one of the picture, whose largest sample value is `full`.
fn over<S: Sample>(pixel: &mut [S], mark: &[u8], opacity: f32, full: f32) {
    if mark[3] == 0 {
        return;
    }
    let alpha = f32::from(mark[3]) / 255.0 * opacity;
    let channels = pixel.len();
    let colours = channels - usize::from(channels.is_multiple_of(2));
    let beneath = if colours < channels {
        pixel[colours].into() / full
    } else {
        1.0
    };
    let left = beneath * (1.0 - alpha);
    let whole = alpha + left;
    if whole <= 0.0 {
        return;
    }
    let grey;
    let colour: &[f32] = if colours == 1 {
        grey = [brightness(mark)];
        &grey
    } else {
        &[mark[0].into(), mark[1].into(), mark[2].into()]
    };
    for (sample, value) in pixel[..colours].iter_mut().zip(colour) {
        let value = value * (full / 255.0);
        *sample = S::nearest((value * alpha + (*sample).into() * left) / whole);
    }
    if colours < channels {
        pixel[colours] = S::nearest(whole * full);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::recipe::{Anchor, Length};
    use super::*;

    fn mark(width: u32, height: u32, pixel: [u8; 4]) -> Arc<Mark> {
        Arc::new(Mark {
            width,
            height,
            rgba: pixel.repeat((width * height) as usize),
        })
    }

    fn placed(mark: &Arc<Mark>) -> PlacedMark {
        PlacedMark {
            mark: Arc::clone(mark).into(),
            opacity: 100.0,
            scale: None,
            rotate: 0.0,
            position: Position::At(Anchor::TopLeft),
            margin: Length::Pixels(0),
            min_picture: 0,
        }
    }

    /// A stamp of the whole mark for 4:2:0.
    fn stamp<'a>(stamps: &'a mut Stamps, mark: &Arc<Mark>, (x, y): (i64, i64)) -> &'a Stamp {
        let own = (mark.width, mark.height);
        let place = place(&placed(mark), own, (1000, 1000));
        let key = StampKey {
            shape: Shape::of(mark, 0.0, &place),
            opacity: 1.0_f32.to_bits(),
            ground: Ground::Planes(Sampling::S420),
            phase: (phase(x, 2), phase(y, 2)),
        };
        stamps.find(key, &mut Resizer::new()).unwrap()
    }

    #[test]
    fn blend_never_overflows_and_rounds() {
        for alpha in 0..=255u8 {
            for value in [0u16, 1, 127, 254, 255] {
                for below in [0u8, 1, 128, 255] {
                    let mut picture = [below];
                    blend(&mut picture, &[alpha], &[value * u16::from(alpha)]);
                    let exact = (f64::from(below) * f64::from(255 - alpha)
                        + f64::from(value) * f64::from(alpha))
                        / 255.0;
                    assert!(
                        (f64::from(picture[0]) - exact).abs() <= 0.51,
                        "{below} {value} {alpha}"
                    );
                }
            }
            // A chroma average whose alpha was rounded down by the most: a quarter.
            blend(
                &mut [255],
                &[alpha],
                &[(u16::from(alpha) * 255 + 64).min(65025)],
            );
        }
    }

    #[test]
    fn an_opaque_mark_replaces_the_planes_under_it() {
        let mut planes_ = Planes::default();
        planes_.allocate(Sampling::S420, 9, 9);
        for plane in planes_.used_mut() {
            plane.samples.fill(100);
        }
        let mut stamps = Stamps::default();
        let red = stamp(&mut stamps, &mark(4, 4, [255, 0, 0, 255]), (3, 2));
        press(red, (3, 2), (9, 9), &mut planes_);
        let [luma, cb, cr] = planes_.used() else {
            panic!("three planes")
        };
        assert_eq!(
            (
                luma.samples[2 * 10 + 3],
                luma.samples[2 * 10 + 2],
                luma.samples[6 * 10 + 3]
            ),
            (76, 100, 100)
        );
        // Columns 3..7 share chroma samples 1 (half), 2 (whole) and 3 (half).
        assert_eq!(&cr.samples[5..10], &[100, 177, 255, 177, 100]);
        assert_eq!(cb.samples[7], 85);
    }

    #[test]
    fn marks_are_cropped_at_every_side() {
        for (x, y) in [
            (-3, -3),
            (7, 7),
            (-3, 7),
            (-100, 0),
            (0, 100),
            (i64::MIN, 0),
            (i64::MAX, 0),
        ] {
            let mut planes_ = Planes::default();
            planes_.allocate(Sampling::S420, 9, 9);
            let mut stamps = Stamps::default();
            let grey = stamp(&mut stamps, &mark(5, 40, [9, 9, 9, 255]), (x, y));
            press(grey, (x, y), (9, 9), &mut planes_);
            let mut pixels_ = Pixels::default();
            pixels_.allocate(9, 9, 3, false);
            lay(&mark(5, 40, [9, 9, 9, 255]), (x, y), 1.0, &mut pixels_);
        }
    }

    #[test]
    fn stamps_are_made_once() {
        let (one, other) = (mark(2, 2, [1, 2, 3, 4]), mark(2, 2, [1, 2, 3, 4]));
        let (mut stamps, mut resizer) = (Stamps::default(), Resizer::new());
        let mut planes_ = Planes::default();
        planes_.allocate(Sampling::S420, 8, 8);
        for (mark, x, expected) in [
            (&one, 0, 1),
            (&one, 2, 1),
            (&one, 1, 2),
            (&other, 0, 3),
            (&one, 4, 3),
        ] {
            let placed = PlacedMark {
                margin: Length::Pixels(x),
                ..placed(mark)
            };
            let laid = Laid {
                mark,
                placed: &placed,
            };
            planes(&mut stamps, &mut resizer, laid, (8, 8), &mut planes_).unwrap();
            assert_eq!(stamps.len(), expected);
        }
    }

    #[test]
    fn tiles_cover_planes_as_they_cover_pixels() {
        let grey = mark(5, 3, [200, 200, 200, 255]);
        let placed = PlacedMark {
            margin: Length::Pixels(1),
            position: Position::Tile {
                spacing: Length::Pixels(4),
            },
            ..placed(&grey)
        };
        let (mut stamps, mut resizer) = (Stamps::default(), Resizer::new());
        let mut pixels_ = Pixels::default();
        pixels_.allocate(31, 23, 1, false);
        pixels_.bytes_mut().fill(10);
        let laid = Laid {
            mark: &grey,
            placed: &placed,
        };
        pixels(&mut stamps, &mut resizer, laid, &mut pixels_).unwrap();
        for (y, row) in pixels_.bytes().chunks_exact(31).enumerate() {
            for (x, sample) in row.iter().enumerate() {
                let tile = x > 0 && y > 0 && (x - 1) % 9 < 5 && (y - 1) % 7 < 3;
                assert_eq!(*sample, if tile { 200 } else { 10 }, "{x} {y}");
            }
        }
        for (sampling, expected) in [(Sampling::S420, 5), (Sampling::S444, 6)] {
            let mut planes_ = Planes::default();
            planes_.allocate(sampling, 31, 23);
            for plane in planes_.used_mut() {
                plane.samples.fill(10);
            }
            planes(&mut stamps, &mut resizer, laid, (31, 23), &mut planes_).unwrap();
            // Tiles at odd and even places: one stamp for pixels, and four for 4:2:0, whatever the
            // number of tiles.
            assert_eq!(stamps.len(), expected);
            let luma = &planes_.used()[0];
            let rows = luma.samples.chunks_exact(luma.width);
            for (row, wanted) in rows.zip(pixels_.bytes().chunks_exact(31)) {
                assert_eq!(row[..31], *wanted);
            }
        }
    }

    #[test]
    fn source_over_on_transparency_keeps_the_marks_colour() {
        let mut pixels_ = Pixels::default();
        pixels_.allocate(2, 1, 4, false);
        pixels_
            .bytes_mut()
            .copy_from_slice(&[9, 9, 9, 0, 0, 0, 0, 255]);
        lay(&mark(2, 1, [200, 100, 50, 128]), (0, 0), 1.0, &mut pixels_);
        assert_eq!(pixels_.bytes(), [200, 100, 50, 128, 100, 50, 25, 255]);
        pixels_.allocate(1, 1, 1, true);
        pixels_.words_mut().copy_from_slice(&[0]);
        lay(&mark(1, 1, [255, 255, 255, 255]), (0, 0), 1.0, &mut pixels_);
        assert_eq!(pixels_.words(), [65535]);
    }

    /// In whole numbers and by the float rule: the same but for rounding, at every opacity.
    #[test]
    #[expect(clippy::too_many_lines, reason = "it is read from top to bottom")]
    fn whole_numbers_differ_by_one_at_most() {
        let value = |at: u32| u8::try_from(at * 37 % 256).unwrap();
        let rgba = (0..32 * 32).flat_map(|at: u32| {
            [
                value(at),
                value(at * 3),
                value(at * 7),
                u8::try_from(at / 4).unwrap(),
            ]
        });
        let mark = Arc::new(Mark {
            width: 32,
            height: 32,
            rgba: rgba.collect(),
        });
        for opacity in [100.0, 60.0, 33.3, 12.0, 0.4] {
            let placed = PlacedMark {
                opacity,
                margin: Length::Pixels(3),
                position: Position::Tile {
                    spacing: Length::Pixels(5),
                },
                ..placed(&mark)
            };
            for channels in [1, 3] {
                let mut exact = Pixels::default();
                exact.allocate(70, 50, channels, false);
                for (at, sample) in exact.bytes_mut().iter_mut().enumerate() {
                    *sample = value(u32::try_from(at * 5).unwrap());
                }
                let mut fast = Pixels::default();
                fast.allocate(70, 50, channels, false);
                fast.bytes_mut().copy_from_slice(exact.bytes());
                pixels(
                    &mut Stamps::default(),
                    &mut Resizer::new(),
                    Laid {
                        mark: &mark,
                        placed: &placed,
                    },
                    &mut fast,
                )
                .unwrap();
                let place = place(&placed, (mark.width, mark.height), (70, 50));
                for top in place.rows(50) {
                    for left in place.columns(70) {
                        for (at, pixel) in mark.rgba.chunks_exact(4).enumerate() {
                            let x = usize::try_from(left).unwrap() + at % 32;
                            let y = usize::try_from(top).unwrap() + at / 32;
                            if x < 70 && y < 50 {
                                let at = (y * 70 + x) * channels;
                                let below = &mut exact.bytes_mut()[at..at + channels];
                                over(below, pixel, opacity / 100.0, 255.0);
                            }
                        }
                    }
                }
                for (at, (found, wanted)) in fast.bytes().iter().zip(exact.bytes()).enumerate() {
                    let off = found.abs_diff(*wanted);
                    assert!(
                        off <= 1,
                        "{channels} channels at {at}: {found}, not {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn colour_counts_only_where_it_shows() {
        assert!(!is_coloured(&mark(2, 2, [7, 7, 7, 255])));
        assert!(is_coloured(&mark(2, 2, [7, 8, 7, 1])));
        assert!(!is_coloured(&mark(2, 2, [7, 8, 7, 0])));
    }
}
