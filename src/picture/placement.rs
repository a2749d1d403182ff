//! Where a mark stands on a picture and how large it is there: decided from sizes alone, before
//! anything is drawn.

use std::iter::successors;

use super::recipe::{Anchor, Length, PlacedMark, Position, Scale, Side};

/// A mark on a picture, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The mark's own sides after scaling, at least 1.
    pub size: (u32, u32),
    /// Sides of the box around the scaled and turned mark.
    pub bounds: (u32, u32),
    /// The part of the box that is drawn: all of it, unless it is larger than the picture.
    pub window: Window,
    /// Where the window's corner stands from the left and the top; negative where the picture's
    /// edge cuts it.
    pub x: i64,
    pub y: i64,
    /// From a tile to the next, across and down, each above 0; `None` for a single mark.
    pub pitch: Option<(i64, i64)>,
}

impl Placement {
    /// Where the columns of marks start on a picture of this width.
    pub fn columns(&self, width: u32) -> impl Iterator<Item = i64> + Clone {
        steps(self.x, self.pitch.map(|pitch| pitch.0), width)
    }

    /// Where the rows of marks start on a picture of this height.
    pub fn rows(&self, height: u32) -> impl Iterator<Item = i64> + Clone {
        steps(self.y, self.pitch.map(|pitch| pitch.1), height)
    }
}

fn steps(start: i64, pitch: Option<i64>, side: u32) -> impl Iterator<Item = i64> + Clone {
    successors(Some(start), move |at| Some(at + pitch?)).take_while(move |at| *at < side.into())
}

/// A rectangle within the box around a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// Whether a picture of this size gets the mark.
pub fn gets(placed: &PlacedMark, (width, height): (u32, u32)) -> bool {
    width.min(height) >= placed.min_picture && placed.opacity > 0.0
}

/// By how much a mark of this size must shrink for its box to keep the margin to every edge of the picture:
/// 1 or more where it does already.
#[expect(clippy::cast_possible_truncation, reason = "a ratio need not be exact")]
pub fn room(placed: &PlacedMark, own: (u32, u32), (width, height): (u32, u32)) -> f32 {
    let margin = pixels(placed.margin, width.min(height));
    let (across, down) = extent((own.0.into(), own.1.into()), placed.rotate);
    let free = |side: u32| f64::from(side) - 2.0 * float(margin).min(f64::from(side));
    (free(width) / across).min(free(height) / down) as f32
}

/// Places a mark of `own` size on a picture. A mark larger than the picture keeps its anchor and is cropped on
/// the other sides.
pub fn place(placed: &PlacedMark, own: (u32, u32), (width, height): (u32, u32)) -> Placement {
    let margin = pixels(placed.margin, width.min(height));
    let size = size(placed, own, margin, (width, height));
    let bounds = bounds(size, placed.rotate);
    let near = margin;
    let middle = |side: u32, mark: u32| (i64::from(side) - i64::from(mark)) / 2;
    let far = |side: u32, mark: u32| i64::from(side) - i64::from(mark) - margin;
    let (x, y, pitch) = match placed.position {
        Position::At(anchor) => {
            let x = match anchor {
                Anchor::TopLeft | Anchor::Left | Anchor::BottomLeft => near,
                Anchor::Top | Anchor::Center | Anchor::Bottom => middle(width, bounds.0),
                Anchor::TopRight | Anchor::Right | Anchor::BottomRight => far(width, bounds.0),
            };
            let y = match anchor {
                Anchor::TopLeft | Anchor::Top | Anchor::TopRight => near,
                Anchor::Left | Anchor::Center | Anchor::Right => middle(height, bounds.1),
                Anchor::BottomLeft | Anchor::Bottom | Anchor::BottomRight => far(height, bounds.1),
            };
            (x, y, None)
        }
        Position::Tile { spacing } => {
            let spacing = pixels(spacing, width.min(height));
            let pitch = |mark: u32| i64::from(mark) + spacing;
            (near, near, Some((pitch(bounds.0), pitch(bounds.1))))
        }
    };
    let (left, window_width, x) = drawn(x, bounds.0, width);
    let (top, window_height, y) = drawn(y, bounds.1, height);
    Placement {
        size,
        bounds,
        window: Window {
            left,
            top,
            width: window_width,
            height: window_height,
        },
        x,
        y,
        pitch,
    }
}

