//! The fixed pool. A worker takes one job from claim to a staged picture, with scratch buffers that
//! live as long as the worker; a panic inside a picture costs that picture and the buffers, never
//! the worker.

mod input;
mod loss;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, never, select};

use self::input::{Admitted, admit, panicked, read};
pub use self::input::{Buffers, longest_source};
use crate::{
    arrival::FileKey,
    completeness::{self, Decoded, Facts, UNWRITTEN, Verdict, Why},
    ledger::{CRASHES, Ledger},
    memory::Budget,
    outcome::{Failure, Made, Step, Times},
    output,
    picture::{self, Format, PictureError, Scratch, Treated},
    scheduler::Job,
    staging::{self, Staged},
    trial, watchdog,
};

/// A job that a worker is done with.
#[derive(Debug)]
pub struct Finished {
    pub job: Job,
    /// The worker's name.
    pub worker: Arc<str>,
    pub claimed: Instant,
    pub times: Times,
    /// What was published of the same source before.
    pub own_result: Option<PathBuf>,
    result: Option<Result<(Staged, Made), Failure>>,
}

impl Finished {
    /// The result, once: publishing consumes it.
    pub fn take_result(&mut self) -> Result<(Staged, Made), Failure> {
        self.result.take().unwrap_or(Err(Failure::Gone))
    }
}

/// Runs a worker until the queue ends or it is sent home.
pub fn run(
    name: &Arc<str>,
    jobs: &Receiver<Job>,
    mut retire: Receiver<()>,
    finished: &Sender<Finished>,
    ledger: &Ledger,
    budget: &Arc<Budget>,
) {
    let mut buffers = Buffers::default();
    let mut made: Option<FileKey> = None;
    let mut account = budget.open();
    loop {
        watchdog::idle();
        let job = select! {
            recv(jobs) -> job => job,
            recv(retire) -> message => {
                if message.is_ok() {
                    return;
                }
                // Nobody will send it home before the queue ends.
                retire = never();
                continue;
            }
            recv(account.shortage()) -> _ => {
                buffers = Buffers::default();
                account.keep_nothing();
                continue;
            }
        };
        let Ok(job) = job else { return };
        watchdog::busy();
        let mut times = Times::default();
        let admitted = admit(&job, &mut buffers, &mut account);
        times.add(Step::Wait, job.queued.elapsed());
        watchdog::busy();
        let claimed = Instant::now();
        let before = made.replace(job.file.clone());
        let (own_result, result) = match claim(&job, before.as_ref(), ledger) {
            Ok(own) => {
                let result = process(&job, admitted, claimed, &mut buffers, &mut times, ledger);
                (own, result)
            }
            Err(failure) => (None, Err(failure)),
        };
        buffers.tidy(&mut account);
        let worker = Arc::clone(name);
        if finished
            .send(Finished {
                job,
                worker,
                claimed,
                times,
                own_result,
                result: Some(result),
            })
            .is_err()
        {
            return;
        }
    }
}

/// `before` is the file that the worker had before: no longer a suspect if the process dies from now
/// on. Returns what was published of the same source before.
fn claim(job: &Job, before: Option<&FileKey>, ledger: &Ledger) -> Result<Option<PathBuf>, Failure> {
    let recipe = job.root.recipe_id;
    ledger
        .claim(&job.file, job.stamp, recipe, before, job.dues)
        .map_err(|cause| Failure::Transient {
            step: Step::Claim,
            cause,
        })
}

/// From a claimed file to a temporary one.
fn process(
    job: &Job,
    admitted: Result<Admitted, Failure>,
    started: Instant,
    buffers: &mut Buffers,
    times: &mut Times,
    ledger: &Ledger,
) -> Result<(Staged, Made), Failure> {
    let Admitted { file, wanted } = admitted?;
    let facts = read(job, file, &mut buffers.source)?;
    times.add(Step::Read, started.elapsed());
    match catch_unwind(AssertUnwindSafe(|| {
        make(job, facts, wanted, buffers, times, ledger)
    })) {
        Ok(made) => made,
        Err(panic) => {
            // The buffers may be in any state.
            buffers.scratch = None;
            Err(panicked(&*panic))
        }
    }
}

