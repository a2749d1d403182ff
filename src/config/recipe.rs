//! `watermark:` as a recipe, for the whole file or overridden by a folder.

use std::{
    collections::HashMap,
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    section::Section,
    size,
    text::{self, Fonts, TEXT},
    tree::{Node, Value},
    value,
};
use crate::{
    mark::{self, Mark},
    picture::{
        Anchor, Chroma, Length, Metadata, PlacedMark, Position, Recipe, Resample, Scale, Side,
        Size, Subject,
    },
};

/// The keys for a single mark's file and for a list of marks, which are alternatives.
const SINGLE: &str = "npy_path";
const LIST: &str = "marks";

/// Marks that a picture may get: each costs time, and nobody needs more.
const MOST_MARKS: usize = 32;

/// Percent of the shorter side: enough to fill the longer side of any picture but a strip.
const LARGEST_SCALE: f32 = 1000.0;

/// The marks of a file by their path; each is loaded once however many folders use it.
pub struct Marks<'a> {
    pub fonts: Fonts,
    /// What relative paths are relative to.
    pub base: &'a Path,
    pub loaded: HashMap<PathBuf, Result<Arc<Mark>, String>>,
}

/// Stands in for a recipe that is known by its fingerprint only.
#[must_use]
pub fn bare_recipe() -> Recipe {
    defaults(Form::List)
}

/// How a mark lies when the file says nothing else.
fn default_mark(mark: Arc<Mark>) -> PlacedMark {
    PlacedMark {
        mark: mark.into(),
        opacity: 100.0,
        scale: None,
        rotate: 0.0,
        position: Position::At(Anchor::TopLeft),
        margin: Length::Pixels(0),
        min_picture: 0,
    }
}

/// The defaults, without a mark. The Python tool reduced every picture before the mark, wrote it at
/// full quality, and enlarged what was smaller.
fn defaults(form: Form) -> Recipe {
    let (quality, output_quality, upscale) = match form {
        Form::Python => (30, 100, true),
        Form::List => (100, 90, false),
    };
    Recipe {
        marks: Vec::new(),
        size: Size::Height(1080),
        quality,
        output_quality,
        chroma: auto_chroma(form, output_quality),
        resample: default_resample(form),
        sharpen: 0,
        upscale,
        metadata: Metadata::Copyright,
        max_pixels: 100_000_000,
    }
}

/// What a recipe may say, and most likely does not mean.
#[must_use]
pub fn doubts(recipe: &Recipe) -> Option<String> {
    let fraction = |opacity: f32| opacity > 0.0 && opacity <= 1.0;
    let placed = recipe
        .marks
        .iter()
        .find(|placed| fraction(placed.opacity))?;
    let opacity = placed.opacity;
    Some(format!(
        "opacity is in percent: {opacity} is nearly invisible, {} would be {opacity} of 1",
        opacity * 100.0
    ))
}

/// In which form the folders are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The Python tool's: results are as its were.
    Python,
    List,
}

/// From this quality on half the colour resolution is the worst loss: red letters fray.
const FULL_CHROMA_FROM: u8 = 95;

/// What `chroma: auto` means.
fn auto_chroma(form: Form, output_quality: u8) -> Chroma {
    match form {
        Form::List if output_quality >= FULL_CHROMA_FROM => Chroma::Full,
        Form::List | Form::Python => Chroma::Half,
    }
}

/// What scaling down looks to when nothing is said. Lanczos is sharper than the Python tool's filter: its results
/// would not be those of before.
fn default_resample(form: Form) -> Resample {
    match form {
        Form::List => Resample::Fine,
        Form::Python => Resample::Fast,
    }
}

/// Takes the keys of a recipe from `section`.
pub fn read(
    section: &mut Section<'_>,
    marks: &mut Marks<'_>,
    max_pixels: Option<u64>,
    form: Form,
) -> Recipe {
    let mut recipe = defaults(form);
    // Read even if there is a list of marks, whose defaults these keys are.
    let placed = placed(section, marks);
    match alternative(section) {
        Some((LIST, node)) => recipe.marks = list(section, node, marks),
        _ => recipe.marks.push(placed),
    }
    recipe.size = size::size(section).unwrap_or(recipe.size);
    section.set("quality", &mut recipe.quality, value::whole(1..=100));
    section.set(
        "output_quality",
        &mut recipe.output_quality,
        value::whole(1..=100),
    );
    let chroma = section.get("chroma", chroma).flatten();
    recipe.chroma = chroma.unwrap_or_else(|| auto_chroma(form, recipe.output_quality));
    section.set("resample", &mut recipe.resample, resample);
    section.set("sharpen", &mut recipe.sharpen, value::whole(0..=100));
    section.set("upscale", &mut recipe.upscale, value::switch);
    recipe.max_pixels = max_pixels.unwrap_or(recipe.max_pixels);
    section.set("metadata", &mut recipe.metadata, metadata);
    recipe
}

