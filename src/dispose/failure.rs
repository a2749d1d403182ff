//! Why a source is still there.

use std::{io, path::Path};

/// Why a file is still there.
pub struct Failure {
    pub cause: anyhow::Error,
    /// It will meet the others as well.
    pub all: bool,
}

pub fn for_all(path: &Path, what: &str, cause: io::Error) -> Failure {
    Failure {
        all: true,
        ..for_one(path, what, cause)
    }
}

pub fn for_one(path: &Path, what: &str, cause: io::Error) -> Failure {
    let all = matches!(
        cause.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StaleNetworkFileHandle
    );
    let cause = anyhow::Error::new(cause).context(format!("{what} {}", path.display()));
    Failure { cause, all }
}

impl Failure {
    pub fn into_folder(self, to: &Path) -> Failure {
        Failure {
            cause: self.cause.context(format!("into {}", to.display())),
            ..self
        }
    }
}
