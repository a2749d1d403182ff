#[cfg(unix)]
use std::os::unix::process::ExitStatusExt;
use std::{
    fs,
    time::{Duration, Instant},
};

use super::{
    pictures::{jpeg, size},
    sandbox::Sandbox,
};

#[test]
fn what_is_done_is_not_done_again_until_it_changes() {
    let sandbox = Sandbox::new();
    for picture in 0..5 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(90, 90, picture));
    }
    sandbox.once_expecting(5, 0);
    sandbox.once_expecting(0, 0);
    // A new recipe applies to what comes from now on.
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    sandbox.write(
        "config.yaml",
        config
            .replace("output_height: 48", "output_height: 24")
            .as_bytes(),
    );
    sandbox.once_expecting(0, 0);
    sandbox.write("in/1.jpg", &jpeg(120, 90, 77));
    let file = fs::File::options()
        .write(true)
        .open(sandbox.path("in/2.jpg"))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(1000))
        .unwrap();
    sandbox.once_expecting(2, 0);
    assert_eq!(
        size(&fs::read(sandbox.path("out/1.jpg")).unwrap()),
        (32, 24)
    );
    assert_eq!(
        size(&fs::read(sandbox.path("out/3.jpg")).unwrap()),
        (48, 48)
    );
}

/// Pictures that the ledger knows to be done.
fn done(sandbox: &Sandbox) -> u32 {
    let ledger = rusqlite::Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM file WHERE state = 'done'";
    ledger.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn killed_in_the_middle_five_times_nothing_is_lost() {
    // Again and again so many more, since a busy machine may leave the kill behind the last of them.
    const MORE: u32 = 40;
    // A suspect that was in progress at another death pauses for a minute, or as long as this.
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out}]\nretry: {first: 100ms, max: 200ms}\n");
    let visible = |sandbox: &Sandbox| {
        let names = sandbox.names("out").into_iter();
        names
            .filter(|name| !name.starts_with('.'))
            .collect::<Vec<_>>()
    };
    let (mut pictures, mut killed) = (0, 0);
    while killed < 5 {
        assert!(pictures < MORE * 50, "killed too late to prove anything");
        for picture in pictures..pictures + MORE {
            sandbox.write(&format!("in/{picture}.jpg"), &jpeg(500, 400, picture));
        }
        pictures += MORE;
        let before = visible(&sandbox).len();
        sandbox.start_without_waiting();
        sandbox.wait_for("some pictures", |sandbox| {
            visible(sandbox).len() > before + 3
        });
        sandbox.kill();
        let names = visible(&sandbox);
        killed += usize::from(names.len() < usize::try_from(pictures).unwrap());
        for name in names {
            size(&fs::read(sandbox.path("out").join(name)).unwrap());
        }
    }
    sandbox.start();
    sandbox.wait_for("all pictures", |sandbox| done(sandbox) == pictures);
    sandbox.stop();
    for picture in 0..pictures {
        size(&fs::read(sandbox.path(format!("out/{picture}.jpg"))).unwrap());
    }
    assert!(
        sandbox
            .names("out")
            .iter()
            .all(|name| !name.starts_with('.')),
        "leftovers"
    );
    sandbox.once_expecting(0, 0);
}

#[test]
fn a_retry_schedule_goes_on_after_a_restart() {
    let config = |retry: &str| {
        format!("folders: [{{input: in, output: out, recursive: true}}]\nretry: {{{retry}}}\n")
    };
    let mut sandbox = Sandbox::with(&config("first: 1h, max: 2h"));
    let tried = |sandbox: &Sandbox| {
        let told = |line: &String| line.contains("failed") || line.contains("processed");
        sandbox
            .lines("a.jpg")
            .iter()
            .filter(|line| told(line))
            .count()
    };
    let fail = |sandbox: &mut Sandbox, seed: u32| {
        if sandbox.path("out/sub").exists() {
            fs::remove_dir_all(sandbox.path("out/sub")).unwrap();
        }
        sandbox.start();
        // A file has the name of the subfolder that mirrors the picture's.
        sandbox.write("out/sub", b"in the way");
        sandbox.write("in/sub/a.jpg", &jpeg(60, 60, seed));
        sandbox.wait_for_line(&["WARN", "a.jpg", "publish", "it is no folder"]);
        fs::remove_file(sandbox.path("out/sub")).unwrap();
        sandbox.kill();
    };
    fs::create_dir(sandbox.path("in/sub")).unwrap();
    fail(&mut sandbox, 1);

    // Its hour has not passed: what comes later overtakes it.
    sandbox.start();
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/b.jpg");
    sandbox.write("in/c.jpg", &jpeg(60, 60, 3));
    sandbox.wait_for_picture("out/c.jpg");
    assert_eq!(tried(&sandbox), 0, "{}", sandbox.tail());
    // A file that changed starts afresh.
    sandbox.write("in/sub/a.jpg", &jpeg(70, 60, 4));
    sandbox.wait_for_picture("out/sub/a.jpg");
    sandbox.kill();

    // Its hour is longer than any wait that is configured now.
    fail(&mut sandbox, 5);
    sandbox.configure(&config("first: 100ms, max: 200ms"));
    sandbox.start();
    sandbox.wait_for_line(&["processed", "a.jpg"]);
    assert_eq!(tried(&sandbox), 1, "{}", sandbox.tail());
    sandbox.kill();

    // A single run is started to have everything tried.
    sandbox.configure(&config("first: 1h, max: 2h"));
    fail(&mut sandbox, 6);
    sandbox.once_expecting(1, 0);
}

