//! Texts with fields, such as `{stem}_web.jpg` and `© {date:%Y} {artist}`: what results are called, and what
//! marks say.
//!
//! A field stands in braces. `{{` and `}}` are the braces themselves. A date may have a format after a
//! colon, in the letters of `strftime`.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use jiff::civil::DateTime;

use crate::os;

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
    Artist,
    Copyright,
    Width,
    Height,
}

/// What the fields of a picture stand for. Texts are empty where the picture does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The source's file name.
    pub source: OsString,
    /// When the picture was taken, in the camera's time.
    pub taken: DateTime,
    /// Maker and model.
    pub camera: String,
    pub artist: String,
    pub copyright: String,
}

const DATE: &str = "%Y-%m-%d";
/// For a camera that a picture does not tell.
const UNKNOWN: &str = "unknown";
const KNOWN: &str = "{stem}, {ext}, {date}, {date:%Y}, {camera}, {artist}, {copyright}, \
                     {width} and {height}";

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

    /// Reads what results are called. All that is wrong but for the extension is told.
    pub fn name(text: &str) -> Result<Template, String> {
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
        Ok(template)
    }

    /// How the names of results end.
    #[must_use]
    pub fn ending(&self) -> Ending<'_> {
        match &self.parts[..] {
            [.., Part::Text(dot), Part::Field(Field::Ext)] if dot.ends_with('.') => Ending::Source,
            [.., Part::Text(end)] => match end.rsplit_once('.') {
                Some((_, extension)) => Ending::Own(extension),
                None => Ending::None,
            },
            _ => Ending::None,
        }
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
        let asks = |part: &Part| match part {
            Part::Field(Field::Stem | Field::Ext | Field::Width | Field::Height)
            | Part::Text(_) => false,
            Part::Field(Field::Date(_) | Field::Camera | Field::Artist | Field::Copyright) => true,
        };
        self.parts.iter().any(asks)
    }

    /// Letters of a text at most.
    #[must_use]
    pub fn longest(&self) -> usize {
        let letters = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.chars().count(),
            Part::Field(_) => LONGEST_NAME,
        });
        letters.fold(0, usize::saturating_add)
    }

    /// The text for a result of this size, without blanks at its ends.
    #[must_use]
    pub fn text_for(&self, about: &About, size: (u32, u32)) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field) => {
                    let value = field.value(about, size);
                    let letters = value.to_string_lossy();
                    let shown = letters.chars().filter(|letter| !letter.is_control());
                    text.extend(shown.take(LONGEST_NAME));
                }
            }
        }
        text.trim().to_owned()
    }

    /// The name of a result of this size. It has at most 255 bytes: what stands before the extension is
    /// cut.
    #[must_use]
    pub fn name_for(&self, about: &About, size: (u32, u32)) -> OsString {
        let mut name = OsString::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push(text),
                // It is a name already.
                Part::Field(field @ (Field::Stem | Field::Ext)) => {
                    name.push(field.value(about, size));
                }
                Part::Field(field) => {
                    let value = field.value(about, size);
                    name.push(match for_names(&value.to_string_lossy()) {
                        value if value.is_empty() => UNKNOWN.to_owned(),
                        value => value,
                    });
                }
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

/// How the names of results end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// As that of their source.
    Source,
    /// With this extension, without its dot.
    Own(&'a str),
    None,
}

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
            None if name == "artist" => Field::Artist,
            None if name == "copyright" => Field::Copyright,
            None if name == "width" => Field::Width,
            None if name == "height" => Field::Height,
            _ => return Err(format!("{{{name}}} is no field, known here are {KNOWN}")),
        })
    }

    fn value(&self, about: &About, (width, height): (u32, u32)) -> OsString {
        let source = Path::new(&about.source);
        match self {
            Field::Stem => source.file_stem().unwrap_or_default().to_owned(),
            Field::Ext => source.extension().unwrap_or_default().to_owned(),
            Field::Date(format) => {
                let date = jiff::fmt::strtime::format(format, about.taken);
                date.unwrap_or_default().into()
            }
            Field::Camera => about.camera.clone().into(),
            Field::Artist => about.artist.clone().into(),
            Field::Copyright => about.copyright.clone().into(),
            Field::Width => width.to_string().into(),
            Field::Height => height.to_string().into(),
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

    const SIZE: (u32, u32) = (2048, 1365);

    fn about() -> About {
        About {
            source: "IMG_1.JPG".into(),
            taken: datetime(2024, 5, 1, 12, 30, 7, 0),
            camera: "NIKON D70/s ".to_owned(),
            artist: String::new(),
            copyright: "Jane".to_owned(),
        }
    }

    #[test]
    fn fields_are_filled() {
        for (text, ending, expected) in [
            ("{stem}.{ext}", Ending::Source, "IMG_1.JPG"),
            ("{stem}_web.jpg", Ending::Own("jpg"), "IMG_1_web.jpg"),
            ("{date}.PNG", Ending::Own("PNG"), "2024-05-01.PNG"),
            (
                "{date:%Y%m%d-%H%M%S}.{ext}",
                Ending::Source,
                "20240501-123007.JPG",
            ),
            ("{date:%H:%M}.jpeg", Ending::Own("jpeg"), "12_30.jpeg"),
            (
                "{camera} {width}x{height}.jpg",
                Ending::Own("jpg"),
                "NIKON D70_s 2048x1365.jpg",
            ),
            (
                "{artist} {copyright}.jpg",
                Ending::Own("jpg"),
                "unknown Jane.jpg",
            ),
            ("{{{stem}}}.jpg", Ending::Own("jpg"), "{IMG_1}.jpg"),
            ("{stem}", Ending::None, "IMG_1"),
            ("{stem}{ext}", Ending::None, "IMG_1JPG"),
            ("a", Ending::None, "a"),
        ] {
            let template = Template::name(text).unwrap();
            assert_eq!(template.ending(), ending, "{text}");
            assert_eq!(
                template.name_for(&about(), SIZE),
                OsStr::new(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_text_says_what_the_picture_says() {
        for (text, expected) in [
            ("© {date:%Y} {copyright}", "© 2024 Jane"),
            ("{artist} ", ""),
            ("{stem}: {camera}", "IMG_1: NIKON D70/s"),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.text_for(&about(), SIZE), expected, "{text}");
            assert!(template.longest() >= expected.chars().count());
        }
    }

    #[test]
    fn a_mistake_is_told() {
        for (text, cause) in [
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
        let template = Template::name("{stem}_web.{ext}").unwrap();
        let about = About {
            source: long.into(),
            ..about()
        };
        let name = template.name_for(&about, SIZE);
        assert_eq!(name, OsStr::new(&("é".repeat(125) + ".jpeg")));
    }
}
