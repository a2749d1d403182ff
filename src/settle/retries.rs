//! Files that failed for what may pass: when they are tried again.

use std::time::{Duration, Instant};

use super::{Pending, Settle};
use crate::{
    arrival::{FileKey, FolderId, History},
    retry::{NextTry, REMIND_AFTER},
};

impl Settle {
    /// What comes after a failure that may pass. The operator is told, `told` being zero, at first
    /// and then once an hour.
    #[must_use]
    pub fn next_try(&self, history: History, now: Instant) -> NextTry {
        let wait = self.waits.retry.wait(history.retries);
        let told = history.told.map(|told| now.saturating_duration_since(told));
        NextTry {
            tries: history.retries.saturating_add(1),
            wait,
            told: told.filter(|ago| *ago < REMIND_AFTER).unwrap_or_default(),
        }
    }

    /// Something failed that may pass. Returns the wait until the next try, and whether the
    /// operator is to be told.
    pub fn retry(&mut self, file: FileKey, history: History, now: Instant) -> (Duration, bool) {
        let next = self.next_try(history, now);
        self.wait_for(file, history, next, now);
        (next.wait, next.told.is_zero())
    }

    /// Goes on with the schedule that an earlier process left. A wait longer than any that this one
    /// would set comes from a clock that was set back, and is cut.
    pub fn resume(&mut self, file: FileKey, history: History, next: NextTry, now: Instant) {
        let wait = next.wait.min(self.waits.retry.max);
        self.wait_for(file, history, NextTry { wait, ..next }, now);
    }

    /// Puts every file that waits after a failure up for another look, in which the ledger tells
    /// whether it is to wait any longer.
    pub fn look_again(&mut self, now: Instant) {
        let waiting = self.pending.iter();
        let waiting: Vec<(FileKey, History)> = waiting
            .filter(|(_, entry)| entry.history.retries > 0)
            .map(|(file, entry)| (file.clone(), entry.history))
            .collect();
        for (file, history) in waiting {
            let history = History {
                retries: 0,
                ..history
            };
            self.arm(file, history, now, true);
        }
    }

    fn wait_for(&mut self, file: FileKey, history: History, next: NextTry, now: Instant) {
        self.arm(file, history.scheduled(next, now), now + next.wait, true);
    }

    /// Makes the file of a folder due that would be tried next after a failure.
    pub fn hasten_one(&mut self, folder: FolderId, now: Instant) {
        let waiting = self.after_failures(folder);
        if let Some(file) = waiting
            .min_by_key(|(_, entry)| entry.due)
            .map(|(file, _)| file.clone())
        {
            self.hasten(file, now);
        }
    }

    /// Makes all files of a folder due that wait for another try after a failure.
    pub fn hasten_all(&mut self, folder: FolderId, now: Instant) {
        let waiting: Vec<FileKey> = self
            .after_failures(folder)
            .map(|(file, _)| file.clone())
            .collect();
        for file in waiting {
            self.hasten(file, now);
        }
    }

    fn after_failures(&self, folder: FolderId) -> impl Iterator<Item = (&FileKey, &Pending)> {
        self.pending.iter().filter(move |(file, entry)| {
            file.folder == folder && entry.waits && entry.history.retries > 0
        })
    }

    fn hasten(&mut self, file: FileKey, now: Instant) {
        if let Some(entry) = self.pending.get(&file) {
            let history = entry.history;
            self.arm(file, history, now, true);
        }
    }
}
