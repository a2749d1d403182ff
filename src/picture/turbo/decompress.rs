//! JPEG bytes to samples.

use turbojpeg::libc::c_int;
use turbojpeg::raw;

use super::super::planes::{Planes, Sampling};
use super::handle::{Handle, Warning};
use super::layout::{byte_count, from_subsamp, number, size, sources, targets, to_subsamp};

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

/// What a decoder does at its first warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtWarning {
    /// It returns the warning at once; the samples are worth nothing.
    Stop,
    GoOn,
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
        let code =
            unsafe { raw::tj3DecompressHeader(self.0.pointer(), jpeg.as_ptr(), size(jpeg.len())?) };
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
        at_warning: AtWarning,
        out: &mut Planes,
    ) -> Result<Warning, String> {
        let header = self.header(jpeg)?;
        self.set_at_warning(at_warning)?;
        let sampling = header
            .sampling
            .ok_or("chroma sampling has no planar form")?;
        let (width, height) = self.scale(&header, eighths)?;
        out.allocate_scaled(sampling, (header.width, header.height), eighths);
        let mut out = targets(out, width, height)?;
        // SAFETY: each pointer leads to stride × height samples as `targets` confirmed with
        // TurboJPEG's own formulas for the size that it read from these same bytes, and the unused
        // pointers of a grey picture are not touched.
        let code = unsafe {
            raw::tj3DecompressToYUVPlanes8(
                self.0.pointer(),
                jpeg.as_ptr(),
                size(jpeg.len())?,
                out.pointers.as_mut_ptr(),
                out.strides.as_mut_ptr(),
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
        at_warning: AtWarning,
        out: &mut Vec<u8>,
    ) -> Result<(u32, u32, Warning), String> {
        let header = self.header(jpeg)?;
        self.set_at_warning(at_warning)?;
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
                self.0.pointer(),
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
        // It warns of what the picture before left in the instance.
        self.set_at_warning(AtWarning::GoOn)?;
        self.0
            .set(raw::TJPARAM_TJPARAM_SUBSAMP, to_subsamp(planes.sampling))?;
        let planes = sources(planes, width, height)?;
        if out.len() < byte_count(width, height, 3)? {
            return Err("pixel buffer is too small".to_owned());
        }
        // SAFETY: `sources` checked the planes against the size, and `out` was checked above.
        let code = unsafe {
            raw::tj3DecodeYUVPlanes8(
                self.0.pointer(),
                planes.pointers.as_ptr(),
                planes.strides.as_ptr(),
                out.as_mut_ptr(),
                number(width)?,
                0,
                number(height)?,
                raw::TJPF_TJPF_RGB,
            )
        };
        self.0.verdict(code).map(|_| ())
    }

    /// A header is read to its end all the same, so this comes behind that.
    fn set_at_warning(&mut self, at_warning: AtWarning) -> Result<(), String> {
        let stop = c_int::from(at_warning == AtWarning::Stop);
        self.0.set(raw::TJPARAM_TJPARAM_STOPONWARNING, stop)
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
        let code = unsafe { raw::tj3SetScalingFactor(self.0.pointer(), factor) };
        self.0.verdict(code)?;
        let scaled = |side: u32| {
            u32::try_from((u64::from(side) * u64::from(eighths)).div_ceil(8))
                .map_err(|error| error.to_string())
        };
        Ok((scaled(header.width)?, scaled(header.height)?))
    }
}

/// Scans that a picture of so many pixels may have.
fn scans(pixels: u64) -> Result<c_int, String> {
    let scans = (SCANNED / pixels.max(1)).clamp(FEWEST_SCANS, SCAN_LIMIT);
    c_int::try_from(scans).map_err(|error| error.to_string())
}

fn positive(value: c_int, what: &str) -> Result<u32, String> {
    match u32::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(format!("header has no {what}")),
    }
}
