//! The machine: every channel and thread, and how they stop.
//!
//! Stopping is disconnection running down the channels: `watch` loses its plans, `settle` its
//! control and lets go of the queue, the workers see the end of the queue, `publish` the end of the
//! workers, `settle` the end of the outcomes.

use std::{
    any::Any, collections::BTreeSet, convert::Infallible, path::PathBuf, sync::Arc,
    thread::JoinHandle, time::Instant,
};

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use indicatif::ProgressBar;
use tracing::{info, warn};

use super::{plans, pool::Pool, thread::spawn};
use crate::{
    config::Config,
    dispose,
    ledger::Ledger,
    log,
    memory::Budget,
    publish,
    report::Report,
    root::Root,
    scheduler::{self, Control, Ends, Until},
    service,
    signal::{STOP_AT_MOST, Signal},
    staging,
    stop::{Quit, wake},
    watch::{self, Scanned},
    watchdog,
};

/// Jobs that wait in the channel, for each worker.
const QUEUED_PER_WORKER: usize = 2;
/// File events between `watch` and `settle`, outcomes between `publish` and `settle`.
const EVENTS: usize = 1024;
const OUTCOMES: usize = 128;
/// Reloads that may wait for a busy thread.
const RELOADS: usize = 16;

/// How the wait for the threads ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    All,
    TimeIsUp,
    /// By a second order to stop.
    AtOnce,
}

/// The running threads and what the main thread holds of the channels.
pub(super) struct Machine {
    /// Dropped to stop.
    pub(super) inputs: Option<Inputs>,
    /// Names of threads that panicked; disconnected when all have ended.
    pub(super) deaths: Receiver<String>,
    settle: JoinHandle<Option<Report>>,
    watch: JoinHandle<Option<Scanned>>,
    pub(super) roots: Vec<Arc<Root>>,
}

pub(super) struct Inputs {
    pub(super) plans: Sender<watch::Plan>,
    /// The other end of `plans`: a plan that waits there is out of date when a new one comes.
    pub(super) waiting_plans: Receiver<watch::Plan>,
    pub(super) disposals: Sender<dispose::Plan>,
    pub(super) waiting_disposals: Receiver<dispose::Plan>,
    pub(super) asked: Sender<()>,
    /// Its end tells threads that are busy for long to stop.
    pub(super) _quit: Sender<Infallible>,
    pub(super) control: Sender<Control>,
    /// None where nobody adds workers later: then the end of the queue is the end of all.
    pub(super) pool: Option<Pool>,
}