/// The head of an interlaced PNG of 99 megapixels, 16 bits for each of four channels: 792 MB once
/// decoded. What follows its end makes it long enough to be believed.
#[cfg(unix)]
fn giant() -> Vec<u8> {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 10_000, 9_900);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_chunk(png::chunk::IDAT, &[0x78, 0x9c, 3, 0, 0, 0, 0, 1])
        .unwrap();
    drop(writer);
    png[28] = 1;
    let mut checksum = flate2::Crc::new();
    checksum.update(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    png.resize(1 << 20, 0);
    png
}

#[cfg(unix)]
#[test]
fn a_picture_that_kills_fails_and_costs_no_other_picture() {
    const LIMIT: u64 = 500_000;
    const INNOCENT: u32 = 20;
    let mut sandbox = Sandbox::with(
        "folders: [{input: in, output: out}]\nretry: {first: 100ms, max: 200ms}\nmax_pixels: 100000000\n",
    );
    for picture in 0..INNOCENT {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(300, 300, picture));
    }
    sandbox.write("in/poison.png", &giant());
    sandbox.start_limited(LIMIT);
    let status = sandbox.wait_for_end();
    assert_eq!(status.signal(), Some(6), "{status:?}\n{}", sandbox.tail());

    sandbox.start_limited(LIMIT);
    sandbox.wait_for_line(&[
        "ERROR",
        "poison.png",
        "failed",
        "3 processes died",
        "signal 6",
    ]);
    sandbox.write("in/later.jpg", &jpeg(300, 300, 77));
    sandbox.wait_for_picture("out/later.jpg");
    assert_eq!(sandbox.lines("ERROR").len(), 1, "{}", sandbox.tail());
    sandbox.stop();
    assert_eq!(sandbox.names("out").len(), 21);
    sandbox.once_expecting(0, 0);
}

#[test]
#[cfg_attr(windows, ignore = "in Wine the moments pass before a process stands")]
fn killed_at_any_moment_no_innocent_picture_fails() {
    const PICTURES: u32 = 120;
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out}]\nretry: {first: 100ms, max: 5s}\n");
    for picture in 0..PICTURES {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(800, 700, picture));
    }
    let mut moment = 12_345_u64;
    for _ in 0..40 {
        moment = moment
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let life = Duration::from_millis(310 + (moment >> 33) % 150);
        let end = Instant::now() + life;
        sandbox.start_without_waiting();
        sandbox.wait_for("a moment", |_| Instant::now() >= end);
        sandbox.kill();
    }
    sandbox.start();
    // A picture that is visible may still be a suspect, if it was killed before the ledger knew.
    sandbox.wait_for("all pictures", |sandbox| done(sandbox) == PICTURES);
    assert_eq!(sandbox.names("out").len(), 120);
    sandbox.stop();
    assert!(!sandbox.log().contains("ERROR"), "{}", sandbox.tail());
    let log = sandbox.log();
    let hit = |line: &&str| line.contains("suspects=") && !line.contains("suspects=0");
    let hits = log.lines().filter(hit).count();
    assert!(hits > 0, "no kill hit a picture");
    sandbox.once_expecting(0, 0);
}