/// The entries of `marks`. What an entry does not say is said by `section`.
fn list(section: &Section<'_>, node: &Node, marks: &mut Marks<'_>) -> Vec<PlacedMark> {
    let nodes = match &node.value {
        Value::List(nodes) if (0..=MOST_MARKS).contains(&nodes.len()) => nodes,
        Value::List(nodes) => {
            let cause = format!("must have 0..{MOST_MARKS} marks, found {}", nodes.len());
            section.findings.add(&node.place, cause);
            return Vec::new();
        }
        other => {
            let cause = value::wanted("a list of marks", other);
            section.findings.add(&node.place, cause);
            return Vec::new();
        }
    };
    nodes
        .iter()
        .map(|node| {
            let mut entry = section.entry(node);
            let placed = placed(&mut entry, marks);
            require(&mut entry, &[SINGLE, TEXT]);
            entry.finish();
            placed
        })
        .collect()
}

/// The nearest of the keys for a file, a text and a list of marks, of which a mapping has one.
fn alternative<'a>(section: &mut Section<'a>) -> Option<(&'static str, &'a Node)> {
    let found = section.nearest_of(&[SINGLE, TEXT, LIST]);
    if let [(first, _), .., (last, node)] = found[..] {
        let remedy = if last == LIST {
            "name it in the entries"
        } else {
            "a mark is a file or a text"
        };
        let cause = format!("cannot be combined with {first}: {remedy}");
        section.findings.add(&node.place, cause);
    }
    found.last().copied()
}

/// A mark and how it lies.
fn placed(section: &mut Section<'_>, marks: &mut Marks<'_>) -> PlacedMark {
    let image = mark(section, marks);
    let text = text::read(section, marks.base, &mut marks.fonts);
    let subject = section.nearest_of(&[SINGLE, TEXT]);
    if let [_, (_, node)] = subject[..] {
        let cause = format!("cannot be combined with {SINGLE}: a mark is a file or a text");
        section.findings.add(&node.place, cause);
    }
    let mut placed = default_mark(image);
    place(section, &mut placed);
    if let (Some((TEXT, _)), Some(text)) = (subject.last(), text) {
        placed.mark = Subject::Text(Arc::new(text));
        // It has a size of its own.
        placed.scale = None;
    }
    placed
}

/// The mark that is named. When none can be had it is a transparent one, so that the other keys are
/// checked all the same; the finding keeps such a recipe from leaving this module.
fn mark(section: &mut Section<'_>, marks: &mut Marks<'_>) -> Arc<Mark> {
    let mark = section.get(SINGLE, |value| marks.get(&value::path(value)?));
    mark.unwrap_or_else(|| {
        Arc::new(Mark {
            width: 1,
            height: 1,
            rgba: vec![0; 4],
        })
    })
}

/// Takes the keys that say how a mark lies.
fn place(section: &mut Section<'_>, placed: &mut PlacedMark) {
    section.set("opacity", &mut placed.opacity, value::percent);
    section.set("margin", &mut placed.margin, value::length(50.0));
    section.set("scale", &mut placed.scale, scale);
    section.set(
        "min_picture",
        &mut placed.min_picture,
        value::whole(0..=65_500),
    );
    section.set("rotate", &mut placed.rotate, rotate);
    // A single mark has no neighbours: for it the key is checked and means nothing.
    let mut spacing = Length::Pixels(0);
    section.set("spacing", &mut spacing, value::length(100.0));
    section.set("position", &mut placed.position, |value| {
        position(value, spacing)
    });
}

/// Notes that a recipe has no mark.
pub fn require_mark(section: &mut Section<'_>) {
    require(section, &[SINGLE, TEXT, LIST]);
}

fn require(section: &mut Section<'_>, keys: &[&'static str]) {
    if section.nearest_of(keys).is_empty() {
        let place = section.place.key(SINGLE);
        let cause = format!("required, but missing (or {TEXT}, for a mark that is a text)");
        section.findings.add(&place, cause);
    }
}

impl Marks<'_> {
    fn get(&mut self, path: &Path) -> Result<Arc<Mark>, String> {
        let path = value::below(self.base, path);
        if let Some(mark) = self.loaded.get(&path) {
            return mark.clone();
        }
        let mark = mark::load(&path)
            .map(Arc::new)
            .map_err(|error| causes(&error));
        self.loaded.insert(path, mark.clone());
        mark
    }
}

/// The message and those of its causes that it does not repeat itself.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

