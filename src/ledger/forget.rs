//! What is forgotten: rows of sources that left their folder long ago. They are found by a walk through
//! the folder's rows, a piece at a time, that goes on where it stopped, also after a restart. An index
//! by time would cost something with every picture.
//!
//! Rows of a folder that no configuration has named for as long go with the folder. Its last walk tells
//! when it was named, since a folder that is named is walked through every day.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params, types::Value};

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
/// A folder whose walk ended longer ago is offline, if it is named: the time since it was named is known
/// as exactly as this.
const OFFLINE_MS: i64 = 3 * 24 * 3_600_000;
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
        self.guarded(|connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .context(FORGET)?;
            let mut count = 0;
            for old in &piece.old {
                let row = params![folder.0, Name(&old.path), old.changed_ms];
                count += transaction
                    .prepare_cached(
                        "DELETE FROM file WHERE folder = ?1 AND path = ?2 AND changed_ms = ?3",
                    )?
                    .execute(row)
                    .context(FORGET)?;
            }
            let ended = piece.is_last().then(now_ms);
            transaction
                .prepare_cached(
                    "UPDATE folder SET walked_to = ?2, walked_ms = ifnull(?3, walked_ms)
                     WHERE id = ?1",
                )?
                .execute(params![folder.0, piece.last, ended])
                .context(FORGET)?;
            transaction.commit().context(FORGET)?;
            Ok(count)
        })
    }

    /// Forgets a piece of a folder that has not been named for `keep`, and the folder with its last
    /// row. Named are all folders that this process has asked for. Returns how many rows it was;
    /// `None` where there is no such folder.
    pub fn forget_unnamed(&self, keep: Duration) -> anyhow::Result<Option<usize>> {
        let now = now_ms();
        let before = now.saturating_sub(in_ms(keep));
        self.guarded(|connection| {
            // Not before: a reload may name a folder while we wait for the connection.
            let named = self.named();
            let folders: Vec<(i64, Option<i64>)> = connection
                .prepare_cached("SELECT id, walked_ms FROM folder")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()
                .context(ASK)?;
            for (id, walked) in &folders {
                if starts_anew(named.contains(id), *walked, now) {
                    let sql =
                        "UPDATE folder SET walked_ms = ?2 WHERE id = ?1 AND walked_to IS NULL";
                    connection.execute(sql, [*id, now]).context(FORGET)?;
                }
            }
            let last = before.saturating_sub(OFFLINE_MS);
            let is_over = |walked: Option<i64>| walked.is_some_and(|walked| walked < last);
            let mut folders = folders.into_iter();
            let over = folders.find(|(id, walked)| !named.contains(id) && is_over(*walked));
            over.map(|(id, _)| forget_piece_of(connection, id, before))
                .transpose()
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

/// Whether the time without a configuration that names a folder begins now: for one that has not been
/// walked through yet, and for one that is named, but offline.
fn starts_anew(is_named: bool, walked: Option<i64>, now: i64) -> bool {
    match walked {
        None => !is_named,
        Some(walked) => is_named && now.saturating_sub(walked) > OFFLINE_MS,
    }
}

/// Forgets some rows of a folder, and the folder itself if none is left. Later rows put it off.
fn forget_piece_of(connection: &mut Connection, id: i64, before: i64) -> anyhow::Result<usize> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .context(FORGET)?;
    let at_most = i64::try_from(PIECE).unwrap_or(i64::MAX);
    let count = transaction
        .prepare_cached(
            "DELETE FROM file WHERE folder = ?1 AND path IN (SELECT path FROM file
             WHERE folder = ?1 AND changed_ms < ?2 ORDER BY path LIMIT ?3)",
        )?
        .execute([id, before, at_most])
        .context(FORGET)?;
    if count < PIECE {
        for sql in [
            "UPDATE folder SET walked_to = NULL,
             walked_ms = (SELECT max(changed_ms) FROM file WHERE folder = ?1) WHERE id = ?1",
            "DELETE FROM folder WHERE id = ?1 AND walked_ms IS NULL",
        ] {
            transaction.execute(sql, [id]).context(FORGET)?;
        }
    }
    transaction.commit().context(FORGET)?;
    Ok(count)
}

const ASK: &str = "cannot ask the ledger";
const FORGET: &str = "cannot forget in the ledger";

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
    fn the_time_without_a_name_begins_where_nothing_tells_of_it() {
        let (now, most) = (in_ms(1000 * DAY), OFFLINE_MS);
        for (is_named, walked, expected) in [
            (true, None, false),
            (false, None, true),
            (true, Some(now - most), false),
            (true, Some(now - most - 1), true),
            (false, Some(now - most - 1), false),
            (true, Some(now + most), false),
        ] {
            assert_eq!(starts_anew(is_named, walked, now), expected);
        }
    }

    #[test]
    fn a_folder_that_nobody_names_any_more_is_forgotten_and_an_offline_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let keep = 30 * DAY;
        // Whether the folder is still named, when it was last walked through, how old its rows are,
        // and how many of them are left. Days.
        for (is_named, walked, rows, left) in [
            (false, Some(34), vec![400, 31], vec![]),
            (false, Some(32), vec![400, 31], vec![400, 31]),
            (false, None, vec![400], vec![400]),
            // It was named for a moment after its last walk.
            (false, Some(34), vec![400, 3], vec![3]),
            // Offline for a year.
            (true, Some(365), vec![400, 366], vec![400, 366]),
            (true, None, vec![400], vec![400]),
        ] {
            let ages: Vec<_> = rows.iter().map(|days| (days.to_string(), *days)).collect();
            // What was in progress or owed when it was taken out of the configuration is none any more.
            let states = [("done", Some("owed")), ("made", None)].into_iter().cycle();
            let files: Vec<_> = ages
                .iter()
                .zip(states)
                .map(|((name, days), (state, source))| (name.as_str(), state, source, *days))
                .collect();
            let (first, folder) = ledger(&path, &files);
            let walked = walked.map(|days: i64| now_ms() - days * in_ms(DAY));
            let set = "UPDATE folder SET walked_ms = ?2 WHERE id = ?1";
            first
                .connection()
                .execute(set, params![folder.0, walked])
                .unwrap();
            drop(first);
            let ledger = Ledger::open(&path).unwrap();
            let named = if is_named { "/in" } else { "/other" };
            let named = ledger.folder(Path::new(named)).unwrap();
            while ledger.forget_unnamed(keep).unwrap().is_some() {}
            let count = |sql: &str| -> Vec<i64> {
                let connection = ledger.connection();
                let mut select = connection.prepare(sql).unwrap();
                let found = select.query_map([folder.0], |row| row.get(0)).unwrap();
                found.map(Result::unwrap).collect()
            };
            let mut kept = count("SELECT CAST(path AS INTEGER) FROM file WHERE folder = ?1");
            kept.sort_unstable_by_key(|days| -days);
            assert_eq!(kept, left, "{is_named} {walked:?} {rows:?}");
            let folders = count("SELECT id FROM folder WHERE id = ?1");
            assert_eq!(folders.is_empty(), left.is_empty());
            assert_eq!(ledger.forget_unnamed(keep).unwrap(), None);
            assert_eq!(ledger.folder(Path::new("/in")).unwrap() == named, is_named);
            drop(ledger);
            std::fs::remove_file(&path).unwrap();
        }
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
