//! The machine: builds every channel and thread, reloads, and stops in order.
//!
//! Stopping is disconnection running down the channels: `watch` loses its plans, `settle` its
//! control and lets go of the queue, the workers see the end of the queue, `publish` the end of the
//! workers, `settle` the end of the outcomes.

mod plans;
mod pool;
mod roots;
mod thread;

use std::{
    any::Any,
    collections::BTreeSet,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Instant,
};

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use indicatif::ProgressBar;
use tracing::{error, info, warn};

use self::{pool::Pool, roots::prepare, thread::spawn};
use crate::{
    config::{self, Config},
    dispose,
    ledger::{self, Ledger},
    log::Log,
    memory::Budget,
    os, publish,
    report::Report,
    root::Root,
    scheduler::{self, Control, Ends, Until},
    service::{self, Notice},
    signal::{STOP_AT_MOST, Signal},
    staging,
    stop::{Quit, replace, wake},
    watch, watchdog,
};

/// Jobs that wait in the channel, for each worker.
const QUEUED_PER_WORKER: usize = 2;
/// File events between `watch` and `settle`, outcomes between `publish` and `settle`.
const EVENTS: usize = 1024;
const OUTCOMES: usize = 128;
/// Reloads that may wait for a busy thread.
const RELOADS: usize = 16;

/// How a run ended.
pub struct Ending {
    pub report: Report,
    /// Nothing was broken off.
    pub complete: bool,
}

/// Runs until it is told to stop, or with [`Until::AllDone`] until the folders are dealt with.
pub fn run(
    config: Config,
    until: Until,
    signals: &Receiver<Signal>,
    log: &Log,
    bar: &ProgressBar,
) -> anyhow::Result<Ending> {
    os::give_back_what_is_freed();
    let ledger = Arc::new(Ledger::open(&config.ledger)?);
    let ending = run_with(config, until, signals, log, bar, &ledger);
    // What is still being done ends with the process, and that must not be long now.
    log.flush();
    note(ledger.leave());
    ending
}

fn run_with(
    config: Config,
    until: Until,
    signals: &Receiver<Signal>,
    log: &Log,
    bar: &ProgressBar,
    ledger: &Arc<Ledger>,
) -> anyhow::Result<Ending> {
    let service = service::open(config.folders.len());
    let recovered = ledger
        .recover()
        .with_context(|| format!("ledger {}", config.ledger.display()))?;
    recovered.tell();
    let roots = prepare(&config, ledger, &[])?;
    let mut machine = Machine::build(&config, roots, until, ledger, bar)?;
    // Bound, for as long as it is to be heard.
    let (_listener, notices) = match until {
        Until::Stopped => listen(&config.ledger),
        Until::AllDone => (None, never()),
    };
    let mut config = config;
    let mut stopped = false;
    loop {
        select! {
            recv(signals) -> signal => match signal.context("the signal thread has ended")? {
                Signal::Reload => {
                    log.reopen();
                    service.notify(Notice::Reloading);
                    match machine.reload(&config, ledger, log) {
                        Ok(new) => {
                            config = new;
                            let folders = config.folders.len();
                            service.notify(Notice::Reloaded { folders });
                        }
                        Err(cause) => {
                            let problems = format!("{cause:#}");
                            for line in problems.lines() {
                                error!(cause = line, "reload rejected, the running configuration stays");
                            }
                            let first = problems.lines().next().unwrap_or_default();
                            service.notify(Notice::Rejected(first.to_owned()));
                        }
                    }
                }
                Signal::Report => machine.report(),
                Signal::Stop => {
                    info!("stopping: finishing what is in progress");
                    // From here on no end of the process speaks against a picture.
                    note(ledger.stopping());
                    stopped = true;
                    break;
                }
            },
            recv(notices) -> _ => machine.ask_again(),
            recv(machine.deaths) -> death => match death {
                Ok(thread) => bail!("thread {thread} panicked"),
                // All threads have ended: everything is done.
                Err(_) => break,
            },
        }
    }
    service.notify(Notice::Stopping);
    machine.let_go();
    match machine.ended(signals)? {
        Ended::All => {}
        too_early => {
            warn!(
                "ended before everything in progress was finished, the next start takes it up again"
            );
            let complete = too_early == Ended::TimeIsUp;
            return Ok(Ending {
                report: Report::default(),
                complete,
            });
        }
    }
    let (report, scanned) = machine.join()?;
    note(ledger.ended());
    if let Err(cause) = &scanned {
        error!(cause = format!("{cause:#}"), "the scan was not complete");
    }
    info!(
        pictures = report.pictures,
        failures = report.failures,
        "ended"
    );
    let broken_off = stopped && until == Until::AllDone;
    Ok(Ending {
        report,
        complete: scanned.is_ok() && !broken_off,
    })
}

/// Listens to commands that change the ledger.
fn listen(ledger: &Path) -> (Option<ledger::Listener>, Receiver<()>) {
    let (sender, notices) = bounded(1);
    match ledger::listen(ledger, sender) {
        Ok(listener) => (Some(listener), notices),
        Err(cause) => {
            let cause = format!("{cause:#}");
            warn!(cause, "commands are not noticed before the next scan");
            (None, never())
        }
    }
}

