//! What the daemon runs, left in a file beside its ledger for whoever asks about it: the configuration
//! that is in force, which need not be the one on the disk any more, and what came of the last
//! reload. The ledger's lock says whether a daemon runs; this file only says what.
//!
//! A configuration that names its ledger has a second copy where its ledger would lie otherwise. By
//! that the daemon is found after the name has been changed, or cannot be read any more.
//!
//! The file is written anew and renamed, so it is whole. It is not synced: after a power cut no daemon
//! runs.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value, json};
use tracing::debug;
use xxhash_rust::xxh3::xxh3_64;

use super::value::{beside, in_ms, milliseconds, path_of, time};
use crate::{
    arrival::NotTaken,
    config::{self, Config, Folder, OnConflict, Rendition, Source, Watch},
    log::text,
    os,
};

/// The file's name, behind the ledger's.
pub const RUNNING: &str = ".running.json";
/// Bytes that are read at most.
const LARGEST: u64 = 64 << 20;

/// What a daemon runs, or the last one ran.
#[derive(Debug, Clone)]
pub struct Running {
    pub pid: u32,
    pub since: SystemTime,
    /// It is a `run --once`.
    pub single: bool,
    /// When it ended by itself; `None` also after it was killed.
    pub ended: Option<SystemTime>,
    /// The configuration file, and the hash of its bytes as they were when it was loaded.
    pub config: PathBuf,
    pub fingerprint: u64,
    pub ledger: PathBuf,
    /// The folder of the log.
    pub log: PathBuf,
    pub settle: Duration,
    pub poll: Duration,
    pub rescan: Duration,
    /// The longest wait between two tries.
    pub retry_max: Duration,
    /// Their recipes are known by their fingerprints only.
    pub folders: Vec<Folder>,
    /// What the last scan of an input did not take, where it has been scanned.
    pub not_taken: BTreeMap<PathBuf, NotTaken>,
    pub verdict: Option<Verdict>,
}

/// What came of the last reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub at: SystemTime,
    pub taken: bool,
    /// What was held against it; of one that was taken the warnings.
    pub reasons: Vec<String>,
}

impl Running {
    /// What this process runs from now on.
    #[must_use]
    pub fn of(config: &Config, single: bool) -> Running {
        Running {
            pid: std::process::id(),
            since: SystemTime::now(),
            single,
            ended: None,
            config: config.file.clone(),
            fingerprint: config.fingerprint,
            ledger: config.ledger.clone(),
            log: config.log.dir.clone(),
            settle: config.settle,
            poll: config.poll,
            rescan: config.rescan,
            retry_max: config.retry.max,
            folders: config.folders.clone(),
            not_taken: BTreeMap::new(),
            verdict: None,
        }
    }

    fn to_json(&self) -> Value {
        let folders = self.folders.iter().map(|folder| {
            let mut value = folder_to_json(folder);
            value["not_taken"] = not_taken_to_json(self.not_taken.get(&folder.input));
            value
        });
        let folders: Vec<Value> = folders.collect();
        let verdict = self.verdict.as_ref().map(|verdict| {
            let Verdict { at, taken, reasons } = verdict;
            json!({"at_ms": ms_of(*at), "taken": taken, "reasons": reasons})
        });
        json!({
            "pid": self.pid,
            "since_ms": ms_of(self.since),
            "single": self.single,
            "ended_ms": self.ended.map(ms_of),
            "config": path_to_json(&self.config),
            "fingerprint": format!("{:016x}", self.fingerprint),
            "ledger": path_to_json(&self.ledger),
            "log": path_to_json(&self.log),
            "settle_ms": in_ms(self.settle),
            "poll_ms": in_ms(self.poll),
            "rescan_ms": in_ms(self.rescan),
            "retry_max_ms": in_ms(self.retry_max),
            "folders": folders,
            "verdict": verdict,
        })
    }

    fn from_json(value: &Value) -> Option<Running> {
        let folders = value["folders"].as_array()?;
        let not_taken = folders.iter().filter_map(|folder| {
            let counts = not_taken_from_json(&folder["not_taken"])?;
            Some((path_from_json(&folder["input"])?, counts))
        });
        let duration = |name: &str| value[name].as_i64().map(milliseconds);
        Some(Running {
            pid: u32::try_from(value["pid"].as_u64()?).ok()?,
            since: time(value["since_ms"].as_i64()?),
            single: value["single"].as_bool()?,
            ended: value["ended_ms"].as_i64().map(time),
            config: path_from_json(&value["config"])?,
            fingerprint: u64::from_str_radix(value["fingerprint"].as_str()?, 16).ok()?,
            ledger: path_from_json(&value["ledger"])?,
            log: path_from_json(&value["log"])?,
            settle: duration("settle_ms")?,
            poll: duration("poll_ms")?,
            rescan: duration("rescan_ms")?,
            retry_max: duration("retry_max_ms")?,
            not_taken: not_taken.collect(),
            folders: folders.iter().filter_map(folder_from_json).collect(),
            verdict: verdict_from_json(&value["verdict"]),
        })
    }
}

