//! The command line.

mod again;
mod explain;
mod look;
mod make;
mod page;
mod service;
mod status;
mod words;

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use indicatif::{ProgressBar, ProgressStyle};
use tracing::{error, info};

use self::{again::Verb, words::line};
use crate::{
    config::{self, Config, ConfigError, Source},
    daemon, exit, ledger, log, mark, os,
    picture::{self, Chroma, PlacedMark, Position, Recipe, Scratch},
    scheduler::Until,
    signal, staging, trial, watch,
};

/// Watches folders and publishes every picture dropped into them scaled, recompressed and
/// watermarked.
///
/// Exit codes: 0 fine; 1 pictures failed in `run --once`, a file cannot be tried again, or a
/// failure at run time; 2 usage; 78 bad configuration, or a ledger that is of a newer version, of
/// another program, or on a network file system.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground until SIGTERM or SIGINT; SIGHUP reloads the configuration, SIGUSR1
    /// logs the report.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// Take what is in the folders now, print the report, and end.
        #[arg(long)]
        once: bool,
    },
    /// Validate the configuration, open its marks and folders, and print what would be done.
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Write a commented configuration, a sample mark and the folders, so that `run` works at once.
    Init {
        /// The folder to write to; made if it is missing. Nothing in it is overwritten.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Make a mark from a text or a picture.
    Mark {
        #[command(subcommand)]
        command: make::Command,
    },
    /// The Windows service; on other systems this tells what to do instead.
    Service {
        #[command(subcommand)]
        command: service::Command,
    },
    /// Take one picture through its way and publish nothing, in a process that may die of it.
    #[command(hide = true, name = trial::COMMAND)]
    Trial {
        #[command(flatten)]
        config: ConfigFile,
        file: PathBuf,
    },
    /// Tell whether the daemon runs, what the ledger counts in each folder, and what failed of late.
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Tell the one fate of a file: why it is where it is, and what comes next.
    Explain {
        #[command(flatten)]
        config: ConfigFile,
        /// The file; it need not be there.
        file: PathBuf,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Try files again that failed, or that wait for their next try. A running daemon takes them up
    /// at once.
    Retry {
        #[command(flatten)]
        config: ConfigFile,
        /// The files, one or more, by their paths in the input folders.
        #[arg(value_name = "FILE", required_unless_present = "failed")]
        files: Vec<PathBuf>,
        /// All that failed.
        #[arg(long, conflicts_with = "files")]
        failed: bool,
    },
    /// Make pictures again that are done: those that are named, or all that were treated by another
    /// recipe than the present one. A running daemon takes them up at once.
    Reprocess {
        #[command(flatten)]
        config: ConfigFile,
        /// The files, one or more, by their paths in the input folders. Without any: all of another
        /// recipe.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Put one picture through the recipe of the folder it lies in, or of the first folder.
    Preview {
        #[command(flatten)]
        config: ConfigFile,
        /// The picture.
        file: PathBuf,
        /// Where to write the result: .jpg, .jpeg or .png.
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
    },
    /// Write the completions of a shell to standard output.
    Completions { shell: Shell },
    /// Write the man page to standard output.
    Man {
        /// Write a page for each command to this folder instead.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file. Without it: $WATERMARKD_CONFIG, then config.yaml in
    /// $CONFIGURATION_DIRECTORY (set by systemd), in the user's configuration folder for watermarkd,
    /// or (Linux) in /etc/watermarkd.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, ConfigError> {
        config::load(&config::locate(self.config.as_deref())?)
    }

    /// For who only asks: a share that does not answer must not keep the answer back.
    fn load_unseen(&self) -> Result<Config, ConfigError> {
        config::load_unseen(&config::locate(self.config.as_deref())?)
    }
}

/// Runs the command that the process's arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let result = obey(Arguments::parse().command);
    match result {
        Ok(code) => code,
        // Who reads the answer has had enough of it.
        Err(cause) if is_closed(&cause) => ExitCode::from(exit::FAILED),
        Err(cause) => {
            complain(&cause);
            ExitCode::from(exit_code(&cause))
        }
    }
}

fn is_closed(cause: &anyhow::Error) -> bool {
    let cause = cause.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run { config, once } => run_daemon(&config, once),
        Command::Check { config } => check(&config),
        Command::Init { directory } => init(&directory),
        Command::Preview {
            config,
            file,
            output,
        } => preview(&config, &file, &output),
        Command::Mark { command } => make::run(command),
        Command::Service { command } => service::run(&command),
        Command::Trial { config, file } => hold_trial(&config, &file),
        Command::Completions { shell } => page::completions(&Arguments::command(), shell),
        Command::Man { dir } => page::man(Arguments::command(), dir.as_deref()),
        Command::Status { config, json } => status::run(&config.load_unseen()?, json),
        Command::Explain { config, file, json } => {
            explain::run(&config.load_unseen()?, &file, json)
        }
        Command::Retry {
            config,
            files,
            failed,
        } => {
            let config = config.load_unseen()?;
            if failed {
                again::all(&config, Verb::Retry)
            } else {
                again::named(&config, &files, Verb::Retry)
            }
        }
        Command::Reprocess { config, files } => {
            let config = config.load_unseen()?;
            if files.is_empty() {
                again::all(&config, Verb::Reprocess)
            } else {
                again::named(&config, &files, Verb::Reprocess)
            }
        }
    }
}

