//! The workers: each takes the next picture, makes it in memory as the daemon does, and publishes it
//! under its name at once and whole.

use std::{
    fs::{self, File},
    io::{BufReader, Read, Seek},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crossbeam_channel::{Sender, bounded};

use crate::{
    arrival::Stamp,
    memory::{Account, Budget, Size},
    outcome::panic_cause,
    picture::{self, Format, Order, PictureError, Recipe, Scratch},
    staging::{self, Rights, Taken},
    worker::{self, Buffers, longest_source},
};

/// A picture that is to be made.
#[derive(Debug)]
pub struct Task {
    pub source: PathBuf,
    pub target: PathBuf,
    pub wanted: Format,
    pub recipe: Arc<Recipe>,
}

/// A picture that is visible and durable.
#[derive(Debug)]
pub struct Made {
    pub target: PathBuf,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub warning: Option<String>,
}

/// What became of the task of this index; the result is `None` if the order to stop came before.
#[derive(Debug)]
pub struct Done {
    pub task: usize,
    pub result: Option<Result<Made, String>>,
}

/// What all workers share.
pub struct Shared<'a> {
    pub tasks: &'a [Task],
    pub next: AtomicUsize,
    pub stopped: AtomicBool,
    pub budget: Arc<Budget>,
    /// Whether what has a picture's name is replaced.
    pub force: bool,
}

/// Starts the workers and hands what becomes of the tasks to `each`, on this thread.
pub fn run(
    shared: &Shared<'_>,
    workers: usize,
    each: impl FnOnce(&crossbeam_channel::Receiver<Done>),
) -> std::io::Result<()> {
    thread::scope(|scope| {
        let (sender, done) = bounded(workers);
        for number in 0..workers.min(shared.tasks.len()) {
            let sender = sender.clone();
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn_scoped(scope, move || work(shared, &sender))?;
        }
        drop(sender);
        each(&done);
        Ok(())
    })
}

fn work(shared: &Shared<'_>, done: &Sender<Done>) {
    let mut buffers = Buffers::default();
    let mut account = shared.budget.open();
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(task) = shared.tasks.get(number) else {
            return;
        };
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let caught = catch_unwind(AssertUnwindSafe(|| {
            make(task, shared, &mut buffers, &mut account)
        }));
        let result = caught.unwrap_or_else(|panic| {
            // The buffers may be in any state.
            buffers = Buffers::default();
            Some(Err(panic_cause(&*panic)))
        });
        buffers.tidy(&mut account);
        let told = Done {
            task: number,
            result,
        };
        if done.send(told).is_err() {
            return;
        }
    }
}

/// Makes one picture, or says why not.
fn make(
    task: &Task,
    shared: &Shared<'_>,
    buffers: &mut Buffers,
    account: &mut Account,
) -> Option<Result<Made, String>> {
    let stamp = match read(task, buffers, account) {
        Ok(stamp) => stamp,
        Err(cause) => return Some(Err(cause)),
    };
    let Buffers { source, scratch } = buffers;
    let scratch = match scratch {
        Some(scratch) => scratch,
        None => match Scratch::new() {
            Ok(new) => scratch.insert(new),
            Err(cause) => return Some(Err(told(&cause))),
        },
    };
    let name = task.source.file_name().unwrap_or_default().to_owned();
    let order = Order {
        wanted: task.wanted,
        recipe: &task.recipe,
        about: &picture::about(source, name, worker::written(stamp)),
    };
    let treated = picture::treat_one(source, &order, scratch, &mut |_| {});
    let treated = match treated {
        Ok(treated) => treated,
        Err(cause) => return Some(Err(told(&cause))),
    };
    // What is not visible yet never will be.
    if shared.stopped.load(Ordering::Acquire) {
        return None;
    }
    let made = |target| Made {
        target,
        bytes_in: source.len() as u64,
        bytes_out: treated.bytes.len() as u64,
        width: treated.width,
        height: treated.height,
        warning: treated.warning.clone(),
    };
    let published = publish(&task.target, treated.bytes, shared.force);
    Some(published.map(made).map_err(|cause| format!("{cause:#}")))
}

fn told(cause: &PictureError) -> String {
    let (PictureError::Incomplete { step, cause } | PictureError::Bad { step, cause }) = cause;
    format!("{step}: {cause}")
}

/// Reads the file whole, once there is memory for the picture in it.
fn read(task: &Task, buffers: &mut Buffers, account: &mut Account) -> Result<Stamp, String> {
    let failed = |cause: std::io::Error| format!("cannot read: {cause}");
    let mut file = File::open(&task.source).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    let length = before.len();
    let limit = longest_source(task.recipe.max_pixels);
    if length > limit {
        return Err(format!(
            "the file has {length} bytes, more than a picture can have ({limit})"
        ));
    }
    let mut start = BufReader::new(&file);
    let need = picture::need(&mut start, length, task.wanted, &task.recipe).map_err(failed)?;
    if !account.try_reserve(need.saturating_add(buffers.kept())) {
        *buffers = Buffers::default();
        account.reserve(need).map_err(|refused| {
            let (need, limit) = (Size(refused.need), Size(refused.limit));
            format!("needs {need} of memory, and {limit} may be taken")
        })?;
    }
    file.rewind().map_err(failed)?;
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    let source = &mut buffers.source;
    source.clear();
    source
        .try_reserve_exact(room)
        .map_err(|cause| format!("no memory for the file: {cause}"))?;
    (&file).take(length).read_to_end(source).map_err(failed)?;
    if Stamp::of(&file.metadata().map_err(failed)?) != Stamp::of(&before) {
        return Err("it changed while it was read: try again once it is whole".to_owned());
    }
    Ok(Stamp::of(&before))
}

/// Gives the picture its name, or a numbered one if another file took that meanwhile.
fn publish(target: &Path, bytes: &[u8], force: bool) -> anyhow::Result<PathBuf> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let rights = Rights {
        own: &[],
        taken: if force { Taken::Replace } else { Taken::Number },
    };
    let landed = staging::land(staging::stage_at(target, bytes)?, rights)?;
    landed.directory.sync()?;
    Ok(landed.path)
}
