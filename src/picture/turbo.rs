//! The one door to libjpeg-turbo: planes in and out, packed pixels where planes do not exist.
//!
//! The safe crate's wrapper is not enough here: it decodes into one packed YUV buffer only, turns
//! every warning into an error without its code, and refuses unusual samplings at the header. So
//! this file calls the TurboJPEG 3 C interface through the crate's bindings. Every buffer that C
//! writes is sized from what C itself read in the header of the very same bytes.

#![expect(
    unsafe_code,
    reason = "TurboJPEG is a C library; each call states why it is sound"
)]

use std::ffi::CStr;
use std::ptr::{self, NonNull};

use turbojpeg::libc::{c_int, c_void};
use turbojpeg::raw;

use super::planes::{Area, Planes, Sampling};

/// The longest side that libjpeg-turbo writes.
pub const JPEG_SIDE: u32 = 65_500;

/// Scans of a progressive JPEG; real encoders write about ten, a bomb writes thousands. A scan
/// costs time for each pixel even where it says nothing, so large pictures may have fewer: as many
/// as make `SCANNED` pixels, but not less than `FEWEST_SCANS`.
const SCAN_LIMIT: u64 = 500;
const FEWEST_SCANS: u64 = 64;
const SCANNED: u64 = 3_200_000_000;

/// What a JPEG's header says, as libjpeg-turbo understands it.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    pub width: u32,
    pub height: u32,
    /// `None` for samplings that have no planar form in TurboJPEG.
    pub sampling: Option<Sampling>,
    pub space: Space,
    pub lossless: bool,
}

/// The colour space of the coded components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    Grey,
    YCbCr,
    Rgb,
    /// CMYK or YCCK, stored inverted as Adobe does.
    Cmyk,
}

/// A decoder's complaint about data that it decoded all the same.
pub type Warning = Option<String>;

#[derive(Debug)]
struct Handle(NonNull<c_void>);

// SAFETY: a TurboJPEG instance has no thread affinity; it must only not be used from two threads
// at once, which `&mut self` on every call sees to.
unsafe impl Send for Handle {}

impl Handle {
    fn new(init: raw::TJINIT) -> Result<Self, String> {
        let init = c_int::try_from(init).map_err(|error| error.to_string())?;
        // SAFETY: tj3Init takes a plain number and returns an owned instance or null.
        let pointer = unsafe { raw::tj3Init(init) };
        NonNull::new(pointer)
            .map(Self)
            .ok_or_else(|| "libjpeg-turbo has no memory for an instance".to_owned())
    }

    fn message(&self) -> String {
        // SAFETY: the instance is alive, and the returned string is a NUL-terminated array inside
        // it that is copied before the next call.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0.as_ptr())) };
        text.to_string_lossy().into_owned()
    }

    /// Sorts a return code into success, success with a warning, and failure.
    fn verdict(&self, code: c_int) -> Result<Warning, String> {
        if code == 0 {
            return Ok(None);
        }
        // SAFETY: the instance is alive.
        let severity = unsafe { raw::tj3GetErrorCode(self.0.as_ptr()) };
        if u32::try_from(severity) == Ok(raw::TJERR_TJERR_WARNING) {
            Ok(Some(self.message()))
        } else {
            Err(self.message())
        }
    }

    fn set(&mut self, parameter: raw::TJPARAM, value: c_int) -> Result<(), String> {
        let parameter = c_int::try_from(parameter).map_err(|error| error.to_string())?;
        // SAFETY: the instance is alive; TurboJPEG checks parameter and value.
        let code = unsafe { raw::tj3Set(self.0.as_ptr(), parameter, value) };
        self.verdict(code).map(|_| ())
    }

    fn get(&mut self, parameter: raw::TJPARAM) -> c_int {
        let Ok(parameter) = c_int::try_from(parameter) else {
            return -1;
        };
        // SAFETY: the instance is alive; unknown parameters yield -1.
        unsafe { raw::tj3Get(self.0.as_ptr(), parameter) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the instance was made by tj3Init, is owned here alone and not used again.
        unsafe { raw::tj3Destroy(self.0.as_ptr()) }
    }
}

/// Scans that a picture of so many pixels may have.
fn scans(pixels: u64) -> Result<c_int, String> {
    let scans = (SCANNED / pixels.max(1)).clamp(FEWEST_SCANS, SCAN_LIMIT);
    c_int::try_from(scans).map_err(|error| error.to_string())
}

/// JPEG bytes → planes or packed pixels.
#[derive(Debug)]
pub struct Decompressor(Handle);

impl Decompressor {
    pub fn new() -> Result<Self, String> {
        let mut handle = Handle::new(raw::TJINIT_TJINIT_DECOMPRESS)?;
        handle.set(raw::TJPARAM_TJPARAM_SCANLIMIT, scans(0)?)?;
        // The profile is collected by `probe`, in the pass that proves completeness.
        handle.set(raw::TJPARAM_TJPARAM_SAVEMARKERS, 0)?;
        Ok(Self(handle))
    }

