//! The ledger as other processes than its daemon see it. A visitor makes no ledger, carries none
//! over and moves none aside; it reads, whether a daemon runs or not, and changes a row only from a
//! fate that is settled to "asked for", which the daemon takes up like a new file.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params, types::Value,
};

use super::{
    connection::Ledger,
    dues::Dues,
    open::{SCHEMA, is_corrupt, refuse_remote, too_new},
    row::{Source, State, is_decided, is_gone},
    standing::PIECE,
    value::{Name, beside, length, milliseconds, now_ms, path_of, paths_of, stamp, time},
};
use crate::{
    arrival::{FileKey, FolderId, Stamp},
    outcome::Step,
};

/// The daemon that has a ledger open.
#[derive(Debug)]
pub struct Daemon {
    pub pid: Option<u32>,
    /// When it opened the ledger.
    pub since: Option<SystemTime>,
}

/// The daemon that has the ledger open now, as its lock tells.
pub fn daemon(ledger: &Path) -> anyhow::Result<Option<Daemon>> {
    let lock = beside(ledger, ".lock");
    let file = match File::open(&lock) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.with_context(|| format!("cannot open {}", lock.display()))?,
    };
    // A daemon that starts in this moment sees that the lock is a shared one, and tries again.
    match file.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(cause)) => {
            return Err(cause).with_context(|| format!("cannot try {}", lock.display()));
        }
    }
    let pid = beside(ledger, ".pid");
    Ok(Some(Daemon {
        pid: fs::read_to_string(&pid)
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        since: fs::metadata(&pid)
            .and_then(|metadata| metadata.modified())
            .ok(),
    }))
}

/// What the ledger knows of a file.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is the answer to a question of its own"
)]
pub struct Entry {
    /// Relative to the folder's input.
    pub path: PathBuf,
    pub stamp: Stamp,
    /// The fingerprint of the recipe that it was treated with.
    pub recipe: u64,
    pub state: State,
    pub since: SystemTime,
    /// A process died with it in progress.
    pub suspect: bool,
    pub step: Option<Step>,
    /// Why it failed or waits; of one that is done, with what damage.
    pub reason: Option<String>,
    /// What was published of it, in the order of the renditions.
    pub outputs: Vec<PathBuf>,
    pub took: Option<Duration>,
    pub tries: Option<u32>,
    pub next: Option<SystemTime>,
    /// Whether its source is to leave its folder, and whether it has left.
    pub owed: bool,
    pub gone: bool,
    /// What its folder said when it was taken: whether its source is to leave.
    pub leaves_once_done: bool,
    pub leaves_once_failed: bool,
}

/// What is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Failed,
    /// Done or failed by another recipe than this one.
    Stale(u64),
}

pub struct Visitor {
    pub(super) connection: Connection,
    path: PathBuf,
}

impl Visitor {
    /// Opens a ledger to read it; None where there is none yet.
    pub fn read(path: &Path) -> anyhow::Result<Option<Visitor>> {
        if let Some(visitor) = read_and_tidy(path) {
            return Ok(Some(visitor));
        }
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match open(path, read_only) {
            Err(cause) if is_shut(&cause) && !has_journal(path) => {
                // Without the right to write beside it a ledger that nobody has open can be read as
                // what it is: a file that does not change.
                let uri = immutable(path);
                let opened = open(&uri, read_only | OpenFlags::SQLITE_OPEN_URI);
                opened.map(|visitor| {
                    visitor.map(|visitor| Visitor {
                        path: path.to_owned(),
                        ..visitor
                    })
                })
            }
            opened => opened,
        }
        .with_context(|| format!("ledger {}", path.display()))
    }

    /// Opens a ledger to change it; None where there is none yet.
    pub fn write(path: &Path) -> anyhow::Result<Option<Visitor>> {
        let read_write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        open(path, read_write).with_context(|| format!("ledger {}", path.display()))
    }

    /// Bytes of the ledger and its journal.
    pub fn bytes(&self) -> u64 {
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        size(self.path.clone()) + size(beside(&self.path, "-wal"))
    }

    pub fn folder(&self, input: &Path) -> anyhow::Result<Option<FolderId>> {
        let sql = "SELECT id FROM folder WHERE input = ?1";
        let id = self
            .connection
            .query_row(sql, [Name(input)], |row| row.get(0));
        Ok(id.optional().context(ASK)?.map(FolderId))
    }

    pub fn entry(&self, file: &FileKey) -> anyhow::Result<Option<Entry>> {
        let sql = "SELECT length, mtime_ns, recipe, state, changed_ms, crashes > 0, step, reason,
                   output, took_ms, tries, next_ms, source, dues
                   FROM file WHERE folder = ?1 AND path = ?2";
        let entry = self.connection.prepare_cached(sql).context(ASK)?.query_row(
            params![file.folder.0, Name(&file.path)],
            |row| {
                let source: Source = row.get(12)?;
                let dues: i64 = row.get(13)?;
                Ok(Entry {
                    path: file.path.to_path_buf(),
                    stamp: stamp(row.get(0)?, row.get(1)?),
                    recipe: row.get::<_, i64>(2)?.cast_unsigned(),
                    state: row.get(3)?,
                    since: time(row.get(4)?),
                    suspect: row.get(5)?,
                    step: row.get_ref(6)?.as_str_or_null()?.and_then(Step::named),
                    reason: row.get(7)?,
                    outputs: row
                        .get::<_, Option<Value>>(8)?
                        .map(paths_of)
                        .unwrap_or_default(),
                    took: row.get::<_, Option<i64>>(9)?.map(milliseconds),
                    tries: row.get(10)?,
                    next: row.get::<_, Option<i64>>(11)?.map(time),
                    owed: source == Source::Owed,
                    gone: source == Source::Gone,
                    leaves_once_done: dues & Dues::ONCE_DONE != 0,
                    leaves_once_failed: dues & Dues::ONCE_FAILED != 0,
                })
            },
        );
        entry.optional().context(ASK)
    }

