//! A plane as a JPEG would give it back: transformed, quantized, and transformed back, block by block. The
//! coded data in between lose nothing, so there are none. The samples are those of libjpeg-turbo's
//! `jfdctint`, `jcdctmgr` and `jidctint` to the last bit.
//!
//! `LANES` blocks side by side go through at once. Samples of 8 bits make coefficients of 1024 at most, and
//! quantization adds at most half a step of 255 to each: nothing here comes near what the transform
//! back refuses.

#![expect(
    clippy::needless_range_loop,
    reason = "the compiler makes vectors of loops over all lanes"
)]

use std::array;
use std::num::Wrapping;

use super::super::planes::Plane;
use super::super::processor::{Processor, Work};
use super::tables::LANES;
use super::transform::{W, eight, half, saturated};

/// Samples of a row of the blocks.
const WIDTH: usize = 8 * LANES;
type Blocks = [[u8; WIDTH]; 8];
/// Results of one direction: row, column, block.
type Between = [[[W; LANES]; 8]; 8];

/// A quantization table, and how to divide by its steps, row by row. The transform leaves its results 8
/// times too large.
struct Steps {
    step: [i32; 64],
    correction: [i32; 64],
    reciprocal: [i32; 64],
    shift: [i32; 64],
}

impl Steps {
    /// A division that rounds to the nearest is a multiplication, exact for numerators of 16 bits: libjpeg-turbo's
    /// `compute_reciprocal`, by Agner Fog.
    fn new(table: &[u8; 64]) -> Self {
        let mut steps = Self {
            step: [1; 64],
            correction: [0; 64],
            reciprocal: [0; 64],
            shift: [0; 64],
        };
        for (at, &step) in table.iter().enumerate() {
            let divisor = i32::from(step.max(1)) * 8;
            let mut bits = 16 + divisor.ilog2().cast_signed();
            let whole = 1_i64 << bits;
            let (mut reciprocal, rest) = (whole / i64::from(divisor), whole % i64::from(divisor));
            let mut correction = divisor / 2;
            if rest == 0 {
                (reciprocal, bits) = (reciprocal / 2, bits - 1);
            } else if rest <= i64::from(divisor / 2) {
                correction += 1;
            } else {
                reciprocal += 1;
            }
            steps.step[at] = divisor / 8;
            steps.correction[at] = correction;
            steps.reciprocal[at] = reciprocal as i32;
            steps.shift[at] = bits;
        }
        steps
    }

    /// A result of the transform → the multiple of its step that stands for it.
    #[inline(always)]
    fn round(&self, at: usize, Wrapping(result): W) -> W {
        let size = result.abs() + self.correction[at];
        // 14 bits by 16.
        let times = size.wrapping_mul(self.reciprocal[at]) >> (self.shift[at] & 31);
        let sign = result >> 31;
        Wrapping(((times ^ sign) - sign).wrapping_mul(self.step[at]))
    }
}

/// Does to a plane what encoding it with a quantization table, row by row, and decoding it does.
pub fn requantize(plane: &mut Plane, table: &[u8; 64]) {
    by(Processor::this(), plane, table);
}

fn by(processor: Processor, plane: &mut Plane, table: &[u8; 64]) {
    if plane.width == 0 {
        return;
    }
    let steps = Steps::new(table);
    let mut blocks = [[0; WIDTH]; 8];
    let mut between = [[[Wrapping(0); LANES]; 8]; 8];
    for rows in plane.samples.chunks_mut(8 * plane.width) {
        for left in (0..plane.width).step_by(WIDTH) {
            gather(rows, plane.width, left, &mut blocks);
            processor.run(Through(&mut blocks, &steps, &mut between));
            for (row, samples) in rows.chunks_mut(plane.width).zip(&blocks) {
                let row = &mut row[left..];
                let count = row.len().min(WIDTH);
                row[..count].copy_from_slice(&samples[..count]);
            }
        }
    }
}

/// Copies the blocks from column `left` on. The last column and the last row fill blocks up, as in libjpeg-turbo.
fn gather(rows: &[u8], width: usize, left: usize, blocks: &mut Blocks) {
    let mut last = 0;
    for (index, row) in rows.chunks(width).enumerate() {
        let row = &row[left..];
        let count = row.len().min(WIDTH);
        blocks[index][..count].copy_from_slice(&row[..count]);
        blocks[index][count..].fill(row[count - 1]);
        last = index;
    }
    for index in last + 1..8 {
        blocks[index] = blocks[last];
    }
}

struct Through<'a>(&'a mut Blocks, &'a Steps, &'a mut Between);

impl Work for Through<'_> {
    type Result = ();

    #[inline(always)]
    fn run(self) {
        through(self.0, self.1, self.2);
    }
}

