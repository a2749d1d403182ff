//! The lane of suspects: files that were in hand when a process died.
//!
//! One of them may have killed it, most are innocent. A suspect goes last, when nothing else is due,
//! and alone, so that if it kills again nothing else is in hand; the one that is suspected least
//! goes first. Where new files never cease, a suspect does not wait for ever: the others are held
//! back for as long as it takes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    arrival::{FileKey, FolderId, History},
    settle::Settled,
};

/// How long other files go before a suspect.
const LONGEST_SUSPENSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Suspect {
    history: History,
    last_try: bool,
    since: Instant,
    /// Deaths that count against it.
    suspicion: u32,
}

#[derive(Debug, Default)]
pub struct Quarantine {
    suspects: HashMap<FileKey, Suspect>,
    /// The one whose turn it is or that is in hand.
    alone: Option<FileKey>,
}

impl Quarantine {
    pub fn put(&mut self, settled: Settled, suspicion: u32, now: Instant) {
        let suspect = Suspect {
            history: settled.history,
            last_try: settled.last_try,
            since: now,
            suspicion,
        };
        self.suspects.insert(settled.file, suspect);
    }

    /// Lets the suspect go whose turn it is, to be taken alone.
    pub fn release(&mut self) -> Option<Settled> {
        let order = |suspect: &Suspect| (suspect.suspicion, suspect.since);
        let next = self
            .suspects
            .iter()
            .min_by_key(|(_, suspect)| order(suspect));
        let file = next?.0.clone();
        let Suspect {
            history, last_try, ..
        } = self.suspects.remove(&file)?;
        self.alone = Some(file.clone());
        Some(Settled {
            file,
            history,
            last_try,
        })
    }

    #[must_use]
    pub fn alone(&self) -> Option<&FileKey> {
        self.alone.as_ref()
    }

    /// The one that went alone is no longer in hand.
    pub fn end_solitude(&mut self) {
        self.alone = None;
    }

    /// Takes a file out, which showed a sign of life.
    pub fn take(&mut self, file: &FileKey) -> Option<History> {
        self.suspects.remove(file).map(|suspect| suspect.history)
    }

    #[must_use]
    pub fn history(&self, file: &FileKey) -> Option<History> {
        self.suspects.get(file).map(|suspect| suspect.history)
    }

    /// When the first one has waited for long enough.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let first = self.suspects.values().map(|suspect| suspect.since).min();
        first.map(|since| since + LONGEST_SUSPENSE)
    }

    #[must_use]
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Forgets the files of folders that are no longer configured.
    pub fn retain_folders(&mut self, keep: impl Fn(FolderId) -> bool) {
        self.suspects.retain(|file, _| keep(file.folder));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.suspects.len()
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        arrival::Hint,
        retry::Backoff,
        settle::{Settle, Waits},
    };

    const WAITS: Waits = Waits {
        settle: Duration::ZERO,
        settle_closed: Duration::ZERO,
        patience: Duration::from_secs(60),
        retry: Backoff {
            first: Duration::from_secs(5),
            max: Duration::from_secs(300),
        },
    };

    fn settled(name: &str, now: Instant) -> Settled {
        let mut settle = Settle::new(WAITS);
        let file = FileKey {
            folder: FolderId(1),
            path: Arc::from(Path::new(name)),
        };
        settle.observe(file, Hint::Closed, now);
        settle.pop_due(now).unwrap()
    }

    #[test]
    fn the_least_suspected_goes_first_and_then_the_one_that_waits_longest() {
        let now = Instant::now();
        let at = |s: u64| now + Duration::from_secs(s);
        let mut quarantine = Quarantine::default();
        for (name, suspicion, second) in [("c", 2, 0), ("b", 1, 5), ("a", 1, 1), ("d", 3, 0)] {
            quarantine.put(settled(name, now), suspicion, at(second));
        }
        assert!(!quarantine.is_overdue(at(59)) && quarantine.is_overdue(at(60)));
        let order: Vec<String> = std::iter::from_fn(|| quarantine.release())
            .map(|settled| settled.file.path.display().to_string())
            .collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
        assert_eq!(quarantine.alone().unwrap().path.as_ref(), Path::new("d"));
        assert_eq!((quarantine.len(), quarantine.deadline()), (0, None));
    }
}
