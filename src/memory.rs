//! What all workers together may take for pictures, and whose turn it is to take some.
//!
//! A worker reserves what a picture will need at most before it reads the file, and waits if that
//! is not free: in the order of asking, so that a large picture is not put off for ever by small
//! ones. Buffers that stay with a worker between pictures stay reserved too, until somebody waits:
//! then they are given up. So whoever waits holds nothing, whoever is idle gives up what it holds,
//! and whoever works comes to an end: the first in line always gets its turn.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{os, stop::wake};

/// What `max_memory: auto` is where neither a control group nor the machine tells its size.
const UNKNOWN: u64 = 512 << 20;

/// The configured limit in bytes, or half of what there is; and why.
pub fn limit(configured: Option<u64>) -> (u64, String) {
    match (configured, os::memory()) {
        (Some(bytes), _) => (bytes, "as configured".to_owned()),
        (None, Some((bytes, place))) => {
            let why = format!("half of the {} that {place} has", Size(bytes));
            (bytes / 2, why)
        }
        (None, None) => (UNKNOWN, "the system does not tell its size".to_owned()),
    }
}

/// Bytes for people: "1.9 GiB".
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| self.0 >> shift > 0) else {
            return write!(formatter, "{} bytes", self.0);
        };
        // Rounded up: what is needed must not look as if it fitted.
        let tenths = (u128::from(self.0) * 10).div_ceil(1 << shift);
        if tenths.is_multiple_of(10) {
            write!(formatter, "{} {unit}", tenths / 10)
        } else {
            write!(formatter, "{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// What can never be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch {
    pub need: u64,
    pub limit: u64,
}

#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
    /// Something was given back, the limit has changed, or another one is the first.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Bytes.
    limit: u64,
    /// Bytes of all accounts. Above the limit only while a new limit is lower.
    reserved: u64,
    /// Accounts that wait, in the order of asking.
    waiting: VecDeque<usize>,
    /// By account: how to ask an idle worker for what it holds. None once it is closed.
    idle: Vec<Option<Sender<()>>>,
}

