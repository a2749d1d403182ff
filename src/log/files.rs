//! The log files: `watermarkd.log`, or `watermarkd.DATE.log` where a new one is begun by time.
//!
//! tracing-appender's rolling files know neither sizes nor a total, remove by bare prefix, and go on
//! writing into a file that was moved, so this writer stands below its thread instead. What it
//! keeps to: all files of ours together stay below `max_total` and their number at `keep`, whatever
//! is logged; only files with exactly our names are removed; the one being written never is. One
//! that has its share of the total is moved aside as `…_0001.log`, `…_0002.log` and so on, so that
//! the current one always has the name without a number.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::Context;
use time::OffsetDateTime;

use super::{clock::Local, note::note};
use crate::{
    config::{self, LogFormat, Rotation},
    os,
};

/// Nobody else's files begin like this and go on with a date or number.
const STEM: &str = "watermarkd";
/// How often the name is asked whether it still leads to our file.
const LOOK: Duration = Duration::from_secs(1);
/// The total is cut into so many files at most, so that the oldest is a small part of it.
const PARTS: u64 = 8;

/// The current file and the rules for the others.
pub struct Files {
    dir: PathBuf,
    rotation: Rotation,
    keep: usize,
    max_total: u64,
    format: LogFormat,
    /// Set when the name shall be looked at before the next line.
    reopen: Arc<AtomicBool>,
    current: Option<Current>,
}

struct Current {
    file: File,
    path: PathBuf,
    stem: String,
    identity: Option<os::Identity>,
    size: u64,
    looked: SystemTime,
    /// A part of a line stands at the end and could not be cut off.
    torn: bool,
}

impl Files {
    pub fn open(settings: &config::Log, reopen: Arc<AtomicBool>) -> anyhow::Result<Files> {
        let mut files = Files {
            dir: settings.dir.clone(),
            rotation: settings.rotation,
            keep: settings.keep,
            max_total: settings.max_total,
            format: settings.format,
            reopen,
            current: None,
        };
        let now = SystemTime::now();
        files
            .begin(&stem(files.rotation, files.format, now), 0, now)
            .with_context(|| format!("cannot open a log file in {}", files.dir.display()))?;
        Ok(files)
    }

    /// Writes a line, whole or not at all.
    fn write_line(&mut self, line: &[u8], now: SystemTime) -> io::Result<()> {
        let length = line.len() as u64;
        let stem = stem(self.rotation, self.format, now);
        if self.current.as_mut().is_some_and(|current| {
            current.stem != stem || !current.is_ours(self.reopen.swap(false, Ordering::AcqRel), now)
        }) {
            self.current = None;
        }
        if self.current.is_none() {
            self.begin(&stem, length, now)?;
        }
        if let Some(current) = &self.current
            && current.size > 0
            && current.size.saturating_add(length) > self.share()
        {
            set_aside(&self.dir, current)?;
            self.current = None;
            self.begin(&stem, length, now)?;
        }
        match &mut self.current {
            Some(current) => current.append(line),
            None => Err(io::Error::other("no log file is open")),
        }
    }

    /// Opens the file that is written from now on, and makes room for it and a line of `length`.
    fn begin(&mut self, stem: &str, length: u64, now: SystemTime) -> io::Result<()> {
        let path = self.dir.join(format!("{stem}.log"));
        let mut options = OpenOptions::new();
        os::without_links(options.append(true).create(true));
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody tidied the folder away; its parent is not made, it may be a mount.
                fs::create_dir(&self.dir)?;
                options.open(&path)?
            }
            opened => opened?,
        };
        let metadata = file.metadata()?;
        let mut current = Current {
            identity: os::identity(&metadata),
            size: metadata.len(),
            file,
            path,
            stem: stem.to_owned(),
            looked: now,
            torn: false,
        };
        let told = note(
            self.format,
            "older log files were removed, for the log must stay below max_total",
        );
        let length = length.saturating_add(told.len() as u64);
        if self.prune(&current, length)? {
            current.append(told.as_bytes())?;
        }
        self.current = Some(current);
        Ok(())
    }

    /// Bytes that a single file may take.
    fn share(&self) -> u64 {
        let parts = u64::try_from(self.keep).unwrap_or(PARTS).clamp(1, PARTS);
        self.max_total / parts
    }

    /// Removes the oldest files until the current one may grow to its share, or by `length`. Tells
    /// whether any went that `keep` would have kept.
    fn prune(&self, current: &Current, length: u64) -> io::Result<bool> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            let Some((period, number)) = entry.file_name().to_str().and_then(own) else {
                continue;
            };
            if path == current.path || !entry.file_type()?.is_file() {
                continue;
            }
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let age = (metadata.modified()?, period, number);
            others.push((age, path, metadata.len()));
        }
        others.sort();
        let room = self.share().max(current.size.saturating_add(length));
        let mut total: u64 = others.iter().map(|(_, _, size)| size).sum();
        let mut count = others.len() + 1;
        let mut early = false;
        for (_, path, size) in &others {
            let too_many = count > self.keep;
            if !too_many && total.saturating_add(room) <= self.max_total {
                break;
            }
            match fs::remove_file(path) {
                // One that does not let itself be removed must not keep the others.
                Err(error) if error.kind() != io::ErrorKind::NotFound => continue,
                _ => {}
            }
            early |= total.saturating_add(room) > self.max_total;
            total -= size;
            count -= 1;
        }
        Ok(early)
    }
}

