//! The commands that ask the ledger, and those that change it, beside a daemon and without one.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;

use super::{
    pictures::{jpeg, png, size},
    sandbox::{COMMON, Sandbox, Small, skip},
};

const NO_PICTURE: &[u8] = b"\xff\xd8 this is no picture";

/// Runs a command and returns its exit code and all that it told.
pub fn run(sandbox: &Sandbox, arguments: &[&str]) -> (Option<i32>, String) {
    let output = sandbox.command(arguments).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let (code, told) = run(sandbox, &[arguments, &["--json"]].concat());
    let found: Value = serde_json::from_str(&told).unwrap();
    let needs = |what: &Value| what.as_array().is_some_and(|what| !what.is_empty());
    let expected = match arguments[0] {
        "status" if found["daemon"]["running"] == false => 3,
        "status" if needs(&found["attention"]) => 4,
        _ => 0,
    };
    assert_eq!(code, Some(expected), "{told}");
    found
}

/// Runs a command that is to take up so many files.
fn ask_for(sandbox: &Sandbox, arguments: &[&str], told: &str) {
    let (code, found) = run(sandbox, arguments);
    assert_eq!((code, found.as_str()), (Some(0), told), "{arguments:?}");
}

fn ledger(sandbox: &Sandbox) -> Connection {
    let connection = Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

/// Nothing can be published to an output that is a file.
fn unplug(sandbox: &Sandbox, output: &str) {
    fs::rename(sandbox.path(output), sandbox.path("away")).unwrap();
    sandbox.write(output, b"");
}

fn set_age(path: &Path, age: i64) {
    let now = SystemTime::now();
    let age_of = Duration::from_secs(age.unsigned_abs());
    let modified = if age < 0 { now + age_of } else { now - age_of };
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(modified))
        .unwrap();
}

/// Asserts a file's fate, and that the text has the parts. `--nocapture` shows the texts.
fn assert_fate(sandbox: &Sandbox, file: &str, fate: &str, parts: &[&str]) {
    let found = json(sandbox, &["explain", file]);
    assert_eq!(found["fate"], fate, "{file}: {found:#}");
    let (code, told) = run(sandbox, &["explain", file]);
    let path = sandbox.path("").canonicalize().unwrap().join(file);
    let first = format!("{}: {fate}\n", path.display());
    assert_eq!(code, Some(0), "{told}");
    eprint!("{told}");
    assert!(told.starts_with(&first), "{first}\n{told}");
    for part in parts {
        assert!(told.contains(part), "{file}: {part} is not in {told}");
    }
    for part in ["reason: ", "next: ", "daemon: "] {
        // Of a folder the files are explained too.
        let count = told.matches(part).count();
        assert!(count == 1 || count > 1 && path.is_dir(), "{told}");
    }
}

