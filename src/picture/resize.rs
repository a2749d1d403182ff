//! Scales planes to the output size with antialiasing, by Lanczos3 or bicubic, while they are decoded: of a source of any
//! height only the rows under one strip of the output are in memory, and those that the next strip needs again.
//!
//! JPEG chroma samples stand in the middle of the pixels that they cover, so a plane maps onto
//! another by its area alone, whatever the two samplings are.
//!
//! A picture is scaled down its columns first and then along its rows, once it is upright. One that lies on its
//! side when it is stored is scaled the other way round here, and turned when there are fewer samples of it. So the
//! result is the same to the last bit.

mod stage;

use std::ops::Range;

use super::baseline::Sink;
use super::bytes::{sum, times};
use super::convolve::SIDE;
use super::decode::Decoded;
use super::filter::{BICUBIC, Filter, Scale, Weights};
use super::geometry::Task;
use super::orient::{self, turn};
use super::planes::{Plane, Planes, Sampling};
use super::processor::Processor;
use crate::outcome::Step;
use stage::{SLACK, SPARE, Shared, Stage};

/// Bytes that scaling planes takes, without the planes themselves.
pub fn need(task: &Task<'_>, decoded: &Decoded) -> u64 {
    let (width, height) = task.size();
    let filter = Filter::of(&task.geometry);
    let output = u64::from(width.max(height)) + 16;
    let turned = if task.source.orientation == 1 {
        0
    } else {
        task.planes(false)
    };
    // Three planes' lines, strips that are turned over and back, and rows that are scaled along.
    let source = decoded.width.max(decoded.height) + 4;
    let side = source.max(output);
    let strips = times(side, 8 * SIDE as u64);
    let weights = times(filter.need(source, output), 4);
    sum([strips, turned, weights])
}

/// Rows of padding behind those that are coded, at most.
const PADDING: usize = 4;

/// What becomes of planes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How the source is stored.
    pub orientation: u8,
    /// Of the output, if the source has colour.
    pub sampling: Sampling,
    /// The output.
    pub size: (u32, u32),
    /// Luma's. Chroma is bicubic: Lanczos took longer and came no nearer to the full size.
    pub filter: Filter,
}

impl Plan {
    pub fn of(task: &Task<'_>) -> Self {
        Self {
            orientation: task.source.orientation,
            sampling: task.sampling(),
            size: task.size(),
            filter: Filter::of(&task.geometry),
        }
    }
}

/// The buffers of a worker.
#[derive(Debug, Default)]
pub struct Room {
    /// Along a row and down a column, of luma and of chroma.
    weights: [Weights; 4],
    stages: [Stage; 3],
    shared: Shared,
}

impl Room {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        let stages = self.stages.iter().map(Stage::kept);
        let weights = self.weights.iter().map(Weights::kept);
        stages.chain(weights).sum::<usize>() + self.shared.kept()
    }
}

/// Takes the rows of a picture and scales them.
pub struct Scaler<'a> {
    plan: Plan,
    room: &'a mut Room,
    to: &'a mut Planes,
    after_step: &'a mut dyn FnMut(Step),
    processor: Processor,
}

impl<'a> Scaler<'a> {
    pub fn new(
        plan: Plan,
        room: &'a mut Room,
        to: &'a mut Planes,
        after_step: &'a mut dyn FnMut(Step),
    ) -> Self {
        Self {
            plan,
            room,
            to,
            after_step,
            processor: Processor::this(),
        }
    }

    /// Tells of a step.
    pub fn passed(&mut self, step: Step) {
        (self.after_step)(step);
    }

    /// Scales planes that are there as a whole.
    pub fn whole(&mut self, from: &Planes) {
        self.start(from);
        for (index, plane) in from.used().iter().enumerate() {
            self.feed(index, &plane.samples, 0..plane.height);
        }
    }

    fn start(&mut self, from: &Planes) {
        let sampling = match from.sampling {
            Sampling::Grey => Sampling::Grey,
            _ => self.plan.sampling,
        };
        let (width, height) = self.plan.size;
        self.to.allocate(sampling, width, height);
        let filters = [self.plan.filter, BICUBIC, BICUBIC];
        let both = from.used().iter().zip(self.to.used());
        for (index, ((from, to), filter)) in both.zip(filters).enumerate() {
            let slot = index.min(1) * 2;
            let scales = scales(from, to, self.plan.orientation, filter);
            for (weights, scale) in self.room.weights[slot..].iter_mut().zip(scales) {
                weights.make(scale);
            }
            let stage = &mut self.room.stages[index];
            stage.start(from, turn(self.plan.orientation), slot);
        }
    }

