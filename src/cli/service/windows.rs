//! The commands of the Windows service.

use std::{
    io::{self, Write},
    path::{Component, Path, Prefix},
    process::ExitCode,
};

use anyhow::{Context, bail};
use tracing::error;

use crate::{
    cli::{
        config_file::ConfigFile,
        run::{exit_code, run_configured},
        talk::Talk,
        terminal,
    },
    config::{self, Config},
    exit, log,
    service::windows as service,
    signal::Listening,
};

pub fn install(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = file.load()?;
    for path in paths(&config) {
        if let Some(share) = behind_mapped_drive(path) {
            bail!(
                "{}: services have no mapped drives, write {share} in {}",
                path.display(),
                config.file.display()
            );
        }
    }
    let unset = service::install(&config.file)?;
    for cause in unset {
        terminal::error(&anyhow::anyhow!("{cause}"));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "installed, configured by {}", config.file.display())?;
    writeln!(out, "log: {}", config.log.dir.display())?;
    writeln!(out, "its account, {}, needs rights:", service::account())?;
    for command in service::grants(&config) {
        writeln!(out, "  {command}")?;
    }
    writeln!(out, "next: watermarkd service start")?;
    Ok(ExitCode::SUCCESS)
}

pub fn uninstall() -> anyhow::Result<ExitCode> {
    service::uninstall()?;
    show_state()?;
    Ok(ExitCode::SUCCESS)
}

pub fn start() -> anyhow::Result<ExitCode> {
    service::start()?;
    show_state()?;
    Ok(ExitCode::SUCCESS)
}

pub fn stop() -> anyhow::Result<ExitCode> {
    service::stop()?;
    show_state()?;
    Ok(ExitCode::SUCCESS)
}

pub fn reload() -> anyhow::Result<ExitCode> {
    service::reload()?;
    show_state()?;
    Ok(ExitCode::SUCCESS)
}

/// The exit code tells whether the service runs.
pub fn status() -> anyhow::Result<ExitCode> {
    let running = matches!(show_state()?, service::State::Running { .. });
    let code = if running { exit::FINE } else { exit::FAILED };
    Ok(ExitCode::from(code))
}

fn show_state() -> anyhow::Result<service::State> {
    let state = service::state()?;
    let text = match state {
        service::State::Missing => "not installed".to_owned(),
        service::State::Stopped(None) => "stopped".to_owned(),
        service::State::Stopped(Some(0)) => "stopped (exit code 0)".to_owned(),
        service::State::Stopped(Some(code)) => {
            format!("stopped (exit code {code}, its log tells why)")
        }
        service::State::Pending => "starting or stopping".to_owned(),
        service::State::Running { pid } => format!("running, process {pid}"),
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(state)
}

/// The daemon as the service manager starts it: what goes to the console goes nowhere, and the
/// current folder is the system's.
pub fn serve(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = file.config.clone();
    let file = ConfigFile { config };
    service::run(move |signals| daemon(&file, &signals))?;
    Ok(ExitCode::SUCCESS)
}

fn daemon(file: &ConfigFile, signals: &Listening) -> u8 {
    let result = file.load().map_err(Into::into).and_then(|config| {
        service::configured();
        run_configured(config, false, Talk::default(), signals)
    });
    result.unwrap_or_else(|cause| {
        tell(file, &cause);
        exit_code(&cause)
    })
}

/// Writes to the default log why the configured one was not even started.
fn tell(file: &ConfigFile, cause: &anyhow::Error) {
    let told = config::locate(file.config.as_deref())
        .ok()
        .and_then(|file| config::default_log(&file))
        .context("no folder for a log")
        .and_then(|settings| log::start(&settings, &indicatif::ProgressBar::hidden(), false));
    if let Ok(log) = told {
        for line in format!("{cause:#}").lines() {
            error!(cause = line, "cannot start");
        }
        log.flush();
    }
}

fn paths(config: &Config) -> impl Iterator<Item = &Path> {
    let folders = config.folders.iter().flat_map(|folder| {
        let own = [folder.input.as_path(), folder.output.as_path()];
        own.into_iter().chain(folder.moved_to())
    });
    folders.chain([config.file.as_path(), &config.log.dir])
}

/// The share that a drive letter stands for in this session.
fn behind_mapped_drive(path: &Path) -> Option<String> {
    let kind =
        |path: &Path| match path.components().next()? {
            Component::Prefix(prefix) => match prefix.kind() {
                Prefix::Disk(_) | Prefix::VerbatimDisk(_) => Some(None),
                Prefix::UNC(server, share) | Prefix::VerbatimUNC(server, share) => Some(Some(
                    format!("\\\\{}\\{}", server.display(), share.display()),
                )),
                _ => None,
            },
            _ => None,
        };
    let real = path.ancestors().find_map(|path| path.canonicalize().ok())?;
    match (kind(path)?, kind(&real)?) {
        (None, Some(share)) => Some(share),
        _ => None,
    }
}
