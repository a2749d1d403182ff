//! A drop-folder daemon for pictures: what lands in a watched folder comes out scaled,
//! recompressed and watermarked in another.
//!
//! ```text
//! watch ──FileEvent──▶ settle ──Settled──▶ scheduler ──Job──▶ worker ──Finished──▶ publish ──Outcome──▶ ledger
//!                                                           │
//!                                     picture: decode and resize → orient → recompress → overlay → encode
//! ```
//!
//! The modules stand in layer order, lowest first: each uses only those above it here, which
//! a test holds the sources to (`tests/tests/layers.rs`).

// ── The ground: what the standard library lacks

// exit codes
pub mod exit;

// orders to quit, wake-ups
pub mod stop;

// back-off and hourly reminders
pub mod retry;

// what differs between systems
pub mod os;

// the budget for pictures
pub mod memory;

// what the process is told from outside
pub mod signal;

// whether every thread gets on
pub mod watchdog;

// ── The words

// what a file is called and what was noticed of it
pub mod arrival;

// the steps of its way, and what became of it
pub mod outcome;

// texts with fields: names of results, texts of marks
pub mod template;

// ── A picture, in memory

// decode to encode, a file for each step
pub mod picture;

// makes marks: text, image, NumPy array
pub mod mark;

// ── What the operator says and is told

// the YAML file, resolved once
pub mod config;

// the rotating log
pub mod log;

// ── Places

// a folder that is written to: there, in place, with room?
pub mod output;

// a configured folder at work
pub mod root;

// temporary files, and how they land
pub mod staging;

// ── The memory of fates

// every file's state, in SQLite
pub mod ledger;

// ── The stages, in the order of the data

// notices files: events and scans
pub mod watch;

// is its writer done? pure
pub mod completeness;

// which file has been quiet for long enough; pure
pub mod settle;

// what a burst cost
pub mod report;

// which file goes to the workers next
pub mod scheduler;

// a suspect picture in a process of its own
pub mod trial;

// the fixed pool: from file to temporary file
pub mod worker;

// sync, rename, record: a picture becomes visible
pub mod publish;

// sources leave their folders
pub mod dispose;

// ── The machine and its door

// systemd and Windows
pub mod service;

// all channels and threads on one screen
pub mod daemon;

// a file for each command
pub mod cli;
