//! Huffman codes of a JPEG (ITU T.81 annex C): a table as it is stored, and its codes from the
//! shortest to the longest.

/// Bits of the longest code.
pub const LONGEST: u32 = 16;

/// A table as a DHT segment has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// How many codes have 1, 2, … 16 bits.
    counts: [u8; 16],
    /// What the codes mean, the shortest first; zeros behind the last.
    symbols: [u8; 256],
}

impl Spec {
    /// Reads a table; returns what follows it too.
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = bytes.split_first_chunk()?;
        let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
        let mut symbols = [0; 256];
        symbols
            .get_mut(..total)?
            .copy_from_slice(rest.get(..total)?);
        let spec = Self {
            counts: *counts,
            symbols,
        };
        Some((spec, &rest[total..]))
    }

    /// The largest symbol.
    pub fn largest(&self) -> u8 {
        self.symbols.iter().copied().max().unwrap_or(0)
    }
}

/// A code that was found: bits and symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub bits: u32,
    pub symbol: u8,
}

/// A table that is ready to be searched.
#[derive(Debug, Clone)]
pub struct Codes {
    /// For each length, the first 16 bits that belong to a longer code.
    limits: [u32; 17],
    /// For each length, what leads from a code to its symbol.
    offsets: [u32; 17],
    symbols: [u8; 256],
}

impl Codes {
    pub const NONE: Self = Self {
        limits: [0; 17],
        offsets: [0; 17],
        symbols: [0; 256],
    };

    /// `None` for tables that libjpeg refuses: with more codes than fit, or one of nothing but ones.
    pub fn new(spec: &Spec) -> Option<Self> {
        let mut codes = Self {
            symbols: spec.symbols,
            ..Self::NONE
        };
        let (mut code, mut total) = (0_u32, 0_u32);
        for (bits, &count) in (1..).zip(&spec.counts) {
            let index = bits as usize;
            codes.offsets[index] = total.wrapping_sub(code);
            code += u32::from(count);
            total += u32::from(count);
            if count > 0 && code >= 1 << bits {
                return None;
            }
            codes.limits[index] = code << (LONGEST - bits);
            code <<= 1;
        }
        Some(codes)
    }

    /// The code at the front of these 16 bits.
    pub fn find(&self, front: u32) -> Option<Code> {
        let bits = (1..=LONGEST).find(|&bits| front < self.limits[bits as usize])?;
        let at = (front >> (LONGEST - bits)).wrapping_add(self.offsets[bits as usize]);
        let symbol = *self.symbols.get(usize::try_from(at).ok()?)?;
        Some(Code { bits, symbol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(counts: &[u8], symbols: &[u8]) -> Option<Spec> {
        let mut bytes = vec![0; 16];
        bytes[..counts.len()].copy_from_slice(counts);
        bytes.extend(symbols);
        Spec::read(&bytes).map(|(spec, _)| spec)
    }

    #[test]
    fn codes_are_found_by_their_front() {
        // 0, 10, 110.
        let codes = Codes::new(&spec(&[1, 1, 1], &[7, 8, 9]).unwrap()).unwrap();
        for (front, expected) in [
            (0x0000, Some((1, 7))),
            (0x7fff, Some((1, 7))),
            (0x8000, Some((2, 8))),
            (0xbfff, Some((2, 8))),
            (0xc000, Some((3, 9))),
            (0xe000, None),
            (0xffff, None),
        ] {
            let expected = expected.map(|(bits, symbol)| Code { bits, symbol });
            assert_eq!(codes.find(front), expected, "{front:#x}");
        }
    }

    #[test]
    fn what_libjpeg_refuses_is_no_table() {
        for (counts, symbols) in [
            (&[3][..], &[1, 2, 3][..]),
            // All ones.
            (&[2], &[1, 2]),
            (&[1, 2], &[1, 2, 3]),
        ] {
            assert!(
                Codes::new(&spec(counts, symbols).unwrap()).is_none(),
                "{counts:?}"
            );
        }
        assert_eq!(spec(&[1, 1], &[1]), None);
        assert_eq!(spec(&[0, 0, 0, 0, 0, 0, 0, 0, 255, 255], &[1; 510]), None);
    }
}
