//! Opens a picture for its pixels, untreated: a mark may be given as a picture.

use super::colour::{by_exif, to_srgb};
use super::engines::Engines;
use super::error::{PictureError, bad};
use super::geometry;
use super::mark::Mark;
use super::planes::Sampling;
use super::probe::Damage;
use super::recipe::Format;
use super::scratch::Scratch;
use super::{convert, decode, orient, probe, resize, webp};
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
    match source.format {
        Format::Jpeg => decode::jpeg(bytes, &source, &geometry, engines, colour, samples),
        Format::Png => {
            let (icc, pixels) = (&mut colour.icc, &mut samples.pixels.front);
            let damaged = source.damaged == Some(Damage::Data);
            decode::png(bytes, damaged, icc, pixels).map(|_colour| None)
        }
        Format::WebP => webp::decode(bytes, &mut samples.pixels.front).map(|()| None),
    }
    .map_err(bad(Step::Decode))?;
    if source.orientation != 1 {
        orient::run(source.orientation, source.format, samples);
    }
    let size = (geometry.width, geometry.height);
    if source.format == Format::Jpeg {
        let full = match samples.planes.front.sampling {
            Sampling::Grey => Sampling::Grey,
            _ => Sampling::S444,
        };
        let (planes, pixels) = (&mut samples.planes, &mut samples.pixels.front);
        let Engines {
            resizer,
            decompressor,
            ..
        } = engines;
        let by = (resizer, resize::BICUBIC);
        resize::planes(by, resize, &planes.front, full, size, &mut planes.back)
            .and_then(|()| convert::to_pixels(decompressor, &planes.back, size, pixels))
            .map_err(bad(Step::Decode))?;
    }
    Ok(Mark {
        width: geometry.width,
        height: geometry.height,
        rgba: convert::to_rgba(&samples.pixels.front),
    })
}
