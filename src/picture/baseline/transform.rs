//! Coefficients to samples at a scale of n/8: the inverse transforms of libjpeg's `jidctint` and
//! `jidctred`, over `LANES` blocks side by side, to the last bit.
//!
//! 8/8, 4/8 and 2/8 look at more than the lowest coefficients, and saturate, as libjpeg-turbo's vector
//! code does; the others wrap what is far out of range, as its plain code does. Both are the same
//! only for coefficients that [`plain`] accepts, so what it refuses must not come here. The sums
//! stay below 32 bits for those; they are wrapping numbers all the same, which cost no check.

#![expect(
    clippy::needless_range_loop,
    reason = "the compiler makes vectors of loops over all lanes"
)]

use std::array;
use std::num::Wrapping;

use super::tables::LANES;

pub type W = Wrapping<i32>;

/// Samples of a row of each block, four in each word.
type Row = [[u32; LANES]; 2];

/// The largest coefficient, after quantization is undone. An encoder writes up to 1024 and half a
/// step of 255; beyond 1449 the sums of 4/8 may need more than 32 bits.
const LARGEST: u16 = 1440;

/// The largest result of the columns at 8/8, where the vector code adds two of them in 16 bits. Real samples
/// make 4096 and what their quantization adds.
const LARGEST_BETWEEN: i32 = 16_383;
const ANY: i32 = i32::MAX;

/// The part of a plane that blocks go to.
pub struct Target<'a> {
    /// Rows of the plane, from the first of the blocks on.
    pub rows: &'a mut [u8],
    /// Samples of a row.
    pub width: usize,
    /// The column of the first block.
    pub left: usize,
    /// Blocks, up to `LANES`.
    pub count: usize,
}

/// Row and column → the place in zigzag order.
const PLACE: [usize; 64] = {
    let mut place = [0; 64];
    let (mut row, mut column) = (0, 0);
    let mut at = 0;
    while at < 64 {
        place[row * 8 + column] = at;
        // Even diagonals lead up, odd ones down, and turn at the sides.
        if (row + column) % 2 == 0 {
            if column == 7 {
                row += 1;
            } else if row == 0 {
                column += 1;
            } else {
                row -= 1;
                column += 1;
            }
        } else if row == 7 {
            column += 1;
        } else if column == 0 {
            row += 1;
        } else {
            row += 1;
            column -= 1;
        }
        at += 1;
    }
    place
};

/// The largest coefficients of a component, as they are stored.
pub fn largest(quantizer: &[u8; 64]) -> [u16; 64] {
    quantizer.map(|step| LARGEST / u16::from(step.max(1)))
}

/// Coefficients → samples; `None` if one of the first `used` is too large for its place.
#[inline(always)]
pub fn render(
    eighths: usize,
    coefficients: &[i16],
    (quantizer, largest): (&[u8; 64], &[u16; 64]),
    to: &mut Target<'_>,
) -> Option<()> {
    let rows = coefficients.as_chunks::<LANES>().0.first_chunk()?;
    if !plain(&rows[..used(eighths)], largest) {
        return None;
    }
    let from = (rows, quantizer);
    let low = |_| true;
    let odd = |at: usize| at == 0 || at % 2 == 1;
    match eighths {
        1 => emit(&one(from), to),
        2 => emit(&both(from, odd, two, (13, 20, ANY), saturated)?, to),
        3 => emit(&both(from, low, three, (11, 18, ANY), wrapped)?, to),
        4 => emit(
            &both(from, |at| at != 4, four, (12, 19, ANY), saturated)?,
            to,
        ),
        5 => emit(&both(from, low, five, (11, 18, ANY), wrapped)?, to),
        6 => emit(&both(from, low, six, (11, 18, ANY), wrapped)?, to),
        7 => emit(&both(from, low, seven, (11, 18, ANY), wrapped)?, to),
        _ => {
            let shifts = (11, 18, LARGEST_BETWEEN);
            emit(&both(from, low, eight, shifts, saturated)?, to);
        }
    }
    Some(())
}

