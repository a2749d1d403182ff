//! The open ledger: one connection behind a lock, folders and their mounts, and what happens when the
//! file turns out to be corrupt.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, params};
use tracing::warn;

use super::{
    earlier::Earlier,
    open,
    running::Word,
    value::{Name, path_of},
};
use crate::{arrival::FolderId, log::text, os, output::Place};

/// How often a process begins a corrupt ledger anew: after that it is not the ledger, but the disk.
const RENEWALS: u32 = 3;

pub struct Ledger {
    pub(super) path: PathBuf,
    connection: Mutex<Connection>,
    /// The folders that have been asked for: they keep their numbers in a ledger begun anew.
    folders: Mutex<BTreeMap<i64, PathBuf>>,
    /// Mount points that were noted, for a ledger that is begun anew.
    places: Mutex<BTreeMap<PathBuf, PathBuf>>,
    renewals: AtomicU32,
    /// What others are told of this process, once there is something to tell.
    pub(super) word: Mutex<Option<Word>>,
    /// The process has been told to stop.
    pub(super) stopping: AtomicBool,
    /// Held until [`Ledger::leave`] or the end of the process: one daemon a ledger.
    lock: File,
}

impl Ledger {
    /// Opens the ledger, making it if it is missing, and keeps other processes out.
    pub fn open(path: &Path) -> anyhow::Result<Ledger> {
        Self::open_after(path, None)
    }

    /// The same. A ledger that is missing begins with what an earlier one knows.
    pub fn open_after(path: &Path, earlier: Option<Earlier<'_>>) -> anyhow::Result<Ledger> {
        open::refuse_remote(path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).with_context(|| {
            format!("cannot create the ledger's folder {}", directory.display())
        })?;
        // Links on the way to it must be nobody else's.
        os::Directory::open(directory)
            .with_context(|| format!("cannot use the ledger's folder {}", directory.display()))?;
        let lock = open::lock(path)?;
        if let Some(earlier) = earlier {
            earlier.take_over(path)?;
        }
        let connection = open::open_or_begin_anew(path)?;
        Ok(Ledger {
            path: path.to_owned(),
            connection: Mutex::new(connection),
            folders: Mutex::new(BTreeMap::new()),
            places: Mutex::new(BTreeMap::new()),
            renewals: AtomicU32::new(0),
            word: Mutex::new(None),
            stopping: AtomicBool::new(false),
            lock,
        })
    }

    /// Lets the next daemon have the ledger, at the very end of this one. The end of the process is
    /// no end of its locks while a thread of it waits for a share: what a FUSE server has taken in
    /// hand cannot be broken off, not even by SIGKILL, and all files stay open until it answers.
    pub fn leave(&self) -> anyhow::Result<()> {
        self.lock.unlock().context("cannot unlock the ledger")
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

    /// The numbers of the folders that this process has asked for.
    pub(super) fn named(&self) -> Vec<i64> {
        known(&self.folders).keys().copied().collect()
    }

    /// The mount point that a folder lay on when it was last written to.
    pub fn mount_of(&self, folder: &Path) -> anyhow::Result<Option<PathBuf>> {
        self.guarded(|connection| {
            let sql = "SELECT mount FROM place WHERE folder = ?1";
            let mount = connection.query_row(sql, [Name(folder)], |row| row.get(0));
            let mount = mount.optional().context("cannot ask the ledger")?;
            let mount = mount.map(path_of);
            if let Some(mount) = &mount {
                known(&self.places).insert(folder.to_owned(), mount.clone());
            }
            Ok(mount)
        })
    }

    /// Records the mount point that a place lies on, once it has been written to: a start without
    /// that mount is noticed by it.
    pub fn record_mount(&self, place: &Place) {
        let Some(mount) = place.mount_to_record() else {
            return;
        };
        let folder = place.folder();
        known(&self.places).insert(folder.to_owned(), mount.clone());
        let recorded = self.guarded(|connection| {
            let sql = "INSERT INTO place (folder, mount) VALUES (?1, ?2)
                       ON CONFLICT (folder) DO UPDATE SET mount = excluded.mount";
            connection
                .execute(sql, [Name(folder), Name(&mount)])
                .context("cannot write to the ledger")
        });
        if let Err(cause) = recorded {
            let (path, cause) = (text(folder), format!("{cause:#}"));
            warn!(
                path,
                cause, "a start without its mount would not be noticed"
            );
        }
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

    /// Does something with the database. If it turns out to be corrupt, it is moved aside and begun
    /// anew; what was to be done has failed and is tried again like everything that may pass.
    pub(super) fn guarded<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut connection = self.connection();
        if connection.path().is_none_or(str::is_empty) {
            // It could not be begun anew the last time.
            self.renew(&mut connection, |path| {
                open::refuse_links(path)?;
                open::open_or_begin_anew(path)
            })?;
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
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn known<K>(paths: &Mutex<BTreeMap<K, PathBuf>>) -> MutexGuard<'_, BTreeMap<K, PathBuf>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}
