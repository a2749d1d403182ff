//! The window on the folders: files that have settled go, a few at a time, into a bounded channel,
//! and are in flight until their outcome comes back.
//!
//! The `settle` thread runs this loop. It never waits on a full queue, because it waits on
//! everything at once; that is what keeps the ring settle → workers → publish → settle from
//! locking up.

mod decide;
mod job;
mod next;
mod outcome;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Select, Sender};
use indicatif::ProgressBar;
use tracing::{info, warn};

pub use self::job::{Job, Until};
use crate::{
    arrival::{FileEvent, FileKey, FolderId, Hint, Stamp},
    ledger::Ledger,
    log::text,
    outcome::Outcome,
    report::Report,
    root::Root,
    settle::{Settle, Waits},
    stop::wake,
    watchdog,
};

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

/// The channels of the `settle` thread.
pub struct Ends {
    pub events: Receiver<FileEvent>,
    /// Its end is the order to stop.
    pub control: Receiver<Control>,
    pub jobs: Sender<Job>,
    pub outcomes: Receiver<Outcome>,
    /// Tells the scans that a folder has room for more files.
    pub room: Sender<()>,
    /// Tells who clears away that a source is to leave later.
    pub owed: Sender<()>,
}

/// Between two tries of an output that cannot be used, whatever the schedules of its pictures.
const TRY_OUTPUT: Duration = Duration::from_secs(10);

/// Runs the `settle` thread. Returns the report over everything.
pub fn run(plan: Plan, until: Until, ends: Ends, ledger: &Ledger, bar: &ProgressBar) -> Report {
    let mut queue = Queue {
        settle: Settle::new(plan.waits),
        roots: plan.roots,
        config: plan.config,
        in_flight: HashMap::new(),
        away: BTreeMap::new(),
        full: Vec::new(),
        until,
        owed: ends.owed.clone(),
        ledger,
        burst: Report::default(),
        total: Report::default(),
    };
    let mut next: Option<Job> = None;
    let mut events_open = true;
    loop {
        watchdog::busy();
        queue.try_outputs(Instant::now());
        if next.is_none() {
            next = queue.next_job();
        }
        if queue.make_room() {
            wake(&ends.room);
        }
        let waiting = queue.settle.len() + queue.in_flight.len();
        watchdog::waiting(waiting);
        if until == Until::AllDone {
            queue.show_progress(bar, waiting);
            if waiting == 0 && !events_open {
                break;
            }
        }
        if queue.in_flight.is_empty() && queue.settle.fresh() == 0 {
            queue.end_burst();
        }
        // A single run leaves nothing out: its scan waits until there is room.
        let has_room = until == Until::Stopped || !queue.settle.is_full();
        let deadline = queue.next_deadline();
        watchdog::idle();
        match ends.wait(&mut next, events_open && has_room, deadline) {
            Woken::Deadline => {}
            Woken::Outcome(outcome) => queue.conclude(outcome),
            Woken::Control(Control::Adopt(plan)) => queue.adopt(plan),
            Woken::Control(Control::Report) => queue.report_now(),
            Woken::Control(Control::Asked) => queue.settle.look_again(Instant::now()),
            Woken::Event(event) => queue.observe(event),
            Woken::EventsOver => events_open = false,
            Woken::Sent(queued) => {
                queue.burst.start(queued);
                queue.total.start(queued);
            }
            Woken::Over => break,
        }
    }
    drop(next);
    queue.run_down(ends)
}

/// What the loop woke up for.
enum Woken {
    Outcome(Outcome),
    Control(Control),
    Event(FileEvent),
    /// The scan of a single run has ended.
    EventsOver,
    /// The next job, queued at this instant, is in the channel.
    Sent(Instant),
    Deadline,
    /// The order to stop; or a neighbour has ended before us, and the process is going down.
    Over,
}

