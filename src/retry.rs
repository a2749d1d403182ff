//! When something that failed is tried again, and when the operator hears of it: waits that double
//! up to a limit, and a reminder once an hour. Pure: time comes in as an argument.

use std::time::{Duration, Instant};

/// How long a failure that does not pass goes on without a reminder.
pub const REMIND_AFTER: Duration = Duration::from_secs(3600);

/// First and longest wait between two tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Backoff {
    /// The wait after so many failures before this one: it doubles with each.
    #[must_use]
    pub fn wait(self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }
}

/// The schedule of what failed for a cause that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTry {
    /// Failures so far.
    pub tries: u32,
    /// From now until the next try.
    pub wait: Duration,
    /// How long ago the operator was told.
    pub told: Duration,
}

/// Whether the operator is to be told at `now` of a failure that he was last told of at `told`.
#[must_use]
pub fn is_to_be_told(told: Option<Instant>, now: Instant) -> bool {
    told.is_none_or(|told| now.saturating_duration_since(told) >= REMIND_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff {
            first: Duration::from_secs(5),
            max: Duration::from_secs(300),
        };
        for (failures, seconds) in [(0, 5), (1, 10), (5, 160), (6, 300), (31, 300), (99, 300)] {
            assert_eq!(backoff.wait(failures).as_secs(), seconds, "{failures}");
        }
    }

    #[test]
    fn the_operator_is_told_at_first_and_then_once_an_hour() {
        let told = Instant::now();
        for (since, expected) in [(0, false), (3599, false), (3600, true)] {
            let now = told + Duration::from_secs(since);
            assert_eq!(is_to_be_told(Some(told), now), expected, "{since}");
        }
        assert!(is_to_be_told(None, told));
    }
}
