//! What the service is called, and how long its steps may take.

use std::time::Duration;

/// In the manager's database, and of the virtual account.
pub const NAME: &str = "watermarkd";
/// For the configuration, its marks, and a share that is slow to answer; then for the ledger.
pub const START_AT_MOST: Duration = Duration::from_secs(120);
/// For the log to be written after the last picture.
pub const GRACE: Duration = Duration::from_secs(15);
