//! `watermarkd apply`: marks pictures that the arguments name, without configuration and ledger.
//!
//! A source is never replaced, and a result is visible only when it is whole.

mod flags;
mod plan;
mod pool;

use std::{
    collections::HashSet,
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::Context;
use crossbeam_channel::{Receiver, select};
use indicatif::ProgressBar;

use self::{
    flags::RecipeFlags,
    plan::{Refused, There},
    pool::{Done, Made, Shared, Task},
};
use super::{
    config_file::ConfigFile,
    place::folder_of,
    talk::Talk,
    terminal::{self, line},
    usage::Usage,
};
use crate::{
    config::{self, Config},
    exit, mark,
    mark::text,
    memory::{self, Budget},
    picture::{Mark, Recipe},
    report::Sum,
    signal::{self, Signal},
};

/// Large enough to be sharp where it is scaled up, and legible on light and dark.
pub const STYLE: text::Style = text::Style {
    size: 160.0,
    colour: [255, 255, 255, 230],
    outline: Some((4.0, [0, 0, 0, 140])),
    shadow: None,
};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Pictures, and folders: their pictures are taken, those in subfolders with --recursive.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder for the results, which keep their names. It is created if it is missing.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The mark: an .npy, .png or .jpg.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    mark: Option<PathBuf>,
    /// A text as the mark. `mark text` draws one with a font and a colour of your own.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    #[command(flatten)]
    recipe: RecipeFlags,
    /// Take the pictures in subfolders too, and mirror the subfolders.
    #[arg(short, long)]
    recursive: bool,
    /// Replace results that are there already. Without it they are left as they are, and fail.
    #[arg(short, long)]
    force: bool,
    /// Pictures at a time; without it, one for each CPU.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Only say what would be written.
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What pictures are treated with.
enum Recipes {
    One(Arc<Recipe>),
    /// Each by the folder that it lies in, or the first one.
    Configured(Box<Config>),
}

pub fn run(arguments: &Arguments, file: &ConfigFile, talk: Talk) -> anyhow::Result<ExitCode> {
    let recipes = recipes(arguments, file)?;
    let output = &arguments.output;
    if fs::metadata(output).is_ok_and(|metadata| !metadata.is_dir()) {
        return Err(Usage::error(format!("{}: is no folder", output.display())));
    }
    let (tasks, mut refused, left_out) = plan(arguments, &recipes)?;
    if tasks.is_empty() && refused.is_empty() {
        let cause = "there is no .jpg, .jpeg, .jpe, .jfif, .png or .webp; --recursive looks into subfolders too";
        return Err(anyhow::anyhow!("{cause}"));
    }
    for Refused { path, cause } in &refused {
        terminal::error(&anyhow::anyhow!("{}: {cause}", path.display()));
    }
    if arguments.dry_run {
        return tell_plan(&tasks, &refused);
    }
    if tasks.is_empty() {
        return Ok(exit::FAILED.into());
    }
    fs::create_dir_all(output)
        .with_context(|| format!("cannot create folder {}", output.display()))?;
    let workers = match (&recipes, arguments.workers) {
        (_, Some(workers)) => workers.into(),
        (Recipes::One(_), None) => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        (Recipes::Configured(config), None) => config.workers.get(),
    };
    let max_memory = match &recipes {
        Recipes::One(_) => None,
        Recipes::Configured(config) => config.max_memory,
    };
    let shared = Shared {
        tasks: &tasks,
        next: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        budget: Budget::new(memory::limit(max_memory).0),
        force: arguments.force,
    };
    let mut sum = Sum {
        failures: refused.drain(..).len() as u64,
        ..Sum::default()
    };
    let started = Instant::now();
    let all = sum.failures + tasks.len() as u64;
    let stopped = make_all(&shared, workers, talk, &mut sum)?;
    sum.wall = started.elapsed();
    tell_sum(&sum, left_out, output, talk)?;
    let done = sum.pictures + sum.failures;
    if stopped && done < all {
        terminal::error(&anyhow::anyhow!("interrupted, {done} of {all} are done"));
        return Ok(exit::INTERRUPTED.into());
    }
    Ok(if sum.failures == 0 {
        exit::FINE
    } else {
        exit::FAILED
    }
    .into())
}

/// The recipe of the flags, or the configuration that is named.
fn recipes(arguments: &Arguments, file: &ConfigFile) -> anyhow::Result<Recipes> {
    let words = arguments.recipe.words();
    let mark = match (&arguments.mark, &arguments.text, &file.config) {
        (None, None, None) => {
            let cause = "a mark is wanted: --mark FILE, --text TEXT, or -c FILE";
            return Err(Usage::error(cause));
        }
        (None, None, Some(_)) => {
            if let Some((key, _)) = words.first() {
                let flag = key.replace('_', "-");
                let cause =
                    format!("--{flag} goes with --mark or --text: with -c the file says it");
                return Err(Usage::error(cause));
            }
            return Ok(Recipes::Configured(Box::new(file.load()?)));
        }
        (_, _, Some(_)) => {
            let cause = "-c cannot be combined with --mark or --text: the file names a mark";
            return Err(Usage::error(cause));
        }
        (Some(path), _, None) => mark::load(path).map_err(|cause| {
            let cause = anyhow::Error::new(cause);
            Usage::error(format!("--mark: {cause:#}"))
        })?,
        (None, Some(text), None) => draw(text)?,
    };
    let recipe = config::recipe_of(&words, &Arc::new(mark)).map_err(|problems| {
        let told = problems.iter().map(|(key, cause)| {
            let flag = key.replace('_', "-");
            format!("--{flag}: {cause}")
        });
        Usage::error(told.collect::<Vec<_>>().join("; "))
    })?;
    if let Some(doubt) = config::doubts(&recipe) {
        terminal::error(&anyhow::anyhow!("warning: {doubt}"));
    }
    Ok(Recipes::One(Arc::new(recipe)))
}

fn draw(text: &str) -> anyhow::Result<Mark> {
    text::draw(text, text::FONT, &STYLE).map_err(|cause| Usage::error(format!("--text: {cause}")))
}

/// What is to be made of the arguments, what cannot be, and how many files are none of ours.
fn plan(
    arguments: &Arguments,
    recipes: &Recipes,
) -> anyhow::Result<(Vec<Task>, Vec<Refused>, u64)> {
    let output = &arguments.output;
    let gathered = plan::gather(&arguments.files, arguments.recursive, output);
    let mut refused = gathered.refused;
    let sources: HashSet<PathBuf> = gathered
        .found
        .iter()
        .filter_map(|found| found.source.canonicalize().ok())
        .collect();
    let there = |place: &Path| {
        let path = output.join(place);
        match path.canonicalize() {
            Ok(path) if sources.contains(&path) => There::Source,
            // A link that leads nowhere has the name, too.
            _ if path.symlink_metadata().is_ok() => There::Something,
            _ => There::Nothing,
        }
    };
    let places = plan::assign(&gathered.found, arguments.force, there);
    let mut tasks = Vec::with_capacity(places.len());
    for (found, place) in gathered.found.into_iter().zip(places) {
        match place {
            Ok(place) => tasks.push(Task {
                recipe: recipe_for(recipes, &found.source)?,
                source: found.source,
                target: output.join(place),
                wanted: found.wanted,
            }),
            Err(Refused { path, cause }) => refused.push(Refused {
                path: output.join(path),
                cause,
            }),
        }
    }
    Ok((tasks, refused, gathered.left_out))
}

fn recipe_for(recipes: &Recipes, source: &Path) -> anyhow::Result<Arc<Recipe>> {
    match recipes {
        Recipes::One(recipe) => Ok(Arc::clone(recipe)),
        Recipes::Configured(config) => {
            let absolute = source.canonicalize();
            let absolute = absolute.with_context(|| format!("cannot open {}", source.display()))?;
            let recipe = folder_of(config, &absolute)?.recipe();
            Ok(Arc::clone(recipe.context("the folder makes nothing")?))
        }
    }
}

fn tell_plan(tasks: &[Task], refused: &[Refused]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for task in tasks {
        let (source, target) = (task.source.display(), task.target.display());
        line(&mut out, format_args!("{source} → {target}"))?;
    }
    let count = tasks.len();
    line(
        &mut out,
        format_args!("{count} pictures, nothing was written"),
    )?;
    let code = if refused.is_empty() {
        exit::FINE
    } else {
        exit::FAILED
    };
    Ok(code.into())
}

/// Makes all pictures. Tells whether it was told to stop before the end.
fn make_all(
    shared: &Shared<'_>,
    workers: usize,
    talk: Talk,
    sum: &mut Sum,
) -> anyhow::Result<bool> {
    let signals = signal::listen().context("cannot listen to signals")?;
    let bar = talk.bar(shared.tasks.len() as u64)?;
    let mut told = Ok(());
    pool::run(shared, workers, |done| {
        told = attend(shared, done, &signals, &bar, talk, sum);
        // With standard output closed nobody waits for the rest.
        if told.is_err() {
            shared.stopped.store(true, Ordering::Release);
            done.iter().for_each(drop);
        }
    })
    .context("cannot start the workers")?;
    bar.finish_and_clear();
    told?;
    Ok(shared.stopped.load(Ordering::Acquire))
}

/// Counts and tells what becomes of the pictures, until the workers have gone home.
fn attend(
    shared: &Shared<'_>,
    done: &Receiver<Done>,
    signals: &signal::Listening,
    bar: &ProgressBar,
    talk: Talk,
    sum: &mut Sum,
) -> anyhow::Result<()> {
    loop {
        select! {
            recv(signals) -> signal => match signal {
                // There is no configuration to reload, and the report comes at the end.
                Ok(Signal::Reload | Signal::Report) => {}
                Ok(Signal::Stop) | Err(_) => {
                    shared.stopped.store(true, Ordering::Release);
                    // Pictures in work end within moments, and the workers with them.
                    for done in done {
                        count(shared, done, bar, talk, sum)?;
                    }
                    return Ok(());
                }
            },
            recv(done) -> done => match done {
                Ok(done) => count(shared, done, bar, talk, sum)?,
                Err(_) => return Ok(()),
            },
        }
    }
}

fn count(
    shared: &Shared<'_>,
    done: Done,
    bar: &ProgressBar,
    talk: Talk,
    sum: &mut Sum,
) -> anyhow::Result<()> {
    let (Some(made_of), Some(result)) = (shared.tasks.get(done.task), done.result) else {
        return Ok(());
    };
    bar.inc(1);
    let source = made_of.source.display();
    match result {
        Ok(made) => {
            sum.pictures += 1;
            sum.bytes_in += made.bytes_in;
            sum.bytes_out += made.bytes_out;
            if let Some(warning) = &made.warning {
                let told = anyhow::anyhow!("{source}: damaged, made as far as it goes: {warning}");
                bar.suspend(|| terminal::error(&told));
            }
            if talk.verbose > 0 || made.target != std::path::absolute(&made_of.target)? {
                bar.suspend(|| tell_made(made_of, &made))?;
            }
        }
        Err(cause) => {
            sum.failures += 1;
            bar.suspend(|| terminal::error(&anyhow::anyhow!("{source}: {cause}")));
        }
    }
    Ok(())
}

fn tell_made(task: &Task, made: &Made) -> io::Result<()> {
    let (source, target) = (task.source.display(), made.target.display());
    let (width, height, bytes) = (made.width, made.height, crate::log::Bytes(made.bytes_out));
    line(
        &mut io::stdout(),
        format_args!("{source} → {target}: {width}x{height}, {bytes}"),
    )
}

fn tell_sum(sum: &Sum, left_out: u64, output: &Path, talk: Talk) -> anyhow::Result<()> {
    if talk.quiet {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    line(&mut out, format_args!("{}", sum.line()))?;
    if left_out > 0 {
        line(
            &mut out,
            format_args!("{left_out} other files were left out"),
        )?;
    }
    line(
        &mut out,
        format_args!("the results are in {}", output.display()),
    )?;
    Ok(())
}
