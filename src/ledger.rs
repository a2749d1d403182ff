//! The durable memory of every file's fate, in SQLite.
//!
//! A row is written when a worker takes a file in hand (claimed) and when its fate is known (done,
//! or failed with step and reason) or put off (waiting, with step, reason and schedule). A file is
//! the same as long as its folder, relative path, length and mtime are; inode numbers are reused
//! and so prove nothing. Claims that a crash left behind are given back at start, and the scan finds
//! their files again: the folder is the queue.
//!
//! Schedules are kept by the wall clock, which may be set: who reads one cuts a wait that is longer
//! than any that it would set itself.
//!
//! The journal is a write-ahead log with `synchronous = NORMAL`: a row survives any end of the
//! process; a power cut may take back the last ones, which repeats work and loses none, because
//! "done" is only written once the picture itself is on the disk.

mod bell;
mod open;
mod owed;
mod recover;
mod visit;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::{Context, ensure};
use rusqlite::{
    Connection, OptionalExtension, ToSql, params,
    types::{ToSqlOutput, Value},
};

pub use self::{
    bell::{Bell, hang_bell, ring},
    open::{Refused, inspect, lock},
    owed::{Dues, Left, Owed},
    recover::{CRASHES, Recovered},
    visit::{Daemon, Entry, State, Tally, Visitor, Which, daemon},
};

use crate::{
    arrival::{FileKey, FolderId, Stamp},
    outcome::Step,
    retry::NextTry,
};

/// Rows that are read in one go: some milliseconds.
const PIECE: i64 = 4096;
/// How often a process begins a corrupt ledger anew: after that it is not the ledger, but the disk.
const RENEWALS: u32 = 3;

pub struct Ledger {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// The folders that have been asked for: they keep their numbers in a ledger begun anew.
    folders: Mutex<BTreeMap<i64, PathBuf>>,
    /// Mount points that were noted, for a ledger that is begun anew.
    places: Mutex<BTreeMap<PathBuf, PathBuf>>,
    renewals: AtomicU32,
    /// The process has been told to stop.
    stopping: AtomicBool,
    /// Held for as long as the ledger is open: one daemon a ledger.
    _lock: File,
}

/// A file's fate, as it is written.
#[derive(Debug)]
pub enum Fate<'a> {
    Done {
        output: &'a Path,
        bytes: u64,
        took: Duration,
        /// The picture was made of what there was, since no more came: more may still be written.
        source_stays: bool,
    },
    Failed {
        step: Step,
        reason: &'a str,
        /// No more came: more may still be written.
        source_stays: bool,
    },
    /// It failed for what may pass.
    Waiting {
        step: Step,
        reason: &'a str,
        next: NextTry,
    },
    /// It ends too early, and is given back until more of it has come.
    Incomplete { step: Step, reason: &'a str },
    /// Nothing was decided: the file is given back.
    Released,
}

/// Where a file stands, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has its fate.
    Decided,
    /// It has its fate, and its source is still to leave the folder.
    Owed,
    Open {
        /// Where it failed for what may pass; the wait is zero when it is due.
        waiting: Option<NextTry>,
        /// It waits for its output folder.
        for_output: bool,
        /// Deaths of processes that may have been its doing.
        suspicion: u32,
    },
}

const NEW: Standing = Standing::Open {
    waiting: None,
    for_output: false,
    suspicion: 0,
};

