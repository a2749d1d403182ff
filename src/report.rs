//! What a burst of pictures cost: counts, bytes and the time of every step.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use tracing::info;

use crate::outcome::{Failure, Outcome, Step};

#[derive(Debug, Clone, Copy, Default)]
struct Column {
    count: u32,
    sum: Duration,
    max: Duration,
}

/// Counts of one burst, or of a whole run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub pictures: u64,
    pub failures: u64,
    /// Files that were known when the run was told to stop, and are not done.
    pub left: u64,
    bytes_in: u64,
    bytes_out: u64,
    started: Option<Instant>,
    ended: Option<Instant>,
    steps: [Column; Step::TIMED.len()],
}

impl Report {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pictures == 0 && self.failures == 0
    }

    /// The first job is on its way at `now`.
    pub fn start(&mut self, now: Instant) {
        self.started.get_or_insert(now);
    }

    /// Counts an outcome that settles a file's fate; the others are counted when they do.
    pub fn count(&mut self, outcome: &Outcome, now: Instant) {
        match &outcome.result {
            Ok(published) => {
                self.pictures += 1;
                self.bytes_in += published.bytes_in;
                self.bytes_out += published.bytes_out;
            }
            Err(Failure::Permanent { .. }) => self.failures += 1,
            Err(_) => return,
        }
        self.ended = Some(now);
        for (column, took) in self.steps.iter_mut().zip(outcome.times.0) {
            if let Some(took) = took {
                column.count += 1;
                column.sum += took;
                column.max = column.max.max(took);
            }
        }
    }

    /// Counts a file that was given up after several tries.
    pub fn count_given_up(&mut self, now: Instant) {
        self.failures += 1;
        self.ended = Some(now);
    }

    #[must_use]
    pub fn wall(&self) -> Duration {
        match (self.started, self.ended) {
            (Some(started), Some(ended)) => ended - started,
            _ => Duration::ZERO,
        }
    }

    /// Pictures a second over the wall time.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = self.wall().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no 2^53 pictures")]
        let pictures = self.pictures as f64;
        if seconds > 0.0 {
            pictures / seconds
        } else {
            0.0
        }
    }

    /// Writes the report as one record.
    pub fn log(&self, message: &str) {
        let of = |step| self.summary(step);
        info!(
            pictures = self.pictures,
            failures = self.failures,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            wall_ms = round(self.wall().as_secs_f64() * 1000.0),
            pictures_per_s = round(self.rate()),
            wait = of(Step::Wait),
            read = of(Step::Read),
            decode = of(Step::Decode),
            orient = of(Step::Orient),
            resize = of(Step::Resize),
            recompress = of(Step::Recompress),
            overlay = of(Step::Overlay),
            encode = of(Step::Encode),
            publish = of(Step::Publish),
            "{message}"
        );
    }

    /// What a step took, in words; empty for one that is not timed.
    fn summary(&self, step: Step) -> String {
        let mut columns = Step::TIMED.iter().zip(self.steps);
        let found = columns.find(|(timed, _)| **timed == step);
        found.map_or_else(String::new, |(_, column)| column.summary())
    }

    /// The report as a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = format!(
            "{} pictures, {} failed, {} in, {} out, {:.2} s, {:.1} pictures/s\n",
            self.pictures,
            self.failures,
            indicatif::HumanBytes(self.bytes_in),
            indicatif::HumanBytes(self.bytes_out),
            self.wall().as_secs_f64(),
            self.rate()
        );
        if self.steps.iter().any(|column| column.count > 0) {
            table.push_str("step           count   mean ms    max ms\n");
        }
        for (step, column) in Step::TIMED
            .iter()
            .zip(&self.steps)
            .filter(|(_, column)| column.count > 0)
        {
            let (mean, max) = (
                column.mean().as_secs_f64() * 1e3,
                column.max.as_secs_f64() * 1e3,
            );
            let count = column.count;
            // Writing to a string cannot fail.
            if writeln!(
                table,
                "{:<12}{count:>8}{mean:>10.1}{max:>10.1}",
                step.name()
            )
            .is_err()
            {
                break;
            }
        }
        table
    }
}

impl Column {
    fn mean(self) -> Duration {
        self.sum.checked_div(self.count).unwrap_or_default()
    }

    fn summary(self) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        format!(
            "count={} mean={:.1}ms max={:.1}ms",
            self.count,
            ms(self.mean()),
            ms(self.max)
        )
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By name: in whatever order the steps stand.
    #[test]
    fn every_timed_step_is_in_the_record_under_its_own_name() {
        let source = include_str!("report.rs");
        for (number, step) in (1..).zip(Step::TIMED) {
            let field = format!("{} = of(Step::{step:?})", step.name());
            assert!(source.contains(&field), "{field}");
            let mut report = Report::default();
            let index = Step::TIMED.iter().position(|timed| *timed == step).unwrap();
            report.steps[index].count = number;
            assert!(
                report
                    .summary(step)
                    .starts_with(&format!("count={number} "))
            );
        }
    }
}
