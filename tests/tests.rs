//! The real binary in real temporary folders with real signals. Modules stand in the order of the
//! data. Those that need signals, mounts or links run on Unix only.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say"
)]
#![allow(clippy::too_many_lines, reason = "a test is read from top to bottom")]

#[cfg(unix)]
#[path = "tests/answers.rs"]
mod answers;
#[path = "tests/apply.rs"]
mod apply;
#[path = "tests/command.rs"]
mod command;
#[cfg(unix)]
#[path = "tests/contact_sheet.rs"]
mod contact_sheet;
#[cfg(unix)]
#[path = "tests/corpus.rs"]
mod corpus;
#[path = "tests/dispose.rs"]
mod dispose;
#[cfg(unix)]
#[path = "tests/docs.rs"]
mod docs;
#[cfg(unix)]
#[path = "tests/faults.rs"]
mod faults;
#[path = "tests/ledger.rs"]
mod ledger;
#[cfg(unix)]
#[path = "tests/log.rs"]
mod log;
#[cfg(unix)]
#[path = "tests/memory.rs"]
mod memory;
#[cfg(unix)]
#[path = "tests/missing.rs"]
mod missing;
#[cfg(target_os = "linux")]
#[path = "tests/names.rs"]
mod names;
#[cfg(unix)]
#[path = "tests/operate.rs"]
mod operate;
#[path = "tests/pictures.rs"]
mod pictures;
#[cfg(unix)]
#[path = "tests/pool.rs"]
mod pool;
#[path = "tests/publish.rs"]
mod publish;
#[path = "tests/reference.rs"]
mod reference;
#[cfg(unix)]
#[path = "tests/reload.rs"]
mod reload;
#[cfg(unix)]
#[path = "tests/renditions.rs"]
mod renditions;
#[path = "tests/sandbox.rs"]
mod sandbox;
#[path = "tests/settle.rs"]
mod settle;
#[cfg(target_os = "linux")]
#[path = "tests/trial.rs"]
mod trial;
#[cfg(unix)]
#[path = "tests/watch.rs"]
mod watch;
#[cfg(windows)]
#[path = "tests/windows.rs"]
mod windows;
