//! Sharpens a picture that was scaled down: what a pixel differs from those around it is made larger.
//!
//! Unsharp masking with the 3 × 3 binomial filter, of the brightness alone, so that no colour rims
//! appear. At 100 the difference is added once more. The brightness of packed pixels is that of JFIF.

use super::pixels::Pixels;
use super::planes::Planes;

/// Room for the brightness of three rows.
#[derive(Debug, Default)]
pub struct Room([Vec<i32>; 3]);

impl Room {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        self.0.iter().map(|row| row.capacity() * 4).sum()
    }
}

/// Sharpens by 1..=100.
pub fn planes(amount: u8, planes: &mut Planes, room: &mut Room) {
    if let Some(luma) = planes.used_mut().first_mut() {
        let layout = Layout {
            width: luma.width,
            channels: 1,
            colours: 1,
        };
        sharpen(amount, &mut luma.samples, layout, room);
    }
}

/// The same for packed pixels; alpha stays as it is.
pub fn pixels(amount: u8, pixels: &mut Pixels, room: &mut Room) {
    let channels = pixels.channels;
    let layout = Layout {
        width: pixels.width as usize,
        channels,
        colours: channels.saturating_sub(usize::from(channels.is_multiple_of(2))),
    };
    if pixels.deep {
        sharpen(amount, pixels.words_mut(), layout, room);
    } else {
        sharpen(amount, pixels.bytes_mut(), layout, room);
    }
}

#[derive(Clone, Copy)]
struct Layout {
    /// Pixels of a row.
    width: usize,
    /// Samples of a pixel, and how many of them, at its start, are colours.
    channels: usize,
    colours: usize,
}

/// A sample of either depth.
trait Sample: Copy + Into<i32> + TryFrom<i32> {
    const MOST: i32;
    const LARGEST: Self;
}

impl Sample for u8 {
    const MOST: i32 = 255;
    const LARGEST: Self = Self::MAX;
}

impl Sample for u16 {
    const MOST: i32 = 65_535;
    const LARGEST: Self = Self::MAX;
}

fn sharpen<S: Sample>(amount: u8, samples: &mut [S], layout: Layout, Room(rows): &mut Room) {
    let length = layout.width * layout.channels;
    if length == 0 {
        return;
    }
    let height = samples.len() / length;
    let [above, middle, below] = rows;
    brightness(&samples[..length], layout, middle);
    above.clone_from(middle);
    for y in 0..height {
        // The rows at the edges stand for those beyond.
        match samples.chunks_exact(length).nth(y + 1) {
            Some(next) => brightness(next, layout, below),
            None => below.clone_from(middle),
        }
        let row = &mut samples[y * length..(y + 1) * length];
        for (x, pixel) in row.chunks_exact_mut(layout.channels).enumerate() {
            let (left, right) = (x.saturating_sub(1), (x + 1).min(layout.width - 1));
            let across = |row: &[i32]| row[left] + 2 * row[x] + row[right];
            let around = across(above) + 2 * across(middle) + across(below);
            // At most 16 × 65535 × 100, which fits.
            let more = (16 * middle[x] - around) * i32::from(amount) / 1600;
            for sample in &mut pixel[..layout.colours] {
                let sharper = ((*sample).into() + more).clamp(0, S::MOST);
                *sample = S::try_from(sharper).unwrap_or(S::LARGEST);
            }
        }
        std::mem::swap(above, middle);
        std::mem::swap(middle, below);
    }
}

fn brightness<S: Sample>(row: &[S], layout: Layout, to: &mut Vec<i32>) {
    to.clear();
    let pixels = row.chunks_exact(layout.channels);
    if layout.colours < 3 {
        to.extend(pixels.map(|pixel| pixel[0].into()));
        return;
    }
    to.extend(pixels.map(|pixel| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(Into::into);
        (77 * red + 150 * green + 29 * blue) / 256
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, rows: &[&[u8]]) -> Pixels {
        let mut pixels = Pixels::default();
        let height = u32::try_from(rows.len()).unwrap();
        pixels.allocate(width, height, 1, false);
        pixels.bytes_mut().copy_from_slice(&rows.concat());
        pixels
    }

    #[test]
    fn an_edge_gets_steeper_and_what_is_flat_stays() {
        let row: &[u8] = &[50, 50, 50, 150, 150, 150];
        let mut picture = grey(6, &[row; 4]);
        pixels(100, &mut picture, &mut Room::default());
        let expected: &[u8] = &[50, 50, 25, 175, 150, 150];
        assert_eq!(picture.bytes(), [expected; 4].concat());
        let mut picture = grey(6, &[row; 4]);
        pixels(20, &mut picture, &mut Room::default());
        let expected: &[u8] = &[50, 50, 45, 155, 150, 150];
        assert_eq!(picture.bytes(), [expected; 4].concat());
    }

    #[test]
    fn a_point_is_weighed_against_all_around_it_also_across_rows() {
        let mut picture = grey(3, &[&[0, 0, 0], &[0, 160, 0], &[0, 0, 0]]);
        pixels(50, &mut picture, &mut Room::default());
        // A quarter of it is its own share: (160 - 40) / 2 more.
        assert_eq!(picture.bytes(), [0, 0, 0, 0, 220, 0, 0, 0, 0]);
    }

    #[test]
    fn colours_move_together_and_alpha_stays() {
        for deep in [false, true] {
            let mut picture = Pixels::default();
            picture.allocate(2, 1, 4, deep);
            let samples = [100, 60, 20, 7, 200, 160, 120, 9];
            let found: Vec<i32> = if deep {
                picture
                    .words_mut()
                    .copy_from_slice(&samples.map(|one: u8| u16::from(one) * 256));
                pixels(40, &mut picture, &mut Room::default());
                picture
                    .words()
                    .iter()
                    .map(|&one| i32::from(one) / 256)
                    .collect()
            } else {
                picture.bytes_mut().copy_from_slice(&samples);
                pixels(40, &mut picture, &mut Room::default());
                picture.bytes().iter().map(|&one| i32::from(one)).collect()
            };
            assert_eq!((found[3], found[7]), (7, 9));
            for (at, &sample) in [100, 60, 20].iter().enumerate() {
                let (less, more) = (sample - found[at], found[at + 4] - (sample + 100));
                assert!(
                    (9..=11).contains(&less) && (9..=11).contains(&more),
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_wraps() {
        for value in [0_u8, 255] {
            let mut picture = grey(2, &[&[value, 255 - value]]);
            pixels(100, &mut picture, &mut Room::default());
            assert_eq!(picture.bytes(), [value, 255 - value]);
        }
        pixels(100, &mut Pixels::default(), &mut Room::default());
    }
}