    /// Limits what the next picture may take inside libjpeg: bytes of coefficients and rows, and
    /// scans.
    pub fn limit(&mut self, bytes: u64, width: u32, height: u32) -> Result<(), String> {
        // The unit is the mebibyte; more than the parameter holds is no limit, which is 0.
        let mebibytes = c_int::try_from(bytes.div_ceil(1 << 20) + 1).unwrap_or(0);
        self.0.set(raw::TJPARAM_TJPARAM_MAXMEMORY, mebibytes)?;
        let scans = scans(u64::from(width) * u64::from(height))?;
        self.0.set(raw::TJPARAM_TJPARAM_SCANLIMIT, scans)
    }

    pub fn header(&mut self, jpeg: &[u8]) -> Result<Header, String> {
        // SAFETY: pointer and length describe `jpeg`, which C only reads during the call.
        let code = unsafe {
            raw::tj3DecompressHeader(self.0.0.as_ptr(), jpeg.as_ptr(), size(jpeg.len())?)
        };
        self.0.verdict(code)?;
        let width = positive(self.0.get(raw::TJPARAM_TJPARAM_JPEGWIDTH), "width")?;
        let height = positive(self.0.get(raw::TJPARAM_TJPARAM_JPEGHEIGHT), "height")?;
        let precision = self.0.get(raw::TJPARAM_TJPARAM_PRECISION);
        if precision != 8 {
            return Err(format!(
                "{precision}-bit JPEG is not supported, only 8-bit is"
            ));
        }
        let space = match u32::try_from(self.0.get(raw::TJPARAM_TJPARAM_COLORSPACE)) {
            Ok(raw::TJCS_TJCS_GRAY) => Space::Grey,
            Ok(raw::TJCS_TJCS_YCbCr) => Space::YCbCr,
            Ok(raw::TJCS_TJCS_RGB) => Space::Rgb,
            Ok(raw::TJCS_TJCS_CMYK | raw::TJCS_TJCS_YCCK) => Space::Cmyk,
            _ => return Err("unknown colour space".to_owned()),
        };
        Ok(Header {
            width,
            height,
            sampling: from_subsamp(self.0.get(raw::TJPARAM_TJPARAM_SUBSAMP)),
            space,
            lossless: self.0.get(raw::TJPARAM_TJPARAM_LOSSLESS) == 1,
        })
    }

    /// Decodes to planes at `eighths`/8 of the coded size (1..=8).
    pub fn planes(
        &mut self,
        jpeg: &[u8],
        eighths: u32,
        out: &mut Planes,
    ) -> Result<Warning, String> {
        let header = self.header(jpeg)?;
        let sampling = header
            .sampling
            .ok_or("chroma sampling has no planar form")?;
        let (width, height) = self.scale(&header, eighths)?;
        out.allocate(sampling, width, height);
        let shrink = f64::from(eighths) / 8.0;
        for (index, plane) in out.used_mut().iter_mut().enumerate() {
            check_plane(index, width, height, sampling, plane.width, plane.height)?;
            let (across, down) = sampling.steps(index);
            // The last column and row may be partly or wholly padding: only this much is picture.
            plane.area = Area {
                left: 0.0,
                top: 0.0,
                width: f64::from(header.width) * shrink / f64::from(across),
                height: f64::from(header.height) * shrink / f64::from(down),
            };
        }
        let (mut pointers, mut strides) = ([ptr::null_mut(); 3], [0; 3]);
        for (index, plane) in out.used_mut().iter_mut().enumerate() {
            pointers[index] = plane.samples.as_mut_ptr();
            strides[index] = number(plane.width)?;
        }
        // SAFETY: each pointer leads to stride × height samples as `check_plane` confirmed with
        // TurboJPEG's own formulas for the size that it read from these same bytes, and the unused
        // pointers of a grey picture are not touched.
        let code = unsafe {
            raw::tj3DecompressToYUVPlanes8(
                self.0.0.as_ptr(),
                jpeg.as_ptr(),
                size(jpeg.len())?,
                pointers.as_mut_ptr(),
                strides.as_mut_ptr(),
            )
        };
        self.0.verdict(code)
    }

