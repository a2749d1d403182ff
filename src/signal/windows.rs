//! Windows: there are no signals but the console's Ctrl-C, Ctrl-Break and close, which arrive on a
//! thread of the system's. A service hears from the service manager instead, see
//! `service/windows.rs`.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crossbeam_channel::bounded;

use super::{Listening, STOP_AT_MOST, Signal, WAITING};

/// For the log to be written, after which an order to stop is carried out by force.
const GRACE: Duration = Duration::from_secs(8);

/// There is no signal to another console's process.
pub fn send(_pid: u32, signal: Signal) -> io::Result<()> {
    let command = match signal {
        Signal::Stop => "watermarkd service stop",
        Signal::Reload | Signal::Report => "watermarkd service reload",
    };
    let cause =
        format!("Windows has no signals: use `{command}`, or Ctrl-C in the daemon's window");
    Err(io::Error::new(io::ErrorKind::Unsupported, cause))
}

/// Starts to listen. From now on Ctrl-C does not end the process by itself.
pub fn listen() -> io::Result<Listening> {
    let (sender, receiver) = bounded(WAITING);
    let stopping = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        let wait = if stopping.swap(true, Ordering::Relaxed) {
            GRACE
        } else {
            STOP_AT_MOST + GRACE
        };
        end_at_the_latest(wait, || {});
        match sender.try_send(Signal::Stop) {
            // A full channel holds the order already; with no receiver the process is ending.
            Ok(()) | Err(_) => {}
        }
    })
    .map_err(io::Error::other)?;
    Ok(receiver)
}

/// Ends the process after a while, whatever holds up the main thread: a share that does not answer,
/// a console that nobody reads. Before that `word` is said.
pub fn end_at_the_latest(wait: Duration, word: fn()) {
    let deadline = thread::Builder::new()
        .name("deadline".to_owned())
        .spawn(move || {
            thread::sleep(wait);
            word();
            end();
        });
    if deadline.is_err() {
        word();
        end();
    }
}

#[expect(clippy::exit, reason = "the main thread hangs")]
fn end() {
    std::process::exit(1);
}
