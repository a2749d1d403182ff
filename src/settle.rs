//! Decides when a file has been quiet for long enough to be tried. Pure: time comes in as an
//! argument, no file is touched, nothing is sent.
//!
//! Two clocks run for every pending file. `last_change` decides when the file is due; `first_seen`
//! only tells an operator about a writer that never ends. A file leaves by [`Settle::pop_due`] and
//! comes back, with its [`History`], through one of the methods that say why it must wait.

mod retries;
mod room;

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use crate::{
    arrival::{FileKey, FolderId, Hint, History, Stamp},
    retry::Backoff,
};

/// How long an incomplete picture may stay unchanged before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The waits of a running daemon.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// Quiet time after a change.
    pub settle: Duration,
    /// Quiet time after the writer closed the file or renamed it in.
    pub settle_closed: Duration,
    /// How long an incomplete file may stay unchanged before it is reported as failed.
    pub patience: Duration,
    /// After a failure that may pass.
    pub retry: Backoff,
}

/// Between two tries of an incomplete file.
const INCOMPLETE: Backoff = Backoff {
    first: Duration::from_secs(1),
    max: Duration::from_secs(30),
};
/// How long a file may go on changing before the operator is told, once.
const ENDLESS: Duration = Duration::from_secs(600);

/// Files that are kept in mind at most, at about 300 bytes each: the folders themselves
/// remember the rest.
const KEPT_IN_MIND: usize = 100_000;
#[derive(Debug)]
struct Pending {
    history: History,
    /// It stands under this instant in `deadlines` as well.
    due: Instant,
    /// It was tried before and waits for another try, so it does not keep a burst open.
    waits: bool,
}

/// A file that has been quiet for long enough.
#[derive(Debug)]
pub struct Settled {
    pub file: FileKey,
    pub history: History,
    /// The file has not changed for `patience`: what is there now is all that will come.
    pub last_try: bool,
}

/// What becomes of an incomplete file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after this wait, or earlier if it changes.
    Again(Duration),
    /// It has not changed for `patience`.
    GiveUp,
}

#[derive(Debug)]
pub struct Settle {
    waits: Waits,
    pending: HashMap<FileKey, Pending>,
    /// When each pending file is due.
    deadlines: BTreeSet<(Instant, FileKey)>,
    /// Pending files that have not been tried yet.
    fresh: usize,
    /// Pending files of each folder.
    counts: HashMap<FolderId, usize>,
    /// Pending files at most.
    most: usize,
}

impl Settle {
    #[must_use]
    pub fn new(waits: Waits) -> Settle {
        Settle {
            waits,
            pending: HashMap::new(),
            deadlines: BTreeSet::new(),
            fresh: 0,
            counts: HashMap::new(),
            most: KEPT_IN_MIND,
        }
    }

    /// Later observations use the new waits; deadlines already set stay.
    pub fn set_waits(&mut self, waits: Waits) {
        self.waits = waits;
    }

    /// Takes note of a sign of life of a file. Returns, once a file, for how long it has been
    /// changing without ever being quiet, if that is remarkably long.
    pub fn observe(&mut self, file: FileKey, hint: Hint, now: Instant) -> Option<Duration> {
        let quiet = match hint {
            Hint::Closed => self.waits.settle_closed,
            Hint::Changed | Hint::Written | Hint::Found { .. } => self.waits.settle,
        };
        let known = self.pending.get(&file).map(|entry| entry.history);
        let history = match (known, hint) {
            // A scan that finds what is known already is no change: it must not push the
            // deadline away, or a folder polled faster than `settle` would never settle.
            (Some(known), Hint::Found { stamp, .. }) if known.stamp == Some(stamp) => return None,
            (Some(known), Hint::Found { stamp, .. }) => {
                // The first look after events tells nothing about a change either.
                if known.stamp.is_none() {
                    if let Some(entry) = self.pending.get_mut(&file) {
                        entry.history.stamp = Some(stamp);
                    }
                    return None;
                }
                known.changed(now, Some(stamp))
            }
            // After an event the last look is out of date: the next one starts afresh.
            (Some(known), Hint::Changed | Hint::Written | Hint::Closed) => known.changed(now, None),
            (None, Hint::Found { stamp, quiet_for }) => {
                let last_change = now.checked_sub(quiet_for.min(self.waits.patience));
                let history = History {
                    last_change: last_change.unwrap_or(now),
                    ..History::new(now, Some(stamp))
                };
                self.arm(file, history, now + quiet.saturating_sub(quiet_for), false);
                return None;
            }
            (None, Hint::Changed | Hint::Written | Hint::Closed) => History::new(now, None),
        };
        let open = match hint {
            Hint::Written => true,
            Hint::Closed => false,
            Hint::Changed | Hint::Found { .. } => history.open,
        };
        let history = History { open, ..history };
        self.arm_changing(file, history, now + quiet, now)
    }

