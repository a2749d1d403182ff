//! The filters that scale, and how much of each sample they take.
//!
//! The weights are those of `fast_image_resize`, to the last bit: it cannot scale a picture in parts with them, since
//! it counts them anew for each part, and their precision hangs on the largest.

use std::f64::consts::PI;

use fast_image_resize::{FilterType, ResizeAlg};

use super::bytes::{sum, times};
use super::geometry::Geometry;
use super::recipe::Resample;

/// A filter that scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    kind: FilterType,
    /// How far it reaches, in samples of the smaller of source and output.
    pub reach: u32,
}

/// The bicubic filter of Keys with a = -0.5.
pub const BICUBIC: Filter = Filter {
    kind: FilterType::CatmullRom,
    reach: 2,
};

pub const LANCZOS: Filter = Filter {
    kind: FilterType::Lanczos3,
    reach: 3,
};

impl Filter {
    /// The one for luma, and for pixels. Lanczos draws rings around what it enlarges.
    pub fn of(geometry: &Geometry) -> Self {
        match geometry.resample {
            Resample::Fine if !geometry.enlarges() => LANCZOS,
            Resample::Fine | Resample::Fast => BICUBIC,
        }
    }

    /// Bytes that the weights of one direction take: a float and a short for each sample that an
    /// output sample is made of, and a list for each output sample.
    pub fn need(self, from: u64, to: u64) -> u64 {
        let samples = times(times(from.max(to), u64::from(self.reach)), 2);
        sum([times(samples, 10), times(to, 80)])
    }

    pub fn algorithm(self) -> ResizeAlg {
        ResizeAlg::Convolution(self.kind)
    }

    fn at(self, place: f64) -> f64 {
        if self == LANCZOS {
            lanczos(place)
        } else {
            keys(place)
        }
    }
}

fn keys(place: f64) -> f64 {
    let x = place.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    } else {
        0.0
    }
}

fn lanczos(place: f64) -> f64 {
    let sinc = |x: f64| {
        if x == 0.0 {
            1.0
        } else {
            (x * PI).sin() / (x * PI)
        }
    };
    if (-3.0..3.0).contains(&place) {
        sinc(place) * sinc(place / 3.0)
    } else {
        0.0
    }
}

/// What is scaled to what, along one side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub filter: Filter,
    /// Samples of the source.
    pub source: u32,
    /// Where the part begins that is scaled, and how long it is.
    pub start: f64,
    pub length: f64,
    /// Samples of the output.
    pub output: u32,
}

impl Scale {
    /// Whether samples are only copied.
    fn copies(&self) -> bool {
        (self.length - f64::from(self.output)).abs() < f64::EPSILON
            && (self.start - self.start.round()).abs() < f64::EPSILON
    }
}

/// The weights of all samples of an output.
#[derive(Debug, Default)]
pub struct Weights {
    made_for: Option<Scale>,
    /// Fractional bits.
    pub precision: u32,
    /// For each sample of the output, the first of the source, and where its weights end.
    spans: Vec<(u32, u32)>,
    values: Vec<i16>,
    exact: Vec<f64>,
}

/// The weights of a sample.
#[derive(Debug, Clone, Copy)]
pub struct Taps<'a> {
    /// The first sample of the source.
    pub first: usize,
    pub values: &'a [i16],
}

impl Weights {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        self.spans.capacity() * 8 + self.values.capacity() * 2 + self.exact.capacity() * 8
    }

    pub fn of(&self, output: usize) -> Taps<'_> {
        let (first, end) = self.spans[output];
        let start = output.checked_sub(1).map_or(0, |last| self.spans[last].1);
        Taps {
            first: first as usize,
            values: &self.values[start as usize..end as usize],
        }
    }

    /// The most samples of the source that one of the output is made of.
    pub fn longest(&self) -> usize {
        (0..self.len())
            .map(|output| self.of(output).values.len())
            .max()
            .unwrap_or(0)
    }

    /// Samples of the output.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Makes them, unless they are made for that already, as for the picture before.
    pub fn make(&mut self, scale: Scale) {
        if self.made_for == Some(scale) {
            return;
        }
        self.spans.clear();
        self.values.clear();
        self.exact.clear();
        if scale.copies() {
            self.precision = 14;
            for output in 0..scale.output {
                self.values.push(1 << 14);
                self.spans.push((whole(scale.start) + output, output + 1));
            }
        } else {
            for output in 0..scale.output {
                self.sample(scale, output);
            }
            self.round();
        }
        self.made_for = Some(scale);
    }

    /// Adds the exact weights of a sample, without zeros at either end.
    fn sample(&mut self, scale: Scale, output: u32) {
        // Written as there, since another order of the same sums rounds otherwise.
        let ratio = ((scale.start + scale.length) - scale.start) / f64::from(scale.output);
        let reach = f64::from(scale.filter.reach) * ratio.max(1.0);
        let shrink = 1.0 / ratio.max(1.0);
        let middle = scale.start + (f64::from(output) + 0.5) * ratio;
        let first = whole((middle - reach).floor().max(0.0));
        let end = whole((middle + reach).ceil().min(f64::from(scale.source)));
        let centre = middle - 0.5;
        let begin = self.exact.len();
        let mut start = first;
        let mut total = 0.0;
        for source in first..end {
            let weight = scale.filter.at((f64::from(source) - centre) * shrink);
            if source == start && weight == 0.0 {
                start += 1;
            } else {
                self.exact.push(weight);
                total += weight;
            }
        }
        while self.exact.len() > begin && self.exact.last() == Some(&0.0) {
            self.exact.pop();
        }
        if total != 0.0 {
            for weight in &mut self.exact[begin..] {
                *weight /= total;
            }
        }
        let end = u32::try_from(self.exact.len()).unwrap_or(u32::MAX);
        self.spans.push((start, end));
    }

    /// Exact weights → whole numbers, as precise as 16 bits hold them.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the precision is chosen so that they fit"
    )]
    fn round(&mut self) {
        let largest = self.exact.iter().copied().fold(0.0, f64::max);
        let fits = |bits: &u32| (largest * f64::from(1_u32 << (bits + 1))).round() < 32_768.0;
        self.precision = (0..21).find(|bits| !fits(bits)).unwrap_or(21);
        let one = f64::from(1_u32 << self.precision);
        let rounded = self
            .exact
            .iter()
            .map(|weight| (weight * one).round() as i16);
        self.values.extend(rounded);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place within a side, which came from a u32"
)]
fn whole(place: f64) -> u32 {
    place as u32
}
