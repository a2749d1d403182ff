//! Sizes, planes and samplings as TurboJPEG wants them, checked against its own formulas.

use std::ptr;

use turbojpeg::libc::c_int;
use turbojpeg::raw;

use super::super::planes::{Planes, Sampling};

/// Planes that C reads.
pub struct Sources {
    pub pointers: [*const u8; 3],
    /// Samples from a row to the next.
    pub strides: [c_int; 3],
}

/// Planes that C writes.
pub struct Targets {
    pub pointers: [*mut u8; 3],
    /// Samples from a row to the next.
    pub strides: [c_int; 3],
}

/// The planes of a picture of this size, after checking that they hold enough.
pub fn sources(planes: &Planes, width: u32, height: u32) -> Result<Sources, String> {
    let mut sources = Sources {
        pointers: [ptr::null(); 3],
        strides: [0; 3],
    };
    for (index, plane) in planes.used().iter().enumerate() {
        check_plane(
            index,
            width,
            height,
            planes.sampling,
            plane.width,
            plane.height,
        )?;
        if plane.samples.len() < plane.width * plane.height {
            return Err("plane is shorter than its size".to_owned());
        }
        sources.pointers[index] = plane.samples.as_ptr();
        sources.strides[index] = number(plane.width)?;
    }
    Ok(sources)
}

/// The same to be written to; pointers that the sampling does not use are null.
pub fn targets(planes: &mut Planes, width: u32, height: u32) -> Result<Targets, String> {
    let sampling = planes.sampling;
    let mut targets = Targets {
        pointers: [ptr::null_mut(); 3],
        strides: [0; 3],
    };
    for (index, plane) in planes.used_mut().iter_mut().enumerate() {
        check_plane(index, width, height, sampling, plane.width, plane.height)?;
        if plane.samples.len() < plane.width * plane.height {
            return Err("plane is shorter than its size".to_owned());
        }
        targets.pointers[index] = plane.samples.as_mut_ptr();
        targets.strides[index] = number(plane.width)?;
    }
    Ok(targets)
}

/// Compares a plane's size with what TurboJPEG will read or write for a picture of this size.
fn check_plane(
    index: usize,
    width: u32,
    height: u32,
    sampling: Sampling,
    plane_width: usize,
    plane_height: usize,
) -> Result<(), String> {
    let (component, subsamp) = (number(index)?, to_subsamp(sampling));
    // SAFETY: plain arithmetic on numbers.
    let wanted = unsafe {
        (
            raw::tj3YUVPlaneWidth(component, number(width)?, subsamp),
            raw::tj3YUVPlaneHeight(component, number(height)?, subsamp),
        )
    };
    if wanted == (number(plane_width)?, number(plane_height)?) {
        Ok(())
    } else {
        Err(format!(
            "plane {index} is {plane_width}×{plane_height}, libjpeg-turbo wants {}×{}",
            wanted.0, wanted.1
        ))
    }
}

pub fn byte_count(width: u32, height: u32, channels: usize) -> Result<usize, String> {
    let sides = (usize::try_from(width), usize::try_from(height));
    if let (Ok(width), Ok(height)) = sides
        && let Some(bytes) = width
            .checked_mul(height)
            .and_then(|pixels| pixels.checked_mul(channels))
    {
        return Ok(bytes);
    }
    Err("picture is too large for this machine".to_owned())
}

pub fn number<T: TryInto<c_int>>(value: T) -> Result<c_int, String>
where
    T::Error: std::fmt::Display,
{
    value
        .try_into()
        .map_err(|error| format!("size out of range: {error}"))
}

pub fn size(value: usize) -> Result<raw::size_t, String> {
    raw::size_t::try_from(value).map_err(|error| format!("size out of range: {error}"))
}

pub fn to_subsamp(sampling: Sampling) -> c_int {
    match sampling {
        Sampling::Grey => raw::TJSAMP_TJSAMP_GRAY,
        Sampling::S444 => raw::TJSAMP_TJSAMP_444,
        Sampling::S422 => raw::TJSAMP_TJSAMP_422,
        Sampling::S420 => raw::TJSAMP_TJSAMP_420,
        Sampling::S440 => raw::TJSAMP_TJSAMP_440,
        Sampling::S411 => raw::TJSAMP_TJSAMP_411,
        Sampling::S441 => raw::TJSAMP_TJSAMP_441,
    }
}

pub fn from_subsamp(subsamp: c_int) -> Option<Sampling> {
    match subsamp {
        raw::TJSAMP_TJSAMP_GRAY => Some(Sampling::Grey),
        raw::TJSAMP_TJSAMP_444 => Some(Sampling::S444),
        raw::TJSAMP_TJSAMP_422 => Some(Sampling::S422),
        raw::TJSAMP_TJSAMP_420 => Some(Sampling::S420),
        raw::TJSAMP_TJSAMP_440 => Some(Sampling::S440),
        raw::TJSAMP_TJSAMP_411 => Some(Sampling::S411),
        raw::TJSAMP_TJSAMP_441 => Some(Sampling::S441),
        _ => None,
    }
}
