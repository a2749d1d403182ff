//! What the service manager is notified of.

/// What the main thread notifies of.
#[derive(Debug)]
pub enum Notice {
    /// A reload begins; one of the next two ends it.
    Reloading,
    Reloaded {
        folders: usize,
    },
    /// The reload changed nothing; this is its first problem.
    Rejected(String),
    Stopping,
}
