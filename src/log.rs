//! One log for all threads: to the console and to rotating files.
//!
//! Both go through a thread of their own, so that a slow terminal or disk does not hold up a
//! picture, and through a bounded buffer that makes writers wait rather than drop a record. On
//! every way out [`Log::flush`] waits until what was logged has been written. A log that cannot be
//! written, as on a full disk, holds nothing up: its lines go to the console, and how many there
//! were is told in the log once it can be written again.

mod clock;
mod figure;
mod files;
mod fold;
mod line;
mod names;
mod note;
mod plain;

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use indicatif::ProgressBar;
use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterExt, FilterFn, Filtered, filter_fn},
    fmt::{self, MakeWriter, format::DefaultFields},
    layer::SubscriberExt,
    registry, reload,
    util::SubscriberInitExt,
};

pub use self::{
    clock::Local,
    figure::{Bytes, Short, Took, millis},
    line::PICTURE,
    plain::{plain, steers},
};
use self::{files::Files, fold::Fold, line::Lines, names::Names, note::note};
use crate::{
    config::{self, LogFormat},
    os::Directory,
};

/// The target of records that only JSON has, since lines for people say it otherwise.
pub const RECORD: &str = "watermarkd::record";
/// The target of lines that only text has.
pub const LINES: &str = "watermarkd::lines";

/// Lines that may wait to be written.
const BUFFERED_LINES: usize = 4096;
/// Longest wait for a disk that does not take the log any more.
const FLUSH_AT_MOST: Duration = Duration::from_secs(5);

/// The running log. Dropping it flushes.
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    progress: Arc<[Progress]>,
    fold: Fold,
    names: Names,
    reopen: Arc<AtomicBool>,
    keeps_level: bool,
    _guards: Vec<WorkerGuard>,
}

/// Lines handed to a writer's thread, and lines that it is through with.
#[derive(Clone, Default)]
struct Progress {
    handed: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

/// The threads that write, and how far they are.
#[derive(Default)]
struct Writers {
    guards: Vec<WorkerGuard>,
    progress: Vec<Progress>,
}

impl Writers {
    /// Starts a thread that writes to `inner`, or `instead` to the console what `inner` refuses.
    fn start(
        &mut self,
        inner: Box<dyn Write + Send>,
        instead: Option<Console>,
        format: LogFormat,
    ) -> Handing {
        let counts = Progress::default();
        let written = Arc::clone(&counts.written);
        let (inner, guard) = NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(BUFFERED_LINES)
            .thread_name("log")
            .finish(Counted {
                inner,
                instead,
                format,
                written,
                lost: 0,
            });
        self.guards.push(guard);
        self.progress.push(counts.clone());
        Handing { inner, counts }
    }
}

/// Starts the log. With a visible progress bar, or `quiet`, the console shows warnings and errors only.
pub fn start(settings: &config::Log, bar: &ProgressBar, quiet: bool) -> anyhow::Result<Log> {
    let format = settings.format;
    let mut writers = Writers::default();
    fs::create_dir_all(&settings.dir)
        .with_context(|| format!("cannot create the log folder {}", settings.dir.display()))?;
    // Links on the way to it must be nobody else's.
    Directory::open(&settings.dir)
        .with_context(|| format!("cannot use the log folder {}", settings.dir.display()))?;
    let reopen = Arc::default();
    let files = Files::open(settings, Arc::clone(&reopen))?;
    // With a console of its own every line is there already.
    let instead = (!settings.console).then(|| Console { bar: bar.clone() });
    let file = writers.start(Box::new(files), instead, format);
    let names = Names::default();
    let file = layer(format, file, &names, &Looks::default());
    let console = settings.console.then(|| {
        let least = if bar.is_hidden() && !quiet {
            LevelFilter::TRACE
        } else {
            LevelFilter::WARN
        };
        let console = Box::new(Console { bar: bar.clone() });
        let looks = Looks {
            has_colours: console::colors_enabled_stderr(),
            has_no_time: env::var_os("JOURNAL_STREAM").is_some(),
        };
        let layer = layer(format, writers.start(console, None, format), &names, &looks);
        Filtered::new(layer, least.and(said_in(format)))
    });
    let file = Filtered::new(file, said_in(format));

    let (level, handle) = reload::Layer::new(LevelFilter::from_level(settings.level));
    let fold = fold::start().context("cannot start the log")?;
    registry()
        .with(level)
        .with(fold.clone())
        .with(file)
        .with(console)
        .try_init()
        .context("cannot start the log")?;
    Ok(Log {
        level: handle,
        progress: writers.progress.into(),
        fold,
        names,
        reopen,
        keeps_level: false,
        _guards: writers.guards,
    })
}

impl Log {
    /// The level stays as it is: the command line asks for it, which no configuration overrides.
    pub fn keep_level(&mut self) {
        self.keeps_level = true;
    }

