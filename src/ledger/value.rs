//! How paths, lengths and times are kept in SQLite.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rusqlite::{
    ToSql,
    types::{ToSqlOutput, Value},
};

use crate::arrival::Stamp;

/// A path as SQLite keeps it: text where it is UTF-8, so that people can read it, else its bytes.
pub struct Name<'a>(pub &'a Path);

impl ToSql for Name<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self.0.to_str() {
            Some(text) => Ok(ToSqlOutput::from(text)),
            None => Ok(ToSqlOutput::from(self.0.as_os_str().as_encoded_bytes())),
        }
    }
}

/// Paths as SQLite keeps them: a single one as [`Name`] has it, several as bytes with a zero between
/// them, which no path has.
pub struct Names<'a> {
    pub first: &'a Path,
    pub more: &'a [PathBuf],
}

impl ToSql for Names<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        if self.more.is_empty() {
            // As `Name`, whose answer would borrow from itself.
            return Ok(match self.first.to_str() {
                Some(text) => ToSqlOutput::from(text),
                None => ToSqlOutput::from(self.first.as_os_str().as_encoded_bytes()),
            });
        }
        let mut bytes = self.first.as_os_str().as_encoded_bytes().to_vec();
        for path in self.more {
            bytes.push(0);
            bytes.extend(path.as_os_str().as_encoded_bytes());
        }
        Ok(ToSqlOutput::from(bytes))
    }
}

/// Paths as they were before [`Names`] wrote them.
pub fn paths_of(value: Value) -> Vec<PathBuf> {
    match value {
        Value::Blob(bytes) if bytes.contains(&0) => bytes
            .split(|byte| *byte == 0)
            .map(|path| match String::from_utf8(path.to_vec()) {
                Ok(text) => text.into(),
                Err(error) => path_of(Value::Blob(error.into_bytes())),
            })
            .collect(),
        value => vec![path_of(value)],
    }
}

/// The file beside a ledger whose name goes on with `ending`.
pub fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

pub fn length(stamp: Stamp) -> i64 {
    i64::try_from(stamp.length).unwrap_or(i64::MAX)
}

pub fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Nothing for a negative number.
pub fn milliseconds(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A path as it was before [`Name`] wrote it.
#[cfg(unix)]
pub fn path_of(value: Value) -> PathBuf {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    match value {
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => OsString::from_vec(bytes).into(),
        _ => PathBuf::new(),
    }
}

#[cfg(not(unix))]
pub fn path_of(value: Value) -> PathBuf {
    match value {
        Value::Text(text) => text.into(),
        _ => PathBuf::new(),
    }
}

pub fn stamp(length: i64, mtime_ns: i64) -> Stamp {
    Stamp {
        length: u64::try_from(length).unwrap_or(0),
        mtime_ns,
    }
}

pub fn time(ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + milliseconds(ms)
}
