//! What a worker keeps from one picture to the next, and the steps as they work on it: each picks
//! the planes or the pixels, and the codecs, that it needs.

use std::io::Cursor;
use std::mem::swap;

use fast_image_resize::Resizer;

use super::colour::{Colours, PngColour};
use super::error::{PictureError, bad};
use super::geometry::Geometry;
use super::metadata::Kept;
use super::pixels::Pixels;
use super::placement::gets;
use super::planes::{Planes, Sampling};
use super::probe::Probe;
use super::profile::fitting;
use super::recipe::{Chroma, Format, PlacedMark, Recipe};
use super::stamp::Stamps;
use super::turbo::{Compressor, Decompressor};
use super::{convert, decode, encode, head, need, orient, overlay, recompress, resize, strip};
use crate::outcome::Step;

/// A worker's buffers and codecs, used for one picture after another.
pub struct Scratch {
    pub(super) decompressor: Decompressor,
    pub(super) compressor: Compressor,
    pub(super) resizer: Resizer,
    pub(super) planes: Planes,
    pub(super) spare_planes: Planes,
    pub(super) room: resize::Room,
    pub(super) pixels: Pixels,
    pub(super) spare_pixels: Pixels,
    /// 8-bit packed pixels on their way between the forms.
    pub(super) packed: Vec<u8>,
    pub(super) icc: Vec<u8>,
    pub(super) colour: PngColour,
    pub(super) colours: Colours,
    pub(super) kept: Kept,
    /// The written JPEG's metadata segments.
    pub(super) segments: Vec<u8>,
    pub(super) stamps: Stamps,
    /// As long as the worst case; the JPEG is its beginning.
    pub(super) jpeg: Vec<u8>,
    pub(super) png: Vec<u8>,
}

impl Scratch {
    pub fn new() -> Result<Self, PictureError> {
        Ok(Self {
            decompressor: Decompressor::new().map_err(bad(Step::Decode))?,
            compressor: Compressor::new().map_err(bad(Step::Encode))?,
            resizer: Resizer::new(),
            planes: Planes::default(),
            spare_planes: Planes::default(),
            room: resize::Room::default(),
            pixels: Pixels::default(),
            spare_pixels: Pixels::default(),
            packed: Vec::new(),
            icc: Vec::new(),
            colour: PngColour::default(),
            colours: Colours::default(),
            kept: Kept::default(),
            segments: Vec::new(),
            stamps: Stamps::default(),
            jpeg: Vec::new(),
            png: Vec::new(),
        })
    }

    /// Bytes that are kept for the next picture.
    pub fn kept(&self) -> u64 {
        let buffers = [
            &self.packed,
            &self.icc,
            &self.segments,
            &self.jpeg,
            &self.png,
        ];
        let planes = [&self.planes, &self.spare_planes].map(Planes::kept);
        let pixels = [&self.pixels, &self.spare_pixels].map(Pixels::kept);
        let bytes = buffers
            .map(Vec::capacity)
            .into_iter()
            .chain(planes)
            .chain(pixels);
        let others = [
            self.room.kept(),
            self.resizer.size_of_internal_buffers(),
            self.stamps.kept(),
            self.kept.bytes(),
        ];
        bytes.chain(others).map(|bytes| bytes as u64).sum()
    }
}

pub(super) fn decode(
    bytes: &[u8],
    source: &Probe,
    geometry: &Geometry,
    scratch: &mut Scratch,
) -> Result<Option<String>, String> {
    scratch.colour = PngColour::default();
    match source.format {
        Format::Jpeg => {
            // libjpeg keeps Huffman and quantization tables from one picture to the next: a
            // damaged one would spoil all that follow, and one that lacks its own would be
            // decoded with another's. A new instance is a few small allocations.
            scratch.decompressor = Decompressor::new()?;
            // More than its header tells it takes is not for it to have.
            if let Ok(Some(head)) = head::read(&mut Cursor::new(bytes)) {
                scratch
                    .decompressor
                    .limit(need::decoder(&head), source.width, source.height)?;
            }
            let header = scratch.decompressor.header(bytes)?;
            // The limits were checked against what the walk found.
            if (header.width, header.height) != (source.width, source.height) {
                return Err("the headers disagree about the picture's size".to_owned());
            }
            decode::jpeg(
                &mut scratch.decompressor,
                &mut scratch.compressor,
                (&mut scratch.colours, &scratch.icc),
                bytes,
                (
                    decode::eighths(geometry.source_height, geometry.height),
                    geometry.height > geometry.source_height,
                ),
                &mut scratch.packed,
                &mut scratch.planes,
            )
        }
        Format::Png => {
            let (icc, pixels) = (&mut scratch.icc, &mut scratch.pixels);
            scratch.colour = decode::png(bytes, source.damaged, icc, pixels)?;
            Ok(warning(source))
        }
    }
}

/// Decodes and scales a PNG, as it is stored.
pub(super) fn strips(
    bytes: &[u8],
    source: &Probe,
    geometry: &Geometry,
    scratch: &mut Scratch,
    after_step: &mut dyn FnMut(Step),
) -> Result<Option<String>, PictureError> {
    let upright = (geometry.width, geometry.height);
    let size = if orient::exchanges_sides(source.orientation) {
        (upright.1, upright.0)
    } else {
        upright
    };
    scratch.colour = strip::png(
        (bytes, source.damaged),
        &mut scratch.icc,
        &mut scratch.resizer,
        size,
        &mut scratch.spare_pixels,
        &mut scratch.pixels,
        after_step,
    )?;
    Ok(warning(source))
}

fn warning(source: &Probe) -> Option<String> {
    let warning = "chunk IDAT has a wrong checksum";
    source.damaged.then(|| warning.to_owned())
}

