//! Opening a ledger: refused where it cannot work, carried over from older versions, and begun anew
//! where it is corrupt. A corrupt one is moved aside with its journal and never deleted.
//!
//! The look at the start costs the same at any size: the header, the schema, and both edges of each
//! table, which SQLite reaches from the root page down. What is torn elsewhere shows when it is
//! read; that begins the ledger anew as well, so neither ever keeps the daemon from running.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;
use tracing::error;

use super::{running::running, value::beside};
use crate::{log::text, os};

/// The schema's number, kept in SQLite's `user_version`.
pub const SCHEMA: i64 = 6;
pub const CREATE: &str = include_str!("schema.sql");
const FROM_1: &str = include_str!("from_1.sql");
const FROM_2: &str = include_str!("from_2.sql");
const FROM_3: &str = include_str!("from_3.sql");
const FROM_4: &str = include_str!("from_4.sql");
const FROM_5: &str = include_str!("from_5.sql");

/// How often a lock is tried that others share: they let go of it at once.
const ASKERS: usize = 10_000;
/// How long a lock may outlive a daemon that was killed. It goes on in a child that was about to
/// become the trial of a suspect, until it has become it.
const INHERITED_AT_MOST: Duration = Duration::from_secs(1);

/// The ledger cannot be where the configuration puts it; another try changes nothing.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Refused(String);

/// The tables are not those that the schema's number promises.
#[derive(Debug, Error)]
#[error("its tables are damaged: {0}")]
struct Damaged(rusqlite::Error);

pub fn too_new(version: i64) -> Refused {
    Refused(format!(
        "it has schema {version}, this program knows {SCHEMA}: use the newer program, or name another file as `ledger`"
    ))
}

/// SQLite relies on locks and shared memory, which file systems whose files others change unseen
/// keep badly: there a ledger breaks sooner or later.
pub fn refuse_remote(path: &Path) -> anyhow::Result<()> {
    match os::mounts::remote(path) {
        None => Ok(()),
        Some(kind) => bail!(Refused(format!(
            "ledger {} would lie on {kind}, where SQLite is not safe: name a file on a local disk as `ledger`",
            path.display()
        ))),
    }
}

/// The folder beside the ledger in which commands notify the daemon: its name, behind the ledger's.
pub const BELL: &str = ".bell";

/// Others must not decide where the ledger and what lies beside it are.
pub fn refuse_links(path: &Path) -> anyhow::Result<()> {
    for ending in ["", "-wal", "-shm", ".lock", ".pid", BELL] {
        let one = beside(path, ending);
        if fs::symlink_metadata(&one).is_ok_and(|metadata| metadata.is_symlink()) {
            bail!(Refused(format!(
                "{} is a link: remove it, or name the file itself as `ledger`",
                one.display()
            )));
        }
    }
    Ok(())
}

/// A picture or a mark that a slip of the pen names as the ledger is not moved aside as a corrupt
/// one. Anything else may be what damage has made of a ledger.
fn refuse_picture(path: &Path) -> anyhow::Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let mut start = Vec::new();
    let mut read = || File::open(path)?.take(8).read_to_end(&mut start);
    read().with_context(|| format!("cannot read {}", path.display()))?;
    for (signature, kind) in [
        (&b"\xff\xd8\xff"[..], "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\x93NUMPY", "a NumPy array"),
    ] {
        if start.starts_with(signature) {
            bail!(Refused(format!(
                "it is {kind}: name another file as `ledger`"
            )));
        }
    }
    Ok(())
}

/// Tells, without changing it, whether a start would take the ledger.
pub fn inspect(path: &Path) -> anyhow::Result<()> {
    refuse_remote(path)?;
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let look = || {
        refuse_links(path)?;
        refuse_picture(path)?;
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0..SCHEMA => Ok(()),
            SCHEMA => look_over(&connection),
            newer => Err(too_new(newer).into()),
        }
    };
    let context = || format!("ledger {}", path.display());
    match look() {
        Err(cause) if is_corrupt(&cause) => {
            Err(cause.context("corrupt: the next start moves it aside and begins anew"))
        }
        other => other,
    }
    .with_context(context)
}

/// Opens the database, which is no link; if it is corrupt, moves it aside and makes a fresh one.
pub fn open_or_begin_anew(path: &Path) -> anyhow::Result<Connection> {
    match refuse_picture(path).and_then(|()| open_database(path)) {
        Err(cause) if is_corrupt(&cause) => begin_anew(path, &cause),
        opened => opened.with_context(|| format!("cannot open ledger {}", path.display())),
    }
}

pub fn is_corrupt(cause: &anyhow::Error) -> bool {
    cause.chain().any(|cause| {
        cause.is::<Damaged>()
            || cause
                .downcast_ref::<rusqlite::Error>()
                .and_then(code_of)
                .is_some_and(|code| {
                    matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                })
    })
}

fn code_of(cause: &rusqlite::Error) -> Option<ErrorCode> {
    match cause {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        other => other.sqlite_error_code(),
    }
}

/// Moves a corrupt database aside and makes a fresh one. Nothing may have it open.
pub fn begin_anew(path: &Path, cause: &anyhow::Error) -> anyhow::Result<Connection> {
    let aside = move_aside(path)
        .with_context(|| format!("cannot move the corrupt ledger {} aside", path.display()))?;
    error!(
        path = text(path),
        cause = format!("{cause:#}"),
        aside = text(&aside),
        "the ledger is corrupt and begins anew: what still lies in the input folders is made once more and replaces what is in the outputs"
    );
    let connection =
        open_database(path).with_context(|| format!("cannot open ledger {}", path.display()))?;
    Ok(connection)
}