#[test]
fn a_corrupt_ledger_is_moved_aside_and_begun_anew() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    let whole = fs::read(sandbox.path("state/ledger.sqlite")).unwrap();
    let torn = {
        let mut torn = whole.clone();
        torn[4096..].fill(0xaa);
        torn
    };
    let damages = [b"garbage".to_vec(), torn, whole[..4096].to_vec()];
    for (number, damaged) in damages.iter().enumerate() {
        sandbox.write("state/ledger.sqlite", damaged);
        let check = sandbox.command(&["check"]).output().unwrap();
        assert_eq!(check.status.code(), Some(1), "damage {number}: {check:?}");
        assert_eq!(
            fs::read(sandbox.path("state/ledger.sqlite")).unwrap(),
            *damaged
        );
        sandbox.once_expecting(1, 0);
        sandbox.once_expecting(0, 0);
        let aside = sandbox.names("state");
        let aside: Vec<_> = aside
            .iter()
            .filter(|name| {
                name.contains(".corrupt-") && !name.ends_with("-wal") && !name.ends_with("-shm")
            })
            .collect();
        assert_eq!(aside.len(), number + 1, "{:?}", sandbox.names("state"));
    }
    assert_eq!(sandbox.lines("begins anew").len(), 3, "{}", sandbox.tail());
}

#[test]
fn a_ledger_on_a_network_file_system_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("share")).unwrap();
    fs::create_dir(sandbox.path("nas")).unwrap();
    let mount = std::process::Command::new("bindfs")
        .args([sandbox.path("share"), sandbox.path("nas")])
        .output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        // No FUSE here; the table of the mount list has its own test.
        return;
    }
    sandbox.write(
        "config.yaml",
        b"watermark: {npy_path: mark.npy}\nfolders: [{input: in, output: out}]\nledger: nas/state/ledger.sqlite\nlog: {dir: log}\n",
    );
    for arguments in [&["check"][..], &["run", "--once"]] {
        let output = sandbox.command(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            told.contains("fuse") && told.contains("local disk"),
            "{told}"
        );
        assert_eq!(output.status.code(), Some(78), "{told}");
    }
    assert!(sandbox.names("share").is_empty());
    let unmounted = std::process::Command::new("fusermount")
        .arg("-u")
        .arg(sandbox.path("nas"))
        .status();
    assert!(unmounted.unwrap().success());
}

#[test]
fn a_second_daemon_is_refused_and_told_of_the_first() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let output = sandbox.once();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&format!("pid {}", sandbox.pid())), "{told}");
}

#[test]
fn the_python_tools_configuration_works_unchanged() {
    let sandbox = Sandbox::new();
    let config = "watermark:\n  input_folder: in\n  npy_path: mark\n  opacity: 60\n  quality: 30\n  output_height: 40\n";
    sandbox.write("config.yaml", config.as_bytes());
    sandbox.write("in/a.jpg", &jpeg(90, 90, 1));
    let output = sandbox
        .command(&["run", "--once"])
        .env("STATE_DIRECTORY", sandbox.path("state"))
        .env("LOGS_DIRECTORY", sandbox.path("log"))
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        size(&fs::read(sandbox.path("in/output/a.jpg")).unwrap()),
        (40, 40)
    );
    assert!(sandbox.path("state/ledger.sqlite").exists());
}

/// What lies in the folder keeps its fate, however old: it is not made again.
#[test]
fn what_left_long_ago_is_forgotten_and_what_is_there_is_not() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, after: keep}]\nledger_keep: 30d\nrescan: 1s\n");
    for name in ["left", "stays", "new"] {
        sandbox.write(&format!("in/{name}.jpg"), &jpeg(60, 60, 1));
    }
    sandbox.once_expecting(3, 0);
    fs::remove_file(sandbox.path("in/left.jpg")).unwrap();
    let ledger = rusqlite::Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    let age = "UPDATE file SET changed_ms = changed_ms - 31 * 86400000 WHERE path <> 'new.jpg'";
    assert_eq!(ledger.execute(age, []).unwrap(), 2);
    // A folder that nobody has configured since.
    let other = "INSERT INTO folder (input, walked_ms) VALUES ('/elsewhere', 1)";
    ledger.execute(other, []).unwrap();
    let row = "INSERT INTO file (folder, path, length, mtime_ns, recipe, state, changed_ms)
               VALUES (last_insert_rowid(), 'a.jpg', 1, 1, 1, 'done', 1)";
    ledger.execute(row, []).unwrap();
    // The walk rests for a day.
    ledger
        .execute("UPDATE folder SET walked_ms = NULL WHERE walked_ms > 1", [])
        .unwrap();
    sandbox.start();
    sandbox.wait_for_line(&["forgot what left long ago", "files=1"]);
    sandbox.wait_for_line(&["forgot folders that were taken out", "files=1"]);
    sandbox.stop();
    let names = "SELECT group_concat(path, ' ') FROM (SELECT path FROM file ORDER BY path)";
    let names: String = ledger.query_row(names, [], |row| row.get(0)).unwrap();
    assert_eq!(names, "new.jpg stays.jpg");
    drop(ledger);
    sandbox.once_expecting(0, 0);
}
