//! What became of a file: the steps of its way, how long each took, and how a try ended.

use std::{any::Any, fmt, time::Duration};

use crate::arrival::{FileKey, History, Stamp};

/// Where on its way a file is, or where it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// In the queue, for a worker and for memory.
    Wait,
    /// The look at the file before it is queued.
    Look,
    /// The ledger takes down that a worker has it.
    Claim,
    Read,
    Decode,
    Orient,
    Resize,
    Recompress,
    Overlay,
    Encode,
    Publish,
    /// The output folder, and not the picture, is in the way.
    Output,
    /// The picture as a whole: the program panicked on it, or a process died of it.
    Picture,
    Ledger,
}

impl Step {
    const ALL: [Step; 14] = [
        Step::Wait,
        Step::Look,
        Step::Claim,
        Step::Read,
        Step::Decode,
        Step::Orient,
        Step::Resize,
        Step::Recompress,
        Step::Overlay,
        Step::Encode,
        Step::Publish,
        Step::Output,
        Step::Picture,
        Step::Ledger,
    ];

    /// The steps that the report shows the times of, in the order of the data.
    pub const TIMED: [Step; 9] = [
        Step::Wait,
        Step::Read,
        Step::Decode,
        Step::Orient,
        Step::Resize,
        Step::Recompress,
        Step::Overlay,
        Step::Encode,
        Step::Publish,
    ];

    /// What people read, and the ledger keeps.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::Wait => "wait",
            Step::Look => "look",
            Step::Claim => "claim",
            Step::Read => "read",
            Step::Decode => "decode",
            Step::Orient => "orient",
            Step::Resize => "resize",
            Step::Recompress => "recompress",
            Step::Overlay => "overlay",
            Step::Encode => "encode",
            Step::Publish => "publish",
            Step::Output => "output",
            Step::Picture => "picture",
            Step::Ledger => "ledger",
        }
    }

    /// The step of that name; None for one that this version does not know.
    #[must_use]
    pub fn named(name: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long each step of one picture took; a step may not have run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times(pub [Option<Duration>; Step::TIMED.len()]);

impl Times {
    /// Adds to a step's time. One that is not timed is a mistake of ours and is not counted.
    pub fn add(&mut self, step: Step, took: Duration) {
        let slot = Step::TIMED.iter().position(|timed| *timed == step);
        debug_assert!(slot.is_some(), "{step:?} is not timed");
        if let Some(slot) = slot {
            let before = self.0[slot].unwrap_or_default();
            self.0[slot] = Some(before + took);
        }
    }
}

/// What is told of a picture that was made.
#[derive(Debug)]
pub struct Made {
    /// Of the written file.
    pub bytes_out: u64,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub warning: Option<String>,
    /// It was taken as it is since no more came, though more may have been meant to: its source stays.
    pub source_stays: bool,
}

/// Why there is no picture.
#[derive(Debug)]
pub enum Failure {
    /// The file is no longer there, or no longer a file.
    Gone,
    /// It is being written to.
    Changed,
    /// It ends too early.
    Incomplete { step: Step, cause: String },
    /// Something that may pass: a full disk, a vanished folder, a ledger that is away.
    Transient { step: Step, cause: anyhow::Error },
    /// It will fail again until the file changes.
    Permanent { step: Step, cause: String },
}

/// What is told of a picture that the program panicked on.
#[must_use]
pub fn panic_cause(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    format!("the program panicked on it: {message}")
}

/// A picture that is durable under its name.
#[derive(Debug)]
pub struct Published {
    /// Bytes of the source and of the written picture.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// What became of a job; its file is no longer in flight.
#[derive(Debug)]
pub struct Outcome {
    pub file: FileKey,
    pub history: History,
    pub stamp: Stamp,
    /// What lay there was all that was to be expected.
    pub last_try: bool,
    pub times: Times,
    pub result: Result<Published, Failure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_found_by_its_name() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(Step::named(step.name()), Some(step));
            assert!(!Step::ALL[..index].contains(&step), "{step:?} stands twice");
        }
        assert_eq!(Step::named("dance"), None);
    }
}
