//! The daemon's main thread: starts the machine, obeys signals, and ends in order.

mod machine;
mod plans;
mod pool;
mod reload;
mod roots;
mod thread;

use std::{path::Path, sync::Arc};

use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, bounded, never, select};
use indicatif::ProgressBar;
use tracing::{error, info, warn};

use self::{
    machine::{Ended, Machine},
    roots::prepare,
};
use crate::{
    config::{self, Config},
    ledger::{self, Earlier, Ledger},
    log::Log,
    os,
    report::Report,
    scheduler::Until,
    service::{self, Notice},
    signal::Signal,
    watch::Scanned,
};

/// How a run ended.
pub struct Ending {
    pub report: Report,
    /// Nothing was broken off.
    pub complete: bool,
    /// A single run was told to stop.
    pub interrupted: bool,
    /// What the scan of a single run found.
    pub scanned: Scanned,
}

/// Runs until it is told to stop, or with [`Until::AllDone`] until the folders are processed.
pub fn run(
    config: Config,
    until: Until,
    signals: &Receiver<Signal>,
    log: &Log,
    bar: &ProgressBar,
) -> anyhow::Result<Ending> {
    os::give_back_what_is_freed();
    let ledger = Arc::new(open(&config)?);
    let ending = run_with(config, until, signals, log, bar, &ledger);
    // What is still being done ends with the process, and that must not be long now.
    log.flush();
    ledger.announce_end();
    note(ledger.leave());
    ending
}

fn run_with(
    mut config: Config,
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
    ledger.announce(&config, until == Until::AllDone);
    let mut machine = Machine::build(&config, roots, until, ledger, bar)?;
    // Bound, for as long as it is to be heard.
    let (_listener, notices) = match until {
        Until::Stopped => listen(&config.ledger),
        Until::AllDone => (None, never()),
    };
    let told_to_stop = loop {
        select! {
            recv(signals) -> signal => match signal.context("the signal thread has ended")? {
                Signal::Reload => reload(&mut config, &mut machine, ledger, log, &service),
                Signal::Report => machine.report(),
                Signal::Stop => {
                    info!("stopping: finishing what is in progress");
                    // From here on no end of the process speaks against a picture.
                    note(ledger.stopping());
                    break true;
                }
            },
            recv(notices) -> _ => machine.ask_again(),
            recv(machine.deaths) -> death => match death {
                Ok(thread) => bail!("thread {thread} panicked"),
                // All threads have ended: everything is done.
                Err(_) => break false,
            },
        }
    };
    service.notify(Notice::Stopping);
    let broken_off = told_to_stop && until == Until::AllDone;
    end(machine, signals, ledger, broken_off)
}

/// Opens the ledger of a configuration, and takes over what an earlier version left elsewhere.
fn open(config: &Config) -> anyhow::Result<Ledger> {
    let inputs: Vec<&Path> = config.folders.iter().map(|folder| &*folder.input).collect();
    let earlier = config.home.earlier.as_deref().map(|ledger| Earlier {
        ledger,
        inputs: &inputs,
    });
    Ledger::open_after(&config.ledger, earlier)
}

/// Takes over the configuration file as it is now, or tells why not.
fn reload(
    config: &mut Config,
    machine: &mut Machine,
    ledger: &Ledger,
    log: &Log,
    service: &service::Link,
) {
    log.reopen();
    service.notify(Notice::Reloading);
    match machine.reload(config, ledger, log) {
        Ok((new, mut warnings)) => {
            *config = new;
            warnings.extend(config::warnings(config));
            // Before the log says so: who reads it there asks `status`.
            ledger.announce_reload(config, true, warnings.clone());
            let (folders, workers) = (config.folders.len(), config.workers);
            info!(folders, workers, "configuration reloaded");
            for cause in &warnings {
                warn!(cause, "reloaded with a warning");
            }
            service.notify(Notice::Reloaded { folders });
        }
        Err(cause) => {
            let problems = format!("{cause:#}");
            let reasons = problems.lines().map(str::to_owned).collect();
            ledger.announce_reload(config, false, reasons);
            for line in problems.lines() {
                error!(
                    cause = line,
                    "reload rejected, the running configuration stays"
                );
            }
            let first = problems.lines().next().unwrap_or_default();
            service.notify(Notice::Rejected(first.to_owned()));
        }
    }
}

/// Stops the machine and tells how it ended.
fn end(
    mut machine: Machine,
    signals: &Receiver<Signal>,
    ledger: &Ledger,
    broken_off: bool,
) -> anyhow::Result<Ending> {
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
                interrupted: broken_off,
                scanned: Scanned::default(),
            });
        }
    }
    let (report, scanned) = machine.join()?;
    note(ledger.ended());
    let Scanned {
        missed,
        done,
        failed,
        ..
    } = scanned;
    if missed > 0 {
        let cause = format!("{missed} files or folders could not be looked at");
        error!(cause, "the scan was not complete");
    }
    if done + failed > 0 {
        info!(done, failed, "had their fate before");
    }
    if broken_off {
        info!(left = report.left, "stopped before everything was done");
    }
    info!(
        pictures = report.pictures,
        failures = report.failures,
        "ended"
    );
    Ok(Ending {
        report,
        complete: missed == 0 && !broken_off,
        scanned,
        interrupted: broken_off,
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
