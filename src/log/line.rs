//! Records as lines for people: local time, level, message, and what it is about.
//!
//! What became of a picture has columns and at most [`WIDTH`] characters: a long path loses its
//! middle. All other records have their fields behind the message, whole, as `name=value`. Whatever
//! a file is called, a record is one line. JSON has all digits, the time in UTC, threads and whole
//! paths.

use std::{
    cell::Cell,
    fmt::{self, Write},
    time::SystemTime,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{
    clock::Local,
    figure::{Bytes, Short, Took},
    names::{Known, Names},
    plain::plain,
};

/// The target of records that tell what became of a picture.
pub const PICTURE: &str = "watermarkd::picture";

/// Characters of a picture's line.
const WIDTH: usize = 120;
/// Characters before the path: time, level, message.
const BEFORE: usize = 42;
/// The shortest that a path is cut to, beside a long cause.
const LEAST: usize = 24;
/// Where the figures begin behind a path that is not longer.
const COLUMN: usize = 32;

/// Makes the lines.
pub struct Lines {
    pub names: Names,
    /// The journal puts its own time before each line.
    pub with_time: bool,
}

thread_local! {
    /// Buffers of the last line. Its fields are kept in them; a path that is shown is put together
    /// in strings of its own.
    #[cfg_attr(
        windows,
        allow(
            clippy::missing_const_for_thread_local,
            reason = "it is const; clippy does not see it in what the macro becomes there"
        )
    )]
    static PARTS: Cell<Parts> = const { Cell::new(Parts::new()) };
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut parts = PARTS.take();
        parts.clear();
        let layout = if metadata.target() == PICTURE {
            Layout::Picture
        } else {
            Layout::Fields
        };
        let result = self.names.with(|names| {
            event.record(&mut Reader {
                parts: &mut parts,
                names,
                layout,
            });
            if self.with_time {
                let (dim, end) = paint(&writer, "\x1b[2m");
                write!(writer, "{dim}{}{end} ", Local::of(SystemTime::now()))?;
            }
            let level = *metadata.level();
            let colour = colour(level);
            let (on, off) = paint(&writer, colour);
            write!(writer, "{on}{level:<5}{off} ")?;
            match layout {
                Layout::Picture => {
                    write!(writer, "{on}{:<9}{off} ", parts.message)?;
                    parts.write_picture(&mut writer)?;
                }
                Layout::Fields => write!(writer, "{}{}", parts.message, parts.fields)?,
            }
            writeln!(writer)
        });
        PARTS.set(parts);
        result
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// In columns.
    Picture,
    /// The fields behind the message.
    Fields,
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[34m",
    }
}

/// What begins and ends a colour, if there are any.
fn paint(writer: &Writer<'_>, colour: &'static str) -> (&'static str, &'static str) {
    if writer.has_ansi_escapes() {
        (colour, "\x1b[0m")
    } else {
        ("", "")
    }
}

/// What a record says.
#[derive(Debug, Default)]
struct Parts {
    message: String,
    /// As ` name=value`.
    fields: String,
    /// Of a picture: its path below its folder, and the folder's name if there are several.
    path: String,
    folder: String,
    /// Where it went, below that folder, and the folder's name.
    target: String,
    target_folder: String,
    size: String,
    bytes: Option<u64>,
    ms: Option<f64>,
    step: String,
    cause: String,
}

impl Parts {
    const fn new() -> Parts {
        Parts {
            message: String::new(),
            fields: String::new(),
            path: String::new(),
            folder: String::new(),
            target: String::new(),
            target_folder: String::new(),
            size: String::new(),
            bytes: None,
            ms: None,
            step: String::new(),
            cause: String::new(),
        }
    }

    fn clear(&mut self) {
        for text in [
            &mut self.message,
            &mut self.fields,
            &mut self.path,
            &mut self.folder,
            &mut self.target,
            &mut self.target_folder,
            &mut self.size,
            &mut self.step,
            &mut self.cause,
        ] {
            text.clear();
        }
        (self.bytes, self.ms) = (None, None);
    }

