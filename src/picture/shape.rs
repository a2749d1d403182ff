//! The form in which a mark is laid on: scaled, turned, and cut to what a picture shows of it.

use std::sync::Arc;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

use super::cache::Cache;
use super::convert::saturated;
use super::filter::BICUBIC;
use super::mark::Mark;
use super::placement::{Placement, Window, turn};

/// Bytes of shaped marks that a worker keeps.
const BUDGET: usize = 16 << 20;

/// All that makes the form of a mark. It holds its mark, so that the address stays taken.
#[derive(Debug, Clone)]
pub struct Shape {
    mark: Arc<Mark>,
    /// Sides after scaling, pixels.
    size: (u32, u32),
    /// Degrees counter-clockwise.
    rotate: f32,
    /// Sides of the box around the turned mark.
    bounds: (u32, u32),
    window: Window,
}

/// Two equal marks at different addresses are taken for different ones, which costs less than
/// comparing their pixels for every picture.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mark, &other.mark)
            && (self.size, self.window) == (other.size, other.window)
            && self.rotate.to_bits() == other.rotate.to_bits()
    }
}

impl Shape {
    pub fn of(mark: &Arc<Mark>, rotate: f32, place: &Placement) -> Self {
        Self {
            mark: Arc::clone(mark),
            size: place.size,
            rotate,
            bounds: place.bounds,
            window: place.window,
        }
    }
}

/// The shaped marks of a worker.
#[derive(Debug)]
pub struct Shapes(Cache<Shape, Mark>);

impl Default for Shapes {
    fn default() -> Self {
        Self(Cache::new(BUDGET))
    }
}

impl Shapes {
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The mark in its form; a mark that is laid on as it is needs no copy.
    pub fn find<'a>(
        &'a mut self,
        shape: &'a Shape,
        resizer: &mut Resizer,
    ) -> Result<&'a Mark, String> {
        let whole = (shape.window.width, shape.window.height) == shape.size;
        let plain = turn(shape.rotate) == (0.0, 1.0);
        if whole && plain && shape.size == (shape.mark.width, shape.mark.height) {
            return Ok(&shape.mark);
        }
        self.0.find(shape.clone(), |shape| {
            let mark = made(shape, resizer)?;
            let bytes = mark.rgba.len();
            Ok((mark, bytes))
        })
    }
}

/// A scaled mark fits the picture, and a window is never larger than it, so that both are bounded
/// by the picture's size.
fn made(shape: &Shape, resizer: &mut Resizer) -> Result<Mark, String> {
    let scaled;
    let mark = if shape.size == (shape.mark.width, shape.mark.height) {
        &*shape.mark
    } else {
        scaled = resized(&shape.mark, shape.size, resizer)?;
        &scaled
    };
    Ok(if turn(shape.rotate) == (0.0, 1.0) {
        cut(mark, shape.window)
    } else {
        turned(mark, shape)
    })
}

/// Colour is weighted by alpha, so that invisible pixels do not bleed.
fn resized(
    mark: &Mark,
    (width, height): (u32, u32),
    resizer: &mut Resizer,
) -> Result<Mark, String> {
    let source = ImageRef::new(mark.width, mark.height, &mark.rgba, PixelType::U8x4)
        .map_err(|error| error.to_string())?;
    let mut target = Image::new(width, height, PixelType::U8x4);
    let options = ResizeOptions::new()
        .resize_alg(BICUBIC.algorithm())
        .use_alpha(true);
    resizer
        .resize(&source, &mut target, &options)
        .map_err(|error| error.to_string())?;
    Ok(Mark {
        width,
        height,
        rgba: target.into_vec(),
    })
}

fn cut(mark: &Mark, window: Window) -> Mark {
    let (left, width) = (window.left as usize * 4, window.width as usize * 4);
    let rgba = mark
        .rgba
        .chunks_exact(mark.width as usize * 4)
        .skip(window.top as usize)
        .take(window.height as usize)
        .flat_map(|row| &row[left..left + width])
        .copied()
        .collect();
    Mark {
        width: window.width,
        height: window.height,
        rgba,
    }
}

