//! What is next for a settled file, and what follows a try. Pure: the ledger's answer and the
//! outcome go in, a decision comes out.

use super::job::Until;
use crate::{
    arrival::{Hint, History},
    ledger::Standing,
    outcome::{Failure, Published, Step},
    retry::NextTry,
};

/// What is next for a file that has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It has its fate.
    Skip,
    /// It stays on the schedule that an earlier process left.
    Resume { next: NextTry, for_output: bool },
    /// It may have ended a process: it is tried last and alone.
    Quarantine {
        suspicion: u32,
        schedule: Option<NextTry>,
    },
    /// It goes to the workers, and goes on with this schedule if it fails again.
    Queue { schedule: Option<NextTry> },
}

/// `alone` says that the file was let out of quarantine; `output_usable` is only asked where it
/// matters.
pub fn next(
    standing: Standing,
    history: &History,
    until: Until,
    alone: bool,
    output_usable: impl FnOnce() -> bool,
) -> Next {
    let Standing::Open {
        waiting,
        for_output,
        suspicion,
    } = standing
    else {
        return Next::Skip;
    };
    // Its own tries are up to `settle` alone, whose clock nobody sets.
    let schedule = waiting.filter(|_| history.retries == 0);
    match schedule {
        // Who starts a single run wants everything tried.
        Some(next)
            if until == Until::Stopped
                && !next.wait.is_zero()
                && !(for_output && output_usable()) =>
        {
            Next::Resume { next, for_output }
        }
        _ if suspicion > 0 && !alone => Next::Quarantine {
            suspicion,
            schedule,
        },
        _ => Next::Queue { schedule },
    }
}

/// What follows a try.
#[derive(Debug)]
pub enum After {
    /// It has its fate, or is gone.
    Nothing,
    /// The same, and it showed a sign of life meanwhile: it begins anew.
    Observe(Hint),
    /// It is being written to.
    StillWritten,
    /// It failed for what may pass.
    BackOff { step: Step, cause: anyhow::Error },
    /// It ends too early: it waits for more, or is given up.
    Incomplete { step: Step, cause: String },
}

/// `hint` is a sign of life during the try; `is_old` says that the file has not changed for so long
/// that no more is expected.
pub fn after(
    result: Result<Published, Failure>,
    hint: Option<Hint>,
    until: Until,
    is_old: bool,
) -> After {
    match (result, hint) {
        (Ok(_) | Err(Failure::Permanent { .. } | Failure::Gone), Some(hint)) => {
            After::Observe(hint)
        }
        (Ok(_) | Err(Failure::Permanent { .. } | Failure::Gone), None) => After::Nothing,
        (Err(Failure::Changed), _)
        | (Err(Failure::Incomplete { .. } | Failure::Transient { .. }), Some(_)) => {
            After::StillWritten
        }
        (Err(Failure::Transient { step, cause }), None) => After::BackOff { step, cause },
        // A single run cannot wait for what may come.
        (Err(Failure::Incomplete { step, cause }), None) if until == Until::AllDone && !is_old => {
            let cause = anyhow::anyhow!("{cause}; its writer may not be done with it");
            After::BackOff { step, cause }
        }
        (Err(Failure::Incomplete { step, cause }), None) => After::Incomplete { step, cause },
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a case after the other")]
    fn the_ledger_says_what_is_next() {
        let schedule = |seconds| NextTry {
            tries: 2,
            wait: Duration::from_secs(seconds),
            told: Duration::ZERO,
        };
        let (later, due) = (Some(schedule(60)), Some(schedule(0)));
        let open = |waiting, for_output, suspicion| Standing::Open {
            waiting,
            for_output,
            suspicion,
        };
        let resume = |for_output| Next::Resume {
            next: schedule(60),
            for_output,
        };
        let queue = |schedule| Next::Queue { schedule };
        let quarantine = |suspicion, schedule| Next::Quarantine {
            suspicion,
            schedule,
        };
        let new = History::new(Instant::now(), None);
        let tried = History { retries: 1, ..new };
        let (daemon, once) = (Until::Stopped, Until::AllDone);
        for (what, standing, history, until, alone, usable, expected) in [
            (
                "done",
                Standing::Decided,
                new,
                daemon,
                false,
                false,
                Next::Skip,
            ),
            (
                "owed",
                Standing::Owed,
                new,
                daemon,
                false,
                false,
                Next::Skip,
            ),
            (
                "new",
                open(None, false, 0),
                new,
                daemon,
                false,
                false,
                queue(None),
            ),
            (
                "waits",
                open(later, false, 0),
                new,
                daemon,
                false,
                true,
                resume(false),
            ),
            (
                "due",
                open(due, false, 0),
                new,
                daemon,
                false,
                false,
                queue(due),
            ),
            (
                "single run",
                open(later, false, 0),
                new,
                once,
                false,
                false,
                queue(later),
            ),
            (
                "output away",
                open(later, true, 0),
                new,
                daemon,
                false,
                false,
                resume(true),
            ),
            (
                "output back",
                open(later, true, 0),
                new,
                daemon,
                false,
                true,
                queue(later),
            ),
            (
                "own try",
                open(later, false, 0),
                tried,
                daemon,
                false,
                false,
                queue(None),
            ),
            (
                "suspect",
                open(None, false, 2),
                new,
                daemon,
                false,
                false,
                quarantine(2, None),
            ),
            (
                "suspect, due",
                open(due, false, 1),
                new,
                daemon,
                false,
                false,
                quarantine(1, due),
            ),
            (
                "suspect waits",
                open(later, false, 1),
                new,
                daemon,
                true,
                false,
                resume(false),
            ),
            (
                "alone",
                open(None, false, 2),
                new,
                daemon,
                true,
                false,
                queue(None),
            ),
        ] {
            let found = next(standing, &history, until, alone, || usable);
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn the_outcome_says_what_follows() {
        let published = || {
            Ok(Published {
                bytes_in: 1,
                bytes_out: 1,
            })
        };
        let (step, cause) = (Step::Decode, String::new);
        let permanent = || {
            Err(Failure::Permanent {
                step,
                cause: cause(),
            })
        };
        let incomplete = || {
            Err(Failure::Incomplete {
                step,
                cause: cause(),
            })
        };
        let transient = || {
            Err(Failure::Transient {
                step,
                cause: anyhow::Error::msg("full"),
            })
        };
        let hint = Some(Hint::Written);
        let (daemon, once) = (Until::Stopped, Until::AllDone);
        for (result, hint, until, is_old, expected) in [
            (published(), None, daemon, false, "Nothing"),
            (published(), hint, daemon, false, "Observe(Written)"),
            (permanent(), None, daemon, false, "Nothing"),
            (permanent(), hint, daemon, false, "Observe(Written)"),
            (Err(Failure::Gone), None, once, false, "Nothing"),
            (Err(Failure::Changed), None, daemon, false, "StillWritten"),
            (Err(Failure::Changed), hint, daemon, true, "StillWritten"),
            (incomplete(), hint, daemon, true, "StillWritten"),
            (incomplete(), None, daemon, false, "Incomplete"),
            (incomplete(), None, once, false, "BackOff"),
            (incomplete(), None, once, true, "Incomplete"),
            (transient(), hint, daemon, false, "StillWritten"),
            (transient(), None, once, false, "BackOff"),
        ] {
            let what = format!("{result:?} {hint:?} {until:?} {is_old}");
            let found = format!("{:?}", after(result, hint, until, is_old));
            assert!(found.starts_with(expected), "{what}: {found}");
        }
    }
}
