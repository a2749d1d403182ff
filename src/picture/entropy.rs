//! Where the coded data of a sequential Huffman JPEG end: its codes are walked over, nothing is
//! decoded. That a decoder needed nothing behind that place is proved by the place itself, whatever
//! follows.
//!
//! Every code has a bit at least, so a walk takes no more steps than the file has bits.

use super::markers::{DHT, DRI, Frame, Process, RST0, SOF9, SOS, Walk};

/// Coefficients of a block.
const BLOCK: u32 = 64;

/// The place behind the last coded byte of the scan that completes the picture; `None` where the
/// data break off before, are damaged, or are of another process.
pub fn end(jpeg: &[u8]) -> Option<usize> {
    let mut walk = Walk::new(jpeg);
    let mut tables = Tables::default();
    let (mut frame, mut interval) = (None, 0);
    let mut missing: Vec<u8> = Vec::new();
    while let Ok(Some((marker, body))) = walk.segment() {
        match marker {
            DHT => tables.read(body)?,
            DRI => interval = u32::from(u16::from_be_bytes(*body.first_chunk()?)),
            // Arithmetic codes.
            SOF9 => return None,
            SOS => {
                let (frame, scan) = (frame.as_ref()?, Scan::read(body)?);
                let units = scan.units(frame)?;
                missing.retain(|id| !scan.parts.iter().any(|part| part.id == *id));
                if missing.is_empty() {
                    let coded = Coded {
                        rest: walk.rest(),
                        bits: 0,
                        left: 0,
                    };
                    let behind = coded.pass(&units, &tables, interval)?;
                    return jpeg.len().checked_sub(behind);
                }
                walk.pass_scan().ok()?;
            }
            _ => match Frame::of(marker, body) {
                Some(found) if found.process == Process::Sequential && frame.is_none() => {
                    missing = found.described().map(|(id, _)| id).collect();
                    frame = Some(found);
                }
                Some(_) => return None,
                None => {}
            },
        }
    }
    None
}

/// A Huffman table (T.81 F.2.2.3).
#[derive(Default)]
struct Table {
    /// For each length, the first code of it, the first code that is none of it any more, and the
    /// place of its first value.
    lengths: [(u32, u32, usize); 16],
    values: Vec<u8>,
}

/// For DC and AC, by their numbers.
#[derive(Default)]
struct Tables([[Table; 4]; 2]);

impl Tables {
    fn read(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&number, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let table = self.0.get_mut(usize::from(number >> 4))?;
            let table = table.get_mut(usize::from(number & 15))?;
            let (mut code, mut place) = (0_u32, 0);
            for (length, count) in table.lengths.iter_mut().zip(counts) {
                *length = (code, code + u32::from(*count), place);
                code = (code + u32::from(*count)) << 1;
                place += usize::from(*count);
            }
            let (values, rest) = rest.split_at_checked(place)?;
            table.values = values.to_vec();
            body = rest;
        }
        Some(())
    }

    fn find(&self, class: usize, number: u8) -> Option<&Table> {
        self.0.get(class)?.get(usize::from(number))
    }
}

/// A component of a scan, with the numbers of its tables.
struct Part {
    id: u8,
    dc: u8,
    ac: u8,
}

struct Scan {
    parts: Vec<Part>,
}

/// How many units a scan has, and the parts of each: blocks of a part in a unit.
struct Units {
    count: u64,
    blocks: Vec<(u32, Part)>,
}

impl Scan {
    fn read(body: &[u8]) -> Option<Self> {
        let (&count, rest) = body.split_first()?;
        let parts = rest.get(..usize::from(count) * 2)?.chunks_exact(2);
        let parts = parts.map(|part| Part {
            id: part[0],
            dc: part[1] >> 4,
            ac: part[1] & 15,
        });
        Some(Self {
            parts: parts.collect(),
        })
    }

    /// T.81 A.2: a scan of one component has just the blocks that touch the picture.
    fn units(&self, frame: &Frame<'_>) -> Option<Units> {
        let (width, height) = frame.size().filter(|size| size.1 > 0)?;
        let factors = || frame.described().map(|(_, factors)| factors);
        let most_across = factors().map(|factors| u32::from(factors.0)).max()?.max(1);
        let most_down = factors().map(|factors| u32::from(factors.1)).max()?.max(1);
        let alone = self.parts.len() == 1;
        let (mut across, mut down) = (most_across, most_down);
        let mut blocks = Vec::new();
        for &Part { id, dc, ac } in &self.parts {
            let mut described = frame.described();
            let (_, (h, v)) = described.find(|(described, _)| *described == id)?;
            let (h, v) = (u32::from(h), u32::from(v));
            if h * v == 0 {
                return None;
            }
            let part = Part { id, dc, ac };
            if alone {
                blocks.push((1, part));
                (across, down) = (h, v);
            } else {
                blocks.push((h * v, part));
            }
        }
        let units = |side: u32, factor: u32, most: u32| {
            let blocks = if alone {
                (side * factor).div_ceil(most).div_ceil(8)
            } else {
                side.div_ceil(most * 8)
            };
            u64::from(blocks)
        };
        let count = units(width, across, most_across) * units(height, down, most_down);
        Some(Units { count, blocks })
    }
}

