//! Draws a text as a mark: filled, with an outline around it and a shadow beneath, both optional.
//!
//! Glyphs are placed and rasterised by `swash`, which kerns and joins as the font says. What is
//! written from right to left is put in order by the Unicode Bidirectional Algorithm (UAX #9).

use swash::FontRef;
use swash::scale::image::Image;
use swash::scale::{Render, ScaleContext, Scaler, Source};
use swash::shape::cluster::Glyph;
use swash::shape::{Direction, ShapeContext};
use swash::text::{Codepoint, Script};
use swash::zeno::{Format, Join, Stroke, Vector};
use unicode_bidi::{BidiInfo, Level};

use super::mark::Mark;

const MAX_PIXELS: u64 = Mark::MAX_PIXELS;

/// `DejaVu` Sans Bold; its licence lies beside it.
pub const FONT: &[u8] = include_bytes!("DejaVuSans-Bold.ttf");

/// Far more than fits on a picture.
const MOST_CHARACTERS: usize = 1000;

/// Straight R G B A.
pub type Colour = [u8; 4];

/// How a text is drawn. Every field is validated by whoever builds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Pixels an em, 4..=1000.
    pub size: f32,
    pub colour: Colour,
    /// Its width in pixels, 0..=100, and its colour.
    pub outline: Option<(f32, Colour)>,
    /// How far it stands to the right and below in pixels, -1000..=1000, and its colour.
    pub shadow: Option<((i32, i32), Colour)>,
}

/// Reads `#rrggbb` or `#rrggbbaa`; the # may be left out.
pub fn colour(text: &str) -> Result<Colour, String> {
    let text = text.trim();
    let digits = text.strip_prefix('#').unwrap_or(text);
    let wanted = || "#rrggbb or #rrggbbaa is wanted".to_owned();
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wanted());
    }
    let value = u32::from_str_radix(digits, 16).map_err(|_cause| wanted())?;
    match digits.len() {
        6 => Ok((value << 8 | 0xff).to_be_bytes()),
        8 => Ok(value.to_be_bytes()),
        _ => Err(wanted()),
    }
}

/// Draws `text` with a font in TrueType or OpenType form, the first one of a collection.
pub fn draw(text: &str, font: &[u8], style: &Style) -> Result<Mark, String> {
    check(text, font)?;
    let font = parsed(font)?;
    let glyphs = lay_out(text, &font, style)?;
    let mut context = ScaleContext::new();
    let mut scaler = context.builder(font).size(style.size).build();
    let mut masks = vec![rasterise(&mut scaler, &glyphs, None)];
    if let Some((width, _)) = style.outline.filter(|(width, _)| *width > 0.0) {
        masks.push(rasterise(&mut scaler, &glyphs, Some(width)));
    }
    compose(&masks, style)
}

fn parsed(font: &[u8]) -> Result<FontRef<'_>, String> {
    let font = FontRef::from_index(font, 0);
    font.ok_or_else(|| "the font is not understood, TrueType or OpenType is wanted".to_owned())
}

/// Whether the font is one and has all letters of a text.
pub fn check(text: &str, font: &[u8]) -> Result<(), String> {
    let font = parsed(font)?;
    let count = text.chars().count();
    if count > MOST_CHARACTERS {
        return Err(format!(
            "the text has {count} characters, {MOST_CHARACTERS} are allowed"
        ));
    }
    let known = font.charmap();
    match text.chars().find(|c| *c != '\n' && known.map(*c) == 0) {
        Some(c) => Err(format!(
            "the font has no character {c:?} (U+{:04X}), `font` gives another one",
            u32::from(c)
        )),
        None => Ok(()),
    }
}

/// A glyph and the place of its origin, pixels to the right and upwards.
struct Placed {
    id: u16,
    x: f32,
    y: f32,
}

