//! Sources that are still to leave their folders: what is owed is written in the same transaction
//! as the fate, so no crash comes between the two, and the list itself is the queue of whoever
//! clears them away.
//!
//! Only what was claimed while the folder said so is owed. Pictures done before stay where they are,
//! whatever the configuration says later.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use rusqlite::params;

use super::{
    connection::Ledger,
    row::{Source, State, is_owed},
    value::{Name, in_ms, length, milliseconds, now_ms, path_of, stamp},
};
use crate::arrival::{FileKey, FolderId, Stamp};

/// A source that is still to leave.
#[derive(Debug)]
pub struct Owed {
    pub file: FileKey,
    /// As it was treated.
    pub stamp: Stamp,
    pub inode: Option<u64>,
    pub ctime_ns: Option<i64>,
    pub failed: bool,
}

/// What became of a source that was to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It has left; a file of that name, be it as it was, is another one.
    Gone,
    /// It stays: what lies there now is another state of it.
    Kept,
    /// Another file has taken its place that looks the same: it has to be treated for itself.
    Replaced,
}

impl Ledger {
    /// What a folder still owes by now, in the order of the paths after `after`.
    pub fn owed(
        &self,
        folder: FolderId,
        after: Option<&Path>,
        at_most: usize,
    ) -> anyhow::Result<Vec<Owed>> {
        self.guarded(|connection| {
            let mut select = connection.prepare_cached(concat!(
                "SELECT path, length, mtime_ns, inode, state, ctime_ns
                 FROM file INDEXED BY owed WHERE ",
                is_owed!(),
                " AND folder = ?1 AND path > ?2
                 AND (?4 OR typeof(path) = 'text') AND (next_ms IS NULL OR next_ms <= ?5)
                 ORDER BY path LIMIT ?3",
            ))?;
            let after = Name(after.unwrap_or(Path::new("")));
            let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
            // Elsewhere names that are no Unicode cannot be made again of their bytes.
            let row = params![folder.0, after, at_most, cfg!(unix), now_ms()];
            let rows = select.query_map(row, |row| {
                Ok(Owed {
                    file: FileKey {
                        folder,
                        path: Arc::from(path_of(row.get(0)?)),
                    },
                    stamp: stamp(row.get(1)?, row.get(2)?),
                    inode: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                    failed: row.get::<_, State>(4)? == State::Failed,
                    ctime_ns: row.get(5)?,
                })
            });
            rows.and_then(Iterator::collect)
                .context("cannot ask the ledger what is owed")
        })
    }

    /// How long it takes until the next source of a folder is to leave that is not to leave yet. A
    /// wait is never longer than `at_most`: the clock may have been set back.
    pub fn next_owed(
        &self,
        folder: FolderId,
        at_most: Duration,
    ) -> anyhow::Result<Option<Duration>> {
        self.guarded(|connection| {
            let now = now_ms();
            let latest = now.saturating_add(in_ms(at_most));
            let sql = concat!(
                "SELECT min(next_ms), max(next_ms) FROM file INDEXED BY owed WHERE ",
                is_owed!(),
                " AND folder = ?1 AND next_ms > ?2",
            );
            let (next, last): (Option<i64>, Option<i64>) = connection
                .prepare_cached(sql)?
                .query_row(params![folder.0, now], |row| Ok((row.get(0)?, row.get(1)?)))
                .context("cannot ask the ledger what is owed")?;
            if last.is_some_and(|last| last > latest) {
                let sql = concat!(
                    "UPDATE file SET next_ms = ?2 WHERE ",
                    is_owed!(),
                    " AND folder = ?1 AND next_ms > ?2",
                );
                connection
                    .execute(sql, params![folder.0, latest])
                    .context("cannot write to the ledger")?;
            }
            Ok(next.map(|next| milliseconds(next.min(latest).saturating_sub(now))))
        })
    }

