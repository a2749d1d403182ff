use std::{fs, process::Command};

use rustix::process::Signal;

use super::{
    pictures::jpeg,
    sandbox::{FOLDERS, Sandbox, skip},
    watch::Mount,
};

/// A sandbox with other keys of the log than usual.
fn sandbox(log: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    configure(&sandbox, log);
    sandbox
}

fn configure(sandbox: &Sandbox, log: &str) {
    sandbox.configure(FOLDERS);
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let usual = "{dir: log, console: true, level: debug}";
    assert!(config.contains(usual), "{config}");
    let config = config.replace(usual, &format!("{{dir: log, {log}}}"));
    sandbox.write("config.yaml", config.as_bytes());
}

fn log_size(sandbox: &Sandbox) -> u64 {
    let names = sandbox.names("log");
    // They come and go meanwhile.
    let size = |name: &String| fs::metadata(sandbox.path("log").join(name)).ok();
    names.iter().filter_map(size).map(|file| file.len()).sum()
}

/// The sum of a count over all batch reports, by what stands behind it. A line that is still being
/// written counts for none.
fn counted(sandbox: &Sandbox, what: &str) -> u64 {
    let value = |line: &String| {
        let (before, _) = line.split_once(what)?;
        before.rsplit_once(' ')?.1.parse::<u64>().ok()
    };
    sandbox.lines(" batch ").iter().filter_map(value).sum()
}

#[test]
fn every_record_is_in_the_file_after_a_stop() {
    let mut sandbox = Sandbox::new();
    for picture in 0..100 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(60, 60, picture));
    }
    sandbox.start();
    sandbox.wait_for("all pictures", |sandbox| sandbox.names("out").len() == 100);
    sandbox.stop();
    let processed = sandbox.lines("processed");
    assert_eq!(processed.len(), 100);
    for line in &processed {
        assert!(line.chars().count() <= 120, "{line}");
        // Time with offset, level, message, path below its folder, size, bytes, time.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [
            _,
            time,
            "INFO",
            "processed",
            name,
            "48x48",
            bytes,
            unit,
            _,
            "ms",
        ] = words[..]
        else {
            panic!("{words:?}");
        };
        assert_eq!(line.find(name), Some(42), "{line}");
        assert!(name.contains(".jpg") && !name.contains('/'), "{line}");
        assert!(time.len() == 14 && time[8..].contains(':'), "{line}");
        assert!(bytes.parse::<f32>().is_ok() && unit == "KiB", "{line}");
    }
    assert!(
        sandbox.tail().lines().last().unwrap().contains("ended"),
        "{}",
        sandbox.tail()
    );
    let console = std::fs::read_to_string(sandbox.path("console")).unwrap();
    assert_eq!(console.matches("processed").count(), 100);
}

#[test]
fn a_burst_ends_in_one_report() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    for picture in 0..8 {
        sandbox.rename_in(&format!("in/{picture}.jpg"), &jpeg(90, 90, picture));
    }
    sandbox.rename_in("in/bad.jpg", b"this is no picture at all");
    // A picture is visible before it is counted, and on a busy machine the burst is processed in
    // parts, each with a report of its own.
    sandbox.wait_for("reports of all pictures", |sandbox| {
        counted(sandbox, " picture") == 8 && counted(sandbox, " failed, ") == 1
    });
    sandbox.signal(Signal::USR1);
    sandbox.wait_for_line(&["since start", "8 pictures, 1 failed"]);
    sandbox.stop();
    let batch = sandbox.lines("batch").join("\n");
    for part in [
        "B in, ",
        "B out, ",
        " ms, ",
        " pictures/s",
        "ms, mean/max: ",
        " decode ",
    ] {
        assert!(batch.contains(part), "{part} is not in {batch}");
    }
    assert!(batch.lines().all(|line| line.len() <= 120), "{batch}");
    assert_eq!(sandbox.lines("pool started").len(), 1);
}

#[test]
fn under_the_journal_the_console_has_no_times_of_its_own() {
    let sandbox = Sandbox::new();
    let output = sandbox
        .command(&["run", "--once"])
        .env("JOURNAL_STREAM", "8:12345")
        .output()
        .unwrap();
    let console = String::from_utf8(output.stderr).unwrap();
    let first = console.lines().next().unwrap();
    assert!(first.trim_start().starts_with("INFO  starting"), "{first}");
    assert!(
        sandbox.log().starts_with("20"),
        "the file keeps its times: {}",
        sandbox.log()
    );
}

#[test]
fn no_file_name_can_pass_for_a_line_of_the_log() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in/x\n2026-01-01T00:00:00Z  INFO processed \x1b[31m.jpg",
        b"not a picture",
    );
    sandbox.once_expecting(0, 1);
    let log = sandbox.log();
    assert!(
        !log.contains("\n2026-01-01T00") && !log.contains('\x1b'),
        "{log}"
    );
}

