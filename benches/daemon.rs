//! What the running daemon costs: how long a picture takes from its rename into the folder until
//! the marked one is visible, what an idle daemon does, and how long `run --once` takes over a
//! folder that was dealt with before.
//!
//! `cargo bench --bench daemon` — Linux only, since it reads /proc.
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
    time::{Duration, Instant},
};

const ROUNDS: usize = 60;
/// Pictures of 16×16 in the folder that is gone over twice.
const KEPT: u32 = 20_000;

fn main() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for folder in ["in", "out", "made"] {
        fs::create_dir(home.join(folder)).unwrap();
    }
    watermarkd::mark::save(&watermarkd::mark::sample(), &home.join("mark.npy")).unwrap();
    let config = home.join("config.yaml");
    let text = "watermark: {npy_path: mark.npy, output_height: 480}\n\
                folders: [{input: in, output: out}]\n\
                ledger: ledger.sqlite\nlog: {dir: log, console: false}\n";
    fs::write(&config, text).unwrap();
    let mut daemon = Daemon::start(home, &config);

    let mut times: Vec<Duration> = (0..ROUNDS).map(|round| latency(home, round)).collect();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "rename-in to visible, 640x480 PNG, {ROUNDS} pictures: min {:.0} ms, median {:.0} ms, max {:.0} ms",
        ms(times[0]),
        ms(times[ROUNDS / 2]),
        ms(times[ROUNDS - 1])
    );

    thread::sleep(Duration::from_secs(3));
    let before = daemon.context_switches();
    thread::sleep(Duration::from_secs(10));
    let switches = daemon.context_switches() - before;
    println!(
        "idle: {switches} context switches in 10 s, {} resident",
        daemon.status("VmRSS:")
    );
    daemon.0.kill().unwrap();
    daemon.0.wait().unwrap();

    kept_folder();
}

fn kept_folder() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("in")).unwrap();
    watermarkd::mark::save(&watermarkd::mark::sample(), &home.join("mark.npy")).unwrap();
    for number in 0..KEPT {
        let [_, red, green, blue] = number.to_be_bytes();
        let picture = image::RgbImage::from_pixel(16, 16, image::Rgb([red, green, blue]));
        picture.save(home.join(format!("in/{number}.png"))).unwrap();
    }
    let config = home.join("config.yaml");
    let text = "watermark: {npy_path: mark.npy, output_height: 16}\n\
                folders: [{input: in, output: out}]\n\
                ledger: ledger.sqlite\nlog: {dir: log, console: false}\n";
    fs::write(&config, text).unwrap();
    for pass in ["first", "second"] {
        let started = Instant::now();
        let run = Command::new(env!("CARGO_BIN_EXE_watermarkd"))
            .args(["run", "--once", "-c"])
            .arg(&config)
            .output()
            .unwrap();
        let seconds = started.elapsed().as_secs_f64();
        assert!(run.status.success(), "{run:?}");
        let table = String::from_utf8(run.stdout).unwrap();
        let counts = table.lines().next().unwrap_or_default();
        println!("{pass} run --once over {KEPT} PNGs of 16x16: {seconds:.2} s ({counts})");
    }
}

/// Drops one picture and waits, as fast as it can look, until the result is there.
fn latency(home: &Path, round: usize) -> Duration {
    let name = format!("{round}.png");
    let made = home.join("made").join(&name);
    let picture = image::RgbImage::from_fn(640, 480, |x, y| {
        let shade = |value: u32| u8::try_from(value % 256).unwrap();
        let round = u32::try_from(round).unwrap();
        image::Rgb([shade(x + round), shade(x * y / 64), shade(y)])
    });
    picture.save(&made).unwrap();
    let visible = home.join("out").join(&name);
    let started = Instant::now();
    fs::rename(made, home.join("in").join(&name)).unwrap();
    while !visible.exists() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{name} does not come out"
        );
        thread::sleep(Duration::from_micros(500));
    }
    started.elapsed()
}

struct Daemon(Child);

impl Daemon {
    fn start(home: &Path, config: &Path) -> Daemon {
        let child = Command::new(env!("CARGO_BIN_EXE_watermarkd"))
            .args(["run", "-c"])
            .arg(config)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !log_text(&home.join("log")).contains("ready") {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "the daemon does not get ready"
            );
            thread::sleep(Duration::from_millis(5));
        }
        Daemon(child)
    }

    /// Of all threads, since their start.
    fn context_switches(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        tasks
            .map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap())
            .map(|status| {
                status
                    .lines()
                    .filter(|line| line.contains("ctxt_switches"))
                    .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                    .sum::<u64>()
            })
            .sum()
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

fn log_text(directory: &PathBuf) -> String {
    let Ok(files) = fs::read_dir(directory) else {
        return String::new();
    };
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}
