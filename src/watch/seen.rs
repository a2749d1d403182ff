//! What scans of a folder have seen before, so that they ask the ledger only about what is new.
//!
//! A file is kept as a 128-bit print of its relative path, length and mtime, under a key of this
//! process's own: 20 to 40 bytes a file in the table whatever its name, and no chance worth naming
//! that a new file is taken for an old one. Whatever is in here has a fate in the ledger; what is
//! not in here may have one, so that forgetting costs questions and nothing else. A print that a
//! whole scan did not meet belongs to a file that is gone or has changed, and leaves.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher},
    path::Path,
};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::{
    arrival::{FileKey, FolderId, Stamp},
    ledger::{Ledger, Standing},
};

/// After so many answers in one scan, and a quarter of what is known, the folder's fates are read
/// from the ledger in one go: that is one question for thousands, but also reads the fates of files
/// that are long gone.
const WORTH_LOADING: usize = 1000;
const WORTH_LOADING_PART: usize = 4;
/// Fates that are read in one go at most; more are mostly of files that are long gone.
const LOADED_AT_MOST: usize = 1_500_000;

/// The bit of a file that has failed.
const FAILED: u8 = 0x80;

/// The fate that a file is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Done,
    Failed,
}

#[derive(Debug)]
pub struct Seen {
    /// With the last scan that met the file, and [`FAILED`] if it has failed.
    prints: HashMap<Print, u8, BuildHasherDefault<AsItIs>>,
    /// The running scan, or the last one; below [`FAILED`].
    scan: u8,
    key: u64,
    /// Files of the running scan that only the ledger knew.
    learnt: usize,
    loaded: bool,
    /// Of the ledger when the running scan began.
    version: Option<i64>,
    /// What a print is made from.
    bytes: Vec<u8>,
}

impl Seen {
    pub fn new() -> Seen {
        Seen {
            prints: HashMap::default(),
            scan: 0,
            key: RandomState::new().build_hasher().finish(),
            learnt: 0,
            loaded: false,
            version: None,
            bytes: Vec::new(),
        }
    }

    /// Begins a scan of the whole folder. What another process wrote into the ledger may have taken
    /// a file's fate away, so then everything is asked anew.
    pub fn begin(&mut self, ledger: &Ledger) -> anyhow::Result<()> {
        let version = ledger.version_of_others()?;
        if self.version.replace(version) != Some(version) {
            self.forget();
        }
        self.scan = self.scan.wrapping_add(1) & !FAILED;
        (self.learnt, self.loaded) = (0, false);
        Ok(())
    }

    /// Ends a scan that saw the whole folder.
    pub fn end(&mut self) {
        let scan = self.scan;
        self.prints.retain(|_, met| *met & !FAILED == scan);
        if self.prints.capacity() / 4 > self.prints.len() {
            self.prints.shrink_to_fit();
        }
    }

    /// Forgets everything, for when fates may have been taken away: the next scan asks the ledger.
    pub fn forget(&mut self) {
        self.prints = HashMap::default();
    }

    /// The fate of the file as it is now, if it is known to have been processed.
    pub fn knows(&mut self, path: &Path, stamp: Stamp) -> Option<Known> {
        let print = self.print(path.as_os_str().as_encoded_bytes(), stamp);
        let scan = self.scan;
        let met = self.prints.get_mut(&print)?;
        let failed = *met & FAILED;
        *met = scan | failed;
        Some(if failed == 0 {
            Known::Done
        } else {
            Known::Failed
        })
    }

    /// Asks the ledger about a file that is not known here, and remembers what it says.
    pub fn learn(
        &mut self,
        ledger: &Ledger,
        file: &FileKey,
        stamp: Stamp,
    ) -> anyhow::Result<Option<Known>> {
        let known = |failed| if failed { Known::Failed } else { Known::Done };
        let failed = match ledger.standing(file, stamp)? {
            Standing::Open { .. } => return Ok(None),
            // Once it has left, a file that comes under its name is another one.
            Standing::Owed { failed } => return Ok(Some(known(failed))),
            Standing::Decided { failed } => failed,
        };
        let print = self.print(file.path.as_os_str().as_encoded_bytes(), stamp);
        self.prints.insert(print, self.scan | mark(failed));
        self.learnt += 1;
        if !self.loaded
            && self.learnt > WORTH_LOADING
            && self.learnt > self.prints.len() / WORTH_LOADING_PART
        {
            self.loaded = true;
            self.load(ledger, file.folder)?;
        }
        Ok(Some(known(failed)))
    }

    fn load(&mut self, ledger: &Ledger, folder: FolderId) -> anyhow::Result<()> {
        // Until the scan meets the file the print counts as left over from the scan before.
        let before = self.scan.wrapping_sub(1) & !FAILED;
        let mut left = LOADED_AT_MOST;
        ledger.each_fate(folder, |path, stamp, failed| {
            let print = self.print(path, stamp);
            self.prints.entry(print).or_insert(before | mark(failed));
            left -= 1;
            left > 0
        })
    }

