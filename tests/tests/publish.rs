use std::fs;

use super::{
    pictures::{jpeg, size},
    sandbox::Sandbox,
};

/// What happens in a folder, from now on, told by the system itself: looking often proves nothing
/// of the moments in between.
#[cfg(target_os = "linux")]
struct Record(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Record {
    fn of(folder: &std::path::Path) -> Record {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let record = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let all = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE;
        add_watch(&record, folder, all).unwrap();
        Record(record)
    }

    /// What happened to which name, in order.
    fn events(self) -> Vec<(String, rustix::fs::inotify::ReadFlags)> {
        use rustix::fs::inotify::{ReadFlags, Reader};
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let what = event.events();
                    assert!(!what.contains(ReadFlags::QUEUE_OVERFLOW));
                    let name = event.file_name().unwrap().to_str().unwrap();
                    events.push((name.to_owned(), what));
                }
                Err(rustix::io::Errno::AGAIN) => return events,
                Err(cause) => panic!("{cause}"),
            }
        }
    }
}

#[test]
fn a_visible_file_is_a_complete_file() {
    let mut sandbox = Sandbox::new();
    for picture in 0..40 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(300, 300, picture));
    }
    #[cfg(target_os = "linux")]
    let record = Record::of(&sandbox.path("out"));
    sandbox.start_without_waiting();
    sandbox.wait_for(
        "all pictures, each whole whenever it is looked at",
        |sandbox| {
            let names = sandbox.names("out");
            let visible: Vec<_> = names.iter().filter(|name| !name.starts_with('.')).collect();
            for name in &visible {
                size(&fs::read(sandbox.path("out").join(name)).unwrap());
            }
            visible.len() == 40
        },
    );
    // Another one in the place of the first.
    sandbox.rename_in("in/0.jpg", &jpeg(300, 150, 0));
    sandbox.wait_for("the newer picture", |sandbox| {
        size(&fs::read(sandbox.path("out/0.jpg")).unwrap()) == (96, 48)
    });
    sandbox.stop();
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::inotify::ReadFlags;
        let events = record.events();
        let visible: Vec<_> = events
            .iter()
            .filter(|(name, _)| !name.starts_with('.'))
            .collect();
        // It comes by a rename, and is never written to. It is closed afterwards, for it is synced
        // and renamed while it is open.
        let renamed = |what: &ReadFlags| *what == ReadFlags::MOVED_TO;
        for (name, what) in &visible {
            assert!(
                renamed(what) || *what == ReadFlags::CLOSE_WRITE,
                "{name}: {what:?}"
            );
        }
        let renamed = visible.iter().filter(|(_, what)| renamed(what)).count();
        assert_eq!(renamed, 41, "{visible:?}");
    }
    assert!(
        sandbox
            .names("out")
            .iter()
            .all(|name| !name.starts_with('.')),
        "leftovers"
    );
}

/// So that a group can work on results together, or nobody else sees them.
#[cfg(unix)]
#[test]
fn results_and_their_folders_follow_the_umask() {
    for (umask, file, folder) in [
        ("002", 0o664, 0o775),
        ("022", 0o644, 0o755),
        ("077", 0o600, 0o700),
    ] {
        let mut sandbox =
            Sandbox::with("folders:\n  - {input: in, output: out, recursive: true}\n");
        sandbox.start_under(umask);
        fs::create_dir_all(sandbox.path("in/sub")).unwrap();
        sandbox.write("in/sub/a.jpg", &jpeg(60, 60, 1));
        sandbox.wait_for_picture("out/sub/a.jpg");
        sandbox.stop();
        let mode = |name: &str| {
            let metadata = fs::metadata(sandbox.path(name)).unwrap();
            std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
        };
        assert_eq!(
            format!("{:o}", mode("out/sub/a.jpg")),
            format!("{file:o}"),
            "umask {umask}"
        );
        assert_eq!(
            format!("{:o}", mode("out/sub")),
            format!("{folder:o}"),
            "umask {umask}"
        );
    }
}

