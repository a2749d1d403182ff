//! What a file is called and what has been noticed of it: the words that every stage shares.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::retry::NextTry;

/// A configured folder's lasting number in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub i64);

/// A file, by folder and path relative to the folder's input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey {
    pub folder: FolderId,
    pub path: Arc<Path>,
}

/// A sign of life of a file.
#[derive(Debug)]
pub struct FileEvent {
    pub file: FileKey,
    pub hint: Hint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Created or changed.
    Changed,
    /// Written to, on a system that tells the closing as well.
    Written,
    /// Its writer closed it, or it was renamed to this name.
    Closed,
    /// Seen by a scan; `quiet_for` is how long it is known to have been left alone.
    Found { stamp: Stamp, quiet_for: Duration },
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub length: u64,
    /// Nanoseconds since 1970, UTC; negative before.
    pub mtime_ns: i64,
}

impl Stamp {
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Stamp {
        let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let mtime_ns = match metadata
            .modified()
            .map(|m| m.duration_since(SystemTime::UNIX_EPOCH))
        {
            Ok(Ok(since)) => nanos(since),
            Ok(Err(before)) => nanos(before.duration()).saturating_neg(),
            // Every platform that has file events has mtimes.
            Err(_) => 0,
        };
        Stamp {
            length: metadata.len(),
            mtime_ns,
        }
    }
}

/// What is remembered of a file from its first sight until its fate is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    pub first_seen: Instant,
    pub last_change: Instant,
    /// Length and mtime at the last look, if there was one.
    pub stamp: Option<Stamp>,
    /// Tries since the last change that found it incomplete.
    pub tries: u32,
    /// Tries since the last change that failed for what may pass.
    pub retries: u32,
    /// When the operator was last told of such a failure.
    pub told: Option<Instant>,
    /// The operator has been told that its writer does not end.
    pub endless: bool,
    /// Its writer was heard writing, and not closing it since.
    pub open: bool,
}

impl History {
    #[must_use]
    pub fn new(now: Instant, stamp: Option<Stamp>) -> History {
        History {
            first_seen: now,
            last_change: now,
            stamp,
            tries: 0,
            retries: 0,
            told: None,
            endless: false,
            open: false,
        }
    }

    /// The file changed at `now`, and what was tried before says nothing about it any more.
    #[must_use]
    pub fn changed(self, now: Instant, stamp: Option<Stamp>) -> History {
        History {
            last_change: now,
            stamp,
            tries: 0,
            retries: 0,
            ..self
        }
    }

    /// With the schedule that it is on. What was told before the machine started is told again.
    #[must_use]
    pub fn scheduled(self, next: NextTry, now: Instant) -> History {
        History {
            retries: next.tries,
            told: now.checked_sub(next.told),
            ..self
        }
    }
}
