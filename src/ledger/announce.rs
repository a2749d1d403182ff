//! The daemon leaves word of what it runs.

use std::{
    path::Path,
    sync::{MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{
    connection::Ledger,
    running::{Running, Verdict, Word},
};
use crate::{arrival::NotTaken, config::Config};

/// Reasons of a verdict that are kept.
const REASONS: usize = 50;

impl Ledger {
    /// Leaves word of what this process runs from now on.
    pub fn announce(&self, config: &Config, single: bool) {
        let word = Word {
            running: Running::of(config, single),
            home: config.home.ledger.clone(),
        };
        word.leave();
        *self.word() = Some(word);
    }

    /// Leaves word of what came of a reload, and what is in force after it.
    pub fn announce_reload(&self, config: &Config, taken: bool, mut reasons: Vec<String>) {
        reasons.truncate(REASONS);
        if let Some(word) = self.word().as_mut() {
            let at = SystemTime::now();
            word.running = Running {
                since: word.running.since,
                not_taken: std::mem::take(&mut word.running.not_taken),
                verdict: Some(Verdict { at, taken, reasons }),
                ..Running::of(config, word.running.single)
            };
            word.leave();
        }
    }

    /// Leaves word of what a scan did not take. Returns whether it is news.
    pub fn announce_not_taken(&self, input: &Path, counts: &NotTaken) -> bool {
        let mut word = self.word();
        let Some(word) = word.as_mut() else {
            return false;
        };
        let told = &mut word.running.not_taken;
        if told.get(input) == Some(counts) {
            return false;
        }
        told.insert(input.to_owned(), *counts);
        word.leave();
        true
    }

    /// Leaves word that this process has ended by itself.
    pub fn announce_end(&self) {
        if let Some(mut word) = self.word().take() {
            word.running.ended = Some(SystemTime::now());
            word.leave();
        }
    }

    fn word(&self) -> MutexGuard<'_, Option<Word>> {
        self.word.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