    /// The file whose quiet time has passed longest ago, if any has.
    pub fn pop_due(&mut self, now: Instant) -> Option<Settled> {
        if self.deadlines.first()?.0 > now {
            return None;
        }
        let (_, file) = self.deadlines.pop_first()?;
        let entry = self.pending.remove(&file)?;
        self.fresh -= usize::from(!entry.waits);
        if let Some(count) = self.counts.get_mut(&file.folder) {
            *count -= 1;
        }
        Some(Settled {
            last_try: self.is_last_try(entry.history, now),
            history: entry.history,
            file,
        })
    }

    /// Whether the file has not changed for `patience`.
    #[must_use]
    pub fn is_last_try(&self, history: History, now: Instant) -> bool {
        now - history.last_change >= self.waits.patience
    }

    /// When [`Settle::pop_due`] has something next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// A look at the file showed that it is still being written. Returns the same as
    /// [`Settle::observe`].
    pub fn changed(
        &mut self,
        file: FileKey,
        history: History,
        stamp: Option<Stamp>,
        now: Instant,
    ) -> Option<Duration> {
        self.arm_changing(
            file,
            history.changed(now, stamp),
            now + self.waits.settle,
            now,
        )
    }

    /// The file is to leave once it has been processed, and its writer has it open: it waits until
    /// that closes it, or has not been heard for `patience`.
    pub fn wait_for_close(&mut self, file: FileKey, history: History) {
        let due = history.last_change + self.waits.patience;
        self.arm(file, history, due, true);
    }

    /// The file waits until it has been quiet for so long.
    pub fn wait_for_quiet(&mut self, file: FileKey, history: History, quiet: Duration) {
        self.arm(file, history, history.last_change + quiet, false);
    }

    /// The picture's bytes, read under `stamp`, end too early. Only after a last try, in which it would
    /// have been taken as it is, it is given up.
    pub fn incomplete(
        &mut self,
        file: FileKey,
        history: History,
        stamp: Stamp,
        last_try: bool,
        now: Instant,
    ) -> Verdict {
        let last_change = match history.stamp {
            Some(before) if before != stamp => now,
            _ => history.last_change,
        };
        let give_up = last_change + self.waits.patience;
        if last_try && now >= give_up {
            return Verdict::GiveUp;
        }
        let wait = INCOMPLETE
            .wait(history.tries)
            .min(give_up.saturating_duration_since(now));
        let tries = history.tries.saturating_add(1);
        let history = History {
            last_change,
            stamp: Some(stamp),
            tries,
            ..history
        };
        self.arm(file, history, now + wait, true);
        Verdict::Again(wait)
    }

    fn arm_changing(
        &mut self,
        file: FileKey,
        history: History,
        due: Instant,
        now: Instant,
    ) -> Option<Duration> {
        let age = now - history.first_seen;
        let endless = !history.endless && age >= ENDLESS;
        let history = History {
            endless: history.endless || endless,
            ..history
        };
        self.arm(file, history, due, false);
        endless.then_some(age)
    }

