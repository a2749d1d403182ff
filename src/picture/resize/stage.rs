//! How far a plane is scaled: rows of the source come in, and rows of the output go out as soon as all rows under the
//! filter are there.

use std::ops::Range;

use super::super::convolve::{Rows, SIDE, convolve};
use super::super::filter::Weights;
use super::super::orient::Turn;
use super::super::planes::Plane;
use super::super::processor::Processor;
use super::super::transpose::{Flips, transpose};

/// Rows more than one strip of the output needs, so that what is kept need not be moved for each.
pub const SPARE: usize = 32;

/// Rows that are kept below the first that the next row of the output needs: where zeros were left out, the one
/// behind it may need a row before.
pub const SLACK: usize = 2;

/// Both weights of a plane.
pub type By<'a> = (Processor, [&'a Weights; 2]);

/// Strips that have been turned over, before and after they are scaled.
#[derive(Debug, Default)]
pub struct Shared {
    columns: Vec<u8>,
    scaled: Vec<u8>,
}

/// How far a plane is.
#[derive(Debug, Default)]
pub struct Stage {
    pub turn: Turn,
    /// Samples of the source, as it is stored.
    width: usize,
    height: usize,
    /// The weights along a stored row and down a stored column.
    pub across: usize,
    pub down: usize,
    /// Rows of the source that come in one go.
    pub at_once: usize,
    /// Rows of the output, as it is stored, that are made.
    made: usize,
    /// Rows that wait until there is a strip of them.
    lines: Vec<u8>,
    waiting: usize,
    /// Rows that are scaled along, where that comes first.
    narrow: Vec<u8>,
    there: Range<usize>,
    /// The output as it is stored, if it is to be turned.
    pub turned: Vec<u8>,
}

impl Shared {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        self.columns.capacity() + self.scaled.capacity()
    }
}