/// What another try cannot change has a code of its own: service managers do not restart then.
fn exit_code(cause: &anyhow::Error) -> u8 {
    if cause.is::<ConfigError>() || cause.is::<ledger::Refused>() {
        exit::BAD_CONFIG
    } else {
        exit::FAILED
    }
}

fn run_daemon(file: &ConfigFile, once: bool) -> anyhow::Result<ExitCode> {
    let config = file.load()?;
    // From here on no signal ends the process without the log being written.
    let signals = signal::listen().context("cannot listen to signals")?;
    run_configured(config, once, &signals).map(ExitCode::from)
}

fn run_configured(config: Config, once: bool, signals: &signal::Listening) -> anyhow::Result<u8> {
    let bar = if once && io::stderr().is_terminal() {
        progress_bar()?
    } else {
        ProgressBar::hidden()
    };
    refuse_beside_another(&config.ledger)?;
    let log = log::start(&config.log, &bar)?;
    log.flush_on_panic();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = log::text(&config.file),
        ledger = log::text(&config.ledger),
        "starting"
    );
    let until = if once { Until::AllDone } else { Until::Stopped };
    let settings = config.log.clone();
    let result = daemon::run(config, until, signals, &log, &bar);
    bar.finish_and_clear();
    let code = match result {
        Ok(ending) => {
            if once {
                // The log has the report too: a closed standard output loses nothing.
                drop(write!(io::stdout(), "{}", ending.report.table()));
            }
            if once && !ending.complete && !settings.console {
                let log = settings.dir.display();
                complain(&anyhow::anyhow!(
                    "not everything was dealt with, the log in {log} tells why"
                ));
            }
            let failed = !ending.complete || (once && ending.report.failures > 0);
            if failed { exit::FAILED } else { exit::FINE }
        }
        Err(cause) => {
            error!(cause = format!("{cause:#}"), "ended by a failure");
            if !settings.console {
                complain(&cause);
            }
            exit_code(&cause)
        }
    };
    log.flush();
    Ok(code)
}

/// Refuses a second daemon before it writes to what may be the log of the first. The first may be a
/// dead one, whose lock is still going: that is waited for.
fn refuse_beside_another(ledger: &Path) -> anyhow::Result<()> {
    // What cannot be found out now is told when the ledger is opened, in the log.
    if let Ok(Some(_)) = ledger::daemon(ledger) {
        drop(ledger::lock(ledger)?);
    }
    Ok(())
}

fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style =
        ProgressStyle::with_template("{bar:32} {pos}/{len} pictures, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style))
}