fn verdict_from_json(value: &Value) -> Option<Verdict> {
    let reasons = value["reasons"].as_array()?.iter();
    Some(Verdict {
        at: time(value["at_ms"].as_i64()?),
        taken: value["taken"].as_bool()?,
        reasons: reasons
            .filter_map(|reason| Some(reason.as_str()?.to_owned()))
            .collect(),
    })
}

fn folder_to_json(folder: &Folder) -> Value {
    // Every field is named, so that a new one cannot be forgotten.
    let Folder {
        input,
        output,
        recursive,
        watch,
        ignore: _,
        globs,
        after,
        on_failure,
        // What was given up has its time in the ledger.
        give_up: _,
        prune_empty: _,
        on_conflict: _,
        renditions: _,
        recipe_id,
    } = folder;
    json!({
        "input": path_to_json(input),
        "output": path_to_json(output),
        "recursive": recursive,
        "watch": match watch {
            Watch::Auto => "auto",
            Watch::Events => "events",
            Watch::Poll => "poll",
        },
        "ignore": globs,
        "after": source_to_json(after),
        "on_failure": source_to_json(on_failure),
        "recipe": format!("{recipe_id:016x}"),
    })
}

fn folder_from_json(value: &Value) -> Option<Folder> {
    let globs = value["ignore"].as_array()?.iter();
    let globs: Vec<String> = globs
        .filter_map(|glob| Some(glob.as_str()?.to_owned()))
        .collect();
    Some(Folder {
        input: path_from_json(&value["input"])?,
        output: path_from_json(&value["output"])?,
        recursive: value["recursive"].as_bool()?,
        watch: match value["watch"].as_str()? {
            "events" => Watch::Events,
            "poll" => Watch::Poll,
            _ => Watch::Auto,
        },
        ignore: config::glob_set(&globs),
        globs,
        after: source_from_json(&value["after"])?,
        on_failure: source_from_json(&value["on_failure"])?,
        give_up: Duration::ZERO,
        prune_empty: false,
        on_conflict: OnConflict::Auto,
        renditions: vec![Rendition::only(Arc::new(config::bare_recipe()))],
        recipe_id: u64::from_str_radix(value["recipe"].as_str()?, 16).ok()?,
    })
}

/// Also what `status --json` says.
#[must_use]
pub fn not_taken_to_json(counts: Option<&NotTaken>) -> Value {
    let Some(counts) = counts else {
        return Value::Null;
    };
    let extensions = counts.extensions();
    let extensions: Map<String, Value> = extensions
        .map(|(name, count)| (name.to_owned(), json!(count)))
        .collect();
    json!({
        "total": counts.total(),
        "extensions": extensions,
        "others": counts.others,
        "hidden": counts.hidden,
        "ignore": counts.globs,
        "links": counts.links,
        "subfolders": counts.subfolders,
    })
}

fn not_taken_from_json(value: &Value) -> Option<NotTaken> {
    let count = |name: &str| value[name].as_u64();
    let mut counts = NotTaken::default();
    counts.others = count("others")?;
    counts.hidden = count("hidden")?;
    counts.globs = count("ignore")?;
    counts.links = count("links")?;
    counts.subfolders = count("subfolders")?;
    for (name, count) in value["extensions"].as_object()? {
        counts.add_extension(name.as_bytes(), count.as_u64()?);
    }
    Some(counts)
}

fn source_to_json(source: &Source) -> Value {
    match source {
        Source::Keep => json!("keep"),
        Source::Delete => json!("delete"),
        Source::MoveTo(to) => json!({"move_to": path_to_json(to)}),
    }
}

fn source_from_json(value: &Value) -> Option<Source> {
    match value.as_str() {
        Some("keep") => Some(Source::Keep),
        Some("delete") => Some(Source::Delete),
        _ => Some(Source::MoveTo(path_from_json(&value["move_to"])?)),
    }
}

/// Text where it is Unicode, else its bytes.
fn path_to_json(path: &Path) -> Value {
    match path.to_str() {
        Some(text) => json!(text),
        None => json!(path.as_os_str().as_encoded_bytes()),
    }
}

fn path_from_json(value: &Value) -> Option<PathBuf> {
    if let Some(text) = value.as_str() {
        return Some(text.into());
    }
    let bytes = value.as_array()?.iter();
    let bytes: Option<Vec<u8>> = bytes
        .map(|byte| u8::try_from(byte.as_u64()?).ok())
        .collect();
    Some(path_of(rusqlite::types::Value::Blob(bytes?)))
}

fn ms_of(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    in_ms(since.unwrap_or_default())
}

