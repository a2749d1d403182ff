//! What is forgotten: rows of sources that left their folder long ago. They are found by a walk through
//! the folder's rows, a piece at a time, that goes on where it stopped, also after a restart. An index
//! by time would cost something with every picture.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use rusqlite::{OptionalExtension, TransactionBehavior, params, types::Value};

use super::{
    connection::Ledger,
    row::{Source, is_in_progress, is_owed},
    value::{Name, in_ms, now_ms, path_of},
};
use crate::arrival::FolderId;

/// Rows that are looked at in one go: a millisecond.
const PIECE: usize = 1024;
/// From the end of a walk to the beginning of the next one.
const REST_MS: u64 = 24 * 3_600_000;
/// Pages of 4 KiB that are given back to the file system in one go.
const PAGES: i64 = 1024;

/// A row that has not changed for long.
#[derive(Debug)]
pub struct Old {
    /// Relative to the folder's input.
    pub path: PathBuf,
    /// Whether its source is known to have left.
    pub gone: bool,
    changed_ms: i64,
}

/// A piece of the walk.
#[derive(Debug)]
pub struct Piece {
    pub old: Vec<Old>,
    /// The last row that was looked at; `None` at the end of the walk.
    last: Option<Value>,
}

impl Piece {
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last.is_none()
    }
}

impl Ledger {
    /// The next piece of the walk, with the rows in it that have not changed for `keep`; `None` while
    /// the walk rests.
    pub fn next_old(&self, folder: FolderId, keep: Duration) -> anyhow::Result<Option<Piece>> {
        let now = now_ms();
        self.guarded(|connection| {
            let (after, ended): (Option<Value>, Option<i64>) = connection
                .prepare_cached("SELECT walked_to, walked_ms FROM folder WHERE id = ?1")?
                .query_row([folder.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .context(ASK)?
                .unwrap_or_default();
            // Where the clock was set back, the walk is not due for longer than usual.
            let rests = |ended: i64| now.saturating_sub(ended).unsigned_abs() < REST_MS;
            if after.is_none() && ended.is_some_and(rests) {
                return Ok(None);
            }
            let mut select = connection.prepare_cached(concat!(
                "SELECT path, source, changed_ms, changed_ms < ?3 AND NOT ",
                is_in_progress!(),
                " AND NOT ifnull(",
                is_owed!(),
                ", FALSE) AND (?4 OR typeof(path) = 'text')
                 FROM file WHERE folder = ?1 AND path > ?2 ORDER BY path LIMIT ?5",
            ))?;
            let after = after.unwrap_or_else(|| Value::Text(String::new()));
            let before = now.saturating_sub(in_ms(keep));
            let at_most = i64::try_from(PIECE).unwrap_or(i64::MAX);
            // Elsewhere names that are no Unicode cannot be made again of their bytes.
            let row = params![folder.0, after, before, cfg!(unix), at_most];
            let mut rows = select.query(row).context(ASK)?;
            let (mut old, mut count, mut last) = (Vec::new(), 0, None);
            while let Some(row) = rows.next().context(ASK)? {
                if row.get(3)? {
                    old.push(Old {
                        path: path_of(row.get(0)?),
                        gone: row.get::<_, Source>(1)? == Source::Gone,
                        changed_ms: row.get(2)?,
                    });
                }
                count += 1;
                if count == PIECE {
                    last = Some(row.get(0)?);
                }
            }
            Ok(Some(Piece { old, last }))
        })
    }

    /// Forgets what is left of a piece, unless it has changed meanwhile, and notes how far the walk
    /// has come. Returns how many rows it was.
    pub fn forget(&self, folder: FolderId, piece: &Piece) -> anyhow::Result<usize> {
        let context = "cannot forget in the ledger";
        self.guarded(|connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .context(context)?;
            let mut count = 0;
            for old in &piece.old {
                let row = params![folder.0, Name(&old.path), old.changed_ms];
                count += transaction
                    .prepare_cached(
                        "DELETE FROM file WHERE folder = ?1 AND path = ?2 AND changed_ms = ?3",
                    )?
                    .execute(row)
                    .context(context)?;
            }
            let ended = piece.is_last().then(now_ms);
            transaction
                .prepare_cached(
                    "UPDATE folder SET walked_to = ?2, walked_ms = ifnull(?3, walked_ms)
                     WHERE id = ?1",
                )?
                .execute(params![folder.0, piece.last, ended])
                .context(context)?;
            transaction.commit().context(context)?;
            Ok(count)
        })
    }

    /// Gives free space back to the file system, if it is much. The rest is used for new rows.
    pub fn shrink(&self) -> anyhow::Result<()> {
        self.guarded(|connection| {
            let count = |name| connection.pragma_query_value(None, name, |row| row.get(0));
            let (free, all): (i64, i64) = (count("freelist_count")?, count("page_count")?);
            if free > PAGES && free > all / 4 {
                let sql = format!("PRAGMA incremental_vacuum({PAGES})");
                let mut shrink = connection.prepare(&sql)?;
                let mut pages = shrink.query([])?;
                // Each step gives one page back.
                while pages.next().context("cannot shrink the ledger")?.is_some() {}
            }
            Ok(())
        })
    }
}

const ASK: &str = "cannot ask the ledger";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn names(piece: &Piece) -> Vec<&str> {
        let names = piece.old.iter().map(|old| old.path.to_str().unwrap());
        names.collect()
    }

