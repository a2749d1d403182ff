//! Where a file stands, as its daemon asks before it processes it.

use anyhow::Context;
use rusqlite::{OptionalExtension, params, types::Value};

use super::{
    connection::Ledger,
    row::{Source, State, is_decided},
    value::{Name, length, milliseconds, now_ms},
};
use crate::{
    arrival::{FileKey, FolderId, Stamp},
    outcome::Step,
    retry::NextTry,
};

/// Rows that are read in one go: some milliseconds.
pub(super) const PIECE: i64 = 4096;
/// Where a file stands, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has its fate.
    Decided { failed: bool },
    /// It has its fate, and its source is still to leave the folder.
    Owed { failed: bool },
    Open {
        /// Where it failed for what may pass; the wait is zero when it is due.
        waiting: Option<NextTry>,
        /// It waits for its output folder.
        for_output: bool,
        /// A process died with it in progress.
        suspect: bool,
    },
}

pub(super) const NEW: Standing = Standing::Open {
    waiting: None,
    for_output: false,
    suspect: false,
};

impl Ledger {
    /// Whether the file, as it is now, has been processed.
    pub fn has_fate(&self, file: &FileKey, stamp: Stamp) -> anyhow::Result<bool> {
        Ok(!matches!(
            self.standing(file, stamp)?,
            Standing::Open { .. }
        ))
    }

    pub fn standing(&self, file: &FileKey, stamp: Stamp) -> anyhow::Result<Standing> {
        self.guarded(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT state, source, tries, next_ms, told_ms, crashes > 0, step FROM file
                 WHERE folder = ?1 AND path = ?2 AND length = ?3 AND mtime_ns = ?4",
            )?;
            let row = params![
                file.folder.0,
                Name(&file.path),
                length(stamp),
                stamp.mtime_ns
            ];
            let standing = select.query_row(row, |row| {
                let (state, source): (State, Source) = (row.get(0)?, row.get(1)?);
                let failed = state == State::Failed;
                match source {
                    Source::Owed if state.is_decided() => return Ok(Standing::Owed { failed }),
                    Source::Stays if state.is_decided() => {
                        return Ok(Standing::Decided { failed });
                    }
                    Source::Owed | Source::Stays | Source::Gone => {}
                }
                let suspect = row.get(5)?;
                if state != State::Waiting {
                    return Ok(Standing::Open {
                        waiting: None,
                        for_output: false,
                        suspect,
                    });
                }
                let now = now_ms();
                let (next, told): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
                let step = row.get_ref(6)?.as_str_or_null()?;
                let waiting = Some(NextTry {
                    tries: row.get::<_, Option<u32>>(2)?.unwrap_or_default(),
                    wait: milliseconds(next.unwrap_or(now).saturating_sub(now)),
                    told: milliseconds(now.saturating_sub(told.unwrap_or_default())),
                });
                Ok(Standing::Open {
                    waiting,
                    for_output: step == Some(Step::Output.name()),
                    suspect,
                })
            });
            let standing = standing.optional().context("cannot ask the ledger")?;
            Ok(standing.unwrap_or(NEW))
        })
    }

    /// Calls `take` with path, as bytes, and stamp of every file of a folder that has been dealt
    /// with and stays, and whether it failed, for as long as it says so. Reads in pieces, so that workers do not wait for long.
    pub fn each_fate(
        &self,
        folder: FolderId,
        mut take: impl FnMut(&[u8], Stamp, bool) -> bool,
    ) -> anyhow::Result<()> {
        let mut after = Some(Value::Text(String::new()));
        while let Some(first) = after {
            after = self.guarded(|connection| {
                let mut select = connection.prepare_cached(concat!(
                    "SELECT path, length, mtime_ns, ",
                    is_decided!(),
                    " AND source IS NULL, state FROM file
                     WHERE folder = ?1 AND path > ?2 ORDER BY path LIMIT ?3",
                ))?;
                let mut rows = select
                    .query(params![folder.0, first, PIECE])
                    .context("cannot ask the ledger")?;
                let mut count = 0;
                while let Some(row) = rows.next().context("cannot ask the ledger")? {
                    let path = row.get_ref(0)?;
                    let stamp = Stamp {
                        length: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                        mtime_ns: row.get(2)?,
                    };
                    let failed = row.get::<_, State>(4)? == State::Failed;
                    if row.get(3)? && !take(path.as_bytes()?, stamp, failed) {
                        return Ok(None);
                    }
                    count += 1;
                    if count == PIECE {
                        return Ok(Some(row.get(0)?));
                    }
                }
                Ok(None)
            })?;
        }
        Ok(())
    }
}