    /// Changes the level from now on, unless it is to stay.
    pub fn set_level(&self, level: Level) -> anyhow::Result<()> {
        if self.keeps_level {
            return Ok(());
        }
        self.level
            .reload(LevelFilter::from_level(level))
            .context("cannot change the log level")
    }

    /// Says which folders there are: lines for people have paths below them.
    pub fn name_folders(&self, folders: &[config::Folder]) {
        self.names.set(folders);
    }

    /// Has the file opened anew before the next line, for it may have been moved away.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    /// Tells what was folded, and waits until everything logged so far has been written.
    pub fn flush(&self) {
        self.fold.tell();
        flush(&self.progress);
    }

    /// Flushes the log when a thread panics, for it may be the last thing that happens.
    pub fn flush_on_panic(&self) {
        let progress = Arc::clone(&self.progress);
        let fold = self.fold.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = thread::current();
            tracing::error!(thread = thread.name(), cause = %panic, "panic");
            fold.tell();
            flush(&progress);
        }));
    }
}

/// A path as a field of a record. As text it is quoted and its control characters are escaped, so
/// that no file name can pass for a line of the log.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn flush(progress: &[Progress]) {
    let deadline = Instant::now() + FLUSH_AT_MOST;
    for Progress { handed, written } in progress {
        let wanted = handed.load(Ordering::Acquire);
        // The writer's thread offers nothing to wait on; this runs once, at the end.
        while written.load(Ordering::Acquire) < wanted && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How lines look on the console.
#[derive(Default)]
struct Looks {
    has_colours: bool,
    has_no_time: bool,
}

/// Which records a format has.
fn said_in(format: LogFormat) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    let others = match format {
        LogFormat::Text => RECORD,
        LogFormat::Json => LINES,
    };
    filter_fn(move |metadata| metadata.target() != others)
}

fn layer<S>(
    format: LogFormat,
    writer: Handing,
    names: &Names,
    looks: &Looks,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    match format {
        LogFormat::Text => fmt::layer()
            .fmt_fields(DefaultFields::new())
            .event_format(Lines {
                names: names.clone(),
                with_time: !looks.has_no_time,
            })
            .with_ansi(looks.has_colours)
            .with_writer(writer)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_thread_names(true)
            .with_target(false)
            .with_writer(writer)
            .boxed(),
    }
}

/// Hands lines to a writer's thread and counts them.
#[derive(Clone)]
struct Handing {
    inner: NonBlocking,
    counts: Progress,
}

impl Write for Handing {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.counts.handed.fetch_add(1, Ordering::AcqRel);
        self.inner.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<'a> MakeWriter<'a> for Handing {
    type Writer = Handing;

    fn make_writer(&'a self) -> Handing {
        self.clone()
    }
}

/// Writes lines on the writer's thread, whole, and counts them. A line that cannot be written, as
/// on a full disk, goes to the console and is counted, and the loss is told before the next line
/// that can be written.
struct Counted {
    inner: Box<dyn Write + Send>,
    instead: Option<Console>,
    format: LogFormat,
    written: Arc<AtomicU64>,
    lost: u64,
}

impl Write for Counted {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.attempt(line) {
            Ok(()) => {}
            Err(cause) => {
                if self.lost == 0 {
                    let cause =
                        format!("cannot write to the log, lines are missing there: {cause}");
                    // With no console either there is nobody to tell.
                    drop(io::stderr().write_all(note(self.format, &cause).as_bytes()));
                }
                self.lost += 1;
                if let Some(console) = &mut self.instead {
                    drop(console.write_all(line));
                }
            }
        }
        self.written.fetch_add(1, Ordering::AcqRel);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Counted {
    /// In one piece with the loss, so that a disk with room for the one alone does not fill up with
    /// it.
    fn attempt(&mut self, line: &[u8]) -> io::Result<()> {
        if self.lost > 0 {
            let told = format!(
                "{} log lines before this one could not be written",
                self.lost
            );
            let told = note(self.format, &told);
            self.inner.write_all(&[told.as_bytes(), line].concat())?;
            self.lost = 0;
        } else {
            self.inner.write_all(line)?;
        }
        self.inner.flush()
    }
}

/// Standard error, around the progress bar.
struct Console {
    bar: ProgressBar,
}

impl Write for Console {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
