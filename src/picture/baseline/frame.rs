//! What stands before the coded data, read strictly: whatever is not plain is `None`.

use super::super::markers::{APP0, COM, DHT, DQT, DRI, SOF0, SOF1, SOS, Walk};
use super::codes::Spec;

/// The last marker of its kind.
const APP15: u8 = APP0 + 15;

#[derive(Debug, Clone, Copy, Default)]
pub struct Component {
    id: u8,
    /// Blocks of it in an MCU, across and down.
    pub across: usize,
    pub down: usize,
    quantizer: usize,
}

/// The frame header, and the tables that are in force.
#[derive(Debug)]
pub struct Frame {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    /// 1 or 3; the first has the most blocks, the others one.
    pub count: usize,
    components: [Component; 3],
    /// In zigzag order.
    quantizers: [Option<[u8; 64]>; 4],
    dc: [Option<Spec>; 4],
    ac: [Option<Spec>; 4],
    /// MCUs from a restart to the next; 0: none.
    pub interval: usize,
}

/// A component's part in a scan.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub component: usize,
    pub dc: &'a Spec,
    pub ac: &'a Spec,
    pub quantizer: &'a [u8; 64],
}

impl Frame {
    /// Reads up to the first scan; returns the body of its header too.
    pub fn read<'a>(walk: &mut Walk<'a>) -> Option<(Self, &'a [u8])> {
        let mut frame = Self {
            width: 0,
            height: 0,
            count: 0,
            components: Default::default(),
            quantizers: [None; 4],
            dc: [None; 4],
            ac: [None; 4],
            interval: 0,
        };
        let scan = frame.go_on(walk)?;
        Some((frame, scan))
    }

    /// Reads up to the next scan, and returns the body of its header.
    pub fn go_on<'a>(&mut self, walk: &mut Walk<'a>) -> Option<&'a [u8]> {
        loop {
            // The walk passes over what libjpeg warns of, and over segments whose length is
            // impossible, most of which libjpeg refuses.
            let before = walk.rest();
            let (marker, body) = walk.segment().ok()??;
            if !before.starts_with(&[0xff, marker])
                || before.len() - walk.rest().len() != 4 + body.len()
            {
                return None;
            }
            match marker {
                SOS => return (self.count > 0).then_some(body),
                SOF0 | SOF1 => self.start(body)?,
                DHT => self.codes(body)?,
                DQT => self.quantize(body)?,
                DRI => self.interval = usize::from(u16::from_be_bytes(body.try_into().ok()?)),
                APP0..=APP15 | COM => {}
                _ => return None,
            }
        }
    }

    fn start(&mut self, body: &[u8]) -> Option<()> {
        let &[8, h1, h0, w1, w0, count, ref described @ ..] = body else {
            return None;
        };
        self.width = usize::from(u16::from_be_bytes([w1, w0]));
        self.height = usize::from(u16::from_be_bytes([h1, h0]));
        let known = self.count > 0 || self.width == 0 || self.height == 0;
        self.count = usize::from(count);
        if known || !matches!(count, 1 | 3) || described.len() != 3 * self.count {
            return None;
        }
        for (component, bytes) in self.components.iter_mut().zip(described.chunks_exact(3)) {
            *component = Component {
                id: bytes[0],
                across: usize::from(bytes[1] >> 4),
                down: usize::from(bytes[1] & 15),
                quantizer: usize::from(bytes[2]),
            };
        }
        self.sampled()
    }

    /// Refuses what is sampled in an unusual way.
    fn sampled(&mut self) -> Option<()> {
        let [first, second, third] = &mut self.components;
        if self.count == 1 {
            // Alone, it has one block in an MCU whatever its factors say.
            let usual = (1..=4).contains(&first.across) && (1..=4).contains(&first.down);
            (first.across, first.down) = (1, 1);
            return usual.then_some(());
        }
        let alone = |component: &Component| (component.across, component.down) == (1, 1);
        let usual = matches!((first.across, first.down), (1 | 2, 1 | 2) | (4, 1) | (1, 4));
        (usual && alone(second) && alone(third)).then_some(())
    }

    fn codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&which, rest)) = body.split_first() {
            let tables = if which & 0x10 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            let (spec, rest) = Spec::read(rest)?;
            *tables.get_mut(usize::from(which & !0x10))? = Some(spec);
            body = rest;
        }
        Some(())
    }

    /// Tables of 16 bits, which fine samples do not need, are refused.
    fn quantize(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&which, rest)) = body.split_first() {
            let (steps, rest) = rest.split_first_chunk()?;
            *self.quantizers.get_mut(usize::from(which))? = Some(*steps);
            body = rest;
        }
        Some(())
    }

    /// The parts of a scan, in the order of its header's `body`.
    pub fn parts(&self, body: &[u8]) -> Option<([Option<Part<'_>>; 3], usize)> {
        let (&count, rest) = body.split_first()?;
        let count = usize::from(count);
        let (described, ends) = rest.split_at_checked(2 * count)?;
        if count == 0 || count > self.count || ends != [0, 63, 0] {
            return None;
        }
        let mut parts = [None; 3];
        for (part, bytes) in parts.iter_mut().zip(described.chunks_exact(2)) {
            let used = &self.components[..self.count];
            let mut same = (0..self.count).filter(|&index| used[index].id == bytes[0]);
            let (component, None) = (same.next()?, same.next()) else {
                return None;
            };
            *part = Some(Part {
                component,
                dc: self.dc.get(usize::from(bytes[1] >> 4))?.as_ref()?,
                ac: self.ac.get(usize::from(bytes[1] & 15))?.as_ref()?,
                quantizer: self.quantizers.get(used[component].quantizer)?.as_ref()?,
            });
        }
        Some((parts, count))
    }

    pub fn component(&self, index: usize) -> Component {
        self.components[index]
    }

    /// The most blocks that a component has in an MCU, across and down.
    pub fn most(&self) -> (usize, usize) {
        (self.components[0].across, self.components[0].down)
    }
}