fn chroma(value: &Value) -> Result<Option<Chroma>, String> {
    let words = [
        ("auto", None),
        ("420", Some(Chroma::Half)),
        ("444", Some(Chroma::Full)),
    ];
    match value {
        // The quotes are easily forgotten, and nothing else can be meant.
        Value::Whole(420) => Ok(Some(Chroma::Half)),
        Value::Whole(444) => Ok(Some(Chroma::Full)),
        other => value::choice(&words)(other),
    }
}

fn resample(value: &Value) -> Result<Resample, String> {
    value::choice(&[("fine", Resample::Fine), ("fast", Resample::Fast)])(value)
}

fn position(value: &Value, spacing: Length) -> Result<Position, String> {
    value::choice(&[
        ("top-left", Position::At(Anchor::TopLeft)),
        ("top", Position::At(Anchor::Top)),
        ("top-right", Position::At(Anchor::TopRight)),
        ("left", Position::At(Anchor::Left)),
        ("center", Position::At(Anchor::Center)),
        ("right", Position::At(Anchor::Right)),
        ("bottom-left", Position::At(Anchor::BottomLeft)),
        ("bottom", Position::At(Anchor::Bottom)),
        ("bottom-right", Position::At(Anchor::BottomRight)),
        ("tile", Position::Tile { spacing }),
    ])(value)
}

/// `None` for the mark's own pixels.
fn scale(value: &Value) -> Result<Option<Scale>, String> {
    match value {
        Value::Text(text) if text == "none" => Ok(None),
        other => match scaled(other) {
            Some(scale) if scale.percent > 0.0 => Ok(Some(scale)),
            _ => {
                let wanted = format!(
                    "none, \"20%\", \"20% of width\" or \"20% of height\", above 0% and up to {LARGEST_SCALE}%"
                );
                let told = value::wanted(&wanted, value);
                // A bare number is most likely meant so.
                Err(match value::number(value) {
                    Some(number) if number > 0.0 => format!("{told}; write {number}%"),
                    _ => told,
                })
            }
        },
    }
}

/// A text such as "20%" or "20% of width".
fn scaled(value: &Value) -> Option<Scale> {
    let Value::Text(text) = value else {
        return None;
    };
    let mut words = text.split_whitespace();
    let length = Value::Text(words.next()?.to_owned());
    let Ok(Length::Percent(percent)) = value::length(LARGEST_SCALE)(&length) else {
        return None;
    };
    let side = match (words.next(), words.next(), words.next()) {
        (None, None, None) => Side::Shorter,
        (Some("of"), Some("width"), None) => Side::Width,
        (Some("of"), Some("height"), None) => Side::Height,
        _ => return None,
    };
    Some(Scale { percent, side })
}

/// Degrees; whole turns are taken off, so that they make no other recipe.
fn rotate(value: &Value) -> Result<f32, String> {
    value::number(value)
        .filter(|degrees| degrees.is_finite())
        .map(|degrees| degrees.rem_euclid(360.0))
        .ok_or_else(|| value::wanted("a number of degrees", value))
}

fn metadata(value: &Value) -> Result<Metadata, String> {
    value::choice(&[
        ("keep", Metadata::Keep),
        ("copyright", Metadata::Copyright),
        ("strip", Metadata::Strip),
    ])(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_form_treats_pictures_as_before() {
        let recipe = defaults(Form::Python);
        assert_eq!((recipe.quality, recipe.output_quality), (30, 100));
        assert!(recipe.upscale);
        let recipe = defaults(Form::List);
        assert_eq!((recipe.quality, recipe.output_quality), (100, 90));
        assert!(!recipe.upscale);
        for (form, expected) in [(Form::List, Resample::Fine), (Form::Python, Resample::Fast)] {
            assert_eq!(default_resample(form), expected, "{form:?}");
        }
    }

    #[test]
    fn an_opacity_that_looks_like_a_fraction_is_doubted() {
        for (opacity, is_doubted) in [(0.0, false), (0.6, true), (1.0, true), (1.5, false)] {
            let mut placed = default_mark(Arc::new(Mark {
                width: 1,
                height: 1,
                rgba: vec![0; 4],
            }));
            placed.opacity = opacity;
            let mut recipe = bare_recipe();
            recipe.marks.push(placed);
            assert_eq!(doubts(&recipe).is_some(), is_doubted, "{opacity}");
        }
    }

    #[test]
    fn colours_are_full_where_half_would_show() {
        for (form, output_quality, expected) in [
            (Form::List, 100, Chroma::Full),
            (Form::List, 95, Chroma::Full),
            (Form::List, 94, Chroma::Half),
            (Form::List, 1, Chroma::Half),
            (Form::Python, 100, Chroma::Half),
        ] {
            assert_eq!(
                auto_chroma(form, output_quality),
                expected,
                "{output_quality}"
            );
        }
    }
}
