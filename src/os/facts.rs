//! What is found out about directories and file systems, alike on every platform.

/// Device and inode: tells whether a path still leads to the directory it led to before.
pub type Identity = (u64, u64);

/// Of the file system that a path lies on, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    /// For who is not privileged.
    pub free: u64,
    pub size: u64,
    /// Nobody may write there.
    pub read_only: bool,
}
