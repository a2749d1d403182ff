//! The demonstration picture: mountains at a lake after sunset, drawn from formulas, so that the
//! program carries no picture.

/// Straight R, G, B, 0..=1.
type Colour = [f32; 3];

const ZENITH: Colour = [0.07, 0.10, 0.24];
const DUSK: Colour = [0.44, 0.33, 0.48];
const GLOW: Colour = [0.98, 0.66, 0.38];
const HAZE: Colour = [0.72, 0.50, 0.46];
const NIGHT: Colour = [0.035, 0.05, 0.09];

/// Parts of the height, from the top.
const SHORE: f32 = 0.72;
const SUN: (f32, f32) = (0.64, 0.60);

/// A chain of mountains: where its mean line is, how high it rises, how rough it is, how far away it
/// is from 0 (near) to 1, and what makes it another one.
struct Ridge {
    line: f32,
    rise: f32,
    detail: f32,
    far: f32,
    seed: u32,
}

const RIDGES: [Ridge; 4] = [
    Ridge {
        line: 0.56,
        rise: 0.13,
        detail: 2.2,
        far: 0.85,
        seed: 11,
    },
    Ridge {
        line: 0.61,
        rise: 0.11,
        detail: 3.1,
        far: 0.55,
        seed: 23,
    },
    Ridge {
        line: 0.66,
        rise: 0.09,
        detail: 4.3,
        far: 0.28,
        seed: 37,
    },
    Ridge {
        line: 0.71,
        rise: 0.05,
        detail: 7.0,
        far: 0.0,
        seed: 53,
    },
];

/// The picture as rows of R, G, B. Each pixel is the mean of four, so that edges are smooth.
#[must_use]
pub fn draw(width: u16, height: u16) -> Vec<u8> {
    let (columns, rows) = (usize::from(width), usize::from(height));
    let fine = draw_fine(width.saturating_mul(2), height.saturating_mul(2));
    let mut rgb = Vec::with_capacity(columns * rows * 3);
    for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
        for channel in 0..3 {
            let at = |dy: usize, dx: usize| {
                let pixel = (2 * y + dy) * columns * 2 + 2 * x + dx;
                u16::from(fine[pixel * 3 + channel])
            };
            let sum = at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1);
            rgb.push(u8::try_from(sum / 4).unwrap_or(u8::MAX));
        }
    }
    rgb
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which is what is wanted"
)]
fn draw_fine(width: u16, height: u16) -> Vec<u8> {
    let (columns, rows) = (f32::from(width), f32::from(height));
    let skylines: Vec<[f32; RIDGES.len()]> = (0..width)
        .map(|x| RIDGES.map(|ref ridge| skyline(ridge, f32::from(x) / columns, columns)))
        .collect();
    let mut rgb = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..height {
        let at_y = f32::from(y) / rows;
        for (x, skyline) in (0..width).zip(&skylines) {
            let at_x = f32::from(x) / columns;
            let colour = if at_y < SHORE {
                land(at_x, at_y, skyline)
            } else {
                // Ripples pull the reflection apart, more so the nearer they are.
                let depth = at_y - SHORE;
                let ripple = noise(at_x * 60.0, at_y * 900.0 / (1.0 + depth * 6.0), 71) - 0.5;
                let mirrored = SHORE - depth * 1.25 + ripple * (0.004 + depth * 0.09);
                let shown = land(at_x, mirrored.clamp(0.0, SHORE - 0.001), skyline);
                mix(shown, NIGHT, 0.22 + depth * 1.3)
            };
            // Against bands in the sky.
            let grain = (noise(f32::from(x) * 1.7, f32::from(y) * 1.7, 97) - 0.5) * 0.012;
            rgb.extend(colour.map(|value| ((value + grain) * 255.0).round() as u8));
        }
    }
    rgb
}

