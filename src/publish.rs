//! Makes pictures visible: a complete file under its final name, durable before anybody is told.
//!
//! A picture is first written under a temporary name in its own directory. The `publish` thread
//! takes what is ready as one group: it syncs each file, renames it, syncs every directory once,
//! and writes the ledger in one transaction. Only then does a picture count as done.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::anyhow;
use crossbeam_channel::{Receiver, Sender};
use tracing::{debug, error, info, warn};

use crate::{
    ledger::{Fate, Ledger},
    log::text,
    os,
    outcome::{Failure, Made, Outcome, Published, Step},
    output,
    scheduler::Job,
    staging::land,
    stop, watchdog,
    worker::Finished,
};

/// Pictures that share one round of syncs at most; each holds a file open. While one group is being
/// synced the next one gathers.
pub const GROUP: usize = 256;

/// Runs the `publish` thread until all workers are gone.
pub fn run(
    finished: &Receiver<Finished>,
    outcomes: &Sender<Outcome>,
    owed: &Sender<()>,
    ledger: &Ledger,
) {
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = finished.recv() {
        watchdog::busy();
        group.push(first);
        group.extend(finished.try_iter().take(GROUP - 1));
        let outcomes_of_group = publish(&mut group, ledger);
        stop::wake(owed);
        for outcome in outcomes_of_group {
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
        watchdog::idle();
    }
}

/// A job of the group on its way.
struct Landing {
    finished: Finished,
    result: Result<Landed, Failure>,
}

struct Landed {
    made: Made,
    target: PathBuf,
    directory: PathBuf,
}

fn publish(group: &mut Vec<Finished>, ledger: &Ledger) -> Vec<Outcome> {
    let started = Instant::now();
    let mut landings: Vec<Landing> = group
        .drain(..)
        .map(|mut finished| {
            watchdog::busy();
            let result = finished.take_result().and_then(|(staged, made)| {
                let target = staged.target().to_owned();
                match land(staged) {
                    Ok(directory) => Ok(Landed {
                        made,
                        target,
                        directory,
                    }),
                    Err(cause) => Err(failed_to_publish(&finished.job, &target, cause)),
                }
            });
            Landing { finished, result }
        })
        .collect();
    sync_directories(&mut landings);
    for landing in landings.iter().filter(|landing| landing.result.is_ok()) {
        let root = &landing.finished.job.root;
        root.output.note_success();
        ledger.record_mount(&root.output);
    }
    if let Err(cause) = write_fates(&landings, ledger) {
        for landing in &mut landings {
            landing.result = Err(Failure::Transient {
                step: Step::Ledger,
                cause: anyhow!("{cause:#}"),
            });
        }
    }
    let took = started.elapsed();
    landings
        .into_iter()
        .map(
            |Landing {
                 mut finished,
                 result,
             }| {
                finished.times.add(Step::Publish, took);
                conclude(finished, result)
            },
        )
        .collect()
}

fn sync_directories(landings: &mut [Landing]) {
    let directories: HashSet<PathBuf> = landings
        .iter()
        .filter_map(|landing| landing.result.as_ref().ok())
        .map(|landed| landed.directory.clone())
        .collect();
    let failures: BTreeMap<PathBuf, io::Error> = directories
        .into_iter()
        .filter_map(|directory| {
            let cause = os::sync_directory(&directory).err()?;
            Some((directory, cause))
        })
        .collect();
    for landing in landings {
        if let Ok(landed) = &landing.result
            && let Some(cause) = failures.get(&landed.directory)
        {
            let cause = io::Error::new(cause.kind(), cause.to_string());
            let job = &landing.finished.job;
            landing.result = Err(failed_to_publish(job, &landed.target, cause));
        }
    }
}

fn failed_to_publish(job: &Job, target: &Path, cause: io::Error) -> Failure {
    let cause = output::explain(cause, format!("cannot publish {}", target.display()));
    output::failure(job.root.output.note_failure(&job.source(), cause))
}

fn write_fates(landings: &[Landing], ledger: &Ledger) -> anyhow::Result<()> {
    let reasons: Vec<String> = landings
        .iter()
        .map(|landing| match &landing.result {
            Err(Failure::Permanent { cause, .. } | Failure::Incomplete { cause, .. }) => {
                cause.clone()
            }
            Err(Failure::Transient { cause, .. }) => format!("{cause:#}"),
            _ => String::new(),
        })
        .collect();
    ledger.finish(landings.iter().zip(&reasons).map(|(landing, reason)| {
        let fate = match &landing.result {
            Ok(landed) => Fate::Done {
                output: &landed.target,
                bytes: landed.made.bytes_out,
                took: landing.finished.claimed.elapsed(),
                source_stays: landed.made.source_stays,
            },
            Err(Failure::Permanent { step, .. }) => Fate::Failed {
                step: *step,
                reason,
                source_stays: false,
            },
            Err(Failure::Transient { step, .. }) => Fate::Waiting {
                step: *step,
                reason,
                next: landing.finished.job.next_try,
            },
            Err(Failure::Incomplete { step, .. }) => Fate::Incomplete {
                step: *step,
                reason,
            },
            Err(Failure::Gone | Failure::Changed) => Fate::Released,
        };
        (&landing.finished.job.file, fate)
    }))
}

/// Tells the log, where every fate is told once.
fn conclude(finished: Finished, result: Result<Landed, Failure>) -> Outcome {
    let result = match result {
        Ok(landed) => {
            tell_of_result(&finished, &landed);
            Ok(Published {
                bytes_in: finished.job.stamp.length,
                bytes_out: landed.made.bytes_out,
            })
        }
        Err(failure) => {
            tell_of_failure(&finished, &failure);
            Err(failure)
        }
    };
    let Finished { job, times, .. } = finished;
    Outcome {
        file: job.file,
        history: job.history,
        stamp: job.stamp,
        last_try: job.last_try,
        times,
        result,
    }
}

fn tell_of_result(finished: &Finished, landed: &Landed) {
    let path = text(&finished.job.source());
    let Landed { made, target, .. } = landed;
    info!(
        path,
        output = text(target),
        size = format!("{}x{}", made.width, made.height),
        bytes = made.bytes_out,
        ms = millis(finished.claimed.elapsed()),
        worker = &*finished.worker,
        "processed"
    );
    if let Some(warning) = &made.warning {
        warn!(
            path,
            warning, "the picture is damaged, published as far as it goes"
        );
    }
}

fn tell_of_failure(finished: &Finished, failure: &Failure) {
    let path = text(&finished.job.source());
    let worker = &*finished.worker;
    match failure {
        Failure::Gone => debug!(path, "went away"),
        Failure::Changed => debug!(path, "still being written"),
        Failure::Incomplete { cause, .. } => debug!(path, cause, "not yet complete"),
        Failure::Transient { step, cause } => {
            let (step, cause) = (step.name(), format!("{cause:#}"));
            debug!(path, step, cause, "failed for now");
        }
        Failure::Permanent { step, cause } => {
            error!(path, step = step.name(), cause, worker, "failed");
        }
    }
}

/// Milliseconds with one decimal.
fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