/// What was asked of the system, in order, is the only proof that needs no power cut.
#[cfg(target_os = "linux")]
#[test]
fn a_picture_is_durable_before_it_is_visible_and_visible_before_it_is_done() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    let calls = "trace=fsync,fdatasync,rename,renameat,renameat2,pwrite64";
    let Some(trace) = sandbox.once_traced(&[calls]) else {
        return;
    };
    let lines: Vec<&str> = trace.lines().collect();
    let position = |what: &str, matches: &dyn Fn(&str) -> bool| {
        lines
            .iter()
            .position(|line| matches(line))
            .unwrap_or_else(|| panic!("no {what}\n{trace}"))
    };
    let output = sandbox.path("out").canonicalize().unwrap();
    let (folder, temp) = (
        format!("<{}>", output.display()),
        format!("<{}/.watermarkd-", output.display()),
    );
    let synced = position("sync of the picture", &|line| {
        line.contains("sync(") && line.contains(&temp)
    });
    let renamed = position("rename", &|line| {
        line.contains("rename") && line.contains(&folder) && line.contains("\"a.jpg\"")
    });
    assert!(synced < renamed, "{trace}");
    // It was synced before, too, when it was made.
    let directory = lines[renamed..]
        .iter()
        .position(|line| line.contains("sync(") && line.contains(&folder));
    let directory = renamed + directory.unwrap_or_else(|| panic!("no sync of the folder\n{trace}"));
    let recorded = |line: &&str| line.contains("pwrite64") && line.contains("ledger.sqlite-wal");
    assert!(!lines[synced..directory].iter().any(recorded), "{trace}");
    assert!(lines[directory..].iter().any(recorded), "{trace}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_kill_before_the_rename_loses_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    // What is left beside the ledger is renamed by another call.
    if !sandbox.once_killed_at("renameat,renameat2") {
        return;
    }
    let left = sandbox.names("out");
    assert!(left.len() == 1 && left[0].starts_with('.'), "{left:?}");
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out"), ["a.jpg"]);
}

#[test]
fn the_sweep_leaves_what_this_process_is_writing() {
    let sandbox = Sandbox::new();
    let output = sandbox.path("out");
    let staged = watermarkd::staging::stage_at(&output.join("a.jpg"), b"a picture").unwrap();
    sandbox.write(
        "out/.watermarkd-0123456789abcdef-0",
        b"of an earlier process",
    );
    let (_not_told, quit) = crossbeam_channel::bounded(0);
    watermarkd::staging::sweep(&output, false, &quit);
    assert_eq!(sandbox.names("out").len(), 1);
    drop(staged);
    assert_eq!(sandbox.names("out"), [""; 0]);
}

#[test]
fn leftovers_of_a_crash_are_swept_and_no_one_elses_files_are() {
    let sandbox = Sandbox::new();
    sandbox.write("out/.watermarkd-123-0", b"half a picture");
    sandbox.write("out/.other", b"kept");
    sandbox.write("out/mine.jpg", b"kept");
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("out"), [".other", "mine.jpg"]);
}

#[test]
fn an_output_folder_that_vanishes_is_waited_for() {
    let mut sandbox = Sandbox::with(
        "folders: [{input: in, output: nas/out}]\nretry: {first: 200ms, max: 400ms}\n",
    );
    fs::create_dir(sandbox.path("nas")).unwrap();
    sandbox.start();
    fs::rename(sandbox.path("nas"), sandbox.path("gone")).unwrap();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_line(&["WARN", "a.jpg", "step=output", "is gone"]);
    assert!(
        !sandbox.path("nas").exists(),
        "a vanished folder was made again"
    );
    fs::rename(sandbox.path("gone"), sandbox.path("nas")).unwrap();
    sandbox.wait_for_picture("nas/out/a.jpg");
    fs::remove_dir_all(sandbox.path("nas/out")).unwrap();
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("nas/out/b.jpg");
}

#[test]
fn what_waits_for_an_output_goes_out_soon_after_its_return() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: nas/out}]\nretry: {first: 1h, max: 2h}\n");
    fs::create_dir(sandbox.path("nas")).unwrap();
    sandbox.start();
    fs::rename(sandbox.path("nas"), sandbox.path("gone")).unwrap();
    for name in ["a", "b", "c"] {
        sandbox.write(&format!("in/{name}.jpg"), &jpeg(60, 60, 1));
    }
    sandbox.wait_for_line(&["WARN", "step=output", "is gone"]);
    fs::rename(sandbox.path("gone"), sandbox.path("nas")).unwrap();
    for name in ["a", "b", "c"] {
        sandbox.wait_for_picture(&format!("nas/out/{name}.jpg"));
    }

    // A process that finds the output there after it was away needs no second look.
    fs::rename(sandbox.path("nas"), sandbox.path("gone")).unwrap();
    sandbox.write("in/d.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for("a second complaint", |sandbox| {
        sandbox.lines("output cannot be used").len() == 2
    });
    sandbox.stop();
    fs::rename(sandbox.path("gone"), sandbox.path("nas")).unwrap();
    sandbox.start();
    sandbox.wait_for_picture("nas/out/d.jpg");
}