impl Budget {
    pub fn new(limit: u64) -> Arc<Self> {
        let state = State {
            limit,
            reserved: 0,
            waiting: VecDeque::new(),
            idle: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    pub fn set_limit(&self, limit: u64) {
        self.state().limit = limit;
        self.changed.notify_all();
    }

    /// A worker's account, empty.
    pub fn open(self: &Arc<Self>) -> Account {
        let (sender, shortage) = bounded(1);
        let mut state = self.state();
        let free = state.idle.iter().position(Option::is_none);
        let id = free.unwrap_or(state.idle.len());
        match state.idle.get_mut(id) {
            Some(slot) => *slot = Some(sender),
            None => state.idle.push(Some(sender)),
        }
        Account {
            budget: Arc::clone(self),
            id,
            held: 0,
            shortage,
        }
    }

    /// No code that holds the lock can leave the sums half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one worker has reserved. Given back when it is dropped.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    id: usize,
    /// Bytes.
    held: u64,
    shortage: Receiver<()>,
}

impl Account {
    /// Tells an idle worker that somebody waits for what it holds.
    pub fn shortage(&self) -> &Receiver<()> {
        &self.shortage
    }

    /// Reserves so much in all, if it is free and nobody waits.
    pub fn try_reserve(&mut self, bytes: u64) -> bool {
        let mut state = self.budget.state();
        let others = state.reserved - self.held;
        let fits = others.saturating_add(bytes) <= state.limit;
        if !fits || !state.waiting.is_empty() {
            return false;
        }
        state.reserved = others + bytes;
        self.held = bytes;
        true
    }

    /// Reserves so much, and waits for its turn if need be. What was held is given back first, so
    /// the buffers behind it must be gone.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), TooMuch> {
        self.keep_nothing();
        let mut state = self.budget.state();
        state.waiting.push_back(self.id);
        loop {
            let first = state.waiting.front() == Some(&self.id);
            let never = bytes > state.limit;
            if never || first && state.reserved.saturating_add(bytes) <= state.limit {
                state.waiting.retain(|id| *id != self.id);
                if !never {
                    state.reserved += bytes;
                    self.held = bytes;
                }
                let limit = state.limit;
                drop(state);
                // The next one may fit as well.
                self.budget.changed.notify_all();
                return if never {
                    Err(TooMuch { need: bytes, limit })
                } else {
                    Ok(())
                };
            }
            for idle in state.idle.iter().flatten() {
                wake(idle);
            }
            state = self
                .budget
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Keeps so much of what is reserved, as nobody waits; false if somebody does. Then the buffers
    /// are to be given up, and `keep_nothing` is to be called.
    pub fn keep(&mut self, bytes: u64) -> bool {
        let mut state = self.budget.state();
        if !state.waiting.is_empty() {
            return false;
        }
        state.reserved = state.reserved - self.held + bytes;
        self.held = bytes;
        drop(state);
        self.budget.changed.notify_all();
        true
    }

    pub fn keep_nothing(&mut self) {
        self.budget.state().reserved -= self.held;
        self.held = 0;
        self.budget.changed.notify_all();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.keep_nothing();
        if let Some(slot) = self.budget.state().idle.get_mut(self.id) {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn waiting(budget: &Budget) -> usize {
        budget.state().waiting.len()
    }

    /// Waits until so many are in line.
    fn in_line(budget: &Budget, count: usize) {
        while waiting(budget) != count {
            thread::yield_now();
        }
    }

    #[test]
    fn what_can_never_fit_is_told_with_figures() {
        let budget = Budget::new(100);
        let mut account = budget.open();
        assert_eq!(
            account.reserve(101),
            Err(TooMuch {
                need: 101,
                limit: 100
            })
        );
        assert_eq!(account.reserve(100), Ok(()));
        assert!(!budget.open().try_reserve(1));
        drop(account);
        assert!(budget.open().try_reserve(100));
    }

    #[test]
    fn a_large_one_is_not_passed_by_small_ones() {
        let budget = Budget::new(100);
        let mut first = budget.open();
        first.reserve(60).unwrap();
        thread::scope(|scope| {
            let large = scope.spawn(|| {
                let mut account = budget.open();
                account.reserve(90).unwrap();
                assert_eq!(waiting(&budget), 1, "the small one went first");
            });
            in_line(&budget, 1);
            assert!(!budget.open().try_reserve(10), "nobody passes who waits");
            let small = scope.spawn(|| budget.open().reserve(20).unwrap());
            in_line(&budget, 2);
            first.keep_nothing();
            large.join().unwrap();
            small.join().unwrap();
        });
        assert_eq!(budget.state().reserved, 0);
    }

    #[test]
    fn the_idle_are_asked_for_what_they_keep() {
        let budget = Budget::new(100);
        let mut idle = budget.open();
        idle.reserve(80).unwrap();
        assert!(idle.keep(50));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| budget.open().reserve(70));
            idle.shortage().recv().unwrap();
            assert!(!idle.keep(50), "somebody waits");
            idle.keep_nothing();
            waiter.join().unwrap().unwrap();
        });
        assert!(idle.try_reserve(100));
    }

    #[test]
    fn a_new_limit_reaches_those_who_wait() {
        let budget = Budget::new(100);
        let mut first = budget.open();
        first.reserve(60).unwrap();
        thread::scope(|scope| {
            let refused = scope.spawn(|| budget.open().reserve(80));
            in_line(&budget, 1);
            budget.set_limit(70);
            let expected = TooMuch {
                need: 80,
                limit: 70,
            };
            assert_eq!(refused.join().unwrap(), Err(expected));
            let granted = scope.spawn(|| budget.open().reserve(40));
            in_line(&budget, 1);
            budget.set_limit(1000);
            granted.join().unwrap().unwrap();
        });
    }

    #[test]
    fn many_workers_never_have_more_than_there_is() {
        let budget = Budget::new(1000);
        let most = Mutex::new((0_u64, 0_u64));
        thread::scope(|scope| {
            for worker in 0..8_u64 {
                let (budget, most) = (&budget, &most);
                scope.spawn(move || {
                    let mut account = budget.open();
                    for round in 0..300 {
                        let need = (worker * 131 + round * 37) % 1000 + 1;
                        if !account.try_reserve(need) {
                            account.reserve(need).unwrap();
                        }
                        {
                            let mut sums = most.lock().unwrap();
                            sums.0 += need;
                            sums.1 = sums.1.max(sums.0);
                        }
                        thread::yield_now();
                        most.lock().unwrap().0 -= need;
                        account.keep_nothing();
                    }
                });
            }
        });
        assert!(most.lock().unwrap().1 <= 1000);
        assert_eq!(budget.state().reserved, 0);
    }

    #[test]
    fn sizes_are_spelt_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1024, "1 KiB"),
            (256 << 20, "256 MiB"),
            ((256 << 20) + 1, "256.1 MiB"),
            (2_040_109_465, "1.9 GiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