fn lay_out(text: &str, font: &FontRef<'_>, style: &Style) -> Result<Vec<Placed>, String> {
    let metrics = font.metrics(&[]).scale(style.size);
    let line_height = metrics.ascent + metrics.descent + metrics.leading;
    let mut context = ShapeContext::new();
    let mut glyphs = Vec::new();
    let (mut widest, mut baseline) = (0.0_f32, 0.0_f32);
    for line in text.split('\n') {
        let bidi = BidiInfo::new(line, None);
        let mut pen = 0.0;
        for paragraph in &bidi.paragraphs {
            let (levels, runs) = bidi.visual_runs(paragraph, paragraph.range.clone());
            for run in runs {
                let backwards = levels.get(run.start).is_some_and(Level::is_rtl);
                let text = line.get(run).unwrap_or_default().chars();
                // Brackets open to where the text goes on.
                let text: String = if backwards {
                    text.map(|c| c.mirror().unwrap_or(c)).collect()
                } else {
                    text.collect()
                };
                let direction = if backwards {
                    Direction::RightToLeft
                } else {
                    Direction::LeftToRight
                };
                let mut shaper = context
                    .builder(*font)
                    .size(style.size)
                    .script(script(&text))
                    .direction(direction)
                    .build();
                shaper.add_str(&text);
                // They come in the order of reading.
                let mut clusters: Vec<Vec<Glyph>> = Vec::new();
                shaper.shape_with(|cluster| clusters.push(cluster.glyphs.to_vec()));
                if backwards {
                    clusters.reverse();
                }
                for glyph in clusters.into_iter().flatten() {
                    glyphs.push(Placed {
                        id: glyph.id,
                        x: pen + glyph.x,
                        y: baseline + glyph.y,
                    });
                    pen += glyph.advance;
                }
            }
        }
        widest = widest.max(pen);
        baseline -= line_height;
    }
    // Before anything is drawn: a huge text would not get past the exact check anyway.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a limit need not be exact to the pixel"
    )]
    if widest * -baseline > MAX_PIXELS as f32 {
        return Err(format!(
            "the text would be {widest:.0} pixels wide, a mark may have {MAX_PIXELS} pixels"
        ));
    }
    Ok(glyphs)
}

/// The script of a run, which decides on its joints and kerning.
fn script(run: &str) -> Script {
    run.chars()
        .map(Codepoint::script)
        .find(|script| !matches!(script, Script::Common | Script::Inherited | Script::Unknown))
        .unwrap_or(Script::Latin)
}

/// The glyphs filled, or their edges as wide as `outline` to either side.
fn rasterise(scaler: &mut Scaler<'_>, glyphs: &[Placed], outline: Option<f32>) -> Vec<Image> {
    let mut render = Render::new(&[Source::Outline]);
    render.format(Format::Alpha);
    if let Some(width) = outline {
        let mut stroke = Stroke::new(width * 2.0);
        stroke.join(Join::Round);
        render.style(stroke);
    }
    glyphs
        .iter()
        .filter_map(|glyph| {
            render.offset(Vector::new(glyph.x, glyph.y));
            render.render(scaler, glyph.id)
        })
        .filter(|image| image.placement.width > 0 && image.placement.height > 0)
        .collect()
}

/// A rectangle of pixels, y downwards, its right and lower edges not in it.
#[derive(Debug, Clone, Copy)]
struct Extent {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Extent {
    fn of(image: &Image) -> Self {
        let place = image.placement;
        let side = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
        Self {
            left: place.left,
            top: place.top.saturating_neg(),
            right: place.left.saturating_add(side(place.width)),
            bottom: side(place.height).saturating_sub(place.top),
        }
    }

    fn around(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    fn moved(self, (x, y): (i32, i32)) -> Self {
        Self {
            left: self.left.saturating_add(x),
            top: self.top.saturating_add(y),
            right: self.right.saturating_add(x),
            bottom: self.bottom.saturating_add(y),
        }
    }

    fn sides(self) -> (u32, u32) {
        (
            self.right.abs_diff(self.left),
            self.bottom.abs_diff(self.top),
        )
    }
}

/// The text's colours where `masks`, the fill and perhaps the stroke around it, cover a pixel.
fn compose(masks: &[Vec<Image>], style: &Style) -> Result<Mark, String> {
    let text = masks
        .iter()
        .flatten()
        .map(Extent::of)
        .reduce(Extent::around)
        .ok_or("nothing of the text can be seen")?;
    let shadow = style.shadow.unwrap_or(((0, 0), [0; 4]));
    let extent = text.around(text.moved(shadow.0));
    let (width, height) = extent.sides();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "the text would be {width}×{height}, a mark may have {MAX_PIXELS} pixels"
        ));
    }
    let cover = |masks: &[Vec<Image>], by| cover(masks.iter().flatten(), extent, by);
    let fill = cover(&masks[..1], (0, 0));
    let whole = cover(masks, (0, 0));
    let beneath = cover(if style.shadow.is_some() { masks } else { &[] }, shadow.0);
    let outline = style.outline.map_or([0; 4], |(_, colour)| colour);
    let mut rgba = Vec::with_capacity(fill.len() * 4);
    for ((fill, whole), beneath) in fill.into_iter().zip(whole).zip(beneath) {
        // The outline is what the fill leaves: laid under the fill it would show through it.
        let text = [(style.colour, fill), (outline, whole.saturating_sub(fill))];
        let mut sums = [0.0_f32; 4];
        for (colour, covered) in text {
            add(&mut sums, colour, f32::from(covered) / 255.0);
        }
        let left = (1.0 - sums[3]).max(0.0);
        add(&mut sums, shadow.1, left * f32::from(beneath) / 255.0);
        rgba.extend(straight(sums));
    }
    Ok(trimmed(&Mark {
        width,
        height,
        rgba,
    }))
}