    /// Path, figures, where it went if that has another name, and what was in the way.
    fn write_picture(&self, out: &mut dyn Write) -> fmt::Result {
        let fields = &self.fields;
        let mut room = (WIDTH - BEFORE).saturating_sub(width(fields));
        if let (Some(bytes), Some(ms)) = (self.bytes, self.ms) {
            // Two blanks before each column.
            room = room.saturating_sub(2 + 11 + 2 + 8 + 2 + 7);
            let target = self.shown_target(room);
            let path = shown(
                &self.folder,
                &self.path,
                room.saturating_sub(width(&target)),
            );
            let (size, bytes, ms) = (&self.size, Bytes(bytes), Took(ms));
            let column = COLUMN.min(room.saturating_sub(width(&target)));
            write!(
                out,
                "{path:<column$}  {size:>11}  {bytes:>8}  {ms:>7}{target}{fields}"
            )
        } else if self.cause.is_empty() {
            let target = self.shown_target(room);
            let path = shown(
                &self.folder,
                &self.path,
                room.saturating_sub(width(&target)),
            );
            write!(out, "{path}{target}{fields}")
        } else {
            let (step, cause) = (&self.step, &self.cause);
            let room = room.saturating_sub(width(step) + width(cause) + 4);
            let path = shown(&self.folder, &self.path, room.max(LEAST));
            write!(out, "{path}: {step}: {cause}{fields}")
        }
    }

    /// Nothing if the picture went to the path that it came from.
    fn shown_target(&self, room: usize) -> String {
        if self.target.is_empty() || self.target == self.path {
            return String::new();
        }
        let target = shown(
            &self.target_folder,
            &self.target,
            (room / 2).saturating_sub(4),
        );
        format!("  → {target}")
    }
}

/// A path in so many characters, in quotes if it has blanks.
fn shown(folder: &str, path: &str, room: usize) -> String {
    let path = plain(path);
    let path = match folder {
        "" => path.into_owned(),
        folder => format!("{}/{path}", plain(folder)),
    };
    let quotes = if needs_quotes(&path) { 2 } else { 0 };
    let path = cut(path, room.saturating_sub(quotes));
    let mut shown = String::with_capacity(path.len() + 2);
    // Writing to a string cannot fail.
    match write_value(&mut shown, &path) {
        Ok(()) | Err(fmt::Error) => shown,
    }
}

/// Leaves out the middle of what is too long: the end tells more than the rest.
fn cut(text: String, room: usize) -> String {
    let length = width(&text);
    if length <= room {
        return text;
    }
    let head = room / 3;
    let tail = room.saturating_sub(head + 1);
    let end: String = text.chars().skip(length.saturating_sub(tail)).collect();
    let begin: String = text.chars().take(head).collect();
    format!("{begin}…{end}")
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.chars().any(|c| c.is_whitespace() || c == '"')
}

/// A value that ends where a reader thinks it does. It is plain already.
fn write_value(out: &mut dyn Write, value: &str) -> fmt::Result {
    if !needs_quotes(value) {
        return out.write_str(value);
    }
    out.write_char('"')?;
    for char in value.chars() {
        if char == '"' {
            out.write_char('\\')?;
        }
        out.write_char(char)?;
    }
    out.write_char('"')
}

/// Sorts a record's fields into the parts.
struct Reader<'a> {
    parts: &'a mut Parts,
    names: &'a Known,
    layout: Layout,
}

impl Reader<'_> {
    fn text(&mut self, name: &str, value: &str) {
        let parts = &mut *self.parts;
        match (self.layout, name) {
            (_, "message") => parts.message.push_str(&plain(value)),
            (Layout::Picture, "path" | "output" | "to") => {
                let (folder, path) = self.names.below(value).unwrap_or(("", value));
                let (own_folder, own_path) = if name == "path" {
                    (&mut parts.folder, &mut parts.path)
                } else {
                    (&mut parts.target_folder, &mut parts.target)
                };
                own_folder.push_str(folder);
                own_path.push_str(path);
            }
            (Layout::Picture, "size") => parts.size.push_str(value),
            (Layout::Picture, "step") => parts.step.push_str(value),
            (Layout::Picture, "cause") => parts.cause.push_str(&plain(value)),
            // Which of the like threads it was is for JSON.
            (Layout::Picture, "worker") => {}
            _ => self.field(name, format_args!("{}", InField(value, self.names))),
        }
    }

    fn field(&mut self, name: &str, value: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        match write!(self.parts.fields, " {name}={value}") {
            Ok(()) | Err(fmt::Error) => {}
        }
    }
}