impl Ends {
    /// Waits on everything at once: so a full queue holds up nothing. A job that waits to be sent is
    /// not held back by a deadline, which is only about what could be sent instead.
    fn wait(&self, next: &mut Option<Job>, wants_events: bool, deadline: Option<Instant>) -> Woken {
        let mut select = Select::new();
        let outcome_ready = select.recv(&self.outcomes);
        let control_ready = select.recv(&self.control);
        let event_ready = wants_events.then(|| select.recv(&self.events));
        let job_ready = next.is_some().then(|| select.send(&self.jobs));
        let ready = match deadline {
            Some(deadline) if next.is_none() => select.select_deadline(deadline),
            _ => Ok(select.select()),
        };
        let Ok(ready) = ready else {
            return Woken::Deadline;
        };
        let index = ready.index();
        if index == outcome_ready {
            ready
                .recv(&self.outcomes)
                .map_or(Woken::Over, Woken::Outcome)
        } else if index == control_ready {
            ready
                .recv(&self.control)
                .map_or(Woken::Over, Woken::Control)
        } else if Some(index) == event_ready {
            ready
                .recv(&self.events)
                .map_or(Woken::EventsOver, Woken::Event)
        } else if Some(index) == job_ready
            && let Some(job) = next.take()
        {
            let queued = job.queued;
            ready
                .send(&self.jobs, job)
                .map_or(Woken::Over, |()| Woken::Sent(queued))
        } else {
            // The loop must complete what it selected; there is nothing else to select.
            unreachable!("an operation that was not selected is ready");
        }
    }
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
    in_flight: HashMap<FileKey, Flight>,
    /// Folders whose pictures wait for their output, and when one of them is tried next.
    away: BTreeMap<FolderId, Instant>,
    /// Folders of which files were left out.
    full: Vec<Arc<Root>>,
    until: Until,
    owed: Sender<()>,
    ledger: &'a Ledger,
    /// Since the last report.
    burst: Report,
    total: Report,
}

impl Queue<'_> {
    /// Stopping runs down the channels: no more jobs, and what is in progress comes back.
    fn run_down(mut self, ends: Ends) -> Report {
        let Ends {
            jobs,
            outcomes,
            events,
            ..
        } = ends;
        drop(jobs);
        for outcome in &outcomes {
            self.conclude(outcome);
        }
        self.end_burst();
        let left = self.settle.len() + self.in_flight.len() + events.len();
        self.total.left = u64::try_from(left).unwrap_or(u64::MAX);
        self.total
    }

    fn observe(&mut self, event: FileEvent) {
        let FileEvent { file, hint } = event;
        if let Some(flight) = self.in_flight.get_mut(&file) {
            let news = match hint {
                Hint::Found { stamp, .. } => stamp != flight.stamp,
                Hint::Changed | Hint::Written | Hint::Closed => true,
            };
            // What a scan finds does not tell whether its writer has closed it.
            let told = flight.hint.is_some() && matches!(hint, Hint::Found { .. });
            if news && !told {
                flight.hint = Some(hint);
            }
            return;
        }
        if self.until == Until::Stopped && !self.settle.contains(&file) && self.leaves_out(&file) {
            return;
        }
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

    /// When there is something to do without anything having happened.
    fn next_deadline(&self) -> Option<Instant> {
        let settle = self.settle.next_deadline();
        let away = self.away.values().min().copied();
        settle.into_iter().chain(away).min()
    }

    fn adopt(&mut self, plan: Plan) {
        self.settle.set_waits(plan.waits);
        self.roots = plan.roots;
        self.config = plan.config;
        let roots = &self.roots;
        let stays = |id| roots.iter().any(|root| root.id == id);
        self.settle.retain_folders(stays);
    }

    fn show_progress(&self, bar: &ProgressBar, waiting: usize) {
        let done = self.total.pictures + self.total.failures;
        bar.set_length(done + waiting as u64);
        bar.set_position(done);
    }

    fn end_burst(&mut self) {
        if !self.burst.is_empty() {
            self.burst.log("batch");
        }
        self.burst = Report::default();
    }

    fn report_now(&self) {
        let (waiting, in_flight) = (self.settle.len(), self.in_flight.len());
        info!(waiting, in_flight, "now");
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
