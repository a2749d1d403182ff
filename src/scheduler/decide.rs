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
    /// It goes to the workers, and goes on with this schedule if it fails again. A suspect may have
    /// ended a process.
    Queue {
        suspect: bool,
        schedule: Option<NextTry>,
    },
}

/// `output_usable` is only asked where it matters.
pub fn next(
    standing: Standing,
    history: &History,
    until: Until,
    output_usable: impl FnOnce() -> bool,
) -> Next {
    let Standing::Open {
        waiting,
        for_output,
        suspect,
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
        _ => Next::Queue { suspect, schedule },
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
    fn the_ledger_says_what_is_next() {
        let schedule = |seconds| NextTry {
            tries: 2,
            wait: Duration::from_secs(seconds),
            told: Duration::ZERO,
        };
        let (later, due) = (Some(schedule(60)), Some(schedule(0)));
        let open = |waiting, for_output| Standing::Open {
            waiting,
            for_output,
            suspect: false,
        };
        let suspect = |waiting| Standing::Open {
            waiting,
            for_output: false,
            suspect: true,
        };
        let resume = |for_output| Next::Resume {
            next: schedule(60),
            for_output,
        };
        let queue = |suspect, schedule| Next::Queue { suspect, schedule };

        let new = History::new(Instant::now(), None);
        let tried = History { retries: 1, ..new };
        let given =
            |history, until, usable| move |standing| next(standing, &history, until, || usable);
        let daemon = given(new, Until::Stopped, false);
        let output_is_back = given(new, Until::Stopped, true);
        let own_try = given(tried, Until::Stopped, false);
        let single_run = given(new, Until::AllDone, false);
        for standing in [
            Standing::Decided { failed: true },
            Standing::Owed { failed: false },
        ] {
            assert_eq!(daemon(standing), Next::Skip);
        }
        assert_eq!(daemon(open(None, false)), queue(false, None));
        assert_eq!(daemon(open(due, false)), queue(false, due));
        assert_eq!(daemon(open(later, false)), resume(false));
        assert_eq!(daemon(open(later, true)), resume(true));
        assert_eq!(output_is_back(open(later, true)), queue(false, later));
        assert_eq!(output_is_back(open(later, false)), resume(false));
        assert_eq!(own_try(open(later, false)), queue(false, None));
        assert_eq!(single_run(open(later, false)), queue(false, later));
        assert_eq!(daemon(suspect(None)), queue(true, None));
        assert_eq!(daemon(suspect(due)), queue(true, due));
        assert_eq!(daemon(suspect(later)), resume(false));
        assert_eq!(single_run(suspect(later)), queue(true, later));
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
