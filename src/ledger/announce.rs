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

    /// Leaves word of what a scan did not take. Returns whether it is news for the log: temporary
    /// files come and go, and a polled folder is scanned every few seconds.
    pub fn announce_not_taken(&self, input: &Path, counts: &NotTaken) -> bool {
        let mut word = self.word();
        let Some(word) = word.as_mut() else {
            return false;
        };
        let told = &mut word.running.not_taken;
        // The order in which a folder is read does not count.
        let text = counts.to_string();
        let before = told.get(input).copied();
        if before.is_some_and(|before| before.to_string() == text) {
            return false;
        }
        told.insert(input.to_owned(), *counts);
        word.leave();
        let mut before = before.unwrap_or_default();
        before.hidden = counts.hidden;
        before.to_string() != text
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::running;

    #[test]
    fn what_is_not_taken_is_news_once_and_temporary_files_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite");
        crate::mark::save(&crate::mark::sample(), &dir.path().join("mark.npy")).unwrap();
        let file = dir.path().join("config.yaml");
        let text =
            "watermark: {npy_path: mark.npy}\nledger: ledger.sqlite\nfolders: [{input: in}]\n";
        std::fs::write(&file, text).unwrap();
        let config = crate::config::understand(&file).config;
        let input = config.folders[0].input.clone();
        let ledger = Ledger::open(&path).unwrap();
        let counted = |heic, cr2, hidden| {
            let mut counts = NotTaken::default();
            counts.add_extension(b"heic", heic);
            counts.add_extension(b"cr2", cr2);
            counts.hidden = hidden;
            counts
        };
        let other_order = {
            let mut counts = NotTaken::default();
            counts.add_extension(b"cr2", 1);
            counts.add_extension(b"heic", 2);
            counts
        };
        assert!(
            !ledger.announce_not_taken(&input, &counted(1, 1, 0)),
            "nobody is told yet"
        );
        ledger.announce(
            &Config {
                home: crate::config::Home::default(),
                ..config
            },
            false,
        );
        for (counts, is_news) in [
            (NotTaken::default(), false),
            (counted(2, 1, 0), true),
            (other_order, false),
            (counted(2, 1, 7), false),
            (counted(2, 2, 7), true),
        ] {
            assert_eq!(
                ledger.announce_not_taken(&input, &counts),
                is_news,
                "{counts}"
            );
        }
        assert_eq!(running(&path).unwrap().not_taken[&input].hidden, 7);
        assert!(running(&path).unwrap().ended.is_none());
        ledger.announce_end();
        assert!(running(&path).unwrap().ended.is_some());
    }
}
