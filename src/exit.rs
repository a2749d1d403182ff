//! What the exit code of the process says. Scripts and service managers decide by it, so no code
//! ever gets another meaning.

/// All is well.
pub const FINE: u8 = 0;
/// A failure at run time, or pictures failed in `run --once`. Another try may succeed.
pub const FAILED: u8 = 1;
/// The arguments are wrong; clap ends with this by itself.
pub const USAGE: u8 = 2;
/// No daemon runs: what `status` prints is what the last one left.
pub const NO_DAEMON: u8 = 3;
/// `status`: a daemon runs, and somebody has to look after a folder.
pub const ATTENTION: u8 = 4;
/// `run --once` or `apply` was told to stop before everything was done, as shells tell of Ctrl-C.
pub const INTERRUPTED: u8 = 130;
/// The configuration is bad, or the ledger cannot be used as it is. Another try cannot succeed, so
/// service managers must not restart. `EX_CONFIG` of `sysexits.h`.
pub const BAD_CONFIG: u8 = 78;

/// Each code with its meaning, for `--help` and the man page.
pub const MEANINGS: [(u8, &str); 7] = [
    (FINE, "success"),
    (
        FAILED,
        "a picture failed in `run --once` or `apply`, a file cannot be retried, no daemon to tell, or an error at run time",
    ),
    (USAGE, "wrong arguments"),
    (NO_DAEMON, "`status`: no daemon runs"),
    (
        ATTENTION,
        "`status`: a folder is offline, an output or the ledger cannot be written, or pictures have failed",
    ),
    (
        BAD_CONFIG,
        "bad configuration, or the ledger cannot be used: it is newer, not ours, or on a network share",
    ),
    (
        INTERRUPTED,
        "`run --once` or `apply` was told to stop before everything was done",
    ),
];