/// Makes the picture of the bytes that were read and writes it under a temporary name, if the
/// writer is done with the file.
fn make(
    job: &Job,
    facts: Facts,
    wanted: Format,
    buffers: &mut Buffers,
    times: &mut Times,
    ledger: &Ledger,
) -> Result<(Staged, Made), Failure> {
    let Buffers { source, scratch } = buffers;
    let mut answer = Vec::new();
    let facts = Facts {
        // Nothing more will come: a picture may lack just its end, as some programs write them.
        end_supplied: facts.last_try && picture::close(source),
        ..facts
    };
    let treated = if let Some(config) = &job.trial {
        treat_apart(job, source, wanted, config, &mut answer, ledger)?
    } else {
        let scratch = match scratch {
            Some(scratch) => scratch,
            None => scratch.insert(Scratch::new().map_err(bad)?),
        };
        let mut last = Instant::now();
        let recipe = &job.root.folder.recipe;
        picture::treat(source, wanted, recipe, scratch, &mut |step| {
            let now = Instant::now();
            times.add(step, now - last);
            last = now;
        })
    };
    let treated_at = Instant::now();
    let decoded = match &treated {
        Ok(treated) if treated.warning.is_some() => Decoded::Damaged,
        Ok(_) => Decoded::Whole,
        Err(PictureError::Incomplete { .. }) => Decoded::CutShort,
        Err(PictureError::Bad { .. }) => Decoded::Bad,
    };
    let (source_stays, unwritten) = match completeness::judge(decoded, facts) {
        Verdict::Wait(why) => return Err(incomplete(why, treated)),
        Verdict::Final {
            source_stays,
            unwritten,
        } => (source_stays, unwritten),
    };
    let treated = treated.map_err(bad)?;
    loss::tell(treated.lost, &job.source());
    let made = Made {
        bytes_out: treated.bytes.len() as u64,
        width: treated.width,
        height: treated.height,
        source_stays,
        warning: treated
            .warning
            .or_else(|| unwritten.then(|| UNWRITTEN.to_owned())),
    };
    let staged = staging::stage_for(&job.root, &job.file.path, treated.bytes);
    let staged = staged.map_err(output::failure)?;
    times.add(Step::Publish, treated_at.elapsed());
    Ok((staged, made))
}

/// The file is waited for: in which step that turned out, and for what.
fn incomplete(why: Why, treated: Result<Treated<'_>, PictureError>) -> Failure {
    let (step, decoder) = match treated {
        Ok(treated) => (Step::Decode, treated.warning.unwrap_or_default()),
        Err(PictureError::Incomplete { step, cause } | PictureError::Bad { step, cause }) => {
            (step, cause)
        }
    };
    let cause = match why {
        Why::Decoder => decoder,
        Why::CutShort => "premature end of data".to_owned(),
        Why::Unwritten => UNWRITTEN.to_owned(),
        Why::DecoderOverUnwritten => format!("{decoder}; {UNWRITTEN}"),
    };
    Failure::Incomplete { step, cause }
}

fn bad(cause: PictureError) -> Failure {
    match cause {
        PictureError::Incomplete { step, cause } => Failure::Incomplete { step, cause },
        PictureError::Bad { step, cause } => Failure::Permanent { step, cause },
    }
}

/// Has a suspect picture made by a process of its own, and counts its deaths.
fn treat_apart<'a>(
    job: &Job,
    source: &[u8],
    wanted: Format,
    config: &Path,
    answer: &'a mut Vec<u8>,
    ledger: &Ledger,
) -> Result<Result<Treated<'a>, PictureError>, Failure> {
    let recipe = job.root.recipe_id;
    let transient = |step, cause| Failure::Transient { step, cause };
    let end = trial::treat(source, &job.source(), wanted, recipe, config, answer);
    let death = match end.map_err(|cause| transient(Step::Picture, cause))? {
        trial::End::Treated(treated) => return Ok(treated),
        trial::End::Died(death) => death,
    };
    let crashes = ledger
        .note_crash(&job.file)
        .map_err(|cause| transient(Step::Ledger, cause))?;
    let cause = format!(
        "{crashes} processes died with this picture in progress, the last one by {death}, {CRASHES} are enough"
    );
    Err(if crashes < CRASHES {
        transient(Step::Picture, anyhow::Error::msg(cause))
    } else {
        Failure::Permanent {
            step: Step::Picture,
            cause,
        }
    })
}
