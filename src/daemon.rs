//! The machine: builds every channel and thread, reloads, and stops in order.
//!
//! Stopping is disconnection running down the channels: `watch` loses its plans, `settle` its
//! control and lets go of the queue, the workers see the end of the queue, `publish` the end of the
//! workers, `settle` the end of the outcomes.

use std::{
    any::Any,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use indicatif::ProgressBar;
use tracing::{error, info, warn};

use crate::{
    config::{self, Config},
    ledger::Ledger,
    log::Log,
    os, publish,
    queue::{self, Control, Ends, Job, Until},
    report::Report,
    settle::Waits,
    signal::Signal,
    watch::{self, Root},
    worker::{self, Finished},
};

/// How long what is in hand may take after the order to stop.
const STOP_AT_MOST: Duration = Duration::from_secs(30);
/// How long an incomplete picture may stay unchanged before it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
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
    let ledger = Arc::new(Ledger::open(&config.ledger)?);
    let unfinished = ledger.recover()?;
    if unfinished > 0 {
        info!(
            files = unfinished,
            "given back what an earlier run did not finish"
        );
    }
    let roots = prepare(&config, &ledger)?;
    for root in &roots {
        publish::sweep(&root.folder.output, root.folder.recursive);
    }
    let mut machine = Machine::build(&config, roots, until, &ledger, bar)?;
    let mut config = config;
    let mut stopped = false;
    loop {
        select! {
            recv(signals) -> signal => match signal.context("the signal thread has ended")? {
                Signal::Reload => match machine.reload(&config, &ledger, log) {
                    Ok(new) => config = new,
                    Err(cause) => {
                        for line in format!("{cause:#}").lines() {
                            error!(cause = line, "reload rejected, the running configuration stays");
                        }
                    }
                },
                Signal::Report => machine.send_control(Control::Report)?,
                Signal::Stop => {
                    info!("stopping: finishing what is in hand");
                    stopped = true;
                    break;
                }
            },
            recv(machine.deaths) -> death => match death {
                Ok(thread) => bail!("thread {thread} panicked"),
                // All threads have ended: everything is done.
                Err(_) => break,
            },
        }
    }
    machine.let_go();
    if !machine.ended(signals)? {
        warn!("ended before everything in hand was finished; the next start takes it up again");
        return Ok(Ending {
            report: Report::default(),
            complete: false,
        });
    }
    let report = machine.join()?;
    info!(
        pictures = report.pictures,
        failures = report.failures,
        "ended"
    );
    Ok(Ending {
        report,
        complete: !stopped || until == Until::Stopped,
    })
}

/// The running threads and what the main thread holds of the channels.
struct Machine {
    /// Dropped to stop.
    inputs: Option<Inputs>,
    /// Names of threads that panicked; disconnected when all have ended.
    deaths: Receiver<String>,
    settle: JoinHandle<Option<Report>>,
    watch: JoinHandle<Option<anyhow::Result<()>>>,
}

struct Inputs {
    plans: Sender<watch::Plan>,
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
        let (finished_sender, finished) = bounded(workers);
        let (outcome_sender, outcomes) = bounded(OUTCOMES);
        let (control_sender, control) = bounded(RELOADS);
        let (plan_sender, plans) = bounded(RELOADS);
        let (death_sender, deaths) = bounded(64);

        let started = Instant::now();
        let mut pool = Pool {
            jobs,
            finished: finished_sender,
            ledger: Arc::clone(ledger),
            deaths: death_sender.clone(),
            retire: Vec::new(),
        };
        pool.resize(config.workers)?;
        info!(
            workers,
            took_ms = started.elapsed().as_secs_f64() * 1000.0,
            "pool started"
        );

        let shared = Arc::clone(ledger);
        spawn("publish", &death_sender, move || {
            publish::run(&finished, &outcome_sender, &shared);
        })?;

        let plan = queue::Plan {
            roots: roots.clone(),
            waits: waits(config, until),
        };
        let ends = Ends {
            events,
            control,
            jobs: job_sender,
            outcomes,
        };
        let (shared, bar) = (Arc::clone(ledger), bar.clone());
        let settle = spawn("settle", &death_sender, move || {
            queue::run(plan, until, ends, &shared, &bar)
        })?;

        let plan = watch::Plan {
            roots,
            poll: config.poll,
            rescan: config.rescan,
        };
        let shared = Arc::clone(ledger);
        let watch = spawn("watch", &death_sender, move || match until {
            Until::AllDone => watch::scan_once(&plan.roots, &event_sender, &shared),
            Until::Stopped => {
                watch::run(plan, &plans, &event_sender, &shared);
                Ok(())
            }
        })?;