    /// Decodes to packed pixels, R G B or inverted C M Y K, at `eighths`/8 of the coded size;
    /// returns width and height too.
    pub fn packed(
        &mut self,
        jpeg: &[u8],
        eighths: u32,
        out: &mut Vec<u8>,
    ) -> Result<(u32, u32, Warning), String> {
        let header = self.header(jpeg)?;
        let (width, height) = self.scale(&header, eighths)?;
        let (format, channels) = match header.space {
            Space::Cmyk => (raw::TJPF_TJPF_CMYK, 4),
            _ => (raw::TJPF_TJPF_RGB, 3),
        };
        let length = byte_count(width, height, channels)?;
        out.resize(length, 0);
        // SAFETY: `out` has width × height × channels bytes for the size that TurboJPEG read from
        // these same bytes; pitch 0 means rows without padding.
        let code = unsafe {
            raw::tj3Decompress8(
                self.0.0.as_ptr(),
                jpeg.as_ptr(),
                size(jpeg.len())?,
                out.as_mut_ptr(),
                0,
                format,
            )
        };
        Ok((width, height, self.0.verdict(code)?))
    }

    /// Planes → packed R G B.
    pub fn rgb_of(
        &mut self,
        planes: &Planes,
        width: u32,
        height: u32,
        out: &mut [u8],
    ) -> Result<(), String> {
        self.0
            .set(raw::TJPARAM_TJPARAM_SUBSAMP, to_subsamp(planes.sampling))?;
        let (pointers, strides) = sources(planes, width, height)?;
        if out.len() < byte_count(width, height, 3)? {
            return Err("pixel buffer is too small".to_owned());
        }
        // SAFETY: `sources` checked the planes against the size, and `out` was checked above.
        let code = unsafe {
            raw::tj3DecodeYUVPlanes8(
                self.0.0.as_ptr(),
                pointers.as_ptr(),
                strides.as_ptr(),
                out.as_mut_ptr(),
                number(width)?,
                0,
                number(height)?,
                raw::TJPF_TJPF_RGB,
            )
        };
        self.0.verdict(code).map(|_| ())
    }

    /// Sets the scale and returns the scaled size.
    fn scale(&mut self, header: &Header, eighths: u32) -> Result<(u32, u32), String> {
        let eighths = if header.lossless {
            8
        } else {
            eighths.clamp(1, 8)
        };
        let common = 1 << eighths.trailing_zeros();
        let factor = raw::tjscalingfactor {
            num: number(eighths / common)?,
            denom: number(8 / common)?,
        };
        // SAFETY: the instance is alive; TurboJPEG checks the factor against its list.
        let code = unsafe { raw::tj3SetScalingFactor(self.0.0.as_ptr(), factor) };
        self.0.verdict(code)?;
        let scaled = |side: u32| {
            u32::try_from((u64::from(side) * u64::from(eighths)).div_ceil(8))
                .map_err(|error| error.to_string())
        };
        Ok((scaled(header.width)?, scaled(header.height)?))
    }
}

/// Planes or packed pixels → JPEG bytes.
#[derive(Debug)]
pub struct Compressor(Handle);

impl Compressor {
    pub fn new() -> Result<Self, String> {
        let mut handle = Handle::new(raw::TJINIT_TJINIT_COMPRESS)?;
        // The caller's buffer holds the worst case, so C never allocates one of its own.
        handle.set(raw::TJPARAM_TJPARAM_NOREALLOC, 1)?;
        Ok(Self(handle))
    }

    /// How the entropy-coded data are written: for tests, which need every kind.
    #[cfg(test)]
    pub fn code(
        &mut self,
        progressive: bool,
        arithmetic: bool,
        restart_blocks: c_int,
    ) -> Result<(), String> {
        let progressive = c_int::from(progressive);
        self.0.set(raw::TJPARAM_TJPARAM_PROGRESSIVE, progressive)?;
        let arithmetic = c_int::from(arithmetic);
        self.0.set(raw::TJPARAM_TJPARAM_ARITHMETIC, arithmetic)?;
        self.0
            .set(raw::TJPARAM_TJPARAM_RESTARTBLOCKS, restart_blocks)
    }

