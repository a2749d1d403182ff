//! The fixed pool. A worker takes one job from claim to a staged picture, with scratch buffers that
//! live as long as the worker; a panic inside a picture costs that picture and the buffers, never
//! the worker.

mod input;
mod loss;
mod target;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, never, select};

use self::{
    input::{Admitted, admit, panicked, read},
    target::{about, target},
};
pub use self::{
    input::{Buffers, longest_source},
    target::written,
};
use crate::{
    arrival::FileKey,
    completeness::{self, Decoded, Facts, UNWRITTEN, Verdict, Why},
    ledger::{CRASHES, Ledger},
    memory::Budget,
    outcome::{Failure, Made, Step, Times},
    output,
    picture::{self, Format, Order, PictureError, Progress, Scratch, Treated},
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
    pub own_results: Vec<PathBuf>,
    result: Option<Result<Vec<(Staged, Made)>, Failure>>,
}

impl Finished {
    /// The results, one for each rendition; once, as publishing consumes them.
    pub fn take_result(&mut self) -> Result<Vec<(Staged, Made)>, Failure> {
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
        let (own_results, result) = match claim(&job, before.as_ref(), ledger) {
            Ok(own) => {
                let result = process(&job, admitted, claimed, &mut buffers, &mut times, ledger);
                (own, result)
            }
            Err(failure) => (Vec::new(), Err(failure)),
        };
        buffers.tidy(&mut account);
        let worker = Arc::clone(name);
        if finished
            .send(Finished {
                job,
                worker,
                claimed,
                times,
                own_results,
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
fn claim(job: &Job, before: Option<&FileKey>, ledger: &Ledger) -> Result<Vec<PathBuf>, Failure> {
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
) -> Result<Vec<(Staged, Made)>, Failure> {
    let Admitted { file, promised } = admitted?;
    let facts = read(job, file, &mut buffers.source)?;
    times.add(Step::Read, started.elapsed());
    match catch_unwind(AssertUnwindSafe(|| {
        make(job, facts, promised, buffers, times, ledger)
    })) {
        Ok(made) => made,
        Err(panic) => {
            // The buffers may be in any state.
            buffers.scratch = None;
            Err(panicked(&*panic))
        }
    }
}

/// Why a source has no results.
enum Stop {
    Picture(PictureError),
    Failed(Failure),
}

impl From<PictureError> for Stop {
    fn from(error: PictureError) -> Self {
        Self::Picture(error)
    }
}

/// Makes the pictures of the bytes that were read and writes them under temporary names, if the
/// writer is done with the file.
fn make(
    job: &Job,
    facts: Facts,
    promised: Format,
    buffers: &mut Buffers,
    times: &mut Times,
    ledger: &Ledger,
) -> Result<Vec<(Staged, Made)>, Failure> {
    let Buffers { source, scratch } = buffers;
    let facts = Facts {
        // Nothing more will come: a picture may lack just its end, as some programs write them.
        end_supplied: facts.last_try && picture::close(source),
        ..facts
    };
    let renditions = &job.root.folder.renditions;
    let about = about(job, source);
    let orders: Vec<Order<'_>> = renditions
        .iter()
        .map(|rendition| rendition.order(promised, &about))
        .collect();
    let mut staged = Vec::with_capacity(orders.len());
    let mut last = Instant::now();
    let mut tell = |progress: Progress<'_>| {
        let step = match progress {
            Progress::After(step) => step,
            Progress::Made(index, treated) => {
                let target = target(&job.file.path, &about, &renditions[index], &treated);
                let mut one = stage(job, &target, facts, treated).map_err(Stop::Failed)?;
                if index > 0 {
                    one.0.close();
                }
                staged.push(one);
                Step::Publish
            }
        };
        let now = Instant::now();
        times.add(step, now - last);
        last = now;
        Ok(())
    };
    let end = if let Some(config) = &job.trial {
        treat_apart(job, source, &orders, config, ledger, &mut tell)
    } else {
        let scratch = match scratch {
            Some(scratch) => scratch,
            None => scratch.insert(Scratch::new().map_err(bad)?),
        };
        picture::treat_all(source, &orders, scratch, &mut tell)
    };
    match end {
        Ok(()) => Ok(staged),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::Picture(error)) => Err(failed(error, facts)),
    }
}

/// Writes a picture under a temporary name, if the writer is done with its source.
fn stage(
    job: &Job,
    target: &Path,
    facts: Facts,
    treated: Treated<'_>,
) -> Result<(Staged, Made), Failure> {
    let decoded = match treated.warning {
        Some(_) => Decoded::Damaged,
        None => Decoded::Whole,
    };
    let (source_stays, unwritten) = match completeness::judge(decoded, facts) {
        Verdict::Wait(why) => {
            return Err(incomplete(
                why,
                Step::Decode,
                treated.warning.unwrap_or_default(),
            ));
        }
        Verdict::Final {
            source_stays,
            unwritten,
        } => (source_stays, unwritten),
    };
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
    let staged = staging::stage_for(&job.root, &job.file.path, target, treated.bytes);
    Ok((staged.map_err(output::failure)?, made))
}

/// What a picture that was not made means, with what is known of its writer.
fn failed(error: PictureError, facts: Facts) -> Failure {
    let decoded = match &error {
        PictureError::Incomplete { .. } => Decoded::CutShort,
        PictureError::Bad { .. } => Decoded::Bad,
    };
    match completeness::judge(decoded, facts) {
        Verdict::Final { .. } => bad(error),
        Verdict::Wait(why) => {
            let (PictureError::Incomplete { step, cause } | PictureError::Bad { step, cause }) =
                error;
            incomplete(why, step, cause)
        }
    }
}

/// The file is waited for: in which step that turned out, what the decoder said, and for what.
fn incomplete(why: Why, step: Step, decoder: String) -> Failure {
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
fn treat_apart(
    job: &Job,
    source: &[u8],
    orders: &[Order<'_>],
    config: &Path,
    ledger: &Ledger,
    tell: &mut dyn FnMut(Progress<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let recipe = job.root.recipe_id;
    let transient = |step, cause| Stop::Failed(Failure::Transient { step, cause });
    let mut answer = Vec::new();
    let end = trial::treat(
        source,
        (&job.source(), job.stamp),
        orders,
        recipe,
        config,
        &mut answer,
    );
    let death = match end.map_err(|cause| transient(Step::Picture, cause))? {
        trial::End::Treated(treated) => {
            for (index, treated) in treated?.into_iter().enumerate() {
                tell(Progress::Made(index, treated))?;
            }
            return Ok(());
        }
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
        Stop::Failed(Failure::Permanent {
            step: Step::Picture,
            cause,
        })
    })
}