#[expect(clippy::too_many_lines, reason = "one file of each fate, side by side")]
#[test]
fn every_file_has_one_fate_that_can_be_asked_for() {
    let mut sandbox = Sandbox::with(
        "folders:\n\
         - {input: in, output: out, ignore: ['raw-*', '*-draft.*']}\n\
         - {input: two, recursive: true}\n\
         retry: {first: 10m, max: 10m}\n",
    );
    fs::create_dir(sandbox.path("two")).unwrap();
    for name in ["in/done.jpg", "in/changed.jpg", "in/stale.jpg"] {
        sandbox.write(name, &jpeg(90, 60, 1));
        set_age(&sandbox.path(name), 100);
    }
    sandbox.write("in/failed.jpg", NO_PICTURE);
    set_age(&sandbox.path("in/failed.jpg"), 100);
    let not_running = "daemon: not running";
    assert_fate(
        &sandbox,
        "in/done.jpg",
        "unseen",
        &["last changed", "when the daemon runs", not_running],
    );
    assert!(!sandbox.path("state").exists(), "explain leaves no traces");
    sandbox.once_expecting(3, 1);

    sandbox.write("elsewhere/a.jpg", b"");
    assert_fate(
        &sandbox,
        "elsewhere/a.jpg",
        "outside",
        &["none of the folders", "never"],
    );
    assert_fate(&sandbox, "out/done.jpg", "outside", &["in the output of"]);

    for (name, rule, part) in [
        ("in/.a.jpg", "built-in", "own name: .*"),
        ("in/a.part/a.jpg", "subfolder", "not recursive"),
        ("two/a.part/a.jpg", "built-in", "own name: *.part"),
        ("in/a-draft.jpg", "glob", "`ignore`: *-draft.*"),
        ("in/a.gif", "extension", "not a .jpg"),
        ("in/sub/a.jpg", "subfolder", "`recursive`"),
        ("two/output/a.jpg", "output", "in the output"),
    ] {
        sandbox.write(name, b"x");
        assert_fate(&sandbox, name, "ignored", &[part]);
        assert_eq!(json(&sandbox, &["explain", name])["rule"], rule);
    }
    std::os::unix::fs::symlink("done.jpg", sandbox.path("in/link.jpg")).unwrap();
    assert_fate(&sandbox, "in/link.jpg", "ignored", &["symbolic link"]);
    std::os::unix::fs::symlink("../elsewhere", sandbox.path("two/away")).unwrap();
    let found = json(&sandbox, &["explain", "two/away/a.jpg"]);
    assert_eq!(
        (&found["fate"], &found["rule"]),
        (&"ignored".into(), &"link".into()),
        "{found:#}"
    );
    sandbox.fifo("in/fifo.jpg");
    assert_fate(&sandbox, "in/fifo.jpg", "ignored", &["no regular file"]);
    fs::create_dir(sandbox.path("two/inner")).unwrap();
    for (name, part) in [
        ("in/sub", "it is a folder, and what is in it is ignored: "),
        ("two/inner", "it is a folder, whose pictures are watched"),
        ("two/output", "is ignored: lies in the output"),
    ] {
        assert_fate(&sandbox, name, "ignored", &[part]);
        assert_eq!(json(&sandbox, &["explain", name])["rule"], "not a file");
    }

    assert_fate(&sandbox, "in/gone.jpg", "missing", &["no such file"]);
    sandbox.write("in/new.jpg", &jpeg(90, 60, 2));
    set_age(&sandbox.path("in/new.jpg"), -3600);
    assert_fate(
        &sandbox,
        "in/new.jpg",
        "settling",
        &["left alone for 300 ms", not_running],
    );
    fs::remove_file(sandbox.path("in/new.jpg")).unwrap();

    let done = [
        "to ",
        "out/done.jpg",
        "by the present recipe",
        "nothing until it changes",
    ];
    assert_fate(&sandbox, "in/done.jpg", "done", &done);
    fs::remove_file(sandbox.path("out/stale.jpg")).unwrap();
    assert_fate(
        &sandbox,
        "in/stale.jpg",
        "done",
        &["no longer is", "watermarkd reprocess /"],
    );
    assert_fate(
        &sandbox,
        "in/failed.jpg",
        "failed",
        &["decode: ", "watermarkd retry /"],
    );
    ask_for(
        &sandbox,
        &["retry", "in/failed.jpg"],
        "1 file will be tried again when the daemon runs\n",
    );
    assert_fate(
        &sandbox,
        "in/failed.jpg",
        "queued",
        &["processed again", "when the daemon runs"],
    );
    sandbox.write("in/changed.jpg", &jpeg(96, 60, 3));
    set_age(&sandbox.path("in/changed.jpg"), 50);
    assert_fate(
        &sandbox,
        "in/changed.jpg",
        "changed",
        &["was done at", "changed since"],
    );
    fs::remove_file(sandbox.path("in/changed.jpg")).unwrap();
    assert_fate(
        &sandbox,
        "in/changed.jpg",
        "missing",
        &["it was done at", "gone since"],
    );

    sandbox.start();
    unplug(&sandbox, "out");
    sandbox.write("in/waiting.jpg", &jpeg(90, 60, 4));
    sandbox.wait_for("the first try", |sandbox| {
        json(sandbox, &["explain", "in/waiting.jpg"])["fate"] == "waiting"
    });
    let running = format!("daemon: running, pid {}, since ", sandbox.pid());
    assert_fate(
        &sandbox,
        "in/waiting.jpg",
        "waiting",
        &[
            "output: ",
            "once the output is back",
            "(in 9 min)",
            &running,
        ],
    );
    assert_fate(&sandbox, "in/done.jpg", "done", &["no longer is", &running]);
    let claim = "UPDATE file SET state = 'claimed', crashes = 1 WHERE path = 'waiting.jpg'";
    assert_eq!(ledger(&sandbox).execute(claim, []).unwrap(), 1);
    assert_fate(
        &sandbox,
        "in/waiting.jpg",
        "in progress",
        &["a worker took it at", "a process died"],
    );
    // What is in progress stays with the daemon.
    for command in ["retry", "reprocess"] {
        let told = "in/waiting.jpg: it is in progress right now\n0 files will be tried again\n";
        ask_for(&sandbox, &[command, "in/waiting.jpg"], told);
    }
    sandbox.kill();
    assert_fate(
        &sandbox,
        "in/waiting.jpg",
        "queued",
        &["when the daemon ended", not_running],
    );
}