#[inline(always)]
fn plain(rows: &[[i16; LANES]], largest: &[u16; 64]) -> bool {
    let mut beyond = [0_u16; LANES];
    for (row, &largest) in rows.iter().zip(largest) {
        for lane in 0..LANES {
            beyond[lane] |= row[lane].unsigned_abs().saturating_sub(largest);
        }
    }
    beyond == [0; LANES]
}

/// Coefficients that a scale looks at are among the first so many, in zigzag order.
#[inline(always)]
pub fn used(eighths: usize) -> usize {
    const USED: [usize; 8] = [64, 1, 64, 13, 64, 40, 52, 60];
    USED[eighths & 7]
}

/// Columns, then rows. `used` says which columns matter; a pass takes a side's coefficients and the
/// bits that its results are shifted by. `None` if a result of the columns is larger than `most`.
#[inline(always)]
fn both<const SIDE: usize, const N: usize>(
    (coefficients, quantizer): (&[[i16; LANES]; 64], &[u8; 64]),
    used: impl Fn(usize) -> bool,
    pass: impl Fn([W; SIDE], usize) -> [W; N],
    (down, along, most): (usize, usize, i32),
    sample: impl Fn(W) -> u32,
) -> Option<[Row; N]> {
    let mut beyond = [0; LANES];
    let mut between = [[[Wrapping(0); LANES]; SIDE]; N];
    for column in 0..SIDE {
        if !used(column) {
            continue;
        }
        let places: [usize; SIDE] = array::from_fn(|row| PLACE[row * 8 + column]);
        let from: [&[i16; LANES]; SIDE] = array::from_fn(|row| &coefficients[places[row]]);
        let steps: [i16; SIDE] = array::from_fn(|row| i16::from(quantizer[places[row]]));
        for lane in 0..LANES {
            // 16 bits hold the product, as `plain` saw to it.
            let side =
                array::from_fn(|row| Wrapping(i32::from(from[row][lane].wrapping_mul(steps[row]))));
            let results = pass(side, down);
            for row in 0..N {
                between[row][column][lane] = results[row];
                if most < ANY {
                    beyond[lane] |= results[row].0 ^ (results[row].0 >> 31);
                }
            }
        }
    }
    if beyond.iter().any(|bits| *bits > most) {
        return None;
    }
    let mut samples = [[[0; LANES]; 2]; N];
    for (words, between) in samples.iter_mut().zip(&between) {
        let [first, second] = words;
        for lane in 0..LANES {
            let results = pass(array::from_fn(|column| between[column][lane]), along);
            let (mut low, mut high) = (0, 0);
            for column in 0..N {
                let sample = sample(results[column]);
                if column < 4 {
                    low |= sample << (8 * column);
                } else {
                    high |= sample << (8 * (column - 4));
                }
            }
            first[lane] = low;
            second[lane] = high;
        }
    }
    Some(samples)
}

/// A result as a sample; what is out of range becomes black or white.
#[inline(always)]
pub fn saturated(result: W) -> u32 {
    (result.0.saturating_add(128)).clamp(0, 255).cast_unsigned()
}

/// The same, but what is 512 or more off is counted from the other side, as by a table of 1024.
#[inline(always)]
fn wrapped(result: W) -> u32 {
    (((result.0.wrapping_add(512)) & 1023) - 384)
        .clamp(0, 255)
        .cast_unsigned()
}

/// The mean of each block.
#[inline(always)]
fn one((coefficients, quantizer): (&[[i16; LANES]; 64], &[u8; 64])) -> [Row; 1] {
    let step = i32::from(quantizer[0]);
    let means = coefficients[0].map(|first| wrapped(Wrapping((i32::from(first) * step + 4) >> 3)));
    [[means, [0; LANES]]]
}

