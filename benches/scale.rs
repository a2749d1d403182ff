//! What a folder of very many files costs, when all are dealt with and when all are new.
//!
//! `cargo bench --bench scale -- 10000 100000 1000000` measures folders of so many files that were
//! dealt with before: time of `run --once`, of the daemon's first scan and of an idle poll, memory;
//! `waiting 1000000` the memory for new files that wait; `through 100000` how fast so many PNGs of
//! 16×16 go through, `arriving 200000` the same for the daemon, beyond the bound on waiting files.
//! Without arguments nothing is done. Linux only, since it reads /proc; the
//! folders are made under TMPDIR.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when something is wrong"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

/// ext4 allows 65,000 names for a file.
const LINKS: u32 = 60_000;
const POLLS: usize = 4;

fn main() {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .peekable();
    if words.peek().is_none() {
        println!("scale: name numbers of files, such as -- 10000 100000 1000000");
    }
    while let Some(word) = words.next() {
        let mut number = || words.next().unwrap().parse().unwrap();
        match word.as_str() {
            "waiting" => waiting(number()),
            "through" => through(number()),
            "arriving" => arriving(number()),
            number => dealt_with(number.parse().unwrap()),
        }
    }
}

/// A folder of files that were all dealt with before.
fn dealt_with(files: u32) {
    let home = home(files, "watch: poll", "poll: 1s\nrescan: 1h");
    let home = home.path();
    let empty = home.join("empty");
    fs::create_dir(&empty).unwrap();
    // The program makes its own ledger, of no files.
    fs::rename(home.join("in"), home.join("full")).unwrap();
    fs::rename(&empty, home.join("in")).unwrap();
    once(home);
    fs::remove_dir(home.join("in")).unwrap();
    fs::rename(home.join("full"), home.join("in")).unwrap();
    fill_ledger(home, files);

    let started = Instant::now();
    let table = once(home);
    let passed = started.elapsed();
    assert!(table.starts_with("0 pictures, 0 failed"), "{table}");

    let daemon = Daemon::start(home);
    let scans = wait_for_scans(home, POLLS + 1);
    let mut polls = scans[1..].to_vec();
    polls.sort_unstable();
    println!(
        "{files} files dealt with: run --once {:.0} ms ({:.2} us a file), first scan {} ms ({:.2} us a file), \
         idle poll, median of {POLLS}, {} ms ({:.2} us a file), {} resident, {} at most",
        passed.as_secs_f64() * 1000.0,
        passed.as_secs_f64() * 1e6 / f64::from(files),
        scans[0],
        f64::from(scans[0]) * 1000.0 / f64::from(files),
        polls[POLLS / 2],
        f64::from(polls[POLLS / 2]) * 1000.0 / f64::from(files),
        daemon.status("VmRSS:"),
        daemon.status("VmHWM:"),
    );
}

/// A folder of new files that may not be tried yet.
fn waiting(files: u32) {
    let home = home(files, "watch: poll", "poll: 1s\nsettle: 1h");
    let daemon = Daemon::start(home.path());
    let scans = wait_for_scans(home.path(), POLLS);
    println!(
        "{files} new files that wait: first scan {} ms, next {} ms, {} resident, {} at most",
        scans[0],
        scans[1],
        daemon.status("VmRSS:"),
        daemon.status("VmHWM:"),
    );
}

/// New files of 16×16, from the folder to their fate.
fn through(files: u32) {
    let home = home(files, "watch: poll", "rescan: 1h");
    let started = Instant::now();
    let table = once(home.path());
    let seconds = started.elapsed().as_secs_f64();
    let wanted = format!("{files} pictures, 0 failed");
    assert!(table.starts_with(&wanted), "{table}");
    println!(
        "run --once over {files} new PNGs of 16x16: {seconds:.1} s, {:.0} a second",
        f64::from(files) / seconds
    );
}

