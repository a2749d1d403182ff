//! The durable memory of every file's fate, in SQLite.
//!
//! A row is written when a worker claims a file and when its fate is known (done,
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

mod row;

mod tally;
mod value;

mod open;

mod running;

mod earlier;

mod connection;

mod announce;

mod notify;

mod dues;

mod claim;

mod finish;

mod standing;

mod owed;

mod forget;

mod recover;

mod visit;

pub use self::{
    connection::Ledger,
    dues::Dues,
    earlier::Earlier,
    finish::Fate,
    forget::{Old, Piece},
    notify::{Listener, listen, notify},
    open::{Refused, inspect, lock},
    owed::{Left, Owed},
    recover::{CRASHES, Recovered},
    row::State,
    running::{Running, Verdict, not_taken_to_json, running, running_of},
    standing::Standing,
    tally::Tally,
    visit::{Daemon, Entry, Visitor, Which, daemon},
};

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc, time::Duration};

    use rusqlite::Connection;

    use super::{open::CREATE, standing::NEW, *};
    use crate::{
        arrival::{FileKey, FolderId, Stamp},
        outcome::Step,
        retry::NextTry,
    };

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
            .claim(&good, stamp(1), u64::MAX, None, Dues::NONE)
            .unwrap();
        ledger.claim(&bad, stamp(2), 5, None, Dues::NONE).unwrap();
        assert!(!ledger.has_fate(&good, stamp(1)).unwrap());
        let done = Fate::Done {
            output: Path::new("/out/good.jpg"),
            more: &[],
            bytes: 9,
            took: Duration::ZERO,
            source_stays: false,
            damage: None,
        };
        let failed = Fate::Failed {
            step: Step::Decode,
            reason: "no picture",
            leaves_after: None,
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
        ledger.claim(&good, stamp(7), 5, None, Dues::NONE).unwrap();
        assert!(!ledger.has_fate(&good, stamp(1)).unwrap());
    }

    /// Every arrow of the state diagram, by the calls that the daemon and the commands make.
    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "an arrow of the diagram after the other"
    )]
    fn a_file_goes_every_way_of_the_diagram() {
        const BOTH: Dues = Dues {
            once_done: true,
            once_failed: true,
            ..Dues::NONE
        };
        type Call = fn(&Ledger, &FileKey);
        let claim: Call = |ledger, file| {
            ledger.claim(file, stamp(1), 5, None, BOTH).unwrap();
        };
        let move_on: Call = |ledger, file| {
            let other = key(file.folder, "other");
            let before = Some(file);
            ledger
                .claim(&other, stamp(2), 5, before, Dues::NONE)
                .unwrap();
        };
        let finish = |ledger: &Ledger, file: &FileKey, fate| ledger.finish([(file, fate)]).unwrap();
        let write_off = |ledger: &Ledger, file: &FileKey, left| {
            let owed = ledger.owed(file.folder, None, 1).unwrap().remove(0);
            ledger.write_off(&[(owed, left)]).unwrap();
        };
        let retry = |ledger: &Ledger, file: &FileKey, done: bool| {
            let mut visitor = Visitor::write(&ledger.path).unwrap().unwrap();
            let files = [(file.path.to_path_buf(), stamp(1))];
            assert_eq!(visitor.ask_for(file.folder, &files, done).unwrap(), 1);
        };
        let done = |source_stays| Fate::Done {
            output: Path::new("/out/a.jpg"),
            more: &[],
            bytes: 9,
            took: Duration::ZERO,
            source_stays,
            damage: source_stays.then_some("holes"),
        };
        let failed = |later: bool| Fate::Failed {
            step: Step::Decode,
            reason: "no picture",
            leaves_after: later.then_some(Duration::from_secs(3600)),
        };
        let waiting = || Fate::Waiting {
            step: Step::Publish,
            reason: "no space left",
            next: NextTry {
                tries: 1,
                wait: Duration::from_secs(60),
                told: Duration::ZERO,
            },
        };
        let incomplete = || Fate::Incomplete {
            step: Step::Decode,
            reason: "premature end",
        };
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&directory.path().join("ledger.sqlite")).unwrap();
        ledger.recover().unwrap();
        let file = key(ledger.folder(Path::new("/in")).unwrap(), "a.jpg");
        let see = |state, owed, gone, what: &str| {
            let visitor = Visitor::read(&ledger.path).unwrap().unwrap();
            let entry = visitor.entry(&file).unwrap().unwrap();
            assert_eq!(
                (entry.state, entry.owed, entry.gone),
                (state, owed, gone),
                "{what}"
            );
        };
        claim(&ledger, &file);
        see(State::Claimed, false, false, "claim");
        move_on(&ledger, &file);
        see(State::Made, false, false, "its worker has moved on");
        finish(&ledger, &file, done(false));
        see(State::Done, true, false, "done, and its source leaves");
        write_off(&ledger, &file, Left::Gone);
        see(State::Done, false, true, "it has left");
        claim(&ledger, &file);
        see(State::Claimed, false, false, "another file of that name");
        finish(&ledger, &file, done(false));
        write_off(&ledger, &file, Left::Replaced);
        see(State::Released, false, false, "another one took its place");
        claim(&ledger, &file);
        finish(&ledger, &file, done(false));
        write_off(&ledger, &file, Left::Kept);
        see(State::Done, false, false, "it stays");
        retry(&ledger, &file, true);
        see(State::Asked, false, false, "reprocess");
        claim(&ledger, &file);
        finish(&ledger, &file, done(true));
        see(State::Done, false, false, "made of what there was");
        claim(&ledger, &file);
        finish(&ledger, &file, failed(false));
        see(State::Failed, true, false, "failed, and its source leaves");
        write_off(&ledger, &file, Left::Kept);
        retry(&ledger, &file, false);
        see(State::Asked, false, false, "retry of a failed one");
        claim(&ledger, &file);
        finish(&ledger, &file, failed(true));
        see(
            State::Failed,
            true,
            false,
            "given up, and its source leaves later",
        );
        retry(&ledger, &file, false);
        see(State::Asked, false, false, "retry of a given up one");
        claim(&ledger, &file);
        finish(&ledger, &file, waiting());
        see(State::Waiting, false, false, "it may pass");
        retry(&ledger, &file, false);
        see(State::Asked, false, false, "retry of a waiting one");
        claim(&ledger, &file);
        finish(&ledger, &file, incomplete());
        see(State::Released, false, false, "incomplete");
        claim(&ledger, &file);
        finish(&ledger, &file, Fate::Released);
        see(State::Released, false, false, "it changed");
        claim(&ledger, &file);
        ledger.recover().unwrap();
        see(State::Released, false, false, "the process died");
    }

    #[test]
    fn a_schedule_lasts_until_the_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.sqlite");
        let ledger = Ledger::open(&path).unwrap();
        let file = key(ledger.folder(Path::new("/in")).unwrap(), "a.jpg");
        assert_eq!(ledger.standing(&file, stamp(1)).unwrap(), NEW);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        ledger.claim(&file, stamp(1), 5, None, Dues::NONE).unwrap();
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
        ledger.claim(&file, stamp(1), 5, None, Dues::NONE).unwrap();
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
        ledger.claim(&file, stamp(1), 5, None, Dues::NONE).unwrap();
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
        let first = ledger.claim(&file, stamp(1), 0, None, Dues::NONE);
        assert!(open::is_corrupt(&first.unwrap_err()));
        ledger.claim(&file, stamp(1), 0, None, Dues::NONE).unwrap();
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
        ledger.claim(&one, stamp(1), 0, None, Dues::NONE).unwrap();
        ledger
            .finish([(
                &one,
                Fate::Failed {
                    step: Step::Read,
                    reason: "x",
                    leaves_after: None,
                },
            )])
            .unwrap();
        assert!(ledger.has_fate(&one, stamp(1)).unwrap());
        assert!(!ledger.has_fate(&two, stamp(1)).unwrap());
    }
}