#[test]
fn a_file_on_its_way_has_a_fate_at_every_moment() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out}]\nworkers: 1\n");
    let common = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let config = common.replacen("workers: 2\n", "", 1);
    sandbox.write("config.yaml", config.as_bytes());
    sandbox.start();
    let running = format!("daemon: running, pid {}, since ", sandbox.pid());
    let wait_for = |file: &str, fate: &str| {
        sandbox.wait_for(fate, |sandbox| {
            json(sandbox, &["explain", file])["fate"] == fate
        });
    };

    // One that takes a while, and others behind it.
    let large = flat_png(12_000, 8_000);
    for name in ["in/large.png", "in/another.png"] {
        sandbox.rename_in(name, &large);
    }
    wait_for("in/large.png", "in progress");
    // It stays so for as long as it takes to ask.
    sandbox.signal(Signal::STOP);
    assert_fate(
        &sandbox,
        "in/large.png",
        "in progress",
        &["a worker took it at", "within moments", &running],
    );
    sandbox.write("in/just-now.jpg", &jpeg(90, 60, 5));
    set_age(&sandbox.path("in/just-now.jpg"), -60);
    assert_fate(
        &sandbox,
        "in/just-now.jpg",
        "settling",
        &["left alone for 300 ms", "unless it changes", &running],
    );
    sandbox.write("in/behind.jpg", &jpeg(90, 60, 6));
    set_age(&sandbox.path("in/behind.jpg"), 60);
    assert_fate(
        &sandbox,
        "in/behind.jpg",
        "unseen",
        &["not been tried yet", "in its turn", "rescan", &running],
    );
    sandbox.signal(Signal::CONT);
    for name in ["large.png", "another.png", "just-now.jpg", "behind.jpg"] {
        wait_for(&format!("in/{name}"), "done");
    }

    // A picture that breaks off waits for its writer.
    let whole = jpeg(90, 60, 7);
    sandbox.write("in/half.jpg", &whole[..whole.len() / 2]);
    wait_for("in/half.jpg", "queued");
    assert_fate(
        &sandbox,
        "in/half.jpg",
        "queued",
        &[
            "it was not complete at",
            "decode: ",
            "when it changes",
            &running,
        ],
    );
    sandbox.write("in/half.jpg", &whole);
    wait_for("in/half.jpg", "done");
    sandbox.stop();
}

/// A large picture that is quickly made.
fn flat_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(width, height)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A daemon that leaves files alone for so long that nothing is taken up for its age.
fn slow(folders: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let common = COMMON.replace("settle: 300ms", "settle: 1h");
    sandbox.write(
        "config.yaml",
        format!("{common}watermark: {{npy_path: mark.npy, output_height: 48, quality: 80}}\n{folders}retry: {{first: 10m, max: 10m}}\n")
            .as_bytes(),
    );
    sandbox
}