#[cfg(unix)]
#[test]
fn an_output_that_suddenly_leads_elsewhere_is_not_followed() {
    let mut sandbox = Sandbox::with("folders: [{input: in}]\nretry: {first: 200ms, max: 400ms}\n");
    fs::create_dir(sandbox.path("elsewhere")).unwrap();
    sandbox.start();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("in/output/a.jpg");
    fs::rename(sandbox.path("in/output"), sandbox.path("aside")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("elsewhere"), sandbox.path("in/output")).unwrap();
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_line(&["WARN", "step=output", "leads to"]);
    fs::remove_file(sandbox.path("in/output")).unwrap();
    fs::rename(sandbox.path("aside"), sandbox.path("in/output")).unwrap();
    sandbox.wait_for_picture("in/output/b.jpg");
    assert!(sandbox.names("elsewhere").is_empty());
}

/// How often the log of the running daemon tells of an output, or of a file, as a warning or worse.
fn complaints(sandbox: &Sandbox) -> usize {
    let told = |line: &&String| line.contains(" WARN ") || line.contains("ERROR");
    sandbox.lines("path=").iter().filter(told).count()
        + sandbox.lines("output=").iter().filter(told).count()
        + sandbox.lines(" ERROR failed ").len()
}

#[test]
fn an_output_that_is_away_is_told_of_once_and_not_for_each_picture() {
    let config = "folders: [{input: in, output: nas/out}]\nretry: {first: 200ms, max: 400ms}\n";
    let mut sandbox = Sandbox::with(config);
    fs::create_dir(sandbox.path("nas")).unwrap();
    sandbox.start();
    fs::rename(sandbox.path("nas"), sandbox.path("gone")).unwrap();
    for picture in 0..30 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(60, 60, picture));
    }
    sandbox.wait_for("each tried twice", |sandbox| {
        (0..30).all(|picture| {
            let name = format!("{picture}.jpg");
            let again = |line: &&String| line.contains("failed again");
            sandbox.lines(&name).iter().filter(again).count() >= 1
        })
    });
    assert_eq!(complaints(&sandbox), 1, "{}", sandbox.tail());
    fs::rename(sandbox.path("gone"), sandbox.path("nas")).unwrap();
    sandbox.wait_for("all pictures", |sandbox| {
        sandbox.names("nas/out").len() == 30
    });
    sandbox.wait_for_line(&["output is back"]);
    sandbox.stop();
    assert_eq!(sandbox.lines("output is back").len(), 1);
    assert_eq!(complaints(&sandbox), 1, "{}", sandbox.tail());
}

#[cfg(unix)]
#[test]
fn an_output_is_never_filled_up() {
    let config = "folders: [{input: in, output: small/out}]\nretry: {first: 200ms, max: 400ms}\n";
    let mut sandbox = Sandbox::with(config);
    let Some(_small) = super::sandbox::Small::mount(sandbox.path("small"), "size=80m") else {
        return;
    };
    sandbox.write("small/filler", &vec![7; 20 << 20]);
    sandbox.start();
    for picture in 0..10 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(60, 60, picture));
    }
    sandbox.wait_for_line(&["WARN", "small/out", "60 MiB free of 80 MiB", "waiting for"]);
    sandbox.wait_for_line(&["DEBUG", "9.jpg", "failed again"]);
    assert_eq!(sandbox.names("small/out"), [""; 0]);
    fs::remove_file(sandbox.path("small/filler")).unwrap();
    sandbox.wait_for("all pictures", |sandbox| {
        sandbox.names("small/out").len() == 10
    });
    sandbox.wait_for_line(&["output is back"]);
    sandbox.stop();
    assert_eq!(complaints(&sandbox), 1, "{}", sandbox.tail());
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_subfolder_of_the_output_is_not_followed() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out, recursive: true}]\n");
    fs::create_dir(sandbox.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("elsewhere"), sandbox.path("out/sub")).unwrap();
    sandbox.write("in/sub/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(0, 1);
    assert_eq!(sandbox.names("elsewhere"), [""; 0]);
    fs::remove_file(sandbox.path("out/sub")).unwrap();
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out/sub"), ["a.jpg"]);
}

#[cfg(unix)]
#[test]
fn a_planted_link_is_replaced_and_not_followed() {
    let sandbox = Sandbox::new();
    sandbox.write("precious", b"untouched");
    std::os::unix::fs::symlink(sandbox.path("precious"), sandbox.path("out/a.jpg")).unwrap();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    assert_eq!(fs::read(sandbox.path("precious")).unwrap(), b"untouched");
    assert!(
        fs::symlink_metadata(sandbox.path("out/a.jpg"))
            .unwrap()
            .is_file()
    );
}
