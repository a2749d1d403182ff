//! Readers of single values. Each error says what is wanted and what was found.

use std::{
    fmt::Display,
    ops::RangeInclusive,
    path::{self, Component, Path, PathBuf},
    time::Duration,
};

use super::tree::Value;
use crate::{memory::Size, os, picture::Length};

pub fn switch(value: &Value) -> Result<bool, String> {
    match value {
        Value::Switch(on) => Ok(*on),
        other => Err(wanted("true or false", other)),
    }
}

pub fn whole<T>(range: RangeInclusive<T>) -> impl FnOnce(&Value) -> Result<T, String>
where
    T: Copy + Display + PartialOrd + TryFrom<i128>,
{
    move |value| {
        let limits = format!("{}..{}", range.start(), range.end());
        let number =
            integer(value).ok_or_else(|| wanted(&format!("a whole number {limits}"), value))?;
        T::try_from(number)
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| wanted(&limits, value))
    }
}

/// A whole number, also one that is written 1080.0 or 1e8.
pub fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Whole(number) => Some(*number),
        // A float is shown with all its digits, and with a point only if it is not whole.
        Value::Fraction(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// A number 0..=100, fractions allowed.
pub fn percent(value: &Value) -> Result<f32, String> {
    number(value)
        .ok_or_else(|| wanted("a number 0..100", value))
        .and_then(|number| match number {
            0.0..=100.0 => Ok(number),
            _ => Err(wanted("0..100", value)),
        })
}

pub fn number(value: &Value) -> Option<f32> {
    match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "beyond 24 bits it is out of every range"
        )]
        Value::Whole(number) => Some(*number as f32),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "no key needs more than 24 bits"
        )]
        Value::Fraction(number) => Some(*number as f32),
        _ => None,
    }
}

/// Pixels 0..=65500, or a text like "2%" up to `most` percent.
pub fn length(most: f32) -> impl FnOnce(&Value) -> Result<Length, String> {
    move |value| {
        match value {
            Value::Text(text) => text
                .strip_suffix('%')
                .filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|percent| (0.0..=most).contains(percent))
                .map(Length::Percent),
            other => integer(other)
                .and_then(|pixels| u32::try_from(pixels).ok())
                .filter(|pixels| *pixels <= 65_500)
                .map(Length::Pixels),
        }
        .ok_or_else(|| wanted(&format!("pixels 0..65500 or \"0%\"..\"{most}%\""), value))
    }
}

/// A text that is not empty.
pub fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) if !text.is_empty() => Ok(text),
        other => Err(wanted("a text", other)),
    }
}

/// As written; `below` makes it absolute.
pub fn path(value: &Value) -> Result<PathBuf, String> {
    match value {
        Value::Text(text) if is_for_a_shell(text) => Err(format!(
            "{value} would be taken literally, as ~ and $NAME are not expanded: write the path out"
        )),
        Value::Text(text) if !text.is_empty() && !text.contains('\0') => Ok(text.into()),
        other => Err(wanted("a path", other)),
    }
}

