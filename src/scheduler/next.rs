//! Which file goes to the workers next: the one that has been quiet for longest, is still there
//! unchanged, and has no fate yet. Suspects come last and alone.

use std::{fs, io, path::Path, sync::Arc, time::Instant};

use tracing::debug;

use super::{
    Flight, Queue,
    decide::{self, Next},
    job::Job,
};
use crate::{
    arrival::{FileKey, History, Stamp},
    completeness::waits_for_its_writer,
    ledger::Dues,
    log::text,
    outcome::Step,
    retry::NextTry,
    settle::Settled,
};

/// Looks at due files in a row before events are attended to again.
const LOOKS: usize = 256;

impl Queue<'_> {
    /// The next file that has settled, is there, and has no fate yet.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        let alone = self.quarantine.alone();
        if alone.is_some_and(|file| !self.in_flight.contains_key(file)) {
            self.quarantine.end_solitude();
        }
        if self.holds_back() {
            return None;
        }
        let mut suspect = self.is_suspects_turn().then(|| self.quarantine.release());
        for _ in 0..LOOKS {
            let Settled {
                file,
                history,
                last_try,
            } = match suspect.take().flatten() {
                Some(suspect) => suspect,
                None => match self.settle.pop_due(Instant::now()) {
                    Some(settled) => settled,
                    None if self.is_suspects_turn() => self.quarantine.release()?,
                    None => return None,
                },
            };
            // A suspect may have waited for long.
            let last_try = last_try || self.settle.is_last_try(history, Instant::now());
            let root = self.roots.iter().find(|root| root.id == file.folder);
            let Some(root) = root.map(Arc::clone) else {
                continue;
            };
            let path = root.folder.input.join(&file.path);
            let Some(metadata) = self.look(&file, history, &path) else {
                continue;
            };
            let stamp = Stamp::of(&metadata);
            let history = History {
                stamp: Some(stamp),
                ..history
            };
            let dues = Dues::of(&root.folder, &metadata);
            let leaves = dues.once_done || dues.once_failed;
            if waits_for_its_writer(history.open, last_try, leaves) {
                self.settle.wait_for_close(file, history);
                continue;
            }
            let standing = match self.ledger.standing(&file, stamp) {
                Ok(standing) => standing,
                Err(cause) => {
                    self.put_off(file, history, Step::Ledger, &cause);
                    continue;
                }
            };
            let now = Instant::now();
            let alone = self.quarantine.alone() == Some(&file);
            let usable = || root.output.looks_usable();
            match decide::next(standing, &history, self.until, alone, usable) {
                Next::Skip => debug!(path = text(&path), "dealt with before"),
                Next::Resume { next, for_output } => {
                    if for_output {
                        self.wait_for_output(file.folder, now);
                    }
                    self.settle.resume(file, history, next, now);
                }
                Next::Quarantine {
                    suspicion,
                    schedule,
                } => {
                    let suspect = Settled {
                        file,
                        history: on_schedule(history, schedule, now),
                        last_try,
                    };
                    self.quarantine.put(suspect, suspicion, now);
                }
                Next::Queue { schedule } => {
                    let history = on_schedule(history, schedule, now);
                    self.in_flight
                        .insert(file.clone(), Flight { stamp, hint: None });
                    return Some(Job {
                        next_try: self.settle.next_try(history, now),
                        trial: alone.then(|| Arc::clone(&self.config)),
                        file,
                        root,
                        stamp,
                        dues,
                        history,
                        last_try,
                        queued: now,
                    });
                }
            }
        }
        None
    }

    /// What lies there, if it is a file and has not changed since the look before.
    fn look(&mut self, file: &FileKey, history: History, path: &Path) -> Option<fs::Metadata> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return None,
            Err(gone)
                if matches!(
                    gone.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return None;
            }
            Err(cause) => {
                self.put_off(
                    file.clone(),
                    history,
                    Step::Look,
                    &anyhow::Error::new(cause),
                );
                return None;
            }
        };
        let stamp = Stamp::of(&metadata);
        if history.stamp.is_some_and(|before| before != stamp) {
            self.still_written(file.clone(), history, Some(stamp));
            return None;
        }
        Some(metadata)
    }

    /// Nothing goes into the queue: a suspect is in hand, or the others are waited for so that one
    /// can be.
    pub(super) fn holds_back(&self) -> bool {
        !self.in_flight.is_empty()
            && (self.quarantine.alone().is_some() || self.quarantine.is_overdue(Instant::now()))
    }

    /// Everything else has been dealt with, or suspects have waited for long enough.
    fn is_suspects_turn(&self) -> bool {
        if self.quarantine.len() == 0 || !self.in_flight.is_empty() {
            return false;
        }
        let now = Instant::now();
        let due = self.settle.next_deadline().is_some_and(|at| at <= now);
        let quiet = !self.scanning && !due && self.settle.fresh() == 0;
        quiet || self.quarantine.is_overdue(now)
    }
}

fn on_schedule(history: History, schedule: Option<NextTry>, now: Instant) -> History {
    schedule.map_or(history, |next| history.scheduled(next, now))
}
