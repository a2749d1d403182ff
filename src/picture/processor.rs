//! What the processor has, and loops that are compiled twice: for any processor, and for one with AVX2 and BMI2, where
//! they are a quarter faster or more. Which one it is shows at run time.

#![expect(
    clippy::inline_always,
    reason = "the loops must be compiled for the processor"
)]

/// What the processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    // Only `this` sets it, after it has asked.
    fast: bool,
}

/// Work whose `run` is inlined, always, with all that it calls: a closure would be compiled for any
/// processor.
pub trait Work {
    type Result;
    fn run(self) -> Self::Result;
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

    #[inline(always)]
    pub fn run<W: Work>(self, work: W) -> W::Result {
        #[cfg(target_arch = "x86_64")]
        if self.fast {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe")]
            fn fast<W: Work>(work: W) -> W::Result {
                work.run()
            }
            #[expect(unsafe_code, reason = "the compiler cannot know which processor it is")]
            // SAFETY: `this` found these features.
            return unsafe { fast(work) };
        }
        work.run()
    }
}