    /// Some files of a folder that can be asked for, in the order of their paths after `after`, with
    /// the stamps that they were treated under.
    pub fn candidates(
        &self,
        folder: FolderId,
        which: Which,
        after: Option<&Path>,
    ) -> anyhow::Result<Vec<(PathBuf, Stamp)>> {
        let recipe = match which {
            Which::Failed => None,
            Which::Stale(recipe) => Some(recipe.cast_signed()),
        };
        let sql = concat!(
            "SELECT path, length, mtime_ns FROM file
             WHERE folder = ?1 AND (?2 IS NULL OR path > ?2) AND NOT ",
            is_gone!(),
            " AND CASE WHEN ?3 IS NULL THEN state = ?5 ELSE ",
            is_decided!(),
            " AND recipe <> ?3 END ORDER BY path LIMIT ?4",
        );
        let mut select = self.connection.prepare_cached(sql).context(ASK)?;
        let row = params![folder.0, after.map(Name), recipe, PIECE, State::Failed];
        select
            .query_map(row, |row| {
                Ok((path_of(row.get(0)?), stamp(row.get(1)?, row.get(2)?)))
            })
            .and_then(Iterator::collect)
            .context(ASK)
    }

    /// Asks for files to be processed again, as far as they are still what `files` says, have
    /// failed, wait or, if `done` says so, are done, and their sources stay. Returns how many are.
    ///
    /// Where a process died of a picture, or it panicked, it is made in a process of its own.
    pub fn ask_for(
        &mut self,
        folder: FolderId,
        files: &[(PathBuf, Stamp)],
        done: bool,
    ) -> anyhow::Result<usize> {
        let context = "cannot write to the ledger";
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .context(context)?;
        let sql = "UPDATE file SET state = ?7, changed_ms = ?5, source = NULL,
                   crashes = crashes > 0 OR ifnull(step = ?8, 0),
                   step = NULL, reason = NULL, tries = NULL, next_ms = NULL, told_ms = NULL
                   WHERE folder = ?1 AND path = ?2 AND length = ?3 AND mtime_ns = ?4
                   AND (source IS NULL OR source = ?12 AND next_ms > ?5)
                   AND (state IN (?9, ?10) OR ?6 AND state = ?11)";
        let mut asked = 0;
        {
            let mut update = transaction.prepare_cached(sql).context(context)?;
            for (path, stamp) in files {
                let row = params![
                    folder.0,
                    Name(path),
                    length(*stamp),
                    stamp.mtime_ns,
                    now_ms(),
                    done,
                    State::Asked,
                    Step::Picture.name(),
                    State::Failed,
                    State::Waiting,
                    State::Done,
                    Source::Owed
                ];
                asked += update.execute(row).context(context)?;
            }
        }
        transaction.commit().context(context)?;
        Ok(asked)
    }
}

impl Ledger {
    /// Whether somebody wants the file, as it is now, to be processed again.
    pub fn is_asked_for(&self, file: &FileKey, stamp: Stamp) -> anyhow::Result<bool> {
        self.guarded(|connection| {
            let sql = "SELECT 1 FROM file WHERE folder = ?1 AND path = ?2 AND length = ?3
                       AND mtime_ns = ?4 AND state = ?5";
            let row = params![
                file.folder.0,
                Name(&file.path),
                length(stamp),
                stamp.mtime_ns,
                State::Asked
            ];
            connection
                .prepare_cached(sql)
                .and_then(|mut select| select.exists(row))
                .context(ASK)
        })
    }
}

/// A ledger that no daemon has open, read by who may write to it: SQLite makes its journal to read it,
/// and only who may write removes it again. Nothing else is changed.
fn read_and_tidy(path: &Path) -> Option<Visitor> {
    if !matches!(daemon(path), Ok(None)) {
        return None;
    }
    let read_write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let visitor = open(path, read_write).ok()??;
    let guarded = visitor.connection.pragma_update(None, "query_only", true);
    guarded.is_ok().then_some(visitor)
}

pub(super) const ASK: &str = "cannot ask the ledger";

fn open(path: &Path, flags: OpenFlags) -> anyhow::Result<Option<Visitor>> {
    let is_uri = flags.contains(OpenFlags::SQLITE_OPEN_URI);
    if !is_uri {
        refuse_remote(path)?;
        if !path.try_exists()? {
            return Ok(None);
        }
    }
    let look = || -> anyhow::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            SCHEMA => Ok(connection),
            older @ ..SCHEMA => {
                bail!("it has schema {older}, which the daemon carries over at its next start")
            }
            newer => Err(too_new(newer).into()),
        }
    };
    match look() {
        Ok(connection) => Ok(Some(Visitor {
            connection,
            path: path.to_owned(),
        })),
        Err(cause) if is_corrupt(&cause) => {
            Err(cause.context("corrupt: the daemon moves it aside and begins anew"))
        }
        Err(cause) => Err(cause),
    }
}

/// SQLite could not make its journal, or was not let.
fn is_shut(cause: &anyhow::Error) -> bool {
    let code = cause
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn has_journal(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|metadata| metadata.len() > 0)
}

fn immutable(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let escaped: String = bytes
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b':' | b'\\' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02x}"),
        })
        .collect();
    PathBuf::from(format!("file:{escaped}?immutable=1"))
}
