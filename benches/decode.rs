//! The floor under the JPEG path: DCT-scaled decoding to planes by libjpeg-turbo and nothing else, in as many threads as
//! the daemon would have workers. `benches/peers/run` runs it beside the daemon and its peers.
//!
//! `cargo bench --bench decode -- --pictures DIR [--height 1080] [--workers 2]` prints the number of pictures.
//! With `--rounds N` it compares, picture by picture and in turn, the daemon's decode step with libjpeg-turbo:
//! milliseconds of each, the best of N. The daemon's has the search for markers in it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when something is wrong"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{env, fs, thread};

use turbojpeg::{Decompressor, ScalingFactor, YuvImage};
use watermarkd::outcome::Step;
use watermarkd::picture::{Chroma, Format, Metadata, Recipe, Resample, Scratch, Size, treat};

fn main() {
    let (mut pictures, mut height, mut workers, mut rounds) = (None, 1080, 2, 0);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--pictures", Some(folder)) => pictures = Some(PathBuf::from(folder)),
            ("--height", Some(pixels)) => height = pixels.parse().unwrap(),
            ("--workers", Some(threads)) => workers = threads.parse().unwrap(),
            ("--rounds", Some(number)) => rounds = number.parse().unwrap(),
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
    if rounds > 0 {
        return compare(&files, height, rounds);
    }
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

fn compare(files: &[PathBuf], height: usize, rounds: usize) {
    let recipe = Recipe {
        marks: Vec::new(),
        size: Size::Height(u32::try_from(height).unwrap()),
        quality: 100,
        output_quality: 80,
        chroma: Chroma::Half,
        resample: Resample::Fast,
        sharpen: 0,
        upscale: false,
        metadata: Metadata::Strip,
        max_pixels: 1_000_000_000,
    };
    let (mut scratch, mut samples) = (Scratch::new().unwrap(), Vec::new());
    let (mut logarithms, mut compared) = (0.0, 0.0);
    for file in files {
        let bytes = fs::read(file).unwrap();
        let [mut theirs, mut ours] = [f64::INFINITY; 2];
        for _ in 0..rounds {
            let start = Instant::now();
            if !decode(&bytes, height, &mut samples) {
                break;
            }
            theirs = theirs.min(start.elapsed().as_secs_f64() * 1e3);
            let (mut last, mut spent) = (Instant::now(), 0.0);
            // Rows are scaled as they come, so there are many turns of decoding.
            let mut after = |step: Step| {
                let now = Instant::now();
                if step == Step::Decode {
                    spent += (now - last).as_secs_f64() * 1e3;
                }
                last = now;
            };
            let made = treat(&bytes, Format::Jpeg, &recipe, &mut scratch, &mut after);
            // What is damaged is decoded twice, and is no measure.
            if made.is_err() || made.is_ok_and(|made| made.warning.is_some()) {
                ours = f64::INFINITY;
                break;
            }
            ours = ours.min(spent);
        }
        if theirs.is_finite() && ours.is_finite() {
            let name = file.display();
            let ratio = theirs / ours;
            println!(
                "{name}: libjpeg-turbo {theirs:.2}, watermarkd {ours:.2}, {ratio:.2} times as fast"
            );
            logarithms += ratio.ln();
            compared += 1.0;
        }
    }
    let mean = f64::exp(logarithms / compared);
    println!("geometric mean: {mean:.2} times as fast");
}
