//! What a WebP weighs against a JPEG that looks the same: for each picture the daemon's JPEG at some qualities, and
//! between its files of two other qualities as WebP the size at which SSIMULACRA2 is the JPEG's.

use watermarkd::picture::{Chroma, Format, Metadata, Recipe, Resample, Scratch, Size, treat};

use super::measure::{Reference, Rgb};

const JPEG: [u8; 6] = [50, 65, 75, 80, 85, 90];
const WEBP: [u8; 7] = [50, 65, 75, 85, 91, 96, 100];

/// A written picture: its quality, its bytes, and how near it is.
#[derive(Clone, Copy)]
struct Point {
    quality: f64,
    bytes: f64,
    score: f64,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    pictures: f64,
    jpeg: Option<Point>,
    webp: Option<Point>,
}

/// Prints a line for each quality of a JPEG, over all pictures.
pub fn print<'a>(jpegs: impl Iterator<Item = &'a [u8]>, height: u32) {
    let mut sums = [Sum::default(); JPEG.len()];
    let mut left_out = 0;
    for jpeg in jpegs {
        let whole = Rgb::of_jpeg(jpeg);
        let reference = Reference::of(&whole, super::size(&whole, height));
        let webps = WEBP.map(|quality| made(jpeg, height, quality, Format::WebP, &reference));
        for (quality, sum) in JPEG.into_iter().zip(&mut sums) {
            let jpeg = made(jpeg, height, quality, Format::Jpeg, &reference);
            let Some(webp) = at(jpeg.score, &webps) else {
                left_out += 1;
                continue;
            };
            sum.pictures += 1.0;
            sum.jpeg = Some(added(sum.jpeg, jpeg));
            sum.webp = Some(added(sum.webp, webp));
        }
    }
    println!("means: JPEG quality, SSIMULACRA2, kB | WebP quality, kB, share | pictures");
    for sum in sums {
        let (Some(jpeg), Some(webp)) = (sum.jpeg, sum.webp) else {
            continue;
        };
        let mean = |total: f64| total / sum.pictures;
        println!(
            "{:3.0} {:6.2} {:6.0} | {:5.1} {:6.0} {:4.0} % | {:.0}",
            mean(jpeg.quality),
            mean(jpeg.score),
            mean(jpeg.bytes) / 1e3,
            mean(webp.quality),
            mean(webp.bytes) / 1e3,
            webp.bytes / jpeg.bytes * 100.0,
            sum.pictures
        );
    }
    println!("{left_out} JPEGs were nearer than any WebP");
}

fn added(sum: Option<Point>, point: Point) -> Point {
    let sum = sum.unwrap_or(Point {
        quality: 0.0,
        bytes: 0.0,
        score: 0.0,
    });
    Point {
        quality: sum.quality + point.quality,
        bytes: sum.bytes + point.bytes,
        score: sum.score + point.score,
    }
}

/// Between two points, where the score is this; `None` beyond the last.
fn at(score: f64, points: &[Point]) -> Option<Point> {
    let after = points.iter().position(|point| point.score >= score)?;
    let (low, high) = (points[after.saturating_sub(1)], points[after]);
    let span = high.score - low.score;
    let share = if span > 0.0 {
        (score - low.score) / span
    } else {
        0.0
    };
    let between = |low: f64, high: f64| low + (high - low) * share;
    Some(Point {
        quality: between(low.quality, high.quality),
        bytes: between(low.bytes, high.bytes),
        score,
    })
}

/// One picture as the daemon writes it without a mark.
fn made(jpeg: &[u8], height: u32, quality: u8, wanted: Format, reference: &Reference) -> Point {
    let recipe = Recipe {
        marks: Vec::new(),
        size: Size::Height(height),
        quality: 100,
        output_quality: quality,
        chroma: if quality < 95 {
            Chroma::Half
        } else {
            Chroma::Full
        },
        resample: Resample::Fine,
        sharpen: 0,
        upscale: false,
        metadata: Metadata::Strip,
        max_pixels: 1_000_000_000,
    };
    let mut scratch = Scratch::new().unwrap();
    let treated = treat(jpeg, wanted, &recipe, &mut scratch, &mut |_| {}).unwrap();
    let picture = match wanted {
        Format::WebP => {
            let image = ::webp::Decoder::new(treated.bytes).decode().unwrap();
            Rgb {
                width: image.width(),
                height: image.height(),
                pixels: image.to_vec(),
            }
        }
        _ => Rgb::of_jpeg(treated.bytes),
    };
    Point {
        quality: f64::from(quality),
        bytes: f64::from(u32::try_from(treated.bytes.len()).unwrap()),
        score: reference.score(&picture).ssimulacra2,
    }
}
