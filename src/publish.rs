//! Makes pictures visible: a complete file under its final name, durable before anybody is told.
//!
//! A picture is first written under a temporary name in its own directory. The `publish` thread
//! takes what is ready as one group: it syncs each file, renames it, syncs every directory once,
//! and writes the ledger in one transaction. Only then does a picture count as done.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use anyhow::anyhow;
use crossbeam_channel::{Receiver, Sender};
use tracing::{debug, error, info, warn};

use crate::{
    config::Source,
    ledger::{Fate, Ledger},
    log::{self, text},
    os::{Directory, Identity},
    outcome::{Failure, Made, Outcome, Published, Step},
    output,
    scheduler::Job,
    staging::{self, Rights, Staged},
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
    result: Result<Visible, Failure>,
}

struct Visible {
    made: Made,
    /// It took the place of another result.
    replaced: bool,
    path: PathBuf,
    directory: Arc<Directory>,
}

fn publish(group: &mut Vec<Finished>, ledger: &Ledger) -> Vec<Outcome> {
    let started = Instant::now();
    let mut directories = Directories::new();
    let mut landings: Vec<Landing> = group
        .drain(..)
        .map(|mut finished| {
            watchdog::busy();
            let result = finished.take_result();
            let result = result.and_then(|made| land(&finished, made, &mut directories));
            Landing { finished, result }
        })
        .collect();
    drop(directories);
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

/// The directories of a group: the path alone may lead elsewhere from one picture to the next.
type Directories = HashMap<(Option<PathBuf>, Option<Identity>), Arc<Directory>>;

/// Gives one picture its name. Each directory is held open once, to be synced even if somebody
/// removes it meanwhile: who took the picture out of it has it.
fn land(
    finished: &Finished,
    (staged, made): (Staged, Made),
    directories: &mut Directories,
) -> Result<Visible, Failure> {
    let job = &finished.job;
    let own = staged.target();
    let rights = Rights {
        own: finished.own_result.as_deref(),
        // Where sources leave, a file of the same name is another picture.
        replaces: job.root.folder.after == Source::Keep,
    };
    let landed = staging::land(staged, rights).map_err(|cause| failed_to_publish(job, cause))?;
    if landed.numbered {
        warn!(
            path = text(&job.source()),
            output = text(&landed.path),
            taken = text(&own),
            "its name is another picture's, published with a number"
        );
    }
    let parent = landed.path.parent().map(Path::to_owned);
    let identity = landed.directory.identity();
    let directory = directories
        .entry((parent, identity))
        .or_insert_with(|| Arc::new(landed.directory));
    Ok(Visible {
        made,
        replaced: landed.replaced,
        path: landed.path,
        directory: Arc::clone(directory),
    })
}

fn sync_directories(landings: &mut [Landing]) {
    let mut failures: HashMap<*const Directory, Option<io::Error>> = HashMap::new();
    for landing in landings {
        let Ok(visible) = &landing.result else {
            continue;
        };
        let synced = failures
            .entry(Arc::as_ptr(&visible.directory))
            .or_insert_with(|| match visible.directory.sync() {
                // Removed by who took the pictures out of it.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
                synced => synced.err(),
            });
        if let Some(cause) = synced {
            let cause = io::Error::new(cause.kind(), cause.to_string());
            let context = format!("cannot publish {}", visible.path.display());
            let cause = output::explain(cause, context);
            landing.result = Err(failed_to_publish(&landing.finished.job, cause));
        }
    }
}

fn failed_to_publish(job: &Job, cause: anyhow::Error) -> Failure {
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
            Ok(visible) => Fate::Done {
                output: &visible.path,
                bytes: visible.made.bytes_out,
                took: landing.finished.claimed.elapsed(),
                source_stays: visible.made.source_stays,
                damage: visible.made.warning.as_deref(),
            },
            Err(Failure::Permanent { step, .. }) => Fate::Failed {
                step: *step,
                reason,
                leaves_after: None,
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
fn conclude(finished: Finished, result: Result<Visible, Failure>) -> Outcome {
    let result = match result {
        Ok(visible) => {
            tell_of_result(&finished, &visible);
            Ok(Published {
                bytes_in: finished.job.stamp.length,
                bytes_out: visible.made.bytes_out,
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

fn tell_of_result(finished: &Finished, visible: &Visible) {
    let path = text(&finished.job.source());
    let Visible {
        made,
        replaced,
        path: output,
        ..
    } = visible;
    info!(
        target: log::PICTURE,
        path,
        output = text(output),
        size = format!("{}x{}", made.width, made.height),
        bytes = made.bytes_out,
        ms = log::millis(finished.claimed.elapsed()),
        replaced = replaced.then_some(true),
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
            error!(target: log::PICTURE, path, step = step.name(), cause, worker, "failed");
        }
    }
}
