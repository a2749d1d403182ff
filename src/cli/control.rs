//! `watermarkd reload` and `stop`: the daemon that runs is told, and waited for.

use std::{
    io,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

use super::{
    asked::{Asked, Relation},
    terminal,
    terminal::line,
};
use crate::{
    exit,
    ledger::{self, Verdict},
    signal::{self, STOP_AT_MOST, Signal},
};

/// Longest wait for the verdict: marks and folders may lie on slow shares.
const RELOAD_AT_MOST: Duration = Duration::from_secs(60);
/// Beyond what a stop may take, for the log and the ledger.
const GRACE: Duration = Duration::from_secs(15);
/// The daemon tells by a file and by the end of its lock, which nothing waits on.
const LOOK: Duration = Duration::from_millis(50);

/// Has the daemon read its configuration again, and tells what it thought of it.
pub fn reload(about: &Asked) -> anyhow::Result<ExitCode> {
    let (pid, running) = (pid_of(about)?, about.running.as_ref());
    if running.is_some_and(|running| running.single) {
        bail!("process {pid} is a `run --once`, which keeps its configuration");
    }
    let before = running.and_then(|running| running.verdict.clone());
    signal::send(pid, Signal::Reload)?;
    let deadline = Instant::now() + RELOAD_AT_MOST;
    while Instant::now() < deadline {
        // What a daemon that was killed has left stays until the next one leaves its own.
        let verdict = ledger::running(&about.config.ledger)
            .filter(|running| running.pid == pid)
            .and_then(|running| running.verdict);
        if let Some(verdict) = verdict
            && Some(&verdict) != before.as_ref()
        {
            return tell(pid, &verdict);
        }
        if !is_there(about, pid)? {
            bail!("process {pid} ended before it had read the configuration; its log tells why");
        }
        thread::sleep(LOOK);
    }
    let log = about.config.log.dir.display();
    let seconds = RELOAD_AT_MOST.as_secs();
    bail!("process {pid} has not answered for {seconds} s; its log in {log} may tell why")
}

fn tell(pid: u32, verdict: &Verdict) -> anyhow::Result<ExitCode> {
    for reason in &verdict.reasons {
        terminal::error(&anyhow::anyhow!("{reason}"));
    }
    if !verdict.taken {
        terminal::error(&anyhow::anyhow!(
            "rejected, process {pid} goes on with the configuration that it has"
        ));
        return Ok(exit::BAD_CONFIG.into());
    }
    let warned = if verdict.reasons.is_empty() {
        ""
    } else {
        ", with warnings"
    };
    line(
        &mut io::stdout(),
        format_args!("process {pid} has taken the configuration over{warned}"),
    )?;
    Ok(exit::FINE.into())
}

/// Has the daemon finish what is in progress and end, and waits for that.
pub fn stop(about: &Asked) -> anyhow::Result<ExitCode> {
    let pid = pid_of(about)?;
    signal::send(pid, Signal::Stop)?;
    let deadline = Instant::now() + STOP_AT_MOST + GRACE;
    while Instant::now() < deadline {
        if !is_there(about, pid)? {
            line(&mut io::stdout(), format_args!("process {pid} has ended"))?;
            return Ok(exit::FINE.into());
        }
        thread::sleep(LOOK);
    }
    let seconds = (STOP_AT_MOST + GRACE).as_secs();
    bail!("process {pid} has not ended after {seconds} s")
}

/// The daemon's process, which must run this configuration. The lock tells that there is one.
fn pid_of(about: &Asked) -> anyhow::Result<u32> {
    if about.relation == Relation::Other {
        bail!("{}: name that one with -c", about.configuration_line());
    }
    match about.daemon.as_ref() {
        Some(daemon) => match daemon.pid {
            Some(pid) => Ok(pid),
            None => bail!("the daemon is just starting, try again"),
        },
        None => bail!("no daemon runs for {}", about.config.file.display()),
    }
}

/// Whether the ledger is still that process's.
fn is_there(about: &Asked, pid: u32) -> anyhow::Result<bool> {
    let daemon = ledger::daemon(&about.config.ledger)?;
    Ok(daemon.is_some_and(|daemon| daemon.pid == Some(pid)))
}
