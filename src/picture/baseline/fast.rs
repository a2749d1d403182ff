//! The loops, compiled twice: for any processor, and for one with AVX2 and BMI2, where they are
//! a quarter faster or more. Which one it is shows at run time.

use super::blocks::{self, Coefficients, Step};
use super::source::{Bits, Data};

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

/// Work over all lanes. Its `run` must be inlined, always, with all that it calls: a closure would be compiled for
/// any processor.
pub trait Wide {
    type Result;
    fn run(self) -> Self::Result;
}

pub fn wide<W: Wide>(processor: Processor, work: W) -> W::Result {
    #[cfg(target_arch = "x86_64")]
    if processor.fast {
        #[target_feature(enable = "avx2")]
        fn fast<W: Wide>(work: W) -> W::Result {
            work.run()
        }
        #[expect(unsafe_code, reason = "the compiler cannot know which processor it is")]
        // SAFETY: `Processor::this` found this feature.
        return unsafe { fast(work) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = processor;
    work.run()
}