impl Stage {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        self.lines.capacity() + self.narrow.capacity() + self.turned.capacity()
    }

    pub fn start(&mut self, from: &Plane, turn: Turn, slot: usize) {
        (self.width, self.height) = (from.width, from.height);
        (self.across, self.down) = if turn.transpose {
            (slot + 1, slot)
        } else {
            (slot, slot + 1)
        };
        self.turn = turn;
        (self.made, self.waiting, self.there) = (0, 0, 0..0);
        self.lines.resize(SIDE * self.width, 0);
    }

    /// The rows of a source whose columns have become rows.
    fn turned_over<'s>(&self, columns: &'s [u8]) -> Rows<'s> {
        Rows {
            samples: columns,
            width: SIDE,
            first: 0,
            count: self.width,
            flipped: self.turn.flip_x,
        }
    }

    /// The rows, of so many samples, from number `first` on.
    fn rows<'s>(&self, samples: &'s [u8], width: usize, first: usize) -> Rows<'s> {
        Rows {
            samples,
            width,
            first,
            count: self.height,
            flipped: self.turn.flip_y,
        }
    }

    /// The first row that is still needed.
    pub fn low(&self, down: &Weights) -> usize {
        if self.turn.transpose {
            return self.there.end;
        }
        let rows = self.rows(&[], 0, 0);
        span(down, &rows, self.made + self.waiting).map_or(self.height, |span| span.start)
    }

    pub fn down_first(
        &mut self,
        (processor, [across, down]): By<'_>,
        samples: &[u8],
        rows: Range<usize>,
        shared: &mut Shared,
        (to, stride): (&mut [u8], usize),
    ) {
        let width = self.width;
        while let Some(needed) = span(down, &self.rows(&[], 0, 0), self.made + self.waiting) {
            if needed.end > rows.end {
                return;
            }
            let from = self.rows(samples, width, rows.start);
            let row = self.made + self.waiting;
            let mut lines = std::mem::take(&mut self.lines);
            let line = &mut lines[self.waiting * width..][..width];
            convolve(processor, down, &from, row, line);
            self.waiting += 1;
            if self.waiting == SIDE || row + 1 == down.len() {
                let to = &mut to[self.made * stride..];
                let strip = (&lines[..], self.waiting);
                self.along((processor, across), strip, shared, (to, stride));
                self.made += self.waiting;
                self.waiting = 0;
            }
            self.lines = lines;
        }
    }

    pub fn along_first(
        &mut self,
        (processor, [across, down]): By<'_>,
        samples: &[u8],
        rows: Range<usize>,
        shared: &mut Shared,
        (to, stride): (&mut [u8], usize),
    ) {
        let narrow = across.len();
        let room = down.longest() + SLACK + SPARE + SIDE;
        self.narrow.resize(room * narrow, 0);
        while self.there.end < rows.end {
            let count = SIDE.min(rows.end - self.there.end);
            if count < SIDE && rows.end < self.height {
                return;
            }
            let part = &samples[(self.there.end - rows.start) * self.width..];
            let part = &part[..count * self.width];
            let mut lines = std::mem::take(&mut self.lines);
            let strip = if count < SIDE {
                lines[..part.len()].copy_from_slice(part);
                &lines[..]
            } else {
                part
            };
            let mut room = std::mem::take(&mut self.narrow);
            let at = self.there.len() * narrow;
            let by = (processor, across);
            self.along(by, (strip, count), shared, (&mut room[at..], narrow));
            (self.lines, self.narrow) = (lines, room);
            self.there.end += count;
            while let Some(needed) = span(down, &self.rows(&[], 0, 0), self.made) {
                if needed.end > self.there.end {
                    break;
                }
                let from = self.rows(&self.narrow, narrow, self.there.start);
                let to = &mut to[self.made * stride..][..narrow];
                convolve(processor, down, &from, self.made, to);
                self.made += 1;
            }
            self.forget(down, narrow);
        }
    }

    /// Drops rows that are scaled along and not needed any more, when there is no room for another strip.
    fn forget(&mut self, down: &Weights, narrow: usize) {
        if (self.there.len() + SIDE) * narrow <= self.narrow.len() {
            return;
        }
        let needed = span(down, &self.rows(&[], 0, 0), self.made);
        let low = needed.map_or(self.there.end, |span| span.start);
        let low = low.clamp(self.there.start, self.there.end);
        let part = (low - self.there.start) * narrow..self.there.len() * narrow;
        self.narrow.copy_within(part, 0);
        self.there.start = low;
    }

    /// Scales a strip along its rows. Down the columns whole rows are added up in vector registers, along a row
    /// single samples would have to be gathered. So it is turned over and back again.
    fn along(
        &self,
        (processor, across): (Processor, &Weights),
        (strip, count): (&[u8], usize),
        shared: &mut Shared,
        (to, stride): (&mut [u8], usize),
    ) {
        let Shared { columns, scaled } = shared;
        let (width, narrow) = (self.width, across.len());
        columns.resize(SIDE * width.max(narrow), 0);
        scaled.resize(SIDE * narrow, 0);
        let flips = Flips::default();
        transpose(strip, width, flips, columns, SIDE);
        let from = self.turned_over(&columns[..SIDE * width]);
        convolve(processor, across, &from, 0, scaled);
        if count == SIDE {
            transpose(scaled, SIDE, flips, to, stride);
            return;
        }
        transpose(scaled, SIDE, flips, columns, narrow);
        for (to, from) in to
            .chunks_mut(stride)
            .zip(columns.chunks_exact(narrow))
            .take(count)
        {
            to[..narrow].copy_from_slice(from);
        }
    }
}

/// The stored rows that a stored row of the output needs.
fn span(weights: &Weights, rows: &Rows<'_>, output: usize) -> Option<Range<usize>> {
    if output >= weights.len() {
        return None;
    }
    let output = if rows.flipped {
        weights.len() - 1 - output
    } else {
        output
    };
    let taps = weights.of(output);
    let ends = [taps.first, taps.first + taps.values.len().max(1) - 1].map(|row| rows.stored(row));
    let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
    Some(low.saturating_sub(SLACK)..high + 1)
}
