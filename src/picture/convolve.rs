//! Rows of samples added up with weights: all that scaling is. Along a row it is the same on rows that have become
//! columns.

use super::filter::Weights;
use super::processor::Processor;

/// Samples that are added up side by side.
pub const SIDE: usize = 32;

/// Rows of a plane.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub samples: &'a [u8],
    pub width: usize,
    /// The first row that is there.
    pub first: usize,
    /// Rows of the whole plane; the last one is repeated beyond the end.
    pub count: usize,
    /// Whether they are counted from the last.
    pub flipped: bool,
}

impl Rows<'_> {
    /// Where a row begins.
    fn start(&self, row: usize) -> usize {
        (self.stored(row) - self.first) * self.width
    }

    /// The number of a row as it is stored.
    pub fn stored(&self, row: usize) -> usize {
        let last = self.count - 1;
        let row = row.min(last);
        if self.flipped { last - row } else { row }
    }
}

/// Makes the rows of an output from `first` on, as many as `to` has, whose rows are as wide as the source's.
/// The output is flipped where the source is.
pub fn convolve(
    processor: Processor,
    weights: &Weights,
    from: &Rows<'_>,
    first: usize,
    to: &mut [u8],
) {
    #[cfg(target_arch = "x86_64")]
    if processor.fast() {
        #[expect(unsafe_code, reason = "the compiler cannot know which processor it is")]
        // SAFETY: `Processor::this` found AVX2.
        return unsafe { avx2::convolve(weights, from, first, to) };
    }
    let _ = processor;
    for (row, to) in to.chunks_exact_mut(from.width).enumerate() {
        let line = Line::new(weights, from, first + row);
        line.plain(0, to);
    }
}

/// A row of the output.
struct Line<'a> {
    values: &'a [i16],
    precision: u32,
    /// The first row, as the weights count.
    first: usize,
    from: &'a Rows<'a>,
}

impl<'a> Line<'a> {
    #[inline]
    fn new(weights: &'a Weights, from: &'a Rows<'a>, row: usize) -> Self {
        let output = if from.flipped {
            weights.len() - 1 - row
        } else {
            row
        };
        let taps = weights.of(output);
        Self {
            values: taps.values,
            precision: weights.precision,
            first: taps.first,
            from,
        }
    }

    /// The samples from column `left` on.
    fn plain(&self, left: usize, to: &mut [u8]) {
        let half = 1 << (self.precision - 1);
        for (index, part) in to.chunks_mut(SIDE).enumerate() {
            let mut sums = [half; SIDE];
            let left = left + index * SIDE;
            for (row, &value) in (self.first..).zip(self.values) {
                let start = self.from.start(row) + left;
                let samples = &self.from.samples[start..start + part.len()];
                for (sum, &sample) in sums.iter_mut().zip(samples) {
                    *sum += i32::from(value) * i32::from(sample);
                }
            }
            for (sample, sum) in part.iter_mut().zip(sums) {
                *sample = u8::try_from((sum >> self.precision).clamp(0, 255)).unwrap_or(0);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! Two rows are added up in one instruction, which the compiler does not find itself.

    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_madd_epi16,
        _mm256_packs_epi32, _mm256_packus_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
        _mm256_sra_epi32, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
    };

    use bytemuck::cast;

    use super::{Line, Rows, SIDE};
    use crate::picture::filter::Weights;

    #[target_feature(enable = "avx2")]
    pub fn convolve(weights: &Weights, from: &Rows<'_>, first: usize, to: &mut [u8]) {
        for (row, to) in to.chunks_exact_mut(from.width).enumerate() {
            let line = Line::new(weights, from, first + row);
            // Rows that are repeated do not lie side by side.
            if line.first + line.values.len() > from.count {
                line.plain(0, to);
                continue;
            }
            let start = from.start(line.first);
            let step = if from.flipped {
                from.width.wrapping_neg()
            } else {
                from.width
            };
            let samples = from.samples;
            let (parts, rest) = to.as_chunks_mut::<{ SIDE * 2 }>();
            let mut left = 0;
            for part in parts {
                let place = (start + left, step);
                cast_into(wide::<2>(&line, samples, place), part);
                left += SIDE * 2;
            }
            let (parts, rest) = rest.as_chunks_mut::<SIDE>();
            for part in parts {
                let place = (start + left, step);
                cast_into(wide::<1>(&line, samples, place), part);
                left += SIDE;
            }
            line.plain(left, rest);
        }
    }

    fn cast_into<const N: usize>(sums: [[u8; SIDE]; N], to: &mut [u8]) {
        to.copy_from_slice(sums.as_flattened());
    }

    /// Adds up `N` times `SIDE` columns. The place is that of the first row's samples, and what leads to those of
    /// the next row.
    #[target_feature(enable = "avx2")]
    fn wide<const N: usize>(
        line: &Line<'_>,
        samples: &[u8],
        (mut at, step): (usize, usize),
    ) -> [[u8; SIDE]; N] {
        let zero = _mm256_setzero_si256();
        let mut sums = [[_mm256_set1_epi32(1 << (line.precision - 1)); 4]; N];
        let mut load = || {
            let row = samples.get(at..at + SIDE * N).unwrap_or_default();
            at = at.wrapping_add(step);
            let mut rows = [zero; N];
            for (to, part) in rows.iter_mut().zip(row.as_chunks::<SIDE>().0) {
                *to = cast(*part);
            }
            rows
        };
        let (pairs, last) = line.values.as_chunks::<2>();
        for values in pairs {
            let (first, second) = (load(), load());
            add(&mut sums, first, second, *values);
        }
        if let [value] = *last {
            add(&mut sums, load(), [zero; N], [value, 0]);
        }
        let shift: __m128i = _mm_cvtsi32_si128(line.precision.cast_signed());
        sums.map(|sums| {
            let [first, second, third, fourth] = sums.map(|sum| _mm256_sra_epi32(sum, shift));
            cast(_mm256_packus_epi16(
                _mm256_packs_epi32(first, second),
                _mm256_packs_epi32(third, fourth),
            ))
        })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add<const N: usize>(
        sums: &mut [[__m256i; 4]; N],
        first: [__m256i; N],
        second: [__m256i; N],
        values: [i16; 2],
    ) {
        let zero = _mm256_setzero_si256();
        let values = _mm256_set1_epi32(cast(values));
        for index in 0..N {
            let low = _mm256_unpacklo_epi8(first[index], second[index]);
            let high = _mm256_unpackhi_epi8(first[index], second[index]);
            let parts = [
                _mm256_unpacklo_epi8(low, zero),
                _mm256_unpackhi_epi8(low, zero),
                _mm256_unpacklo_epi8(high, zero),
                _mm256_unpackhi_epi8(high, zero),
            ];
            for (sum, part) in sums[index].iter_mut().zip(parts) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(part, values));
            }
        }
    }
}
