//! The time of day where the machine stands.
//!
//! Each line asks for the offset anew: summer time comes and goes in a daemon that runs for years.
//! `time` refuses to tell the offset once there are threads, since the C library's answer is not
//! safe then. jiff reads the system's time zone by itself and keeps it in memory.

use std::{fmt, time::SystemTime};

use jiff::{Timestamp, civil, tz::TimeZone};

/// Date and time of day with their offset from UTC, to the second.
pub struct Local {
    civil: civil::DateTime,
    /// Seconds east of UTC.
    offset: i32,
}

impl Local {
    #[must_use]
    pub fn of(at: SystemTime) -> Local {
        Local::in_zone(at, &TimeZone::system())
    }

    fn in_zone(at: SystemTime, zone: &TimeZone) -> Local {
        // A clock beyond the year 9999 has no date worth the name.
        let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
        let offset = zone.to_offset(at);
        Local {
            civil: offset.to_datetime(at),
            offset: offset.seconds(),
        }
    }

    #[must_use]
    pub fn civil(&self) -> civil::DateTime {
        self.civil
    }

    /// As 2026-11-26.
    #[must_use]
    pub fn date(&self) -> civil::Date {
        self.civil.date()
    }

    /// 0 to 23.
    #[must_use]
    pub fn hour(&self) -> i8 {
        self.civil.hour()
    }
}

impl fmt::Display for Local {
    /// As RFC 3339 has it, with a space in place of the T.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil;
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs() / 60;
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}{sign}{:02}:{:02}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            minutes / 60,
            minutes % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_offset_follows_summer_time() {
        for (seconds, zone, wanted) in [
            (
                1_774_745_999,
                "CET-1CEST,M3.5.0,M10.5.0/3",
                "2026-03-29 01:59:59+01:00",
            ),
            (
                1_774_746_000,
                "CET-1CEST,M3.5.0,M10.5.0/3",
                "2026-03-29 03:00:00+02:00",
            ),
            (
                1_774_746_000,
                "NST3:30NDT,M3.2.0,M11.1.0",
                "2026-03-28 22:30:00-02:30",
            ),
            (1_774_746_000, "UTC0", "2026-03-29 01:00:00+00:00"),
        ] {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let zone = TimeZone::posix(zone).unwrap();
            assert_eq!(Local::in_zone(at, &zone).to_string(), wanted);
        }
    }
}
