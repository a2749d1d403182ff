//! Figures with as many digits as a person reads.

use std::{fmt, time::Duration};

/// A number with one decimal below ten, and none above.
pub struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        // 9.96 would become 10.0, and 0.04 be 0.0 with or without a decimal.
        let decimals = usize::from((0.05..9.95).contains(&size) && self.0.fract() != 0.0);
        let text = format_args!("{:.decimals$}", self.0).to_string();
        f.pad(text.strip_suffix(".0").unwrap_or(&text))
    }
}

/// Bytes.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // 1023.7 KiB is 1 MiB.
        while value >= 1023.5 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        f.pad(&format!("{} {}", Short(value), UNITS[unit]))
    }
}

/// Milliseconds below ten seconds, then seconds.
pub struct Took(pub f64);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10_000.0 {
            f.pad(&format!("{} ms", Short(self.0)))
        } else {
            f.pad(&format!("{} s", Short(self.0 / 1000.0)))
        }
    }
}

/// Milliseconds with all microseconds, for machines.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_the_digits_that_a_person_reads() {
        for (value, wanted) in [
            (0.0, "0"),
            (0.04, "0"),
            (0.452_632_99, "0.5"),
            (1.0, "1"),
            (9.94, "9.9"),
            (9.96, "10"),
            (43.2, "43"),
            (-2.5, "-2.5"),
            (1234.5, "1234"),
        ] {
            assert_eq!(Short(value).to_string(), wanted, "{value}");
        }
        for (bytes, wanted) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (524_288, "512 KiB"),
            (1_048_500, "1 MiB"),
            (5_500_000, "5.2 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), wanted, "{bytes}");
        }
        for (ms, wanted) in [(0.4, "0.4 ms"), (4321.0, "4321 ms"), (65_432.1, "65 s")] {
            assert_eq!(Took(ms).to_string(), wanted, "{ms}");
        }
        assert_eq!(format!("{:>8}|", Took(43.0)), "   43 ms|");
        assert!((millis(Duration::from_nanos(452_632_990)) - 452.633).abs() < 1e-9);
    }
}
