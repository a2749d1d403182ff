//! Samples to JPEG bytes.

use std::ptr;

use turbojpeg::libc::c_int;
use turbojpeg::raw;

use super::super::planes::{Planes, Sampling};
use super::handle::Handle;
use super::layout::{byte_count, number, size, sources, targets, to_subsamp};

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
        let subsamp = to_subsamp(planes.sampling);
        let planes = sources(planes, width, height)?;
        // SAFETY: pointer and length describe `icc`, of which TurboJPEG makes a copy; no profile
        // is said with null and 0.
        let code = unsafe {
            let start = if icc.is_empty() {
                ptr::null_mut()
            } else {
                icc.as_ptr().cast_mut()
            };
            raw::tj3SetICCProfile(self.0.pointer(), start, size(icc.len())?)
        };
        self.0.verdict(code)?;
        // SAFETY: plain arithmetic on three numbers.
        let worst = unsafe { raw::tj3JPEGBufSize(number(width)?, number(height)?, subsamp) };
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
                self.0.pointer(),
                planes.pointers.as_ptr(),
                number(width)?,
                planes.strides.as_ptr(),
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
        let mut out = targets(out, width, height)?;
        // SAFETY: `rgb` holds width × height × 3 bytes and each plane what TurboJPEG's formulas
        // ask for, both checked above.
        let code = unsafe {
            raw::tj3EncodeYUVPlanes8(
                self.0.pointer(),
                rgb.as_ptr(),
                number(width)?,
                0,
                number(height)?,
                raw::TJPF_TJPF_RGB,
                out.pointers.as_mut_ptr(),
                out.strides.as_mut_ptr(),
            )
        };
        self.0.verdict(code).map(|_| ())
    }
}