    /// Takes rows, the first of which is where `samples` begin.
    fn feed(&mut self, index: usize, samples: &[u8], rows: Range<usize>) {
        let Room {
            weights,
            stages,
            shared,
        } = &mut *self.room;
        let stage = &mut stages[index];
        let both = [&weights[stage.across], &weights[stage.down]];
        let turned = self.plan.orientation != 1;
        let (mut own, plane) = (
            std::mem::take(&mut stage.turned),
            &mut self.to.used_mut()[index],
        );
        let (to, stride) = if turned {
            own.resize(both[0].len() * both[1].len(), 0);
            (&mut own, both[0].len())
        } else {
            (&mut plane.samples, plane.width)
        };
        let by = (self.processor, both);
        if stage.turn.transpose {
            stage.along_first(by, samples, rows, shared, (to, stride));
        } else {
            stage.down_first(by, samples, rows, shared, (to, stride));
        }
        stage.turned = own;
    }

    /// Turns the output upright, and fills its padding.
    pub fn finish(self) {
        for (stage, plane) in self.room.stages.iter().zip(self.to.used_mut()) {
            let counts = [stage.across, stage.down].map(|slot| self.room.weights[slot].len());
            let [across, down] = counts;
            if self.plan.orientation != 1 {
                let turned = (&stage.turned[..], across);
                orient::place(
                    turned,
                    self.plan.orientation,
                    &mut plane.samples,
                    plane.width,
                );
            }
            if stage.turn.transpose {
                pad(plane, down, across);
            } else {
                pad(plane, across, down);
            }
        }
    }
}

impl Sink for Scaler<'_> {
    fn begin(&mut self, planes: &mut Planes, at_once: [usize; 3]) {
        self.start(planes);
        let both = planes.used_mut().iter_mut().zip(at_once);
        for (index, (plane, at_once)) in both.enumerate() {
            let stage = &mut self.room.stages[index];
            stage.at_once = at_once;
            let rows = if stage.turn.transpose {
                SIDE
            } else {
                self.room.weights[stage.down].longest() + SLACK
            };
            let rows = rows + SPARE + at_once + PADDING;
            plane.samples.resize(plane.width * rows, 0);
        }
    }

    fn take(&mut self, index: usize, plane: &mut Plane, rows: Range<usize>) -> usize {
        (self.after_step)(Step::Decode);
        let end = rows.end;
        let mut first = rows.start;
        self.feed(index, &plane.samples, rows);
        let stage = &self.room.stages[index];
        let room = plane.samples.len() / plane.width.max(1);
        if end < plane.height && end - first + stage.at_once + PADDING > room {
            let low = stage.low(&self.room.weights[stage.down]).clamp(first, end);
            let part = (low - first) * plane.width..(end - first) * plane.width;
            plane.samples.copy_within(part, 0);
            first = low;
        }
        (self.after_step)(Step::Resize);
        first
    }
}

/// What becomes of the upright plane, along its rows and down its columns.
fn scales(from: &Plane, to: &Plane, orientation: u8, filter: Filter) -> [Scale; 2] {
    let (area, sides) = orient::upright(from, orientation);
    let limit = sides.0.max(sides.1) * 2 + 2;
    let one = |start: f64, length: f64, source: usize, target: f64, most: usize| {
        // The whole samples that touch the picture; beyond them is padding only.
        let output = ceiling(target, most);
        let length = stretched(length, f64::from(output) / target);
        // At an odd size the last chroma sample reaches half a sample beyond the picture. Cutting that
        // off instead would shift all colours a little, the more the farther right or down.
        let source = ceiling(start + length, limit).max(side(source));
        Scale {
            filter,
            source,
            start,
            length,
            output,
        }
    };
    [
        one(area.left, area.width, sides.0, to.area.width, to.width),
        one(area.top, area.height, sides.1, to.area.height, to.height),
    ]
}

/// The length of source under a target that reaches `stretch` times as far as the picture.
fn stretched(length: f64, stretch: f64) -> f64 {
    let wanted = length * stretch;
    let whole = wanted.round();
    // Rounding noise must not turn a copy into a convolution.
    if (wanted - whole).abs() < 1e-6 {
        whole
    } else {
        wanted
    }
}

/// Repeats the last column and row into the padding, so that it costs the encoder nothing.
fn pad(plane: &mut Plane, columns: usize, rows: usize) {
    if columns < plane.width {
        for row in plane.samples.chunks_exact_mut(plane.width) {
            let last = row[columns - 1];
            row[columns..].fill(last);
        }
    }
    for row in rows..plane.height {
        plane.samples.copy_within(
            (rows - 1) * plane.width..rows * plane.width,
            row * plane.width,
        );
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the length lies within 0..=limit, which came from a u32"
)]
fn ceiling(length: f64, limit: usize) -> u32 {
    (length.ceil() as u32).clamp(1, side(limit).max(1))
}

fn side(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
