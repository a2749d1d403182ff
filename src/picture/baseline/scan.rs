//! The blocks of a scan, in groups of `LANES` MCUs: decoded, then transformed.

use std::ptr;

use super::super::planes::{Plane, Planes};
use super::super::processor::{Processor, Work};
use super::blocks::{self, Coefficients, Decode, STRIDE, Step};
use super::frame::{Frame, Part};
use super::sink::Sink;
use super::source::{GROUP, Source};
use super::tables::{LANES, Tables};
use super::transform::{self, Target};

/// Blocks of an MCU, at most, as T.81 has it.
const BLOCKS: usize = GROUP / LANES;

/// A component's blocks in a scan.
struct Share<'a> {
    part: Part<'a>,
    largest: [u16; 64],
    /// Blocks in an MCU.
    across: usize,
    down: usize,
    /// Blocks of the whole plane, without those that only fill up MCUs.
    columns: usize,
    rows: usize,
    /// Which of the tables are its own.
    tables: usize,
    /// Its first batch of coefficients.
    batch: usize,
}

/// What a scan consists of.
pub struct Layout<'a> {
    shares: [Option<Share<'a>>; 3],
    /// Blocks of an MCU.
    blocks: usize,
    /// MCUs of the picture.
    columns: usize,
    rows: usize,
    /// MCUs from a restart to the next.
    interval: usize,
}

/// Where decoding stands.
struct Progress {
    /// The last first coefficient of each component.
    previous: [i16; 4],
    /// MCUs to the next restart.
    left: usize,
    /// Number of the next restart.
    restart: u8,
}

impl<'a> Layout<'a> {
    pub fn of(frame: &'a Frame, header: &[u8]) -> Option<Self> {
        let (parts, count) = frame.parts(header)?;
        let most = frame.most();
        let units = |side: usize, blocks: usize, most: usize| (side * blocks).div_ceil(8 * most);
        let mut layout = Self {
            shares: [const { None }; 3],
            blocks: 0,
            columns: units(frame.width, 1, most.0),
            rows: units(frame.height, 1, most.1),
            interval: if frame.interval == 0 {
                usize::MAX
            } else {
                frame.interval
            },
        };
        for (index, part) in parts.into_iter().flatten().enumerate() {
            let component = frame.component(part.component);
            let columns = units(frame.width, component.across, most.0);
            let rows = units(frame.height, component.down, most.1);
            let (mut across, mut down) = (component.across, component.down);
            if count == 1 {
                // A component alone has a block in an MCU, and nothing that fills up.
                (across, down) = (1, 1);
                (layout.columns, layout.rows) = (columns, rows);
            }
            let same =
                layout.shares.iter().flatten().find(|share| {
                    ptr::eq(share.part.dc, part.dc) && ptr::eq(share.part.ac, part.ac)
                });
            layout.shares[index] = Some(Share {
                largest: transform::largest(part.quantizer),
                across,
                down,
                columns,
                rows,
                tables: same.map_or(index, |share| share.tables),
                batch: layout.blocks,
                part,
            });
            layout.blocks += across * down;
        }
        (layout.blocks <= BLOCKS).then_some(layout)
    }

    /// The components of the scan.
    pub fn components(&self) -> impl Iterator<Item = usize> {
        self.shares
            .iter()
            .flatten()
            .map(|share| share.part.component)
    }

    pub fn make_tables(&self, tables: &mut [Tables; 3]) -> Option<()> {
        for share in self.shares.iter().flatten() {
            tables[share.tables].make(share.part.dc, share.part.ac)?;
        }
        Some(())
    }