    /// Writes off what has been cleared away, unless the file was claimed anew meanwhile.
    pub fn write_off(&self, sources: &[(Owed, Left)]) -> anyhow::Result<()> {
        let context = "cannot write off in the ledger";
        self.guarded(|connection| {
            let transaction = connection.transaction().context(context)?;
            for (owed, left) in sources {
                let (source, state) = match left {
                    Left::Gone => (Source::Gone, None),
                    Left::Kept => (Source::Stays, None),
                    Left::Replaced => (Source::Stays, Some(State::Released)),
                };
                transaction
                    .prepare_cached(concat!(
                        "UPDATE file SET source = ?5, state = ifnull(?6, state), next_ms = NULL,
                         output = CASE WHEN ?6 IS NULL THEN output END
                         WHERE folder = ?1 AND path = ?2 AND length = ?3 AND mtime_ns = ?4 AND ",
                        is_owed!(),
                    ))?
                    .execute(params![
                        owed.file.folder.0,
                        Name(&owed.file.path),
                        length(owed.stamp),
                        owed.stamp.mtime_ns,
                        source,
                        state
                    ])
                    .context(context)?;
            }
            transaction.commit().context(context)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{Dues, Fate, Standing},
        outcome::Step,
    };

    const STAMP: Stamp = Stamp {
        length: 3,
        mtime_ns: -7,
    };

    #[test]
    #[expect(clippy::too_many_lines, reason = "it is read from top to bottom")]
    fn what_is_owed_stays_owed_until_it_is_written_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let folder = ledger.folder(Path::new("/in")).unwrap();
        let key = |name: &str| FileKey {
            folder,
            path: Arc::from(Path::new(name)),
        };
        let dues = |once_done, once_failed| Dues {
            once_done,
            once_failed,
            inode: Some(u64::MAX),
            ctime_ns: None,
        };
        let done = |source_stays| Fate::Done {
            output: Path::new("/out/x.jpg"),
            more: &[],
            bytes: 1,
            took: Duration::ZERO,
            source_stays,
            damage: None,
        };
        let failed = |later: bool| Fate::Failed {
            step: Step::Decode,
            reason: "no picture",
            leaves_after: later.then_some(Duration::from_secs(3600)),
        };
        for (name, dues, fate) in [
            ("a done", dues(true, false), done(false)),
            ("b done, kept", dues(false, true), done(false)),
            ("c failed", dues(false, true), failed(false)),
            ("d failed, kept", dues(true, false), failed(false)),
            ("e released", dues(true, true), Fate::Released),
            ("e done, stays", dues(true, true), done(true)),
            ("e failed, stays", dues(true, false), failed(true)),
            ("e failed, later", dues(true, true), failed(true)),
            ("f done", dues(true, true), done(false)),
            ("g done", dues(true, true), done(false)),
        ] {
            ledger.claim(&key(name), STAMP, 1, None, dues).unwrap();
            ledger.finish([(&key(name), fate)]).unwrap();
        }
        drop(ledger);

        let ledger = Ledger::open(&path).unwrap();
        let names = |after: Option<&str>, at_most| -> Vec<String> {
            let owed = ledger.owed(folder, after.map(Path::new), at_most).unwrap();
            let name = |owed: &Owed| owed.file.path.display().to_string();
            owed.iter().map(name).collect()
        };
        assert_eq!(names(None, 9), ["a done", "c failed", "f done", "g done"]);
        assert_eq!(names(Some("a done"), 2), ["c failed", "f done"]);
        let standing = |name: &str| ledger.standing(&key(name), STAMP).unwrap();
        assert_eq!(standing("a done"), Standing::Owed { failed: false });
        assert_eq!(standing("e failed, later"), Standing::Owed { failed: true });
        let next = |at_most| {
            ledger
                .next_owed(folder, Duration::from_secs(at_most))
                .unwrap()
        };
        let hour = next(86_400).unwrap();
        assert!(hour > Duration::from_secs(3500) && hour <= Duration::from_secs(3600));
        // A shorter wait than was set counts at once, and one that is over is owed.
        assert!(next(1).unwrap() <= Duration::from_secs(1));
        assert!(next(86_400).unwrap() <= Duration::from_secs(1));
        ledger
            .connection()
            .execute(
                "UPDATE file SET next_ms = 1 WHERE path = 'e failed, later'",
                [],
            )
            .unwrap();
        assert_eq!(next(1), None);
        assert_eq!(names(Some("c failed"), 1), ["e failed, later"]);
        ledger
            .connection()
            .execute(
                "UPDATE file SET source = NULL WHERE path = 'e failed, later'",
                [],
            )
            .unwrap();
        for name in ["b done, kept", "e done, stays", "e failed, stays"] {
            assert!(matches!(standing(name), Standing::Decided { .. }), "{name}");
        }

        let mut owed = ledger.owed(folder, None, 9).unwrap();
        assert_eq!((owed[0].stamp, owed[0].inode), (STAMP, Some(u64::MAX)));
        assert!(owed[1].failed && !owed[0].failed);
        let left = [Left::Gone, Left::Kept, Left::Replaced, Left::Gone];
        // One that came anew meanwhile is not written off.
        let anew = key("g done");
        ledger
            .claim(&anew, STAMP, 1, None, dues(true, true))
            .unwrap();
        ledger.finish([(&anew, Fate::Released)]).unwrap();
        let left: Vec<_> = owed.drain(..).zip(left).collect();
        ledger.write_off(&left).unwrap();
        assert_eq!(names(None, 9), [""; 0]);
        assert_eq!(standing("c failed"), Standing::Decided { failed: true });
        for name in ["a done", "f done", "g done"] {
            assert!(
                matches!(standing(name), Standing::Open { waiting: None, .. }),
                "{name}"
            );
        }
    }
}