/// The mark's sides on a picture. A scaled mark shrinks until the box around it keeps its margin to
/// every edge.
fn size(
    placed: &PlacedMark,
    own: (u32, u32),
    margin: i64,
    (width, height): (u32, u32),
) -> (u32, u32) {
    let Some(Scale { percent, side }) = placed.scale else {
        return own;
    };
    let whole_side = match side {
        Side::Shorter => width.min(height),
        Side::Width => width,
        Side::Height => height,
    };
    let wanted_width = f64::from(percent) / 100.0 * f64::from(whole_side);
    let wanted_height = wanted_width * f64::from(own.1) / f64::from(own.0);
    let room = |side: u32| f64::from(side) - 2.0 * float(margin).min(f64::from(side));
    let (across, down) = extent((wanted_width, wanted_height), placed.rotate);
    let fit = (room(width) / across).min(room(height) / down).min(1.0);
    if fit < 1.0 {
        // Rounded down, so that it does fit; rounding noise must not cost a pixel.
        let side = |wanted: f64| whole((wanted * fit + 1e-6).floor());
        (side(wanted_width), side(wanted_height))
    } else {
        (whole(wanted_width.round()), whole(wanted_height.round()))
    }
}

/// Sides of the box around a turned rectangle of whole pixels.
fn bounds((width, height): (u32, u32), rotate: f32) -> (u32, u32) {
    let (across, down) = extent((width.into(), height.into()), rotate);
    // Rounding noise must not cost a transparent column.
    let side = |length: f64| whole((length - 1e-6).ceil());
    (side(across), side(down))
}

fn extent((width, height): (f64, f64), rotate: f32) -> (f64, f64) {
    let (sine, cosine) = turn(rotate);
    (
        (width * cosine).abs() + (height * sine).abs(),
        (width * sine).abs() + (height * cosine).abs(),
    )
}

/// Sine and cosine of an angle in degrees; exact for quarter turns, which move pixels without
/// mixing them.
pub fn turn(degrees: f32) -> (f64, f64) {
    let degrees = f64::from(degrees).rem_euclid(360.0);
    let quarters = degrees / 90.0;
    match [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)]
        .into_iter()
        .zip([0.0, 1.0, 2.0, 3.0])
        .find(|(_, quarter)| (quarters - quarter).abs() < 1e-12)
    {
        Some((exact, _)) => exact,
        None => degrees.to_radians().sin_cos(),
    }
}

