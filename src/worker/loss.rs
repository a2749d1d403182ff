//! What pictures lose besides metadata is told once for as long as the process runs: phones write
//! it into every picture, and it is no fault.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::info;

use crate::{log::text, picture::Lost};

/// A kind of loss that has been told or not.
struct Telling {
    told: AtomicBool,
    what: &'static str,
}

static GAIN_MAP: Telling = Telling {
    told: AtomicBool::new(false),
    what: "the HDR gain map of pictures is left out: results are not HDR; told once",
};

static VIDEO: Telling = Telling {
    told: AtomicBool::new(false),
    what: "the video of motion photos is left out: results are still pictures; told once",
};

/// Tells of the first picture that loses something.
pub fn tell(lost: Lost, source: &Path) {
    for (happened, telling) in [(lost.gain_map, &GAIN_MAP), (lost.video, &VIDEO)] {
        if happened && telling.is_first() {
            info!(path = text(source), "{}", telling.what);
        }
    }
}

impl Telling {
    fn is_first(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once() {
        let telling = Telling {
            told: AtomicBool::new(false),
            what: "",
        };
        assert_eq!([(); 3].map(|()| telling.is_first()), [true, false, false]);
    }
}
