//! Scales to the output size with antialiasing: by Lanczos3, or bicubic with a = -0.5, as Pillow's BICUBIC.
//!
//! JPEG chroma samples stand in the middle of the pixels that they cover, so a plane maps onto
//! another by its area alone, whatever the two samplings are.

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::bytes::{sum, times};
use super::convert;
use super::decode::Decoded;
use super::engines::Engines;
use super::geometry::{Geometry, Task};
use super::orient::exchanges_sides;
use super::planes::{Area, Plane, Planes, Sampling};
use super::recipe::{Format, Resample};
use super::samples::Samples;
use super::transpose::{Flips, transpose};

/// A filter that scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    kind: FilterType,
    /// How far it reaches, in samples of the smaller of source and output.
    pub reach: u32,
}

/// The bicubic filter of Keys with a = -0.5.
pub const BICUBIC: Filter = Filter {
    kind: FilterType::CatmullRom,
    reach: 2,
};

pub const LANCZOS: Filter = Filter {
    kind: FilterType::Lanczos3,
    reach: 3,
};

impl Filter {
    /// The one for luma, and for pixels. Lanczos draws rings around what it enlarges.
    pub fn of(geometry: &Geometry) -> Self {
        match geometry.resample {
            Resample::Fine if !geometry.enlarges() => LANCZOS,
            Resample::Fine | Resample::Fast => BICUBIC,
        }
    }

    /// Bytes that the weights of one direction take: of `fast_image_resize`, a float and a short for
    /// each sample that an output sample is made of, and a list for each output sample.
    pub fn need(self, from: u64, to: u64) -> u64 {
        let samples = times(times(from.max(to), u64::from(self.reach)), 2);
        sum([times(samples, 10), times(to, 80)])
    }

    pub fn algorithm(self) -> ResizeAlg {
        ResizeAlg::Convolution(self.kind)
    }
}

/// Room for the planes between two steps of scaling one.
#[derive(Debug, Default)]
pub struct Room {
    /// A plane that must be extended.
    wider: Plane,
    one: Vec<u8>,
    other: Vec<u8>,
}

impl Room {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        self.wider.samples.capacity() + self.one.capacity() + self.other.capacity()
    }
}

/// Bytes that scaling planes takes, without the planes themselves.
pub fn need(task: &Task<'_>, decoded: &Decoded) -> u64 {
    let across = if exchanges_sides(task.source.orientation) {
        decoded.height
    } else {
        decoded.width
    };
    let (width, height) = task.size();
    // The plane that is scaled is first made as high as the output, then turned over, and where a
    // side is odd it may be copied to be a sample wider.
    let widest = across.max(u64::from(width)) + 4;
    let between = times(times(widest, u64::from(height) + 4), 2);
    let has_chroma = decoded.planes > decoded.luma;
    let filter = Filter::of(&task.geometry);
    let down = decoded.luma.checked_div(across).unwrap_or(0);
    let weights = [
        filter.need(across, width.into()),
        filter.need(down, height.into()),
    ];
    sum([
        between,
        if has_chroma { decoded.luma } else { 0 },
        weights[0],
        weights[1],
    ])
}

/// Scales what is not scaled yet, and from here on the picture has the form that belongs to the
/// wanted format.
pub fn run(
    task: &Task<'_>,
    engines: &mut Engines,
    room: &mut Room,
    samples: &mut Samples,
) -> Result<(), String> {
    let Samples {
        planes,
        pixels,
        packed,
    } = samples;
    let Engines {
        resizer,
        compressor,
        decompressor,
        ..
    } = engines;
    match (task.source.format, task.wanted) {
        (Format::Jpeg, wanted) => {
            let sampling = match planes.front.sampling {
                Sampling::Grey => Sampling::Grey,
                _ => task.sampling(),
            };
            let size = task.size();
            self::planes(
                (resizer, Filter::of(&task.geometry)),
                room,
                &planes.front,
                sampling,
                size,
                &mut planes.back,
            )?;
            planes.flip();
            match wanted {
                Format::Jpeg => Ok(()),
                Format::Png | Format::WebP => {
                    convert::to_pixels(decompressor, &planes.front, size, &mut pixels.front)
                }
            }
        }
        // It was scaled when it was decoded.
        (Format::Png | Format::WebP, Format::Jpeg) => {
            let (pixels, planes) = (&pixels.front, &mut planes.front);
            convert::to_planes(compressor, pixels, task.sampling(), packed, planes)
        }
        (Format::Png | Format::WebP, Format::Png | Format::WebP) => Ok(()),
    }
}

