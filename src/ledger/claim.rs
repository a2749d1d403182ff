//! A worker claims a file.

use std::path::PathBuf;

use anyhow::Context;
use rusqlite::{params, types::Value};

use super::{
    connection::Ledger,
    dues::Dues,
    row::State,
    value::{Name, length, now_ms, paths_of},
};
use crate::arrival::{FileKey, Stamp};

impl Ledger {
    /// Notes that a worker has the file in progress, and that the one it had before is `made`.
    /// Returns what was published of this source before. A file whose predecessor of the same name has
    /// left, or was to leave, is another source.
    pub fn claim(
        &self,
        file: &FileKey,
        stamp: Stamp,
        recipe: u64,
        made: Option<&FileKey>,
        dues: Dues,
    ) -> anyhow::Result<Vec<PathBuf>> {
        self.guarded(|connection| {
            let transaction = connection
                .transaction()
                .context("cannot claim the file in the ledger")?;
            if let Some(made) = made {
                let sql = "UPDATE file SET state = ?3
                       WHERE folder = ?1 AND path = ?2 AND state = ?4";
                transaction
                    .prepare_cached(sql)?
                    .execute(params![
                        made.folder.0,
                        Name(&made.path),
                        State::Made,
                        State::Claimed
                    ])
                    .context("cannot claim the file in the ledger")?;
            }
            let mut insert = transaction.prepare_cached(
                "INSERT INTO file (folder, path, length, mtime_ns, recipe, state, changed_ms,
               dues, inode, ctime_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?10, ?6, ?7, ?8, ?9)
             ON CONFLICT (folder, path) DO UPDATE SET
               length = excluded.length, mtime_ns = excluded.mtime_ns, recipe = excluded.recipe,
               state = excluded.state, changed_ms = excluded.changed_ms,
               crashes = CASE WHEN length = excluded.length AND mtime_ns = excluded.mtime_ns
                         THEN crashes ELSE 0 END,
               step = NULL, reason = NULL, bytes = NULL,
               output = CASE WHEN source = 'gone' OR source = 'owed' AND NOT (
                                  length = excluded.length AND mtime_ns = excluded.mtime_ns)
                        THEN NULL ELSE output END,
                took_ms = NULL,
               tries = NULL, next_ms = NULL, told_ms = NULL,
               dues = excluded.dues, inode = excluded.inode, ctime_ns = excluded.ctime_ns,
               source = NULL
             RETURNING output",
            )?;
            let row = params![
                file.folder.0,
                Name(&file.path),
                length(stamp),
                stamp.mtime_ns,
                recipe.cast_signed(),
                now_ms(),
                dues.as_row(),
                dues.inode.map(u64::cast_signed),
                dues.ctime_ns,
                State::Claimed,
            ];
            let own: Option<Value> = insert
                .query_row(row, |row| row.get(0))
                .context("cannot claim the file in the ledger")?;
            drop(insert);
            transaction
                .commit()
                .context("cannot claim the file in the ledger")?;
            Ok(own.map(paths_of).unwrap_or_default())
        })
    }
}
