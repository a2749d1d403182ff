//! A recipe of single words, as a command line has them: the same keys, ranges and messages as in
//! the file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    recipe::{self, Form, Marks},
    section::{Findings, Section},
    tree::{self, Node, Place, Value},
};
use crate::{mark::Mark, picture::Recipe};

/// The keys of a size, which replaces another as a whole.
const SIZE: [&str; 4] = ["output_width", "output_height", "long_edge", "short_edge"];

/// What a photographer wants who says nothing else: the picture keeps its size, and the mark stands out
/// of the way.
pub const DEFAULTS: [(&str, &str); 4] = [
    ("output_height", "original"),
    ("position", "bottom-right"),
    ("margin", "2%"),
    ("scale", "20%"),
];

/// The recipe that keys and their values mean, with this mark. Else what is wrong: key and cause.
pub fn recipe_of(
    words: &[(&str, &str)],
    mark: &Arc<Mark>,
) -> Result<Recipe, Vec<(String, String)>> {
    let mut entries: Vec<(String, Node)> = Vec::new();
    let sized = words.iter().any(|(key, _)| SIZE.contains(key));
    let defaults = DEFAULTS
        .iter()
        .filter(|(key, _)| !(sized && SIZE.contains(key)));
    for (key, word) in defaults.chain(words) {
        entries.retain(|(earlier, _)| earlier != key);
        entries.push(((*key).to_owned(), scalar(key, word)));
    }
    let path = "mark";
    entries.push((
        "npy_path".to_owned(),
        node("npy_path", Value::Text(path.into())),
    ));
    let mut marks = Marks {
        base: Path::new(""),
        fonts: HashMap::new(),
        loaded: HashMap::from([(PathBuf::from(path), Ok(Arc::clone(mark)))]),
    };
    let root = Node {
        place: Place::default(),
        value: Value::Map(entries),
    };
    let findings = Findings::default();
    let mut section = Section::of(&root, &findings);
    let recipe = recipe::read(&mut section, &mut marks, None, Form::List);
    section.finish();
    // Warnings are of what is on the disk, and here nothing is.
    let [findings, _] = findings.into_inner();
    if findings.is_empty() {
        return Ok(recipe);
    }
    let told = |(place, cause): (Place, String)| (place.key, cause);
    Err(findings.into_iter().map(told).collect())
}

/// As YAML reads the word: 60 is a number, and 20% a text.
fn scalar(key: &str, word: &str) -> Node {
    let value = match tree::parse(word).map(|node| node.value) {
        Ok(value @ (Value::Switch(_) | Value::Whole(_) | Value::Fraction(_))) => value,
        _ => Value::Text(word.to_owned()),
    };
    node(key, value)
}

fn node(key: &str, value: Value) -> Node {
    Node {
        place: Place::default().key(key),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Anchor, Chroma, Length, Position, Scale, Side, Size, Subject};

    fn read(words: &[(&str, &str)]) -> Result<Recipe, Vec<(String, String)>> {
        let mark = Mark {
            width: 1,
            height: 1,
            rgba: vec![0; 4],
        };
        recipe_of(words, &Arc::new(mark))
    }

    #[test]
    fn without_a_word_a_picture_keeps_its_size() {
        let recipe = read(&[]).unwrap();
        assert_eq!((recipe.quality, recipe.output_quality), (100, 90));
        assert_eq!((recipe.size, recipe.upscale), (Size::Original, false));
        assert_eq!(recipe.chroma, Chroma::Half);
        let placed = &recipe.marks[0];
        assert_eq!(placed.position, Position::At(Anchor::BottomRight));
        assert_eq!(
            (placed.scale, placed.margin),
            (
                Some(Scale {
                    percent: 20.0,
                    side: Side::Shorter
                }),
                Length::Percent(2.0)
            )
        );
        assert!(matches!(&placed.mark, Subject::Image(mark) if mark.width == 1));
    }

    #[test]
    fn words_are_read_and_refused_as_in_the_file() {
        let words = [
            ("scale", "none"),
            ("opacity", "60"),
            ("output_height", "1080"),
        ];
        let recipe = read(&words).unwrap();
        assert_eq!(recipe.marks[0].scale, None);
        assert!((recipe.marks[0].opacity - 60.0).abs() < 1e-6);
        assert_eq!(recipe.size, Size::Height(1080));
        let words = [("output_width", "800"), ("output_height", "600")];
        let (width, height) = (800, 600);
        assert_eq!(read(&words).unwrap().size, Size::Box { width, height });
        assert_eq!(
            read(&[("long_edge", "2048")]).unwrap().size,
            Size::LongEdge(2048)
        );
        for (key, word, wanted) in [
            ("opacity", "101", "0..100"),
            ("position", "- a", "top-left"),
            ("output_quality", "high", "whole number"),
        ] {
            let problems = read(&[(key, word)]).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].0, key);
            assert!(problems[0].1.contains(wanted), "{problems:?}");
        }
    }
}