/// Runs a command beside the daemon, after which the picture must come within two seconds.
fn comes_within_two_seconds(sandbox: &Sandbox, arguments: &[&str], output: &str) {
    let started = Instant::now();
    ask_for(sandbox, arguments, "1 file will be tried again now\n");
    sandbox.wait_for(output, |sandbox| sandbox.path(output).exists());
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_running_daemon_takes_up_what_is_asked_for() {
    let mut sandbox = slow("folders: [{input: in, output: out}, {input: two, output: out2}]\n");
    fs::create_dir(sandbox.path("two")).unwrap();
    sandbox.start();
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.write("in/b.jpg", &jpeg(90, 60, 2));
    sandbox.write("in/bad.jpg", NO_PICTURE);
    sandbox.write("two/c.png", &png(90, 60, 3));
    for name in ["out/a.jpg", "out/b.jpg", "out2/c.png"] {
        sandbox.wait_for_picture(name);
    }
    sandbox.wait_for_line(&["bad.jpg", "failed"]);
    let is_done = |sandbox: &Sandbox, file: &str| {
        sandbox.wait_for(file, |sandbox| {
            json(sandbox, &["explain", file])["fate"] == "done"
        });
    };
    for name in ["in/a.jpg", "in/b.jpg", "two/c.png"] {
        is_done(&sandbox, name);
    }

    fs::remove_file(sandbox.path("out/a.jpg")).unwrap();
    fs::remove_file(sandbox.path("out/b.jpg")).unwrap();
    comes_within_two_seconds(&sandbox, &["reprocess", "in/a.jpg"], "out/a.jpg");
    // Twice in a row: the bell rings every time.
    is_done(&sandbox, "in/a.jpg");
    fs::remove_file(sandbox.path("out/a.jpg")).unwrap();
    comes_within_two_seconds(&sandbox, &["reprocess", "in/a.jpg"], "out/a.jpg");
    assert!(!sandbox.path("out/b.jpg").exists(), "nobody asked for it");

    ask_for(
        &sandbox,
        &["retry", "--failed"],
        "1 file will be tried again now\n",
    );
    sandbox.wait_for("the second failure", |sandbox| {
        sandbox
            .lines("bad.jpg")
            .iter()
            .filter(|line| line.contains("failed"))
            .count()
            == 2
    });
    let refused =
        "watermarkd: in/a.jpg: it is done; `watermarkd reprocess in/a.jpg` makes it again\n";
    is_done(&sandbox, "in/a.jpg");
    let (code, told) = run(&sandbox, &["retry", "in/a.jpg"]);
    assert!(code == Some(1) && told.contains(refused), "{told}");

    // One that waits for ten minutes, beside another that was not asked for.
    for name in ["d", "e"] {
        sandbox.write(&format!("out2/{name}.jpg/taken"), b"");
        sandbox.write(&format!("two/{name}.jpg"), &jpeg(90, 60, 4));
        sandbox.wait_for_line(&[&format!("two/{name}.jpg"), "failed for now"]);
        fs::remove_dir_all(sandbox.path(format!("out2/{name}.jpg"))).unwrap();
    }
    comes_within_two_seconds(&sandbox, &["retry", "two/d.jpg"], "out2/d.jpg");
    is_done(&sandbox, "two/d.jpg");
    assert!(!sandbox.path("out2/e.jpg").exists(), "nobody asked for it");
    let waits = json(&sandbox, &["explain", "two/e.jpg"]);
    assert_eq!(
        (&waits["fate"], &waits["tries"]),
        (&"waiting".into(), &1.into()),
        "{waits:#}"
    );
    sandbox.stop();
}

#[test]
fn what_is_asked_for_without_a_daemon_is_taken_up_by_the_next_one() {
    let sandbox = Sandbox::new();
    let (code, told) = run(&sandbox, &["retry", "in/a.jpg"]);
    assert!(code == Some(1) && told.contains("no ledger"), "{told}");
    assert!(!sandbox.path("state").exists());
    assert_eq!(run(&sandbox, &["retry"]).0, Some(2));

    for number in 0..3 {
        sandbox.write(&format!("in/{number}.jpg"), &jpeg(90, 60, number));
    }
    sandbox.write("in/bad.jpg", NO_PICTURE);
    sandbox.once_expecting(3, 1);
    sandbox.once_expecting(0, 0);
    let when = "will be tried again when the daemon runs\n";
    ask_for(&sandbox, &["retry", "--failed"], &format!("1 file {when}"));
    sandbox.once_expecting(0, 1);
    ask_for(&sandbox, &["reprocess"], "0 files will be tried again\n");

    // Another recipe: what failed may go through now, too.
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    sandbox.write(
        "config.yaml",
        config
            .replace("output_height: 48", "output_height: 24")
            .as_bytes(),
    );
    assert_eq!(json(&sandbox, &["status"])["folders"][0]["stale"], 4);
    assert_fate(
        &sandbox,
        "in/0.jpg",
        "done",
        &["another recipe", "watermarkd reprocess"],
    );
    sandbox.once_expecting(0, 0);
    fs::remove_file(sandbox.path("in/2.jpg")).unwrap();
    let left = "left out: 1 that are gone, have changed or are in progress\n";
    let (code, told) = run(&sandbox, &["reprocess"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("--all makes them again"), "{told}");
    let (code, told) = run(&sandbox, &["reprocess", "--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("3 files would be tried again"), "{told}");
    ask_for(
        &sandbox,
        &["reprocess", "--all"],
        &format!("{left}3 files {when}"),
    );
    sandbox.once_expecting(2, 1);
    assert_eq!(
        size(&fs::read(sandbox.path("out/1.jpg")).unwrap()),
        (36, 24)
    );
    assert_eq!(json(&sandbox, &["status"])["folders"][0]["stale"], 1);
    let (code, told) = run(&sandbox, &["reprocess", "in/2.jpg", "in/1.jpg"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("in/2.jpg: there is no such file any more"),
        "{told}"
    );
    assert!(told.contains(&format!("1 file {when}")), "{told}");
}

#[test]
fn a_source_that_has_left_cannot_be_made_again() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out, after: delete}]\n");
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.once_expecting(1, 0);
    sandbox.wait_for("the source to leave", |sandbox| {
        sandbox.names("in").is_empty()
    });
    assert_fate(
        &sandbox,
        "in/a.jpg",
        "missing",
        &["it was done at", "deleted"],
    );
    let (code, told) = run(&sandbox, &["reprocess", "in/a.jpg"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("it has left the folder"), "{told}");
}

#[test]
fn a_source_that_was_moved_can_be_found() {
    let config = "folders: [{input: in, output: out, recursive: true, after: {move_to: done}}]\n";
    let sandbox = Sandbox::with(config);
    sandbox.write("in/sub/a.jpg", &jpeg(90, 60, 1));
    sandbox.once_expecting(1, 0);
    sandbox.wait_for_picture("done/sub/a.jpg");
    assert_fate(
        &sandbox,
        "in/sub/a.jpg",
        "missing",
        &["moved to ", "/done/sub/a.jpg, or with a number"],
    );
}

#[test]
fn names_are_told_in_one_line() {
    let sandbox = Sandbox::new();
    let (name, shown) = ("bad\n\u{1b}[31m.jpg", r"bad\n\u{1b}[31m.jpg");
    let file = format!("in/{name}");
    sandbox.write(&file, NO_PICTURE);
    sandbox.once_expecting(0, 1);
    for arguments in [
        &["status"][..],
        &["explain", &file],
        &["retry", &file],
        &["reprocess", &file],
        &["preview", &file, "-o", "out.jpg"],
        &["retry", &file, "in/no\n\u{1b}.jpg"],
    ] {
        let (_, told) = run(&sandbox, arguments);
        assert!(
            !told.contains('\u{1b}') && !told.contains("bad\n"),
            "{told}"
        );
        let named = told.contains(shown) || arguments[0] == "retry" && arguments.len() == 2;
        assert!(named, "{arguments:?}: {told}");
    }
    let found = json(&sandbox, &["explain", &file]);
    assert!(found["file"].as_str().unwrap().ends_with(name), "{found:#}");
    // What is to be typed is taken by a shell as it is.
    let quoted = r"/in/bad\x0a\x1b[31m.jpg'";
    assert_fate_of_name(&sandbox, &file, quoted);
}

/// The command that `explain` gives names the file in quotes.
fn assert_fate_of_name(sandbox: &Sandbox, file: &str, quoted: &str) {
    sandbox.once_expecting(0, 1);
    let found = json(sandbox, &["explain", file]);
    let next = found["next"].as_str().unwrap();
    assert!(
        next.contains("watermarkd retry $'/") && next.contains(quoted),
        "{next}"
    );
}

#[test]
fn a_start_that_fails_tells_why_even_without_a_console() {
    let mut sandbox = Sandbox::new();
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let config = config.replace("console: true", "console: false");
    sandbox.write("config.yaml", config.as_bytes());
    sandbox.start();
    for arguments in [&["run"][..], &["run", "--once"]] {
        let (code, told) = run(&sandbox, arguments);
        let pid = format!("is in use by another watermarkd, pid {}, ", sandbox.pid());
        assert!(code == Some(1) && told.contains(&pid), "{told}");
        let with = format!(
            "with configuration {}; ",
            sandbox.path("config.yaml").display()
        );
        assert!(
            told.contains(&with) && told.ends_with("another file as `ledger`\n"),
            "{told}"
        );
        assert!(told.starts_with("watermarkd: ledger "), "{told}");
    }
    assert_eq!(
        sandbox.log().matches(" starting ").count(),
        1,
        "the log belongs to the first"
    );
    sandbox.stop();

    let ledger = sandbox.path("state/ledger.sqlite");
    fs::remove_file(&ledger).unwrap();
    fs::create_dir(&ledger).unwrap();
    let (code, told) = run(&sandbox, &["run"]);
    assert_eq!(code, Some(78), "{told}");
    assert_eq!(told.matches("is a folder").count(), 1, "{told}");
    fs::remove_dir(&ledger).unwrap();

    fs::remove_dir(sandbox.path("in")).unwrap();
    let (code, told) = run(&sandbox, &["run", "--once"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("the log in ") && told.contains("tells why"),
        "{told}"
    );
}

#[test]
fn a_ledger_that_cannot_be_written_is_told_of() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out}]\nretry: {first: 200ms, max: 400ms}\n");
    let Some(_small) = Small::mount(sandbox.path("state"), "size=4m") else {
        return;
    };
    sandbox.start();
    assert_eq!(json(&sandbox, &["status"])["ledger_trouble"], Value::Null);
    let mut filler = File::create(sandbox.path("state/filler")).unwrap();
    while filler.write_all(&[7; 4096]).is_ok() {}
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    set_age(&sandbox.path("in/a.jpg"), 100);
    let is_full = |sandbox: &Sandbox, trouble: &str| {
        for arguments in [&["status"][..], &["explain", "in/a.jpg"]] {
            let found = json(sandbox, arguments)["ledger_trouble"].clone();
            assert!(found.as_str().unwrap().contains(trouble), "{found}");
            let (_, told) = run(sandbox, arguments);
            assert!(
                told.contains("ledger trouble: the file system of "),
                "{told}"
            );
        }
    };
    is_full(&sandbox, "is full: ");
    let found = json(&sandbox, &["explain", "in/a.jpg"]);
    assert_eq!(found["next"], "once the ledger can be written", "{found:#}");
    drop(filler);
    fs::remove_file(sandbox.path("state/filler")).unwrap();
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.stop();

    let mut remount = Command::new("mount");
    remount.args([OsStr::new("-o"), OsStr::new("remount,ro")]);
    assert!(
        remount
            .arg(sandbox.path("state"))
            .status()
            .unwrap()
            .success()
    );
    is_full(&sandbox, "is read-only");
}

#[test]
fn a_copy_of_the_ledger_can_be_put_back() {
    let mut sandbox = Sandbox::new();
    let done = |sandbox: &Sandbox| json(sandbox, &["status"])["folders"][0]["done"].clone();
    sandbox.start();
    for number in 0..20 {
        sandbox.rename_in(&format!("in/{number}.jpg"), &jpeg(90, 60, number));
    }
    sandbox.wait_for("20 pictures", |sandbox| done(sandbox) == 20);
    // As docs/operations.md says, beside the running daemon.
    let copied = Command::new("sqlite3")
        .current_dir(sandbox.path(""))
        .args(["state/ledger.sqlite", ".backup copy.sqlite"])
        .output();
    let Ok(copied) = copied else {
        skip("sqlite3 is missing");
        return;
    };
    assert!(copied.status.success(), "{copied:?}");
    for number in 20..25 {
        sandbox.rename_in(&format!("in/{number}.jpg"), &jpeg(90, 60, number));
    }
    sandbox.wait_for("25 pictures", |sandbox| done(sandbox) == 25);
    sandbox.stop();

    let ledger = sandbox.path("state/ledger.sqlite");
    assert!(
        !sandbox.path("state/ledger.sqlite-wal").exists(),
        "the ledger of a stopped daemon is one file"
    );
    fs::copy(sandbox.path("copy.sqlite"), &ledger).unwrap();
    // What the copy does not know is made once more.
    sandbox.once_expecting(5, 0);
    fs::remove_file(&ledger).unwrap();
    sandbox.once_expecting(25, 0);
}

#[test]
fn status_counts_what_the_ledger_knows() {
    let mut sandbox = Sandbox::with(
        "folders: [{input: in, output: out}, {input: two, output: out2}]\n\
         retry: {first: 10m, max: 10m}\n",
    );
    fs::create_dir(sandbox.path("two")).unwrap();
    let found = json(&sandbox, &["status"]);
    assert_eq!(found["daemon"]["running"], false);
    assert_eq!(found["ledger"]["bytes"], Value::Null);
    assert!(!sandbox.path("state").exists(), "status leaves no traces");

    sandbox.start();
    for number in 0..12 {
        sandbox.write(&format!("in/bad {number}.jpg"), NO_PICTURE);
    }
    sandbox.write("two/a.jpg", &jpeg(90, 60, 1));
    sandbox.wait_for_picture("out2/a.jpg");
    let count = |sandbox: &Sandbox, folder: usize, what: &str| {
        json(sandbox, &["status"])["folders"][folder][what].clone()
    };
    sandbox.wait_for("all fates", |sandbox| {
        count(sandbox, 0, "failed") == 12 && count(sandbox, 1, "done") == 1
    });
    unplug(&sandbox, "out2");
    sandbox.write("two/b.jpg", &jpeg(90, 60, 2));
    sandbox.wait_for("the wait", |sandbox| count(sandbox, 1, "waiting") == 1);

    let found = json(&sandbox, &["status"]);
    assert_eq!(found["daemon"]["running"], true);
    assert_eq!(found["daemon"]["pid"], sandbox.pid());
    assert!(found["ledger"]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(found["failures"].as_array().unwrap().len(), 10, "{found:#}");
    assert_eq!(found["failures"][0]["step"], "decode");
    let two = &found["folders"][1];
    assert!(
        two["last_done"]["output"]
            .as_str()
            .unwrap()
            .ends_with("out2/a.jpg"),
        "{two:#}"
    );
    assert!(
        two["next_try"]["file"]
            .as_str()
            .unwrap()
            .ends_with("two/b.jpg"),
        "{two:#}"
    );
    assert!(
        two["output_held_up"].is_string() && found["folders"][0]["output_held_up"].is_null(),
        "{found:#}"
    );
    let text = run(&sandbox, &["status"]).1;
    let pid = format!("daemon: running, pid {}", sandbox.pid());
    for part in [
        pid.as_str(),
        "0 done, 12 failed",
        "1 done, 0 failed, 1 waiting",
        "pictures wait for it",
        "recent failures",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }

    // A folder that is offline does not keep the answer back.
    fs::rename(sandbox.path("two"), sandbox.path("unplugged")).unwrap();
    assert_eq!(run(&sandbox, &["check"]).0, Some(78));
    let found = json(&sandbox, &["status"]);
    assert_eq!(found["folders"][1]["done"], 1);
    assert_eq!(found["folders"][0]["input_offline"], Value::Null);
    let cause = found["folders"][1]["input_offline"].as_str().unwrap();
    assert!(cause.contains("No such file"), "{cause}");
    let text = run(&sandbox, &["status"]).1;
    for part in [
        "  offline: No such file",
        "next try: once the folder is back",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_fate(
        &sandbox,
        "two/a.jpg",
        "missing",
        &[
            "two is offline: No such file",
            "was done at",
            "when the folder is back",
        ],
    );
    assert_fate(
        &sandbox,
        "two/new.jpg",
        "missing",
        &["is offline", "no such file is known"],
    );
    let found = json(&sandbox, &["explain", "two/new.jpg"]);
    assert!(found["input_offline"].is_string(), "{found:#}");
    let (code, told) = run(&sandbox, &["reprocess", "two/a.jpg"]);
    assert!(
        code == Some(1) && told.contains("its folder cannot be read"),
        "{told}"
    );
    sandbox.stop();
    assert_eq!(json(&sandbox, &["status"])["daemon"]["running"], false);
    assert_eq!(run(&sandbox, &["status", "-c", "nowhere.yaml"]).0, Some(78));
}

#[test]
fn times_for_people_are_those_of_the_log() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jpg", &jpeg(90, 90, 1));
    let zone = "XYZ-3:45";
    let output = { sandbox.command(&["run", "--once"]) }
        .env("TZ", zone)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", sandbox.tail());
    let explain = |arguments: &[&str]| {
        let output = { sandbox.command(arguments) }.env("TZ", zone).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let told = explain(&["explain", "in/a.jpg"]);
    let log = sandbox.log();
    let line = log.lines().find(|line| line.contains("processed")).unwrap();
    // The same minute in the same spelling, unless it has just ended.
    let (_, offset) = line.split_at(19);
    assert!(offset.starts_with("+03:45"), "{line}");
    assert!(
        told.contains(&line[..14]) && told.contains("+03:45"),
        "{told}"
    );
    let told = explain(&["explain", "--json", "in/a.jpg"]);
    let found: Value = serde_json::from_str(&told).unwrap();
    assert!(found["since"].as_str().unwrap().ends_with('Z'), "{told}");
}
