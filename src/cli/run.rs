//! `watermarkd run`: the daemon in the foreground.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use indicatif::ProgressBar;
use tracing::{error, info, warn};

use super::{config_file::ConfigFile, talk::Talk, terminal, usage::Usage};
use crate::{
    config::{self, Config, ConfigError},
    daemon, exit, ledger, log,
    scheduler::Until,
    signal,
    watch::Scanned,
};

pub fn run(file: &ConfigFile, once: bool, talk: Talk) -> anyhow::Result<ExitCode> {
    let config = file.load()?;
    // From here on no signal ends the process without the log being written.
    let signals = signal::listen().context("cannot listen to signals")?;
    run_configured(config, once, talk, &signals).map(ExitCode::from)
}

pub fn run_configured(
    mut config: Config,
    once: bool,
    talk: Talk,
    signals: &signal::Listening,
) -> anyhow::Result<u8> {
    config.log.level = talk.level(config.log.level);
    let bar = if once {
        talk.bar(0)?
    } else {
        ProgressBar::hidden()
    };
    refuse_beside_another(&config.ledger)?;
    let mut log = log::start(&config.log, &bar, talk.quiet)?;
    if talk.verbose > 0 {
        log.keep_level();
    }
    log.flush_on_panic();
    log.name_folders(&config.folders);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = log::text(&config.file),
        ledger = log::text(&config.ledger),
        "starting"
    );
    for warning in config::warnings(&config) {
        warn!("{warning}");
    }
    let until = if once { Until::AllDone } else { Until::Stopped };
    let settings = config.log.clone();
    let result = daemon::run(config, until, signals, &log, &bar);
    bar.finish_and_clear();
    let code = match result {
        Ok(ending) => {
            if once && !talk.quiet {
                // The log has the report too: a closed standard output loses nothing.
                drop(write!(
                    io::stdout(),
                    "{}{}",
                    ending.report.table(),
                    rest(&ending)
                ));
            }
            if once && !ending.complete && !ending.interrupted && !settings.console {
                let log = settings.dir.display();
                terminal::error(&anyhow::anyhow!(
                    "not everything was processed, the log in {log} tells why"
                ));
            }
            let failed = !ending.complete || (once && ending.report.failures > 0);
            match (ending.interrupted, failed) {
                (true, _) => exit::INTERRUPTED,
                (false, true) => exit::FAILED,
                (false, false) => exit::FINE,
            }
        }
        Err(cause) => {
            error!(cause = format!("{cause:#}"), "ended by a failure");
            if !settings.console {
                terminal::error(&cause);
            }
            exit_code(&cause)
        }
    };
    log.flush();
    Ok(code)
}

/// What a single run did not do, a line for each kind.
fn rest(ending: &daemon::Ending) -> String {
    let Scanned {
        done,
        failed,
        not_taken,
        ..
    } = &ending.scanned;
    let mut told = String::new();
    if done + failed > 0 {
        told = format!("{done} done before, {failed} failed before\n");
    }
    if not_taken.total() > 0 {
        told = format!("{told}not taken: {not_taken}\n");
    }
    if ending.interrupted {
        let left = ending.report.left;
        told = format!("{told}stopped: {left} left, the next run takes them up\n");
    }
    told
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

/// What another try cannot change has a code of its own: service managers do not restart then.
pub fn exit_code(cause: &anyhow::Error) -> u8 {
    if cause.is::<ConfigError>() || cause.is::<ledger::Refused>() {
        exit::BAD_CONFIG
    } else if cause.is::<Usage>() {
        exit::USAGE
    } else {
        exit::FAILED
    }
}