/// New files that a daemon finds, until all are dealt with, each of them once.
fn arriving(files: u32) {
    let home = home(files, "watch: poll", "poll: 1s\nsettle: 100ms");
    let started = Instant::now();
    let daemon = Daemon::start(home.path());
    let wanted = usize::try_from(files).unwrap();
    while fs::read_dir(home.path().join("out")).unwrap().count() < wanted {
        assert!(started.elapsed() < Duration::from_secs(900));
        thread::sleep(Duration::from_millis(100));
    }
    let seconds = started.elapsed().as_secs_f64();
    // One more poll finds nothing that is to be done again.
    let scans = wait_for_scans(home.path(), 0).len();
    wait_for_scans(home.path(), scans + 2);
    let count = |word: &str| {
        log_text(home.path())
            .lines()
            .filter(|line| line.contains(word))
            .count()
    };
    assert_eq!(count(" processed "), wanted);
    println!(
        "daemon, {files} new PNGs of 16x16: {seconds:.1} s, {:.0} a second, {scans} scans, {} at most",
        f64::from(files) / seconds,
        daemon.status("VmHWM:"),
    );
}

/// A folder with files, and a configuration.
fn home(files: u32, folder: &str, more: &str) -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path();
    for folder in ["in", "out", "made"] {
        fs::create_dir(home.join(folder)).unwrap();
    }
    watermarkd::mark::save(&watermarkd::mark::sample(), &home.join("mark.npy")).unwrap();
    let text = format!(
        "watermark: {{npy_path: mark.npy, output_height: 16}}\n\
         folders: [{{input: in, output: out, {folder}}}]\n\
         ledger: ledger.sqlite\nlog: {{dir: log, console: false, level: trace}}\n{more}\n"
    );
    fs::write(home.join("config.yaml"), text).unwrap();
    let mut original = PathBuf::new();
    for number in 0..files {
        if number % LINKS == 0 {
            original = home.join(format!("made/{number}.png"));
            let [_, red, green, blue] = number.to_be_bytes();
            let picture = image::RgbImage::from_pixel(16, 16, image::Rgb([red, green, blue]));
            picture.save(&original).unwrap();
        }
        fs::hard_link(&original, name(home, number)).unwrap();
    }
    temp
}

fn name(home: &Path, number: u32) -> PathBuf {
    home.join(format!("in/picture-{number:07}.png"))
}

/// Writes "done" for every file, as the program does.
fn fill_ledger(home: &Path, files: u32) {
    let mut ledger = rusqlite::Connection::open(home.join("ledger.sqlite")).unwrap();
    let folder: i64 = ledger
        .query_row("SELECT id FROM folder", [], |row| row.get(0))
        .unwrap();
    let transaction = ledger.transaction().unwrap();
    let mut insert = transaction
        .prepare(
            "INSERT INTO file (folder, path, length, mtime_ns, recipe, state, changed_ms, output, bytes, took_ms)
             VALUES (?1, ?2, ?3, ?4, 1, 'done', 1700000000000, ?5, 100, 1)",
        )
        .unwrap();
    for number in 0..files {
        let path = name(home, number);
        let metadata = fs::metadata(&path).unwrap();
        let modified = metadata.modified().unwrap();
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let path = path.file_name().unwrap().to_str().unwrap();
        let row = rusqlite::params![
            folder,
            path,
            i64::try_from(metadata.len()).unwrap(),
            i64::try_from(since.as_nanos()).unwrap(),
            format!("{}/out/{path}", home.display()),
        ];
        insert.execute(row).unwrap();
    }
    drop(insert);
    transaction.commit().unwrap();
}

fn once(home: &Path) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_watermarkd"))
        .args(["run", "--once", "-c"])
        .arg(home.join("config.yaml"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap()
}

/// Milliseconds that the daemon's scans took, when there are enough of them.
fn wait_for_scans(home: &Path, wanted: usize) -> Vec<u32> {
    let started = Instant::now();
    loop {
        let log = log_text(home);
        let scans: Vec<u32> = log
            .lines()
            .filter(|line| line.contains(" scanned "))
            .filter_map(|line| line.split("ms=").nth(1)?.trim().parse().ok())
            .collect();
        if scans.len() >= wanted {
            return scans;
        }
        assert!(started.elapsed() < Duration::from_secs(900), "{log}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn log_text(home: &Path) -> String {
    let Ok(files) = fs::read_dir(home.join("log")) else {
        return String::new();
    };
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

struct Daemon(Child);

impl Daemon {
    fn start(home: &Path) -> Daemon {
        let child = Command::new(env!("CARGO_BIN_EXE_watermarkd"))
            .args(["run", "-c"])
            .arg(home.join("config.yaml"))
            .stderr(Stdio::null())
            .spawn();
        Daemon(child.unwrap())
    }

    fn status(&self, key: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default();
        line[key.len()..].trim().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