/// A note on how the process ends that cannot be written costs a few trials at the next start.
fn note(written: anyhow::Result<()>) {
    if let Err(cause) = written {
        warn!(
            cause = format!("{cause:#}"),
            "the ledger does not learn of this end"
        );
    }
}

/// How the wait for the threads ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    All,
    TimeIsUp,
    /// By a second order to stop.
    AtOnce,
}

/// The running threads and what the main thread holds of the channels.
struct Machine {
    /// Dropped to stop.
    inputs: Option<Inputs>,
    /// Names of threads that panicked; disconnected when all have ended.
    deaths: Receiver<String>,
    settle: JoinHandle<Option<Report>>,
    watch: JoinHandle<Option<anyhow::Result<()>>>,
    roots: Vec<Arc<Root>>,
}

struct Inputs {
    plans: Sender<watch::Plan>,
    /// The other end of `plans`: a plan that waits there is out of date when a new one comes.
    waiting_plans: Receiver<watch::Plan>,
    disposals: Sender<dispose::Plan>,
    waiting_disposals: Receiver<dispose::Plan>,
    asked: Sender<()>,
    /// Its end tells threads that are busy for long to stop.
    _quit: Sender<Infallible>,
    control: Sender<Control>,
    /// None where nobody adds workers later: then the end of the queue is the end of all.
    pool: Option<Pool>,
}

impl Machine {
    /// Makes all channels and threads.
    fn build(
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
            took_ms = started.elapsed().as_secs_f64() * 1000.0,
            "pool started"
        );

        let (shared, wake) = (Arc::clone(ledger), owed_sender);
        spawn("publish", &death_sender, move || {
            publish::run(&finished, &outcome_sender, &wake, &shared);
        })?;

        let plan = plans::dispose(config, &roots);
        let (shared, own_quit) = (Arc::clone(ledger), quit.clone());
        let replaced = asked_sender.clone();
        let waiting_disposals = dispose_plans.clone();
        spawn("dispose", &death_sender, move || {
            dispose::run(plan, &dispose_plans, &owed, &replaced, &own_quit, &shared);
        })?;

        let plan = plans::scheduler(config, &roots);
        let ends = Ends {
            events,
            control,
            jobs: job_sender,
            outcomes,
            room: room_sender,
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
            Until::AllDone => watch::scan_once(&plan.roots, &ends.events, &ends.quit, &shared),
            Until::Stopped => {
                watch::run(plan, ends, &shared, || {
                    watchdog::ready();
                    service::ready();
                });
                Ok(())
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

    /// Verifies the new configuration whole, then swaps.
    fn reload(&mut self, old: &Config, ledger: &Ledger, log: &Log) -> anyhow::Result<Config> {
        let config = config::load(&old.file)?;
        let roots = prepare(&config, ledger, &self.roots)?;
        let Some(Inputs {
            plans,
            waiting_plans,
            disposals,
            waiting_disposals,
            asked: _,
            _quit: _,
            control,
            pool: Some(pool),
        }) = &mut self.inputs
        else {
            bail!("a single run keeps its configuration");
        };
        pool.grow(config.workers)?;
        let plan = plans::scheduler(&config, &roots);
        // `settle` first: it has to know a folder before its files come. It never waits for long,
        // so a full channel means that a folder does not answer.
        control
            .try_send(Control::Adopt(plan))
            .map_err(|_full| anyhow!("the last reloads are still waiting for a folder"))?;

        // From here on nothing fails.
        let plan = plans::watch(&config, &roots);
        replace(plans, waiting_plans, plan);
        replace(
            disposals,
            waiting_disposals,
            plans::dispose(&config, &roots),
        );
        pool.shrink(config.workers);
        if config.max_memory != old.max_memory {
            pool.budget.set_limit(plans::memory_of_pictures(&config));
        }
        if let Err(cause) = log.set_level(config.log.level) {
            warn!(cause = format!("{cause:#}"), "the log level stays");
        }
        if config.ledger != old.ledger {
            warn!(key = "ledger", "takes effect at the next start");
        }
        if (config::Log {
            level: old.log.level,
            ..config.log.clone()
        }) != old.log
        {
            warn!(
                key = "log",
                "all but the level takes effect at the next start"
            );
        }
        self.roots = roots;
        info!(
            folders = config.folders.len(),
            workers = config.workers,
            "configuration reloaded"
        );
        // What waits for the next start is not in force, and the next reload is held against what is.
        Ok(Config {
            ledger: old.ledger.clone(),
            log: config::Log {
                level: config.log.level,
                ..old.log.clone()
            },
            ..config
        })
    }

    /// Has the report written to the log.
    fn report(&self) {
        if let Some(inputs) = &self.inputs
            && inputs.control.try_send(Control::Report).is_err()
        {
            warn!("no report: the last orders are still waiting for a folder");
        }
    }

    /// Has files taken up that somebody wants to be tried again.
    fn ask_again(&self) {
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
    fn let_go(&mut self) {
        self.inputs = None;
    }

    /// Waits for the threads to end: not too long, and not after a second order to stop.
    fn ended(&self, signals: &Receiver<Signal>) -> anyhow::Result<Ended> {
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

    /// Takes the results of threads that have ended: the report, and whether the scan of a single
    /// run saw everything.
    fn join(self) -> anyhow::Result<(Report, anyhow::Result<()>)> {
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
            let recursive = root.folder.recursive;
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
