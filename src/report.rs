//! What a burst of pictures cost: counts, bytes and the time of every step.

use std::{
    fmt::Write,
    mem,
    time::{Duration, Instant},
};

use tracing::info;

use crate::{
    log::{self, Bytes, Short, Took, millis},
    outcome::{Failure, Outcome, Step},
};

/// Characters of a line of the report, behind its time, level and message.
const LONGEST_LINE: usize = 78;

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

    /// Writes the report to the log: as one record, and as short lines for people.
    pub fn log(&self, message: &str) {
        let of = |step| self.summary(step);
        info!(
            target: log::RECORD,
            pictures = self.pictures,
            failures = self.failures,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            wall_ms = millis(self.wall()),
            pictures_per_s = (self.sum().rate() * 1000.0).round() / 1000.0,
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
        for line in self.lines() {
            info!(target: log::LINES, "{message:<9} {line}");
        }
    }

    /// The sum, and then the mean and the longest time of each step that there was.
    fn lines(&self) -> Vec<String> {
        let sum = self.sum().line();
        // Who looks for failures in a log looks for the word.
        let mut lines = vec![sum.replacen(", 0 failed", "", 1)];
        let mut steps = "ms, mean/max:".to_owned();
        let ran = |column: &(&Step, &Column)| column.1.count > 0;
        let columns = Step::TIMED.iter().zip(&self.steps);
        for (at, (step, column)) in columns.filter(ran).enumerate() {
            let (mean, max) = (millis(column.mean()), millis(column.max));
            let next = format!(" {} {}/{}", step.name(), Short(mean), Short(max));
            if at > 0 {
                steps.push(',');
            }
            if steps.len() + next.len() > LONGEST_LINE {
                lines.push(mem::replace(&mut steps, " ".repeat(13)));
            }
            steps.push_str(&next);
        }
        if self.steps.iter().any(|column| column.count > 0) {
            lines.push(steps);
        }
        lines
    }

    /// Counts, bytes and time.
    fn sum(&self) -> Sum {
        Sum {
            pictures: self.pictures,
            failures: self.failures,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            wall: self.wall(),
        }
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
        let mut table = format!("{}\n", self.sum().line());
        if self.steps.iter().any(|column| column.count > 0) {
            table.push_str("step           count   mean ms    max ms\n");
        }
        for (step, column) in Step::TIMED
            .iter()
            .zip(&self.steps)
            .filter(|(_, column)| column.count > 0)
        {
            let (mean, max) = (millis(column.mean()), millis(column.max));
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

/// What many pictures cost in all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    pub pictures: u64,
    pub failures: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub wall: Duration,
}

impl Sum {
    /// Pictures a second over the wall time.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = self.wall.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no 2^53 pictures")]
        let pictures = self.pictures as f64;
        if seconds > 0.0 {
            pictures / seconds
        } else {
            0.0
        }
    }

    /// In one line for people.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} pictures, {} failed, {} in, {} out, {}, {} pictures/s",
            self.pictures,
            self.failures,
            Bytes(self.bytes_in),
            Bytes(self.bytes_out),
            Took(millis(self.wall)),
            Short(self.rate())
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_a_few_short_lines() {
        let mut report = Report {
            pictures: 12,
            failures: 1,
            bytes_in: 36_175_872,
            bytes_out: 5_452_595,
            started: None,
            ended: None,
            ..Report::default()
        };
        report.steps[0] = Column {
            count: 2,
            sum: Duration::from_micros(905),
            max: Duration::from_micros(12_300),
        };
        let sum = "12 pictures, 1 failed, 34 MiB in, 5.2 MiB out, 0 ms, 0 pictures/s";
        assert_eq!(report.lines(), [sum, "ms, mean/max: wait 0.5/12"]);
        assert!(report.table().starts_with(sum), "{}", report.table());
        report.failures = 0;
        report.steps = [report.steps[0]; Step::TIMED.len()];
        let lines = report.lines();
        assert!(
            lines.len() > 2 && lines[0].starts_with("12 pictures, 34 MiB"),
            "{lines:?}"
        );
        assert!(
            lines.iter().all(|line| line.len() <= LONGEST_LINE),
            "{lines:?}"
        );
        assert_eq!(Report::default().lines().len(), 1);
    }

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
