//! The mark that a fresh installation starts with: a drop and two waves on a translucent badge.

use crate::picture::Mark;

const WIDTH: u16 = 240;
const HEIGHT: u16 = 80;

/// Straight R G B A of the badge's parts; alpha 0..=1.
const GROUND: [f32; 4] = [18.0, 26.0, 38.0, 0.55];
const LINE: [f32; 4] = [255.0, 255.0, 255.0, 0.9];
const WATER: [f32; 4] = [96.0, 190.0, 245.0, 0.95];

/// Draws the sample mark, antialiased by the distance of each pixel's centre to the shapes.
#[must_use]
pub fn sample() -> Mark {
    let mut rgba = Vec::with_capacity(usize::from(WIDTH) * usize::from(HEIGHT) * 4);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            rgba.extend(pixel(f32::from(x) + 0.5, f32::from(y) + 0.5));
        }
    }
    Mark {
        width: WIDTH.into(),
        height: HEIGHT.into(),
        rgba,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which is what is wanted"
)]
fn pixel(x: f32, y: f32) -> [u8; 4] {
    let badge = badge(x, y);
    let layers = [
        (GROUND, badge),
        // A line of two pixels just inside of the edge.
        (LINE, (badge + 3.0).abs() - 1.0),
        (WATER, drop(x - 50.0, y - 44.0)),
        (LINE, wave(x, y - 32.0)),
        (LINE, wave(x + 15.0, y - 50.0)),
    ];
    let mut under = [0.0_f32; 4];
    for (colour, distance) in layers {
        let alpha = colour[3] * (0.5 - distance).clamp(0.0, 1.0);
        let left = under[3] * (1.0 - alpha);
        let whole = alpha + left;
        if whole > 0.0 {
            for channel in 0..3 {
                under[channel] = (colour[channel] * alpha + under[channel] * left) / whole;
            }
            under[3] = whole;
        }
    }
    let [red, green, blue, alpha] = under;
    [red, green, blue, alpha * 255.0].map(|value| value.round() as u8)
}

/// Distance to a rectangle with round corners, negative inside; so are all of these.
fn badge(x: f32, y: f32) -> f32 {
    let (middle_x, middle_y, radius) = (f32::from(WIDTH) / 2.0, f32::from(HEIGHT) / 2.0, 18.0);
    let (across, down) = (
        (x - middle_x).abs() - middle_x + radius,
        (y - middle_y).abs() - middle_y + radius,
    );
    across.max(0.0).hypot(down.max(0.0)) + across.max(down).min(0.0) - radius
}

/// A drop of radius 15 around the origin: a circle and the two tangents to a point above.
fn drop(x: f32, y: f32) -> f32 {
    let (radius, tip) = (15.0_f32, 32.0_f32);
    let sine = radius / tip;
    let cosine = (1.0 - sine * sine).sqrt();
    let circle = x.hypot(y) - radius;
    // Above the points of contact the tangents bound it.
    if y < -radius * sine {
        circle.min(x.abs() * cosine - (y + tip) * sine)
    } else {
        circle
    }
}

/// A wavy line, 5 pixels thick, between x = 90 and 210.
fn wave(x: f32, y: f32) -> f32 {
    let phase = x * std::f32::consts::TAU / 60.0;
    let slope = 5.0 * std::f32::consts::TAU / 60.0 * phase.cos();
    let line = (y - 5.0 * phase.sin()).abs() / slope.hypot(1.0) - 2.5;
    line.max((x - 157.0).abs() - 52.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_clear_and_the_middle_is_not() {
        let mark = sample();
        assert_eq!(mark.rgba.len(), 240 * 80 * 4);
        assert_eq!(mark.rgba[3], 0);
        let at = |x: usize, y: usize| &mark.rgba[(y * 240 + x) * 4..][..4];
        assert_eq!(at(20, 20)[3], 140);
        assert!(at(50, 44)[2] > 200 && at(50, 44)[3] > 240);
    }
}