#[test]
fn every_json_line_is_one_object_whatever_the_names_are() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let sandbox = sandbox("format: json, console: true, level: trace");
    for (at, name) in [
        b"a\"b\\c.jpg".as_slice(),
        b"x\n\x1b[31m\x07.jpg",
        b"\xff\xfe\xc3.jpg",
        "\u{2028}ö😀.jpg".as_bytes(),
    ]
    .into_iter()
    .enumerate()
    {
        let path = sandbox.path("in").join(OsStr::from_bytes(name));
        fs::write(path, jpeg(60, 60, u32::try_from(at).unwrap())).unwrap();
        let bad = [b"bad-", name].concat();
        fs::write(
            sandbox.path("in").join(OsStr::from_bytes(&bad)),
            b"no picture",
        )
        .unwrap();
    }
    let output = sandbox.once();
    let console = String::from_utf8(output.stderr).unwrap();
    for text in [sandbox.log(), console] {
        let mut messages = Vec::new();
        for line in text.lines() {
            let object: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            for key in ["timestamp", "level", "message", "threadName"] {
                assert!(object[key].is_string(), "no {key} in {line}");
            }
            messages.push(object["message"].as_str().unwrap().to_owned());
            let time = object["timestamp"].as_str().unwrap();
            assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
            if object["message"] == "batch" {
                assert!(
                    object["wall_ms"].is_f64() && object["decode"].is_string(),
                    "{line}"
                );
            }
            if object["message"] == "processed" || object["message"] == "failed" {
                assert!(object["path"].as_str().unwrap().contains("/in/"), "{line}");
            }
        }
        for (message, count) in [("processed", 4), ("failed", 4), ("batch", 1), ("ended", 1)] {
            let found = messages.iter().filter(|found| *found == message).count();
            assert_eq!(found, count, "{message}: {text}");
        }
    }
}

#[test]
fn the_log_stays_below_its_total_and_ends_with_the_end() {
    let mut sandbox = sandbox("console: false, level: trace, max_total: 64KiB");
    sandbox.write("log/watermarkd-of-another.log", &b"x".repeat(100_000));
    for picture in 0..600 {
        sandbox.write(
            &format!("in/a-rather-long-name-{picture:04}.jpg"),
            &jpeg(16, 16, picture),
        );
    }
    sandbox.start_without_waiting();
    let mut largest = 0;
    sandbox.wait_for("all pictures", |sandbox| {
        largest = largest.max(log_size(sandbox));
        sandbox.names("out").len() == 600
    });
    sandbox.stop();
    let own = log_size(&sandbox) - 100_000;
    assert!(own <= 64 << 10, "{own} bytes");
    assert!(largest <= 100_000 + (64 << 10), "{largest} bytes once");
    let names = sandbox.names("log");
    assert!(names.len() > 4, "{names:?}");
    let current = names
        .iter()
        .find(|name| name.starts_with("watermarkd.") && !name.contains('_'));
    let current = fs::read_to_string(sandbox.path("log").join(current.unwrap())).unwrap();
    assert!(
        current.contains("older log files were removed"),
        "{current}"
    );
    assert!(
        current.lines().last().unwrap().contains("ended"),
        "{current}"
    );
}

#[test]
fn a_flood_of_bad_files_is_folded_and_counted() {
    let sandbox = sandbox("console: true");
    for file in 0..350 {
        sandbox.write(&format!("in/bad-{file}.jpg"), b"this is no picture at all");
    }
    for picture in 0..120 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(16, 16, picture));
    }
    sandbox.once_expecting(120, 350);
    assert_eq!(sandbox.lines("bad-").len(), 100, "{}", sandbox.tail());
    let folded = sandbox.lines("more like this");
    assert_eq!(folded.len(), 1, "{folded:?}");
    for part in ["ERROR", "and 250 more like this", "like=failed", "step="] {
        assert!(folded[0].contains(part), "{part} is not in {}", folded[0]);
    }
    assert_eq!(sandbox.lines("processed").len(), 120);
}