/// Entropy-coded data, from bit to bit.
struct Coded<'a> {
    rest: &'a [u8],
    bits: u8,
    /// Bits of the last byte that are still to come.
    left: u32,
}

impl Coded<'_> {
    /// Walks over all units; returns how many bytes follow.
    fn pass(mut self, units: &Units, tables: &Tables, interval: u32) -> Option<usize> {
        let (mut until, mut restart) = (interval, 0);
        for unit in 0..units.count {
            if interval > 0 && until == 0 && unit > 0 {
                self.pass_restart(restart)?;
                (until, restart) = (interval, (restart + 1) % 8);
            }
            until = until.saturating_sub(1);
            for (blocks, part) in &units.blocks {
                let (dc, ac) = (tables.find(0, part.dc)?, tables.find(1, part.ac)?);
                for _ in 0..*blocks {
                    self.pass_block(dc, ac)?;
                }
            }
        }
        Some(self.rest.len())
    }

    fn pass_restart(&mut self, number: u8) -> Option<()> {
        self.left = 0;
        let fill = self.rest.iter().take_while(|byte| **byte == 0xff).count();
        let (marker, rest) = self.rest.get(fill..)?.split_first()?;
        self.rest = rest;
        (fill > 0 && *marker == RST0 + number).then_some(())
    }

    fn pass_block(&mut self, dc: &Table, ac: &Table) -> Option<()> {
        let length = self.value(dc)?;
        self.pass_bits(length.min(16))?;
        let mut coefficient = 1;
        while coefficient < BLOCK {
            let value = self.value(ac)?;
            let (run, length) = (u32::from(value >> 4), value & 15);
            match (run, length) {
                (15, 0) => coefficient += 16,
                (_, 0) => return Some(()),
                _ => coefficient += run + 1,
            }
            self.pass_bits(length)?;
        }
        (coefficient == BLOCK).then_some(())
    }

    fn value(&mut self, table: &Table) -> Option<u8> {
        let mut code = 0;
        for (first, end, place) in table.lengths {
            code = code << 1 | u32::from(self.bit()?);
            if code < end && code >= first {
                let place = place + usize::try_from(code - first).ok()?;
                return table.values.get(place).copied();
            }
        }
        None
    }

    fn pass_bits(&mut self, count: u8) -> Option<()> {
        for _ in 0..count {
            self.bit()?;
        }
        Some(())
    }

    fn bit(&mut self) -> Option<u8> {
        if self.left == 0 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = if byte == 0xff {
                // A marker ends the data.
                rest.strip_prefix(&[0])?
            } else {
                rest
            };
            (self.bits, self.left) = (byte, 8);
        }
        self.left -= 1;
        Some(self.bits >> self.left & 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::jpeg;
    use super::*;

    #[test]
    fn coded_data_end_where_the_end_marker_stands() {
        use turbojpeg::Subsamp;
        for sampling in [
            Subsamp::None,
            Subsamp::Sub2x1,
            Subsamp::Sub2x2,
            Subsamp::Sub1x2,
            Subsamp::Sub4x1,
            Subsamp::Gray,
        ] {
            for (width, height) in [(1, 1), (16, 16), (131, 97), (40, 333)] {
                let whole = jpeg(width, height, sampling);
                let expected = whole.len() - 2;
                let what = format!("{width}×{height} {sampling:?}");
                assert_eq!(end(&whole), Some(expected), "{what}");
                assert_eq!(end(&whole[..expected]), Some(expected), "{what}");
                assert_eq!(end(&whole[..expected - 1]), None, "{what}");
            }
        }
    }

    #[test]
    fn breaking_off_anywhere_is_no_end() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        for length in (0..whole.len() - 2).step_by(7) {
            assert_eq!(end(&whole[..length]), None, "{length}");
        }
    }

    /// A grey picture of 16×8 pixels: two blocks of nothing but a code of two bits each for DC and
    /// for the end of the block, with a restart marker between them.
    #[test]
    fn restarts_are_passed() {
        let mut jpeg =
            b"\xff\xd8\xff\xdd\0\x04\0\x01\xff\xc0\0\x0b\x08\0\x08\0\x10\x01\x01\x11\0".to_vec();
        for class in [0, 0x10] {
            jpeg.extend(b"\xff\xc4\0\x14");
            jpeg.push(class);
            jpeg.extend([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        jpeg.extend(b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x0f\xff\xd0\x0f");
        let expected = jpeg.len();
        jpeg.extend(b"\xff\xff trailer \xff\xd8");
        assert_eq!(end(&jpeg), Some(expected));
        let marker = expected - 2;
        jpeg[marker] = 0xd1;
        assert_eq!(end(&jpeg), None, "another restart than the next");
    }
}
