//! Opens a picture for its pixels, untreated: a mark may be given as a picture.

use super::baseline::Whole;
use super::colour::{by_exif, to_srgb};
use super::error::{PictureError, bad};
use super::filter::BICUBIC;
use super::geometry;
use super::mark::Mark;
use super::planes::Sampling;
use super::probe::Damage;
use super::recipe::Format;
use super::resize::{Plan, Scaler};
use super::samples::Samples;
use super::scratch::Scratch;
use super::{convert, decode, orient, probe, webp};
use crate::outcome::Step;

/// Decodes a picture upright; refused above `max_pixels`.
pub fn open_rgba(bytes: &[u8], max_pixels: u64) -> Result<Mark, PictureError> {
    let mut scratch = Scratch::new()?;
    let mut mark = in_its_colours(bytes, max_pixels, &mut scratch)?;
    to_srgb(&mut mark.rgba, &scratch.colour.icc);
    Ok(mark)
}

/// The same in the picture's own colours, whose profile is left in the scratch.
pub fn in_its_colours(
    bytes: &[u8],
    max_pixels: u64,
    scratch: &mut Scratch,
) -> Result<Mark, PictureError> {
    let Scratch {
        engines,
        samples,
        colour,
        resize,
        ..
    } = scratch;
    let source = probe::probe(bytes, &mut colour.icc)?;
    if source.format == Format::Jpeg {
        by_exif(bytes, &mut colour.icc);
    }
    // It would be laid on opaque.
    if let Some(damage @ Damage::Transparency) = source.damaged {
        return Err(bad(Step::Decode)(damage.text().to_owned()));
    }
    let geometry = geometry::unscaled(&source, max_pixels)?;
    let size = (geometry.width, geometry.height);
    match source.format {
        Format::Jpeg => {
            let Samples {
                planes,
                pixels,
                packed,
            } = samples;
            let mut to = decode::Target {
                planes: &mut planes.front,
                packed,
                sink: &mut Whole,
            };
            decode::jpeg(bytes, &source, &geometry, engines, colour, &mut to)
                .map_err(bad(Step::Decode))?;
            let plan = Plan {
                orientation: source.orientation,
                sampling: Sampling::S444,
                size,
                filter: BICUBIC,
            };
            let mut nothing = |_| ();
            let mut scaler = Scaler::new(plan, resize, &mut planes.back, &mut nothing);
            scaler.whole(&planes.front);
            scaler.finish();
            let decompressor = &mut engines.decompressor;
            convert::to_pixels(decompressor, &planes.back, size, &mut pixels.front)
        }
        Format::Png => {
            let (icc, pixels) = (&mut colour.icc, &mut samples.pixels.front);
            let damaged = source.damaged == Some(Damage::Data);
            decode::png(bytes, damaged, icc, pixels).map(|_colour| ())
        }
        Format::WebP => webp::decode(bytes, &mut samples.pixels.front),
    }
    .map_err(bad(Step::Decode))?;
    if source.format != Format::Jpeg {
        orient::pair(&mut samples.pixels, source.orientation);
    }
    Ok(Mark {
        width: geometry.width,
        height: geometry.height,
        rgba: convert::to_rgba(&samples.pixels.front),
    })
}