#[test]
#[ignore = "takes a minute"]
fn what_was_folded_is_told_while_the_daemon_runs() {
    let mut sandbox = Sandbox::new();
    for file in 0..150 {
        sandbox.write(&format!("in/bad-{file}.jpg"), b"this is no picture at all");
    }
    sandbox.start();
    let began = std::time::Instant::now();
    while sandbox
        .lines("and 50 more like this in the last 60 s")
        .is_empty()
    {
        assert!(began.elapsed().as_secs() < 70, "{}", sandbox.tail());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(began.elapsed().as_secs() > 50, "too early");
    sandbox.stop();
    assert_eq!(sandbox.lines("more like this").len(), 1);
}

#[test]
fn a_log_that_was_moved_is_begun_anew() {
    let mut sandbox = sandbox("console: false, rotation: never");
    sandbox.start();
    let (log, moved) = (sandbox.path("log/watermarkd.log"), sandbox.path("moved"));
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    fs::rename(&log, &moved).unwrap();
    sandbox.signal(Signal::HUP);
    sandbox.wait_for("a new file", |_| {
        read(&log).contains("configuration reloaded")
    });
    assert!(read(&moved).contains(" ready ") && !read(&moved).contains("reloaded"));

    // Without a signal: the next line that comes a second after the last look.
    let moved = sandbox.path("moved-2");
    fs::rename(&log, &moved).unwrap();
    sandbox.wait_for("a new file", |sandbox| {
        sandbox.signal(Signal::USR1);
        read(&log).contains("since start")
    });
    sandbox.stop();
    assert!(read(&log).lines().last().unwrap().contains("ended"));
    assert!(read(&moved).contains("configuration reloaded"));
}

#[test]
fn logrotate_loses_no_line() {
    let mut sandbox = sandbox("console: false, rotation: never, format: json");
    sandbox.start_without_waiting();
    sandbox.wait_for_line(&["\"ready\""]);
    let config = format!(
        "{} {{\n su root root\n rotate 99\n missingok\n nocreate\n postrotate\n kill -HUP {}\n endscript\n}}\n",
        sandbox.path("log/watermarkd.log").display(),
        sandbox.pid()
    );
    sandbox.write("logrotate.conf", config.as_bytes());
    for round in 0..10 {
        for picture in 0..10 {
            let name = format!("in/{round}-{picture}.jpg");
            sandbox.rename_in(&name, &jpeg(16, 16, picture));
        }
        let state = sandbox.path("logrotate.state");
        let rotated = Command::new("/usr/sbin/logrotate")
            .args(["-f", "-s"])
            .args([state, sandbox.path("logrotate.conf")])
            .output();
        let Ok(rotated) = rotated else {
            skip("logrotate is missing");
            return;
        };
        assert!(rotated.status.success(), "{rotated:?}");
    }
    sandbox.wait_for("all pictures", |sandbox| sandbox.names("out").len() == 100);
    sandbox.stop();
    assert!(sandbox.names("log").len() > 5, "{:?}", sandbox.names("log"));
    let mut processed: Vec<String> = Vec::new();
    for line in sandbox.log().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        if record["message"] == "processed" {
            processed.push(record["path"].as_str().unwrap().to_owned());
        }
    }
    processed.sort();
    processed.dedup();
    assert_eq!(processed.len(), 100, "{processed:?}");
    assert_eq!(sandbox.log().matches("\"processed\"").count(), 100);
}

#[test]
fn a_full_log_disk_holds_nothing_up_and_what_was_lost_is_counted() {
    let mut sandbox = sandbox("console: false, max_total: 1MiB");
    let point = sandbox.path("log");
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &point) else {
        return;
    };
    sandbox.start();
    let before = sandbox.log();
    let filler = sandbox.path("filler-of-the-disk");
    std::os::unix::fs::symlink(point.join("filler"), &filler).unwrap();
    // The last page of the log itself has room left: the daemon fills that, too.
    fs::write(&filler, b"x".repeat(64 << 10)).unwrap_err();
    for picture in 0..60 {
        let name = format!("in/{}{picture}.jpg", "long-".repeat(20));
        sandbox.rename_in(&name, &jpeg(16, 16, picture));
    }
    let console = |sandbox: &Sandbox| fs::read_to_string(sandbox.path("console")).unwrap();
    sandbox.wait_for("all pictures", |sandbox| sandbox.names("out").len() == 60);
    sandbox.wait_for("lines on the console", |sandbox| {
        console(sandbox).contains("cannot write to the log, lines are missing there")
            && console(sandbox).contains("processed")
    });
    fs::remove_file(point.join("filler")).unwrap();
    sandbox.rename_in("in/last.jpg", &jpeg(16, 16, 99));
    sandbox.wait_for_line(&["processed", "last.jpg"]);
    sandbox.stop();
    let log = sandbox.log();
    let console = console(&sandbox);
    assert!(log.starts_with(&before));
    let told: usize = log
        .lines()
        .filter(|line| line.contains("log lines before this one could not be written"))
        .map(|line| {
            line.split_whitespace()
                .nth(3)
                .unwrap()
                .parse::<usize>()
                .unwrap()
        })
        .sum();
    let shown = console
        .lines()
        .filter(|line| !line.contains("cannot write to the log"))
        .count();
    assert_eq!(told, shown, "{log}\n---\n{console}");
    let processed = |text: &str| text.matches(" processed ").count();
    assert_eq!(
        processed(&log) + processed(&console),
        61,
        "{log}\n---\n{console}"
    );
    assert!(log.lines().all(|line| line.starts_with("20")), "{log}");
}