fn check(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = config::load_strictly(&config::locate(file.config.as_deref())?)?;
    ledger::inspect(&config.ledger)?;
    let mut out = io::stdout().lock();
    line(&mut out, format_args!("{}: fine", config.file.display()))?;
    line(&mut out, format_args!("workers: {}", config.workers))?;
    line(
        &mut out,
        format_args!("ledger: {}", config.ledger.display()),
    )?;
    line(&mut out, format_args!("log: {}", config.log.dir.display()))?;
    for folder in &config.folders {
        let (mode, why) = watch::choose_mode(folder);
        let depth = if folder.recursive {
            ", with subfolders"
        } else {
            ""
        };
        line(&mut out, format_args!("folder {}", folder.input.display()))?;
        if let Some(cause) = look::away(&folder.input) {
            line(
                &mut out,
                format_args!("  offline: {cause}; it is waited for"),
            )?;
        }
        line(
            &mut out,
            format_args!("  watch: {} ({why}){depth}", mode.name()),
        )?;
        line(
            &mut out,
            format_args!("  output: {}", folder.output.display()),
        )?;
        if folder
            .output
            .parent()
            .is_some_and(|parent| !parent.is_dir())
        {
            line(
                &mut out,
                format_args!("  output is offline: it is waited for"),
            )?;
        }
        if folder.after != Source::Keep {
            line(
                &mut out,
                format_args!("  after: {}", describe_source(&folder.after)),
            )?;
        }
        if folder.on_failure != Source::Keep {
            let what = describe_source(&folder.on_failure);
            line(&mut out, format_args!("  on_failure: {what}"))?;
        }
        line(
            &mut out,
            format_args!("  recipe: {}", describe(&folder.recipe)),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe_source(source: &Source) -> String {
    match source {
        Source::Keep => "keep".to_owned(),
        Source::Delete => "delete".to_owned(),
        Source::MoveTo(path) => format!("move_to {}", path.display()),
    }
}

/// A recipe in one line, in the words of the configuration.
fn describe(recipe: &Recipe) -> String {
    let chroma = match recipe.chroma {
        Chroma::Half => "420",
        Chroma::Full => "444",
    };
    let marks: String = recipe.marks.iter().map(describe_mark).collect();
    format!(
        "output_height {}{}, quality {}{marks}, output_quality {}, chroma {chroma}",
        recipe.output_height,
        if recipe.upscale { "" } else { " at most" },
        recipe.quality,
        recipe.output_quality,
    )
}

fn describe_mark(placed: &PlacedMark) -> String {
    let PlacedMark { mark, opacity, .. } = placed;
    let scale = placed
        .scale
        .map(|percent| format!(" scaled to {percent} %"));
    let rotate = (placed.rotate != 0.0).then(|| format!(" turned by {} degrees", placed.rotate));
    let tiled = matches!(placed.position, Position::Tile { .. }).then(|| ", tiled".to_owned());
    [
        format!(
            ", mark {}x{} at {opacity} % opacity",
            mark.width, mark.height
        ),
        scale.unwrap_or_default(),
        rotate.unwrap_or_default(),
        tiled.unwrap_or_default(),
    ]
    .concat()
}

/// The example is the commented configuration: one text, which the tests hold against the parser.
const EXAMPLE: &str = include_str!("../config.example.yaml");

fn init(directory: &Path) -> anyhow::Result<ExitCode> {
    let config = directory.join("config.yaml");
    let mark_file = directory.join("mark.npy");
    for path in [&config, &mark_file] {
        if path
            .try_exists()
            .with_context(|| format!("cannot look at {}", path.display()))?
        {
            bail!("{} exists, nothing was written", path.display());
        }
    }
    for folder in [directory.join("in"), directory.join("out")] {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create folder {}", folder.display()))?;
    }
    mark::save(&mark::sample(), &mark_file)?;
    File::create_new(&config)
        .and_then(|mut file| file.write_all(EXAMPLE.as_bytes()))
        .with_context(|| format!("cannot write {}", config.display()))?;
    let mut out = io::stdout().lock();
    let (file, mark, inbox) = (config.display(), mark_file.display(), directory.join("in"));
    line(&mut out, format_args!("wrote {file} and {mark}"))?;
    line(&mut out, format_args!("next: watermarkd run -c {file}"))?;
    let inbox = inbox.display();
    line(&mut out, format_args!("then drop pictures into {inbox}"))?;
    Ok(ExitCode::SUCCESS)
}

fn preview(config: &ConfigFile, file: &Path, output: &Path) -> anyhow::Result<ExitCode> {
    let config = config.load()?;
    let Some(wanted) = watch::promised_format(output) else {
        bail!(
            "{}: the name must end in .jpg, .jpeg or .png",
            output.display()
        );
    };
    let absolute = file
        .canonicalize()
        .with_context(|| format!("cannot open {}", file.display()))?;
    if output.canonicalize().is_ok_and(|output| output == absolute) {
        bail!("{}: the output would replace the picture", output.display());
    }
    let folder = folder_of(&config, &absolute)?;
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut scratch = Scratch::new()?;
    let treated = picture::treat(&bytes, wanted, &folder.recipe, &mut scratch, &mut |_| {})
        .with_context(|| file.display().to_string())?;
    staging::write(output, treated.bytes)?;
    let (width, height) = (treated.width, treated.height);
    let (output, bytes) = (output.display(), treated.bytes.len());
    line(
        &mut io::stdout(),
        format_args!("{output}: {width}x{height}, {bytes} bytes"),
    )?;
    if let Some(warning) = treated.warning {
        complain(&anyhow::anyhow!("{}: damaged: {warning}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the daemon does with a picture, without its outcome being of interest to anybody.
fn hold_trial(config: &ConfigFile, file: &Path) -> anyhow::Result<ExitCode> {
    trial::end_with_parent().context("cannot start a thread")?;
    let config = config.load()?;
    let wanted = watch::promised_format(file).context("not the name of a picture")?;
    let recipe = &folder_of(&config, &file.canonicalize()?)?.recipe;
    let mut bytes = Vec::new();
    os::open_regular(file)?.read_to_end(&mut bytes)?;
    let mut scratch = Scratch::new()?;
    let treated = picture::treat(&bytes, wanted, recipe, &mut scratch, &mut |_| {});
    if treated.is_err() && picture::close(&mut bytes) {
        picture::treat(&bytes, wanted, recipe, &mut scratch, &mut |_| {})?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder that a picture lies in, or the first one.
fn folder_of<'a>(config: &'a Config, absolute: &Path) -> anyhow::Result<&'a config::Folder> {
    let inside = |folder: &&config::Folder| {
        folder
            .input
            .canonicalize()
            .is_ok_and(|input| absolute.starts_with(input))
    };
    let folder = config
        .folders
        .iter()
        .find(inside)
        .or(config.folders.first());
    folder.context("the configuration has no folder")
}

/// Writes an error to standard error, each of its lines with the program's name; with that closed
/// there is nobody to tell.
fn complain(cause: &anyhow::Error) {
    let told = format!("{cause:#}");
    // What is wrong with a configuration has a line for each problem; else it is a name's line feed.
    let lines: Vec<&str> = if cause.is::<ConfigError>() {
        told.lines().collect()
    } else {
        vec![&told]
    };
    for line in lines {
        drop(writeln!(io::stderr(), "watermarkd: {}", words::plain(line)));
    }
}
