//! `text`, a mark that is drawn at the size of each picture, and the keys that say how.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{section::Section, tree::Value, value};
use crate::{
    mark::{self, text},
    picture::{Length, Relative, Text},
    template::{About, Template},
};

pub const TEXT: &str = "text";

/// The fonts of a file by their path, `None` for the one that is built in; each is read once.
pub type Fonts = HashMap<Option<PathBuf>, Result<Arc<[u8]>, String>>;

/// Takes the keys of a text from `section`. They are checked also where there is none.
pub fn read(section: &mut Section<'_>, base: &Path, fonts: &mut Fonts) -> Option<Text> {
    let template = section.get(TEXT, |value| Template::parse(value::text(value)?));
    let font = section.get("font", |value| font(value, base, fonts));
    let (mut size, mut colour) = (Length::Percent(3.0), [255; 4]);
    section.set("size", &mut size, self::size);
    section.set("color", &mut colour, self::colour);
    let outline = section.get("outline", outline).flatten();
    let shadow = section.get("shadow", shadow).flatten();
    let template = template?;
    let font = match font {
        Some(font) => font,
        None => built_in(fonts),
    };
    // What the picture says of itself may have other letters; then that picture fails.
    let words = template.text_for(&About::default(), (1, 1));
    if let Err(cause) = text::check(&words, &font) {
        section.findings.add(&section.place_of(TEXT), cause);
        return None;
    }
    Some(Text {
        template,
        font,
        size,
        colour,
        outline,
        shadow,
    })
}

fn built_in(fonts: &mut Fonts) -> Arc<[u8]> {
    let font = fonts
        .entry(None)
        .or_insert_with(|| Ok(Arc::from(text::FONT)));
    font.clone().unwrap_or_default()
}

fn font(value: &Value, base: &Path, fonts: &mut Fonts) -> Result<Arc<[u8]>, String> {
    if matches!(value, Value::Null) {
        return Ok(built_in(fonts));
    }
    let path = value::below(base, &value::path(value)?);
    let read = || mark::font(&path).map(Arc::from);
    fonts.entry(Some(path.clone())).or_insert_with(read).clone()
}

/// Of an em.
fn size(value: &Value) -> Result<Length, String> {
    let wanted = "pixels 4..1000, or above \"0%\" and up to \"50%\"";
    match value::length(50.0)(value) {
        Ok(Length::Pixels(pixels)) if (4..=1000).contains(&pixels) => Ok(Length::Pixels(pixels)),
        Ok(Length::Percent(percent)) if percent > 0.0 => Ok(Length::Percent(percent)),
        _ => Err(value::wanted(wanted, value)),
    }
}

fn colour(value: &Value) -> Result<text::Colour, String> {
    match value {
        Value::Text(text) => text::colour(text),
        // Without quotes a # begins a comment.
        _ => Err("in quotes".to_owned()),
    }
    .map_err(|_cause| value::wanted("a colour in quotes, \"#rrggbb\" or \"#rrggbbaa\"", value))
}

/// A width, and a colour behind a comma.
fn outline(value: &Value) -> Result<Option<(Relative, text::Colour)>, String> {
    let read = |text: &str| {
        let (width, colour) = text.split_once(',').unwrap_or((text, "#000000"));
        let width = relative(width).filter(|width| match width {
            Relative::Pixels(pixels) => (0.0..=100.0).contains(pixels),
            Relative::Percent(percent) => (0.0..=50.0).contains(percent),
        })?;
        Some((width, text::colour(colour).ok()?))
    };
    let wanted = "null, or a width and a colour such as \"4%,#000000\" or \"2,#000000\"";
    parts(value, read).map_err(|()| value::wanted(wanted, value))
}

/// Two distances, and a colour behind another comma.
#[expect(
    clippy::type_complexity,
    reason = "two distances and a colour, as a style has them"
)]
fn shadow(value: &Value) -> Result<Option<((Relative, Relative), text::Colour)>, String> {
    let read = |text: &str| {
        let mut parts = text.splitn(3, ',');
        let mut distance = || relative(parts.next()?);
        let by = (distance()?, distance()?);
        let colour = text::colour(parts.next().unwrap_or("#00000080")).ok()?;
        Some((by, colour))
    };
    let wanted = "null, or two distances and a colour such as \"3%,3%,#00000080\" or \"2,2\"";
    parts(value, read).map_err(|()| value::wanted(wanted, value))
}

fn parts<T>(value: &Value, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => read(text).map(Some).ok_or(()),
        Value::Whole(number) => read(&number.to_string()).map(Some).ok_or(()),
        Value::Fraction(number) => read(&number.to_string()).map(Some).ok_or(()),
        _ => Err(()),
    }
}

/// Pixels -1000..=1000, or percent of an em.
fn relative(text: &str) -> Option<Relative> {
    let text = text.trim();
    let (number, length): (_, fn(f32) -> Relative) = match text.strip_suffix('%') {
        Some(number) => (number, Relative::Percent),
        None => (text, Relative::Pixels),
    };
    let number: f32 = number.parse().ok()?;
    (-1000.0..=1000.0).contains(&number).then(|| length(number))
}
