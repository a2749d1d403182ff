//! What the files in hand at the end of a process learn from it.
//!
//! After a planned end nothing. After a death each file that a worker had in hand, beside others, is
//! suspect from then on, once and for all, since any of them may have caused it or none. What was
//! made already and waited to be published is not. A suspect is tried last and alone, and before
//! that stands trial in a process of its own (see [`crate::trial`]): only a death there counts
//! further, and [`CRASHES`] fail the file. So a killer fails after one death of the daemon, and
//! `kill -9` or a power cut at any moment fails nobody, however often it comes.
//!
//! There are killers that a trial does not convict, because they take the daemon along (a memory
//! limit that ends a whole control group) or only kill in the daemon. So the daemon's own deaths
//! while a suspect was alone in its hands are counted as well, up to [`ENDS`], with growing pauses
//! between the tries from the second on: so the service manager's limit of restarts is not reached,
//! and somebody who kills the daemon at random hardly hits the same file in each of them. A pause is
//! cut to `retry.max`, as every wait is.

use std::{path::PathBuf, sync::atomic::Ordering, time::Duration};

use anyhow::Context;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params, types::Value};
use tracing::{error, info, warn};

use super::{
    connection::Ledger,
    dues::Dues,
    open::is_corrupt,
    row::{Run, Source, State, is_in_hand},
    value::{Name, in_ms, now_ms},
};
use crate::{arrival::FileKey, log::text, outcome::Step};

/// Deaths with a file in hand that fail it: the first in the daemon, the others in trials.
pub const CRASHES: u32 = 3;
/// Deaths of the daemon with a file alone in its hands that fail it.
const ENDS: u32 = 4;

/// What [`Ledger::recover`] found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Files that are given back.
    pub files: usize,
    /// Those of them that may have ended the process.
    pub suspects: usize,
    /// The file that was alone in hand, with how often that ended the process by now, and whether
    /// it has failed for it.
    alone: Option<(PathBuf, u32, bool)>,
}

impl Recovered {
    pub fn tell(&self) {
        if let Some((path, ends, failed)) = &self.alone {
            let (path, cause) = (text(path), reason(*ends));
            if *failed {
                error!(path, step = Step::Picture.name(), cause, "failed");
            } else {
                warn!(path, cause, "suspect, tried again later");
            }
        }
        let (files, suspects) = (self.files, self.suspects);
        if files > 0 {
            info!(
                files,
                suspects, "given back what an earlier run did not finish"
            );
        }
    }
}

fn reason(ends: u32) -> String {
    format!("the daemon died {ends} times with nothing but this picture in hand")
}

/// The pause before a file is tried again that was alone in hand at so many deaths.
fn pause(ends: u32) -> Duration {
    match ends {
        0 | 1 => Duration::ZERO,
        2 => Duration::from_secs(60),
        _ => Duration::from_secs(600),
    }
}

struct Claim {
    folder: i64,
    path: Value,
    absolute: PathBuf,
    in_hand: bool,
    alone: bool,
    ends: u32,
}

impl Ledger {
    /// Gives back what an earlier process had in hand when it ended.
    pub fn recover(&self) -> anyhow::Result<Recovered> {
        let context = "cannot give back unfinished files";
        let first = self.guarded(|connection| {
            // A command may write to the ledger between our reading and our writing.
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .context(context)?;
            let last: Option<Run> = transaction
                .query_row("SELECT state FROM daemon", [], |row| row.get(0))
                .optional()
                .context(context)?;
            let recovered = match last {
                // Everything had its fate then; a large ledger is not gone through for nothing.
                Some(Run::Ended) => Recovered::default(),
                Some(Run::Stopping) => give_back(&transaction, false).context(context)?,
                Some(Run::Running) | None => give_back(&transaction, true).context(context)?,
            };
            note_run(&transaction, Run::Running).context(context)?;
            transaction.commit().context(context)?;
            Ok(recovered)
        });
        match first {
            // It has been begun anew, and there is nothing to give back.
            Err(cause) if is_corrupt(&cause) => {
                note_run(&self.connection(), Run::Running).context(context)?;
                Ok(Recovered::default())
            }
            first => first,
        }
    }

