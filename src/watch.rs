//! Notices files: by events where the file system delivers them, by a scan at start, and by a
//! jittered rescan for ever, because an event is only a hint and the folder is the truth.
//!
//! The order is always watch first, scan second, so that nothing can slip in between. Overflow, a
//! lost watch or a burst all collapse to "scan that folder".

mod arrivals;
mod events;
mod filter;
mod forget;
mod look;
mod mode;
mod roots;
mod scan;
mod seen;
mod watching;

use std::{sync::Arc, time::Duration};

pub use self::{
    filter::{Ignored, judge, judge_directory, judge_in, promised_format},
    mode::{Mode, choose_mode},
    roots::{Ends, run},
    scan::{Scanned, scan_once},
};
use crate::root::Root;

/// The folders that are watched; a reload replaces it whole.
#[derive(Debug, Clone)]
pub struct Plan {
    pub roots: Vec<Arc<Root>>,
    /// Scan interval of polled folders.
    pub poll: Duration,
    /// Safety scan of every folder, ±25 %.
    pub rescan: Duration,
    /// How long a file that has left is remembered.
    pub ledger_keep: Duration,
}