/// How much of each pixel of `extent` the images cover when they are moved. Where glyphs touch,
/// the larger counts: their sum would thicken the joints.
fn cover<'a>(images: impl Iterator<Item = &'a Image>, extent: Extent, by: (i32, i32)) -> Vec<u8> {
    let (width, height) = extent.sides();
    let width = width as usize;
    let mut covered = vec![0; width * height as usize];
    for image in images {
        let place = Extent::of(image).moved(by);
        let left = place.left.abs_diff(extent.left) as usize;
        let top = place.top.abs_diff(extent.top) as usize;
        let rows = covered.chunks_exact_mut(width).skip(top);
        let lines = image.data.chunks_exact(image.placement.width as usize);
        for (row, line) in rows.zip(lines) {
            for (covered, &sample) in row[left..].iter_mut().zip(line) {
                *covered = sample.max(*covered);
            }
        }
    }
    covered
}

/// Adds a premultiplied share of a colour.
fn add(sums: &mut [f32; 4], [red, green, blue, alpha]: Colour, share: f32) {
    let alpha = f32::from(alpha) / 255.0 * share;
    for (sum, sample) in sums.iter_mut().zip([red, green, blue]) {
        *sum += f32::from(sample) * alpha;
    }
    sums[3] += alpha;
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which is what is wanted"
)]
fn straight([red, green, blue, alpha]: [f32; 4]) -> [u8; 4] {
    let opaque = (alpha * 255.0).round() as u8;
    if opaque == 0 {
        return [0; 4];
    }
    let [red, green, blue] = [red, green, blue].map(|sum| (sum / alpha).round() as u8);
    [red, green, blue, opaque]
}

