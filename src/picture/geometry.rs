//! All sizes of a picture's way, decided from the header before anything is allocated.

use super::bytes::times;
use super::error::{PictureError, bad};
use super::orient;
use super::placement::gets;
use super::planes::Sampling;
use super::probe::Probe;
use super::recipe::{Chroma, Format, Recipe, Resample, Size};
use super::riff::LONGEST_SIDE;
use super::turbo::JPEG_SIDE;
use crate::outcome::Step;

/// What will happen to a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Height of the source when upright.
    pub source_height: u32,
    /// The written picture.
    pub width: u32,
    pub height: u32,
    /// Whether the picture gets any mark.
    pub marked: bool,
    pub resample: Resample,
}

impl Geometry {
    pub fn shrinks(&self) -> bool {
        self.height < self.source_height
    }

    pub fn enlarges(&self) -> bool {
        self.height > self.source_height
    }
}

/// What is to be done with a picture.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    pub source: Probe,
    pub geometry: Geometry,
    pub wanted: Format,
    pub recipe: &'a Recipe,
}

impl<'a> Task<'a> {
    /// Plans a picture's way or refuses it.
    pub fn plan(source: Probe, wanted: Format, recipe: &'a Recipe) -> Result<Self, PictureError> {
        let geometry = plan(&source, wanted, recipe)?;
        Ok(Self {
            source,
            geometry,
            wanted,
            recipe,
        })
    }

    /// Width and height of the written picture.
    pub fn size(&self) -> (u32, u32) {
        (self.geometry.width, self.geometry.height)
    }

    /// The sampling of colours that the written picture is made of.
    pub fn sampling(&self) -> Sampling {
        match (self.wanted, self.recipe.chroma) {
            (Format::Jpeg, Chroma::Half) => Sampling::S420,
            (Format::Jpeg, Chroma::Full) | (Format::Png | Format::WebP, _) => Sampling::S444,
        }
    }

    /// Bytes of a set of planes for the written picture.
    pub fn planes(&self, grey: bool) -> u64 {
        let area = self.padded_area();
        // Grey may take colour from the mark.
        match self.sampling() {
            _ if grey && !self.geometry.marked => area,
            Sampling::S420 => area + area.div_ceil(2),
            _ => times(area, 3),
        }
    }

    /// Pixels of the written picture with the padding that codecs want.
    pub fn padded_area(&self) -> u64 {
        let padded = |side: u32| u64::from(side) + 16;
        times(padded(self.geometry.width), padded(self.geometry.height))
    }
}

fn plan(source: &Probe, wanted: Format, recipe: &Recipe) -> Result<Geometry, PictureError> {
    let (source_width, source_height) = upright(source, recipe.max_pixels)?;
    let (limit, remedy) = match wanted {
        Format::Jpeg => (JPEG_SIDE, ""),
        Format::Png => (i32::MAX.unsigned_abs(), ""),
        Format::WebP => (LONGEST_SIDE, " as WebP: make it smaller, or another format"),
    };
    let (side, wanted) = wanted_side(recipe.size, (source_width, source_height));
    let sizes = |length: u32| match side {
        Side::Width => (length.into(), follow(length, source_width, source_height)),
        Side::Height => (follow(length, source_height, source_width), length.into()),
    };
    let fits = |length: u32| {
        let (width, height) = sizes(length);
        width.max(height) <= limit.into() && width * height <= recipe.max_pixels
    };
    let least = wanted.min(match side {
        Side::Width => source_width,
        Side::Height => source_height,
    });
    let length = if recipe.upscale {
        highest(least, wanted, fits)
    } else {
        least
    };
    let (width, height) = sizes(length);
    if !fits(length) {
        return Err(bad(Step::Resize)(format!(
            "the output would be {width}×{height}, its sides can be {limit} at most{remedy}"
        )));
    }
    let pixels = |side: u64| u32::try_from(side).unwrap_or(limit);
    let (width, height) = (pixels(width), pixels(height));
    Ok(Geometry {
        source_height,
        width,
        height,
        marked: recipe.marks.iter().any(|mark| gets(mark, (width, height))),
        resample: recipe.resample,
    })
}

/// The side that a size is about; the other one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Width,
    Height,
}