impl Write for Files {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_line(line, SystemTime::now())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Current {
    /// Whether the name still leads here. Asked once in a while, or when `told` to.
    fn is_ours(&mut self, told: bool, now: SystemTime) -> bool {
        // A clock that was set back makes it look at once.
        let waited = now.duration_since(self.looked).unwrap_or(LOOK);
        if !told && waited < LOOK {
            return true;
        }
        self.looked = now;
        let Ok(metadata) = fs::metadata(&self.path) else {
            return false;
        };
        // It may have been cut from outside, as logrotate's copytruncate does.
        self.size = metadata.len();
        self.identity == os::identity(&metadata)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            (self.torn, self.size) = (false, self.size + 1);
        }
        if let Err(error) = self.file.write_all(line) {
            // Half a line would spoil the next one too.
            self.torn = self.file.set_len(self.size).is_err();
            return Err(error);
        }
        self.size += line.len() as u64;
        Ok(())
    }
}

/// Moves the full current file aside, under the next free number.
fn set_aside(dir: &Path, current: &Current) -> io::Result<()> {
    let mut last = 0;
    for entry in fs::read_dir(dir)? {
        if let Some((stem, number)) = entry?.file_name().to_str().and_then(own)
            && stem == current.stem
        {
            last = last.max(number);
        }
    }
    let aside = dir.join(format!(
        "{}_{:04}.log",
        current.stem,
        last.saturating_add(1)
    ));
    fs::rename(&current.path, aside)
}

/// The name of the current file without its ending; dates are by the clock that the lines have.
fn stem(rotation: Rotation, format: LogFormat, now: SystemTime) -> String {
    let (date, hour) = match format {
        LogFormat::Text => {
            let now = Local::of(now);
            (now.date().to_string(), now.hour().unsigned_abs())
        }
        LogFormat::Json => {
            let now = OffsetDateTime::from(now);
            (now.date().to_string(), now.hour())
        }
    };
    match rotation {
        Rotation::Never => STEM.to_owned(),
        Rotation::Daily => format!("{STEM}.{date}"),
        Rotation::Hourly => format!("{STEM}.{date}-{hour:02}"),
    }
}