    /// Notes that the process was told to stop: however it ends now, no picture is the cause.
    pub fn stopping(&self) -> anyhow::Result<()> {
        self.stopping.store(true, Ordering::Release);
        note_run(&self.connection(), Run::Stopping).context("cannot write to the ledger")
    }

    /// Notes that the process ends with nothing in hand.
    pub fn ended(&self) -> anyhow::Result<()> {
        note_run(&self.connection(), Run::Ended).context("cannot write to the ledger")
    }

    /// Counts a trial that ended in death. Returns how many count by now. When the daemon is
    /// stopping, whoever stops it may have killed the trial too.
    pub fn note_crash(&self, file: &FileKey) -> anyhow::Result<u32> {
        let more = u32::from(!self.stopping.load(Ordering::Acquire));
        let sql = "UPDATE file SET crashes = crashes + ?3 WHERE folder = ?1 AND path = ?2
                   RETURNING crashes";
        let row = params![file.folder.0, Name(&file.path), more];
        self.guarded(|connection| {
            connection
                .query_row(sql, row, |row| row.get(0))
                .context("cannot count a crash in the ledger")
        })
    }
}

fn note_run(connection: &rusqlite::Connection, run: Run) -> rusqlite::Result<()> {
    let sql = "INSERT INTO daemon (id, state) VALUES (1, ?1)
               ON CONFLICT (id) DO UPDATE SET state = excluded.state";
    connection.execute(sql, [run]).map(|_| ())
}

