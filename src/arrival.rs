//! What a file is called and what has been noticed of it: the words that every stage shares.

mod not_taken;

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::retry::NextTry;

pub use self::not_taken::NotTaken;

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
    /// Nanoseconds since 1970, UTC; negative before. Beyond 1677 and 2262 the count wraps around: two
    /// times are two stamps, be they what they may.
    pub mtime_ns: i64,
}

/// Some file systems round times down to whole or even seconds: FAT, exFAT, ext3, some servers.
const COARSEST: Duration = Duration::from_secs(2);
/// How far the clock of a server may be off.
const SKEW: Duration = Duration::from_secs(60);

impl Stamp {
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Stamp {
        let nanos = |span: Duration| {
            let wrapped = span.as_nanos() & u128::from(u64::MAX);
            u64::try_from(wrapped).map_or(0, u64::cast_signed)
        };
        let mtime_ns = match metadata
            .modified()
            .map(|modified| modified.duration_since(SystemTime::UNIX_EPOCH))
        {
            Ok(Ok(since)) => nanos(since),
            Ok(Err(before)) => nanos(before.duration()).wrapping_neg(),
            // Every platform that has file events has mtimes.
            Err(_) => 0,
        };
        Stamp {
            length: metadata.len(),
            mtime_ns,
        }
    }

    /// How long a file must have been quiet for its stamp to tell it from what may be written to it
    /// next: longer where its time may be a rounded one, and is a recent one by the clock, `wall`.
    #[must_use]
    pub fn tells_after(self, wall: SystemTime) -> Duration {
        let is_whole = self.mtime_ns % 1_000_000_000 == 0;
        let since = wall.duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_nanos().cast_signed());
        let age = now.abs_diff(i128::from(self.mtime_ns));
        if is_whole && age < (COARSEST + SKEW).as_nanos() {
            COARSEST
        } else {
            Duration::ZERO
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_time_in_whole_seconds_may_be_a_rounded_one() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500);
        for (mtime_ns, seconds) in [
            (1_000_000_000_000, 2),
            (999_000_000_000, 2),
            (1_050_000_000_000, 2),
            (1_000_000_000_001, 0),
            (900_000_000_000, 0),
            (1_100_000_000_000, 0),
            (0, 0),
            (i64::MIN, 0),
        ] {
            let stamp = Stamp {
                length: 1,
                mtime_ns,
            };
            let wait = Duration::from_secs(seconds);
            assert_eq!(stamp.tells_after(wall), wait, "{mtime_ns}");
        }
    }

    #[test]
    fn every_time_has_a_stamp_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("a")).unwrap();
        let year = Duration::from_secs(365 * 86_400);
        let mut stamps = Vec::new();
        for years in [0, 1, 299, 300, 301] {
            let time = SystemTime::UNIX_EPOCH + year * years;
            // Not every file system has such times.
            if file.set_modified(time).is_ok() {
                let metadata = file.metadata().unwrap();
                if metadata.modified().unwrap() == time {
                    stamps.push(Stamp::of(&metadata).mtime_ns);
                }
            }
        }
        let count = stamps.len();
        stamps.sort_unstable();
        stamps.dedup();
        assert!(stamps.len() == count && count >= 2, "{stamps:?}");
    }
}
