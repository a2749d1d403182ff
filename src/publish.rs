//! Makes pictures visible: a complete file under its final name, durable before anybody is told.
//!
//! A picture is first written under a temporary name in its own directory. The `publish` thread
//! takes what is ready as one group: it syncs each file, renames it, syncs every directory once,
//! and writes the ledger in one transaction. Only then does a picture count as done.

use std::{
    borrow::Cow,
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
    config::{OnConflict, Source},
    ledger::{Fate, Ledger},
    log::{self, text},
    os::{Directory, Identity},
    outcome::{Failure, Made, Outcome, Published, Step},
    output,
    scheduler::Job,
    staging::{self, Rights, Staged, Taken},
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

/// The results of a source that have their names; at least one, in the order of the renditions.
struct Visible {
    first: Made,
    /// It took the place of another result.
    replaced: bool,
    /// Of all results together.
    bytes_out: u64,
    paths: Vec<PathBuf>,
    directories: Vec<Arc<Directory>>,
}

fn publish(group: &mut Vec<Finished>, ledger: &Ledger) -> Vec<Outcome> {
    let started = Instant::now();
    let mut directories = Directories::new();
    let mut landings: Vec<Landing> = group
        .drain(..)
        .map(|mut finished| {
            watchdog::busy();
            let result = finished.take_result();
            let result = result.and_then(|made| land_all(&finished, made, &mut directories));
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

/// Gives the results of a source their names. If one does not get it, the source is tried again, and
/// what has landed is found to be the same.
fn land_all(
    finished: &Finished,
    results: Vec<(Staged, Made)>,
    directories: &mut Directories,
) -> Result<Visible, Failure> {
    let mut visible: Option<Visible> = None;
    for (staged, made) in results {
        let landed = visible.as_ref().map_or(&[][..], |visible| &visible.paths);
        let (path, directory, replaced) = land(finished, staged, landed, directories)?;
        let bytes = made.bytes_out;
        let visible = match &mut visible {
            Some(visible) => visible,
            none => none.insert(Visible {
                first: made,
                replaced,
                bytes_out: 0,
                paths: Vec::new(),
                directories: Vec::new(),
            }),
        };
        visible.bytes_out = visible.bytes_out.saturating_add(bytes);
        visible.paths.push(path);
        visible.directories.push(directory);
    }
    visible.ok_or(Failure::Gone)
}

/// What a result may do with a file that has its name, if that is not another result of the same source.
fn rights<'a>(finished: &Finished, own: &'a [PathBuf]) -> Rights<'a> {
    let folder = &finished.job.root.folder;
    // Only so the file of that name is this source's, or of one like it before. Where sources leave,
    // that was another picture.
    let is_own_name = folder.after == Source::Keep && folder.keeps_names();
    match folder.on_conflict {
        OnConflict::Auto if is_own_name => Rights {
            own,
            taken: Taken::Replace,
        },
        OnConflict::Auto => Rights {
            own,
            taken: Taken::Number,
        },
        OnConflict::Replace => Rights {
            own,
            taken: Taken::Replace,
        },
        OnConflict::Number => Rights {
            own: &[],
            taken: Taken::Number,
        },
        OnConflict::Fail => Rights {
            own,
            taken: Taken::Fail,
        },
    }
}

/// Gives one picture its name. Each directory is held open once, to be synced even if somebody
/// removes it meanwhile: who took the picture out of it has it. What has `already` landed of the same source
/// is never replaced.
fn land(
    finished: &Finished,
    staged: Staged,
    already: &[PathBuf],
    directories: &mut Directories,
) -> Result<(PathBuf, Arc<Directory>, bool), Failure> {
    let job = &finished.job;
    let own = staged.target();
    let mut left = Cow::Borrowed(&finished.own_results[..]);
    if !already.is_empty() {
        left.to_mut().retain(|path| !already.contains(path));
    }
    let mut rights = rights(finished, &left);
    if already.contains(&own) && rights.taken == Taken::Replace {
        rights.taken = Taken::Number;
    }
    let landed = staging::land(staged, rights);
    let landed = landed.map_err(|cause| failed_to_publish(job, cause))?;
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
    Ok((landed.path, Arc::clone(directory), landed.replaced))
}

fn sync_directories(landings: &mut [Landing]) {
    let mut failures: HashMap<*const Directory, Option<io::Error>> = HashMap::new();
    for landing in landings {
        let Ok(visible) = &landing.result else {
            continue;
        };
        let mut failed = None;
        for (directory, path) in visible.directories.iter().zip(&visible.paths) {
            let synced = failures
                .entry(Arc::as_ptr(directory))
                .or_insert_with(|| match directory.sync() {
                    // Removed by who took the pictures out of it.
                    Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
                    synced => synced.err(),
                });
            if let Some(cause) = synced {
                let cause = io::Error::new(cause.kind(), cause.to_string());
                let context = format!("cannot publish {}", path.display());
                failed = Some(output::explain(cause, context));
            }
        }
        if let Some(cause) = failed {
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
                output: visible
                    .paths
                    .first()
                    .map_or(Path::new(""), PathBuf::as_path),
                bytes: visible.bytes_out,
                more: visible.paths.get(1..).unwrap_or_default(),
                took: landing.finished.claimed.elapsed(),
                source_stays: visible.first.source_stays,
                damage: visible.first.warning.as_deref(),
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
                bytes_out: visible.bytes_out,
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
        first: made,
        replaced,
        paths,
        bytes_out,
        ..
    } = visible;
    let more = paths.len().saturating_sub(1);
    info!(
        target: log::PICTURE,
        path,
        output = paths.first().map(|output| text(output)),
        more = (more > 0).then_some(more),
        size = format!("{}x{}", made.width, made.height),
        bytes = bytes_out,
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