/// Without the empty rows and columns around it.
fn trimmed(mark: &Mark) -> Mark {
    let width = mark.width as usize;
    let shows = |pixel: &[u8]| pixel[3] > 0;
    let rows: Vec<&[u8]> = mark.rgba.chunks_exact(width * 4).collect();
    let full = |row: &&[u8]| row.chunks_exact(4).any(shows);
    let first = rows.iter().position(full).unwrap_or(0);
    let last = rows.iter().rposition(full).unwrap_or(0);
    let rows = &rows[first..=last];
    let column = |x: &usize| rows.iter().any(|row| shows(&row[x * 4..]));
    let left = (0..width).find(column).unwrap_or(0);
    let right = (0..width).rfind(column).unwrap_or(0);
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    Mark {
        width: side(right + 1 - left),
        height: side(rows.len()),
        rgba: rows
            .iter()
            .flat_map(|row| &row[left * 4..(right + 1) * 4])
            .copied()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style {
        size: 60.0,
        colour: [255, 255, 255, 255],
        outline: None,
        shadow: None,
    };

    fn drawn(text: &str, style: &Style) -> Mark {
        draw(text, FONT, style).unwrap()
    }

    fn column(mark: &Mark, x: u32) -> Vec<[u8; 4]> {
        let width = mark.width as usize;
        let pixels = mark.rgba.chunks_exact(4).skip(x as usize).step_by(width);
        pixels.map(|pixel| pixel.try_into().unwrap()).collect()
    }

    #[test]
    fn the_box_is_tight_and_the_edges_are_smooth() {
        let mark = drawn("© me", &PLAIN);
        assert!((130..190).contains(&mark.width), "{}", mark.width);
        assert!((42..60).contains(&mark.height), "{}", mark.height);
        for x in [0, mark.width - 1] {
            assert!(column(&mark, x).iter().any(|pixel| pixel[3] > 0));
        }
        let partly = mark
            .rgba
            .chunks_exact(4)
            .filter(|pixel| (1..255).contains(&pixel[3]));
        assert!(partly.clone().count() > 100);
        for pixel in partly {
            assert_eq!(pixel[..3], [255; 3]);
        }
    }

    #[test]
    fn glyphs_stand_where_their_advances_put_them() {
        // Two strokes of an l, the second as far to the right as one of them is wide.
        let (one, two) = (drawn("l", &PLAIN), drawn("ll", &PLAIN));
        assert!(two.width > one.width * 2 && two.height == one.height);
        let gap = column(&two, two.width / 2);
        assert!(gap.iter().all(|pixel| pixel[3] == 0));
        // Below one another: the second line is one line lower, not higher.
        let lines = drawn("l\n.", &PLAIN);
        assert!(lines.height > one.height + 10);
        let lowest = &lines.rgba[lines.rgba.len() - one.width as usize * 4..];
        assert!(lowest.chunks_exact(4).any(|pixel| pixel[3] > 0));
    }

    #[test]
    fn pairs_are_kerned() {
        let width = |text| drawn(text, &PLAIN).width;
        let apart = width("A") + width("V");
        assert!(width("AV") < apart, "{} of {apart}", width("AV"));
    }

    #[test]
    fn what_is_read_from_right_to_left_is_drawn_so() {
        // Lamed alone towers above the others' height: it is the first that is read.
        let ink_at_the_top = |text: &str| {
            let mark = drawn(text, &PLAIN);
            let row: Vec<bool> = mark.rgba.chunks_exact(4).map(|p| p[3] > 128).collect();
            let row = &row[..mark.width as usize];
            let inked = row.iter().position(|&ink| ink).unwrap();
            inked * 100 / row.len()
        };
        assert!(ink_at_the_top("לווווו") > 70);
        assert!(ink_at_the_top("bnnnnn") < 30);
        // What stands around them keeps its own order.
        assert!(ink_at_the_top("mmm לווו") > 80);
        // A bracket before what follows on its left is the one that stands after it elsewhere.
        assert_eq!(drawn("(א", &PLAIN).rgba, drawn("\u{202d}א)", &PLAIN).rgba);
        // Joined letters are narrower than the same ones apart.
        let width = |text| drawn(text, &PLAIN).width;
        assert!(width("ححح") < width("ح ح ح"));
    }

    #[test]
    fn an_outline_and_a_shadow_are_padded_for() {
        let plain = drawn("l", &PLAIN);
        let style = Style {
            outline: Some((5.0, [255, 0, 0, 255])),
            ..PLAIN
        };
        let outlined = drawn("l", &style);
        assert_eq!(outlined.width, plain.width + 10);
        assert_eq!(outlined.height, plain.height + 10);
        let middle = outlined.width / 2;
        let pixels = column(&outlined, middle);
        assert_eq!(pixels[1], [255, 0, 0, 255]);
        assert_eq!(pixels[pixels.len() / 2], [255; 4]);
        let shadowed = drawn(
            "l",
            &Style {
                shadow: Some(((-20, 30), [0, 0, 255, 128])),
                ..style
            },
        );
        assert_eq!(shadowed.width, outlined.width + 20);
        assert_eq!(shadowed.height, outlined.height + 30);
        let pixels = column(&shadowed, middle);
        assert_eq!(pixels[pixels.len() / 2], [0, 0, 255, 128]);
        assert_eq!(pixels[10][3], 0);
    }

    #[test]
    fn an_outline_does_not_show_through_a_translucent_fill() {
        let mark = drawn(
            "l",
            &Style {
                colour: [255, 255, 255, 100],
                outline: Some((3.0, [0, 0, 0, 255])),
                ..PLAIN
            },
        );
        let pixels = column(&mark, mark.width / 2);
        assert_eq!(pixels[pixels.len() / 2], [255, 255, 255, 100]);
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        for (text, font, size, part) in [
            ("a 好", FONT, 60.0, "no character '好' (U+597D)"),
            ("a", &b"GIF89a"[..], 60.0, "font is not understood"),
            ("", FONT, 60.0, "nothing of the text"),
            ("  ", FONT, 60.0, "nothing of the text"),
            (&"m".repeat(1001), FONT, 4.0, "1001 characters"),
            (&"m".repeat(1000), FONT, 1000.0, "32000000 pixels"),
        ] {
            let error = draw(text, font, &Style { size, ..PLAIN }).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