impl Ledger {
    /// Opens the ledger, making it if it is missing, and keeps other processes out.
    pub fn open(path: &Path) -> anyhow::Result<Ledger> {
        open::refuse_remote(path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).with_context(|| {
            format!("cannot create the ledger's folder {}", directory.display())
        })?;
        let lock = open::lock(path)?;
        let connection = open::open_or_begin_anew(path)?;
        Ok(Ledger {
            path: path.to_owned(),
            connection: Mutex::new(connection),
            folders: Mutex::new(BTreeMap::new()),
            places: Mutex::new(BTreeMap::new()),
            renewals: AtomicU32::new(0),
            stopping: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// The lasting number of a folder.
    pub fn folder(&self, input: &Path) -> anyhow::Result<FolderId> {
        self.guarded(|connection| {
            connection.execute(
                "INSERT OR IGNORE INTO folder (input) VALUES (?1)",
                [Name(input)],
            )?;
            let id = connection.query_row(
                "SELECT id FROM folder WHERE input = ?1",
                [Name(input)],
                |row| row.get(0),
            )?;
            known(&self.folders).insert(id, input.to_owned());
            Ok(FolderId(id))
        })
    }

    /// The mount point that a folder lay on when it was last written to.
    pub fn mount_of(&self, folder: &Path) -> anyhow::Result<Option<PathBuf>> {
        self.guarded(|connection| {
            let sql = "SELECT mount FROM place WHERE folder = ?1";
            let mount = connection.query_row(sql, [Name(folder)], |row| row.get(0));
            let mount = mount.optional().context("cannot ask the ledger")?;
            let mount = mount.map(owed::path_of);
            if let Some(mount) = &mount {
                known(&self.places).insert(folder.to_owned(), mount.clone());
            }
            Ok(mount)
        })
    }

    /// Notes the mount point of a folder that has been written to.
    pub fn note_mount(&self, folder: &Path, mount: &Path) -> anyhow::Result<()> {
        known(&self.places).insert(folder.to_owned(), mount.to_owned());
        self.guarded(|connection| {
            let sql = "INSERT INTO place (folder, mount) VALUES (?1, ?2)
                       ON CONFLICT (folder) DO UPDATE SET mount = excluded.mount";
            connection
                .execute(sql, [Name(folder), Name(mount)])
                .context("cannot write to the ledger")?;
            Ok(())
        })
    }

    /// Whether the file, as it is now, has been dealt with.
    pub fn has_fate(&self, file: &FileKey, stamp: Stamp) -> anyhow::Result<bool> {
        Ok(!matches!(
            self.standing(file, stamp)?,
            Standing::Open { .. }
        ))
    }

    pub fn standing(&self, file: &FileKey, stamp: Stamp) -> anyhow::Result<Standing> {
        self.guarded(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT state IN ('done', 'failed') AND source IS NOT 'gone', state = 'waiting',
             tries, next_ms, told_ms, crashes + ends, source IS 'owed', step IS ?5 FROM file
             WHERE folder = ?1 AND path = ?2 AND length = ?3 AND mtime_ns = ?4",
            )?;
            let row = params![
                file.folder.0,
                Name(&file.path),
                length(stamp),
                stamp.mtime_ns,
                Step::Output.name()
            ];
            let standing = select.query_row(row, |row| {
                if row.get(0)? {
                    let owed = row.get(6)?;
                    return Ok(if owed {
                        Standing::Owed
                    } else {
                        Standing::Decided
                    });
                }
                let suspicion = row.get(5)?;
                if !row.get(1)? {
                    return Ok(Standing::Open {
                        waiting: None,
                        for_output: false,
                        suspicion,
                    });
                }
                let now = now_ms();
                let (next, told): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
                let waiting = Some(NextTry {
                    tries: row.get::<_, Option<u32>>(2)?.unwrap_or_default(),
                    wait: milliseconds(next.unwrap_or(now).saturating_sub(now)),
                    told: milliseconds(now.saturating_sub(told.unwrap_or_default())),
                });
                Ok(Standing::Open {
                    waiting,
                    for_output: row.get(7)?,
                    suspicion,
                })
            });
            let standing = standing.optional().context("cannot ask the ledger")?;
            Ok(standing.unwrap_or(NEW))
        })
    }

    /// Calls `take` with path, as bytes, and stamp of every file of a folder that has been dealt
    /// with and stays, for as long as it says so. Reads in pieces, so that workers do not wait for long.
    pub fn each_fate(
        &self,
        folder: FolderId,
        mut take: impl FnMut(&[u8], Stamp) -> bool,
    ) -> anyhow::Result<()> {
        let mut after = Some(Value::Text(String::new()));
        while let Some(first) = after {
            after = self.guarded(|connection| {
                let mut select = connection.prepare_cached(
                    "SELECT path, length, mtime_ns, state IN ('done', 'failed') AND source IS NULL
                     FROM file
                     WHERE folder = ?1 AND path > ?2 ORDER BY path LIMIT ?3",
                )?;
                let mut rows = select
                    .query(params![folder.0, first, PIECE])
                    .context("cannot ask the ledger")?;
                let mut count = 0;
                while let Some(row) = rows.next().context("cannot ask the ledger")? {
                    let path = row.get_ref(0)?;
                    let stamp = Stamp {
                        length: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                        mtime_ns: row.get(2)?,
                    };
                    if row.get(3)? && !take(path.as_bytes()?, stamp) {
                        return Ok(None);
                    }
                    count += 1;
                    if count == PIECE {
                        return Ok(Some(row.get(0)?));
                    }
                }
                Ok(None)
            })?;
        }
        Ok(())
    }

    /// A number that changes whenever another process has written to the ledger.
    pub fn version_of_others(&self) -> anyhow::Result<i64> {
        self.guarded(|connection| {
            let mut select = connection.prepare_cached("PRAGMA data_version")?;
            select
                .query_row([], |row| row.get(0))
                .context("cannot ask the ledger")
        })
    }

    /// Notes that a worker takes the file in hand, `alone` or beside others, and that what it had
    /// in hand before is `made`.
    pub fn claim(
        &self,
        file: &FileKey,
        stamp: Stamp,
        recipe: u64,
        alone: bool,
        made: Option<&FileKey>,
        dues: Dues,
    ) -> anyhow::Result<()> {
        self.guarded(|connection| {
            let transaction = connection
                .transaction()
                .context("cannot claim the file in the ledger")?;
            if let Some(made) = made {
                let sql = "UPDATE file SET state = 'made'
                       WHERE folder = ?1 AND path = ?2 AND state = 'claimed'";
                transaction
                    .prepare_cached(sql)?
                    .execute(params![made.folder.0, Name(&made.path)])
                    .context("cannot claim the file in the ledger")?;
            }
            let mut insert = transaction.prepare_cached(
            "INSERT INTO file (folder, path, length, mtime_ns, recipe, state, changed_ms, alone,
               dues, inode, ctime_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, 'claimed', ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (folder, path) DO UPDATE SET
               length = excluded.length, mtime_ns = excluded.mtime_ns, recipe = excluded.recipe,
               state = excluded.state, changed_ms = excluded.changed_ms, alone = excluded.alone,
               crashes = CASE WHEN length = excluded.length AND mtime_ns = excluded.mtime_ns
                         THEN crashes ELSE 0 END,
               ends = CASE WHEN length = excluded.length AND mtime_ns = excluded.mtime_ns
                      THEN ends ELSE 0 END,
               step = NULL, reason = NULL, output = NULL, bytes = NULL, took_ms = NULL,
               tries = NULL, next_ms = NULL, told_ms = NULL,
               dues = excluded.dues, inode = excluded.inode, ctime_ns = excluded.ctime_ns,
               source = NULL",
        )?;
            let row = params![
                file.folder.0,
                Name(&file.path),
                length(stamp),
                stamp.mtime_ns,
                recipe.cast_signed(),
                now_ms(),
                alone,
                dues.as_row(),
                dues.inode.map(u64::cast_signed),
                dues.ctime_ns
            ];
            insert
                .execute(row)
                .context("cannot claim the file in the ledger")?;
            drop(insert);
            transaction
                .commit()
                .context("cannot claim the file in the ledger")
        })
    }

    /// Writes the fates of a group of files in one transaction.
    pub fn finish<'a>(
        &self,
        fates: impl IntoIterator<Item = (&'a FileKey, Fate<'a>)>,
    ) -> anyhow::Result<()> {
        self.guarded(|connection| {
            let transaction = connection
                .transaction()
                .context("cannot write to the ledger")?;
            {
                let mut update = transaction.prepare_cached(
                    "UPDATE file SET state = ?3, step = ?4, reason = ?5, output = ?6, bytes = ?7,
                 took_ms = ?8, changed_ms = ?9, tries = ?10, next_ms = ?11, told_ms = ?12,
                 crashes = CASE WHEN ?3 IN ('released', 'waiting') THEN crashes ELSE 0 END,
                 ends = CASE WHEN ?3 IN ('released', 'waiting') THEN ends ELSE 0 END,
                 source = CASE WHEN ?13 AND (?3 = 'done' AND dues & 1 OR ?3 = 'failed' AND dues & 2)
                          THEN 'owed' END
                 WHERE folder = ?1 AND path = ?2",
                )?;
                for (file, fate) in fates {
                    let now = now_ms();
                    let next = match &fate {
                        Fate::Waiting { next, .. } => Some(*next),
                        _ => None,
                    };
                    let may_leave = !matches!(
                        fate,
                        Fate::Done {
                            source_stays: true,
                            ..
                        } | Fate::Failed {
                            source_stays: true,
                            ..
                        }
                    );
                    let (state, step, reason, output, bytes, took) = match fate {
                        Fate::Done {
                            output,
                            bytes,
                            took,
                            ..
                        } => (
                            "done",
                            None,
                            None,
                            Some(Name(output)),
                            Some(bytes),
                            Some(took),
                        ),
                        Fate::Failed { step, reason, .. } => {
                            ("failed", Some(step), Some(reason), None, None, None)
                        }
                        Fate::Waiting { step, reason, .. } => {
                            ("waiting", Some(step), Some(reason), None, None, None)
                        }
                        Fate::Incomplete { step, reason } => {
                            ("released", Some(step), Some(reason), None, None, None)
                        }
                        Fate::Released => ("released", None, None, None, None, None),
                    };
                    let bytes = bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
                    let took = took.map(in_ms);
                    let is_done = state == "done";
                    let rows = update
                        .execute(params![
                            file.folder.0,
                            Name(&file.path),
                            state,
                            step.map(Step::name),
                            reason,
                            output,
                            bytes,
                            took,
                            now,
                            next.map(|next| next.tries),
                            next.map(|next| now.saturating_add(in_ms(next.wait))),
                            next.map(|next| now.saturating_sub(in_ms(next.told))),
                            may_leave,
                        ])
                        .context("cannot write to the ledger")?;
                    // The ledger was begun anew meanwhile: what it does not know is not done.
                    ensure!(rows > 0 || !is_done, "the ledger has lost the file");
                }
            }
            transaction.commit().context("cannot write to the ledger")
        })
    }

