//! `watermarkd completions`: made from the same words as `--help`, so that they cannot say anything
//! else.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Command;
use clap_complete::Shell;

const NAME: &str = "watermarkd";

/// Writes the completions of a shell to standard output.
pub fn run(command: &Command, shell: Shell) -> anyhow::Result<ExitCode> {
    let mut command = without_hidden(command);
    // Made whole first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The generators offer hidden commands too.
fn without_hidden(command: &Command) -> Command {
    let shown = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set());
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .args(command.get_arguments().cloned())
        .subcommands(shown.cloned())
}
