//! A file gets its fate, or is put off or given back.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use rusqlite::params;

use super::{
    connection::Ledger,
    dues::Dues,
    row::{Source, State},
    value::{Name, Names, in_ms, now_ms},
};
use crate::{arrival::FileKey, outcome::Step, retry::NextTry};

/// A file's fate, as it is written.
#[derive(Debug)]
pub enum Fate<'a> {
    Done {
        /// What was published, and its length.
        output: &'a Path,
        bytes: u64,
        /// The other renditions.
        more: &'a [PathBuf],
        took: Duration,
        /// The picture was made of what there was, since no more came: more may still be written.
        source_stays: bool,
        /// What is wrong with the source.
        damage: Option<&'a str>,
    },
    Failed {
        step: Step,
        reason: &'a str,
        /// Where its source is to leave: only after so long without a change, as more may still be
        /// written. At once otherwise.
        leaves_after: Option<Duration>,
    },
    /// It failed for what may pass.
    Waiting {
        step: Step,
        reason: &'a str,
        next: NextTry,
    },
    /// It ends too early, and is given back until more of it has come.
    Incomplete { step: Step, reason: &'a str },
    /// Nothing was decided: the file is given back.
    Released,
}

/// What a fate writes into a file's row.
struct Row<'a> {
    state: State,
    cause: Option<(Step, &'a str)>,
    output: Option<Names<'a>>,
    bytes: Option<u64>,
    took: Option<Duration>,
    /// The bit of the dues by which the source is to leave now; 0 where it stays.
    leaves_if_due: i64,
    /// From now on; at once without it.
    leaves_after: Option<Duration>,
}

impl<'a> Row<'a> {
    fn of(fate: &Fate<'a>) -> Row<'a> {
        let plain = |state| Row {
            state,
            cause: None,
            output: None,
            bytes: None,
            took: None,
            leaves_if_due: 0,
            leaves_after: None,
        };
        let because = |state, step, reason| Row {
            cause: Some((step, reason)),
            ..plain(state)
        };
        match *fate {
            Fate::Done {
                output,
                bytes,
                more,
                took,
                source_stays,
                damage,
            } => Row {
                cause: damage.map(|damage| (Step::Decode, damage)),
                output: Some(Names {
                    first: output,
                    more,
                }),
                bytes: Some(bytes),
                took: Some(took),
                leaves_if_due: if source_stays { 0 } else { Dues::ONCE_DONE },
                ..plain(State::Done)
            },
            Fate::Failed {
                step,
                reason,
                leaves_after,
            } => Row {
                leaves_if_due: Dues::ONCE_FAILED,
                leaves_after,
                ..because(State::Failed, step, reason)
            },
            Fate::Waiting { step, reason, .. } => because(State::Waiting, step, reason),
            Fate::Incomplete { step, reason } => because(State::Released, step, reason),
            Fate::Released => plain(State::Released),
        }
    }
}

impl Ledger {
    /// Writes the fates of a group of files in one transaction.
    pub fn finish<'a>(
        &self,
        fates: impl IntoIterator<Item = (&'a FileKey, Fate<'a>)>,
    ) -> anyhow::Result<()> {
        self.guarded(|connection| {
            let transaction = connection
                .transaction()
                .context("cannot write to the ledger")?;
            {
                let mut update = transaction.prepare_cached(
                    "UPDATE file SET state = ?3, step = ?4, reason = ?5, output = ifnull(?6, output), bytes = ?7,
                     took_ms = ?8, changed_ms = ?9, tries = ?10, next_ms = ?11, told_ms = ?12,
                     crashes = CASE WHEN ?13 THEN 0 ELSE crashes END,
                     source = CASE WHEN dues & ?14 THEN ?15 END
                     WHERE folder = ?1 AND path = ?2",
                )?;
                for (file, fate) in fates {
                    let now = now_ms();
                    let next = match &fate {
                        Fate::Waiting { next, .. } => Some(*next),
                        _ => None,
                    };
                    let Row {
                        state,
                        cause,
                        output,
                        bytes,
                        took,
                        leaves_if_due,
                        leaves_after,
                    } = Row::of(&fate);
                    let wait = next.map(|next| next.wait).or(leaves_after);
                    let bytes = bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
                    let took = took.map(in_ms);
                    let rows = update
                        .execute(params![
                            file.folder.0,
                            Name(&file.path),
                            state,
                            cause.map(|(step, _)| step.name()),
                            cause.map(|(_, reason)| reason),
                            output,
                            bytes,
                            took,
                            now,
                            next.map(|next| next.tries),
                            wait.map(|wait| now.saturating_add(in_ms(wait))),
                            next.map(|next| now.saturating_sub(in_ms(next.told))),
                            state.is_decided(),
                            leaves_if_due,
                            Source::Owed,
                        ])
                        .context("cannot write to the ledger")?;
                    // The ledger was begun anew meanwhile: what it does not know is not done.
                    ensure!(
                        rows > 0 || state != State::Done,
                        "the ledger has lost the file"
                    );
                }
            }
            transaction.commit().context("cannot write to the ledger")
        })
    }
}