    /// The blocks of a group in the order of the data, and whose they are.
    fn steps<'t>(&self, tables: &'t [Tables; 3]) -> ([Step<'t>; GROUP], [u8; GROUP]) {
        let step = Step {
            tables: &tables[0],
            place: 0,
        };
        let (mut steps, mut owners) = ([step; GROUP], [0; GROUP]);
        let mut both = steps.iter_mut().zip(&mut owners);
        for mcu in 0..LANES {
            for (owner, share) in (0..).zip(self.shares.iter().flatten()) {
                for block in 0..share.across * share.down {
                    let lane = mcu * share.across + block % share.across;
                    let row = share.batch + block / share.across * share.across;
                    if let Some((step, whose)) = both.next() {
                        *step = Step {
                            tables: &tables[share.tables],
                            place: (row + lane / LANES) * STRIDE + lane % LANES,
                        };
                        *whose = owner;
                    }
                }
            }
        }
        (steps, owners)
    }

    /// Decodes the scan to planes, and gives each row of MCUs to the sink.
    pub fn decode(
        &self,
        source: &mut Source<'_, '_>,
        tables: &[Tables; 3],
        coefficients: &mut Coefficients,
        (eighths, processor): (usize, Processor),
        (planes, sink): (&mut Planes, &mut dyn Sink),
    ) -> Option<()> {
        // The first row of each plane that is there.
        let mut first = [0; 3];
        let (steps, owners) = self.steps(tables);
        let mut progress = Progress {
            previous: [0; 4],
            left: self.interval,
            restart: 0,
        };
        let used = transform::used(eighths) * LANES;
        for row in 0..self.rows {
            for column in (0..self.columns).step_by(LANES) {
                let count = LANES.min(self.columns - column);
                for batch in coefficients.chunks_exact_mut(STRIDE).take(self.blocks) {
                    batch[..used].fill(0);
                }
                let mut done = 0;
                while done < count {
                    progress.pass_restart(self.interval, source)?;
                    let run = progress.left.min(count - done);
                    let range = done * self.blocks..(done + run) * self.blocks;
                    let (bits, data) = source.ready();
                    let work = Decode {
                        steps: &steps[range.clone()],
                        bits,
                        data,
                        coefficients,
                    };
                    processor.run(work)?;
                    if source.overdrawn() {
                        return None;
                    }
                    let (steps, owners) = (&steps[range.clone()], &owners[range]);
                    blocks::sum_up(steps, owners, &mut progress.previous, coefficients);
                    progress.left -= run;
                    done += run;
                }
                for share in self.shares.iter().flatten() {
                    let planes = planes.used_mut();
                    let plane = planes.get_mut(share.part.component)?;
                    let at = (column, row, count);
                    let plane = (plane, first[share.part.component]);
                    share.render(at, coefficients, (eighths, processor), plane)?;
                }
            }
            for share in self.shares.iter().flatten() {
                let index = share.part.component;
                let plane = planes.used_mut().get_mut(index)?;
                let end = share.pad(eighths, row, row + 1 == self.rows, (plane, first[index]));
                first[index] = sink.take(index, plane, first[index]..end);
            }
        }
        source.finished().then_some(())
    }
}

impl Progress {
    fn pass_restart(&mut self, interval: usize, source: &mut Source<'_, '_>) -> Option<()> {
        if self.left > 0 {
            return Some(());
        }
        if !source.finished() {
            return None;
        }
        source.restart(self.restart)?;
        *self = Self {
            previous: [0; 4],
            left: interval,
            restart: self.restart.wrapping_add(1),
        };
        Some(())
    }
}

/// A batch of coefficients that becomes samples.
struct Render<'a, 't> {
    eighths: usize,
    from: &'a [i16],
    tables: (&'a [u8; 64], &'a [u16; 64]),
    to: &'a mut Target<'t>,
}

impl Work for Render<'_, '_> {
    type Result = Option<()>;

    #[inline(always)]
    fn run(self) -> Option<()> {
        transform::render(self.eighths, self.from, self.tables, self.to)
    }
}

impl Share<'_> {
    /// Makes samples of a group of MCUs: the first one's column and row, and how many they are.
    fn render(
        &self,
        (column, row, count): (usize, usize, usize),
        coefficients: &Coefficients,
        (eighths, processor): (usize, Processor),
        (plane, first): (&mut Plane, usize),
    ) -> Option<()> {
        let end = self.columns.min((column + count) * self.across);
        for batch in 0..self.across * self.down {
            let left = column * self.across + batch % self.across * LANES;
            let top = row * self.down + batch / self.across;
            if left >= end || top >= self.rows {
                continue;
            }
            let start = (top * eighths).checked_sub(first)? * plane.width;
            let Some(rows) = plane.samples.get_mut(start..) else {
                continue;
            };
            let start = (self.batch + batch) * STRIDE;
            let from = coefficients.get(start..start + STRIDE)?;
            let mut to = Target {
                rows,
                width: plane.width,
                left: left * eighths,
                count: LANES.min(end - left),
            };
            let work = Render {
                eighths,
                from,
                tables: (self.part.quantizer, &self.largest),
                to: &mut to,
            };
            processor.run(work)?;
        }
        Some(())
    }

    /// Fills what no block reaches with the samples beside it, in a row of MCUs. Returns how far the plane goes now.
    fn pad(
        &self,
        eighths: usize,
        row: usize,
        last: bool,
        (plane, first): (&mut Plane, usize),
    ) -> usize {
        let (columns, rows) = (self.columns * eighths, self.rows * eighths);
        let end = ((row + 1) * self.down * eighths).min(rows);
        let (width, height) = (plane.width, plane.height);
        let start = row * self.down * eighths;
        if columns < width && columns > 0 {
            for row in start..end.min(height) {
                let row = &mut plane.samples[(row - first) * width..][..width];
                let last = row[columns - 1];
                row[columns..].fill(last);
            }
        }
        if !last {
            return end.min(height);
        }
        for row in end.max(1)..height {
            let last = (row - 1 - first) * width;
            plane.samples.copy_within(last..last + width, last + width);
        }
        height
    }
}