#[inline(always)]
fn through(blocks: &mut Blocks, steps: &Steps, between: &mut Between) {
    for (row, between) in blocks.iter().zip(between.iter_mut()) {
        let words = row.as_chunks::<4>().0;
        for lane in 0..LANES {
            let halves: [u32; 2] = array::from_fn(|at| u32::from_le_bytes(words[lane * 2 + at]));
            let sample = |at: usize| (halves[at / 4] >> (8 * (at % 4)) & 255).cast_signed() - 128;
            let results = forward(array::from_fn(|at| Wrapping(sample(at))), true);
            for column in 0..8 {
                between[column][lane] = results[column];
            }
        }
    }
    for column in 0..8 {
        for lane in 0..LANES {
            let mut results = forward(array::from_fn(|row| between[row][column][lane]), false);
            // Not by `from_fn`, which would be called then.
            for row in 0..8 {
                results[row] = steps.round(row * 8 + column, results[row]);
            }
            let results = eight(results, 11);
            for row in 0..8 {
                between[row][column][lane] = results[row];
            }
        }
    }
    for (row, between) in blocks.iter_mut().zip(between.iter()) {
        let words = row.as_chunks_mut::<4>().0;
        for lane in 0..LANES {
            let results = eight(array::from_fn(|column| between[column][lane]), 18);
            for at in 0..2 {
                let sample = |index: usize| saturated(results[at * 4 + index]) << (8 * index);
                let word = sample(0) | sample(1) | sample(2) | sample(3);
                words[lane * 2 + at] = word.to_le_bytes();
            }
        }
    }
}

/// One direction of the transform; the first leaves two bits more, which the second takes off.
#[inline(always)]
fn forward(x: [W; 8], first: bool) -> [W; 8] {
    let sums: [W; 4] = array::from_fn(|at| x[at] + x[7 - at]);
    let [fourth, third, second, first_odd]: [W; 4] = array::from_fn(|at| x[3 - at] - x[4 + at]);
    let (outer, inner) = (sums[0] + sums[3], sums[1] + sums[2]);
    let (outer_odd, inner_odd) = (sums[0] - sums[3], sums[1] - sums[2]);
    let shift = if first { 11 } else { 15 };
    let plain = |sum: W| {
        if first {
            sum << 2
        } else {
            (sum + half(2)) >> 2
        }
    };
    let common = (outer_odd + inner_odd) * Wrapping(4433) + half(shift);
    // `fourth` to `first_odd` are tmp4 to tmp7 of libjpeg.
    let sum = (fourth + second + third + first_odd) * Wrapping(9633) + half(shift);
    let z1 = (fourth + first_odd) * Wrapping(-7373);
    let z2 = (third + second) * Wrapping(-20995);
    let z3 = (fourth + second) * Wrapping(-16069) + sum;
    let z4 = (third + first_odd) * Wrapping(-3196) + sum;
    [
        plain(outer + inner),
        (first_odd * Wrapping(12299) + z1 + z4) >> shift,
        (common + outer_odd * Wrapping(6270)) >> shift,
        (second * Wrapping(25172) + z2 + z3) >> shift,
        plain(outer - inner),
        (third * Wrapping(16819) + z2 + z4) >> shift,
        (common - inner_odd * Wrapping(15137)) >> shift,
        (fourth * Wrapping(2446) + z1 + z3) >> shift,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::planes::{Planes, Sampling};
    use super::*;

    #[test]
    fn rounds_to_the_nearest_step() {
        for step in 1..=255 {
            let steps = Steps::new(&[step; 64]);
            let (step, divisor) = (i32::from(step), i32::from(step) * 8);
            for result in -9000..=9000_i32 {
                let size = (result.abs() + divisor / 2) / divisor;
                let expected = size * result.signum() * step;
                let found = steps.round(63, Wrapping(result)).0;
                assert_eq!(found, expected, "{result} by {step}");
            }
        }
    }

    #[test]
    fn every_processor_makes_the_same() {
        let mut planes = [Planes::default(), Planes::default()];
        for planes in &mut planes {
            planes.allocate(Sampling::Grey, 301, 43);
            let mut state = 7_u32;
            for sample in &mut planes.used_mut()[0].samples {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                [*sample, ..] = state.to_be_bytes();
            }
        }
        let [plain, fast] = &mut planes;
        for (step, processor) in [(3, Processor::PLAIN), (90, Processor::this())] {
            by(Processor::PLAIN, &mut plain.used_mut()[0], &[step; 64]);
            by(processor, &mut fast.used_mut()[0], &[step; 64]);
            let both = [&plain, &fast].map(|planes| &planes.used()[0].samples);
            assert!(both[0] == both[1], "{processor:?}");
        }
    }
}
