//! Text in one line, whatever a file is called.

use std::borrow::Cow;

/// Escapes what may steer a terminal or begin a line: a name must not pass for a line of ours.
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
pub fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
