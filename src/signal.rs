//! What the outside world asks of the daemon, as values on a channel.

use std::time::Duration;

use crossbeam_channel::Receiver;

#[cfg(unix)]
#[path = "signal/unix.rs"]
mod platform;
#[cfg(not(unix))]
#[path = "signal/windows.rs"]
mod platform;

#[cfg(windows)]
pub use platform::end_at_the_latest;
pub use platform::{listen, send};

/// How long what is in progress may take after the order to stop.
pub const STOP_AT_MOST: Duration = Duration::from_secs(30);
/// Orders that may wait for the main thread.
pub const WAITING: usize = 16;

/// The end of the channel at which the daemon listens.
pub type Listening = Receiver<Signal>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or SIGINT: finish what is in progress and end; a second one ends at once.
    Stop,
    /// SIGUSR1: write the report now.
    Report,
}
