//! Which file goes to the workers next: the one that has been quiet for longest, is still there
//! unchanged, and has no fate yet.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tracing::debug;

use super::{
    Flight, Queue,
    decide::{self, Next},
    job::Job,
};
use crate::{
    arrival::{FileKey, History, Stamp},
    completeness::waits_for_its_writer,
    ledger::Dues,
    log::text,
    outcome::Step,
    settle::Settled,
};

/// Looks at due files in a row before events are attended to again.
const LOOKS: usize = 256;

impl Queue<'_> {
    /// The next file that has settled, is there, and has no fate yet.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        for _ in 0..LOOKS {
            let settled = self.settle.pop_due(Instant::now())?;
            let job = self.job_of(settled);
            if job.is_some() {
                return job;
            }
        }
        None
    }

    /// None if the file is not to be processed now.
    fn job_of(&mut self, settled: Settled) -> Option<Job> {
        let Settled {
            file,
            history,
            last_try,
        } = settled;
        let root = self.roots.iter().find(|root| root.id == file.folder);
        let root = root.map(Arc::clone)?;
        let path = root.folder.input.join(&file.path);
        let (metadata, history) = self.still(&file, history, &path)?;
        let stamp = Stamp::of(&metadata);
        let dues = Dues::of(&root.folder, &metadata);
        let leaves = dues.once_done || dues.once_failed;
        if waits_for_its_writer(history.open, last_try, leaves) {
            self.settle.wait_for_close(file, history);
            return None;
        }
        let standing = match self.ledger.standing(&file, stamp) {
            Ok(standing) => standing,
            Err(cause) => {
                self.put_off(file, history, Step::Ledger, &cause);
                return None;
            }
        };
        let now = Instant::now();
        let usable = || root.output.looks_usable();
        let (suspect, schedule) = match decide::next(standing, &history, self.until, usable) {
            Next::Skip => {
                debug!(path = text(&path), "has its fate");
                return None;
            }
            Next::Resume { next, for_output } => {
                if for_output {
                    self.wait_for_output(file.folder, now);
                }
                self.settle.resume(file, history, next, now);
                return None;
            }
            Next::Queue { suspect, schedule } => (suspect, schedule),
        };
        let history = schedule.map_or(history, |next| history.scheduled(next, now));
        self.in_flight
            .insert(file.clone(), Flight { stamp, hint: None });
        Some(Job {
            next_try: self.settle.next_try(history, now),
            trial: suspect.then(|| Arc::clone(&self.config)),
            file,
            root,
            stamp,
            dues,
            history,
            last_try,
            queued: now,
        })
    }

    /// What lies there, if it has rested for long enough for its stamp to tell.
    fn still(
        &mut self,
        file: &FileKey,
        history: History,
        path: &Path,
    ) -> Option<(fs::Metadata, History)> {
        let metadata = self.look(file, history, path)?;
        let stamp = Stamp::of(&metadata);
        let history = History {
            stamp: Some(stamp),
            ..history
        };
        let quiet = stamp.tells_after(SystemTime::now());
        if history.last_change + quiet > Instant::now() {
            self.settle.wait_for_quiet(file.clone(), history, quiet);
            return None;
        }
        Some((metadata, history))
    }

    /// What lies there, if it is a file and has not changed since the look before.
    fn look(&mut self, file: &FileKey, history: History, path: &Path) -> Option<fs::Metadata> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return None,
            Err(gone)
                if matches!(
                    gone.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return None;
            }
            Err(cause) => {
                self.put_off(
                    file.clone(),
                    history,
                    Step::Look,
                    &anyhow::Error::new(cause),
                );
                return None;
            }
        };
        let stamp = Stamp::of(&metadata);
        if history.stamp.is_some_and(|before| before != stamp) {
            self.still_written(file.clone(), history, Some(stamp));
            return None;
        }
        Some(metadata)
    }
}
