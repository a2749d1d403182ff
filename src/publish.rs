//! Makes pictures visible: a complete file under its final name, durable before anybody is told.
//!
//! A picture is first written under a temporary name in its own directory. The `publish` thread
//! takes what is ready as one group: it syncs each file, renames it, syncs every directory once,
//! and writes the ledger in one transaction. Only then does a picture count as done.

pub mod output;

use std::{
    collections::{BTreeMap, HashSet, hash_map::RandomState},
    ffi::OsStr,
    fs::{self, File},
    hash::{BuildHasher, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver, Sender};
use tracing::{debug, error, info, warn};

use crate::{
    dispose,
    ledger::{Fate, Ledger},
    log::text,
    os,
    publish::output::OutputPlace,
    queue::Job,
    report::Times,
    settle::History,
    watch::{FileKey, Quit, Root, Stamp, TEMP_PREFIX, told_to_quit},
    watchdog,
    worker::{Failure, Finished, Made},
};

/// Pictures that share one round of syncs at most; each holds a file open. While one group is being
/// synced the next one gathers.
pub const GROUP: usize = 256;

/// What became of a job; its file is no longer in flight.
#[derive(Debug)]
pub struct Outcome {
    pub file: FileKey,
    pub history: History,
    pub stamp: Stamp,
    /// What lay there was all that was to be expected.
    pub last_try: bool,
    pub times: Times,
    pub result: Result<Published, Failure>,
}

#[derive(Debug)]
pub struct Published {
    /// Bytes of the source and of the written picture.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// A picture under its temporary name, removed again unless it lands.
#[derive(Debug)]
pub struct Staged {
    file: Option<File>,
    temp: PathBuf,
    target: PathBuf,
    output: Option<OutputPlace>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            drop(file);
            if let Err(cause) = fs::remove_file(&self.temp) {
                // The sweep at the next start gets it, if not this process before.
                if let Some(output) = &self.output {
                    output.leave_behind(&self.temp);
                }
                debug!(
                    path = text(&self.temp),
                    cause = cause.to_string(),
                    "temporary file stays behind"
                );
            }
        }
    }
}

/// Writes a picture of a folder under a temporary name in its output, if that is there and has
/// room.
pub fn stage_for(root: &Root, relative: &Path, bytes: &[u8]) -> anyhow::Result<Staged> {
    output::target(root, relative)
        .and_then(|target| {
            output::has_room(root, bytes.len() as u64)?;
            let context = format!("cannot write {}", target.display());
            stage(target, bytes, Some(&root.output))
                .map_err(|cause| output::explain(cause, context))
        })
        .map_err(|cause| output::note(root, relative, cause))
}

/// Writes a picture under a temporary name beside its target.
pub fn stage(target: PathBuf, bytes: &[u8], output: Option<&OutputPlace>) -> io::Result<Staged> {
    let directory = target.parent().unwrap_or(Path::new("."));
    let temp = directory.join(temp_name());
    let mut file = os::create_new(&temp)?;
    let written = file.write_all(bytes);
    os::start_writing(&file);
    let staged = Staged {
        file: Some(file),
        temp,
        target,
        output: output.cloned(),
    };
    written.map(|()| staged)
}

/// What a source is called while it is being deleted: no leftover, it may turn out to be another file.
pub const LEAVING_PREFIX: &str = ".watermarkd-leaving-";

/// The name of another temporary file.
pub fn temp_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}{number}", own_prefix())
}

/// What the temporary files of this process are called: other than those of any before it, also
/// where every process has the same pid, as in a container.
fn own_prefix() -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let run = RandomState::new().build_hasher().finish();
        format!("{TEMP_PREFIX}{run:016x}-")
    })
}

/// Publishes one picture on its own, durably: for commands outside the daemon.
pub fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let attempt = || {
        let directory = land(stage(std::path::absolute(target)?, bytes, None)?)?;
        os::sync_directory(&directory)
    };
    attempt().with_context(|| format!("cannot write {}", target.display()))
}

