//! The command line: arguments to command to exit code. Each command has a file of its own.

mod answer;
mod apply;
mod asked;
mod availability;
mod check;
mod completions;
mod config_file;
mod control;
mod examples;
mod explain;
mod init;
mod man;
mod mark;
mod place;
mod preview;
mod retry;
mod run;
mod service;
mod status;
mod talk;
mod terminal;
mod trial;
mod usage;
mod when;

use std::{io, path::PathBuf, process::ExitCode, thread, time::Duration};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::{
    asked::Asked,
    config_file::ConfigFile,
    retry::{Consent, Verb},
    talk::Talk,
};
use crate::exit;

/// Between two looks of `status --watch`.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// Watches folders and publishes every picture dropped into them scaled, recompressed and
/// watermarked.
#[derive(Debug, Parser)]
#[command(version, about, after_help = examples::FIRST_STEPS, after_long_help = after_help())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    talk: Talk,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mark pictures now, without a configuration.
    ///
    /// A result is visible only when it is whole. Nothing that is there is replaced without --force,
    /// and a source never is. Of two pictures with one name the second gets a number. Ctrl-C leaves
    /// what is done, and no part of a picture.
    #[command(after_long_help = examples::APPLY)]
    Apply(Box<apply::Arguments>),
    /// Run the daemon in the foreground.
    ///
    /// It watches the folders until SIGTERM or SIGINT. SIGHUP reloads the configuration, SIGUSR1
    /// writes the report to the log.
    #[command(after_long_help = examples::RUN)]
    Run {
        /// Process what is in the folders now, print a report, and exit.
        #[arg(long)]
        once: bool,
    },
    /// Check the configuration and print what the daemon would do.
    ///
    /// This opens the marks and the folders too, and changes nothing.
    #[command(after_long_help = examples::CHECK)]
    Check {
        /// Check with the rights of this user, as the service has them. Only root can (Linux).
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Write a commented configuration, a mark with your name, a picture and the folders, ready to
    /// run.
    ///
    /// Pictures are never enlarged, results have a JPEG quality of 90, and the mark is at the lower
    /// right.
    #[command(after_long_help = examples::INIT)]
    Init {
        /// The folder to write to. It is created if it is missing; existing files are kept.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The input folder. Without it: "in" in DIR.
        #[arg(long, value_name = "FOLDER")]
        input: Option<PathBuf>,
        /// The output folder. Without it: "out" in DIR.
        #[arg(long, value_name = "FOLDER")]
        output: Option<PathBuf>,
        /// The text of the mark. Without it, © and your name, or the year.
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        text: Option<String>,
        /// Write the new form of a file of the Python tool instead. Results stay as they were.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "input", "output"])]
        from_python: Option<PathBuf>,
    },
    /// Make a mark from a text or a picture.
    #[command(after_long_help = examples::MARK)]
    Mark {
        #[command(subcommand)]
        command: mark::Command,
    },
    /// Install and control the service: under systemd or Windows. macOS: print the commands to use.
    #[command(after_long_help = examples::SERVICE)]
    Service {
        #[command(subcommand)]
        command: service::Command,
    },
    /// Make one picture for the daemon, in a process that the picture may kill.
    #[command(hide = true, name = crate::trial::COMMAND)]
    Trial {
        #[arg(long)]
        recipe: u64,
        #[arg(long)]
        length: u64,
        #[arg(long, allow_hyphen_values = true)]
        written: i64,
        file: PathBuf,
    },
    /// Show whether the daemon runs, the counts of each folder, and recent failures.
    #[command(after_long_help = examples::STATUS)]
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Print it again every two seconds, until Ctrl-C.
        #[arg(short, long)]
        watch: bool,
    },
    /// Say what became of a file, why, and what happens next.
    #[command(after_long_help = examples::EXPLAIN)]
    Explain {
        /// The files; they may be gone already. Of a folder, the files in it are explained too.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have the running daemon read its configuration again, and print its verdict.
    ///
    /// A configuration with a mistake changes nothing: the reasons are printed, and the exit code is
    /// 78.
    #[command(after_long_help = examples::RELOAD)]
    Reload,
    /// Have the running daemon finish what is in progress and end, and wait for that.
    #[command(after_long_help = examples::STOP)]
    Stop,
    /// Retry files that failed or wait for their next try.
    ///
    /// A running daemon starts at once.
    #[command(after_long_help = examples::RETRY)]
    Retry {
        /// Files in the input folders, or in the folders that failed ones are moved to.
        #[arg(value_name = "FILE", required_unless_present = "failed")]
        files: Vec<PathBuf>,
        /// Retry every file that failed.
        #[arg(long, conflicts_with = "files")]
        failed: bool,
    },
    /// Process files again that are done or have failed.
    ///
    /// Without a file: all that were processed with a recipe other than the present one, once you
    /// have said yes. A running daemon starts at once.
    #[command(after_long_help = examples::REPROCESS)]
    Reprocess {
        /// Files in the input folders.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Do not ask before all that were done with another recipe are processed again.
        #[arg(long, conflicts_with = "files")]
        all: bool,
        /// Only name the files.
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Process one picture with the recipe of its folder and write the result.
    ///
    /// A picture that lies in no input folder gets the recipe of the first one.
    #[command(after_long_help = examples::PREVIEW)]
    Preview {
        /// The picture.
        file: PathBuf,
        /// Where to write the result: a name that ends in .jpg, .jpeg, .jpe, .jfif, .png or .webp.
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
    },
    /// Print the completions for a shell.
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions { shell: Shell },
    /// Print the man page.
    #[command(after_long_help = examples::MAN)]
    Man {
        /// Write one page for each command to this folder instead.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Runs the command that the process's arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let result = dispatch(Arguments::parse());
    match result {
        Ok(code) => code,
        // The reader closed the pipe: it has read enough.
        Err(cause) if is_closed(&cause) => ExitCode::from(exit::FAILED),
        Err(cause) => {
            terminal::error(&cause);
            ExitCode::from(run::exit_code(&cause))
        }
    }
}

fn is_closed(cause: &anyhow::Error) -> bool {
    let cause = cause.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        command,
        config,
        talk,
    } = arguments;
    refuse_config(&command, &config)?;
    match command {
        Command::Apply(arguments) => apply::run(&arguments, &config, talk),
        Command::Run { once } => run::run(&config, once, talk),
        Command::Check { user } => check::run(&config, user.as_deref()),
        Command::Init {
            directory,
            input,
            output,
            text,
            from_python,
        } => match from_python {
            Some(old) => init::python(&old, &directory),
            None => init::run(
                &directory,
                input.as_deref(),
                output.as_deref(),
                text.as_deref(),
            ),
        },
        Command::Preview { file, output } => preview::run(&config, &file, &output),
        Command::Mark { command } => mark::run(command),
        Command::Service { command } => service::run(&command, &config),
        Command::Trial {
            recipe,
            length,
            written,
            file,
        } => trial::run(&config, &file, recipe, (length, written)),
        Command::Completions { shell } => completions::run(&Arguments::command(), shell),
        Command::Man { dir } => man::run(Arguments::command(), dir.as_deref()),
        Command::Status { json, watch: true } => watch(&config, json),
        Command::Status { json, watch: false } => status::run(config.ask()?, json),
        Command::Explain { files, json } => explain::run(&config.ask()?, &files, json),
        Command::Retry { files, failed } => {
            let asked = config.ask()?;
            if failed {
                retry::all(&asked, Verb::Retry, Consent::Given)
            } else {
                retry::named(&asked, &files, Verb::Retry, false)
            }
        }
        Command::Reload => control::reload(&config.ask()?),
        Command::Stop => control::stop(&config.ask()?),
        Command::Reprocess {
            files,
            all,
            dry_run,
        } => reprocess(&config.ask()?, &files, all, dry_run),
    }
}

/// Shows the status anew again and again. What cannot be told once may be told the next time.
fn watch(config: &ConfigFile, json: bool) -> anyhow::Result<ExitCode> {
    loop {
        let asked = config.ask();
        terminal::clear()?;
        match asked.and_then(|asked| status::run(asked, json)) {
            Ok(_) => {}
            Err(cause) if is_closed(&cause) => return Err(cause),
            Err(cause) => terminal::error(&cause),
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

fn reprocess(
    asked: &Asked,
    files: &[PathBuf],
    all: bool,
    dry_run: bool,
) -> anyhow::Result<ExitCode> {
    if !files.is_empty() {
        return retry::named(asked, files, Verb::Reprocess, dry_run);
    }
    let consent = match (dry_run, all) {
        (true, _) => Consent::DryRun,
        (false, true) => Consent::Given,
        (false, false) => Consent::Wanted,
    };
    retry::all(asked, Verb::Reprocess, consent)
}

/// Refuses `-c` where it would mean nothing, for whoever gives it expects something of it.
fn refuse_config(command: &Command, config: &ConfigFile) -> anyhow::Result<()> {
    let name = match command {
        Command::Init { .. } => "init",
        Command::Mark { .. } => "mark",
        Command::Completions { .. } => "completions",
        Command::Man { .. } => "man",
        _ => return Ok(()),
    };
    if config.config.is_some() {
        return Err(usage::Usage::error(format!("{name} takes no -c")));
    }
    Ok(())
}

/// The exit codes, and the shortest way to a first picture.
fn after_help() -> String {
    let codes = exit::MEANINGS.map(|(code, meaning)| format!("  {code:>3}  {meaning}\n"));
    format!("Exit codes:\n{}\n{}", codes.concat(), examples::FIRST_STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_example_is_a_command_that_is_understood() {
        let whole = Arguments::command();
        let commands = whole.get_subcommands().filter(|one| !one.is_hide_set());
        let mut count = 0;
        for command in commands {
            let examples = command.get_after_long_help().map(ToString::to_string);
            let examples = examples.unwrap_or_default();
            for line in examples
                .lines()
                .filter_map(|line| line.strip_prefix("  watermarkd "))
            {
                let line = line.split(['>', '|']).next().unwrap_or_default();
                let words = words(line);
                let program = "watermarkd".to_owned();
                let parsed = Arguments::try_parse_from([program].into_iter().chain(words));
                assert!(parsed.is_ok(), "{line}: {parsed:?}");
                assert!(line.starts_with(command.get_name()), "{line}");
                count += 1;
            }
        }
        assert!(count > 12, "{count} examples");
    }

    /// The words of a command line, quotes taken off as a shell does.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let (mut word, mut quote) = (None, None);
        for character in line.chars() {
            match (character, quote) {
                (end, Some(open)) if end == open => quote = None,
                ('"' | '\'', None) => {
                    quote = Some(character);
                    word.get_or_insert_with(String::new);
                }
                (' ', None) => words.extend(word.take()),
                _ => word.get_or_insert_with(String::new).push(character),
            }
        }
        words.extend(word);
        words
    }
}
