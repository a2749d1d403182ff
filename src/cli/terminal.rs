//! Text for people on the terminal: one line each, whatever a file is called.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Write},
    path::Path,
};

use crate::config::ConfigError;

/// Writes one line for people.
pub fn line(out: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(out, "{}", plain(&text.to_string()))
}

/// Writes an error to standard error, each of its lines with the program's name; with that closed
/// there is nobody to tell.
pub fn error(cause: &anyhow::Error) {
    let told = format!("{cause:#}");
    // What is wrong with a configuration has a line for each problem; else it is a name's line feed.
    let lines: Vec<&str> = if cause.is::<ConfigError>() {
        told.lines().collect()
    } else {
        vec![&told]
    };
    for line in lines {
        drop(writeln!(io::stderr(), "watermarkd: {}", plain(line)));
    }
}

/// Text in one line, escaped as in the log: a file may be called anything, and its name must neither
/// pass for a line of ours nor steer the terminal.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if steers(char) {
            plain.extend(char.escape_debug());
        } else {
            plain.push(char);
        }
    }
    Cow::Owned(plain)
}

/// Control characters, and those that turn the direction of what follows or end its line.
fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+:@%".contains(char);
    match path.to_str() {
        Some(text) if text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.chars().any(steers) => format!("'{}'", text.replace('\'', r"'\''")),
        // What cannot be shown can be named.
        _ => {
            let bytes = path.as_os_str().as_encoded_bytes().iter();
            let named = bytes.map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("$'{}'", named.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_steers_the_terminal() {
        for (name, shown, quote) in [
            ("a b\\é.png", r"a b\é.png", r"'a b\é.png'"),
            ("é.png", "é.png", "é.png"),
            ("a'b", "a'b", r"'a'\''b'"),
            ("a\nb'\x1b[31m", r"a\nb'\u{1b}[31m", r"$'a\x0ab\'\x1b[31m'"),
            ("\u{202e}gnp", r"\u{202e}gnp", r"$'\xe2\x80\xaegnp'"),
            ("\u{9b}2J", r"\u{9b}2J", r"$'\xc2\x9b2J'"),
        ] {
            assert_eq!(plain(name), shown);
            assert_eq!(quoted(Path::new(name)), quote);
        }
    }
}