/// Which side of a picture of this upright size is to be how long.
fn wanted_side(size: Size, (width, height): (u32, u32)) -> (Side, u32) {
    let (longer, shorter) = if width >= height {
        (Side::Width, Side::Height)
    } else {
        (Side::Height, Side::Width)
    };
    match size {
        Size::Original => (Side::Height, height),
        Size::Width(length) => (Side::Width, length),
        Size::Height(length) => (Side::Height, length),
        Size::LongEdge(length) => (longer, length),
        Size::ShortEdge(length) => (shorter, length),
        Size::Box {
            width: across,
            height: down,
        } => {
            // The side that reaches its limit first.
            let is_wider =
                u64::from(width) * u64::from(down) > u64::from(height) * u64::from(across);
            if is_wider {
                (Side::Width, across)
            } else {
                (Side::Height, down)
            }
        }
    }
}

/// The other side that keeps the aspect ratio, where `side` of the source becomes `length`: the
/// nearest, halves upwards, and at least 1.
fn follow(length: u32, side: u32, other: u32) -> u64 {
    let doubled = u64::from(other) * u64::from(length) * 2;
    let divisor = (u64::from(side) * 2).max(1);
    ((doubled + u64::from(side)) / divisor).max(1)
}

/// The highest number from `least` to `most` that fits, where all up to it do; `least` if none does.
fn highest(least: u32, most: u32, fits: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = high - (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// The way of a picture that keeps its size and gets no mark.
pub fn unscaled(source: &Probe, max_pixels: u64) -> Result<Geometry, PictureError> {
    let (width, height) = upright(source, max_pixels)?;
    Ok(Geometry {
        source_height: height,
        width,
        height,
        marked: false,
        resample: Resample::Fine,
    })
}

/// Width and height after orientation, if they are allowed.
fn upright(source: &Probe, max_pixels: u64) -> Result<(u32, u32), PictureError> {
    let &Probe { width, height, .. } = source;
    let refuse = |cause: String| Err(bad(Step::Decode)(cause));
    if width == 0 || height == 0 {
        return refuse("the header has no picture size".to_owned());
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        return refuse(format!(
            "{width}×{height} pixels are above max_pixels {max_pixels}"
        ));
    }
    let exchanged = orient::exchanges_sides(source.orientation);
    Ok(if exchanged {
        (height, width)
    } else {
        (width, height)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::mark::Mark;
    use super::super::recipe::{Anchor, Length, Metadata, PlacedMark, Position, Subject};
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            marks: vec![PlacedMark {
                mark: Subject::Image(Arc::new(Mark {
                    width: 20,
                    height: 10,
                    rgba: vec![255; 800],
                })),
                opacity: 50.0,
                scale: None,
                rotate: 0.0,
                position: Position::At(Anchor::TopLeft),
                margin: Length::Pixels(0),
                min_picture: 0,
            }],
            size: Size::Height(1080),
            quality: 30,
            output_quality: 100,
            chroma: Chroma::Half,
            resample: Resample::Fine,
            sharpen: 0,
            upscale: true,
            metadata: Metadata::Copyright,
            max_pixels: 100_000_000,
        }
    }

    fn source(width: u32, height: u32, orientation: u8) -> Probe {
        Probe {
            format: Format::Jpeg,
            width,
            height,
            orientation,
            lossless: false,
            damaged: None,
        }
    }

    #[test]
    fn width_is_nearest_and_follows_the_orientation() {
        for (width, height, orientation, expected) in [
            (4000, 3000, 1, 1440),
            (4000, 3000, 6, 810),
            (3000, 2001, 1, 1619),
            (1, 5000, 1, 1),
            (3, 3, 1, 1080),
        ] {
            let geometry =
                plan(&source(width, height, orientation), Format::Jpeg, &recipe()).unwrap();
            assert_eq!(
                (geometry.width, geometry.height),
                (expected, 1080),
                "{width}×{height}"
            );
        }
    }

    #[test]
    fn smaller_pictures_stay_small_without_upscale() {
        let recipe = Recipe {
            upscale: false,
            ..recipe()
        };
        let geometry = plan(&source(300, 200, 8), Format::Jpeg, &recipe).unwrap();
        assert_eq!((geometry.width, geometry.height), (200, 300));
    }

    #[test]
    fn too_large_is_refused_with_both_numbers() {
        for (width, height, step, part) in [
            (
                60_000,
                60_000,
                Step::Decode,
                "60000×60000 pixels are above max_pixels 100000000",
            ),
            (0, 5, Step::Decode, "no picture size"),
        ] {
            let error = plan(&source(width, height, 1), Format::Jpeg, &recipe()).unwrap_err();
            assert_eq!(error.step(), step);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn pictures_are_enlarged_as_far_as_it_goes() {
        for (format, size, expected) in [
            (Format::Jpeg, (3000, 40), (65_475, 873)),
            (Format::Jpeg, (65_000, 1000), (65_455, 1007)),
            (Format::Jpeg, (65_000, 1), (65_000, 1)),
            (Format::Png, (65_000, 1000), (70_200, 1080)),
            (Format::WebP, (16_000, 800), (16_380, 819)),
            (Format::WebP, (16_383, 1), (16_383, 1)),
            // By max_pixels.
            (Format::Png, (30_000, 100), (173_100, 577)),
            (Format::Jpeg, (12_500, 8000), (1688, 1080)),
        ] {
            let geometry = plan(&source(size.0, size.1, 1), format, &recipe()).unwrap();
            assert_eq!((geometry.width, geometry.height), expected, "{size:?}");
        }
        let error = plan(&source(16_384, 1, 1), Format::WebP, &recipe()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "resize: the output would be 16384×1, its sides can be 16383 at most as WebP: make it \
             smaller, or another format"
        );
        let few = Recipe {
            max_pixels: 10_000,
            ..recipe()
        };
        let geometry = plan(&source(100, 100, 1), Format::Jpeg, &few).unwrap();
        assert_eq!((geometry.width, geometry.height), (100, 100));
    }

    #[test]
    fn a_size_is_of_the_upright_picture() {
        let boxed = |width, height| Size::Box { width, height };
        for (size, source, upscale, expected) in [
            (Size::Original, (400, 300), true, (400, 300)),
            (Size::Width(200), (400, 300), false, (200, 150)),
            (Size::Width(800), (400, 300), false, (400, 300)),
            (Size::Width(800), (400, 300), true, (800, 600)),
            (Size::LongEdge(200), (400, 300), false, (200, 150)),
            (Size::LongEdge(200), (300, 400), false, (150, 200)),
            (Size::LongEdge(200), (300, 300), false, (200, 200)),
            (Size::LongEdge(2048), (300, 400), true, (1536, 2048)),
            (Size::ShortEdge(150), (400, 300), false, (200, 150)),
            (Size::ShortEdge(150), (300, 400), false, (150, 200)),
            (boxed(200, 200), (400, 300), false, (200, 150)),
            (boxed(200, 200), (300, 400), false, (150, 200)),
            (boxed(200, 10), (400, 300), false, (13, 10)),
            (boxed(4000, 4000), (400, 300), false, (400, 300)),
            (boxed(4000, 4000), (400, 300), true, (4000, 3000)),
            // Never beyond the box, whichever way it is rounded.
            (boxed(99, 74), (4000, 3000), false, (99, 74)),
            (boxed(100, 74), (4000, 3000), false, (99, 74)),
            (Size::Width(1), (4000, 3), false, (1, 1)),
            (Size::ShortEdge(5), (3, 4000), false, (3, 4000)),
        ] {
            let recipe = Recipe {
                size,
                upscale,
                ..recipe()
            };
            for (orientation, (width, height)) in [(1, source), (6, (source.1, source.0))] {
                let source = self::source(width, height, orientation);
                let geometry = plan(&source, Format::Jpeg, &recipe).unwrap();
                let result = (geometry.width, geometry.height);
                assert_eq!(result, expected, "{size:?} of {width}×{height} {upscale}");
            }
        }
    }

    #[test]
    fn small_pictures_get_no_mark() {
        for (min_picture, marked) in [(810, true), (811, false)] {
            let mut recipe = recipe();
            recipe.marks[0].min_picture = min_picture;
            let geometry = plan(&source(3000, 4000, 1), Format::Jpeg, &recipe).unwrap();
            assert_eq!(geometry.marked, marked, "{min_picture}");
        }
    }
}