/// Scales planes to a `width` × `height` picture of the given sampling. The filter is that of luma. Chroma is
/// bicubic: Lanczos took longer and came no nearer to the full size.
pub fn planes(
    (resizer, luma): (&mut Resizer, Filter),
    room: &mut Room,
    source: &Planes,
    sampling: Sampling,
    (width, height): (u32, u32),
    target: &mut Planes,
) -> Result<(), String> {
    target.allocate(sampling, width, height);
    let filters = [luma, BICUBIC, BICUBIC];
    let both = source.used().iter().zip(target.used_mut());
    for ((from, to), filter) in both.zip(filters) {
        plane((resizer, filter), room, from, to)?;
    }
    Ok(())
}

fn plane(
    (resizer, filter): (&mut Resizer, Filter),
    room: &mut Room,
    from: &Plane,
    to: &mut Plane,
) -> Result<(), String> {
    // The whole samples that touch the picture; beyond them is padding only.
    let columns = ceiling(to.area.width, to.width)?;
    let rows = ceiling(to.area.height, to.height)?;
    let (left, top) = (from.area.left, from.area.top);
    let width = stretched(from.area.width, f64::from(columns) / to.area.width);
    let height = stretched(from.area.height, f64::from(rows) / to.area.height);
    // At an odd size the last chroma sample reaches half a sample beyond the picture. Cutting that
    // off instead would shift all colours a little, the more the farther right or down.
    let Room { wider, one, other } = room;
    let from = extended(from, left + width, top + height, wider)?;
    let stride = to.width;
    let source = View {
        samples: &from.samples,
        width: side(from.width)?,
        height: side(from.height)?,
    };
    if left.fract() == 0.0 && (width - f64::from(columns)).abs() < f64::EPSILON {
        let crop = Area {
            left,
            top,
            width,
            height,
        };
        let size = (columns, rows);
        let by = (resizer, filter);
        scale(by, source, crop, &mut to.samples, stride, size)?;
    } else {
        // Down the columns whole rows are added up in vector registers, along a row single samples
        // must be gathered. So the second direction goes down the columns as well, on the picture
        // turned over and back again; the result is the same to the last bit.
        let crop = Area {
            left: 0.0,
            top,
            width: f64::from(source.width),
            height,
        };
        one.resize(from.width * rows as usize, 0);
        let by = (&mut *resizer, filter);
        scale(by, source, crop, one, from.width, (source.width, rows))?;
        other.resize(one.len(), 0);
        transpose(one, from.width, Flips::default(), other, rows as usize);
        let source = View {
            samples: other,
            width: rows,
            height: source.width,
        };
        let crop = Area {
            left: 0.0,
            top: left,
            width: f64::from(rows),
            height: width,
        };
        one.resize(rows as usize * columns as usize, 0);
        let by = (resizer, filter);
        scale(by, source, crop, one, rows as usize, (rows, columns))?;
        transpose(
            one,
            rows as usize,
            Flips::default(),
            &mut to.samples,
            stride,
        );
    }
    pad(to, columns as usize, rows as usize);
    Ok(())
}

/// Samples whose rows follow each other without gaps.
#[derive(Clone, Copy)]
struct View<'a> {
    samples: &'a [u8],
    width: u32,
    height: u32,
}

/// Scales a crop to `columns` × `rows` samples at the top left of
/// `to`, whose rows have `stride` samples.
fn scale(
    (resizer, filter): (&mut Resizer, Filter),
    from: View<'_>,
    crop: Area,
    to: &mut [u8],
    stride: usize,
    (columns, rows): (u32, u32),
) -> Result<(), String> {
    let options = ResizeOptions::new()
        .resize_alg(filter.algorithm())
        .use_alpha(false)
        .crop(crop.left, crop.top, crop.width, crop.height);
    let source = TypedImageRef::<U8>::from_buffer(from.width, from.height, from.samples)
        .map_err(|error| error.to_string())?;
    let height = side(to.len().checked_div(stride).unwrap_or(0))?;
    let mut whole = TypedImage::<U8>::from_buffer(side(stride)?, height, to)
        .map_err(|error| error.to_string())?;
    let mut part = TypedCroppedImageMut::from_ref(&mut whole, 0, 0, columns, rows)
        .map_err(|error| error.to_string())?;
    resizer
        .resize_typed(&source, &mut part, &options)
        .map_err(|error| error.to_string())
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

/// The plane, or a copy with its last column and row repeated where it ends too early.
fn extended<'a>(
    plane: &'a Plane,
    right: f64,
    bottom: f64,
    wider: &'a mut Plane,
) -> Result<&'a Plane, String> {
    let limit = plane.width.max(plane.height) * 2 + 2;
    let width = (ceiling(right, limit)? as usize).max(plane.width);
    let height = (ceiling(bottom, limit)? as usize).max(plane.height);
    if (width, height) == (plane.width, plane.height) {
        return Ok(plane);
    }
    wider.samples.clear();
    for row in plane.samples.chunks_exact(plane.width) {
        wider.samples.extend_from_slice(row);
        wider.samples.resize(
            wider.samples.len() + width - plane.width,
            row[plane.width - 1],
        );
    }
    wider.samples.resize(width * height, 0);
    (wider.width, wider.height, wider.area) = (width, height, plane.area);
    pad(wider, width, plane.height);
    Ok(wider)
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
fn ceiling(length: f64, limit: usize) -> Result<u32, String> {
    Ok((length.ceil() as u32).clamp(1, side(limit)?.max(1)))
}