/// Looks up for each pixel of the window where it comes from. Bilinear, since what is sharper
/// than that draws bright rims around the flat, translucent grounds that marks often have.
fn turned(mark: &Mark, shape: &Shape) -> Mark {
    let (sine, cosine) = turn(shape.rotate);
    let middle = |side: u32| f64::from(side) / 2.0;
    let window = shape.window;
    let mut rgba = Vec::with_capacity(window.width as usize * window.height as usize * 4);
    for row in window.top..window.top + window.height {
        let y = f64::from(row) + 0.5 - middle(shape.bounds.1);
        for column in window.left..window.left + window.width {
            let x = f64::from(column) + 0.5 - middle(shape.bounds.0);
            rgba.extend(sampled(
                mark,
                x * cosine - y * sine + middle(mark.width) - 0.5,
                x * sine + y * cosine + middle(mark.height) - 0.5,
            ));
        }
    }
    Mark {
        width: window.width,
        height: window.height,
        rgba,
    }
}

/// The mark between its pixels, whose centres are at whole numbers; around it nothing shows.
/// Colour counts by its alpha.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the box around a mark reaches little further than its sides, which are u32"
)]
fn sampled(mark: &Mark, x: f64, y: f64) -> [u8; 4] {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = ((x - left) as f32, (y - top) as f32);
    let mut sums = [0.0_f32; 4];
    for (row, row_share) in [(0, 1.0 - lower_share), (1, lower_share)] {
        for (column, column_share) in [(0, 1.0 - right_share), (1, right_share)] {
            let pixel = pixel(mark, left as i64 + column, top as i64 + row);
            let alpha = row_share * column_share * f32::from(pixel[3]);
            for (sum, &sample) in sums.iter_mut().zip(&pixel[..3]) {
                *sum += alpha * f32::from(sample);
            }
            sums[3] += alpha;
        }
    }
    let [red, green, blue, alpha] = sums;
    if alpha <= 0.0 {
        return [0; 4];
    }
    let [red, green, blue] = [red, green, blue].map(|sum| saturated(sum / alpha));
    [red, green, blue, saturated(alpha)]
}

fn pixel(mark: &Mark, x: i64, y: i64) -> [u8; 4] {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
        return [0; 4];
    };
    if x >= mark.width || y >= mark.height {
        return [0; 4];
    }
    let at = (y as usize * mark.width as usize + x as usize) * 4;
    match mark.rgba[at..] {
        [red, green, blue, alpha, ..] => [red, green, blue, alpha],
        _ => [0; 4],
    }
}

#[cfg(test)]
mod tests {
    use super::super::placement::place;
    use super::super::recipe::{Anchor, Length, PlacedMark, Position};
    use super::*;

    fn shape(mark: &Arc<Mark>, size: (u32, u32), window: (u32, u32, u32, u32)) -> Shape {
        let (left, top, width, height) = window;
        let window = Window {
            left,
            top,
            width,
            height,
        };
        Shape {
            mark: Arc::clone(mark),
            size,
            rotate: 0.0,
            bounds: size,
            window,
        }
    }

    fn mark(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Arc<Mark> {
        let rgba = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| pixel(x, y))
            .collect();
        Arc::new(Mark {
            width,
            height,
            rgba,
        })
    }

    #[test]
    fn an_unshaped_mark_is_not_copied() {
        let mark = mark(3, 2, |_, _| [1, 2, 3, 4]);
        let (mut shapes, mut resizer) = (Shapes::default(), Resizer::new());
        let shape = shape(&mark, (3, 2), (0, 0, 3, 2));
        let found = shapes.find(&shape, &mut resizer).unwrap();
        assert!(std::ptr::eq(found, &raw const *mark));
        assert_eq!(shapes.0.len(), 0);
    }

