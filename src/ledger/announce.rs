//! The daemon leaves word of what it runs.

use std::{
    sync::{MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{
    connection::Ledger,
    running::{Running, Verdict, Word},
};
use crate::config::Config;

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
                verdict: Some(Verdict { at, taken, reasons }),
                ..Running::of(config, word.running.single)
            };
            word.leave();
        }
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
