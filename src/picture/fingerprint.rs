//! A number for a recipe, so that the ledger can tell what a file was made with.

use xxhash_rust::xxh3::Xxh3;

use super::recipe::{
    Anchor, Chroma, Length, Metadata, PlacedMark, Position, Recipe, Relative, Resample, Scale,
    Side, Size, Subject, Text,
};

impl Recipe {
    /// A number that is the same for equal recipes on every machine and in every build, and
    /// differs for different ones: XXH3 over every field in a fixed form.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        // Every field is named, so that a new one cannot be forgotten.
        let Self {
            marks,
            size,
            quality,
            output_quality,
            chroma,
            resample,
            sharpen,
            upscale,
            metadata,
            max_pixels,
        } = self;
        let chroma = match chroma {
            Chroma::Half => 0,
            Chroma::Full => 1,
        };
        let metadata = match metadata {
            Metadata::Keep => 0,
            Metadata::Copyright => 1,
            Metadata::Strip => 2,
        };
        let mut hash = Xxh3::new();
        hash.update(&[
            *quality,
            *output_quality,
            chroma,
            u8::from(*upscale),
            metadata,
        ]);
        let height = match size {
            Size::Height(height) => *height,
            // Told at the end.
            _ => 0,
        };
        hash.update(&height.to_le_bytes());
        hash.update(&max_pixels.to_le_bytes());
        for mark in marks {
            add(&mut hash, mark);
        }
        match resample {
            // Results from before there was a choice are those of `fast`. They are not stale.
            Resample::Fast => {}
            Resample::Fine => hash.update(b"fine"),
        }
        add_size(&mut hash, *size);
        if *sharpen > 0 {
            hash.update(b"sharpen");
            hash.update(&[*sharpen]);
        }
        hash.digest()
    }
}

/// Results from before there was a choice have a height.
fn add_size(hash: &mut Xxh3, size: Size) {
    let (kind, numbers) = match size {
        Size::Height(_) => return,
        Size::Original => (0, [0, 0]),
        Size::Width(width) => (1, [width, 0]),
        Size::Box { width, height } => (2, [width, height]),
        Size::LongEdge(length) => (3, [length, 0]),
        Size::ShortEdge(length) => (4, [length, 0]),
    };
    hash.update(b"size");
    hash.update(&[kind]);
    for number in numbers {
        hash.update(&number.to_le_bytes());
    }
}

/// The size comes before the pixels, so that no two lists of marks run together to the same bytes.
fn add(hash: &mut Xxh3, placed: &PlacedMark) {
    let PlacedMark {
        mark,
        opacity,
        scale,
        rotate,
        position,
        margin,
        min_picture,
    } = placed;
    let (position, spacing) = match *position {
        Position::At(anchor) => (number(anchor), Length::Pixels(0)),
        Position::Tile { spacing } => (9, spacing),
    };
    let (margin_unit, margin) = length(*margin);
    let (spacing_unit, spacing) = length(spacing);
    hash.update(&[position, margin_unit, spacing_unit]);
    for number in [
        opacity.to_bits(),
        // A scale is above 0.
        scale.map_or(0.0, |scale| scale.percent).to_bits(),
        rotate.to_bits(),
        margin,
        spacing,
        *min_picture,
    ] {
        hash.update(&number.to_le_bytes());
    }
    if let Subject::Image(mark) = mark {
        hash.update(&mark.width.to_le_bytes());
        hash.update(&mark.height.to_le_bytes());
    }
    match scale.map(|Scale { side, .. }| side) {
        // As in results from before there was a choice.
        None | Some(Side::Shorter) => {}
        Some(Side::Width) => hash.update(b"width"),
        Some(Side::Height) => hash.update(b"height"),
    }
    match mark {
        Subject::Image(mark) => hash.update(&mark.rgba),
        Subject::Text(text) => add_text(hash, text),
    }
}

fn add_text(hash: &mut Xxh3, text: &Text) {
    let Text {
        template,
        font,
        size,
        colour,
        outline,
        shadow,
    } = text;
    hash.update(b"text");
    hash.update(template.text().as_bytes());
    // No text has it.
    hash.update(&[0]);
    hash.update(&(font.len() as u64).to_le_bytes());
    hash.update(font);
    let (unit, number) = length(*size);
    hash.update(&[unit]);
    hash.update(&number.to_le_bytes());
    hash.update(colour);
    let mut add = |length: &Relative| {
        let (unit, number) = match length {
            Relative::Pixels(pixels) => (0, pixels),
            Relative::Percent(percent) => (1, percent),
        };
        hash.update(&[unit]);
        hash.update(&number.to_bits().to_le_bytes());
    };
    let (mut colours, mut there) = ([[0; 4]; 2], [0; 2]);
    if let Some((width, colour)) = outline {
        add(width);
        (colours[0], there[0]) = (*colour, 1);
    }
    if let Some(((x, y), colour)) = shadow {
        add(x);
        add(y);
        (colours[1], there[1]) = (*colour, 1);
    }
    hash.update(&there);
    hash.update(colours.as_flattened());
}

fn number(anchor: Anchor) -> u8 {
    match anchor {
        Anchor::TopLeft => 0,
        Anchor::Top => 1,
        Anchor::TopRight => 2,
        Anchor::Left => 3,
        Anchor::Center => 4,
        Anchor::Right => 5,
        Anchor::BottomLeft => 6,
        Anchor::Bottom => 7,
        Anchor::BottomRight => 8,
    }
}

fn length(length: Length) -> (u8, u32) {
    match length {
        Length::Pixels(pixels) => (0, pixels),
        Length::Percent(percent) => (1, percent.to_bits()),
    }
}
