//! systemd: a service sends its state as datagrams to the socket that `$NOTIFY_SOCKET` names, a path
//! or, after an `@`, an abstract name (`sd_notify(3)`). Each datagram holds lines `NAME=value`.
//!
//! The protocol is these few lines. The crate sd-notify (0.5) does not do the whole job: it knows no
//! abstract names, and a send waits without a limit, so that a systemd that hangs would hang us.
//!
//! Only one thread sends. systemd may be slow to read, and nobody else waits for it; notices keep
//! their order. The thread wakes up when there is something to send, and, where `$WATCHDOG_USEC` is
//! set, twice in that time; it then answers the watchdog only while every stage makes progress.
//! Without the socket there is no thread.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, net::UnixDatagram},
    process, thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};
use rustix::time::{ClockId, clock_gettime};
use tracing::{error, info, warn};

use super::notice::Notice;
use crate::watchdog;

/// Notices of the main thread that wait to be sent.
const NOTICES: usize = 64;
/// The status changes at most once in this time.
const STATUS_AT_MOST: Duration = Duration::from_secs(1);
/// Longest wait for systemd to take a datagram.
const SEND_AT_MOST: Duration = Duration::from_secs(5);
/// How long a worker may take for one picture, and a folder's thread for one scan: 100 megapixels
/// take seconds, a trial or a picture from a slow share a minute.
const LONG: Duration = Duration::from_secs(600);
/// Longest text that is shown of a problem, in characters.
const PROBLEM: usize = 400;

/// Starts the thread if systemd wants to be notified.
pub fn start(folders: usize) -> io::Result<Option<Sender<Notice>>> {
    let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
        return Ok(None);
    };
    let socket = connect(&address)?;
    socket.set_write_timeout(Some(SEND_AT_MOST))?;
    let watchdog = watchdog(
        env::var("WATCHDOG_USEC").ok().as_deref(),
        env::var("WATCHDOG_PID").ok().as_deref(),
    );
    let Some(changes) = watchdog::subscribe() else {
        return Ok(None);
    };
    let (sender, notices) = bounded(NOTICES);
    let reporter = Reporter {
        socket,
        folders,
        watchdog,
        phase: Phase::Starting,
        rejected: None,
        shown: String::new(),
        failing: false,
        stuck: false,
    };
    thread::Builder::new()
        .name("service".to_owned())
        .spawn(move || reporter.run(&notices, &changes))?;
    Ok(Some(sender))
}

fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        }
        _ => socket.connect(address)?,
    }
    Ok(socket)
}

/// The time within which the watchdog wants an answer, if it is us that it watches.
fn watchdog(microseconds: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    let ours = pid.is_none_or(|pid| pid.parse() == Ok(process::id()));
    let interval = microseconds?.parse().ok().map(Duration::from_micros)?;
    (ours && !interval.is_zero()).then_some(interval)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    /// READY=1 was sent.
    Up,
    Ending,
}

struct Reporter {
    socket: UnixDatagram,
    folders: usize,
    watchdog: Option<Duration>,
    phase: Phase,
    /// The first problem of the last reload, until the next one.
    rejected: Option<String>,
    /// The status that systemd has.
    shown: String,
    /// The last datagram could not be sent.
    failing: bool,
    /// A stage was stuck when the watchdog was last due.
    stuck: bool,
}

impl Reporter {
    fn run(mut self, notices: &Receiver<Notice>, changes: &Receiver<()>) {
        self.send("STATUS=starting");
        if let Some(interval) = self.watchdog {
            info!(
                interval_ms = interval.as_millis(),
                "the watchdog is answered"
            );
        }
        let mut ping = self.watchdog.map_or(never(), |_| after(Duration::ZERO));
        // Until then the status rests.
        let (mut rest, mut resting) = (never(), false);
        loop {
            let listened = if resting { &never() } else { changes };
            select! {
                recv(notices) -> notice => match notice {
                    Ok(notice) => self.pass_on(notice),
                    Err(_) => return,
                },
                recv(listened) -> _ => {
                    self.show();
                    (rest, resting) = (after(STATUS_AT_MOST), true);
                }
                recv(rest) -> _ => (rest, resting) = (never(), false),
                recv(ping) -> _ => {
                    self.answer();
                    ping = self.watchdog.map_or(never(), |interval| after(interval / 2));
                }
            }
        }
    }