fn side(value: usize) -> Result<u32, String> {
    u32::try_from(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::planes::coordinate;
    use super::*;

    fn ramp(sampling: Sampling, width: u32, height: u32) -> Planes {
        let mut planes = Planes::default();
        planes.allocate(sampling, width, height);
        for plane in planes.used_mut() {
            let columns = plane.width;
            for row in plane.samples.chunks_exact_mut(columns) {
                for (x, sample) in row.iter_mut().enumerate() {
                    *sample = u8::try_from(x * 255 / columns.max(1)).unwrap();
                }
            }
        }
        planes
    }

    #[test]
    fn same_size_and_sampling_is_a_copy() {
        let source = ramp(Sampling::S420, 101, 33);
        let mut target = Planes::default();
        planes(
            (&mut Resizer::new(), BICUBIC),
            &mut Room::default(),
            &source,
            Sampling::S420,
            (101, 33),
            &mut target,
        )
        .unwrap();
        for (from, to) in source.used().iter().zip(target.used()).skip(1) {
            assert_eq!(from.samples, to.samples);
        }
        let luma = &target.used()[0];
        assert_eq!((luma.width, luma.height), (102, 34));
        assert_eq!(luma.samples[100], source.used()[0].samples[100]);
        assert_eq!(luma.samples[101], luma.samples[100]);
    }

    #[test]
    fn the_way_round_by_turning_changes_no_sample() {
        let (width, height) = (301, 157);
        let samples: Vec<u8> = (0..width * height)
            .map(|at: usize| u8::try_from(at * at / 7 % 256).unwrap())
            .collect();
        for (left, columns, rows) in [(0.0, 200, 99), (0.5, 280, 157), (0.25, 20, 300)] {
            let area = Area {
                left,
                top: 0.0,
                width: 300.5 - left,
                height: 157.0,
            };
            let from = Plane {
                samples: samples.clone(),
                width,
                height,
                area,
            };
            let mut to = Plane {
                samples: vec![0; columns * rows],
                width: columns,
                height: rows,
                area: Area {
                    left: 0.0,
                    top: 0.0,
                    width: coordinate(columns),
                    height: coordinate(rows),
                },
            };
            let by = (&mut Resizer::new(), LANCZOS);
            plane(by, &mut Room::default(), &from, &mut to).unwrap();
            let mut direct = vec![0; columns * rows];
            let size = (side(columns).unwrap(), side(rows).unwrap());
            let view = View {
                samples: &samples,
                width: 301,
                height: 157,
            };
            let crop = Area { left, ..area };
            let by = (&mut Resizer::new(), LANCZOS);
            scale(by, view, crop, &mut direct, columns, size).unwrap();
            assert!(to.samples == direct, "{left} {columns}x{rows}");
        }
    }

    #[test]
    fn odd_sizes_do_not_shift_colour() {
        // Chroma samples of a ramp in their places: the last one half beyond the picture.
        let source = ramp(Sampling::S422, 360, 40);
        let mut target = Planes::default();
        let room = &mut Room::default();
        planes(
            (&mut Resizer::new(), BICUBIC),
            room,
            &source,
            Sampling::S420,
            (269, 31),
            &mut target,
        )
        .unwrap();
        let (luma, chroma) = (&target.used()[0], &target.used()[1]);
        assert_eq!((chroma.width, chroma.height), (135, 16));
        for x in 8..130 {
            let (one, other) = (luma.samples[x * 2], chroma.samples[x]);
            assert!(one.abs_diff(other) <= 1, "column {x}: {one} and {other}");
        }
    }

    #[test]
    fn a_ramp_stays_in_place_across_samplings() {
        let source = ramp(Sampling::S411, 400, 40);
        let mut target = Planes::default();
        planes(
            (&mut Resizer::new(), BICUBIC),
            &mut Room::default(),
            &source,
            Sampling::S444,
            (200, 20),
            &mut target,
        )
        .unwrap();
        let luma = &target.used()[0].samples;
        let chroma = &target.used()[1].samples;
        for x in 8..192 {
            assert!(
                luma[x].abs_diff(chroma[x]) <= 3,
                "column {x}: {} and {}",
                luma[x],
                chroma[x]
            );
        }
    }
}
