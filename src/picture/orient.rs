//! Turns the stored picture upright (EXIF 2.3, tag 0x0112), on planes or pixels.
//!
//! It comes behind the resize, when there are fewer samples to move. Flipping a 4:2:0 picture of odd size changes which
//! pixels share a chroma sample, and only the resize can put that right, by starting within a sample: so it
//! works on the area that [`upright`] tells.

use bytemuck::{cast_slice, cast_slice_mut};

use super::pixels::Pixels;
use super::planes::{Area, Plane, coordinate};
use super::samples::Pair;
use super::transpose::{Flips, transpose};

/// Side of the square blocks that are moved at once when rows become columns, so that both sides
/// stay in the cache.
const BLOCK: usize = 32;

/// How output coordinates become input coordinates: exchanged first, then counted from the far
/// side.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    pub transpose: bool,
    pub flip_x: bool,
    pub flip_y: bool,
}

pub fn turn(orientation: u8) -> Turn {
    let (transpose, flip_x, flip_y) = match orientation {
        2 => (false, true, false),
        3 => (false, true, true),
        4 => (false, false, true),
        5 => (true, false, false),
        6 => (true, false, true),
        7 => (true, true, true),
        8 => (true, true, false),
        _ => (false, false, false),
    };
    Turn {
        transpose,
        flip_x,
        flip_y,
    }
}

/// Whether an orientation exchanges width and height.
pub fn exchanges_sides(orientation: u8) -> bool {
    turn(orientation).transpose
}

/// The part of a plane that is picture once it is upright, and the plane's sides.
pub fn upright(plane: &Plane, orientation: u8) -> (Area, (usize, usize)) {
    let turn = turn(orientation);
    let (mut area, sides) = (plane.area, (plane.width, plane.height));
    // What was padding at the end becomes padding at the start.
    if turn.flip_x {
        area.left = coordinate(plane.width) - (area.left + area.width);
    }
    if turn.flip_y {
        area.top = coordinate(plane.height) - (area.top + area.height);
    }
    if !turn.transpose {
        return (area, sides);
    }
    let area = Area {
        left: area.top,
        top: area.left,
        width: area.height,
        height: area.width,
    };
    (area, (sides.1, sides.0))
}

/// Turns samples, whose rows are so long, to the top left of a plane whose rows begin `stride` samples apart.
pub fn place((from, width): (&[u8], usize), orientation: u8, to: &mut [u8], stride: usize) {
    let turn = turn(orientation);
    if turn.transpose {
        let flips = Flips {
            x: turn.flip_x,
            y: turn.flip_y,
        };
        return transpose(from, width, flips, to, stride);
    }
    let rows = from.chunks_exact(width.max(1));
    let last = rows.len().saturating_sub(1);
    for (y, row) in rows.enumerate() {
        let y = if turn.flip_y { last - y } else { y };
        let to = &mut to[y * stride..][..width];
        to.copy_from_slice(row);
        if turn.flip_x {
            to.reverse();
        }
    }
}

/// Turns the pixels in front upright, with the room of those behind.
pub fn pair(pair: &mut Pair<Pixels>, orientation: u8) {
    if orientation != 1 {
        pixels(&pair.front, orientation, &mut pair.back);
        pair.flip();
    }
}

pub fn pixels(source: &Pixels, orientation: u8, target: &mut Pixels) {
    let turn = turn(orientation);
    let (width, height) = if turn.transpose {
        (source.height, source.width)
    } else {
        (source.width, source.height)
    };
    target.allocate(width, height, source.channels, source.deep);
    let (from_width, to_width) = (source.width as usize, width as usize);
    macro_rules! apply_as {
        ($pixel:ty, $samples:ident, $samples_mut:ident) => {
            apply::<$pixel>(
                cast_slice(source.$samples()),
                from_width,
                cast_slice_mut(target.$samples_mut()),
                to_width,
                turn,
            )
        };
    }
    match (source.deep, source.channels) {
        (false, 1) => apply_as!(u8, bytes, bytes_mut),
        (false, 2) => apply_as!([u8; 2], bytes, bytes_mut),
        (false, 3) => apply_as!([u8; 3], bytes, bytes_mut),
        (false, _) => apply_as!([u8; 4], bytes, bytes_mut),
        (true, 1) => apply_as!(u16, words, words_mut),
        (true, 2) => apply_as!([u16; 2], words, words_mut),
        (true, 3) => apply_as!([u16; 3], words, words_mut),
        (true, _) => apply_as!([u16; 4], words, words_mut),
    }
}

fn apply<T: Copy>(from: &[T], from_width: usize, to: &mut [T], to_width: usize, turn: Turn) {
    if from_width == 0 || to_width == 0 {
        return;
    }
    let from_height = from.len() / from_width;
    let to_height = to.len() / to_width;
    let source_x = |x: usize| if turn.flip_x { from_width - 1 - x } else { x };
    let source_y = |y: usize| if turn.flip_y { from_height - 1 - y } else { y };
    if !turn.transpose {
        for (y, row) in to.chunks_exact_mut(to_width).enumerate() {
            let source = &from[source_y(y) * from_width..][..from_width];
            row.copy_from_slice(source);
            if turn.flip_x {
                row.reverse();
            }
        }
        return;
    }
    for top in (0..to_height).step_by(BLOCK) {
        for left in (0..to_width).step_by(BLOCK) {
            for y in top..(top + BLOCK).min(to_height) {
                let column = source_x(y);
                let right = (left + BLOCK).min(to_width);
                for (x, sample) in
                    (left..right).zip(&mut to[y * to_width + left..y * to_width + right])
                {
                    *sample = from[source_y(x) * from_width + column];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_eight_orientations() {
        // 1 2 3
        // 4 5 6
        for (orientation, width, expected) in [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ] {
            let mut source = Pixels::default();
            source.allocate(3, 2, 1, false);
            source.bytes_mut().copy_from_slice(&[1, 2, 3, 4, 5, 6]);
            let mut target = Pixels::default();
            pixels(&source, orientation, &mut target);
            assert_eq!(
                (target.width, target.bytes()),
                (width, &expected[..]),
                "orientation {orientation}"
            );
        }
    }

    #[test]
    fn padding_changes_sides_with_the_picture() {
        let plane = Plane {
            samples: Vec::new(),
            width: 2,
            height: 2,
            area: Area {
                left: 0.0,
                top: 0.0,
                width: 1.5,
                height: 2.0,
            },
        };
        for (orientation, [left, top, width, height]) in
            [(6, [0.0, 0.0, 2.0, 1.5]), (2, [0.5, 0.0, 1.5, 2.0])]
        {
            let area = Area {
                left,
                top,
                width,
                height,
            };
            assert_eq!(upright(&plane, orientation), (area, (2, 2)));
        }
    }
}
