//! What a picture will take of memory at most, told from its header before anything is read.
//!
//! Each step says in its own file what it allocates. This adds it up the way the steps share their
//! buffers. The bound holds for every content, so it is well above what friendly content takes where
//! the size of a written file is in it.

use std::io;

use super::bytes::{area, sum, times};
use super::geometry::Task;
use super::head::{self, Coding, Head, JpegCoding, PngCoding};
use super::probe::Probe;
use super::recipe::{Format, Order, Recipe};
use super::{convert, decode, encode, metadata, overlay, resize, strip, webp};

/// Codecs, tables, and the allocator's rounding.
const BASE: u64 = 3 << 20;

/// Bytes that a picture will take at most, from reading its file on, without what a worker still
/// holds from those before: told by the start of the file, at which `file` stands, its length, and
/// what is to become of it.
pub fn need(
    file: &mut (impl io::BufRead + io::Seek),
    length: u64,
    wanted: Format,
    recipe: &Recipe,
) -> io::Result<u64> {
    let head = head::read(file)?;
    // What has no header is read to the end to see that it has none, and goes no further.
    Ok(head.map_or(length, |head| of(&head, length, wanted, recipe)))
}

/// The same for several results of one picture, which are made one after another.
pub fn need_of_all(
    file: &mut (impl io::BufRead + io::Seek),
    length: u64,
    orders: &[Order<'_>],
) -> io::Result<u64> {
    let head = head::read(file)?;
    let needs = head.iter().flat_map(|head| {
        let need = |order: &Order<'_>| of(head, length, order.wanted, order.recipe);
        orders.iter().map(need)
    });
    // The planes that several are made of.
    let shared = head.iter().flat_map(|head| {
        orders.iter().filter_map(|order| {
            let task = Task::plan(head.probe, order.wanted, order.recipe);
            task.ok().map(|task| task.planes(false))
        })
    });
    let shared = if orders.len() > 1 {
        shared.max().unwrap_or(0)
    } else {
        0
    };
    Ok(needs.max().unwrap_or(length).saturating_add(shared))
}

fn of(head: &Head, length: u64, wanted: Format, recipe: &Recipe) -> u64 {
    // The profile is copied into the codecs.
    let profile = times(head.profile, 3);
    let fixed = sum([BASE, length, metadata::need(head, length), profile]);
    // They may say which way up they are behind their samples.
    let orientations: &[u8] = match head.coding {
        Coding::Png(_) | Coding::WebP(_) => &[1, 6],
        Coding::Jpeg(_) => &[head.probe.orientation],
    };
    let ways = orientations.iter().filter_map(|&orientation| {
        let source = Probe {
            orientation,
            ..head.probe
        };
        // What is refused is refused before it is decoded.
        let task = Task::plan(source, wanted, recipe).ok()?;
        let steps = match &head.coding {
            Coding::Jpeg(coding) => from_jpeg(&task, coding, length),
            Coding::Png(coding) => from_pixels(&task, *coding),
            Coding::WebP(coding) => from_webp(&task, coding.alpha, length),
        };
        Some(sum([steps, overlay::need(&task)]))
    });
    fixed.saturating_add(ways.max().unwrap_or(0))
}

fn from_jpeg(task: &Task<'_>, coding: &JpegCoding, length: u64) -> u64 {
    let decoded = decode::need(&task.source, coding, &task.geometry);
    let scaled = task.planes(coding.components == 1);
    // Most pictures are scaled while they are decoded. Of those that libjpeg-turbo decodes all planes are there
    // first, and which they are shows only on the way.
    let front = decoded.planes.max(scaled);
    let back = scaled;
    let pixels = match task.wanted {
        // And those again in colour.
        Format::Png | Format::WebP => times(convert::pixels_need(task.size()), 2),
        Format::Jpeg => 0,
    };
    // What is decoded once more without harmless warnings is a copy of the file, and gone again before
    // anything is written.
    let after = sum([pixels, encode::need(task, scaled, 3)]).max(length);
    sum([
        decoded.within,
        decoded.packed,
        front,
        back,
        resize::need(task, &decoded),
        after,
    ])
}

fn from_webp(task: &Task<'_>, alpha: bool, length: u64) -> u64 {
    let source = &task.source;
    let size = (source.width, source.height);
    let coding = PngCoding {
        channels: if alpha { 4 } else { 3 },
        deep: false,
        // It is decoded whole before it is scaled.
        interlaced: true,
    };
    let within = webp::decode_need(size, source.lossless, alpha, length);
    within.saturating_add(from_pixels(task, coding))
}

fn from_pixels(task: &Task<'_>, coding: PngCoding) -> u64 {
    let sample = if coding.deep { 2 } else { 1 };
    let (channels, grey) = (u64::from(coding.channels), coding.channels <= 2);
    let scaled = times(area(task.size()), channels * sample);
    let turned = if task.source.orientation == 1 {
        0
    } else {
        scaled
    };
    // A coloured mark makes grey colour.
    let coloured = if grey { channels + 2 } else { channels } * sample;
    let planes = task.planes(grey);
    let written = match task.wanted {
        Format::Png | Format::WebP if grey => times(area(task.size()), coloured),
        Format::Png | Format::WebP => 0,
        Format::Jpeg => sum([convert::flattened_need(task.size()), times(planes, 2)]),
    };
    sum([
        strip::need(task, coding),
        scaled,
        turned,
        written,
        encode::need(task, planes, coloured),
    ])
}
