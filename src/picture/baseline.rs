//! Our own decoder of the most common JPEGs: baseline, Huffman codes, 8 bits, grey or Y Cb Cr, straight to
//! planes at n/8. Its samples are those of libjpeg-turbo to the last bit, in less time.
//!
//! It decodes only what is beyond doubt. For everything else it says `None`, at the latest when
//! the data do not end where they should, and libjpeg-turbo decodes the picture from its start:
//! what is wrong with a picture, and what is made of it then, is for libjpeg-turbo alone to say.
//!
//! And its transforms both ways, without coded data in between: [`requantize()`].

#![expect(
    clippy::cast_possible_truncation,
    clippy::inline_always,
    reason = "fields are cut out of words, and the loops must be compiled for the processor"
)]

mod sink;

mod codes;
mod frame;
mod source;
mod tables;

mod blocks;
mod transform;

mod requantize;

mod scan;

#[cfg(test)]
mod likeness;

use super::markers::{EOI, Walk};
use super::planes::{Planes, Sampling};
use super::processor::Processor;
pub use requantize::requantize;
pub use sink::{Sink, Whole};

use blocks::{Coefficients, PLACES};
use frame::Frame;
use scan::Layout;
use source::{Data, Source};
use tables::Tables;

/// The buffers of a worker.
#[derive(Debug, Default)]
pub struct Baseline(Option<Room>);

#[derive(Debug)]
struct Room {
    data: Box<Data>,
    coefficients: Box<Coefficients>,
    tables: Box<[Tables; 3]>,
}

/// Bytes that the buffers take.
pub const NEED: u64 = LENGTH as u64;
const LENGTH: usize = size_of::<Data>() + size_of::<Coefficients>() + size_of::<[Tables; 3]>();

impl Baseline {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        self.0.as_ref().map_or(0, |_| LENGTH)
    }

    /// Decodes a JPEG whose size and sampling are known to planes at `eighths`/8. `None` leaves the
    /// planes in any state.
    pub fn planes(
        &mut self,
        jpeg: &[u8],
        (size, sampling): ((u32, u32), Sampling),
        eighths: u32,
        out: (&mut Planes, &mut dyn Sink),
    ) -> Option<()> {
        let processor = Processor::this();
        if !worthwhile(eighths, processor) {
            return None;
        }
        self.planes_by(processor, jpeg, (size, sampling), eighths, out)
    }

    fn planes_by(
        &mut self,
        processor: Processor,
        jpeg: &[u8],
        (size, sampling): ((u32, u32), Sampling),
        eighths: u32,
        (out, sink): (&mut Planes, &mut dyn Sink),
    ) -> Option<()> {
        let mut walk = Walk::new(jpeg);
        let (frame, header) = Frame::read(&mut walk)?;
        if !agrees(&frame, size, sampling) {
            return None;
        }
        out.form_scaled(sampling, size, eighths);
        let rows = |index: usize| frame.component(index).down * eighths as usize;
        sink.begin(out, std::array::from_fn(rows));
        if self.0.is_none() {
            self.0 = Some(Room::new()?);
        }
        let room = self.0.as_mut()?;
        scans(
            walk,
            frame,
            header,
            room,
            (eighths as usize, processor),
            (out, sink),
        )
    }
}

impl Room {
    /// On the heap from the beginning. The lengths are right.
    fn new() -> Option<Self> {
        Some(Self {
            data: vec![0; size_of::<Data>()].try_into().ok()?,
            coefficients: vec![0; PLACES].try_into().ok()?,
            tables: vec![Tables::NONE; 3].try_into().ok()?,
        })
    }
}

/// Whether this machine decodes with it at all.
#[cfg(test)]
pub fn is_used_here() -> bool {
    worthwhile(4, Processor::this())
}

/// Whether it is faster than libjpeg-turbo; elsewhere that was not measured.
fn worthwhile(eighths: u32, processor: Processor) -> bool {
    cfg!(target_arch = "x86_64") && (1..=8).contains(&eighths) && processor.fast()
}

/// Whether this is the picture that libjpeg-turbo sees.
fn agrees(frame: &Frame, (width, height): (u32, u32), sampling: Sampling) -> bool {
    let seen = match (frame.count, frame.most()) {
        (1, _) => Sampling::Grey,
        (_, (1, 1)) => Sampling::S444,
        (_, (2, 1)) => Sampling::S422,
        (_, (2, 2)) => Sampling::S420,
        (_, (1, 2)) => Sampling::S440,
        (_, (4, 1)) => Sampling::S411,
        (_, _) => Sampling::S441,
    };
    let sides = (width as usize, height as usize);
    seen == sampling && (frame.width, frame.height) == sides
}

/// Decodes scan after scan until each component was in one.
fn scans<'a>(
    mut walk: Walk<'a>,
    mut frame: Frame,
    mut header: &'a [u8],
    room: &mut Room,
    way: (usize, Processor),
    (out, sink): (&mut Planes, &mut dyn Sink),
) -> Option<()> {
    let mut missing = [true; 3];
    loop {
        let layout = Layout::of(&frame, header)?;
        for component in layout.components() {
            // Twice is once too often.
            if !std::mem::replace(&mut missing[component], false) {
                return None;
            }
        }
        layout.make_tables(&mut room.tables)?;
        let mut source = Source::new(walk.rest(), &mut room.data);
        let (tables, coefficients) = (&room.tables, &mut room.coefficients);
        layout.decode(&mut source, tables, coefficients, way, (out, sink))?;
        if missing[..frame.count] == [false; 3][..frame.count] {
            return (source.following(2) == [0xff, EOI]).then_some(());
        }
        walk = Walk::behind_scan(source.following(usize::MAX));
        header = frame.go_on(&mut walk)?;
    }
}