/// The journal goes first: beside a fresh database it would be taken for its own.
fn move_aside(path: &Path) -> anyhow::Result<PathBuf> {
    let time: String = Connection::open_in_memory()?.query_row(
        "SELECT strftime('%Y%m%dT%H%M%SZ', 'now')",
        [],
        |row| row.get(0),
    )?;
    let mut aside = beside(path, &format!(".corrupt-{time}"));
    for number in 2.. {
        if !aside.try_exists()? {
            break;
        }
        aside = beside(path, &format!(".corrupt-{time}-{number}"));
    }
    for ending in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, ending), beside(&aside, ending)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause.into()),
            _ => {}
        }
    }
    os::sync_directory(path.parent().unwrap_or(Path::new(".")))?;
    Ok(aside)
}

fn open_database(path: &Path) -> anyhow::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(16);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => {
            // Free pages can be given back then. It has to be said before the first table.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            let transaction = connection.transaction()?;
            let tables: i64 =
                transaction
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables > 0 {
                bail!(Refused(
                    "it is another program's database: name another file as `ledger`".to_owned()
                ));
            }
            transaction.execute_batch(CREATE)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()?;
        }
        older @ 1..SCHEMA => {
            let transaction = connection.transaction()?;
            for (version, step) in (1..).zip([FROM_1, FROM_2, FROM_3, FROM_4, FROM_5]) {
                if older <= version {
                    transaction.execute_batch(step)?;
                }
            }
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()?;
        }
        SCHEMA => {}
        newer => return Err(too_new(newer).into()),
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    look_over(&connection)?;
    Ok(connection)
}

/// The look at the start.
fn look_over(connection: &Connection) -> anyhow::Result<()> {
    for sql in [
        "SELECT id, input, walked_to, walked_ms FROM folder ORDER BY id LIMIT 1",
        "SELECT id, input FROM folder ORDER BY id DESC LIMIT 1",
        "SELECT * FROM file ORDER BY folder, path LIMIT 1",
        "SELECT * FROM file ORDER BY folder DESC, path DESC LIMIT 1",
        "SELECT crashes, tries, next_ms, told_ms, took_ms, dues, inode, ctime_ns FROM file LIMIT 1",
        "SELECT path FROM file INDEXED BY owed WHERE source = 'owed' LIMIT 1",
        "SELECT folder, mount FROM place LIMIT 1",
        "SELECT state FROM daemon",
    ] {
        let looked = connection
            .prepare(sql)
            .and_then(|mut select| select.query([])?.next().map(|_| ()));
        match looked {
            // The statement is right, so what it asks for is missing.
            Err(cause) if code_of(&cause) == Some(ErrorCode::Unknown) => {
                return Err(Damaged(cause).into());
            }
            looked => looked?,
        }
    }
    Ok(())
}

/// Locks the file beside the ledger, and writes our pid into another one for the next who asks: on
/// Windows a locked file cannot be read.
pub fn lock(path: &Path) -> anyhow::Result<File> {
    let (lock_path, pid_path) = (beside(path, ".lock"), beside(path, ".pid"));
    refuse_links(path)?;
    let mut options = File::options();
    let file = os::without_links(options.create(true).truncate(false).write(true))
        .open(&lock_path)
        .with_context(|| format!("cannot open {}", lock_path.display()))?;
    let mut locked = file.try_lock();
    for _ in 0..ASKERS {
        // Who only asks whether a daemon runs holds the lock for a moment, and shares it.
        if !matches!(locked, Err(TryLockError::WouldBlock)) || file.try_lock_shared().is_err() {
            break;
        }
        file.unlock()
            .with_context(|| format!("cannot unlock {}", lock_path.display()))?;
        thread::yield_now();
        locked = file.try_lock();
    }
    let deadline = Instant::now() + INHERITED_AT_MOST;
    while matches!(locked, Err(TryLockError::WouldBlock)) && Instant::now() < deadline {
        // There is nothing to wait on that would end by itself.
        thread::sleep(Duration::from_millis(10));
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&pid_path).unwrap_or_default();
            let pid = if pid.trim().is_empty() {
                "unknown"
            } else {
                pid.trim()
            };
            let with = running(path).map_or_else(String::new, |other| {
                format!(", with configuration {}", other.config.display())
            });
            bail!(
                "ledger {} is in use by another watermarkd, pid {pid}{with}; two daemons need two ledgers: name another file as `ledger`",
                path.display()
            );
        }
        Err(TryLockError::Error(cause)) => {
            return Err(cause).with_context(|| format!("cannot lock {}", lock_path.display()));
        }
    }
    let mut options = File::options();
    os::without_links(options.create(true).truncate(true).write(true))
        .open(&pid_path)
        .and_then(|mut pid| writeln!(pid, "{}", std::process::id()))
        .with_context(|| format!("cannot write {}", pid_path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_no_corrupt_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        for (bytes, refused) in [
            (&b"\xff\xd8\xff\xe0 and so on"[..], true),
            (b"\x89PNG\r\n\x1a\n and so on", true),
            (b"\x93NUMPY and so on", true),
            (b"garbage", false),
            (b"", false),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(inspect(&path).is_err_and(|e| e.is::<Refused>()), refused);
            let opened = open_or_begin_anew(&path);
            assert_eq!(opened.is_err_and(|e| e.is::<Refused>()), refused);
            assert_eq!(fs::read(&path).unwrap() == bytes, refused);
        }
    }
}
