//! A drop-folder daemon for pictures: what lands in a watched folder comes out scaled,
//! recompressed and watermarked in another.
//!
//! ```text
//! watch ──FileEvent──▶ settle ──Settled──▶ queue ──Job──▶ worker ──Finished──▶ publish ──Outcome──▶ ledger
//!                                                           │
//!                                     picture: decode → orient → resize → recompress → overlay → encode
//! ```
//!
//! The modules stand in the order in which a picture meets them.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod dispose;
pub mod exit;
pub mod ledger;
pub mod log;
pub mod mark;
pub mod memory;
pub mod os;
pub mod picture;
pub mod publish;
pub mod queue;
pub mod report;
pub mod service;
pub mod settle;
pub mod signal;
pub mod trial;
pub mod watch;
pub mod watchdog;
pub mod worker;
