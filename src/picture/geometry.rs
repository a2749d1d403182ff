//! All sizes of a picture's way, decided from the header before anything is allocated.

use super::encode::JPEG_SIDE;
use super::overlay::Placement;
use super::probe::Probe;
use super::{Anchor, Format, Length, PictureError, Recipe, Step, bad, orient};

/// What will happen to a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Height of the source when upright.
    pub source_height: u32,
    /// The written picture.
    pub width: u32,
    pub height: u32,
    /// Whether the picture gets a mark.
    pub marked: bool,
    pub place: Placement,
}

/// Plans a picture's way or refuses it.
pub fn plan(source: &Probe, wanted: Format, recipe: &Recipe) -> Result<Geometry, PictureError> {
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
        marked: width.min(height) >= recipe.min_picture && recipe.opacity > 0.0,
        place: place(recipe, width, height),
    })
}

/// The way of a picture that keeps its size and gets no mark.
pub fn unscaled(source: &Probe, max_pixels: u64) -> Result<Geometry, PictureError> {
    let (width, height) = upright(source, max_pixels)?;
    let place = Placement {
        x: 0,
        y: 0,
        opacity: 1.0,
    };
    Ok(Geometry {
        source_height: height,
        width,
        height,
        marked: false,
        place,
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

/// Where the mark stands. A mark larger than the picture keeps its anchor and is cropped on the
/// other sides.
fn place(recipe: &Recipe, width: u32, height: u32) -> Placement {
    let margin = pixels(recipe.margin, width.min(height));
    let near = margin;
    let middle = |side: u32, mark: u32| (i64::from(side) - i64::from(mark)) / 2;
    let far = |side: u32, mark: u32| i64::from(side) - i64::from(mark) - margin;
    let (mark_width, mark_height) = (recipe.mark.width, recipe.mark.height);
    let x = match recipe.anchor {
        Anchor::TopLeft | Anchor::Left | Anchor::BottomLeft => near,
        Anchor::Top | Anchor::Center | Anchor::Bottom => middle(width, mark_width),
        Anchor::TopRight | Anchor::Right | Anchor::BottomRight => far(width, mark_width),
    };
    let y = match recipe.anchor {
        Anchor::TopLeft | Anchor::Top | Anchor::TopRight => near,
        Anchor::Left | Anchor::Center | Anchor::Right => middle(height, mark_height),
        Anchor::BottomLeft | Anchor::Bottom | Anchor::BottomRight => far(height, mark_height),
    };
    Placement {
        x,
        y,
        opacity: (recipe.opacity / 100.0).clamp(0.0, 1.0),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
fn pixels(length: Length, shorter_side: u32) -> i64 {
    match length {
        Length::Pixels(pixels) => i64::from(pixels),
        Length::Percent(percent) => {
            (f64::from(percent) / 100.0 * f64::from(shorter_side)).round() as i64
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Chroma;
    use super::*;
    use crate::mark::Mark;

    fn recipe() -> Recipe {
        Recipe {
            mark: Arc::new(Mark {
                width: 20,
                height: 10,
                rgba: vec![255; 800],
            }),
            opacity: 50.0,
            output_height: 1080,
            quality: 30,
            output_quality: 100,
            chroma: Chroma::Half,
            upscale: true,
            anchor: Anchor::TopLeft,
            margin: Length::Pixels(0),
            min_picture: 0,
            max_pixels: 100_000_000,
        }
    }

    fn source(width: u32, height: u32, orientation: u8) -> Probe {
        Probe {
            format: Format::Jpeg,
            width,
            height,
            orientation,
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
            let recipe = Recipe {
                min_picture,
                ..recipe()
            };
            let geometry = plan(&source(3000, 4000, 1), Format::Jpeg, &recipe).unwrap();
            assert_eq!(geometry.marked, marked, "{min_picture}");
        }
    }

    #[test]
    fn anchors_and_margins() {
        let pixels = Length::Pixels(5);
        // The picture is 1440×1080, the mark 20×10; 1 % of the shorter side are 11 pixels.
        for (anchor, margin, expected) in [
            (Anchor::TopLeft, pixels, (5, 5)),
            (Anchor::Top, pixels, (710, 5)),
            (Anchor::TopRight, pixels, (1415, 5)),
            (Anchor::Left, pixels, (5, 535)),
            (Anchor::Center, pixels, (710, 535)),
            (Anchor::Right, pixels, (1415, 535)),
            (Anchor::BottomLeft, pixels, (5, 1065)),
            (Anchor::Bottom, pixels, (710, 1065)),
            (Anchor::BottomRight, Length::Percent(1.0), (1409, 1059)),
        ] {
            let recipe = Recipe {
                anchor,
                margin,
                ..recipe()
            };
            let place = plan(&source(4000, 3000, 1), Format::Jpeg, &recipe)
                .unwrap()
                .place;
            assert_eq!((place.x, place.y), expected, "{anchor:?}");
        }
    }
}
