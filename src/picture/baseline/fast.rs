//! The two loops, compiled twice: for any processor, and for one with AVX2 and BMI2, where they are
//! a quarter faster. Which one it is shows at run time.

use super::blocks::{self, Coefficients, Step};
use super::source::{Bits, Data};
use super::transform::{self, Target};

/// What the processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    // Only `this` sets it, after it has asked.
    fast: bool,
}

impl Processor {
    /// The one that this runs on.
    pub fn this() -> Self {
        #[cfg(target_arch = "x86_64")]
        let fast = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("movbe");
        #[cfg(not(target_arch = "x86_64"))]
        let fast = false;
        Self { fast }
    }

    /// One without any extras.
    #[cfg(test)]
    pub const PLAIN: Self = Self { fast: false };

    pub fn fast(self) -> bool {
        self.fast
    }
}

/// See [`blocks::decode`].
pub fn decode(
    processor: Processor,
    steps: &[Step<'_>],
    bits: &mut Bits,
    data: &Data,
    coefficients: &mut Coefficients,
) -> Option<()> {
    #[cfg(target_arch = "x86_64")]
    if processor.fast {
        #[target_feature(enable = "bmi1,bmi2,lzcnt,movbe")]
        fn fast(
            steps: &[Step<'_>],
            bits: &mut Bits,
            data: &Data,
            coefficients: &mut Coefficients,
        ) -> Option<()> {
            blocks::decode(steps, bits, data, coefficients)
        }
        #[expect(unsafe_code, reason = "the compiler cannot know which processor it is")]
        // SAFETY: `Processor::this` found these features.
        return unsafe { fast(steps, bits, data, coefficients) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = processor;
    blocks::decode(steps, bits, data, coefficients)
}

/// Checks the coefficients and makes samples of them; `None` if [`transform::plain`] refuses them.
pub fn render(
    processor: Processor,
    eighths: usize,
    coefficients: &[i16],
    (quantizer, largest): (&[u8; 64], &[u16; 64]),
    to: &mut Target<'_>,
) -> Option<()> {
    #[cfg(target_arch = "x86_64")]
    if processor.fast {
        #[target_feature(enable = "avx2")]
        fn fast(
            eighths: usize,
            coefficients: &[i16],
            tables: (&[u8; 64], &[u16; 64]),
            to: &mut Target<'_>,
        ) -> Option<()> {
            transform::render(eighths, coefficients, tables, to)
        }
        #[expect(unsafe_code, reason = "the compiler cannot know which processor it is")]
        // SAFETY: `Processor::this` found this feature.
        return unsafe { fast(eighths, coefficients, (quantizer, largest), to) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = processor;
    transform::render(eighths, coefficients, (quantizer, largest), to)
}
