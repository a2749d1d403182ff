//! How the commands that ask the ledger tell of times, of the daemon, and of where a file lies.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Write},
    path::{self, Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    config::{Config, Folder},
    ledger::{Daemon, Entry},
    os,
    outcome::Step,
};

/// Writes one line for people.
pub fn line(out: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(out, "{}", plain(&text.to_string()))
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

/// A time in UTC, to the second, as RFC 3339 has it.
pub fn time(at: SystemTime) -> String {
    let seconds = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years from March on, so that the leap day is the last one: see Hinnant, "chrono-compatible
    // low-level date algorithms".
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + era * 400 + next_year;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time, and how long ago it was or how long it is until then.
pub fn when(at: SystemTime, now: SystemTime) -> String {
    let apart = match now.duration_since(at) {
        Ok(ago) => format!("{} ago", span(ago)),
        Err(ahead) => format!("in {}", span(ahead.duration())),
    };
    format!("{} ({apart})", time(at))
}

/// A duration in the unit that suits it.
pub fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

pub fn daemon_line(daemon: Option<&Daemon>) -> String {
    let Some(Daemon { pid, since }) = daemon else {
        return "not running".to_owned();
    };
    let pid = pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    let since = since.map_or_else(String::new, |at| format!(", since {}", time(at)));
    format!("running{pid}{since}")
}

pub fn daemon_json(daemon: Option<&Daemon>) -> Value {
    json!({
        "running": daemon.is_some(),
        "pid": daemon.and_then(|daemon| daemon.pid),
        "since": daemon.and_then(|daemon| daemon.since).map(time),
    })
}

pub fn path_json(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

/// In which step a file failed or was put off, and why.
pub fn cause(entry: &Entry) -> String {
    let step = entry.step.map_or("?", Step::name);
    format!("{step}: {}", entry.reason.as_deref().unwrap_or("?"))
}

/// Where a file lies.
pub struct Place<'a> {
    /// Absolute, with the links on the way resolved.
    pub path: PathBuf,
    /// The watched folder that it lies in, and its path relative to the input.
    pub inside: Option<(&'a Folder, PathBuf)>,
    /// As it was named it lies in a folder that a link on the way leads out of.
    pub by_link: Option<&'a Folder>,
}

/// Finds out where a file lies, which need not be there.
pub fn place<'a>(config: &'a Config, file: &Path) -> anyhow::Result<Place<'a>> {
    let named =
        path::absolute(file).with_context(|| format!("cannot tell where {} is", file.display()))?;
    // The file itself may be a link, which is not followed.
    let path = match (named.parent(), named.file_name()) {
        (Some(parent), Some(name)) => os::resolve(parent)?.join(name),
        _ => os::resolve(&named)?,
    };
    let inside = deepest(config, |input| {
        let input = os::resolve(input).ok()?;
        path.strip_prefix(input).ok().map(Path::to_owned)
    });
    let by_link = match inside {
        Some(_) => None,
        None => deepest(config, |input| {
            named.strip_prefix(input).ok().map(Path::to_owned)
        })
        .map(|(folder, _)| folder),
    };
    Ok(Place {
        path,
        inside,
        by_link,
    })
}

fn deepest(
    config: &Config,
    relative: impl Fn(&Path) -> Option<PathBuf>,
) -> Option<(&Folder, PathBuf)> {
    let folders = config.folders.iter();
    folders
        .filter_map(|folder| Some((folder, relative(&folder.input)?)))
        .min_by_key(|(_, path)| path.components().count())
}

/// The output of a folder relative to its input, where it lies inside.
pub fn output_inside(folder: &Folder) -> Option<PathBuf> {
    os::relative_inside(&folder.output, &folder.input).unwrap_or_else(|_| {
        let inside = folder.output.strip_prefix(&folder.input).ok();
        inside.map(Path::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(time(at), text);
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

    #[test]
    fn spans_have_a_unit_that_suits_them() {
        for (seconds, text) in [
            (0.25, "250 ms"),
            (1.5, "1.5 s"),
            (90.0, "90 s"),
            (600.0, "10 min"),
            (10_800.0, "3 h"),
            (864_000.0, "10 days"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
    }
}
