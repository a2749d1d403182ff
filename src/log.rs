//! One log for all threads: to the console and to rotating files.
//!
//! Both go through a thread of their own, so that a slow terminal or disk does not hold up a
//! picture, and through a bounded buffer that makes writers wait rather than drop a record. On
//! every way out [`Log::flush`] waits until what was logged has been written. A log that cannot be
//! written, as on a full disk, holds nothing up: its lines go to the console, and how many there
//! were is told in the log once it can be written again.

mod files;
mod fold;
mod note;

use std::{
    env, fs,
    io::{self, IsTerminal, Write},
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
use tracing::{Level, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer, Registry,
    filter::Filtered,
    fmt::{
        self, MakeWriter,
        format::{DefaultFields, Format},
    },
    layer::SubscriberExt,
    registry, reload,
    util::SubscriberInitExt,
};

use self::{files::Files, fold::Fold, note::note};
use crate::{
    config::{self, LogFormat},
    os::Directory,
};

/// Lines that may wait to be written.
const BUFFERED_LINES: usize = 4096;
/// Longest wait for a disk that does not take the log any more.
const FLUSH_AT_MOST: Duration = Duration::from_secs(5);

/// The running log. Dropping it flushes.
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    progress: Arc<[Progress]>,
    fold: Fold,
    reopen: Arc<AtomicBool>,
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

/// Starts the log. With a visible progress bar the console shows warnings and errors only.
pub fn start(settings: &config::Log, bar: &ProgressBar) -> anyhow::Result<Log> {
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
    let file = match format {
        LogFormat::Text => text_layer(file, false).boxed(),
        LogFormat::Json => json_layer(file),
    };
    let console = settings.console.then(|| {
        let least = if bar.is_hidden() {
            LevelFilter::TRACE
        } else {
            LevelFilter::WARN
        };
        let console = Box::new(Console { bar: bar.clone() });
        let writer = writers.start(console, None, format);
        let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
        let layer = match format {
            LogFormat::Json => json_layer(writer),
            // The journal puts its own time before each line.
            LogFormat::Text if env::var_os("JOURNAL_STREAM").is_some() => {
                text_layer(writer, colour).without_time().boxed()
            }
            LogFormat::Text => text_layer(writer, colour).boxed(),
        };
        Filtered::new(layer, least)
    });

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
        reopen,
        _guards: writers.guards,
    })
}

impl Log {
    /// Changes the level from now on.
    pub fn set_level(&self, level: Level) -> anyhow::Result<()> {
        self.level
            .reload(LevelFilter::from_level(level))
            .context("cannot change the log level")
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
            tracing::error!(cause = %panic, "panic");
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

fn text_layer<S>(writer: Handing, colour: bool) -> fmt::Layer<S, DefaultFields, Format, Handing>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fmt::layer()
        .with_thread_names(true)
        .with_target(false)
        .with_ansi(colour)
        .with_writer(writer)
}

fn json_layer<S>(writer: Handing) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_thread_names(true)
        .with_target(false)
        .with_writer(writer)
        .boxed()
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
