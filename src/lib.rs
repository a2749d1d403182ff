//! A drop-folder daemon for pictures: what lands in a watched folder comes out scaled,
//! recompressed and watermarked in another.
//!
//! The modules stand in the order in which a picture meets them.

pub mod config;
pub mod mark;
pub mod picture;
