//! Look-up tables for the codes of a component: what the next ten bits mean, value included.
//!
//! An entry holds two symbols with their values where ten bits hold both, and a DC symbol is joined
//! with the AC symbol behind it. What does not fit is an escape. Nine or eleven bits, tables that
//! skip what a small scale does not want, and values that are computed were all tried and slower.

use super::codes::{Code, Codes, Spec};

/// Bits that an entry is looked up by.
pub const BITS: u32 = 10;
const SIZE: usize = 1 << BITS;

/// Blocks side by side, coefficient by coefficient.
pub const LANES: usize = 16;

/// Coefficients that the end of a block advances by: more than a block has.
const END: u32 = 257;
/// The advance of an escape, which no other has.
const ESCAPE: u32 = 128;

/// The largest symbols of samples of 8 bits: bits of a value.
const LARGEST_DC: u8 = 11;
pub const LARGEST_AC: u32 = 10;

type Table = [Entry; SIZE];

/// From the lowest bit on: 8 bits, how many to consume; 8, where the first value goes; 9, where the
/// second goes; 7, the second value; 16, the first value, or the code of an escape; 16, the advance.
/// Places and advances are coefficients times `LANES`.
#[derive(Debug, Clone, Copy)]
pub struct Entry(u64);

/// Where a value goes, and the value.
#[derive(Clone, Copy)]
struct Put {
    at: u32,
    value: i32,
}

impl Entry {
    fn new(bits: u32, first: Put, second: Put, advance: u32) -> Self {
        let lanes = LANES.trailing_zeros();
        Self(
            u64::from(bits)
                | u64::from(first.at) << (8 + lanes)
                | u64::from(second.at) << (16 + lanes)
                | u64::from(low(second.value, 7)) << 25
                | u64::from(low(first.value, 16)) << 32
                | u64::from(advance) << (48 + lanes),
        )
    }

    /// A code that is to be looked at alone; of more than `BITS` bits if there is none.
    fn escape(code: Option<Code>) -> Self {
        let known = code.filter(|code| code.bits <= BITS);
        let code = known.map_or(0, |code| code.bits << 8 | u32::from(code.symbol));
        Self(u64::from(code) << 32 | u64::from(ESCAPE) << (48 + LANES.trailing_zeros()))
    }

    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0 as u32 & 0xff
    }

    #[inline(always)]
    pub fn first(self) -> (usize, i16) {
        ((self.0 >> 8) as usize & 0xff, (self.0 >> 32) as i16)
    }

    #[inline(always)]
    pub fn second(self) -> (usize, i16) {
        (
            (self.0 >> 16) as usize & 0x1ff,
            (self.0 as i32 >> 25) as i16,
        )
    }

    #[inline(always)]
    pub fn advance(self) -> usize {
        (self.0 >> 48) as usize
    }

    #[inline(always)]
    pub fn escapes(self) -> bool {
        self.advance() == ESCAPE as usize * LANES
    }

    /// The code of an escape, if the bits hold it.
    #[inline(always)]
    pub fn code(self) -> Option<Code> {
        let bits = (self.0 >> 40) as u32 & 31;
        let symbol = (self.0 >> 32) as u8;
        (bits != 0).then_some(Code { bits, symbol })
    }
}

fn low(value: i32, bits: u32) -> u32 {
    value.cast_unsigned() & ((1 << bits) - 1)
}

/// `size` bits of the front behind `before` others, as the value that JPEG means by them.
#[inline(always)]
pub fn value(front: u64, before: u32, size: u32) -> i32 {
    let bits = front << (before & 63);
    let plain = (bits >> 1 >> ((63 - size) & 63)) as i32;
    // A leading zero stands for a negative value.
    let negative = !((bits.cast_signed() >> 63) as i32);
    plain + (negative & ((-1 << (size & 31)) + 1))
}

