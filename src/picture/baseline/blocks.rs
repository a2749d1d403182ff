//! Coded data to coefficients: the loop in which a decoder spends its time.
//!
//! Places are counted in coefficients times `LANES`, since the blocks lie side by side, so that
//! the transform takes all of them at once. A block has 64 coefficients and room for 32 more, where
//! what leads beyond its end does no harm until it is noticed. Places in the whole are masked, so
//! that no write needs a check.

use super::super::processor::Work;
use super::codes::{Code, Codes};
use super::source::{Bits, Data};
use super::tables::{BITS, Entry, LANES, LARGEST_AC, Tables, value};

/// Places from `LANES` blocks to the next ones.
pub const STRIDE: usize = 96 * LANES;
/// Places of ten times `LANES` blocks, rounded up to what a mask needs.
pub const PLACES: usize = 1 << 14;
pub type Coefficients = [i16; PLACES];

/// The place behind a block.
const BEHIND: usize = 64 * LANES;
/// Takes what the end of a block adds to an advance off it again, but for one coefficient.
const WITHIN: usize = 256 * LANES - 1;

/// A block to decode.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    pub tables: &'a Tables,
    /// The place of its first coefficient.
    pub place: usize,
}

/// Blocks to decode, by [`decode`].
pub struct Decode<'a, 't> {
    pub steps: &'a [Step<'t>],
    pub bits: &'a mut Bits,
    pub data: &'a Data,
    pub coefficients: &'a mut Coefficients,
}

impl Work for Decode<'_, '_> {
    type Result = Option<()>;

    #[inline(always)]
    fn run(self) -> Option<()> {
        decode(self.steps, self.bits, self.data, self.coefficients)
    }
}

/// Decodes blocks whose coefficients are all 0, their first ones as differences. `None` if the data
/// say what no encoder writes.
#[inline(always)]
fn decode(
    steps: &[Step<'_>],
    bits: &mut Bits,
    data: &Data,
    coefficients: &mut Coefficients,
) -> Option<()> {
    let mut now = *bits;
    for step in steps {
        let behind = first(step, &mut now, data, coefficients)?;
        if behind < BEHIND {
            others(step, behind, &mut now, data, coefficients)?;
        }
    }
    *bits = now;
    Some(())
}

/// Differences → first coefficients. `owners` are the blocks' components, whose values go on from
/// `previous`.
pub fn sum_up(
    steps: &[Step<'_>],
    owners: &[u8],
    previous: &mut [i16; 4],
    coefficients: &mut Coefficients,
) {
    for (step, owner) in steps.iter().zip(owners) {
        let previous = &mut previous[usize::from(owner & 3)];
        let first = &mut coefficients[step.place & (PLACES - 1)];
        *previous = previous.wrapping_add(*first);
        *first = *previous;
    }
}

#[inline(always)]
fn put(coefficients: &mut Coefficients, place: usize, value: i16) {
    coefficients[place & (PLACES - 1)] = value;
}

/// The first coefficient, and the one behind it if its code is short; returns the next place.
#[inline(always)]
fn first(
    step: &Step<'_>,
    bits: &mut Bits,
    data: &Data,
    coefficients: &mut Coefficients,
) -> Option<usize> {
    bits.refill(data);
    let entry = step.tables.dc[(bits.front >> (64 - BITS)) as usize];
    if entry.escapes() {
        let code = find(entry, bits.front, &step.tables.dc_codes)?;
        let size = u32::from(code.symbol);
        put(
            coefficients,
            step.place,
            value(bits.front, code.bits, size) as i16,
        );
        bits.consume(code.bits + size);
        return Some(LANES);
    }
    write(entry, step.place, coefficients);
    bits.consume(entry.bits());
    Some(entry.advance())
}

#[inline(always)]
fn write(entry: Entry, place: usize, coefficients: &mut Coefficients) {
    let (at, value) = entry.first();
    put(coefficients, place + at, value);
    let (at, value) = entry.second();
    put(coefficients, place + at, value);
}

/// All coefficients from `next` on.
#[inline(always)]
fn others(
    step: &Step<'_>,
    mut next: usize,
    bits: &mut Bits,
    data: &Data,
    coefficients: &mut Coefficients,
) -> Option<()> {
    loop {
        bits.refill(data);
        // So often do the bits last.
        for _ in 0..4 {
            let entry = step.tables.ac[(bits.front >> (64 - BITS)) as usize];
            write(entry, step.place + next, coefficients);
            let behind = next + entry.advance();
            if behind < BEHIND {
                next = behind;
                bits.consume(entry.bits());
                continue;
            }
            if behind & WITHIN <= BEHIND {
                bits.consume(entry.bits());
                return Some(());
            }
            bits.refill(data);
            put(coefficients, step.place + next, 0);
            next = one(step, entry, next, bits, coefficients)?;
            if next >= BEHIND {
                return Some(());
            }
            break;
        }
    }
}

/// One symbol that the tables do not hold, or whose neighbour leads beyond the end.
#[inline(always)]
fn one(
    step: &Step<'_>,
    entry: Entry,
    next: usize,
    bits: &mut Bits,
    coefficients: &mut Coefficients,
) -> Option<usize> {
    let code = match entry.code().filter(|_| entry.escapes()) {
        Some(code) => code,
        None => long(bits.front, &step.tables.ac_codes)?,
    };
    let (run, size) = (usize::from(code.symbol >> 4), u32::from(code.symbol & 15));
    if size == 0 && run == 0 {
        bits.consume(code.bits);
        return Some(BEHIND);
    }
    let at = next + run * LANES;
    if size > LARGEST_AC || size == 0 && run != 15 || at >= BEHIND {
        return None;
    }
    put(
        coefficients,
        step.place + at,
        value(bits.front, code.bits, size) as i16,
    );
    bits.consume(code.bits + size);
    Some(at + LANES)
}

/// The code of an escape.
#[inline(always)]
fn find(entry: Entry, front: u64, codes: &Codes) -> Option<Code> {
    match entry.code() {
        Some(code) => Some(code),
        None => long(front, codes),
    }
}

#[cold]
#[inline(never)]
fn long(front: u64, codes: &Codes) -> Option<Code> {
    codes.find((front >> 48) as u32)
}