/// Stores the samples. Words are written whole where there is room: the next blocks, or the next
/// row's, overwrite what is too much.
#[inline(always)]
fn emit<const N: usize>(samples: &[Row; N], to: &mut Target<'_>) {
    for (row, words) in to.rows.chunks_exact_mut(to.width).zip(samples) {
        let Some(row) = row.get_mut(to.left..) else {
            return;
        };
        if to.count == LANES && row.len() >= LANES * N + 8 {
            let row = &mut row[..LANES * N + 8];
            for lane in 0..LANES {
                let at = lane * N;
                row[at..at + 4].copy_from_slice(&words[0][lane].to_le_bytes());
                if N > 4 {
                    row[at + 4..at + 8].copy_from_slice(&words[1][lane].to_le_bytes());
                }
            }
        } else {
            for (lane, block) in row.chunks_mut(N).take(to.count).enumerate() {
                let word = u64::from(words[0][lane]) | u64::from(words[1][lane]) << 32;
                block.copy_from_slice(&word.to_le_bytes()[..block.len()]);
            }
        }
    }
}

/// Half of what a shift takes off. The factors below have 13 bits behind the point.
#[inline(always)]
pub fn half(shift: usize) -> W {
    Wrapping(1) << (shift - 1)
}

#[inline(always)]
fn two(x: [W; 8], shift: usize) -> [W; 2] {
    let even = (x[0] << 15) + half(shift);
    let odd = x[5] * Wrapping(6967) - x[7] * Wrapping(5906) - x[3] * Wrapping(10426)
        + x[1] * Wrapping(29692);
    [(even + odd) >> shift, (even - odd) >> shift]
}

#[inline(always)]
fn three(x: [W; 3], shift: usize) -> [W; 3] {
    let mean = (x[0] << 13) + half(shift);
    let even = x[2] * Wrapping(5793);
    let odd = x[1] * Wrapping(10033);
    let side = mean + even;
    [
        (side + odd) >> shift,
        (mean - even - even) >> shift,
        (side - odd) >> shift,
    ]
}

#[inline(always)]
fn four(x: [W; 8], shift: usize) -> [W; 4] {
    let mean = (x[0] << 14) + half(shift);
    let even = x[2] * Wrapping(15137) - x[6] * Wrapping(6270);
    let outer = x[3] * Wrapping(7373) - x[7] * Wrapping(4176) - x[5] * Wrapping(4926)
        + x[1] * Wrapping(20995);
    let inner = x[5] * Wrapping(11893) - x[7] * Wrapping(1730) - x[3] * Wrapping(17799)
        + x[1] * Wrapping(8697);
    [
        (mean + even + outer) >> shift,
        (mean - even + inner) >> shift,
        (mean - even - inner) >> shift,
        (mean + even - outer) >> shift,
    ]
}

#[inline(always)]
fn five(x: [W; 5], shift: usize) -> [W; 5] {
    let mean = (x[0] << 13) + half(shift);
    let sum = (x[2] + x[4]) * Wrapping(6476);
    let difference = (x[2] - x[4]) * Wrapping(2896);
    let (outer, inner) = (mean + difference + sum, mean + difference - sum);
    let odd = (x[1] + x[3]) * Wrapping(6810);
    let odd_outer = odd + x[1] * Wrapping(4209);
    let odd_inner = odd - x[3] * Wrapping(17828);
    [
        (outer + odd_outer) >> shift,
        (inner + odd_inner) >> shift,
        (mean - (difference << 2)) >> shift,
        (inner - odd_inner) >> shift,
        (outer - odd_outer) >> shift,
    ]
}

#[inline(always)]
fn six(x: [W; 6], shift: usize) -> [W; 6] {
    let mean = (x[0] << 13) + half(shift);
    let fourth = x[4] * Wrapping(5793);
    let second = x[2] * Wrapping(10033);
    let (outer, inner) = (mean + fourth + second, mean + fourth - second);
    let middle = mean - fourth - fourth;
    let odd = (x[1] + x[5]) * Wrapping(2998);
    let odd_outer = odd + ((x[1] + x[3]) << 13);
    let odd_inner = odd + ((x[5] - x[3]) << 13);
    let odd_middle = (x[1] - x[3] - x[5]) << 13;
    [
        (outer + odd_outer) >> shift,
        (middle + odd_middle) >> shift,
        (inner + odd_inner) >> shift,
        (inner - odd_inner) >> shift,
        (middle - odd_middle) >> shift,
        (outer - odd_outer) >> shift,
    ]
}