pub(super) fn orient(source: &Probe, scratch: &mut Scratch) {
    match source.format {
        Format::Jpeg => {
            orient::planes(
                &scratch.planes,
                source.orientation,
                &mut scratch.spare_planes,
            );
            swap(&mut scratch.planes, &mut scratch.spare_planes);
        }
        Format::Png => {
            orient::pixels(
                &scratch.pixels,
                source.orientation,
                &mut scratch.spare_pixels,
            );
            swap(&mut scratch.pixels, &mut scratch.spare_pixels);
        }
    }
}

/// Scales what is not scaled yet, and from here on the picture has the form that belongs to the wanted format.
pub(super) fn resize(
    source: &Probe,
    wanted: Format,
    recipe: &Recipe,
    geometry: &Geometry,
    scratch: &mut Scratch,
) -> Result<(), String> {
    let size = (geometry.width, geometry.height);
    let sampling = match (wanted, recipe.chroma) {
        (Format::Jpeg, Chroma::Half) => Sampling::S420,
        (Format::Jpeg, Chroma::Full) | (Format::Png, _) => Sampling::S444,
    };
    match source.format {
        Format::Jpeg => {
            let grey = scratch.planes.sampling == Sampling::Grey;
            let sampling = if grey { Sampling::Grey } else { sampling };
            resize::planes(
                &mut scratch.resizer,
                &mut scratch.room,
                &scratch.planes,
                sampling,
                size,
                &mut scratch.spare_planes,
            )?;
            swap(&mut scratch.planes, &mut scratch.spare_planes);
            if wanted == Format::Png {
                convert::to_pixels(
                    &mut scratch.decompressor,
                    &scratch.planes,
                    size,
                    &mut scratch.pixels,
                )?;
            }
        }
        Format::Png => {
            if wanted == Format::Jpeg {
                convert::to_planes(
                    &mut scratch.compressor,
                    &scratch.pixels,
                    sampling,
                    &mut scratch.packed,
                    &mut scratch.planes,
                )?;
            }
        }
    }
    Ok(())
}

pub(super) fn recompress(
    quality: u8,
    geometry: &Geometry,
    scratch: &mut Scratch,
) -> Result<(), String> {
    recompress::planes(
        &mut scratch.compressor,
        &mut scratch.decompressor,
        &scratch.planes,
        (geometry.width, geometry.height),
        quality,
        &mut scratch.jpeg,
        &mut scratch.spare_planes,
    )?;
    swap(&mut scratch.planes, &mut scratch.spare_planes);
    Ok(())
}

pub(super) fn overlay(
    wanted: Format,
    recipe: &Recipe,
    geometry: &Geometry,
    scratch: &mut Scratch,
) -> Result<(), String> {
    let size = (geometry.width, geometry.height);
    for placed in recipe.marks.iter().filter(|placed| gets(placed, size)) {
        let coloured = overlay::is_coloured(&placed.mark);
        let grey = match wanted {
            Format::Jpeg => scratch.planes.sampling == Sampling::Grey,
            Format::Png => scratch.pixels.channels <= 2,
        };
        if grey && coloured {
            take_colour(wanted, recipe.chroma, size, scratch);
        }
        let icc = fitting(&scratch.icc, grey && !coloured);
        let mark = scratch.colours.mark(&placed.mark, icc);
        let placed = &PlacedMark {
            mark,
            ..placed.clone()
        };
        let (stamps, resizer) = (&mut scratch.stamps, &mut scratch.resizer);
        match wanted {
            Format::Jpeg => overlay::planes(stamps, resizer, placed, size, &mut scratch.planes)?,
            Format::Png => overlay::pixels(stamps, resizer, placed, &mut scratch.pixels)?,
        }
    }
    Ok(())
}

/// Makes a grey picture one of colours. Its profile cannot describe them, so it becomes sRGB.
fn take_colour(wanted: Format, chroma: Chroma, size: (u32, u32), scratch: &mut Scratch) {
    let table = scratch.colours.grey(&scratch.icc);
    match wanted {
        Format::Jpeg => {
            if let Some(table) = table {
                convert::grey_planes(table, &mut scratch.planes);
            }
            let sampling = match chroma {
                Chroma::Half => Sampling::S420,
                Chroma::Full => Sampling::S444,
            };
            scratch.planes.colour(sampling, size.0, size.1);
        }
        Format::Png => {
            if let Some(table) = table {
                convert::grey_pixels(table, &mut scratch.pixels);
            }
            // Chunks that described a grey picture would say something else of its colours.
            scratch.colour = PngColour::default();
            convert::colour(&scratch.pixels, &mut scratch.spare_pixels);
            swap(&mut scratch.pixels, &mut scratch.spare_pixels);
        }
    }
}

pub(super) fn encode<'a>(
    wanted: Format,
    recipe: &Recipe,
    geometry: &Geometry,
    scratch: &'a mut Scratch,
) -> Result<&'a [u8], String> {
    match wanted {
        Format::Jpeg => {
            scratch.segments.clear();
            scratch.kept.segments(&mut scratch.segments);
            let length = encode::jpeg(
                &mut scratch.compressor,
                &scratch.planes,
                (geometry.width, geometry.height),
                recipe.output_quality,
                &scratch.icc,
                (&scratch.segments, scratch.kept.density),
                &mut scratch.jpeg,
            )?;
            Ok(&scratch.jpeg[..length])
        }
        Format::Png => {
            encode::png(
                &mut scratch.pixels,
                recipe.quality,
                &scratch.icc,
                &scratch.colour,
                &scratch.kept,
                &mut scratch.png,
            )?;
            Ok(&scratch.png)
        }
    }
}
