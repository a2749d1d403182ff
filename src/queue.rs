//! The window on the folders: files that have settled go, a few at a time, into a bounded channel,
//! and are in flight until their outcome comes back.
//!
//! The `settle` thread runs this loop. It never waits on a full queue, because it waits on
//! everything at once; that is what keeps the ring settle → workers → publish → settle from
//! locking up.

mod quarantine;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Select, Sender};
use indicatif::ProgressBar;
use tracing::{debug, error, info, warn};

use self::quarantine::Quarantine;
use crate::{
    dispose,
    ledger::{Dues, Fate, Ledger, Standing},
    log::text,
    publish::{Outcome, output},
    pulse,
    report::Report,
    settle::{History, NextTry, Settle, Settled, Verdict, Waits},
    watch::{FileEvent, FileKey, FolderId, Hint, Root, Stamp},
    worker::Failure,
};

/// A file for a worker, with everything that it was queued with: a reload does not touch it.
#[derive(Debug)]
pub struct Job {
    pub file: FileKey,
    pub root: Arc<Root>,
    /// Length and mtime at the look that found it settled.
    pub stamp: Stamp,
    /// Whether the file is to leave its folder then.
    pub dues: Dues,
    pub history: History,
    /// What is there now is all that will come: a damaged picture is taken as it is.
    pub last_try: bool,
    /// What comes if it fails for what may pass.
    pub next_try: NextTry,
    /// For a suspect, which is taken while no other file is in hand: the configuration that its
    /// trial loads.
    pub trial: Option<Arc<Path>>,
    pub queued: Instant,
}

impl Job {
    /// The file's absolute path.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        self.root.folder.input.join(&self.file.path)
    }
}

/// What the `settle` thread works on; a reload replaces it whole.
#[derive(Debug, Clone)]
pub struct Plan {
    pub roots: Vec<Arc<Root>>,
    pub waits: Waits,
    /// The configuration file.
    pub config: Arc<Path>,
}

#[derive(Debug)]
pub enum Control {
    Adopt(Plan),
    /// Write the report now.
    Report,
    /// Somebody wants files to be tried again.
    Asked,
}

/// When the loop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When it is told to stop.
    Stopped,
    /// When every file that the scan found has its fate; what may pass is not waited for.
    AllDone,
}

/// The channels of the `settle` thread.
pub struct Ends {
    pub events: Receiver<FileEvent>,
    /// Its end is the order to stop.
    pub control: Receiver<Control>,
    pub jobs: Sender<Job>,
    pub outcomes: Receiver<Outcome>,
    /// Tells the scans that a folder has room for more files.
    pub room: Sender<()>,
}

/// A burst that does not end is reported in between.
const LONGEST_BURST: Duration = Duration::from_secs(600);
/// How long `run --once` waits for a file that does not stop changing.
const LONGEST_WRITE: Duration = Duration::from_secs(30);
/// Looks at due files in a row before events are attended to again.
const LOOKS: usize = 256;
/// Between two tries of an output that cannot be used, whatever the schedules of its pictures.
const TRY_OUTPUT: Duration = Duration::from_secs(10);