/// What a component's codes mean.
#[derive(Debug, Clone)]
pub struct Tables {
    pub dc: Table,
    pub ac: Table,
    pub dc_codes: Codes,
    pub ac_codes: Codes,
    /// What they were made from; `None` before the first.
    made_from: Option<(Spec, Spec)>,
}

impl Tables {
    pub const NONE: Self = Self {
        dc: [Entry(0); SIZE],
        ac: [Entry(0); SIZE],
        dc_codes: Codes::NONE,
        ac_codes: Codes::NONE,
        made_from: None,
    };

    /// Makes the tables; most pictures have those of the one before.
    pub fn make(&mut self, dc: &Spec, ac: &Spec) -> Option<()> {
        if self.made_from.as_ref() == Some(&(*dc, *ac)) {
            return Some(());
        }
        self.made_from = None;
        if dc.largest() > LARGEST_DC {
            return None;
        }
        self.dc_codes = Codes::new(dc)?;
        self.ac_codes = Codes::new(ac)?;
        let mut fronts = [None; SIZE];
        for (front, code) in (0..).zip(&mut fronts) {
            *code = self.ac_codes.find(front << (16 - BITS));
        }
        for (front, (dc, ac)) in (0..).zip(self.dc.iter_mut().zip(&mut self.ac)) {
            let code = self.dc_codes.find(front << (16 - BITS));
            *dc = dc_entry(front, code, &fronts);
            *ac = ac_entry(front, &fronts);
        }
        self.made_from = Some((*dc, *ac));
        Some(())
    }
}

/// An AC symbol that the bits hold with its value.
struct Symbol {
    /// Of the code, and of the code and the value.
    code: u32,
    all: u32,
    run: u32,
    size: u32,
    ends: bool,
}

/// The AC symbol behind the first `used` bits.
fn symbol(front: u32, used: u32, fronts: &[Option<Code>; SIZE]) -> Option<Symbol> {
    let index = (front << used) as usize & (SIZE - 1);
    let Code { bits, symbol } = fronts[index]?;
    let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    let known = size != 0 || run == 0 || run == 15;
    let all = used + bits + size;
    (known && all <= BITS && size <= LARGEST_AC).then_some(Symbol {
        code: used + bits,
        all,
        run,
        size,
        ends: size == 0 && run == 0,
    })
}

/// An entry for a value that goes to `first`, `advance` coefficients, and the AC symbol behind it.
fn joined(front: u32, used: u32, first: Put, advance: u32, fronts: &[Option<Code>; SIZE]) -> Entry {
    let none = Put {
        at: advance,
        value: 0,
    };
    match symbol(front, used, fronts) {
        Some(next) if next.ends => Entry::new(next.all, first, none, advance + END),
        // 7 bits hold the value.
        Some(next) if next.size < 7 => {
            let second = Put {
                at: advance + next.run,
                value: value(leftmost(front), next.code, next.size),
            };
            Entry::new(next.all, first, second, advance + next.run + 1)
        }
        _ => Entry::new(used, first, none, advance),
    }
}

fn dc_entry(front: u32, code: Option<Code>, fronts: &[Option<Code>; SIZE]) -> Entry {
    let Some(Code { bits, symbol }) = code else {
        return Entry::escape(None);
    };
    let size = u32::from(symbol);
    if bits + size > BITS {
        return Entry::escape(code);
    }
    let value = value(leftmost(front), bits, size);
    joined(front, bits + size, Put { at: 0, value }, 1, fronts)
}

fn ac_entry(front: u32, fronts: &[Option<Code>; SIZE]) -> Entry {
    match symbol(front, 0, fronts) {
        None => Entry::escape(fronts[front as usize]),
        Some(only) if only.ends => {
            let none = Put { at: 0, value: 0 };
            Entry::new(only.all, none, none, END)
        }
        Some(one) => {
            let first = Put {
                at: one.run,
                value: value(leftmost(front), one.code, one.size),
            };
            joined(front, one.all, first, one.run + 1, fronts)
        }
    }
}

fn leftmost(front: u32) -> u64 {
    u64::from(front) << (64 - BITS)
}
