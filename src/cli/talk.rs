//! How much a command says: `-q`, `-v`, and the progress bar.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::Level;

#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Talk {
    /// Say nothing but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: every picture with `apply`, the log level `debug` with `run`. Twice: `trace`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Talk {
    /// The level of the log, `configured` if nothing else was asked for.
    #[must_use]
    pub fn level(self, configured: Level) -> Level {
        match self.verbose {
            0 => configured,
            1 => configured.max(Level::DEBUG),
            _ => Level::TRACE,
        }
    }

    /// A bar for so many pictures; hidden where nobody looks at it.
    pub fn bar(self, pictures: u64) -> anyhow::Result<ProgressBar> {
        if self.quiet || !io::stderr().is_terminal() {
            return Ok(ProgressBar::hidden());
        }
        let style =
            ProgressStyle::with_template("{bar:32} {pos}/{len} pictures, {per_sec}, {eta} left")?;
        Ok(ProgressBar::new(pictures).with_style(style))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_talk_never_means_less_of_a_log() {
        for (verbose, configured, wanted) in [
            (0, Level::WARN, Level::WARN),
            (1, Level::WARN, Level::DEBUG),
            (1, Level::TRACE, Level::TRACE),
            (2, Level::INFO, Level::TRACE),
        ] {
            let talk = Talk {
                quiet: false,
                verbose,
            };
            assert_eq!(talk.level(configured), wanted);
        }
    }
}