/// Runs the `settle` thread. Returns the report over everything.
pub fn run(plan: Plan, until: Until, ends: Ends, ledger: &Ledger, bar: &ProgressBar) -> Report {
    let Ends {
        events,
        control,
        jobs,
        outcomes,
        room,
    } = ends;
    let mut queue = Queue {
        settle: Settle::new(plan.waits),
        roots: plan.roots,
        config: plan.config,
        quarantine: Quarantine::default(),
        scanning: until == Until::AllDone,
        in_flight: HashMap::new(),
        away: BTreeMap::new(),
        full: Vec::new(),
        until,
        ledger,
        burst: Report::default(),
        total: Report::default(),
    };
    let mut next: Option<Job> = None;
    let mut events_open = true;
    loop {
        pulse::working();
        queue.try_outputs(Instant::now());
        if next.is_none() {
            next = queue.next_job();
        }
        if queue.make_room() {
            // If a word waits there already, it says the same.
            let (Ok(()) | Err(_)) = room.try_send(());
        }
        let waiting = queue.settle.len() + queue.quarantine.len() + queue.in_flight.len();
        pulse::waiting(waiting);
        if until == Until::AllDone {
            let done = queue.total.pictures + queue.total.failures;
            bar.set_length(done + waiting as u64);
            bar.set_position(done);
            if waiting == 0 && !events_open {
                break;
            }
        }
        if queue.in_flight.is_empty() && queue.settle.fresh() == 0 {
            queue.end_burst();
        }

        let mut select = Select::new();
        let outcome_ready = select.recv(&outcomes);
        let control_ready = select.recv(&control);
        // A single run leaves nothing out: its scan waits until there is room.
        let has_room = until == Until::Stopped || !queue.settle.is_full();
        let event_ready = (events_open && has_room).then(|| select.recv(&events));
        let job_ready = next.is_some().then(|| select.send(&jobs));
        let deadline = queue.next_deadline();
        pulse::idle();
        let ready = match deadline {
            Some(deadline) if next.is_none() => select.select_deadline(deadline),
            _ => Ok(select.select()),
        };
        let Ok(ready) = ready else { continue };
        let index = ready.index();
        if index == outcome_ready {
            match ready.recv(&outcomes) {
                Ok(outcome) => queue.conclude(outcome),
                // Publishing has ended before us: the process is going down.
                Err(_) => break,
            }
        } else if index == control_ready {
            match ready.recv(&control) {
                Ok(Control::Adopt(plan)) => queue.adopt(plan),
                Ok(Control::Report) => queue.report_now(),
                Ok(Control::Asked) => queue.settle.look_again(Instant::now()),
                Err(_) => break,
            }
        } else if Some(index) == event_ready {
            if let Ok(event) = ready.recv(&events) {
                queue.observe(event);
            } else {
                events_open = false;
                queue.scanning = false;
            }
        } else if Some(index) == job_ready
            && let Some(job) = next.take()
        {
            queue.burst.start(job.queued);
            queue.total.start(job.queued);
            if ready.send(&jobs, job).is_err() {
                break;
            }
        } else {
            // The loop must complete what it selected; there is nothing else to select.
            unreachable!("an operation that was not selected is ready");
        }
    }
    // Stopping runs down the channels: no more jobs, and what is in hand comes back.
    drop((jobs, next));
    for outcome in &outcomes {
        queue.conclude(outcome);
    }
    queue.end_burst();
    queue.total
}

/// A file that is next, queued or being worked on.
struct Flight {
    stamp: Stamp,
    /// A sign of life that came in meanwhile.
    hint: Option<Hint>,
}

struct Queue<'a> {
    settle: Settle,
    roots: Vec<Arc<Root>>,
    config: Arc<Path>,
    quarantine: Quarantine,
    /// More files are to come from the scan of a single run.
    scanning: bool,
    in_flight: HashMap<FileKey, Flight>,
    /// Folders whose pictures wait for their output, and when one of them is tried next.
    away: BTreeMap<FolderId, Instant>,
    /// Folders of which files were left out.
    full: Vec<Arc<Root>>,
    until: Until,
    ledger: &'a Ledger,
    /// Since the last report.
    burst: Report,
    total: Report,
}

