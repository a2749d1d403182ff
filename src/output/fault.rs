//! Whose fault it is when something cannot be written: the folder's, and so all its pictures', a
//! name's, or none that stays.

use std::io;

use crate::{
    os,
    outcome::{Failure, Step},
};

/// The folder, and not the picture, is in the way.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub(super) String);

/// The file system has no such names. Another try changes nothing.
#[derive(Debug, thiserror::Error)]
#[error("the output's file system does not take this name: {0}")]
pub struct NameRefused(pub io::Error);

/// The name is taken, and the folder says that this fails a picture.
#[derive(Debug, thiserror::Error)]
#[error("another file has this name, and `on_conflict` says fail: rename the source, or say auto")]
pub struct NameTaken;

/// Whether a call that names a new file or folder may have failed for that name.
#[must_use]
pub fn may_be_the_name(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename | io::ErrorKind::NotFound
    ) || os::is_of_encoding(cause)
}

/// The failure of a picture that could not be written.
#[must_use]
pub fn failure(cause: anyhow::Error) -> Failure {
    let is_for_good = cause
        .chain()
        .any(|cause| cause.is::<NameRefused>() || cause.is::<NameTaken>());
    if is_for_good {
        return Failure::Permanent {
            step: Step::Publish,
            cause: format!("{cause:#}"),
        };
    }
    let step = if is_unusable(&cause) {
        Step::Output
    } else {
        Step::Publish
    };
    Failure::Transient { step, cause }
}

/// Whether the folder is in the way: then the log has been told, for all its pictures.
#[must_use]
pub fn is_unusable(cause: &anyhow::Error) -> bool {
    cause.chain().any(<dyn std::error::Error>::is::<Unusable>)
}

/// Tells what concerns the whole folder from what concerns one picture.
pub fn explain(cause: io::Error, context: String) -> anyhow::Error {
    let of_all = matches!(
        cause.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StaleNetworkFileHandle
            | io::ErrorKind::NotConnected
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    ) || os::is_of_device(&cause);
    if of_all {
        Unusable(format!("{context}: {cause}")).into()
    } else {
        anyhow::Error::new(cause).context(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_told_from_the_picture_and_the_name() {
        for (cause, unusable, step) in [
            (io::ErrorKind::StorageFull, true, Step::Output),
            (io::ErrorKind::NetworkDown, true, Step::Output),
            (io::ErrorKind::PermissionDenied, false, Step::Publish),
        ] {
            let cause = explain(cause.into(), "cannot write".to_owned());
            assert_eq!(is_unusable(&cause), unusable);
            let failure = failure(cause);
            assert!(matches!(failure, Failure::Transient { step: found, .. } if found == step));
        }
        let refused = NameRefused(io::ErrorKind::InvalidFilename.into());
        let failure = failure(anyhow::Error::new(refused).context("cannot rename"));
        assert!(matches!(failure, Failure::Permanent { .. }));
    }
}
