//! The service manager, which is notified of the daemon's state. Without one nothing is sent.

use crossbeam_channel::Sender;
use tracing::warn;

mod notice;
#[cfg(unix)]
mod systemd;
#[cfg(windows)]
pub mod windows;

pub use self::notice::Notice;

/// The folders are watched.
pub fn ready() {
    #[cfg(windows)]
    windows::ready();
}

/// The link to the service manager, if there is one.
#[derive(Debug)]
pub struct Link(Option<Sender<Notice>>);

/// Opens the link, before any other thread is started.
#[must_use]
pub fn open(folders: usize) -> Link {
    #[cfg(unix)]
    let opened = systemd::start(folders);
    #[cfg(not(unix))]
    let opened: std::io::Result<Option<Sender<Notice>>> = {
        let _ = folders;
        Ok(None)
    };
    Link(opened.unwrap_or_else(|cause| {
        warn!(
            cause = cause.to_string(),
            "the service manager cannot be told of anything"
        );
        None
    }))
}

impl Link {
    pub fn notify(&self, notice: Notice) {
        // A full channel means that the service manager does not listen; the daemon goes on.
        if let Some(sender) = &self.0
            && let Err(lost) = sender.try_send(notice)
        {
            warn!(
                notice = format!("{:?}", lost.into_inner()),
                "the service manager does not listen"
            );
        }
    }
}