/// The value of a field, by its folder's name if it is a path below one.
struct InField<'a>(&'a str, &'a Known);

impl fmt::Display for InField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1.below(self.0) {
            Some(("", path)) => write_value(f, &plain(path)),
            Some((folder, path)) => write_value(f, &format!("{}/{}", plain(folder), plain(path))),
            None => write_value(f, &plain(self.0)),
        }
    }
}

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Most messages are a piece of the program.
            match write!(Plain(&mut self.parts.message), "{value:?}") {
                Ok(()) | Err(fmt::Error) => {}
            }
        } else {
            self.text(field.name(), &format!("{value:?}"));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match (self.layout, field.name()) {
            (Layout::Picture, "ms") => self.parts.ms = Some(value),
            (_, name) => self.field(name, format_args!("{}", Short(value))),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match (self.layout, field.name()) {
            (Layout::Picture, "bytes") => self.parts.bytes = Some(value),
            (_, name) => self.field(name, format_args!("{value}")),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field.name(), format_args!("{value}"));
    }
}

/// Escapes what is written.
struct Plain<'a>(&'a mut String);

impl Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(&plain(text));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(parts: &Parts) -> String {
        let mut line = String::new();
        parts.write_picture(&mut line).unwrap();
        line
    }

    fn processed(path: &str, target: &str) -> Parts {
        Parts {
            path: path.to_owned(),
            target: target.to_owned(),
            target_folder: "out".to_owned(),
            size: "1920x1080".to_owned(),
            bytes: Some(524_288),
            ms: Some(43.21),
            ..Parts::default()
        }
    }

    #[test]
    fn a_picture_has_columns() {
        let figures = "    1920x1080   512 KiB    43 ms";
        for (path, target, wanted) in [
            ("a.jpg", "a.jpg", format!("{:<32}{figures}", "a.jpg")),
            (
                "my a.jpg",
                "my a.jpg",
                format!("{:<32}{figures}", "\"my a.jpg\""),
            ),
            (
                "a.jpg",
                "a.2.jpg",
                format!("{:<31}{figures}  → out/a.2.jpg", "a.jpg"),
            ),
            ("a\nb", "a\nb", format!("{:<32}{figures}", r"a\nb")),
        ] {
            assert_eq!(line(&processed(path, target)), wanted);
        }
    }

    #[test]
    fn a_picture_never_has_more_than_its_width() {
        let long = format!("{}/IMG_0001.jpg", "a long name/".repeat(30));
        let other = format!("{}/IMG_0001.2.jpg", "a long name/".repeat(30));
        for (path, target) in [
            (&*long, &*long),
            (&long, &other),
            ("a.jpg", &other),
            (&long, "b"),
        ] {
            for figures in [true, false] {
                let mut parts = processed(path, target);
                parts.fields.push_str(" replaced=true");
                parts.bytes = figures.then_some(1023);
                let line = line(&parts);
                assert!(width(&line) <= WIDTH - BEFORE, "{}: {line}", width(&line));
                let name = &path[path.len().saturating_sub(6)..];
                assert!(line.contains(name) && line.contains('…'), "{line}");
            }
        }
    }

    #[test]
    fn a_cause_is_never_cut() {
        let cause = "the reason is long ".repeat(9);
        let parts = Parts {
            path: "x".repeat(99),
            step: "decode".to_owned(),
            cause: cause.clone(),
            ..Parts::default()
        };
        let line = line(&parts);
        assert!(line.ends_with(&format!(": decode: {cause}")), "{line}");
        assert!(line.starts_with("xxxxxxxx…xxxxxxxxxxxxxxx: "), "{line}");
    }

    #[test]
    fn a_value_ends_where_it_seems_to() {
        let names = Known::default();
        for (value, wanted) in [
            ("decode", "decode"),
            ("a b", "\"a b\""),
            ("", "\"\""),
            ("a\"b", r#""a\"b""#),
            (r"C:\in\a.jpg", r"C:\in\a.jpg"),
            ("a\nb\x1b[31m", r"a\nb\u{1b}[31m"),
        ] {
            assert_eq!(InField(value, &names).to_string(), wanted);
        }
    }
}