/// Stem and number of a file of ours, `None` for anybody else's.
fn own(name: &str) -> Option<(String, u32)> {
    let whole = name.strip_suffix(".log")?;
    let (stem, number) = match whole.rsplit_once('_') {
        Some((stem, digits)) => {
            let usual = digits.len() >= 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
            (stem, usual.then(|| digits.parse().ok())??)
        }
        None => (whole, 0),
    };
    let date = stem.strip_prefix(STEM)?;
    let pattern = match date.len() {
        0 => "",
        11 => ".0000-00-00",
        14 => ".0000-00-00-00",
        _ => return None,
    };
    date.bytes()
        .zip(pattern.bytes())
        .all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            wanted => byte == wanted,
        })
        .then(|| (stem.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn settings(dir: &Path, rotation: Rotation, keep: usize, max_total: u64) -> config::Log {
        config::Log {
            dir: dir.to_owned(),
            rotation,
            keep,
            max_total,
            level: Level::INFO,
            format: LogFormat::Text,
            console: false,
        }
    }

    fn open(settings: &config::Log) -> Files {
        Files::open(settings, Arc::default()).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn total(dir: &Path) -> u64 {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum()
    }

    #[test]
    fn names_of_ours_are_told_from_all_others() {
        for (name, wanted) in [
            ("watermarkd.log", Some(("watermarkd", 0))),
            ("watermarkd_0012.log", Some(("watermarkd", 12))),
            (
                "watermarkd.2026-11-21.log",
                Some(("watermarkd.2026-11-21", 0)),
            ),
            (
                "watermarkd.2026-11-21-07_12345.log",
                Some(("watermarkd.2026-11-21-07", 12345)),
            ),
            ("watermarkd-web.log", None),
            ("watermarkd.2026-11-21.log.1", None),
            ("watermarkd.2026-11-21.log.gz", None),
            ("watermarkd.old.log", None),
            ("watermarkd.2026-11-2x.log", None),
            ("watermarkd_12.log", None),
            ("watermarkd_99999999999.log", None),
            ("mywatermarkd.log", None),
        ] {
            let found = own(name);
            let found = found
                .as_ref()
                .map(|(stem, number)| (stem.as_str(), *number));
            assert_eq!(found, wanted, "{name}");
        }
    }

    #[test]
    fn a_flood_stays_below_the_total_and_keeps_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = open(&settings(dir.path(), Rotation::Never, 14, 4000));
        fs::write(dir.path().join("watermarkd.mine.log"), [b'x'; 9000]).unwrap();
        for line in 0..1000 {
            files
                .write_line(format!("line {line:05}\n").as_bytes(), at(0))
                .unwrap();
            let own = total(dir.path()) - 9000;
            assert!(own <= 4000, "{own} after {line}");
        }
        let names = names(dir.path());
        assert!(
            names.contains(&"watermarkd.mine.log".to_owned()),
            "{names:?}"
        );
        let mut all = String::new();
        for name in names.iter().filter(|name| name.contains('_')) {
            all += &fs::read_to_string(dir.path().join(name)).unwrap();
        }
        all += &fs::read_to_string(dir.path().join("watermarkd.log")).unwrap();
        assert!(all.contains("older log files were removed"), "{all}");
        let lines: Vec<&str> = all
            .lines()
            .filter(|line| line.starts_with("line"))
            .collect();
        let first = 1000 - lines.len();
        assert!(lines.len() > 150, "only {} lines are left", lines.len());
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(*line, format!("line {:05}", first + at));
        }
    }

    #[test]
    fn a_new_day_begins_a_file_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = open(&settings(dir.path(), Rotation::Daily, 3, 1 << 20));
        fs::remove_file(&files.current.as_ref().unwrap().path).unwrap();
        for day in 0..5 {
            files.write_line(b"a line\n", at(day * 86_400)).unwrap();
        }
        assert_eq!(
            names(dir.path()),
            [
                "watermarkd.2027-01-17.log",
                "watermarkd.2027-01-18.log",
                "watermarkd.2027-01-19.log"
            ]
        );
    }

    #[test]
    fn a_file_that_was_moved_is_left_within_a_second_or_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let (current, moved) = (dir.path().join("watermarkd.log"), dir.path().join("moved"));
        let mut files = open(&settings(dir.path(), Rotation::Never, 3, 1 << 20));
        files.write_line(b"1\n", at(0)).unwrap();
        fs::rename(&current, &moved).unwrap();
        files.write_line(b"2\n", at(0)).unwrap();
        files.write_line(b"3\n", at(1)).unwrap();
        assert_eq!(fs::read(&moved).unwrap(), b"1\n2\n");
        assert_eq!(fs::read(&current).unwrap(), b"3\n");
        fs::rename(&current, &moved).unwrap();
        files.reopen.store(true, Ordering::Release);
        files.write_line(b"4\n", at(1)).unwrap();
        assert_eq!(fs::read(&moved).unwrap(), b"3\n");
        assert_eq!(fs::read(&current).unwrap(), b"4\n");
        // A folder with an open file in it cannot be removed on Windows.
        if cfg!(unix) {
            fs::remove_dir_all(dir.path()).unwrap();
            files.write_line(b"5\n", at(3)).unwrap();
            assert_eq!(fs::read(&current).unwrap(), b"5\n");
        }
    }

    #[test]
    fn a_file_from_before_that_is_too_large_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("watermarkd.log"), [b'x'; 900]).unwrap();
        let mut files = open(&settings(dir.path(), Rotation::Never, 2, 1000));
        files.write_line(b"a line\n", at(0)).unwrap();
        let log = fs::read_to_string(dir.path().join("watermarkd.log")).unwrap();
        assert!(log.ends_with("max_total\na line\n"), "{log}");
        // 900 bytes and a file of 500 would be more than 1000.
        assert_eq!(names(dir.path()), ["watermarkd.log"]);
    }
}
