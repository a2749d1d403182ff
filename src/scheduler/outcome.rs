//! What becomes of a file after a try: it has its fate, or waits for what it lacks.

use std::time::{Duration, Instant};

use tracing::{debug, error, warn};

use super::{
    Queue,
    decide::{self, After},
    job::Until,
    tell_endless,
};
use crate::{
    arrival::{FileEvent, FileKey, FolderId, Hint, History, Stamp},
    ledger::Fate,
    log::{self, text},
    outcome::{Outcome, Step},
    output,
    settle::Verdict,
    stop::wake,
};

/// A burst that does not end is reported in between.
const LONGEST_BURST: Duration = Duration::from_secs(600);
/// How long `run --once` waits for a file that does not stop changing.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

impl Queue<'_> {
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        let now = Instant::now();
        self.burst.count(&outcome, now);
        self.total.count(&outcome, now);
        let Outcome {
            file,
            history,
            stamp,
            last_try,
            result,
            ..
        } = outcome;
        if result.is_ok() && self.away.remove(&file.folder).is_some() {
            // What waited for the output need not wait any longer.
            self.settle.hasten_all(file.folder, now);
        }
        let hint = self.in_flight.remove(&file).and_then(|flight| flight.hint);
        let is_old = self.settle.is_last_try(history, now);
        let open = match hint {
            Some(Hint::Written) => true,
            Some(Hint::Closed) => false,
            _ => history.open,
        };
        let history = History { open, ..history };
        match decide::after(result, hint, self.until, is_old) {
            After::Nothing => {}
            After::Observe(hint) => self.observe(FileEvent { file, hint }),
            After::StillWritten => self.still_written(file, history, None),
            After::BackOff { step, cause } => self.put_off(file, history, step, &cause),
            After::Incomplete { step, cause } => {
                let verdict = self
                    .settle
                    .incomplete(file.clone(), history, stamp, last_try, now);
                if verdict == Verdict::GiveUp {
                    self.give_up(file, history, step, &cause);
                }
            }
        }
        if self.burst.wall() >= LONGEST_BURST {
            self.end_burst();
        }
    }

    /// A look at the file, or at its folder meanwhile, showed that it is being written to.
    pub(super) fn still_written(&mut self, file: FileKey, history: History, stamp: Option<Stamp>) {
        let now = Instant::now();
        if self.until == Until::AllDone && now - history.first_seen >= LONGEST_WRITE {
            let cause = anyhow::anyhow!("it is still being written to");
            self.put_off(file, history, Step::Read, &cause);
            return;
        }
        let path = self.path(&file);
        let endless = self.settle.changed(file, history, stamp, now);
        tell_endless(&path, endless);
    }

    /// A file that stayed incomplete has failed, until it changes.
    fn give_up(&mut self, file: FileKey, history: History, step: Step, cause: &str) {
        let reason = format!("{cause}; the file has not changed since");
        let fate = Fate::Failed {
            step,
            reason: &reason,
            leaves_after: Some(self.give_up_of(file.folder)),
        };
        if let Err(cause) = self.ledger.finish([(&file, fate)]) {
            self.put_off(file, history, Step::Ledger, &cause);
            return;
        }
        error!(
            target: log::PICTURE,
            path = text(&self.path(&file)),
            step = step.name(),
            cause = reason,
            "failed"
        );
        self.count_failure();
        wake(&self.owed);
    }

    fn give_up_of(&self, folder: FolderId) -> Duration {
        let root = self.roots.iter().find(|root| root.id == folder);
        root.map_or(Duration::MAX, |root| root.folder.give_up)
    }

    /// Something failed that may pass.
    pub(super) fn put_off(
        &mut self,
        file: FileKey,
        history: History,
        step: Step,
        cause: &anyhow::Error,
    ) {
        let path = self.path(&file);
        let path = text(&path);
        // The log has been told, once for all.
        let told = output::is_unusable(cause);
        if told {
            self.wait_for_output(file.folder, Instant::now());
        }
        let (step, cause) = (step.name(), format!("{cause:#}"));
        if self.until == Until::AllDone {
            let message = "failed for now, the next run tries again";
            if told {
                debug!(path, step, cause, "{message}");
            } else {
                error!(path, step, cause, "{message}");
            }
            self.count_failure();
            return;
        }
        let (wait, tell) = self.settle.retry(file, history, Instant::now());
        let next_try_s = wait.as_secs_f64();
        if tell && !told {
            warn!(
                path,
                step, cause, next_try_s, "failed for now, trying again until it works"
            );
        } else {
            debug!(path, step, cause, next_try_s, "failed again");
        }
    }

    fn count_failure(&mut self) {
        let now = Instant::now();
        self.burst.count_given_up(now);
        self.total.count_given_up(now);
    }
}
