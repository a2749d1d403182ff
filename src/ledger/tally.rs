//! The files of a folder, counted.

use std::{cmp::Reverse, collections::BinaryHeap, path::PathBuf};

use anyhow::Context;
use rusqlite::{
    Row,
    types::{Value, ValueRef},
};

use super::{
    row::{Source, State},
    value::path_of,
    visit::{ASK, Entry, Visitor},
};
use crate::arrival::{FileKey, FolderId};

/// The files of a folder.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: u64,
    /// Of them, published though their sources are damaged.
    pub damaged: u64,
    pub failed: u64,
    pub waiting: u64,
    pub in_progress: u64,
    /// To be taken up again.
    pub open: u64,
    /// Not processed, and under suspicion.
    pub suspects: u64,
    /// Done or failed, with sources that are still to leave.
    pub owed: u64,
    /// Done or failed by another recipe than the one asked about, with sources that stay.
    pub stale: u64,
    /// The one that waits and is tried first.
    pub next: Option<Entry>,
    pub last_done: Option<Entry>,
    /// The last ones, the newest first.
    pub failures: Vec<Entry>,
}

/// A tally in the making.
#[derive(Default)]
struct Counting {
    tally: Tally,
    next: Option<(i64, Value)>,
    last_done: Option<i64>,
    last_path: Kept,
    /// The last ones, the oldest on top.
    failures: BinaryHeap<Reverse<(i64, PathBuf)>>,
}

impl Counting {
    /// `row` holds state, time of change, suspicion, recipe, source, next try, path, and whether
    /// there is a reason.
    fn count(&mut self, row: &Row<'_>, recipe: i64, failures: usize) -> rusqlite::Result<()> {
        let state: State = row.get(0)?;
        let changed: i64 = row.get(1)?;
        let tally = &mut self.tally;
        match state {
            State::Claimed | State::Made => tally.in_progress += 1,
            State::Released | State::Asked => tally.open += 1,
            State::Waiting => {
                tally.waiting += 1;
                let at = row.get::<_, Option<i64>>(5)?.unwrap_or_default();
                if self.next.as_ref().is_none_or(|(first, _)| at < *first) {
                    self.next = Some((at, row.get(6)?));
                }
            }
            State::Done => {
                tally.done += 1;
                tally.damaged += u64::from(row.get::<_, bool>(7)?);
                if self.last_done.is_none_or(|last| changed > last) {
                    self.last_done = Some(changed);
                    self.last_path.keep(row.get_ref(6)?);
                }
            }
            State::Failed => {
                tally.failed += 1;
                let first = self.failures.peek();
                let is_late = self.failures.len() < failures
                    || first.is_some_and(|Reverse((at, _))| changed > *at);
                if is_late {
                    self.failures.push(Reverse((changed, path_of(row.get(6)?))));
                    if self.failures.len() > failures {
                        self.failures.pop();
                    }
                }
            }
        }
        if state.is_decided() {
            let source: Source = row.get(4)?;
            let is_stale = row.get::<_, i64>(3)? != recipe && source != Source::Gone;
            tally.stale += u64::from(is_stale);
            tally.owed += u64::from(source == Source::Owed);
        } else {
            tally.suspects += u64::from(row.get::<_, bool>(2)?);
        }
        Ok(())
    }
}

impl Visitor {
    /// Counts the files of a folder, whose recipe is now `recipe`. Goes through all of them once: an
    /// index would cost something with every picture, and this is asked for now and then.
    pub fn tally(&self, folder: FolderId, recipe: u64, failures: usize) -> anyhow::Result<Tally> {
        let mut counting = Counting::default();
        let sql = "SELECT state, changed_ms, crashes > 0, recipe, source, next_ms, path,
                   reason IS NOT NULL
                   FROM file WHERE folder = ?1";
        let mut select = self.connection.prepare(sql).context(ASK)?;
        let mut rows = select.query([folder.0]).context(ASK)?;
        while let Some(row) = rows.next().context(ASK)? {
            counting
                .count(row, recipe.cast_signed(), failures)
                .context(ASK)?;
        }
        let entry = |path: PathBuf| {
            let path = path.into();
            self.entry(&FileKey { folder, path })
        };
        let mut tally = counting.tally;
        if let Some((_, path)) = counting.next {
            tally.next = entry(path_of(path))?;
        }
        if counting.last_done.is_some() {
            tally.last_done = entry(path_of(counting.last_path.value()))?;
        }
        for Reverse((_, path)) in counting.failures.into_sorted_vec() {
            tally.failures.extend(entry(path)?);
        }
        Ok(tally)
    }
}

/// A value that is replaced often, in one buffer.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    is_text: bool,
}

impl Kept {
    fn keep(&mut self, value: ValueRef<'_>) {
        self.bytes.clear();
        if let Ok(bytes) = value.as_bytes() {
            self.bytes.extend_from_slice(bytes);
        }
        self.is_text = matches!(value, ValueRef::Text(_));
    }

    fn value(self) -> Value {
        if self.is_text {
            Value::Text(String::from_utf8_lossy(&self.bytes).into_owned())
        } else {
            Value::Blob(self.bytes)
        }
    }
}
