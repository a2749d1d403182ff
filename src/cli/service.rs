//! `watermarkd service`: the Windows service, the service of systemd, and elsewhere the commands that
//! do the same.

#[cfg(not(any(windows, target_os = "macos")))]
mod systemd;
#[cfg(windows)]
mod windows;

use std::process::ExitCode;

use clap::Subcommand;

use super::{config_file::ConfigFile, examples};
#[cfg(not(any(windows, target_os = "macos")))]
use systemd::Manner;

/// Windows and macOS have one service, and nothing is only shown.
#[cfg(any(windows, target_os = "macos"))]
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Manner {}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the service and start it.
    ///
    /// Under systemd this makes the user of the service, the folders that are missing, and, if there
    /// is none, a configuration. It gives the service the rights to the folders of the
    /// configuration. Run it again after a change of the folders. It checks the configuration with
    /// the rights of that user first, and stops at a mistake.
    /// On Windows it prints the rights that the service's account needs, and does not start it.
    #[command(after_long_help = examples::SERVICE_INSTALL)]
    Install {
        #[command(flatten)]
        manner: Manner,
    },
    /// Stop the service and remove it. Configuration, ledger, log and pictures stay.
    #[command(after_long_help = examples::SERVICE_UNINSTALL)]
    Uninstall {
        #[command(flatten)]
        manner: Manner,
    },
    /// Start the service and wait until it watches its folders.
    #[command(after_long_help = examples::SERVICE_START)]
    Start {
        #[command(flatten)]
        manner: Manner,
    },
    /// Stop the service and wait until the pictures that are being processed are finished.
    #[command(after_long_help = examples::SERVICE_STOP)]
    Stop {
        #[command(flatten)]
        manner: Manner,
    },
    /// Reload the configuration. The log of the service says whether it was taken.
    #[command(after_long_help = examples::SERVICE_RELOAD)]
    Reload {
        #[command(flatten)]
        manner: Manner,
    },
    /// Say whether the service is installed and running.
    #[command(after_long_help = examples::SERVICE_STATUS)]
    Status {
        #[command(flatten)]
        manner: Manner,
    },
    /// What the service manager starts.
    #[command(hide = true)]
    Run,
}

#[cfg(windows)]
pub fn run(command: &Command, config: &ConfigFile) -> anyhow::Result<ExitCode> {
    match command {
        Command::Install { .. } => windows::install(config),
        Command::Uninstall { .. } => windows::uninstall(),
        Command::Start { .. } => windows::start(),
        Command::Stop { .. } => windows::stop(),
        Command::Reload { .. } => windows::reload(),
        Command::Status { .. } => windows::status(),
        Command::Run => windows::serve(config),
    }
}

#[cfg(not(any(windows, target_os = "macos")))]
pub fn run(command: &Command, config: &ConfigFile) -> anyhow::Result<ExitCode> {
    match command {
        Command::Install { manner } => systemd::install(config.config.as_deref(), *manner),
        Command::Uninstall { manner } => systemd::uninstall(*manner),
        Command::Start { manner } => systemd::control("start", *manner),
        Command::Stop { manner } => systemd::control("stop", *manner),
        Command::Reload { manner } => systemd::control("reload", *manner),
        Command::Status { manner } => systemd::control("status", *manner),
        Command::Run => {
            anyhow::bail!("only Windows starts services so: use \"watermarkd run\"")
        }
    }
}

#[cfg(target_os = "macos")]
pub fn run(command: &Command, _config: &ConfigFile) -> anyhow::Result<ExitCode> {
    use std::io::{self, Write};

    let steps = match command {
        Command::Install { .. } => steps::INSTALL,
        Command::Uninstall { .. } => steps::UNINSTALL,
        Command::Start { .. } => steps::START,
        Command::Stop { .. } => steps::STOP,
        Command::Reload { .. } => steps::RELOAD,
        Command::Status { .. } => steps::STATUS,
        Command::Run => {
            anyhow::bail!("only Windows starts services so: use \"watermarkd run\"")
        }
    };
    write!(io::stdout(), "{steps}")?;
    Ok(ExitCode::SUCCESS)
}

/// launchd knows neither readiness nor a status of the daemon; its log has both.
#[cfg(target_os = "macos")]
mod steps {
    pub const INSTALL: &str = "\
# launchd runs the service. Run these commands as root in a clone of the repository, after
# `cargo build --release` and after you have written the configuration that the plist names.
install -m 755 target/release/watermarkd /usr/local/bin/
install -m 644 packaging/launchd/watermarkd.plist /Library/LaunchDaemons/
launchctl bootstrap system /Library/LaunchDaemons/watermarkd.plist
";
    pub const UNINSTALL: &str = "\
launchctl bootout system/watermarkd
rm /Library/LaunchDaemons/watermarkd.plist
";
    pub const START: &str = "launchctl kickstart system/watermarkd\n";
    pub const STOP: &str = "launchctl bootout system/watermarkd\n";
    pub const RELOAD: &str = "launchctl kill SIGHUP system/watermarkd\n";
    pub const STATUS: &str = "launchctl print system/watermarkd\n";
}
