//! What the outside world asks of the daemon, as values on a channel.

use std::time::Duration;

#[cfg(unix)]
#[path = "signal/unix.rs"]
mod platform;
#[cfg(not(unix))]
#[path = "signal/windows.rs"]
mod platform;

pub use platform::listen;

/// How long what is in hand may take after the order to stop.
pub const STOP_AT_MOST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or SIGINT: finish what is in hand and end; a second one ends at once.
    Stop,
    /// SIGUSR1: write the report now.
    Report,
}
