//! All sizes of a picture's way, decided from the header before anything is allocated.

use super::bytes::times;
use super::error::{PictureError, bad};
use super::orient;
use super::placement::gets;
use super::planes::Sampling;
use super::probe::Probe;
use super::recipe::{Chroma, Format, Recipe};
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
}

impl Geometry {
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
            (Format::Jpeg, Chroma::Full) | (Format::Png, _) => Sampling::S444,
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
    let height = if recipe.upscale {
        recipe.output_height
    } else {
        recipe.output_height.min(source_height)
    };
    let (doubled, divisor) = (
        u64::from(source_width) * u64::from(height) * 2,
        u64::from(source_height) * 2,
    );
    // The nearest width, halves upwards.
    let width = ((doubled + u64::from(source_height)) / divisor).max(1);
    let limit = if wanted == Format::Jpeg {
        JPEG_SIDE
    } else {
        i32::MAX.unsigned_abs()
    };
    let refuse = |cause: String| Err(bad(Step::Resize)(cause));
    if width > u64::from(limit) || height > limit {
        return refuse(format!(
            "the output would be {width}×{height}, its sides can be {limit} at most"
        ));
    }
    if width * u64::from(height) > recipe.max_pixels {
        return refuse(format!(
            "the output would be {width}×{height}, above max_pixels {}",
            recipe.max_pixels
        ));
    }
    let width = u32::try_from(width).unwrap_or(limit);
    Ok(Geometry {
        source_height,
        width,
        height,
        marked: recipe.marks.iter().any(|mark| gets(mark, (width, height))),
    })
}

/// The way of a picture that keeps its size and gets no mark.
pub fn unscaled(source: &Probe, max_pixels: u64) -> Result<Geometry, PictureError> {
    let (width, height) = upright(source, max_pixels)?;
    Ok(Geometry {
        source_height: height,
        width,
        height,
        marked: false,
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
    use super::super::recipe::{Anchor, Length, Metadata, PlacedMark, Position};
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            marks: vec![PlacedMark {
                mark: Arc::new(Mark {
                    width: 20,
                    height: 10,
                    rgba: vec![255; 800],
                }),
                opacity: 50.0,
                scale: None,
                rotate: 0.0,
                position: Position::At(Anchor::TopLeft),
                margin: Length::Pixels(0),
                min_picture: 0,
            }],
            output_height: 1080,
            quality: 30,
            output_quality: 100,
            chroma: Chroma::Half,
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
            damaged: false,
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
            (65_000, 1000, Step::Resize, "70200×1080"),
            (65_000, 1, Step::Resize, "65500 at most"),
        ] {
            let error = plan(&source(width, height, 1), Format::Jpeg, &recipe()).unwrap_err();
            assert_eq!(error.step(), step);
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(plan(&source(65_000, 1000, 1), Format::Png, &recipe()).is_ok());
        let error = plan(&source(30_000, 100, 1), Format::Png, &recipe()).unwrap_err();
        assert!(error.to_string().contains("above max_pixels"), "{error}");
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