/// What is seen above the water.
fn land(x: f32, y: f32, skyline: &[f32; RIDGES.len()]) -> Colour {
    for (ridge, top) in RIDGES.iter().zip(skyline).rev() {
        if y >= *top {
            let lit = mix(NIGHT, HAZE, ridge.far * 0.8);
            // Mist lies in the valleys.
            let foot = ((y - top) / (SHORE - top).max(0.01)).clamp(0.0, 1.0);
            return mix(lit, HAZE, foot * foot * (0.1 + ridge.far * 0.35));
        }
    }
    let height = (y / 0.62).clamp(0.0, 1.0);
    let sky = if height < 0.55 {
        mix(ZENITH, DUSK, height / 0.55)
    } else {
        mix(DUSK, GLOW, ((height - 0.55) / 0.45).powf(1.4))
    };
    // Clouds are stretched along the horizon and lit from below.
    let cloud = fractal(x * 3.0 + 7.0, y * 14.0, 5) * 1.9 - 0.95;
    let sky = mix(sky, mix(DUSK, GLOW, height), cloud.clamp(0.0, 0.55));
    let (dx, dy) = ((x - SUN.0) * 1.5, y - SUN.1);
    let distance = (dx * dx + dy * dy).sqrt();
    let light = (-distance * 9.0).exp() * 0.75;
    mix(sky, [1.0, 0.90, 0.70], light.clamp(0.0, 1.0))
}

/// Where a ridge begins in this column, as a part of the height.
fn skyline(ridge: &Ridge, x: f32, columns: f32) -> f32 {
    let rough = fractal(x * ridge.detail, 0.0, ridge.seed);
    // Sharp peaks and round valleys.
    let peak = 1.0 - (2.0 * rough - 1.0).abs();
    let mut top = ridge.line - ridge.rise * (peak * 1.2 - 0.4);
    if ridge.far < 0.1 {
        top -= trees(x, columns) * 0.035;
    }
    top
}

/// The height of firs along the shore, 0..=1.
fn trees(x: f32, columns: f32) -> f32 {
    let spacing = 34.0 / columns.max(400.0);
    let first = (x / spacing).floor() - 2.0;
    let mut highest = 0.0_f32;
    for step in [0.0, 1.0, 2.0, 3.0, 4.0] {
        let cell = first + step;
        let tall = 0.35 + 0.65 * noise(cell * 3.7, 1.0, 61);
        let centre = (cell + 0.5 + (noise(cell * 5.1, 2.0, 67) - 0.5) * 0.9) * spacing;
        let side = (x - centre).abs() / (spacing * 0.62 * tall.max(0.4));
        // Branches make the sides ragged.
        let ragged = 0.06 * (side * 40.0).sin();
        highest = highest.max(tall * (1.0 - side + ragged));
    }
    highest.clamp(0.0, 1.0)
}

fn mix(from: Colour, to: Colour, part: f32) -> Colour {
    let part = part.clamp(0.0, 1.0);
    [0, 1, 2].map(|at| from[at] + (to[at] - from[at]) * part)
}

/// Noise of five octaves, 0..=1.
fn fractal(x: f32, y: f32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..5 {
        sum += weight * noise(x * scale, y * scale, seed + octave);
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / 0.968_75
}

/// Smooth noise between points of a grid, 0..=1.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |part: f32| part * part * (3.0 - 2.0 * part);
    let (across, down) = (ease(x - left), ease(y - top));
    let row = |y: f32| {
        let (a, b) = (dot(left, y, seed), dot(left + 1.0, y, seed));
        a + (b - a) * across
    };
    let (upper, lower) = (row(top), row(top + 1.0));
    upper + (lower - upper) * down
}

/// A value at a point of the grid, 0..=1, always the same one.
fn dot(x: f32, y: f32, seed: u32) -> f32 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9);
    for value in [x, y] {
        mixed = (mixed ^ value.to_bits()).wrapping_mul(0x85eb_ca6b);
        mixed ^= mixed >> 15;
    }
    mixed = mixed.wrapping_mul(0xc2b2_ae35);
    f32::from(u16::try_from(mixed >> 16).unwrap_or(0)) / f32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_bright_above_and_dark_below() {
        let (width, height) = (300, 200);
        let rgb = draw(width, height);
        assert_eq!(rgb.len(), 300 * 200 * 3);
        assert_eq!(rgb, draw(width, height));
        let mean = |rows: std::ops::Range<usize>| {
            let part = &rgb[rows.start * 900..rows.end * 900];
            part.iter().map(|value| u32::from(*value)).sum::<u32>()
                / u32::try_from(part.len()).unwrap()
        };
        assert!(
            mean(80..110) > mean(180..200) + 40,
            "{} {}",
            mean(80..110),
            mean(180..200)
        );
        assert!(mean(80..110) > mean(0..20) + 40);
    }
}