    /// Does something with the database. If it turns out to be corrupt, it is moved aside and begun
    /// anew; what was to be done has failed and is tried again like everything that may pass.
    fn guarded<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut connection = self.connection();
        if connection.path().is_none_or(str::is_empty) {
            // It could not be begun anew the last time.
            self.renew(&mut connection, open::open_or_begin_anew)?;
        }
        let result = work(&mut connection);
        if let Err(cause) = &result
            && open::is_corrupt(cause)
            && self.renewals.fetch_add(1, Ordering::Relaxed) < RENEWALS
        {
            // Windows moves no open file.
            *connection = Connection::open_in_memory()?;
            self.renew(&mut connection, |path| open::begin_anew(path, cause))?;
        }
        result
    }

    /// Takes over a fresh database, in which the folders keep their numbers.
    fn renew(
        &self,
        connection: &mut Connection,
        open: impl FnOnce(&Path) -> anyhow::Result<Connection>,
    ) -> anyhow::Result<()> {
        let fresh = open(&self.path)?;
        for (id, input) in known(&self.folders).iter() {
            let sql = "INSERT OR IGNORE INTO folder (id, input) VALUES (?1, ?2)";
            fresh.execute(sql, params![id, Name(input)])?;
        }
        for (folder, mount) in known(&self.places).iter() {
            let sql = "INSERT OR IGNORE INTO place (folder, mount) VALUES (?1, ?2)";
            fresh.execute(sql, [Name(folder), Name(mount)])?;
        }
        *connection = fresh;
        Ok(())
    }

    /// A poisoned lock means that a thread panicked between two statements; SQLite has rolled its
    /// transaction back, so the connection is sound.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn known<K>(paths: &Mutex<BTreeMap<K, PathBuf>>) -> MutexGuard<'_, BTreeMap<K, PathBuf>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A path as SQLite keeps it: text where it is UTF-8, so that people can read it, else its bytes.
