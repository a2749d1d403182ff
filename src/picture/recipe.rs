//! What becomes of pictures: everything that is the same for all pictures of a folder.

use std::{ffi::OsStr, sync::Arc};

use super::mark::Mark;
use crate::template::{About, Template};

/// How pictures are treated. Every field is validated by whoever builds it.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Laid on in this order.
    pub marks: Vec<PlacedMark>,
    pub size: Size,
    /// JPEG quality 1..=100 that the picture is reduced to before the mark is laid on; 100 leaves
    /// it as it is. For PNG and WebP the compression effort: 100 fastest, low smallest.
    pub quality: u8,
    /// Quality 1..=100 of the written file, if it is a JPEG or a lossy WebP.
    pub output_quality: u8,
    pub chroma: Chroma,
    pub resample: Resample,
    /// By how much a picture is sharpened that was scaled down: 0 not at all, 100 most.
    pub sharpen: u8,
    /// Whether pictures smaller than `size` are enlarged.
    pub upscale: bool,
    pub metadata: Metadata,
    /// Pictures with more pixels, before or after scaling, are refused before they are decoded.
    pub max_pixels: u64,
}

/// A mark and how it lies on pictures.
#[derive(Debug, Clone)]
pub struct PlacedMark {
    pub mark: Subject,
    /// Percent, 0..=100; multiplies the mark's alpha.
    pub opacity: f32,
    /// The mark's width; `None` leaves the mark its own pixels.
    pub scale: Option<Scale>,
    /// Degrees counter-clockwise, any finite number.
    pub rotate: f32,
    pub position: Position,
    pub margin: Length,
    /// Pixels; pictures whose shorter side (after scaling) is below it do not get this mark.
    pub min_picture: u32,
}

/// What a mark shows.
#[derive(Debug, Clone)]
pub enum Subject {
    Image(Arc<Mark>),
    Text(Arc<Text>),
}

impl From<Arc<Mark>> for Subject {
    fn from(mark: Arc<Mark>) -> Self {
        Self::Image(mark)
    }
}

/// A text that is drawn at the size of each picture.
#[derive(Debug, Clone)]
pub struct Text {
    pub template: Template,
    /// TrueType or OpenType, the first font of a collection.
    pub font: Arc<[u8]>,
    /// Of an em; on a picture it is 4..=1000 pixels.
    pub size: Length,
    /// Straight R G B A.
    pub colour: [u8; 4],
    /// Its width, not negative, and its colour.
    pub outline: Option<(Relative, [u8; 4])>,
    /// How far it stands to the right and below, and its colour.
    pub shadow: Option<((Relative, Relative), [u8; 4])>,
}

/// A length on a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Relative {
    Pixels(f32),
    /// Percent of an em.
    Percent(f32),
}

/// The size of the written picture: pixels of the upright one, 1..=65500. The aspect ratio is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// That of the source.
    Original,
    Width(u32),
    Height(u32),
    /// As large as fits into it.
    Box {
        width: u32,
        height: u32,
    },
    LongEdge(u32),
    ShortEdge(u32),
}

/// A length in percent of a side of the written picture, above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub percent: f32,
    pub side: Side,
}

/// A side of the written picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Shorter,
    Width,
    Height,
}

/// What scaling down looks to first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// The JPEG decoder does as much of it as the output allows, a bicubic filter the rest.
    Fast,
    /// The decoder leaves the picture well above its output, and a Lanczos filter does the rest.
    Fine,
}

/// Chroma sampling of a written JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// 4:2:0, one chroma sample for 2×2 pixels.
    Half,
    /// 4:4:4, one chroma sample a pixel.
    Full,
}

/// What is kept of EXIF, XMP and IPTC. The colour profile always is, since it is what the samples
/// mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// All of it, made upright and without pictures of the unmarked one.
    Keep,
    /// Who made the picture, whose it is, when it was taken, and its resolution.
    Copyright,
    /// Nothing.
    Strip,
}

/// Where a mark stands on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    At(Anchor),
    /// Again and again over the whole picture, from the margin on.
    Tile {
        /// Between a tile and the next, across and down.
        spacing: Length,
    },
}

/// A place for a single mark.
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

/// The formats that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    WebP,
}

impl Format {
    /// Windows and old browsers write `.jfif` and `.jpe`.
    const JPEG: [&str; 4] = ["jpg", "jpeg", "jpe", "jfif"];

    /// What a name with this extension, without its dot and in any case, promises.
    #[must_use]
    pub fn of_extension(extension: impl AsRef<OsStr>) -> Option<Self> {
        let extension = extension.as_ref();
        let is = |one: &&str| extension.eq_ignore_ascii_case(one);
        if Self::JPEG.iter().any(is) {
            Some(Self::Jpeg)
        } else if is(&"png") {
            Some(Self::Png)
        } else if is(&"webp") {
            Some(Self::WebP)
        } else {
            None
        }
    }
}

/// One of the results that are made of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The format to write.
    pub wanted: Format,
    pub recipe: &'a Recipe,
    /// What texts may tell of the source.
    pub about: &'a About,
}

impl Recipe {
    /// Whether a text of it tells what only the picture knows.
    #[must_use]
    pub fn asks_the_picture(&self) -> bool {
        self.marks.iter().any(|placed| match &placed.mark {
            Subject::Image(_) => false,
            Subject::Text(text) => text.template.asks_the_picture(),
        })
    }
}