#[inline(always)]
fn seven(x: [W; 7], shift: usize) -> [W; 7] {
    let mean = (x[0] << 13) + half(shift);
    let fourth = (x[4] - x[6]) * Wrapping(7223);
    let sixth = (x[2] - x[4]) * Wrapping(2578);
    let sum = x[2] + x[6];
    let second = sum * Wrapping(10438) + mean;
    let evens = [
        fourth + second - x[6] * Wrapping(637),
        fourth + sixth + mean - x[4] * Wrapping(15083),
        sixth + second - x[2] * Wrapping(20239),
    ];
    let middle = mean + (x[4] - sum) * Wrapping(11585);
    let near = (x[1] + x[3]) * Wrapping(7663);
    let far = (x[1] - x[3]) * Wrapping(1395);
    let first = (x[3] + x[5]) * Wrapping(-11295);
    let fifth = (x[1] + x[5]) * Wrapping(5027);
    let odds = [
        near - far + fifth,
        near + far + first,
        first + fifth + x[5] * Wrapping(15326),
    ];
    [
        (evens[0] + odds[0]) >> shift,
        (evens[1] + odds[1]) >> shift,
        (evens[2] + odds[2]) >> shift,
        middle >> shift,
        (evens[2] - odds[2]) >> shift,
        (evens[1] - odds[1]) >> shift,
        (evens[0] - odds[0]) >> shift,
    ]
}

#[inline(always)]
pub fn eight(x: [W; 8], shift: usize) -> [W; 8] {
    let rounded = half(shift);
    let second = (x[2] + x[6]) * Wrapping(4433);
    let (inner, outer) = (
        second - x[6] * Wrapping(15137),
        second + x[2] * Wrapping(6270),
    );
    let sum = ((x[0] + x[4]) << 13) + rounded;
    let difference = ((x[0] - x[4]) << 13) + rounded;
    let evens = [
        sum + outer,
        difference + inner,
        difference - inner,
        sum - outer,
    ];
    let (third, fourth) = (x[7] + x[3], x[5] + x[1]);
    let fifth = (third + fourth) * Wrapping(9633);
    let first = (x[7] + x[1]) * Wrapping(-7373);
    let second = (x[5] + x[3]) * Wrapping(-20995);
    let third = third * Wrapping(-16069) + fifth;
    let fourth = fourth * Wrapping(-3196) + fifth;
    let odds = [
        x[1] * Wrapping(12299) + first + fourth,
        x[3] * Wrapping(25172) + second + third,
        x[5] * Wrapping(16819) + second + fourth,
        x[7] * Wrapping(2446) + first + third,
    ];
    [
        (evens[0] + odds[0]) >> shift,
        (evens[1] + odds[1]) >> shift,
        (evens[2] + odds[2]) >> shift,
        (evens[3] + odds[3]) >> shift,
        (evens[3] - odds[3]) >> shift,
        (evens[2] - odds[2]) >> shift,
        (evens[1] - odds[1]) >> shift,
        (evens[0] - odds[0]) >> shift,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag_leads_from_corner_to_corner() {
        assert_eq!(PLACE[..9], [0, 1, 5, 6, 14, 15, 27, 28, 2]);
        assert_eq!(PLACE[56..], [35, 36, 48, 49, 57, 58, 62, 63]);
    }

    #[test]
    fn scales_use_the_first_coefficients() {
        for (eighths, low) in [
            (1, 1),
            (2, 8),
            (3, 3),
            (4, 8),
            (5, 5),
            (6, 6),
            (7, 7),
            (8, 8),
        ] {
            let corner = (0..low * low).map(|at| PLACE[at / low * 8 + at % low]);
            assert_eq!(Some(used(eighths) - 1), corner.max(), "{eighths}");
        }
    }

    #[test]
    fn coefficients_that_no_encoder_writes_are_refused() {
        let quantizer = [100; 64];
        let largest = largest(&quantizer);
        let mut rows = [[0; LANES]; 64];
        for (value, expected) in [
            (14, true),
            (-14, true),
            (15, false),
            (-15, false),
            (i16::MIN, false),
        ] {
            rows[5][3] = value;
            assert_eq!(plain(&rows, &largest), expected, "{value}");
        }
    }
}
