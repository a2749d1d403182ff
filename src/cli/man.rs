//! `watermarkd man`: made from the same words as `--help`, from the exit codes of the program and
//! from the example configuration, so that it cannot say anything else.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::init::EXAMPLE;
use crate::exit;

/// Files and folders, each with what it is.
const FILES: [(&str, &str); 9] = [
    (
        "$WATERMARKD_CONFIG",
        "The configuration, if -c does not name one. If this is not set either, the first of the \
         following four that exists is taken.",
    ),
    (
        "$CONFIGURATION_DIRECTORY/config.yaml",
        "The configuration under systemd.",
    ),
    (
        "~/.config/watermarkd/config.yaml",
        "The configuration of a user on Linux.",
    ),
    (
        "%ProgramData%\\watermarkd\\config.yaml",
        "The configuration of the Windows service.",
    ),
    (
        "/etc/watermarkd/config.yaml",
        "The configuration of the system on Linux.",
    ),
    (
        "./watermarkd.yaml, ./config.yaml",
        "The configuration in the current folder, at last.",
    ),
    (
        "/var/lib/watermarkd",
        "The ledger, for a configuration in /etc/watermarkd. $STATE_DIRECTORY replaces it. For a \
         user: ~/.local/state/watermarkd.",
    ),
    (
        "/var/log/watermarkd",
        "The log, for a configuration in /etc/watermarkd. $LOGS_DIRECTORY replaces it. For a user: \
         the folder log beside the ledger.",
    ),
    (
        "OUTPUT/.watermarkd-*",
        "A picture that is being written. It gets its name when it is complete; leftovers are \
         removed at the next start.",
    ),
];

const SIGNALS: [(&str, &str); 3] = [
    (
        "SIGTERM, SIGINT",
        "Shut down: stop watching, finish the pictures that are being processed (30 seconds at \
         most), exit with 0. A second signal ends the process at once.",
    ),
    (
        "SIGHUP",
        "Reload the configuration. If it is bad, nothing changes and the log says why. The log \
         file is opened anew.",
    ),
    ("SIGUSR1", "Write the report to the log."),
];

/// Writes one page with all commands to standard output, or a page for each command to a folder.
pub fn run(command: Command, directory: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut whole = command.disable_help_subcommand(true);
    whole.build();
    let Some(directory) = directory else {
        io::stdout().write_all(&page(&whole)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create folder {}", directory.display()))?;
    let write = |name: String, page: Vec<u8>| {
        let file = directory.join(name);
        fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))
    };
    for command in shown(&whole) {
        let page = page_of(command)?;
        write(
            format!("{}.1", command.get_display_name().unwrap_or_default()),
            page,
        )?;
    }
    write(format!("{}.1", whole.get_name()), page(&whole)?)?;
    Ok(ExitCode::SUCCESS)
}

/// All commands, groups before what is in them, in the order of `--help`.
fn shown(whole: &Command) -> Vec<&Command> {
    let commands = whole.get_subcommands().filter(|one| !one.is_hide_set());
    commands
        .flat_map(|command| [vec![command], shown(command)].concat())
        .collect()
}

/// The page of the program, with a section for each command.
fn page(whole: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(whole.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for command in shown(whole)
        .into_iter()
        .filter(|one| !one.has_subcommands())
    {
        let mut text = Vec::new();
        describe(command, &mut text)?;
        let name = command.get_bin_name().unwrap_or(command.get_name());
        writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
        // One level below the program's own sections.
        let text = String::from_utf8(text)?.replace("\n.SH ", "\n.SS ");
        page.extend_from_slice(text.replacen(".SH ", ".SS ", 1).as_bytes());
    }
    let mut roff = Roff::new();
    roff.control("SH", ["CONFIGURATION"]);
    roff.text([roman(
        "The configuration is a YAML file. This example, which `watermarkd init` writes, has every \
         key with its default and its range.",
    )]);
    verbatim(&mut roff, EXAMPLE.lines());
    definitions(&mut roff, "FILES", FILES);
    definitions(&mut roff, "SIGNALS", SIGNALS);
    let codes = exit::MEANINGS.map(|(code, meaning)| (code.to_string(), meaning));
    definitions(&mut roff, "EXIT STATUS", codes);
    roff.control("SH", ["EXAMPLES"]);
    verbatim(&mut roff, examples(whole));
    for command in whole.get_subcommands() {
        verbatim(&mut roff, examples(command));
    }
    roff.to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// The page of one command.
fn page_of(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    describe(command, &mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    if examples(command).next().is_some() {
        roff.control("SH", ["EXAMPLES"]);
        verbatim(&mut roff, examples(command));
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("watermarkd"), roman("(1)")]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn describe(command: &Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    let man = Man::new(command.clone());
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    Ok(())
}

/// The lines of a command's help that follow "Examples:".
fn examples(command: &Command) -> impl Iterator<Item = String> {
    let help = command.get_after_long_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let lines: Vec<String> = help.lines().map(str::to_owned).collect();
    lines
        .into_iter()
        .skip_while(|line| line != "Examples:")
        .skip(1)
}

/// Lines as they are.
fn verbatim<T: Into<String>>(roff: &mut Roff, lines: impl Iterator<Item = T>) {
    roff.control("PP", []);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

/// A section of terms with what they mean.
fn definitions<T: Into<String>, const N: usize>(
    roff: &mut Roff,
    title: &str,
    terms: [(T, &str); N],
) {
    roff.control("SH", [title]);
    for (term, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(meaning)]);
    }
}