    /// A ledger whose files have a state and a source, and have not changed for so many days.
    fn ledger(path: &Path, files: &[(&str, &str, Option<&str>, i64)]) -> (Ledger, FolderId) {
        let ledger = Ledger::open(path).unwrap();
        let folder = ledger.folder(Path::new("/in")).unwrap();
        for (name, state, source, days) in files {
            let sql = "INSERT INTO file (folder, path, length, mtime_ns, recipe, state, changed_ms, source)
                       VALUES (?1, ?2, 1, 1, 1, ?3, ?4, ?5)";
            let changed = now_ms() - days * in_ms(DAY);
            let row = params![folder.0, name, state, changed, source];
            ledger.connection().execute(sql, row).unwrap();
        }
        (ledger, folder)
    }

    #[test]
    fn what_is_old_and_not_in_anyones_hands_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let (ledger, folder) = ledger(
            &path,
            &[
                ("a", "done", Some("gone"), 9),
                ("b", "done", None, 9),
                ("c", "failed", None, 9),
                ("d", "waiting", None, 9),
                ("e", "done", Some("gone"), 3),
                ("f", "claimed", None, 9),
                ("g", "made", None, 9),
                ("h", "done", Some("owed"), 9),
            ],
        );
        let mut piece = ledger.next_old(folder, 5 * DAY).unwrap().unwrap();
        assert_eq!(names(&piece), ["a", "b", "c", "d"]);
        let gone: Vec<bool> = piece.old.iter().map(|old| old.gone).collect();
        assert_eq!(gone, [true, false, false, false]);
        // One that is claimed meanwhile is not forgotten.
        let sql = "UPDATE file SET changed_ms = changed_ms + 1 WHERE path = 'c'";
        ledger.connection().execute(sql, []).unwrap();
        piece.old.retain(|old| old.path != Path::new("d"));
        assert_eq!(ledger.forget(folder, &piece).unwrap(), 2);
        assert!(ledger.next_old(folder, DAY).unwrap().is_none(), "it rests");
        let left: i64 = ledger
            .connection()
            .query_row("SELECT count(*) FROM file", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 6);
    }

    #[test]
    fn a_walk_goes_on_after_a_restart_and_gives_space_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let (first, folder) = ledger(&path, &[]);
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
                    INSERT INTO file (folder, path, length, mtime_ns, recipe, state, changed_ms, source, output)
                    SELECT ?1, printf('%08d', i), 1, 1, 1, 'done', 1, 'gone', printf('%0200d', i) FROM n";
        first.connection().execute(fill, [folder.0]).unwrap();
        let mut open = Some(first);
        let (mut forgotten, mut pieces) = (0, 0);
        loop {
            drop(open.take());
            let ledger = open.insert(Ledger::open(&path).unwrap());
            let Some(piece) = ledger.next_old(folder, DAY).unwrap() else {
                break;
            };
            forgotten += ledger.forget(folder, &piece).unwrap();
            ledger.shrink().unwrap();
            pieces += 1;
        }
        assert_eq!((forgotten, pieces), (50_000, 50_000 / PIECE + 1));
        let ledger = open.unwrap();
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let connection = ledger.connection();
        connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(length < 8 << 20, "{length}");
    }
}