struct Name<'a>(&'a Path);

impl ToSql for Name<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self.0.to_str() {
            Some(text) => Ok(ToSqlOutput::from(text)),
            None => Ok(ToSqlOutput::from(self.0.as_os_str().as_encoded_bytes())),
        }
    }
}

fn length(stamp: Stamp) -> i64 {
    i64::try_from(stamp.length).unwrap_or(i64::MAX)
}

fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Nothing for a negative number.
fn milliseconds(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{open::CREATE, *};

    fn stamp(length: u64) -> Stamp {
        Stamp {
            length,
            mtime_ns: -3,
        }
    }

    fn key(folder: FolderId, name: &str) -> FileKey {
        FileKey {
            folder,
            path: Arc::from(Path::new(name)),
        }
    }

    #[test]
    fn a_fate_lasts_until_the_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let folder = ledger.folder(Path::new("/in")).unwrap();
        let other = ledger.folder(Path::new("/other")).unwrap();
        assert_ne!(folder, other);
        let (good, bad) = (key(folder, "good.jpg"), key(folder, "bad.jpg"));
        ledger
            .claim(&good, stamp(1), u64::MAX, false, None, Dues::NONE)
            .unwrap();
        ledger
            .claim(&bad, stamp(2), 5, false, None, Dues::NONE)
            .unwrap();
        assert!(!ledger.has_fate(&good, stamp(1)).unwrap());
        let done = Fate::Done {
            output: Path::new("/out/good.jpg"),
            bytes: 9,
            took: Duration::ZERO,
            source_stays: false,
        };
        let failed = Fate::Failed {
            step: Step::Decode,
            reason: "no picture",
            source_stays: false,
        };
        ledger.finish([(&good, done), (&bad, failed)]).unwrap();
        drop(ledger);

        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.recover().unwrap().files, 0);
        assert_eq!(ledger.folder(Path::new("/in")).unwrap(), folder);
        assert!(ledger.has_fate(&good, stamp(1)).unwrap());
        assert!(ledger.has_fate(&bad, stamp(2)).unwrap());
        assert!(!ledger.has_fate(&good, stamp(7)).unwrap());
        assert!(!ledger.has_fate(&key(other, "good.jpg"), stamp(1)).unwrap());
        ledger
            .claim(&good, stamp(7), 5, false, None, Dues::NONE)
            .unwrap();
        assert!(!ledger.has_fate(&good, stamp(1)).unwrap());
    }

    #[test]
    fn a_schedule_lasts_until_the_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let file = key(ledger.folder(Path::new("/in")).unwrap(), "a.jpg");
        assert_eq!(ledger.standing(&file, stamp(1)).unwrap(), NEW);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        ledger
            .claim(&file, stamp(1), 5, false, None, Dues::NONE)
            .unwrap();
        let next = NextTry {
            tries: 4,
            wait: minutes(2),
            told: minutes(10),
        };
        let (step, reason) = (Step::Publish, "no space left");
        ledger
            .finish([(&file, Fate::Waiting { step, reason, next })])
            .unwrap();
        drop(ledger);

        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.recover().unwrap().files, 0);
        let Standing::Open {
            waiting: Some(left),
            ..
        } = ledger.standing(&file, stamp(1)).unwrap()
        else {
            panic!("the schedule is lost")
        };
        assert_eq!(left.tries, 4);
        assert!(
            left.wait <= minutes(2) && left.wait > minutes(1),
            "{left:?}"
        );
        assert!(
            left.told >= minutes(10) && left.told < minutes(11),
            "{left:?}"
        );
        assert!(!ledger.has_fate(&file, stamp(1)).unwrap());
        assert_eq!(ledger.standing(&file, stamp(2)).unwrap(), NEW);
        ledger
            .claim(&file, stamp(1), 5, false, None, Dues::NONE)
            .unwrap();
        assert_eq!(ledger.standing(&file, stamp(1)).unwrap(), NEW);
    }

    #[test]
    fn a_ledger_of_schema_1_is_carried_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("ledger/schema_1_with_fates.sql"))
            .unwrap();
        drop(old);
        let ledger = Ledger::open(&path).unwrap();
        let folder = ledger.folder(Path::new("/in")).unwrap();
        assert_eq!(folder, FolderId(7));
        assert!(ledger.has_fate(&key(folder, "done.jpg"), stamp(1)).unwrap());
        assert!(ledger.has_fate(&key(folder, "bad.jpg"), stamp(2)).unwrap());
        assert!(!ledger.has_fate(&key(folder, "open.jpg"), stamp(3)).unwrap());
        assert_eq!(ledger.recover().unwrap().files, 1);
        drop(ledger);
        Ledger::open(&path).unwrap();

        let columns = |connection: &Connection, table: &str| -> Vec<String> {
            let sql =
                "SELECT name || ' ' || type || ' ' || \"notnull\" || pk || ifnull(dflt_value, '')
                       FROM pragma_table_info(?1) ORDER BY name";
            let mut select = connection.prepare(sql).unwrap();
            let rows = select.query_map([table], |row| row.get(0)).unwrap();
            rows.map(|row| row.unwrap()).collect()
        };
        let fresh = Connection::open_in_memory().unwrap();
        fresh.execute_batch(CREATE).unwrap();
        let carried = Connection::open(&path).unwrap();
        for table in ["folder", "file", "daemon", "place"] {
            assert_eq!(columns(&carried, table), columns(&fresh, table), "{table}");
        }
    }

    #[test]
    fn claims_left_behind_are_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let file = key(ledger.folder(Path::new("/in")).unwrap(), "a.jpg");
        ledger
            .claim(&file, stamp(1), 5, false, None, Dues::NONE)
            .unwrap();
        drop(ledger);
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.recover().unwrap().files, 1);
        assert_eq!(ledger.recover().unwrap().files, 0);
        assert!(!ledger.has_fate(&file, stamp(1)).unwrap());
    }

    #[test]
    fn a_second_process_and_a_newer_schema_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let refused = format!("{:#}", Ledger::open(&path).err().unwrap());
        assert!(
            refused.contains(&format!("pid {}", std::process::id())),
            "{refused}"
        );
        ledger
            .connection()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        drop(ledger);
        let refused = format!("{:#}", Ledger::open(&path).err().unwrap());
        assert!(refused.contains("schema 99"), "{refused}");
        assert!(inspect(&path).unwrap_err().is::<Refused>());
    }

    #[test]
    fn a_ledger_found_corrupt_at_work_is_begun_anew_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        ledger.recover().unwrap();
        for number in 0..100 {
            let input = format!("/in/{number}");
            ledger.folder(Path::new(&input)).unwrap();
        }
        let folder = ledger.folder(Path::new("/in/77")).unwrap();
        let connection = ledger.connection();
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
        drop(connection);
        drop(ledger);
        let ledger = Ledger::open(&path).unwrap();
        ledger.folder(Path::new("/in/77")).unwrap();
        // All pages but the one with the schema.
        let file = key(folder, "a.jpg");
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096..].fill(0xaa);
        fs::write(&path, bytes).unwrap();
        let forget = "PRAGMA shrink_memory";
        ledger.connection().execute_batch(forget).unwrap();
        let first = ledger.claim(&file, stamp(1), 0, false, None, Dues::NONE);
        assert!(open::is_corrupt(&first.unwrap_err()));
        ledger
            .claim(&file, stamp(1), 0, false, None, Dues::NONE)
            .unwrap();
        assert_eq!(ledger.folder(Path::new("/in/77")).unwrap(), folder);
        let names = fs::read_dir(directory.path()).unwrap();
        let aside = names.filter(|name| {
            let name = name.as_ref().unwrap().file_name();
            name.to_string_lossy().contains(".corrupt-")
        });
        assert!(aside.count() >= 1);
    }

    #[cfg(unix)]
    #[test]
    fn names_of_any_bytes_are_kept_apart() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&directory.path().join("ledger.sqlite")).unwrap();
        let folder = ledger.folder(Path::new("/in")).unwrap();
        let raw = |bytes: &[u8]| FileKey {
            folder,
            path: Arc::from(Path::new(OsStr::from_bytes(bytes))),
        };
        let (one, two) = (raw(b"\xff1.jpg"), raw(b"\xfe1.jpg"));
        ledger
            .claim(&one, stamp(1), 0, false, None, Dues::NONE)
            .unwrap();
        ledger
            .finish([(
                &one,
                Fate::Failed {
                    step: Step::Read,
                    reason: "x",
                    source_stays: false,
                },
            )])
            .unwrap();
        assert!(ledger.has_fate(&one, stamp(1)).unwrap());
        assert!(!ledger.has_fate(&two, stamp(1)).unwrap());
    }
}
