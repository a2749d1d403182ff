//! `watermarkd service`: the Windows service; elsewhere what to do instead.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Subcommand;

use super::config_file::ConfigFile;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Order {
    /// Stop the service and remove it; configuration, ledger and log stay.
    Uninstall,
    /// Start the service and wait until it watches its folders.
    Start,
    /// Stop the service and wait until what was in hand is finished.
    Stop,
    /// Have the service read its configuration again; its log tells the outcome.
    Reload,
    /// Tell whether the service is installed and running.
    Status,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the service, to be started with the system, and tell what rights its account needs.
    Install {
        #[command(flatten)]
        config: ConfigFile,
    },
    #[command(flatten)]
    Order(Order),
    /// What the service manager starts.
    #[command(hide = true)]
    Run {
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[cfg(windows)]
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Install { config } => windows::install(config),
        Command::Order(order) => windows::carry_out(*order),
        Command::Run { config } => windows::serve(config),
    }
}

#[cfg(not(windows))]
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let told = match command {
        Command::Install { .. } => INSTALL,
        Command::Order(Order::Uninstall) => UNINSTALL,
        Command::Order(Order::Start) => "systemctl start watermarkd\n",
        Command::Order(Order::Stop) => "systemctl stop watermarkd\n",
        Command::Order(Order::Reload) => "systemctl reload watermarkd\n",
        Command::Order(Order::Status) => "systemctl status watermarkd\n",
        Command::Run { .. } => {
            anyhow::bail!("only Windows starts services so: use \"watermarkd run\"")
        }
    };
    write!(io::stdout(), "{told}")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(windows))]
const INSTALL: &str = "\
Here the service manager keeps the service; the Debian package installs its unit. By hand, in a
clone of the repository, as root:

  install -m 755 target/release/watermarkd /usr/bin/
  install -m 644 packaging/systemd/watermarkd.service /etc/systemd/system/
  watermarkd init /etc/watermarkd
  systemctl daemon-reload
  systemctl enable --now watermarkd
";

#[cfg(not(windows))]
const UNINSTALL: &str = "\
systemctl disable --now watermarkd
rm /etc/systemd/system/watermarkd.service
systemctl daemon-reload
";

#[cfg(windows)]
mod windows {
    use std::path::{Component, Path, Prefix};

    use anyhow::{Context, bail};
    use tracing::error;

    use super::{ConfigFile, ExitCode, Order, Write, io};
    use crate::{
        cli::{
            run::{exit_code, run_configured},
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

    pub fn carry_out(order: Order) -> anyhow::Result<ExitCode> {
        match order {
            Order::Uninstall => service::uninstall()?,
            Order::Start => service::start()?,
            Order::Stop => service::stop()?,
            Order::Reload => service::reload()?,
            Order::Status => {}
        }
        let state = service::state()?;
        let told = match state {
            service::State::Missing => "not installed".to_owned(),
            service::State::Stopped(None) => "stopped".to_owned(),
            service::State::Stopped(Some(0)) => "stopped (exit code 0)".to_owned(),
            service::State::Stopped(Some(code)) => {
                format!("stopped (exit code {code}, its log tells why)")
            }
            service::State::Pending => "starting or stopping".to_owned(),
            service::State::Running { pid } => format!("running, process {pid}"),
        };
        writeln!(io::stdout(), "{told}")?;
        let fine = order != Order::Status || matches!(state, service::State::Running { .. });
        Ok(ExitCode::from(if fine { exit::FINE } else { exit::FAILED }))
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
            run_configured(config, false, signals)
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
            .and_then(|settings| log::start(&settings, &indicatif::ProgressBar::hidden()));
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
        let kind = |path: &Path| match path.components().next()? {
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
}
