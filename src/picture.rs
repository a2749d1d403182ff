//! The picture path: encoded bytes in, encoded bytes out. Knows no file, clock, config or log.

use std::sync::Arc;

use crate::mark::Mark;

/// How pictures are treated. Every field is validated by whoever builds it.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub mark: Arc<Mark>,
    /// Percent, 0..=100; multiplies the mark's alpha.
    pub opacity: f32,
    /// Height of the written picture in pixels, 1..=65500.
    pub output_height: u32,
    /// JPEG quality 1..=100 that the picture is reduced to before the mark is laid on; 100 leaves
    /// it as it is. For PNG the compression effort: 100 fastest, low smallest.
    pub quality: u8,
    /// JPEG quality 1..=100 of the written file.
    pub output_quality: u8,
    pub chroma: Chroma,
    /// Whether pictures smaller than `output_height` are enlarged.
    pub upscale: bool,
    pub anchor: Anchor,
    pub margin: Length,
    /// Pixels; pictures whose shorter side (after scaling) is below it get no mark.
    pub min_picture: u32,
    /// Pictures with more pixels, before or after scaling, are refused before they are decoded.
    pub max_pixels: u64,
}

/// Chroma sampling of a written JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// 4:2:0, one chroma sample for 2×2 pixels.
    Half,
    /// 4:4:4, one chroma sample a pixel.
    Full,
}

/// Where the mark stands on the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    TopLeft,
    Top,
    TopRight,
    Left,
    Center,
    Right,
    BottomLeft,
    Bottom,
    BottomRight,
}

/// A length on the written picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    Pixels(u32),
    /// Percent of the picture's shorter side.
    Percent(f32),
}

/// The two formats that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
}

/// The steps of the path, in order; `Read` and `Publish` belong to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Decode,
    Orient,
    Resize,
    Recompress,
    Overlay,
    Encode,
}
