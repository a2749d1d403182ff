//! Text for people on the terminal: one line each, whatever a file is called.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    path::Path,
};

pub use crate::log::plain;
use crate::{config::ConfigError, log::steers};

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

/// Takes away what the terminal shows; what goes elsewhere is only appended to.
pub fn clear() -> io::Result<()> {
    let mut out = io::stdout();
    if out.is_terminal() {
        out.write_all(b"\x1b[H\x1b[2J")?;
    }
    out.flush()
}

/// Asks on the terminal; none where nobody could answer. Only a yes is one.
pub fn confirm(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    write!(io::stderr(), "{} [y/N] ", plain(question))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(is_yes(&answer)))
}

fn is_yes(answer: &str) -> bool {
    let answer = answer.trim();
    answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes")
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
    fn only_a_yes_is_one() {
        for (answer, wanted) in [
            ("y\n", true),
            ("YES\r\n", true),
            ("\n", false),
            ("yo", false),
        ] {
            assert_eq!(is_yes(answer), wanted, "{answer:?}");
        }
    }

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
