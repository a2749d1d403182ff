//! The ledger of earlier versions, which all configurations of a user shared. A configuration that
//! has a ledger of its own now begins with a copy, if the shared one knows a folder of it: what was
//! done is not done again. The shared one stays as it is, for the others and for a way back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use rusqlite::{Connection, OpenFlags, types::Value};
use tracing::info;

use super::{
    open::{SCHEMA, refuse_links},
    value::{Name, beside, path_of},
};
use crate::{log::text, os};

/// A ledger that may be taken over, and the folders for whose sake.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    pub ledger: &'a Path,
    pub inputs: &'a [&'a Path],
}

impl Earlier<'_> {
    /// Whether a start with `own` takes this one over.
    pub fn is_taken_over(self, own: &Path) -> bool {
        !own.exists() && self.open().is_ok_and(|found| found.is_some())
    }

    /// The ledger, if it is there, of a version that can be read, and knows one of the folders.
    fn open(self) -> anyhow::Result<Option<Connection>> {
        if !self.ledger.is_file() {
            return Ok(None);
        }
        refuse_links(self.ledger)?;
        let connection =
            Connection::open_with_flags(self.ledger, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if !(1..=SCHEMA).contains(&version) {
            return Ok(None);
        }
        let inputs: Vec<PathBuf> = connection
            .prepare("SELECT input FROM folder")?
            .query_map([], |row| row.get::<_, Value>(0).map(path_of))?
            .collect::<Result<_, _>>()?;
        let is_ours = inputs.iter().any(|input| self.inputs.contains(&&**input));
        Ok(is_ours.then_some(connection))
    }

    /// Makes `own` as a copy. Its lock must be held.
    pub(super) fn take_over(self, own: &Path) -> anyhow::Result<()> {
        if own.exists() {
            return Ok(());
        }
        let context = || {
            format!(
                "cannot take over the ledger {}: name it as `ledger` to go on with it, or move it away to begin anew",
                self.ledger.display()
            )
        };
        let Some(connection) = self.open().with_context(context)? else {
            return Ok(());
        };
        let copy = || -> anyhow::Result<()> {
            let fresh = beside(own, ".new");
            match fs::remove_file(&fresh) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause.into()),
                _ => {}
            }
            // A whole state, whoever writes to it meanwhile.
            connection.execute("VACUUM INTO ?1", [Name(&fresh)])?;
            fs::File::open(&fresh)?.sync_all()?;
            fs::rename(&fresh, own)?;
            os::sync_directory(own.parent().unwrap_or(Path::new(".")))?;
            Ok(())
        };
        copy().with_context(context)?;
        info!(
            from = text(self.ledger),
            to = text(own),
            "ledger taken over, each configuration has its own now; the earlier one may be removed once no other configuration needs it"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        arrival::{FileKey, Stamp},
        ledger::{Dues, Fate, Ledger},
    };

    #[test]
    fn what_a_shared_ledger_knows_of_a_folder_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, stamp) = (
            dir.path().join("ledger.sqlite"),
            Stamp {
                length: 1,
                mtime_ns: 1,
            },
        );
        // It is open, and goes on.
        let other = Ledger::open(&shared).unwrap();
        let key = |ledger: &Ledger, input: &str| FileKey {
            folder: ledger.folder(Path::new(input)).unwrap(),
            path: Arc::from(Path::new("a.jpg")),
        };
        for input in ["/ours", "/theirs"] {
            let file = key(&other, input);
            other.claim(&file, stamp, 1, None, Dues::NONE).unwrap();
            let fate = Fate::Done {
                output: Path::new("/out/a.jpg"),
                more: &[],
                bytes: 1,
                took: Duration::ZERO,
                source_stays: false,
                damage: None,
            };
            other.finish([(&file, fate)]).unwrap();
        }
        for (name, input, is_taken) in [("own", "/ours", true), ("stranger", "/new", false)] {
            let own = dir.path().join(name).join("ledger.sqlite");
            let inputs = [Path::new(input)];
            let earlier = Earlier {
                ledger: &shared,
                inputs: &inputs,
            };
            assert_eq!(earlier.is_taken_over(&own), is_taken, "{name}");
            let ledger = Ledger::open_after(&own, Some(earlier)).unwrap();
            assert!(!earlier.is_taken_over(&own));
            assert_eq!(
                ledger.has_fate(&key(&ledger, input), stamp).unwrap(),
                is_taken
            );
        }
        assert!(other.has_fate(&key(&other, "/ours"), stamp).unwrap());
    }
}
