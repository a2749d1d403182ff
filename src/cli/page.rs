//! `watermarkd completions` and `watermarkd man`: made from the same words as `--help`, so that they
//! cannot say anything else.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

const NAME: &str = "watermarkd";

/// Writes the completions of a shell to standard output.
pub fn completions(command: &Command, shell: Shell) -> anyhow::Result<ExitCode> {
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

/// Writes one page with all commands to standard output, or a page for each command to a folder.
pub fn man(command: Command, directory: Option<&Path>) -> anyhow::Result<ExitCode> {
    let Some(directory) = directory else {
        io::stdout().write_all(&page(command)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create folder {}", directory.display()))?;
    clap_mangen::generate_to(command, directory)
        .with_context(|| format!("cannot write pages to {}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The page of the program, with a section for each command.
fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut whole = command.disable_help_subcommand(true);
    whole.build();
    let mut page = Vec::new();
    let man = Man::new(whole.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for command in whole.get_subcommands() {
        section(command, &mut page)?;
    }
    man.render_version_section(&mut page)?;
    Ok(page)
}

fn section(command: &Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    if command.is_hide_set() {
        return Ok(());
    }
    if command.has_subcommands() {
        for inner in command.get_subcommands() {
            section(inner, page)?;
        }
        return Ok(());
    }
    let mut text = Vec::new();
    let man = Man::new(command.clone());
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let name = command.get_bin_name().unwrap_or(command.get_name());
    writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
    // One level below the program's own sections.
    let text = String::from_utf8(text)?.replace("\n.SH ", "\n.SS ");
    page.extend_from_slice(text.replacen(".SH ", ".SS ", 1).as_bytes());
    Ok(())
}
