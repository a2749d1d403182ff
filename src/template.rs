//! Texts with fields, such as `{stem}_web.jpg` and `{date:%Y} Jane`: what results are called.
//!
//! A field stands in braces. `{{` and `}}` are the braces themselves. A date may have a format after a
//! colon, in the letters of `strftime`.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use jiff::civil::DateTime;

use crate::{os, picture::Format};

/// A text with fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// As it is written.
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Stem,
    Ext,
    /// In this format.
    Date(String),
    Camera,
    Width,
    Height,
}

/// What fields stand for.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The source's file name.
    pub source: &'a OsStr,
    /// When the picture was taken, in the camera's time.
    pub taken: DateTime,
    /// The camera's maker and model; empty where the picture does not say.
    pub camera: &'a str,
    /// Pixels of the result.
    pub width: u32,
    pub height: u32,
}

const DATE: &str = "%Y-%m-%d";
/// For a camera that a picture does not tell.
const UNKNOWN: &str = "unknown";
const KNOWN: &str = "{stem}, {ext}, {date}, {date:%Y}, {camera}, {width} and {height}";

/// Bytes of a name at most, on all common file systems.
pub const LONGEST_NAME: usize = 255;

impl Template {
    /// Reads a text. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '{' | '}' if letters.peek() == Some(&letter) => {
                    letters.next();
                    plain.push(letter);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match letters.next() {
                            Some('}') => break,
                            Some(letter) => name.push(letter),
                            None => return Err(format!("{{{name} has no closing brace")),
                        }
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Field(Field::parse(&name)?));
                }
                '}' => return Err("a } without its {: write }} for the brace itself".to_owned()),
                letter => plain.push(letter),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template {
            text: text.to_owned(),
            parts,
        })
    }

    /// Reads what results are called, and tells their format: `None` for that of the source.
    pub fn name(text: &str) -> Result<(Template, Option<Format>), String> {
        let template = Self::parse(text)?;
        for part in &template.parts {
            let Part::Text(text) = part else { continue };
            if let Some(letter) = text.chars().find(|letter| cannot_be_in_names(*letter)) {
                return Err(format!("{letter:?} cannot be in a name"));
            }
        }
        if text.starts_with('.') {
            return Err("a name that begins with a dot is hidden".to_owned());
        }
        let format = match &template.parts[..] {
            [.., Part::Text(dot), Part::Field(Field::Ext)] if dot.ends_with('.') => None,
            [.., Part::Text(end)] => match end.rsplit_once('.') {
                Some((_, extension)) => {
                    Some(Format::of_extension(extension).ok_or_else(|| {
                        format!("results are .jpg, .jpeg or .png, not .{extension}")
                    })?)
                }
                None => return Err(NO_ENDING.to_owned()),
            },
            _ => return Err(NO_ENDING.to_owned()),
        };
        Ok((template, format))
    }

    /// The name of the source.
    #[must_use]
    pub fn of_source() -> Template {
        Template {
            text: "{stem}.{ext}".to_owned(),
            parts: vec![
                Part::Field(Field::Stem),
                Part::Text(".".to_owned()),
                Part::Field(Field::Ext),
            ],
        }
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the picture itself must be asked for a field.
    #[must_use]
    pub fn asks_the_picture(&self) -> bool {
        let asks = |part: &Part| matches!(part, Part::Field(Field::Date(_) | Field::Camera));
        self.parts.iter().any(asks)
    }

    /// The name of a result. It has at most 255 bytes: what stands before the extension is cut.
    #[must_use]
    pub fn fill(&self, facts: &Facts<'_>) -> OsString {
        let mut name = OsString::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push(text),
                Part::Field(field) => field.fill(facts, &mut name),
            }
        }
        if name.len() <= LONGEST_NAME {
            return name;
        }
        let path = Path::new(&name);
        let extension = path.extension().unwrap_or_default();
        let stem = path.file_stem().unwrap_or_default();
        let most = LONGEST_NAME.saturating_sub(extension.len() + 1);
        let mut shorter = cut(stem, most);
        shorter.push(".");
        shorter.push(extension);
        shorter
    }
}

const NO_ENDING: &str = "must end with .jpg, .jpeg, .png or .{ext}, which says the format";

impl Field {
    fn parse(name: &str) -> Result<Field, String> {
        Ok(match name.split_once(':') {
            Some(("date", format)) => {
                // A format that cannot be written now never can.
                if jiff::fmt::strtime::format(format, DateTime::default()).is_err() {
                    return Err(format!(
                        "{format:?} is no format of a date, such as %Y-%m-%d"
                    ));
                }
                Field::Date(format.to_owned())
            }
            None if name == "date" => Field::Date(DATE.to_owned()),
            None if name == "stem" => Field::Stem,
            None if name == "ext" => Field::Ext,
            None if name == "camera" => Field::Camera,
            None if name == "width" => Field::Width,
            None if name == "height" => Field::Height,
            _ => return Err(format!("{{{name}}} is no field, known here are {KNOWN}")),
        })
    }