/// Whether a path begins with what a shell would put another in place of. With "./" before it, it
/// does not.
fn is_for_a_shell(path: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{');
    path == "~"
        || path.starts_with("~/")
        || path
            .strip_prefix('$')
            .is_some_and(|name| name.starts_with(is_name))
}

/// `path` as seen from the absolute `base`, without "./", "..", and a slash at the end.
pub fn below(base: &Path, path: &Path) -> PathBuf {
    without_parents(base.join(path)).components().collect()
}

/// An absolute path without "..", so that what the ledger knows by its path has one, from wherever
/// the configuration is named. Only the way up to the last ".." is resolved: what follows keeps its
/// spelling, and whether it is there makes no difference.
pub fn without_parents(path: PathBuf) -> PathBuf {
    if cfg!(windows) {
        // There ".." goes back by name alone, and a canonical path has a form that few programs take.
        return path::absolute(&path).unwrap_or(path);
    }
    let components: Vec<Component<'_>> = path.components().collect();
    let Some(last) = components.iter().rposition(|c| *c == Component::ParentDir) else {
        return path;
    };
    let (way, rest) = components.split_at(last + 1);
    let way: PathBuf = way.iter().collect();
    let resolved = os::resolve(&way).unwrap_or(way);
    resolved.join(rest.iter().collect::<PathBuf>())
}

/// `None` for "auto".
pub fn path_or_auto(value: &Value) -> Result<Option<PathBuf>, String> {
    match value {
        Value::Text(text) if text == "auto" => Ok(None),
        other => path(other).map(Some),
    }
}

/// One of the given words.
pub fn choice<T>(choices: &[(&str, T)]) -> impl FnOnce(&Value) -> Result<T, String>
where
    T: Copy,
{
    move |value| {
        choices
            .iter()
            .find(|(word, _)| matches!(value, Value::Text(text) if text == word))
            .map(|(_, choice)| *choice)
            .ok_or_else(|| {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                let told = wanted(&either(&words), value);
                match value {
                    Value::Text(text) => match nearest(text, &words) {
                        Some(word) => format!("{told}; did you mean {word}?"),
                        None => told,
                    },
                    _ => told,
                }
            })
    }
}

/// The word that is meant by one that is spelled another way: in capitals, with `_` for `-`, or with
/// a slip of a letter.
pub fn nearest<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' '], "-");
    let text = plain(text);
    let likeness = |word: &&'a str| (strsim::jaro_winkler(&text, &plain(word)), *word);
    let words = words.iter().map(likeness);
    let nearest = words.filter(|(likeness, _)| *likeness > 0.8);
    let nearest = nearest.max_by(|(a, _), (b, _)| a.total_cmp(b));
    nearest.map(|(_, word)| word)
}

/// A text such as "1.5s". Crate `humantime` refuses fractions, so the few lines are our own.
pub fn duration(
    range: RangeInclusive<Duration>,
) -> impl FnOnce(&Value) -> Result<Duration, String> {
    move |value| {
        let duration = match value {
            Value::Text(text) => parse_duration(text),
            _ => None,
        }
        .ok_or_else(|| wanted("a duration such as 500ms, 2s, 5m, 1h or 30d", value))?;
        if range.contains(&duration) {
            Ok(duration)
        } else {
            let limits = format!("{}..{}", spell(*range.start()), spell(*range.end()));
            Err(wanted(&limits, value))
        }
    }
}

/// A text such as "512MB" or "1.5 GiB", or a number of bytes.
pub fn size(least: u64, what: &'static str) -> impl FnOnce(&Value) -> Result<u64, String> {
    move |value| {
        let bytes = match value {
            Value::Text(text) => parse_size(text),
            other => integer(other).and_then(|bytes| u64::try_from(bytes).ok()),
        }
        .ok_or_else(|| wanted(what, value))?;
        if bytes >= least {
            Ok(bytes)
        } else {
            Err(wanted(&format!("at least {}", Size(least)), value))
        }
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let unit: u32 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        // A bare letter is binary, as systemd, Docker and Java have it.
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::from(unit);
    // Up to 8 PiB a float is exact to the byte.
    if !(0.0..9.0e15).contains(&bytes) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    Some(bytes.round() as u64)
}

const DAY_MS: u128 = 24 * 3_600_000;

/// A duration as it is written in the file.
pub fn spell(duration: Duration) -> String {
    let millis = duration.as_millis();
    match [
        (365 * DAY_MS, "y"),
        (DAY_MS, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ]
    .into_iter()
    .find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit))
    {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

pub fn wanted(what: &str, found: &Value) -> String {
    format!("must be {what}, found {found}")
}

/// The operator is told apart from a typing error that the feature is on its way.
pub fn unsupported<T>(value: &Value) -> Result<T, String> {
    Err(format!("{value} is not supported yet"))
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        // Of 365 days.
        "y" => 31_536_000.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

fn either(words: &[&str]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        words => words.concat(),
    }
}
