//! Pictures that show what a poor reduction does: moiré, stairs and blur.

use turbojpeg::{Image, PixelFormat, Subsamp};
use watermarkd::mark::text::{self, FONT, Style};

const WIDTH: usize = 4000;
const HEIGHT: usize = 3000;

/// Name and JPEG of each.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("zone plate", jpeg(&of(zone_plate))),
        ("line art", jpeg(&of(line_art))),
        ("roofs and nets", jpeg(&of(roofs_and_nets))),
        ("text", jpeg(&of_text())),
    ]
}

/// Red, green and blue from a level at each place, which lies in the middle of a pixel.
fn of(level: fn(f64, f64) -> f64) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for y in 0..u16::try_from(HEIGHT).unwrap() {
        for x in 0..u16::try_from(WIDTH).unwrap() {
            let level = byte(level(f64::from(x) + 0.5, f64::from(y) + 0.5));
            // A warm tint, so that the planes of colour have something to do.
            pixels.extend([level, level - level / 16, level - level / 6]);
        }
    }
    pixels
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the level is clamped"
)]
pub fn byte(level: f64) -> u8 {
    level.round().clamp(0.0, 255.0) as u8
}

/// Rings that grow finer outwards, to two pixels a ring in the corners.
fn zone_plate(x: f64, y: f64) -> f64 {
    let (x, y) = (x - 2000.0, y - 1500.0);
    let finest = std::f64::consts::PI / (2.0 * 2500.0);
    127.5 + 120.0 * (finest * (x * x + y * y)).cos()
}

/// Fans of lines of one to three pixels, on white.
fn line_art(x: f64, y: f64) -> f64 {
    let (column, row) = ((x / 1000.0).floor(), (y / 1000.0).floor());
    let (x, y) = (x - column * 1000.0 + 30.0, y - row * 1000.0 + 30.0);
    let (angle, distance) = (y.atan2(x), x.hypot(y));
    let width = 1.0 + (column + row) % 3.0;
    let between = 0.02;
    let nearest = (angle / between).round() * between;
    let off = distance * (angle - nearest).abs();
    255.0 * (off - width / 2.0 + 0.5).clamp(0.0, 1.0)
}

/// Tiles in perspective above, a net of threads below.
fn roofs_and_nets(x: f64, y: f64) -> f64 {
    if y < 1500.0 {
        let depth = 300.0 / (y + 150.0);
        let (row, column) = (300.0 * depth, (x - 2000.0) * depth / 9.0);
        let tile = (row + (column * std::f64::consts::TAU).cos() * 0.2).fract();
        return 90.0 + 140.0 * tile - 40.0 * (column.fract().abs() - 0.5).abs();
    }
    let (x, y) = (x + y * 0.31, y - x * 0.23);
    let mesh = 5.0 + x / 500.0;
    let thread = |along: f64| ((along / mesh).fract().abs() - 0.5).abs() * mesh;
    let nearest = thread(x).min(thread(y));
    40.0 + 190.0 * (nearest - 0.3).clamp(0.0, 1.0)
}

/// Lines of text from 14 to 64 pixels.
fn of_text() -> Vec<u8> {
    let mut pixels = vec![250; WIDTH * HEIGHT * 3];
    let mut top = 20;
    let mut size = 14.0;
    while top + 100 < HEIGHT {
        let style = Style {
            size,
            colour: [20, 20, 40, 255],
            outline: None,
            shadow: None,
        };
        let words = "The quick brown fox jumps over the lazy dog, 0123456789. ";
        let line = text::draw(&words.repeat(4), FONT, &style).unwrap();
        let width = line.width as usize;
        for (y, row) in line.rgba.chunks_exact(width * 4).enumerate() {
            for (x, pixel) in row.chunks_exact(4).enumerate().take(WIDTH - 20) {
                let at = ((top + y) * WIDTH + x + 20) * 3;
                for channel in 0..3 {
                    let (under, ink) = (f64::from(pixels[at + channel]), f64::from(pixel[channel]));
                    let alpha = f64::from(pixel[3]) / 255.0;
                    pixels[at + channel] = byte(under + (ink - under) * alpha);
                }
            }
        }
        top += line.height as usize + 8;
        size = if size > 60.0 { 14.0 } else { size + 3.0 };
    }
    pixels
}

fn jpeg(pixels: &[u8]) -> Vec<u8> {
    let image = Image {
        pixels,
        width: WIDTH,
        pitch: WIDTH * 3,
        height: HEIGHT,
        format: PixelFormat::RGB,
    };
    turbojpeg::compress(image, 95, Subsamp::Sub2x1)
        .unwrap()
        .to_vec()
}
