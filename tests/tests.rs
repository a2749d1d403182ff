//! The real binary in real temporary folders with real signals. Modules stand in the order of the
//! data.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that panics has said what it had to say"
)]

#[path = "tests/command.rs"]
mod command;
#[path = "tests/contact_sheet.rs"]
mod contact_sheet;
#[path = "tests/corpus.rs"]
mod corpus;
#[path = "tests/dispose.rs"]
mod dispose;
#[path = "tests/faults.rs"]
mod faults;
#[path = "tests/ledger.rs"]
mod ledger;
#[path = "tests/log.rs"]
mod log;
#[path = "tests/memory.rs"]
mod memory;
#[path = "tests/missing.rs"]
mod missing;
#[path = "tests/operate.rs"]
mod operate;
#[path = "tests/pictures.rs"]
mod pictures;
#[path = "tests/pool.rs"]
mod pool;
#[path = "tests/publish.rs"]
mod publish;
#[path = "tests/reference.rs"]
mod reference;
#[path = "tests/reload.rs"]
mod reload;
#[path = "tests/sandbox.rs"]
mod sandbox;
#[path = "tests/settle.rs"]
mod settle;
#[path = "tests/watch.rs"]
mod watch;