        let pool = (until == Until::Stopped).then_some(pool);
        let inputs = Inputs {
            plans: plan_sender,
            control: control_sender,
            pool,
        };
        Ok(Machine {
            inputs: Some(inputs),
            deaths,
            settle,
            watch,
        })
    }

    /// Verifies the new configuration whole, then swaps.
    fn reload(&mut self, old: &Config, ledger: &Ledger, log: &Log) -> anyhow::Result<Config> {
        let config = config::load(&old.file)?;
        let roots = prepare(&config, ledger)?;
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
        let Some(Inputs {
            plans,
            control,
            pool: Some(pool),
        }) = &mut self.inputs
        else {
            bail!("a single run keeps its configuration");
        };
        let plan = queue::Plan {
            roots: roots.clone(),
            waits: waits(&config, Until::Stopped),
        };
        // `settle` first: it has to know a folder before its files come.
        control
            .send(Control::Adopt(plan))
            .context("thread settle has ended")?;
        let plan = watch::Plan {
            roots,
            poll: config.poll,
            rescan: config.rescan,
        };
        plans.send(plan).context("thread watch has ended")?;
        pool.resize(config.workers)?;
        log.set_level(config.log.level)?;
        info!(
            folders = config.folders.len(),
            workers = config.workers,
            "configuration reloaded"
        );
        Ok(config)
    }

    fn send_control(&self, control: Control) -> anyhow::Result<()> {
        match &self.inputs {
            Some(inputs) => inputs
                .control
                .send(control)
                .context("thread settle has ended"),
            None => Ok(()),
        }
    }

    /// Gives the order to stop.
    fn let_go(&mut self) {
        self.inputs = None;
    }

    /// Waits for the threads to end: not too long, and not after a second order to stop.
    fn ended(&self, signals: &Receiver<Signal>) -> anyhow::Result<bool> {
        let deadline = crossbeam_channel::after(STOP_AT_MOST);
        loop {
            select! {
                recv(self.deaths) -> death => match death {
                    Ok(thread) => bail!("thread {thread} panicked"),
                    Err(_) => return Ok(true),
                },
                recv(signals) -> signal => if signal == Ok(Signal::Stop) {
                    return Ok(false);
                },
                recv(deadline) -> _ => return Ok(false),
            }
        }
    }

    /// Takes the results of threads that have ended.
    fn join(self) -> anyhow::Result<Report> {
        let panicked = |_: Box<dyn Any + Send>| anyhow!("a thread panicked");
        self.watch
            .join()
            .map_err(panicked)?
            .ok_or_else(|| anyhow!("thread watch panicked"))??;
        self.settle
            .join()
            .map_err(panicked)?
            .ok_or_else(|| anyhow!("thread settle panicked"))
    }
}

/// The workers. They live from start to end, over batches and reloads.
struct Pool {
    jobs: Receiver<Job>,
    finished: Sender<Finished>,
    ledger: Arc<Ledger>,
    deaths: Sender<String>,
    /// One for each worker: a message sends it home after the job in its hands.
    retire: Vec<Sender<()>>,
}

impl Pool {
    /// Starts workers, or sends the last ones home.
    fn resize(&mut self, workers: NonZeroUsize) -> anyhow::Result<()> {
        while self.retire.len() < workers.get() {
            let name = format!("worker-{}", self.retire.len());
            let (retire_sender, retire) = bounded(1);
            let (jobs, finished) = (self.jobs.clone(), self.finished.clone());
            let (ledger, own_name) = (Arc::clone(&self.ledger), Arc::from(name.as_str()));
            spawn(&name, &self.deaths, move || {
                worker::run(&own_name, &jobs, retire, &finished, &ledger);
            })?;
            self.retire.push(retire_sender);
        }
        for retire in self.retire.drain(workers.get()..) {
            retire.send(()).context("a worker has ended")?;
        }
        Ok(())
    }
}

/// Starts a thread whose panic becomes known, and whose end is seen as the end of a sender.
fn spawn<T: Send + 'static>(
    name: &str,
    deaths: &Sender<String>,
    body: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<Option<T>>> {
    let (deaths, own_name) = (deaths.clone(), name.to_owned());
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || match catch_unwind(AssertUnwindSafe(body)) {
            Ok(value) => Some(value),
            Err(_reported_by_the_hook) => {
                // Full or without a receiver, the process is ending for this reason already.
                drop(deaths.try_send(own_name));
                None
            }
        })
        .with_context(|| format!("cannot start thread {name}"))
}

/// Resolves the configured folders to roots, making output folders that are missing.
fn prepare(config: &Config, ledger: &Ledger) -> anyhow::Result<Vec<Arc<Root>>> {
    let root = |folder: &config::Folder| {
        let output = publish::prepare_output(&folder.output)?;
        Ok(Arc::new(Root {
            id: ledger.folder(&folder.input)?,
            recipe_id: folder.recipe.fingerprint(),
            excluded: os::relative_inside(&folder.output, &folder.input)?,
            output,
            folder: folder.clone(),
        }))
    };
    config.folders.iter().map(root).collect()
}

fn waits(config: &Config, until: Until) -> Waits {
    Waits {
        settle: config.settle,
        settle_closed: config.settle_closed,
        patience: match until {
            Until::Stopped => PATIENCE,
            // A single run cannot wait for what may come.
            Until::AllDone => config.settle,
        },
        retry_first: config.retry.first,
        retry_max: config.retry.max,
    }
}