fn give_back(transaction: &Transaction<'_>, died: bool) -> rusqlite::Result<Recovered> {
    let sql = concat!(
        "SELECT file.folder, path, input, state, alone, ends
         FROM file JOIN folder ON folder.id = file.folder WHERE ",
        is_in_hand!()
    );
    let claims: Vec<Claim> = transaction
        .prepare(sql)?
        .query_map([], |row| {
            let path: Value = row.get(1)?;
            Ok(Claim {
                folder: row.get(0)?,
                absolute: shown(&row.get(2)?).join(shown(&path)),
                path,
                in_hand: row.get::<_, State>(3)? == State::Claimed,
                alone: row.get(4)?,
                ends: row.get(5)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let mut recovered = Recovered {
        files: claims.len(),
        ..Recovered::default()
    };
    for claim in claims {
        let suspect = died && claim.in_hand;
        let ends = claim.ends.saturating_add(u32::from(suspect && claim.alone));
        let failed = ends >= ENDS;
        let waits = suspect && claim.alone && !failed;
        let state = match (failed, waits) {
            (true, _) => State::Failed,
            (_, true) => State::Waiting,
            _ => State::Released,
        };
        let now = now_ms();
        transaction
            .prepare_cached(
                "UPDATE file SET state = ?3, changed_ms = ?4, step = ?5, reason = ?6, ends = ?7,
                 crashes = max(crashes, ?8), tries = ?9, next_ms = ?10, told_ms = ?11,
                 source = CASE WHEN dues & ?12 THEN ?13 END
                 WHERE folder = ?1 AND path = ?2",
            )?
            .execute(params![
                claim.folder,
                claim.path,
                state,
                now,
                (failed || waits).then_some(Step::Picture.name()),
                (failed || waits).then(|| reason(ends)),
                ends,
                u32::from(suspect),
                waits.then_some(ends),
                waits.then(|| now.saturating_add(in_ms(pause(ends)))),
                waits.then_some(now),
                if failed { Dues::ONCE_FAILED } else { 0 },
                Source::Owed,
            ])?;
        recovered.suspects += usize::from(suspect && !failed);
        if suspect && claim.alone {
            recovered.alone = Some((claim.absolute, ends, failed));
        }
    }
    Ok(recovered)
}

/// A path as the log shows it.
fn shown(path: &Value) -> PathBuf {
    match path {
        Value::Text(text) => PathBuf::from(text),
        Value::Blob(bytes) => PathBuf::from(String::from_utf8_lossy(bytes).into_owned()),
        _ => PathBuf::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        arrival::{FolderId, Stamp},
        ledger::{Fate, Standing},
    };

    const STAMP: Stamp = Stamp {
        length: 5,
        mtime_ns: 7,
    };

    fn key(ledger: &Ledger, name: &str) -> FileKey {
        let folder: FolderId = ledger.folder(Path::new("/in")).unwrap();
        FileKey {
            folder,
            path: Arc::from(Path::new(name)),
        }
    }

    fn suspicion(ledger: &Ledger, file: &FileKey) -> u32 {
        match ledger.standing(file, STAMP).unwrap() {
            Standing::Open { suspicion, .. } => suspicion,
            Standing::Decided | Standing::Owed => panic!("it has a fate"),
        }
    }

    #[test]
    fn only_what_was_in_hand_at_a_death_is_suspect() {
        for (name, end, suspects) in [
            ("death", None, [1, 1, 0]),
            ("told to stop", Some("stopping"), [0, 0, 0]),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("ledger.sqlite");
            let ledger = Ledger::open(&path).unwrap();
            ledger.recover().unwrap();
            let files = ["a", "b", "made"].map(|name| key(&ledger, name));
            let [a, b, made] = &files;
            ledger
                .claim(made, STAMP, 0, false, None, Dues::NONE)
                .unwrap();
            ledger
                .claim(a, STAMP, 0, false, Some(made), Dues::NONE)
                .unwrap();
            ledger.claim(b, STAMP, 0, false, None, Dues::NONE).unwrap();
            if end.is_some() {
                ledger.stopping().unwrap();
            }
            drop(ledger);
            for _ in 0..10 {
                let ledger = Ledger::open(&path).unwrap();
                ledger.recover().unwrap();
                let found = [a, b, made].map(|file| suspicion(&ledger, file));
                assert_eq!(found, suspects, "{name}");
                // Killed beside others over and over: suspect, and no more than that.
                if end.is_none() {
                    ledger.claim(a, STAMP, 0, false, None, Dues::NONE).unwrap();
                    ledger.claim(b, STAMP, 0, false, None, Dues::NONE).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_clean_end_leaves_nothing_to_give_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        ledger.recover().unwrap();
        ledger.stopping().unwrap();
        ledger.ended().unwrap();
        drop(ledger);
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.recover().unwrap().files, 0);
        let file = key(&ledger, "a");
        ledger
            .claim(&file, STAMP, 0, false, None, Dues::NONE)
            .unwrap();
        drop(ledger);
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.recover().unwrap().suspects, 1, "the next one died");
    }

    #[test]
    fn deaths_with_a_file_alone_in_hand_fail_it_in_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let mut waits = Vec::new();
        for _ in 0..ENDS {
            let ledger = Ledger::open(&path).unwrap();
            ledger.recover().unwrap();
            let file = key(&ledger, "a");
            if let Standing::Open {
                waiting: Some(next),
                ..
            } = ledger.standing(&file, STAMP).unwrap()
            {
                waits.push(next.wait.as_secs_f64().round());
            }
            ledger
                .claim(&file, STAMP, 0, true, None, Dues::NONE)
                .unwrap();
        }
        assert_eq!(waits, [0.0, 60.0, 600.0]);
        let ledger = Ledger::open(&path).unwrap();
        let (named, ends, failed) = ledger.recover().unwrap().alone.unwrap();
        assert_eq!(
            (named.as_path(), ends, failed),
            (Path::new("/in/a"), 4, true)
        );
        assert!(ledger.has_fate(&key(&ledger, "a"), STAMP).unwrap());
    }

    #[test]
    fn trials_count_until_the_file_has_a_fate_or_changes() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&directory.path().join("ledger.sqlite")).unwrap();
        let file = key(&ledger, "a");
        ledger
            .claim(&file, STAMP, 0, true, None, Dues::NONE)
            .unwrap();
        assert_eq!(ledger.note_crash(&file).unwrap(), 1);
        ledger.finish([(&file, Fate::Released)]).unwrap();
        ledger
            .claim(&file, STAMP, 0, true, None, Dues::NONE)
            .unwrap();
        assert_eq!(ledger.note_crash(&file).unwrap(), 2);
        let changed = Stamp { length: 6, ..STAMP };
        ledger
            .claim(&file, changed, 0, true, None, Dues::NONE)
            .unwrap();
        assert_eq!(ledger.note_crash(&file).unwrap(), 1);
        ledger.stopping().unwrap();
        assert_eq!(
            ledger.note_crash(&file).unwrap(),
            1,
            "who stops us kills it too"
        );
    }
}