impl Machine {
    /// Makes all channels and threads.
    #[expect(
        clippy::too_many_lines,
        reason = "all channels and threads on one screen"
    )]
    pub(super) fn build(
        config: &Config,
        roots: Vec<Arc<Root>>,
        until: Until,
        ledger: &Arc<Ledger>,
        bar: &ProgressBar,
    ) -> anyhow::Result<Machine> {
        let workers = config.workers.get();
        let (event_sender, events) = bounded(EVENTS);
        let (job_sender, jobs) = bounded(workers.saturating_mul(QUEUED_PER_WORKER));
        let (finished_sender, finished) = bounded(publish::GROUP);
        let (outcome_sender, outcomes) = bounded(OUTCOMES);
        let (control_sender, control) = bounded(RELOADS);
        let (plan_sender, plans) = bounded(1);
        let (quit_sender, quit) = bounded(0);
        let (room_sender, room) = bounded(1);
        let (asked_sender, asked) = bounded(1);
        let (owed_sender, owed) = bounded(1);
        let (dispose_sender, dispose_plans) = bounded(1);
        let (death_sender, deaths) = bounded(64);

        let started = Instant::now();
        let mut pool = Pool {
            jobs,
            finished: finished_sender,
            ledger: Arc::clone(ledger),
            budget: Budget::new(plans::memory_of_pictures(config)),
            deaths: death_sender.clone(),
            retire: Vec::new(),
        };
        pool.grow(config.workers)?;
        info!(
            workers,
            took_ms = log::millis(started.elapsed()),
            "pool started"
        );

        let (shared, wake) = (Arc::clone(ledger), owed_sender.clone());
        spawn("publish", &death_sender, move || {
            publish::run(&finished, &outcome_sender, &wake, &shared);
        })?;

        let plan = plans::dispose(config, &roots);
        let (shared, own_quit) = (Arc::clone(ledger), quit.clone());
        let replaced = asked_sender.clone();
        let waiting_disposals = dispose_plans.clone();
        spawn("dispose", &death_sender, move || {
            let single = until == Until::AllDone;
            dispose::run(
                plan,
                &dispose_plans,
                &owed,
                &replaced,
                &own_quit,
                single,
                &shared,
            );
        })?;

        let plan = plans::scheduler(config, &roots);
        let ends = Ends {
            events,
            control,
            jobs: job_sender,
            outcomes,
            room: room_sender,
            owed: owed_sender,
        };
        let (shared, bar) = (Arc::clone(ledger), bar.clone());
        let settle = spawn("settle", &death_sender, move || {
            scheduler::run(plan, until, ends, &shared, &bar)
        })?;

        sweep(&roots, &[], &quit, &death_sender)?;
        let plan = plans::watch(config, &roots);
        let shared = Arc::clone(ledger);
        let waiting_plans = plans.clone();
        let ends = watch::Ends {
            plans,
            room,
            asked,
            events: event_sender,
            quit,
        };
        let watch = spawn("watch", &death_sender, move || match until {
            Until::AllDone => watch::scan_once(&plan, &ends.events, &ends.quit, &shared),
            Until::Stopped => {
                watch::run(plan, ends, &shared, || {
                    watchdog::ready();
                    service::ready();
                });
                Scanned::default()
            }
        })?;

        let inputs = Inputs {
            plans: plan_sender,
            waiting_plans,
            disposals: dispose_sender,
            waiting_disposals,
            asked: asked_sender,
            _quit: quit_sender,
            control: control_sender,
            pool: (until == Until::Stopped).then_some(pool),
        };
        Ok(Machine {
            inputs: Some(inputs),
            deaths,
            settle,
            watch,
            roots,
        })
    }

    /// Has the report written to the log.
    pub(super) fn report(&self) {
        if let Some(inputs) = &self.inputs
            && inputs.control.try_send(Control::Report).is_err()
        {
            warn!("no report: the last orders are still waiting for a folder");
        }
    }

    /// Has files taken up that somebody wants to be tried again.
    pub(super) fn ask_again(&self) {
        let Some(inputs) = &self.inputs else { return };
        info!("told that files are to be tried again");
        wake(&inputs.asked);
        if inputs.control.try_send(Control::Asked).is_err() {
            warn!(
                "waiting files keep their schedule: the last orders are still waiting for a folder"
            );
        }
    }

    /// Gives the order to stop.
    pub(super) fn let_go(&mut self) {
        self.inputs = None;
    }

    /// Waits for the threads to end: not too long, and not after a second order to stop.
    pub(super) fn ended(&self, signals: &Receiver<Signal>) -> anyhow::Result<Ended> {
        let deadline = crossbeam_channel::after(STOP_AT_MOST);
        loop {
            select! {
                recv(self.deaths) -> death => match death {
                    Ok(thread) => bail!("thread {thread} panicked"),
                    Err(_) => return Ok(Ended::All),
                },
                recv(signals) -> signal => if signal == Ok(Signal::Stop) {
                    return Ok(Ended::AtOnce);
                },
                recv(deadline) -> _ => return Ok(Ended::TimeIsUp),
            }
        }
    }

    /// Takes the results of threads that have ended: the report, and what the scan of a single run
    /// found.
    pub(super) fn join(self) -> anyhow::Result<(Report, Scanned)> {
        let panicked = |_: Box<dyn Any + Send>| anyhow!("a thread panicked");
        let scanned = self.watch.join().map_err(panicked)?;
        let report = self.settle.join().map_err(panicked)?;
        let scanned = scanned.context("thread watch panicked")?;
        Ok((report.context("thread settle panicked")?, scanned))
    }
}

/// Sweeps the outputs in a thread of its own: a large tree must not hold up the start.
fn sweep(
    roots: &[Arc<Root>],
    swept: &[Arc<Root>],
    quit: &Quit,
    deaths: &Sender<String>,
) -> anyhow::Result<()> {
    let outputs: BTreeSet<(PathBuf, bool)> = roots
        .iter()
        .filter(|root| {
            !swept
                .iter()
                .any(|old| old.folder.output == root.folder.output)
        })
        .flat_map(|root| {
            let recursive = root.folder.fills_subfolders();
            let written_to = root.folder.moved_to().chain([root.folder.output.as_path()]);
            written_to.map(move |path| (path.to_owned(), recursive))
        })
        .filter(|(path, _)| path.is_dir())
        .collect();
    let quit = quit.clone();
    spawn("sweep", deaths, move || {
        for (output, recursive) in outputs {
            staging::sweep(&output, recursive, &quit);
        }
    })?;
    Ok(())
}