    fn pass_on(&mut self, notice: Notice) {
        match notice {
            Notice::Reloading => {
                self.rejected = None;
                self.send(&format!(
                    "RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading",
                    monotonic_microseconds()
                ));
            }
            Notice::Reloaded { folders } => {
                self.folders = folders;
                self.reloaded();
            }
            Notice::Rejected(problem) => {
                self.rejected = Some(problem.chars().take(PROBLEM).collect());
                self.reloaded();
            }
            Notice::Stopping => {
                self.phase = Phase::Ending;
                self.send("STOPPING=1\nSTATUS=stopping: finishing what is in progress");
            }
        }
    }

    fn reloaded(&mut self) {
        self.shown = self.status();
        // Before the first READY=1 there is no reload for systemd to wait for.
        let ready = if self.phase == Phase::Up {
            "READY=1\n"
        } else {
            ""
        };
        self.send(&format!("{ready}STATUS={}", self.shown));
    }

    fn status(&self) -> String {
        match &self.rejected {
            Some(problem) => format!("reload rejected: {problem}"),
            None => summary(watchdog::status(), self.folders),
        }
    }

    /// Sends readiness once, and a status that has changed.
    fn show(&mut self) {
        let ready = watchdog::status().ready;
        if self.phase == Phase::Ending || !ready {
            return;
        }
        let status = self.status();
        if self.phase == Phase::Starting {
            self.phase = Phase::Up;
            self.send(&format!("READY=1\nSTATUS={status}"));
        } else if status != self.shown {
            self.send(&format!("STATUS={status}"));
        }
        self.shown = status;
    }

    /// Answers the watchdog, if every stage makes progress.
    fn answer(&mut self) {
        let Some(interval) = self.watchdog else {
            return;
        };
        let bound = |name: &str| {
            if name == "settle" || name == "publish" {
                interval
            } else {
                LONG.max(interval)
            }
        };
        let Some((thread, still)) = watchdog::stuck(bound) else {
            self.stuck = false;
            self.send("WATCHDOG=1");
            return;
        };
        if !self.stuck {
            let still_s = still.as_secs();
            error!(
                thread,
                still_s, "a stage has work and does not move, the watchdog gets no answer"
            );
        }
        self.stuck = true;
    }

    fn send(&mut self, state: &str) {
        let sent = self.socket.send(state.as_bytes());
        if let Err(cause) = &sent
            && !self.failing
        {
            warn!(
                cause = cause.to_string(),
                "the service manager cannot be told"
            );
        }
        self.failing = sent.is_err();
    }
}

/// What systemd compares with the time at which it asked for the reload.
fn monotonic_microseconds() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

/// The status in a line: `12 waiting, 3 folders, 1 offline`, or `idle, 3 folders`.
fn summary(status: watchdog::Status, folders: usize) -> String {
    let files = match status.waiting {
        0 => "idle".to_owned(),
        waiting => format!("{waiting} waiting"),
    };
    let plural = if folders == 1 { "" } else { "s" };
    let offline = match status.offline {
        0 => String::new(),
        offline => format!(", {offline} offline"),
    };
    format!("{files}, {folders} folder{plural}{offline}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_there_is() {
        let state = |waiting, offline| watchdog::Status {
            waiting,
            offline,
            ready: true,
        };
        assert_eq!(summary(state(0, 0), 3), "idle, 3 folders");
        assert_eq!(summary(state(12, 1), 3), "12 waiting, 3 folders, 1 offline");
        assert_eq!(summary(state(0, 1), 1), "idle, 1 folder, 1 offline");
    }

    #[test]
    fn a_watchdog_that_watches_another_process_is_not_answered() {
        let own = process::id().to_string();
        let second = Some(Duration::from_secs(1));
        for (microseconds, pid, wanted) in [
            (Some("1000000"), None, second),
            (Some("1000000"), Some(own.as_str()), second),
            (Some("1000000"), Some("1"), None),
            (Some("1000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("often"), None, None),
            (None, None, None),
        ] {
            assert_eq!(
                watchdog(microseconds, pid),
                wanted,
                "{microseconds:?} {pid:?}"
            );
        }
    }
}