/// What the daemon of a ledger runs, or the last one ran, as far as it has left word.
#[must_use]
pub fn running(ledger: &Path) -> Option<Running> {
    read(&beside(ledger, RUNNING))
}

/// What the daemon of a configuration runs, or the last one ran, with whichever ledger. `home` is the
/// ledger that the configuration has if it names none.
#[must_use]
pub fn running_of(home: &Path, config: &Path) -> Option<Running> {
    // Before the configuration named a ledger its daemon had this one.
    let mut found = [read(&at_home(home, config)), running(home)].into_iter();
    found.find_map(|running| running.filter(|running| running.config == config))
}

/// The copy for those who ask before they know the ledger. Configurations may share a home.
fn at_home(home: &Path, config: &Path) -> PathBuf {
    let hash = xxh3_64(config.as_os_str().as_encoded_bytes());
    beside(home, &format!(".{hash:016x}{RUNNING}"))
}

fn read(file: &Path) -> Option<Running> {
    let metadata = fs::symlink_metadata(file).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    Running::from_json(&value)
}

/// What is written where.
#[derive(Debug)]
pub struct Word {
    pub running: Running,
    /// Where the ledger would lie if the configuration did not name it.
    pub home: Option<PathBuf>,
}

impl Word {
    /// Without it the answers are less, which is nothing to hold pictures up for.
    pub fn leave(&self) {
        let text_of_it = format!("{:#}\n", self.running.to_json());
        let own = &self.running.ledger;
        let home = self.home.as_ref().filter(|home| *home != own);
        let copy = home.map(|home| at_home(home, &self.running.config));
        for file in [beside(own, RUNNING)].into_iter().chain(copy) {
            if let Err(cause) = write(&file, &text_of_it) {
                let cause = cause.to_string();
                debug!(path = text(&file), cause, "no word of what runs");
            }
        }
    }
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = beside(file, ".new");
    match fs::remove_file(&fresh) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    os::create_new(&fresh)?.write_all(text.as_bytes())?;
    fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "it is read from top to bottom")]
    fn what_is_left_is_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite");
        assert!(running(&path).is_none());
        let folder = |input: &str, watch, after, on_failure| Folder {
            input: input.into(),
            output: "/out".into(),
            recursive: true,
            watch,
            ignore: config::glob_set(&[]),
            globs: vec!["*_draft.*".to_owned()],
            after,
            on_failure,
            give_up: Duration::ZERO,
            prune_empty: false,
            on_conflict: OnConflict::Auto,
            renditions: vec![Rendition::only(Arc::new(config::bare_recipe()))],
            recipe_id: u64::MAX - 3,
        };
        let to = || Source::MoveTo("/done".into());
        let mut folders = vec![
            folder("/in", Watch::Poll, Source::Delete, to()),
            folder("/two", Watch::Events, to(), Source::Keep),
        ];
        #[cfg(unix)]
        let no_utf8: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"/no/\xff\xfe");
        #[cfg(not(unix))]
        let no_utf8 = std::ffi::OsStr::new("/no");
        folders[0].output = Path::new(no_utf8).to_owned();
        let left = Running {
            pid: 77,
            since: time(1_700_000_000_123),
            single: false,
            ended: None,
            config: "/etc/x.yaml".into(),
            fingerprint: u64::MAX,
            ledger: path.clone(),
            log: "/log".into(),
            settle: Duration::from_millis(1500),
            poll: Duration::from_secs(10),
            rescan: Duration::from_secs(300),
            retry_max: Duration::from_secs(60),
            not_taken: BTreeMap::from([("/two".into(), {
                let mut counts = NotTaken::default();
                counts.add_extension(b"heic", 7);
                counts.hidden = 3;
                counts
            })]),
            folders,
            verdict: Some(Verdict {
                at: time(1_700_000_000_456),
                taken: false,
                reasons: vec!["a: b".to_owned(), "c".to_owned()],
            }),
        };
        let home = dir.path().join("own/ledger.sqlite");
        Word {
            running: left.clone(),
            home: Some(home.clone()),
        }
        .leave();
        // Another configuration of the same home has a word of its own.
        let other = Path::new("/etc/y.yaml");
        assert!(running(&home).is_none() && running_of(&home, other).is_none());
        for read in [running(&path), running_of(&home, &left.config)] {
            let read = read.unwrap();
            assert!(read.folders[0].ignore.is_match("a_draft.jpg"));
            let plain = |running: &Running| {
                let mut running = running.clone();
                for folder in &mut running.folders {
                    folder.ignore = config::glob_set(&[]);
                }
                format!("{running:?}")
            };
            assert_eq!(plain(&read), plain(&left));
        }
        fs::write(beside(&path, RUNNING), "{\"pid\": 1}").unwrap();
        assert!(running(&path).is_none());
    }
}
