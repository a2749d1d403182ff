//! Unix: signals are delivered to a thread of their own, which sleeps in a read until one comes.

use std::{io, thread};

use crossbeam_channel::{Receiver, bounded};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};

use super::Signal;

/// Starts to listen. From now on none of the signals ends the process by itself.
pub fn listen() -> io::Result<Receiver<Signal>> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
    let (sender, receiver) = bounded(16);
    thread::Builder::new()
        .name("signal".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let signal = match signal {
                    SIGHUP => Signal::Reload,
                    SIGUSR1 => Signal::Report,
                    _ => Signal::Stop,
                };
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}
