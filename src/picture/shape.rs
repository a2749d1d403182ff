//! The form in which a mark is laid on: scaled, and cut to what a picture shows of it.

use std::sync::Arc;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

use super::kept::Kept;
use super::placement::{Placement, Window};
use super::resize::BICUBIC;
use crate::mark::Mark;

/// Bytes of shaped marks that a worker keeps.
const BUDGET: usize = 16 << 20;

/// All that makes the form of a mark. It holds its mark, so that the address stays taken.
#[derive(Debug, Clone)]
pub struct Shape {
    mark: Arc<Mark>,
    /// Sides after scaling, pixels.
    size: (u32, u32),
    window: Window,
}

/// Two equal marks at different addresses are taken for different ones, which costs less than
/// comparing their pixels for every picture.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mark, &other.mark)
            && (self.size, self.window) == (other.size, other.window)
    }
}

impl Shape {
    pub fn of(mark: &Arc<Mark>, place: &Placement) -> Self {
        Self {
            mark: Arc::clone(mark),
            size: place.size,
            window: place.window,
        }
    }
}

/// The shaped marks of a worker.
#[derive(Debug)]
pub struct Shapes(Kept<Shape, Mark>);

impl Default for Shapes {
    fn default() -> Self {
        Self(Kept::new(BUDGET))
    }
}

impl Shapes {
    /// The mark in its form; a mark that is laid on as it is needs no copy.
    pub fn find<'a>(
        &'a mut self,
        shape: &'a Shape,
        resizer: &mut Resizer,
    ) -> Result<&'a Mark, String> {
        let whole = (shape.window.width, shape.window.height) == shape.size;
        if whole && shape.size == (shape.mark.width, shape.mark.height) {
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
    Ok(cut(mark, shape.window))
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
    let options = ResizeOptions::new().resize_alg(BICUBIC).use_alpha(true);
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

#[cfg(test)]
mod tests {
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
}
