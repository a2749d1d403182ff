//! Unix: signals are delivered to a thread of their own, which sleeps in a read until one comes.

use std::{fs, io, thread, time::Duration};

use crossbeam_channel::{Sender, TrySendError, bounded};
use rustix::process::Pid;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
    low_level,
};

use super::{Listening, STOP_AT_MOST, Signal, WAITING};

/// For the log to be written, after which an order to stop is carried out by force.
const GRACE: Duration = Duration::from_secs(8);

/// Starts to listen. From now on none of the signals ends the process by itself.
pub fn listen() -> io::Result<Listening> {
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
    let (sender, receiver) = bounded(WAITING);
    thread::Builder::new()
        .name("signal".to_owned())
        .spawn(move || pass_on(signals, &sender))?;
    Ok(receiver)
}

/// Sends a signal to another process of ours.
pub fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let whom = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(whom) = whom.filter(|_| is_ours(pid)) else {
        let cause = format!(
            "process {pid} here is not watermarkd: the daemon runs in a container or on another \
             machine, tell it there"
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, cause));
    };
    let signal = match signal {
        Signal::Reload => rustix::process::Signal::HUP,
        Signal::Stop => rustix::process::Signal::TERM,
        Signal::Report => rustix::process::Signal::USR1,
    };
    rustix::process::kill_process(whom, signal).map_err(|cause| {
        let cause = io::Error::from(cause);
        io::Error::new(cause.kind(), format!("cannot tell process {pid}: {cause}"))
    })
}

/// Whether a process runs a program of our name. Where the ledger is shared with a container or
/// another machine its number may be that of anything.
fn is_ours(pid: u32) -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let own = fs::read("/proc/self/comm");
    own.is_ok_and(|own| fs::read(format!("/proc/{pid}/comm")).is_ok_and(|other| other == own))
}

fn pass_on(mut signals: Signals, sender: &Sender<Signal>) {
    let mut stopping = false;
    for signal in signals.forever() {
        let signal = match signal {
            SIGHUP => Signal::Reload,
            SIGUSR1 => Signal::Report,
            _ => Signal::Stop,
        };
        if signal == Signal::Stop {
            end_at_the_latest(if stopping {
                GRACE
            } else {
                STOP_AT_MOST + GRACE
            });
            stopping = true;
        }
        // With a full channel the main thread hangs, and hears of nothing but its end.
        if let Err(TrySendError::Disconnected(_)) = sender.try_send(signal) {
            return;
        }
    }
}

/// Ends the process after a while, whatever holds up the main thread: a share that does not answer,
/// a console that nobody reads.
fn end_at_the_latest(wait: Duration) {
    let deadline = thread::Builder::new()
        .name("deadline".to_owned())
        .spawn(move || {
            thread::sleep(wait);
            low_level::exit(1);
        });
    if deadline.is_err() {
        low_level::exit(1);
    }
}