    fn fill(&self, facts: &Facts<'_>, name: &mut OsString) {
        let source = Path::new(facts.source);
        match self {
            Field::Stem => name.push(source.file_stem().unwrap_or_default()),
            Field::Ext => name.push(source.extension().unwrap_or_default()),
            Field::Date(format) => {
                let date = jiff::fmt::strtime::format(format, facts.taken);
                name.push(for_names(&date.unwrap_or_default()));
            }
            Field::Camera => name.push(match for_names(facts.camera) {
                camera if camera.is_empty() => UNKNOWN.to_owned(),
                camera => camera,
            }),
            Field::Width => name.push(facts.width.to_string()),
            Field::Height => name.push(facts.height.to_string()),
        }
    }
}

/// The beginning of a name, at most so many bytes, that ends with a whole character.
pub fn cut(name: &OsStr, most: usize) -> OsString {
    if name.len() <= most {
        return name.to_owned();
    }
    let Some(text) = name.to_str() else {
        return os::first_bytes(name, most);
    };
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    OsString::from(&text[..end.unwrap_or(0)])
}

/// What no name has on one of the systems that share a folder.
fn cannot_be_in_names(letter: char) -> bool {
    letter.is_control() || matches!(letter, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// A text from inside of a picture as a part of a name.
fn for_names(text: &str) -> String {
    let text: String = text
        .trim_matches(|letter: char| letter.is_whitespace() || letter == '.' || letter == '\0')
        .chars()
        .map(|letter| {
            if cannot_be_in_names(letter) {
                '_'
            } else {
                letter
            }
        })
        .collect();
    text
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            source: OsStr::new("IMG_1.JPG"),
            taken: datetime(2024, 5, 1, 12, 30, 7, 0),
            camera: "NIKON D70/s ",
            width: 2048,
            height: 1365,
        }
    }

    #[test]
    fn fields_are_filled() {
        for (text, format, expected) in [
            ("{stem}.{ext}", None, "IMG_1.JPG"),
            ("{stem}_web.jpg", Some(Format::Jpeg), "IMG_1_web.jpg"),
            ("{date}.PNG", Some(Format::Png), "2024-05-01.PNG"),
            ("{date:%Y%m%d-%H%M%S}.{ext}", None, "20240501-123007.JPG"),
            ("{date:%H:%M}.jpeg", Some(Format::Jpeg), "12_30.jpeg"),
            (
                "{camera} {width}x{height}.jpg",
                Some(Format::Jpeg),
                "NIKON D70_s 2048x1365.jpg",
            ),
            ("{{{stem}}}.jpg", Some(Format::Jpeg), "{IMG_1}.jpg"),
        ] {
            let (template, found) = Template::name(text).unwrap();
            assert_eq!(found, format, "{text}");
            assert_eq!(template.fill(&facts()), OsStr::new(expected), "{text}");
        }
        let (template, _) = Template::name("{camera}.jpg").unwrap();
        let nameless = Facts {
            camera: " .\0",
            ..facts()
        };
        assert_eq!(template.fill(&nameless), OsStr::new("unknown.jpg"));
    }

    #[test]
    fn a_mistake_is_told() {
        for (text, cause) in [
            ("{stem}", "must end with .jpg"),
            ("a", "must end with .jpg"),
            ("", "must end with .jpg"),
            ("{stem}{ext}", "must end with .jpg"),
            ("{stem}.gif", "not .gif"),
            ("{stem.jpg", "no closing brace"),
            ("stem}.jpg", "without its {"),
            ("{name}.jpg", "{name} is no field, known here are {stem}"),
            ("{width:3}.jpg", "{width:3} is no field"),
            ("{date:%Q}.jpg", "\"%Q\" is no format of a date"),
            ("web/{stem}.jpg", "'/' cannot be in a name"),
            ("a\0{stem}.jpg", "cannot be in a name"),
            (".{stem}.jpg", "hidden"),
        ] {
            let told = Template::name(text).unwrap_err();
            assert!(told.contains(cause), "{text}: {told}");
        }
    }

    #[test]
    fn a_name_is_never_too_long() {
        let long = "é".repeat(126) + ".jpeg";
        let (template, _) = Template::name("{stem}_web.{ext}").unwrap();
        let name = template.fill(&Facts {
            source: OsStr::new(&long),
            ..facts()
        });
        assert_eq!(name, OsStr::new(&("é".repeat(125) + ".jpeg")));
    }
}