/// The stretch of a mark's side that is drawn, its length, and where it starts on the picture. A
/// mark that fits is drawn whole even if an edge cuts it, so that one shape serves all places.
fn drawn(start: i64, mark: u32, picture: u32) -> (u32, u32, i64) {
    if mark <= picture {
        return (0, mark, start);
    }
    let first = start.clamp(0, picture.into());
    let end = (start + i64::from(mark)).clamp(first, picture.into());
    let count = |value: i64| u32::try_from(value).unwrap_or(0);
    match count(end - first) {
        0 => (0, 0, first),
        length => (count(first - start), length, first),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
pub fn pixels(length: Length, shorter_side: u32) -> i64 {
    match length {
        Length::Pixels(pixels) => i64::from(pixels),
        Length::Percent(percent) => {
            (f64::from(percent) / 100.0 * f64::from(shorter_side)).round() as i64
        }
    }
}

/// A side of at least one pixel.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
fn whole(side: f64) -> u32 {
    (side as u32).max(1)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a length on a picture is far below 2^53"
)]
fn float(pixels: i64) -> f64 {
    pixels as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::mark::Mark;
    use super::super::recipe::Subject;
    use super::*;

    fn placing(placed: &PlacedMark, picture: (u32, u32)) -> Placement {
        let Subject::Image(mark) = &placed.mark else {
            panic!("a text is drawn first")
        };
        place(placed, (mark.width, mark.height), picture)
    }

    fn placed(width: u32, height: u32) -> PlacedMark {
        PlacedMark {
            mark: Subject::Image(Arc::new(Mark {
                width,
                height,
                rgba: Vec::new(),
            })),
            opacity: 50.0,
            scale: None,
            rotate: 0.0,
            position: Position::At(Anchor::TopLeft),
            margin: Length::Pixels(0),
            min_picture: 0,
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
            let placed = PlacedMark {
                position: Position::At(anchor),
                margin,
                ..placed(20, 10)
            };
            let place = placing(&placed, (1440, 1080));
            assert_eq!((place.x, place.y), expected, "{anchor:?}");
        }
    }

    #[test]
    fn a_scaled_mark_has_its_share_of_the_shorter_side_or_what_fits() {
        let none = Length::Pixels(0);
        for (mark, picture, scale, margin, expected) in [
            ((240, 80), (1440, 1080), 20.0, none, (216, 72)),
            ((240, 80), (1080, 1440), 20.0, none, (216, 72)),
            ((240, 80), (1440, 1080), 12.5, none, (135, 45)),
            ((10, 10), (1440, 1080), 100.0, none, (1080, 1080)),
            ((240, 80), (1440, 1080), 100.0, none, (1080, 360)),
            // Wider than the picture, higher, and both with a margin.
            ((100, 10), (1440, 1080), 200.0, none, (1440, 144)),
            ((10, 100), (1440, 1080), 20.0, none, (108, 1080)),
            ((10, 10), (200, 100), 100.0, Length::Percent(5.0), (90, 90)),
            ((10, 10), (200, 100), 90.0, Length::Percent(5.0), (90, 90)),
            // Nothing vanishes.
            ((1000, 1), (100, 100), 1.0, none, (1, 1)),
            ((10, 10), (1, 1), 20.0, none, (1, 1)),
            ((10, 10), (100, 100), 20.0, Length::Pixels(65_500), (1, 1)),
            ((1, 3_000_000), (300, 200), 100.0, none, (1, 200)),
        ] {
            let placed = PlacedMark {
                scale: Some(Scale {
                    percent: scale,
                    side: Side::Shorter,
                }),
                margin,
                ..placed(mark.0, mark.1)
            };
            let size = placing(&placed, picture).size;
            assert_eq!(
                size, expected,
                "{mark:?} at {scale} % {margin:?} on {picture:?}"
            );
        }
    }

    #[test]
    fn tiles_start_at_the_margin_and_reach_every_edge() {
        for (margin, spacing, columns, rows) in [
            (0, Length::Pixels(0), vec![0, 20, 40], vec![0, 10, 20, 30]),
            (5, Length::Pixels(7), vec![5, 32, 59], vec![5, 22, 39]),
            (0, Length::Percent(50.0), vec![0, 40], vec![0, 30]),
            (59, Length::Pixels(0), vec![59], vec![]),
            (60, Length::Pixels(0), vec![], vec![]),
        ] {
            let placed = PlacedMark {
                margin: Length::Pixels(margin),
                position: Position::Tile { spacing },
                ..placed(20, 10)
            };
            let place = placing(&placed, (60, 40));
            let found = (
                place.columns(60).collect::<Vec<_>>(),
                place.rows(40).collect::<Vec<_>>(),
            );
            assert_eq!(found, (columns, rows), "{margin} {spacing:?}");
        }
    }

    #[test]
    fn a_turned_mark_is_placed_by_the_box_around_it() {
        for (rotate, scale, bounds, corner) in [
            (90.0, None, (10, 20), (90, 40)),
            (-90.0, None, (10, 20), (90, 40)),
            (180.0, None, (20, 10), (80, 50)),
            (45.0, None, (22, 22), (78, 38)),
            (30.0, None, (23, 19), (77, 41)),
            // As high as the picture, and no higher.
            (90.0, Some(200.0), (30, 60), (70, 0)),
        ] {
            let side = Side::Shorter;
            let placed = PlacedMark {
                rotate,
                scale: scale.map(|percent| Scale { percent, side }),
                position: Position::At(Anchor::BottomRight),
                ..placed(20, 10)
            };
            let place = placing(&placed, (100, 60));
            assert_eq!(place.bounds, bounds, "{rotate}");
            assert_eq!((place.x, place.y), corner, "{rotate}");
        }
    }

    #[test]
    fn a_mark_is_scaled_by_the_side_that_is_named() {
        for (side, picture, expected) in [
            (Side::Shorter, (400, 300), (60, 30)),
            (Side::Width, (400, 300), (80, 40)),
            (Side::Height, (400, 300), (60, 30)),
            (Side::Shorter, (300, 400), (60, 30)),
            (Side::Width, (300, 400), (60, 30)),
            (Side::Height, (300, 400), (80, 40)),
        ] {
            let percent = 20.0;
            let placed = PlacedMark {
                scale: Some(Scale { percent, side }),
                ..placed(100, 50)
            };
            let size = placing(&placed, picture).size;
            assert_eq!(size, expected, "{side:?} of {picture:?}");
        }
    }

    #[test]
    fn a_scaled_mark_fits_at_every_angle() {
        for degrees in 0_u8..=180 {
            let placed = PlacedMark {
                rotate: f32::from(degrees) * 2.0,
                scale: Some(Scale {
                    percent: 300.0,
                    side: Side::Shorter,
                }),
                ..placed(50, 20)
            };
            let (width, height) = placing(&placed, (301, 200)).bounds;
            assert!(width <= 301 && height <= 200, "{degrees}: {width}×{height}");
            assert!(width >= 297 || height >= 197, "{degrees}: {width}×{height}");
        }
    }

    #[test]
    fn of_a_mark_larger_than_the_picture_only_a_window_is_drawn() {
        for (anchor, expected) in [
            (Anchor::TopLeft, (0, 0, 95, 10, 5, 5)),
            (Anchor::Center, (50, 0, 100, 10, 0, 20)),
            (Anchor::BottomRight, (105, 0, 95, 10, 0, 35)),
        ] {
            let placed = PlacedMark {
                position: Position::At(anchor),
                margin: Length::Pixels(5),
                ..placed(200, 10)
            };
            let Placement { window, x, y, .. } = placing(&placed, (100, 50));
            let Window {
                left,
                top,
                width,
                height,
            } = window;
            assert_eq!((left, top, width, height, x, y), expected, "{anchor:?}");
        }
        let placed = PlacedMark {
            margin: Length::Pixels(500),
            ..placed(200, 10)
        };
        assert_eq!(placing(&placed, (100, 50)).window.width, 0);
    }
}
