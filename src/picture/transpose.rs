//! Rows become columns, 16 × 16 samples at a time in vector registers: several times as fast as
//! moving single samples, and what makes turning and scaling sideways cheap.

use wide::u8x16;

/// Side of a block.
const BLOCK: usize = 16;
/// Columns that are read in one go down the picture: a whole line of the cache.
const STRIP: usize = 64;

/// Which sides of the source are counted from the far end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flips {
    pub x: bool,
    pub y: bool,
}

/// Writes column `x` of `from`, whose rows have `width` samples, as row `x` of `to`, whose rows
/// begin `stride` samples apart. What lies between the end of a row and the next is left alone.
pub fn transpose(from: &[u8], width: usize, flips: Flips, to: &mut [u8], stride: usize) {
    let Some(height) = from.len().checked_div(width) else {
        return;
    };
    if width < BLOCK || height < BLOCK {
        for x in 0..width {
            let column = if flips.x { width - 1 - x } else { x };
            for (y, sample) in to[x * stride..][..height].iter_mut().enumerate() {
                let row = if flips.y { height - 1 - y } else { y };
                *sample = from[row * width + column];
            }
        }
        return;
    }
    for strip in (0..width).step_by(STRIP) {
        for y in starts(0, height) {
            for x in starts(strip, (strip + STRIP).min(width)) {
                block(from, width, flips, (x, y), to, stride);
            }
        }
    }
}

/// Where blocks begin; the last one reaches back so that it ends with the rest.
fn starts(begin: usize, end: usize) -> impl Iterator<Item = usize> {
    (begin..end)
        .step_by(BLOCK)
        .map(move |start| start.min(end.saturating_sub(BLOCK)))
}

/// Moves the block whose first row of `to` is `x` and whose first column is `y`.
fn block(
    from: &[u8],
    width: usize,
    flips: Flips,
    (x, y): (usize, usize),
    to: &mut [u8],
    stride: usize,
) {
    let height = from.len() / width;
    let column = if flips.x { width - BLOCK - x } else { x };
    let mut rows = [u8x16::ZERO; BLOCK];
    for (index, samples) in rows.iter_mut().enumerate() {
        let index = if flips.y {
            height - 1 - y - index
        } else {
            y + index
        };
        *samples = u8x16::from(&from[index * width + column..][..BLOCK]);
    }
    // The bits of a sample's place are those of its row and then those of its column. Riffling the
    // upper half with the lower one turns them round by one place; four times exchanges the two.
    for _ in 0..BLOCK.ilog2() {
        let mut riffled = rows;
        for index in 0..BLOCK / 2 {
            let (upper, lower) = (rows[index], rows[index + BLOCK / 2]);
            riffled[index * 2] = u8x16::unpack_low(upper, lower);
            riffled[index * 2 + 1] = u8x16::unpack_high(upper, lower);
        }
        rows = riffled;
    }
    for (index, row) in rows.iter().enumerate() {
        let index = if flips.x { BLOCK - 1 - index } else { index };
        to[(x + index) * stride + y..][..BLOCK].copy_from_slice(row.as_array());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_and_flip() {
        for (width, height) in [(1, 1), (3, 70), (16, 16), (17, 40), (70, 16), (130, 67)] {
            let from: Vec<u8> = (0..width * height)
                .map(|at| u8::try_from(at * 31 % 251).unwrap())
                .collect();
            for (x, y) in [(false, false), (true, false), (false, true), (true, true)] {
                let stride = height + 2;
                let mut to = vec![255; width * stride];
                transpose(&from, width, Flips { x, y }, &mut to, stride);
                for row in 0..width {
                    for column in 0..height {
                        let source_x = if x { width - 1 - row } else { row };
                        let source_y = if y { height - 1 - column } else { column };
                        assert_eq!(
                            to[row * stride + column],
                            from[source_y * width + source_x],
                            "{width}x{height}, {x} {y}, row {row} column {column}"
                        );
                    }
                    assert_eq!(to[row * stride + height..][..2], [255, 255]);
                }
            }
        }
    }
}