    #[test]
    fn scaling_keeps_invisible_colour_out() {
        // Opaque red beside invisible green: nothing may turn yellow.
        let mark = mark(40, 8, |x, _| {
            if x < 20 {
                [255, 0, 0, 255]
            } else {
                [0, 255, 0, 0]
            }
        });
        let (mut shapes, mut resizer) = (Shapes::default(), Resizer::new());
        for size in [(10, 2), (130, 26)] {
            let shape = shape(&mark, size, (0, 0, size.0, size.1));
            let scaled = shapes.find(&shape, &mut resizer).unwrap();
            assert_eq!((scaled.width, scaled.height), size);
            assert_eq!(scaled.rgba[..4], [255, 0, 0, 255]);
            assert_eq!(scaled.rgba[scaled.rgba.len() - 1], 0);
            for pixel in scaled.rgba.chunks_exact(4).filter(|pixel| pixel[3] > 0) {
                assert!(pixel[0] > 250 && pixel[1] < 5, "{pixel:?}");
            }
        }
        assert_eq!(shapes.0.len(), 2);
    }

    #[test]
    fn a_window_is_a_part_of_the_mark() {
        let mark = mark(5, 4, |x, y| [u8::try_from(y * 10 + x).unwrap(), 0, 0, 255]);
        let (mut shapes, mut resizer) = (Shapes::default(), Resizer::new());
        let shape = shape(&mark, (5, 4), (1, 2, 3, 1));
        let part = shapes.find(&shape, &mut resizer).unwrap();
        let reds: Vec<u8> = part.rgba.iter().step_by(4).copied().collect();
        assert_eq!((part.width, part.height, reds), (3, 1, vec![21, 22, 23]));
    }

    /// The whole of a turned mark, as R G B A pixels in rows.
    fn turn_by(mark: &Arc<Mark>, rotate: f32) -> (u32, Vec<[u8; 4]>) {
        let placed = PlacedMark {
            mark: Arc::clone(mark).into(),
            opacity: 100.0,
            scale: None,
            rotate,
            position: Position::At(Anchor::TopLeft),
            margin: Length::Pixels(0),
            min_picture: 0,
        };
        let shape = Shape::of(
            mark,
            rotate,
            &place(&placed, (mark.width, mark.height), (500, 500)),
        );
        let mut shapes = Shapes::default();
        let turned = shapes.find(&shape, &mut Resizer::new()).unwrap();
        let pixels = turned.rgba.chunks_exact(4);
        let pixels = pixels.map(|pixel| pixel.try_into().unwrap()).collect();
        (turned.width, pixels)
    }

    #[test]
    fn quarter_turns_are_exact_and_counter_clockwise() {
        let mark = mark(3, 2, |x, y| {
            [u8::try_from(y * 3 + x + 1).unwrap(), 77, 200, 130]
        });
        for (rotate, width, expected) in [
            (90.0, 2, [3, 6, 2, 5, 1, 4]),
            (-270.0, 2, [3, 6, 2, 5, 1, 4]),
            (180.0, 3, [6, 5, 4, 3, 2, 1]),
            (270.0, 2, [4, 1, 5, 2, 6, 3]),
            (-90.0, 2, [4, 1, 5, 2, 6, 3]),
            (720.0, 3, [1, 2, 3, 4, 5, 6]),
        ] {
            let (found, pixels) = turn_by(&mark, rotate);
            let expected = expected.map(|red| [red, 77, 200, 130]);
            assert_eq!((found, &pixels[..]), (width, &expected[..]), "{rotate}");
        }
    }

    #[test]
    fn a_turned_square_has_smooth_edges_and_keeps_its_colour_and_area() {
        let mark = mark(60, 60, |_, _| [200, 100, 50, 180]);
        for rotate in [1.0, 17.5, 45.0, 133.0] {
            let (width, pixels) = turn_by(&mark, rotate);
            assert!(width <= 85, "{width}");
            let area: u32 = pixels.iter().map(|pixel| u32::from(pixel[3])).sum();
            assert!(area.abs_diff(60 * 60 * 180) < 60 * 180, "{rotate}: {area}");
            let shown = pixels.iter().filter(|pixel| pixel[3] > 0);
            let mut edge = 0;
            for pixel in shown {
                for (sample, wanted) in pixel[..3].iter().zip([200, 100, 50]) {
                    assert!(sample.abs_diff(wanted) <= 1, "{rotate}: {pixel:?}");
                }
                assert!(pixel[3] <= 180);
                edge += usize::from(pixel[3] < 180);
            }
            assert!(edge > 100, "{rotate}: {edge} pixels of edge");
        }
    }
}
