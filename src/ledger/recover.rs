//! What the files in progress at the end of a process learn from it.
//!
//! After a planned end nothing. After a death each file that a worker had in progress is a suspect
//! from then on, once and for all, since any of them may have caused it or none. What was made
//! already and waited to be published is not. A suspect is made in a process of its own (see
//! [`crate::trial`]): only a death there counts further, and [`CRASHES`] fail the file. So a killer
//! fails after one death of the daemon, and `kill -9` or a power cut at any moment fails nobody,
//! however often it comes.
//!
//! A daemon that dies while a suspect is in progress may have been taken along, by a memory limit
//! that ends a whole control group. That proves nothing, but the suspect pauses before its next try,
//! so that the other files get done in between and the service manager's limit of restarts is not
//! reached.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::Context;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params, types::Value};
use tracing::info;

use super::{
    connection::Ledger,
    open::is_corrupt,
    row::{Run, State, is_in_progress},
    value::{Name, in_ms, now_ms},
};
use crate::{arrival::FileKey, outcome::Step};

/// Deaths with a file in progress that fail it: the first in the daemon, the others in trials.
pub const CRASHES: u32 = 3;
/// Before a suspect's next try after it was in progress at a death of the daemon. `retry.max` cuts
/// it, as every wait.
const PAUSE: Duration = Duration::from_secs(60);

/// What [`Ledger::recover`] found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Files that are given back.
    pub files: usize,
    /// Those of them that may have ended the process.
    pub suspects: usize,
}

impl Recovered {
    pub fn tell(&self) {
        let Recovered { files, suspects } = self;
        if *files > 0 {
            info!(
                files,
                suspects, "given back what an earlier run did not finish"
            );
        }
    }
}

impl Ledger {
    /// Gives back what an earlier process had in progress when it ended.
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

    /// Notes that the process ends with nothing in progress.
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

/// What becomes of a file that was in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenBack {
    /// It is taken up again like a new one.
    Free,
    /// It may have been the cause of a death.
    Suspect,
    /// A suspect that was in progress at another death.
    Paused,
}

fn given_back(died: bool, state: State, is_suspect: bool) -> GivenBack {
    match (died && state == State::Claimed, is_suspect) {
        (false, _) => GivenBack::Free,
        (true, false) => GivenBack::Suspect,
        (true, true) => GivenBack::Paused,
    }
}

fn give_back(transaction: &Transaction<'_>, died: bool) -> rusqlite::Result<Recovered> {
    let now = now_ms();
    // The one pass over all rows: no index leads to these.
    let all: Vec<(i64, Value, State, bool)> = transaction
        .prepare(concat!(
            "SELECT folder, path, state, crashes > 0 FROM file WHERE ",
            is_in_progress!()
        ))?
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut recovered = Recovered::default();
    for (folder, path, state, is_suspect) in all {
        let given = given_back(died, state, is_suspect);
        let (state, crashes, next) = match given {
            GivenBack::Free => (State::Released, 0, None),
            GivenBack::Suspect => (State::Released, 1, None),
            GivenBack::Paused => {
                let next = now.saturating_add(in_ms(PAUSE));
                (State::Waiting, 0, Some(next))
            }
        };
        transaction
            .prepare_cached(
                "UPDATE file SET state = ?3, changed_ms = ?4, crashes = max(crashes, ?5) WHERE folder = ?1 AND path = ?2",
            )?
            .execute(params![folder, path, state, now, crashes])?;
        if let Some(next) = next {
            let step = Step::Picture.name();
            let reason = "a process died with this picture in progress, and then the daemon";
            transaction
                .prepare_cached(
                    "UPDATE file SET step = ?3, reason = ?4, tries = 1, next_ms = ?5, told_ms = ?6
                     WHERE folder = ?1 AND path = ?2",
                )?
                .execute(params![folder, path, step, reason, next, now])?;
        }
        recovered.files += 1;
        recovered.suspects += usize::from(given != GivenBack::Free);
    }
    Ok(recovered)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        arrival::{FolderId, Stamp},
        ledger::{Dues, Fate, Standing},
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

    fn suspect(ledger: &Ledger, file: &FileKey) -> bool {
        match ledger.standing(file, STAMP).unwrap() {
            Standing::Open { suspect, .. } => suspect,
            Standing::Decided { .. } | Standing::Owed { .. } => panic!("it has a fate"),
        }
    }

    #[test]
    fn only_what_was_in_progress_at_a_death_is_suspect() {
        for (name, end, suspects) in [
            ("death", None, [true, true, false]),
            ("told to stop", Some("stopping"), [false; 3]),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("ledger.sqlite");
            let ledger = Ledger::open(&path).unwrap();
            ledger.recover().unwrap();
            let files = ["a", "b", "made"].map(|name| key(&ledger, name));
            let [a, b, made] = &files;
            ledger.claim(made, STAMP, 0, None, Dues::NONE).unwrap();
            ledger.claim(a, STAMP, 0, Some(made), Dues::NONE).unwrap();
            ledger.claim(b, STAMP, 0, None, Dues::NONE).unwrap();
            if end.is_some() {
                ledger.stopping().unwrap();
            }
            drop(ledger);
            for _ in 0..10 {
                let ledger = Ledger::open(&path).unwrap();
                ledger.recover().unwrap();
                let found = [a, b, made].map(|file| suspect(&ledger, file));
                assert_eq!(found, suspects, "{name}");
                // Killed beside others over and over: suspect, and no more than that.
                if end.is_none() {
                    ledger.claim(a, STAMP, 0, None, Dues::NONE).unwrap();
                    ledger.claim(b, STAMP, 0, None, Dues::NONE).unwrap();
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
        ledger.claim(&file, STAMP, 0, None, Dues::NONE).unwrap();
        drop(ledger);
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.recover().unwrap().suspects, 1, "the next one died");
    }

    #[test]
    fn deaths_of_the_daemon_make_a_suspect_pause_and_never_fail_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let mut waits = Vec::new();
        for _ in 0..5 {
            let ledger = Ledger::open(&path).unwrap();
            ledger.recover().unwrap();
            let file = key(&ledger, "a");
            let Standing::Open { waiting, .. } = ledger.standing(&file, STAMP).unwrap() else {
                panic!("it has a fate");
            };
            waits.push(waiting.map(|next| next.wait.as_secs_f64().round()));
            ledger.claim(&file, STAMP, 0, None, Dues::NONE).unwrap();
        }
        assert_eq!(waits, [None, None, Some(60.0), Some(60.0), Some(60.0)]);
    }

    #[test]
    fn trials_count_until_the_file_has_a_fate_or_changes() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&directory.path().join("ledger.sqlite")).unwrap();
        let file = key(&ledger, "a");
        ledger.claim(&file, STAMP, 0, None, Dues::NONE).unwrap();
        assert_eq!(ledger.note_crash(&file).unwrap(), 1);
        ledger.finish([(&file, Fate::Released)]).unwrap();
        ledger.claim(&file, STAMP, 0, None, Dues::NONE).unwrap();
        assert_eq!(ledger.note_crash(&file).unwrap(), 2);
        let changed = Stamp { length: 6, ..STAMP };
        ledger.claim(&file, changed, 0, None, Dues::NONE).unwrap();
        assert_eq!(ledger.note_crash(&file).unwrap(), 1);
        ledger.stopping().unwrap();
        assert_eq!(
            ledger.note_crash(&file).unwrap(),
            1,
            "who stops us kills it too"
        );
    }
}
