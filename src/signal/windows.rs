//! Windows: there are no signals but the console's Ctrl-C, Ctrl-Break and close, which arrive on a
//! thread of the system's.

use std::io;

use crossbeam_channel::{Receiver, bounded};

use super::Signal;

/// Starts to listen. From now on Ctrl-C does not end the process by itself.
pub fn listen() -> io::Result<Receiver<Signal>> {
    let (sender, receiver) = bounded(16);
    ctrlc::set_handler(move || match sender.try_send(Signal::Stop) {
        // A full channel holds the order already; with no receiver the process is ending.
        Ok(()) | Err(_) => {}
    })
    .map_err(io::Error::other)?;
    Ok(receiver)
}
