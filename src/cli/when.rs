//! Times and durations for people.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use crate::log::Local;

/// The last second that the calendar has room for, at the end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// A time as the log's lines have it, so that both can be compared by eye.
pub fn local(at: SystemTime) -> String {
    Local::of(at).to_string()
}

/// A time in UTC, to the second, as RFC 3339 has it: for JSON.
pub fn utc(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = seconds.unwrap_or_default().as_secs().min(LAST);
    let at = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time, and how long ago it was or how long it is until then.
pub fn when(at: SystemTime, now: SystemTime) -> String {
    let apart = match now.duration_since(at) {
        Ok(ago) => format!("{} ago", span(ago)),
        Err(ahead) => format!("in {}", span(ahead.duration())),
    };
    format!("{} ({apart})", local(at))
}

/// A duration in the unit that suits it.
pub fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX / 4, "9999-12-31T23:59:59Z"),
        ] {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(utc(at), text);
        }
    }

    #[test]
    fn spans_have_a_unit_that_suits_them() {
        for (seconds, text) in [
            (0.25, "250 ms"),
            (1.5, "1.5 s"),
            (90.0, "90 s"),
            (600.0, "10 min"),
            (10_800.0, "3 h"),
            (864_000.0, "10 days"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
    }
}
