//! The floor under the JPEG path: DCT-scaled decoding to planes by libjpeg-turbo and nothing else, in as many threads as
//! the daemon would have workers. `benches/peers/run` runs it beside the daemon and its peers.
//!
//! `cargo bench --bench decode -- --pictures DIR [--height 1080] [--workers 2]` prints the number of pictures.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when something is wrong"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use turbojpeg::{Decompressor, ScalingFactor, YuvImage};

fn main() {
    let (mut pictures, mut height, mut workers) = (None, 1080, 2);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--pictures", Some(folder)) => pictures = Some(PathBuf::from(folder)),
            ("--height", Some(pixels)) => height = pixels.parse().unwrap(),
            ("--workers", Some(threads)) => workers = threads.parse().unwrap(),
            _ => {}
        }
    }
    // Cargo runs every benchmark; without pictures there is nothing to decode.
    let Some(folder) = pictures else { return };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let (mut bytes, mut samples) = (Vec::new(), Vec::new());
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    bytes.clear();
                    std::io::Read::read_to_end(&mut fs::File::open(file).unwrap(), &mut bytes)
                        .unwrap();
                    done.fetch_add(
                        usize::from(decode(&bytes, height, &mut samples)),
                        Ordering::Relaxed,
                    );
                }
            });
        }
    });
    println!("{}", done.load(Ordering::Relaxed));
}

fn decode(bytes: &[u8], output: usize, samples: &mut Vec<u8>) -> bool {
    let mut decompressor = Decompressor::new().unwrap();
    let Ok(header) = decompressor.read_header(bytes) else {
        return false;
    };
    let eighths = (1..8).find(|eighths| header.height * eighths >= output * 8);
    let factor = ScalingFactor::new(eighths.unwrap_or(8), 8);
    decompressor.set_scaling_factor(factor).unwrap();
    let (width, height) = (factor.scale(header.width), factor.scale(header.height));
    let size = turbojpeg::yuv_pixels_len(width, 4, height, header.subsamp).unwrap();
    samples.resize(size, 0);
    let image = YuvImage {
        pixels: &mut samples[..],
        width,
        align: 4,
        height,
        subsamp: header.subsamp,
    };
    // A warning counts as decoded, as in the daemon.
    drop(decompressor.decompress_to_yuv(bytes, image));
    true
}
