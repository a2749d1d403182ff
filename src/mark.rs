//! A watermark: an RGBA picture read once from a `.npy` array (or a PNG or JPEG) and shared by
//! all workers.

/// A watermark ready for blending: 8-bit sRGB with straight (not premultiplied) alpha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Pixels, at least 1.
    pub width: u32,
    /// Pixels, at least 1.
    pub height: u32,
    /// `width × height × 4` bytes, rows top to bottom, R G B A.
    pub rgba: Vec<u8>,
}
