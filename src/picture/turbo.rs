//! The one door to libjpeg-turbo: planes in and out, packed pixels where planes do not exist.
//!
//! The safe crate's wrapper is not enough here: it decodes into one packed YUV buffer only, turns
//! every warning into an error without its code, and refuses unusual samplings at the header. So
//! this file calls the TurboJPEG 3 C interface through the crate's bindings. Every buffer that C
//! writes is sized from what C itself read in the header of the very same bytes.

#![expect(
    unsafe_code,
    reason = "TurboJPEG is a C library; each call states why it is sound"
)]

mod handle;
mod layout;
mod warnings;

mod compress;
mod decompress;

pub use compress::Compressor;
pub use decompress::{AtWarning, Decompressor, Space};
pub use handle::Warning;
pub use warnings::{Says, says};

/// The longest side that libjpeg-turbo writes.
pub const JPEG_SIDE: u32 = 65_500;