    fn arm(&mut self, file: FileKey, history: History, due: Instant, waits: bool) {
        self.fresh += usize::from(!waits);
        self.deadlines.insert((due, file.clone()));
        let entry = Pending {
            history,
            due,
            waits,
        };
        match self.pending.insert(file.clone(), entry) {
            None => *self.counts.entry(file.folder).or_default() += 1,
            Some(before) => {
                self.fresh -= usize::from(!before.waits);
                if before.due != due {
                    self.deadlines.remove(&(before.due, file));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::retry::NextTry;

    const WAITS: Waits = Waits {
        settle: Duration::from_secs(2),
        settle_closed: Duration::from_millis(100),
        patience: Duration::from_secs(60),
        retry: Backoff {
            first: Duration::from_secs(5),
            max: Duration::from_secs(300),
        },
    };

    fn file(name: &str) -> FileKey {
        FileKey {
            folder: FolderId(1),
            path: Arc::from(Path::new(name)),
        }
    }

    fn stamp(length: u64) -> Stamp {
        Stamp {
            length,
            mtime_ns: 7,
        }
    }

    fn found(length: u64) -> Hint {
        Hint::Found {
            stamp: stamp(length),
            quiet_for: Duration::ZERO,
        }
    }

    /// Plays hints at given milliseconds and returns when the file comes out.
    fn due_after(hints: &[(u64, Hint)]) -> u64 {
        let start = Instant::now();
        let mut settle = Settle::new(WAITS);
        for &(at, hint) in hints {
            let now = start + Duration::from_millis(at);
            assert!(
                settle.pop_due(now).is_none(),
                "due before the hint at {at} ms"
            );
            settle.observe(file("a.jpg"), hint, now);
        }
        let due = settle.next_deadline().expect("something is pending");
        assert!(
            settle
                .pop_due(due.checked_sub(Duration::from_millis(1)).unwrap())
                .is_none()
        );
        assert!(settle.pop_due(due).is_some());
        assert!(settle.is_empty() && settle.next_deadline().is_none());
        u64::try_from((due - start).as_millis()).unwrap()
    }

    #[test]
    fn quiet_times() {
        use Hint::{Changed, Closed};
        let aged = Hint::Found {
            stamp: stamp(1),
            quiet_for: Duration::from_millis(1500),
        };
        let ancient = Hint::Found {
            stamp: stamp(1),
            quiet_for: Duration::from_secs(9_999),
        };
        for (name, hints, due) in [
            (
                "create, write, close",
                &[(0, Changed), (5, Changed), (9, Closed)][..],
                109,
            ),
            ("rename in", &[(0, Closed)], 100),
            ("no close event", &[(0, Changed), (1900, Changed)], 3900),
            (
                "close of the empty file, then the data",
                &[(0, Closed), (50, Changed)],
                2050,
            ),
            (
                "append reopened",
                &[(0, Changed), (1, Closed), (90, Changed), (95, Closed)],
                195,
            ),
            ("scan only", &[(0, found(1))], 2000),
            ("scan of a file known to be quiet", &[(0, aged)], 500),
            ("scan of an old file", &[(0, ancient)], 0),
            (
                "same in every scan",
                &[(0, found(1)), (900, found(1)), (1800, found(1))],
                2000,
            ),
            (
                "grows between scans",
                &[(0, found(1)), (900, found(2)), (1800, found(2))],
                2900,
            ),
            (
                "scan after an event",
                &[(0, Changed), (1500, found(4))],
                2000,
            ),
            ("scan after a close", &[(0, Closed), (50, found(4))], 100),
        ] {
            assert_eq!(due_after(hints), due, "{name}");
        }
    }

    #[test]
    fn an_incomplete_file_is_tried_at_growing_waits_and_given_up_after_patience() {
        let start = Instant::now();
        let mut settle = Settle::new(WAITS);
        settle.observe(file("a.jpg"), Hint::Closed, start);
        let mut tried = Vec::new();
        let gave_up = loop {
            let now = settle.next_deadline().unwrap();
            let Settled {
                file,
                history,
                last_try,
            } = settle.pop_due(now).unwrap();
            tried.push((now - start).as_millis());
            let verdict = settle.incomplete(file, history, stamp(5), last_try, now);
            assert_eq!(last_try, verdict == Verdict::GiveUp);
            if last_try {
                break now - start;
            }
            assert_eq!(
                settle.fresh(),
                0,
                "a file that waits does not keep a burst open"
            );
        };
        assert_eq!(tried, [100, 1100, 3100, 7100, 15_100, 31_100, 60_000]);
        assert_eq!(gave_up, WAITS.patience);
    }

    #[test]
    fn a_change_restarts_patience_and_brings_the_next_try_forward() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut settle = Settle::new(WAITS);
        settle.observe(file("a.jpg"), Hint::Closed, start);
        let settled = settle.pop_due(at(1)).unwrap();
        settle.incomplete(settled.file, settled.history, stamp(5), false, at(1));
        settle.observe(file("a.jpg"), Hint::Closed, at(50));
        let settled = settle.pop_due(at(51)).unwrap();
        let verdict = settle.incomplete(settled.file, settled.history, stamp(6), false, at(51));
        assert!(matches!(verdict, Verdict::Again(_)), "{verdict:?}");
        let settled = settle.pop_due(at(100)).unwrap();
        assert!(matches!(
            settle.incomplete(settled.file, settled.history, stamp(7), false, at(100)),
            Verdict::Again(_)
        ));
        // Begun before its time was over, ended after: one more try is the last.
        let settled = settle.pop_due(at(159)).unwrap();
        assert!(!settled.last_try);
        assert_eq!(
            settle.incomplete(settled.file, settled.history, stamp(7), false, at(160)),
            Verdict::Again(Duration::ZERO)
        );
        let settled = settle.pop_due(at(160)).unwrap();
        assert!(settled.last_try);
        assert_eq!(
            settle.incomplete(settled.file, settled.history, stamp(7), true, at(160)),
            Verdict::GiveUp
        );
    }

    #[test]
    fn retries_back_off_to_the_maximum_and_never_end() {
        let start = Instant::now();
        let (mut now, mut told) = (start, 0);
        let mut settle = Settle::new(WAITS);
        settle.observe(file("a.jpg"), Hint::Closed, now);
        let mut waits = Vec::new();
        for _ in 0..50 {
            now = settle.next_deadline().unwrap();
            let Settled { file, history, .. } = settle.pop_due(now).unwrap();
            let (wait, tell) = settle.retry(file, history, now);
            waits.push(wait.as_secs());
            told += u32::from(tell);
        }
        let hours = (now - start).as_secs() / 3600;
        assert_eq!(u64::from(told), hours + 1, "told at first and once an hour");
        assert_eq!(waits[..8], [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(waits[8..].iter().all(|&wait| wait == 300));
    }

    #[test]
    fn a_schedule_left_by_an_earlier_process_goes_on() {
        let start = Instant::now() + Duration::from_secs(86_400);
        for (name, left, wait) in [
            ("still to wait", 40, 40),
            ("due meanwhile", 0, 0),
            ("the clock was set back by a day", 86_400, 300),
        ] {
            let mut settle = Settle::new(WAITS);
            settle.observe(file("a.jpg"), Hint::Closed, start);
            let Settled { file, history, .. } = settle.pop_due(start + WAITS.settle).unwrap();
            let left = NextTry {
                tries: 3,
                wait: Duration::from_secs(left),
                told: Duration::from_secs(3000),
            };
            settle.resume(file, history, left, start);
            let due = settle.next_deadline().unwrap();
            assert_eq!((due - start).as_secs(), wait, "{name}");
            assert_eq!(settle.fresh(), 0, "{name}");
            let Settled { file, history, .. } = settle.pop_due(due).unwrap();
            let (wait, tell) = settle.retry(file, history, start);
            assert_eq!((wait.as_secs(), tell), (40, false), "{name}: the fourth");
            let again = start + Duration::from_secs(600);
            let Settled { file, history, .. } = settle.pop_due(again).unwrap();
            assert!(settle.retry(file, history, again).1, "{name}: not reminded");
        }
    }

    #[test]
    fn files_come_out_in_the_order_of_their_deadlines() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut settle = Settle::new(WAITS);
        settle.observe(file("slow.jpg"), Hint::Changed, start);
        settle.observe(file("b.jpg"), Hint::Closed, start + ms(2));
        settle.observe(file("a.jpg"), Hint::Closed, start + ms(1));
        settle.observe(file("a.jpg"), Hint::Closed, start + ms(5));
        let order: Vec<_> = std::iter::from_fn(|| settle.pop_due(start + ms(5000)))
            .map(|settled| settled.file.path.display().to_string())
            .collect();
        assert_eq!(order, ["b.jpg", "a.jpg", "slow.jpg"]);
    }

    #[test]
    fn an_endless_writer_is_told_of_once() {
        let start = Instant::now();
        let mut settle = Settle::new(WAITS);
        let told: Vec<u64> = (0..1300)
            .filter(|&second| {
                let now = start + Duration::from_secs(second);
                settle.observe(file("a.jpg"), Hint::Changed, now).is_some()
            })
            .collect();
        assert_eq!(told, [600]);
        assert_eq!(settle.len(), 1);
    }

    #[test]
    fn a_full_folder_leaves_room_for_others() {
        let now = Instant::now();
        let mut settle = Settle::new(WAITS);
        settle.most = 90;
        let [dead, other] = [FolderId(1), FolderId(2)];
        let file = |folder, number: usize| FileKey {
            folder,
            path: Arc::from(Path::new(&number.to_string())),
        };
        let take_up = |settle: &mut Settle, folder| {
            let before = settle.len();
            for number in 0..100 {
                if !settle.is_full_for(folder) {
                    settle.observe(file(folder, number), Hint::Closed, now);
                }
            }
            settle.len() - before
        };
        assert_eq!(take_up(&mut settle, dead), 45);
        assert_eq!(take_up(&mut settle, other), 23);
        assert!(!settle.is_full_for(FolderId(3)) && !settle.is_full());
        // What fails and is tried again makes no room, what is done with makes some.
        let mut due = now + WAITS.settle;
        for _ in 0..200 {
            due = settle.next_deadline().unwrap().max(due);
            let settled = settle.pop_due(due).unwrap();
            if settled.file.folder == dead {
                settle.retry(settled.file, settled.history, due);
            }
        }
        assert_eq!((settle.len_of(dead), settle.len_of(other)), (45, 0));
        assert!(settle.is_full_for(dead) && !settle.has_much_room_for(dead));
        assert!(settle.has_much_room_for(other));
        settle.retain_folders(|id| id == other);
        assert_eq!(settle.len_of(dead), 0);
    }

    #[test]
    fn folders_that_are_gone_are_forgotten() {
        let now = Instant::now();
        let mut settle = Settle::new(WAITS);
        settle.observe(file("a.jpg"), Hint::Closed, now);
        settle.retain_folders(|id| id != FolderId(1));
        assert!(settle.is_empty() && settle.fresh() == 0);
        assert_eq!(settle.next_deadline(), None);
        assert!(settle.pop_due(now + Duration::from_secs(9)).is_none());
    }
}
