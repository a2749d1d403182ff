//! Why a picture was not treated, and at which step.

use crate::outcome::Step;

/// Why a picture was not treated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// The data ends too early: it may be whole later.
    #[error("{step}: {cause}")]
    Incomplete { step: Step, cause: String },
    /// The same bytes will never become a picture.
    #[error("{step}: {cause}")]
    Bad { step: Step, cause: String },
}

impl PictureError {
    /// The step that met it.
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Self::Incomplete { step, .. } | Self::Bad { step, .. } => *step,
        }
    }
}

/// Makes a cause a permanent failure of a step.
pub fn bad(step: Step) -> impl Fn(String) -> PictureError {
    move |cause| PictureError::Bad { step, cause }
}
