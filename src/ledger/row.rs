//! A file's row: the states of a file and of its source, and the one place that says how SQL spells
//! them.
//!
//! ```text
//!            claim            finish                     dispose
//!  (new) ──▶ Claimed ──▶ Made ──▶ Done ─────────────┐   source: Stays | Owed ──▶ Gone
//!               │         │  └──▶ Failed ───────────┤
//!               │         ├─────▶ Waiting ──claim──▶│
//!               └─────────┴─────▶ Released ─claim──▶│
//!                                 Asked ◀── retry ──┘
//! ```

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A worker has it.
    Claimed,
    /// Its worker is done with it: its picture waits to be published.
    Made,
    Done,
    /// Failed until the file changes, or somebody asks for it.
    Failed,
    /// Given back: it is taken up like a new file.
    Released,
    /// It failed for what may pass, and is tried again.
    Waiting,
    /// Somebody wants it to be processed once more.
    Asked,
}

impl State {
    pub const ALL: [State; 7] = [
        State::Claimed,
        State::Made,
        State::Done,
        State::Failed,
        State::Released,
        State::Waiting,
        State::Asked,
    ];

    /// As the ledger spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Claimed => "claimed",
            State::Made => "made",
            State::Done => "done",
            State::Failed => "failed",
            State::Released => "released",
            State::Waiting => "waiting",
            State::Asked => "asked",
        }
    }

    /// Whether the file has its fate: nothing more is done until it changes or is asked for.
    #[must_use]
    pub fn is_decided(self) -> bool {
        matches!(self, State::Done | State::Failed)
    }

    /// Whether a process that ends now leaves the file unfinished.
    #[must_use]
    pub fn is_in_progress(self) -> bool {
        matches!(self, State::Claimed | State::Made)
    }
}

/// What becomes of the source of a file that has its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Stays,
    /// It is still to leave its folder.
    Owed,
    /// It has left; a file of that name, be it as it was, is another one.
    Gone,
}

impl Source {
    const ALL: [Source; 3] = [Source::Stays, Source::Owed, Source::Gone];

    fn name(self) -> Option<&'static str> {
        match self {
            Source::Stays => None,
            Source::Owed => Some("owed"),
            Source::Gone => Some("gone"),
        }
    }
}

/// How the last process that had the ledger open fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    Running,
    /// Told to stop: however it ended, no picture is the cause.
    Stopping,
    /// It ended with nothing in progress.
    Ended,
}

impl Run {
    const ALL: [Run; 3] = [Run::Running, Run::Stopping, Run::Ended];

    fn name(self) -> &'static str {
        match self {
            Run::Running => "running",
            Run::Stopping => "stopping",
            Run::Ended => "ended",
        }
    }
}

/// SQL for [`State::is_decided`].
macro_rules! is_decided {
    () => {
        "state IN ('done', 'failed')"
    };
}

/// SQL for [`State::is_in_progress`].
macro_rules! is_in_progress {
    () => {
        "state IN ('claimed', 'made')"
    };
}

/// SQL for a source that is still to leave, to the letter as the index `owed` has it.
macro_rules! is_owed {
    () => {
        "source = 'owed'"
    };
}

/// SQL for a source that has left.
macro_rules! is_gone {
    () => {
        "source IS 'gone'"
    };
}

pub(super) use {is_decided, is_gone, is_in_progress, is_owed};

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl ToSql for Source {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().map_or(
            ToSqlOutput::Owned(rusqlite::types::Value::Null),
            ToSqlOutput::from,
        ))
    }
}

impl ToSql for Run {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<State> {
        find(&State::ALL, value.as_str()?, State::name)
    }
}

impl FromSql for Source {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Source> {
        match value {
            ValueRef::Null => Ok(Source::Stays),
            value => find(&Source::ALL, value.as_str()?, |source| {
                source.name().unwrap_or_default()
            }),
        }
    }
}

impl FromSql for Run {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Run> {
        find(&Run::ALL, value.as_str()?, Run::name)
    }
}

fn find<T: Copy>(all: &[T], text: &str, name: impl Fn(T) -> &'static str) -> FromSqlResult<T> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or(FromSqlError::InvalidType)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::*;

    #[test]
    fn sql_and_code_say_the_same_of_every_state() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = concat!(
            "SELECT ",
            is_decided!(),
            ", ",
            is_in_progress!(),
            ", ",
            is_owed!(),
            " IS TRUE, ",
            is_gone!(),
            ", state, source FROM (SELECT ?1 AS state, ?2 AS source)"
        );
        for state in State::ALL {
            for source in Source::ALL {
                let row: (bool, bool, bool, bool, State, Source) = connection
                    .query_row(sql, params![state, source], |row| {
                        Ok((
                            row.get(0)?,
                            row.get(1)?,
                            row.get(2)?,
                            row.get(3)?,
                            row.get(4)?,
                            row.get(5)?,
                        ))
                    })
                    .unwrap();
                let expected = (
                    state.is_decided(),
                    state.is_in_progress(),
                    source == Source::Owed,
                    source == Source::Gone,
                    state,
                    source,
                );
                assert_eq!(row, expected);
            }
        }
    }

    #[test]
    fn a_state_that_nobody_knows_is_an_error() {
        let connection = Connection::open_in_memory().unwrap();
        let state = connection.query_row("SELECT 'dancing'", [], |row| row.get::<_, State>(0));
        assert!(state.is_err());
        for run in Run::ALL {
            let read = connection.query_row("SELECT ?1", [run], |row| row.get::<_, Run>(0));
            assert_eq!(read.unwrap(), run);
        }
    }
}
