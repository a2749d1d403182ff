//! One benchmark for each step of the picture path and one for the whole, on generated pictures:
//! `cargo bench --bench steps`, with part of a name after it for some of them.
//!
//! A step is timed inside of whole runs, from the step before it, because alone it would find
//! caches and buffers as no step finds them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use watermarkd::mark;
use watermarkd::outcome::Step;
use watermarkd::picture::{
    Anchor, Chroma, Format, Length, Metadata, PlacedMark, Position, Recipe, Resample, Scratch,
    Size, treat,
};

const WIDTH: usize = 4000;
const HEIGHT: usize = 3000;

fn recipe(quality: u8, output_quality: u8) -> Recipe {
    Recipe {
        marks: vec![PlacedMark {
            mark: Arc::new(mark::sample()).into(),
            opacity: 60.0,
            scale: None,
            rotate: 0.0,
            position: Position::At(Anchor::TopLeft),
            margin: Length::Pixels(0),
            min_picture: 0,
        }],
        size: Size::Height(1080),
        quality,
        output_quality,
        chroma: Chroma::Half,
        resample: Resample::Fine,
        sharpen: 0,
        upscale: true,
        metadata: Metadata::Copyright,
        max_pixels: 100_000_000,
    }
}

/// Smooth shapes with noise on them, so that the entropy coder has about as much to do as with a
/// photograph.
fn pixels() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut pixels = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = state % 12;
            for (wave, channel) in [(x * x / 9000 + y / 7, 3), (y * x / 12000, 2), (x / 5, 1)] {
                let level = (wave * channel) as u64 % 360;
                let level = level.min(360 - level) + noise;
                pixels.push(u8::try_from(level).unwrap_or(u8::MAX));
            }
        }
    }
    pixels
}

fn jpeg(pixels: &[u8]) -> Vec<u8> {
    let image = turbojpeg::Image {
        pixels,
        width: WIDTH,
        pitch: WIDTH * 3,
        height: HEIGHT,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(image, 90, turbojpeg::Subsamp::Sub2x1);
    jpeg.expect("a picture can be encoded").to_vec()
}

fn png(pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side(WIDTH), side(HEIGHT));
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header can be written");
    writer
        .write_image_data(pixels)
        .expect("a picture can be written");
    writer.finish().expect("an end can be written");
    bytes
}

fn side(length: usize) -> u32 {
    u32::try_from(length).expect("sides are small")
}

/// `source` with EXIF orientation 6.
fn turned(source: &[u8]) -> Vec<u8> {
    let mut turned = source.to_vec();
    turned.splice(
        2..2,
        *b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
    );
    turned
}

/// The time of one step, or of all, in `rounds` runs.
fn time(
    source: &[u8],
    wanted: Format,
    recipe: &Recipe,
    step: Option<Step>,
    rounds: u64,
) -> Duration {
    let mut scratch = Scratch::new().expect("codecs start");
    let mut spent = Duration::ZERO;
    // The first fills the buffers.
    for round in 0..=rounds {
        let start = Instant::now();
        let mut last = start;
        let treated = treat(source, wanted, recipe, &mut scratch, &mut |done| {
            let now = Instant::now();
            if round > 0 && step == Some(done) {
                spent += now - last;
            }
            last = now;
        });
        std::hint::black_box(&treated.expect("a whole picture is treated").bytes);
        if round > 0 && step.is_none() {
            spent += start.elapsed();
        }
    }
    spent
}

fn steps(criterion: &mut Criterion) {
    let pixels = pixels();
    let (jpeg, png) = (jpeg(&pixels), png(&pixels));
    let turned = turned(&jpeg);
    let (original, plain) = (recipe(30, 100), recipe(100, 85));
    let all = [
        Step::Decode,
        Step::Orient,
        Step::Resize,
        Step::Recompress,
        Step::Overlay,
        Step::Encode,
    ];
    let kinds = [
        ("jpeg", &turned, Format::Jpeg, &original, &all[..]),
        ("plain jpeg", &jpeg, Format::Jpeg, &plain, &[Step::Encode]),
        (
            "png",
            &png,
            Format::Png,
            &original,
            &[Step::Decode, Step::Resize, Step::Encode],
        ),
    ];
    for (name, source, wanted, recipe, steps) in kinds {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        for step in steps {
            group.bench_function(step.name(), |bencher| {
                bencher.iter_custom(|rounds| time(source, wanted, recipe, Some(*step), rounds));
            });
        }
        let upright = if name == "jpeg" { &jpeg } else { source };
        group.bench_function("whole", |bencher| {
            bencher.iter_custom(|rounds| time(upright, wanted, recipe, None, rounds));
        });
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