impl Queue<'_> {
    fn observe(&mut self, event: FileEvent) {
        let FileEvent { file, hint } = event;
        if let Some(flight) = self.in_flight.get_mut(&file) {
            let news = match hint {
                Hint::Found { stamp, .. } => stamp != flight.stamp,
                Hint::Changed | Hint::Closed => true,
            };
            if news {
                flight.hint = Some(hint);
            }
            return;
        }
        if let (Some(known), Hint::Found { stamp, .. }) = (self.quarantine.history(&file), hint)
            && known.stamp == Some(stamp)
        {
            return;
        }
        if self.until == Until::Stopped && !self.settle.contains(&file) && self.leaves_out(&file) {
            return;
        }
        self.quarantine.take(&file);
        let path = self.path(&file);
        let endless = self.settle.observe(file, hint, Instant::now());
        tell_endless(&path, endless);
    }

    /// Whether there is no room for a file that is not known yet; then its folder is scanned later.
    fn leaves_out(&mut self, file: &FileKey) -> bool {
        if !self.settle.is_full_for(file.folder) {
            return false;
        }
        let root = self.roots.iter().find(|root| root.id == file.folder);
        if let Some(root) = root
            && root.backlog.leave_out()
        {
            self.full.push(Arc::clone(root));
            let waiting = self.settle.len_of(file.folder);
            info!(
                path = text(&root.folder.input),
                waiting, "more files than are kept in mind, the others are looked for later"
            );
        }
        true
    }

    /// Finds out whether a folder that was full has room again.
    fn make_room(&mut self) -> bool {
        let (settle, before) = (&self.settle, self.full.len());
        self.full.retain(|root| {
            let room = settle.has_much_room_for(root.id);
            if room {
                root.backlog.make_room();
            }
            !room
        });
        self.full.len() < before
    }

    /// Pictures of a folder wait for its output: now and then one of them is tried.
    fn wait_for_output(&mut self, folder: FolderId, now: Instant) {
        self.away.entry(folder).or_insert(now + TRY_OUTPUT);
    }

    /// Tries a picture of each folder whose output has been away for long enough since the last.
    fn try_outputs(&mut self, now: Instant) {
        let settle = &mut self.settle;
        self.away.retain(|&folder, next| {
            if *next <= now {
                settle.hasten_one(folder, now);
                *next = now + TRY_OUTPUT;
            }
            settle.len_of(folder) > 0
        });
    }

    /// A look at the file, or at its folder meanwhile, showed that it is being written to.
    fn still_written(&mut self, file: FileKey, history: History, stamp: Option<Stamp>) {
        let now = Instant::now();
        if self.until == Until::AllDone && now - history.first_seen >= LONGEST_WRITE {
            let cause = anyhow::anyhow!("it is still being written to");
            self.put_off(file, history, "read", &cause);
            return;
        }
        let path = self.path(&file);
        let endless = self.settle.changed(file, history, stamp, now);
        tell_endless(&path, endless);
    }

    /// The next file that has settled, is there, and has no fate yet.
    fn next_job(&mut self) -> Option<Job> {
        let alone = self.quarantine.alone();
        if alone.is_some_and(|file| !self.in_flight.contains_key(file)) {
            self.quarantine.end_solitude();
        }
        if self.holds_back() {
            return None;
        }
        let mut suspect = self.is_suspects_turn().then(|| self.quarantine.release());
        for _ in 0..LOOKS {
            let Settled {
                file,
                history,
                last_try,
            } = match suspect.take().flatten() {
                Some(suspect) => suspect,
                None => match self.settle.pop_due(Instant::now()) {
                    Some(settled) => settled,
                    None if self.is_suspects_turn() => self.quarantine.release()?,
                    None => return None,
                },
            };
            let root = self.roots.iter().find(|root| root.id == file.folder);
            let Some(root) = root.map(Arc::clone) else {
                continue;
            };
            let path = root.folder.input.join(&file.path);
            let Some(metadata) = self.look(&file, history, &path) else {
                continue;
            };
            let stamp = Stamp::of(&metadata);
            let history = History {
                stamp: Some(stamp),
                ..history
            };
            match self.ledger.standing(&file, stamp) {
                Ok(Standing::Decided | Standing::Owed) => {
                    debug!(path = text(&path), "dealt with before");
                }
                Ok(Standing::Open {
                    waiting: Some(next),
                    for_output,
                    ..
                }) if self.goes_on(history, next)
                    && !(for_output && output::looks_usable(&root)) =>
                {
                    let now = Instant::now();
                    if for_output {
                        self.wait_for_output(file.folder, now);
                    }
                    self.settle.resume(file, history, next, now);
                }
                Ok(Standing::Open {
                    waiting, suspicion, ..
                }) => {
                    let history = match waiting {
                        Some(next) if history.retries == 0 => {
                            history.scheduled(next, Instant::now())
                        }
                        _ => history,
                    };
                    let alone = self.quarantine.alone() == Some(&file);
                    if suspicion > 0 && !alone {
                        let suspect = Settled {
                            file,
                            history,
                            last_try,
                        };
                        self.quarantine.put(suspect, suspicion, Instant::now());
                        continue;
                    }
                    let dues = dispose::dues(&root.folder, &metadata);
                    self.in_flight
                        .insert(file.clone(), Flight { stamp, hint: None });
                    let queued = Instant::now();
                    let next_try = self.settle.next_try(history, queued);
                    return Some(Job {
                        next_try,
                        trial: alone.then(|| Arc::clone(&self.config)),
                        file,
                        root,
                        stamp,
                        dues,
                        history,
                        last_try,
                        queued,
                    });
                }
                Err(cause) => self.put_off(file, history, "ledger", &cause),
            }
        }
        None
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
                self.put_off(file.clone(), history, "look", &anyhow::Error::new(cause));
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

    /// Nothing goes into the queue: a suspect is in hand, or the others are waited for so that one
    /// can be.
    fn holds_back(&self) -> bool {
        !self.in_flight.is_empty()
            && (self.quarantine.alone().is_some() || self.quarantine.is_overdue(Instant::now()))
    }

    /// Everything else has been dealt with, or suspects have waited for long enough.
    fn is_suspects_turn(&mut self) -> bool {
        if self.quarantine.len() == 0 || !self.in_flight.is_empty() {
            return false;
        }
        let now = Instant::now();
        let due = self.settle.next_deadline().is_some_and(|at| at <= now);
        let quiet = !self.scanning && !due && self.settle.fresh() == 0;
        quiet || self.quarantine.is_overdue(now)
    }

    /// When there is something to do without anything having happened.
    fn next_deadline(&mut self) -> Option<Instant> {
        if self.holds_back() {
            return None;
        }
        let settle = self.settle.next_deadline();
        let away = self.away.values().min().copied();
        let deadlines = [settle, self.quarantine.deadline(), away];
        deadlines.into_iter().flatten().min()
    }

    /// Whether a file stays on the schedule that the ledger knows of. Its own tries are up to
    /// `settle` alone, whose clock nobody sets; and who starts a single run wants everything tried.
    fn goes_on(&self, history: History, next: NextTry) -> bool {
        self.until == Until::Stopped && history.retries == 0 && !next.wait.is_zero()
    }

    fn conclude(&mut self, outcome: Outcome) {
        let now = Instant::now();
        self.burst.count(&outcome, now);
        self.total.count(&outcome, now);
        let Outcome {
            file,
            history,
            stamp,
            result,
            ..
        } = outcome;
        if result.is_ok() && self.away.remove(&file.folder).is_some() {
            // What waited for the output need not wait any longer.
            self.settle.hasten_all(file.folder, now);
        }
        let hint = self.in_flight.remove(&file).and_then(|flight| flight.hint);
        if let (Some(hint), Ok(_) | Err(Failure::Permanent { .. } | Failure::Gone)) =
            (hint, &result)
        {
            self.observe(FileEvent { file, hint });
            return;
        }
        match result {
            Ok(_) | Err(Failure::Permanent { .. } | Failure::Gone) => {}
            Err(Failure::Changed) => self.still_written(file, history, None),
            Err(Failure::Incomplete { step, cause }) => {
                if hint.is_some() {
                    self.still_written(file, history, None);
                } else if self.settle.incomplete(file.clone(), history, stamp, now)
                    == Verdict::GiveUp
                {
                    self.give_up(file, history, step, &cause);
                }
            }
            Err(Failure::Transient { .. }) if hint.is_some() => {
                self.still_written(file, history, None);
            }
            Err(Failure::Transient { step, cause }) => self.put_off(file, history, step, &cause),
        }
        if self.burst.wall() >= LONGEST_BURST {
            self.end_burst();
        }
    }

    /// A file that stayed incomplete has failed, until it changes.
    fn give_up(&mut self, file: FileKey, history: History, step: &'static str, cause: &str) {
        let reason = format!("{cause}; the file has not changed since");
        let fate = Fate::GivenUp {
            step,
            reason: &reason,
        };
        if let Err(cause) = self.ledger.finish([(&file, fate)]) {
            self.put_off(file, history, "ledger", &cause);
            return;
        }
        error!(
            path = text(&self.path(&file)),
            step,
            cause = reason,
            "failed"
        );
        self.count_failure();
    }

    /// Something failed that may pass.
    fn put_off(&mut self, file: FileKey, history: History, step: &str, cause: &anyhow::Error) {
        let path = self.path(&file);
        let path = text(&path);
        // The log has been told, once for all.
        let told = output::is_unusable(cause);
        if told {
            self.wait_for_output(file.folder, Instant::now());
        }
        let cause = format!("{cause:#}");
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

    fn adopt(&mut self, plan: Plan) {
        self.settle.set_waits(plan.waits);
        self.roots = plan.roots;
        self.config = plan.config;
        let roots = &self.roots;
        let stays = |id| roots.iter().any(|root| root.id == id);
        self.settle.retain_folders(stays);
        self.quarantine.retain_folders(stays);
    }

    fn end_burst(&mut self) {
        if !self.burst.is_empty() {
            self.burst.log("batch");
        }
        self.burst = Report::default();
    }

    fn report_now(&self) {
        let (waiting, in_flight) = (self.settle.len(), self.in_flight.len());
        let suspects = self.quarantine.len();
        info!(waiting, in_flight, suspects, "now");
        self.total.log("since start");
    }

    fn path(&self, file: &FileKey) -> PathBuf {
        let root = self.roots.iter().find(|root| root.id == file.folder);
        root.map_or_else(
            || file.path.to_path_buf(),
            |root| root.folder.input.join(&file.path),
        )
    }
}

fn tell_endless(path: &Path, endless: Option<Duration>) {
    if let Some(age) = endless {
        let minutes = age.as_secs() / 60;
        warn!(
            path = text(path),
            minutes, "file has been changing for long, still waiting"
        );
    }
}