/// Removes what a crash left in an output folder, beside the work that goes on there.
pub fn sweep(output: &Path, recursive: bool, quit: &Quit) {
    let mut directories = vec![output.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(cause) => {
                warn!(
                    path = text(&directory),
                    cause = cause.to_string(),
                    "cannot look for leftovers"
                );
                continue;
            }
        };
        for entry in entries.flatten() {
            if told_to_quit(quit) {
                return;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && recursive {
                directories.push(entry.path());
            } else if kind.is_file() && is_leftover(&entry.file_name()) {
                match fs::remove_file(entry.path()) {
                    Ok(()) => info!(path = text(&entry.path()), "leftover removed"),
                    Err(cause) => {
                        warn!(
                            path = text(&entry.path()),
                            cause = cause.to_string(),
                            "leftover stays"
                        );
                    }
                }
            }
        }
    }
}

fn is_leftover(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(TEMP_PREFIX.as_bytes())
        && !name.starts_with(own_prefix().as_bytes())
        && !name.starts_with(LEAVING_PREFIX.as_bytes())
}

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
        dispose::wake(owed);
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
                let target = staged.target.clone();
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
        output::note_success(root);
        root.output.note(&root.folder.output, ledger);
    }
    if let Err(cause) = write_fates(&landings, ledger) {
        for landing in &mut landings {
            landing.result = Err(Failure::Transient {
                step: "ledger",
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
                finished.times.add("publish", took);
                conclude(finished, result)
            },
        )
        .collect()
}

/// Syncs a staged picture and gives it its name. Returns the directory that is to be synced.
fn land(mut staged: Staged) -> io::Result<PathBuf> {
    if let Some(file) = &staged.file {
        file.sync_all()?;
    }
    fs::rename(&staged.temp, &staged.target)?;
    staged.file = None;
    Ok(staged.target.parent().unwrap_or(Path::new(".")).to_owned())
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
    output::failure(output::note(&job.root, &job.file.path, cause))
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
            Ok(landed) if landed.made.salvaged => Fate::Salvaged {
                output: &landed.target,
                bytes: landed.made.bytes_out,
                took: landing.finished.claimed.elapsed(),
            },
            Ok(landed) => Fate::Done {
                output: &landed.target,
                bytes: landed.made.bytes_out,
                took: landing.finished.claimed.elapsed(),
            },
            Err(Failure::Permanent { step, .. }) => Fate::Failed { step, reason },
            Err(Failure::Transient { step, .. }) => Fate::Waiting {
                step,
                reason,
                next: landing.finished.job.next_try,
            },
            Err(Failure::Incomplete { step, .. }) => Fate::Incomplete { step, reason },
            Err(Failure::Gone | Failure::Changed) => Fate::Released,
        };
        (&landing.finished.job.file, fate)
    }))
}

/// Tells the log, where every fate is told once.
fn conclude(finished: Finished, result: Result<Landed, Failure>) -> Outcome {
    let Finished {
        job,
        worker,
        claimed,
        times,
        ..
    } = finished;
    let path = job.source();
    let path = text(&path);
    let worker = &*worker;
    let result = match result {
        Ok(Landed { made, target, .. }) => {
            let ms = millis(claimed.elapsed());
            let size = format!("{}x{}", made.width, made.height);
            info!(
                path,
                output = text(&target),
                size,
                bytes = made.bytes_out,
                ms,
                worker,
                "processed"
            );
            if let Some(warning) = made.warning {
                warn!(
                    path,
                    warning, "the picture is damaged, published as far as it goes"
                );
            }
            Ok(Published {
                bytes_in: job.stamp.length,
                bytes_out: made.bytes_out,
            })
        }
        Err(failure) => {
            match &failure {
                Failure::Gone => debug!(path, "went away"),
                Failure::Changed => debug!(path, "still being written"),
                Failure::Incomplete { cause, .. } => debug!(path, cause, "not yet complete"),
                Failure::Transient { step, cause } => {
                    debug!(path, step, cause = format!("{cause:#}"), "failed for now");
                }
                Failure::Permanent { step, cause } => {
                    error!(path, step, cause, worker, "failed");
                }
            }
            Err(failure)
        }
    };
    Outcome {
        file: job.file,
        history: job.history,
        stamp: job.stamp,
        last_try: job.last_try,
        times,
        result,
    }
}

/// Milliseconds with one decimal.
fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
