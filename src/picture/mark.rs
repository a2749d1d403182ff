//! A watermark's pixels. Whoever makes them, from a file or a text, stands above the picture path.

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

impl Mark {
    /// Pixels that a mark may have: far more than any picture's mark needs, little enough to hold.
    pub const MAX_PIXELS: u64 = 32_000_000;
}