    fn print(&mut self, path: &[u8], stamp: Stamp) -> Print {
        self.bytes.clear();
        self.bytes.extend_from_slice(&stamp.length.to_ne_bytes());
        self.bytes.extend_from_slice(&stamp.mtime_ns.to_ne_bytes());
        self.bytes.extend_from_slice(path);
        Print(xxh3_128_with_seed(&self.bytes, self.key).to_ne_bytes())
    }
}

fn mark(failed: bool) -> u8 {
    if failed { FAILED } else { 0 }
}

/// Bytes rather than a `u128`, whose alignment would double the size of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print([u8; 16]);

impl Hash for Print {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// Takes the first bytes for the hash: a print is one already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        ledger::{Dues, Fate},
        outcome::Step,
    };

    const FAILED: Fate<'static> = Fate::Failed {
        step: Step::Decode,
        reason: "no picture",
        leaves_after: None,
    };

    fn stamp(length: u64) -> Stamp {
        Stamp {
            length,
            mtime_ns: -5,
        }
    }

    fn key(folder: FolderId, name: &str) -> FileKey {
        FileKey {
            folder,
            path: Arc::from(Path::new(name)),
        }
    }

    fn fail(ledger: &Ledger, file: &FileKey) {
        ledger.claim(file, stamp(1), 0, None, Dues::NONE).unwrap();
        ledger.finish([(file, FAILED)]).unwrap();
    }

    /// Whether the ledger has to be asked, and what is known then.
    fn ask(seen: &mut Seen, ledger: &Ledger, file: &FileKey, stamp: Stamp) -> (bool, bool) {
        let known = seen.knows(&file.path, stamp);
        let known_or_learnt = known.or_else(|| seen.learn(ledger, file, stamp).unwrap());
        assert!(known_or_learnt.is_none_or(|known| known == Known::Failed));
        (known.is_none(), known_or_learnt.is_some())
    }

    #[test]
    fn the_ledger_is_asked_once_and_what_is_gone_leaves() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let folder = ledger.folder(Path::new("/in")).unwrap();
        let (kept, gone, new) = (key(folder, "a"), key(folder, "b"), key(folder, "c"));
        fail(&ledger, &kept);
        fail(&ledger, &gone);
        let mut seen = Seen::new();
        seen.begin(&ledger).unwrap();
        assert_eq!(ask(&mut seen, &ledger, &kept, stamp(1)), (true, true));
        assert_eq!(ask(&mut seen, &ledger, &gone, stamp(1)), (true, true));
        assert_eq!(ask(&mut seen, &ledger, &new, stamp(1)), (true, false));
        seen.end();
        seen.begin(&ledger).unwrap();
        assert_eq!(ask(&mut seen, &ledger, &kept, stamp(1)), (false, true));
        assert_eq!(ask(&mut seen, &ledger, &kept, stamp(2)), (true, false));
        assert_eq!(ask(&mut seen, &ledger, &new, stamp(1)), (true, false));
        seen.end();
        assert_eq!(seen.prints.len(), 1);
        // What our own process writes needs no new questions, what another one writes does.
        fail(&ledger, &new);
        seen.begin(&ledger).unwrap();
        assert_eq!(ask(&mut seen, &ledger, &kept, stamp(1)), (false, true));
        let other = rusqlite::Connection::open(&path).unwrap();
        other
            .execute("DELETE FROM file WHERE path = 'a'", [])
            .unwrap();
        seen.begin(&ledger).unwrap();
        assert_eq!(ask(&mut seen, &ledger, &kept, stamp(1)), (true, false));
    }

    #[test]
    fn many_fates_are_read_in_one_go() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&directory.path().join("ledger.sqlite")).unwrap();
        let folder = ledger.folder(Path::new("/in")).unwrap();
        let other = ledger.folder(Path::new("/other")).unwrap();
        let files: Vec<FileKey> = (0..25_000).map(|n| key(folder, &n.to_string())).collect();
        let fates = files.iter().map(|file| (file, FAILED));
        for file in &files {
            ledger.claim(file, stamp(1), 0, None, Dues::NONE).unwrap();
        }
        ledger.finish(fates).unwrap();
        fail(&ledger, &key(other, "x"));
        let mut seen = Seen::new();
        seen.begin(&ledger).unwrap();
        let asked = files
            .iter()
            .filter(|file| ask(&mut seen, &ledger, file, stamp(1)).0)
            .count();
        assert_eq!(asked, WORTH_LOADING + 1);
        assert_eq!(seen.prints.len(), files.len());
        seen.begin(&ledger).unwrap();
        seen.end();
        assert!(seen.prints.is_empty() && seen.prints.capacity() == 0);
    }
}