    /// Encodes planes of a `width` × `height` picture; returns the length of the JPEG in `out`,
    /// which starts at byte `lead`. `out` only ever grows.
    pub fn jpeg(
        &mut self,
        planes: &Planes,
        (width, height): (u32, u32),
        quality: u8,
        icc: &[u8],
        lead: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, String> {
        self.0
            .set(raw::TJPARAM_TJPARAM_QUALITY, c_int::from(quality))?;
        self.0
            .set(raw::TJPARAM_TJPARAM_SUBSAMP, to_subsamp(planes.sampling))?;
        let (pointers, strides) = sources(planes, width, height)?;
        // SAFETY: pointer and length describe `icc`, of which TurboJPEG makes a copy; no profile
        // is said with null and 0.
        let code = unsafe {
            let start = if icc.is_empty() {
                ptr::null_mut()
            } else {
                icc.as_ptr().cast_mut()
            };
            raw::tj3SetICCProfile(self.0.0.as_ptr(), start, size(icc.len())?)
        };
        self.0.verdict(code)?;
        // SAFETY: plain arithmetic on three numbers.
        let worst = unsafe {
            raw::tj3JPEGBufSize(number(width)?, number(height)?, to_subsamp(planes.sampling))
        };
        let worst = usize::try_from(worst).map_err(|error| error.to_string())?;
        // A profile travels in segments of 64 KB with headers of 18 bytes.
        let worst = worst + icc.len() + 18 * (icc.len() / 65_000 + 1);
        if worst == 0 || out.len() < worst + lead {
            // Freshly zeroed memory is mapped lazily, so the unused worst case costs nothing.
            *out = vec![0; worst + lead];
        }
        let free = out.get_mut(lead..).unwrap_or_default();
        let mut start = free.as_mut_ptr();
        let mut length = size(free.len())?;
        // SAFETY: `sources` checked the planes against the size; C writes at most `length` bytes
        // at `start` because reallocation is off.
        let code = unsafe {
            raw::tj3CompressFromYUVPlanes8(
                self.0.0.as_ptr(),
                pointers.as_ptr(),
                number(width)?,
                strides.as_ptr(),
                number(height)?,
                &raw mut start,
                &raw mut length,
            )
        };
        self.0.verdict(code)?;
        usize::try_from(length).map_err(|error| error.to_string())
    }

    /// Packed R G B → planes of the given sampling.
    pub fn planes_of(
        &mut self,
        rgb: &[u8],
        (width, height): (u32, u32),
        sampling: Sampling,
        out: &mut Planes,
    ) -> Result<(), String> {
        if rgb.len() < byte_count(width, height, 3)? {
            return Err("pixel buffer is too small".to_owned());
        }
        self.0
            .set(raw::TJPARAM_TJPARAM_SUBSAMP, to_subsamp(sampling))?;
        out.allocate(sampling, width, height);
        let (mut pointers, mut strides) = ([ptr::null_mut(); 3], [0; 3]);
        for (index, plane) in out.used_mut().iter_mut().enumerate() {
            check_plane(index, width, height, sampling, plane.width, plane.height)?;
            pointers[index] = plane.samples.as_mut_ptr();
            strides[index] = number(plane.width)?;
        }
        // SAFETY: `rgb` holds width × height × 3 bytes and each plane what TurboJPEG's formulas
        // ask for, both checked above.
        let code = unsafe {
            raw::tj3EncodeYUVPlanes8(
                self.0.0.as_ptr(),
                rgb.as_ptr(),
                number(width)?,
                0,
                number(height)?,
                raw::TJPF_TJPF_RGB,
                pointers.as_mut_ptr(),
                strides.as_mut_ptr(),
            )
        };
        self.0.verdict(code).map(|_| ())
    }
}

type Sources = ([*const u8; 3], [c_int; 3]);

/// Pointers and strides of planes that C reads, after checking that they hold enough.
fn sources(planes: &Planes, width: u32, height: u32) -> Result<Sources, String> {
    let (mut pointers, mut strides) = ([ptr::null(); 3], [0; 3]);
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
        pointers[index] = plane.samples.as_ptr();
        strides[index] = number(plane.width)?;
    }
    Ok((pointers, strides))
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

fn byte_count(width: u32, height: u32, channels: usize) -> Result<usize, String> {
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

fn number<T: TryInto<c_int>>(value: T) -> Result<c_int, String>
where
    T::Error: std::fmt::Display,
{
    value
        .try_into()
        .map_err(|error| format!("size out of range: {error}"))
}

fn size(value: usize) -> Result<raw::size_t, String> {
    raw::size_t::try_from(value).map_err(|error| format!("size out of range: {error}"))
}

fn positive(value: c_int, what: &str) -> Result<u32, String> {
    match u32::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(format!("header has no {what}")),
    }
}

fn to_subsamp(sampling: Sampling) -> c_int {
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

fn from_subsamp(subsamp: c_int) -> Option<Sampling> {
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
