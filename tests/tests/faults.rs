//! Faults that need no privilege and little time; the others are in `tests/faults`.

use std::{
    fs,
    io::Write,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::Signal;

use super::{
    pictures::{jpeg, png, size},
    sandbox::{FOLDERS, Sandbox},
};

/// The daemon stands still while more happens than the kernel's queue of events holds.
#[cfg(target_os = "linux")]
#[test]
fn pictures_whose_events_were_lost_in_a_burst_are_found() {
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let mut sandbox = Sandbox::new();
    sandbox.start();
    sandbox.signal(Signal::STOP);
    // Created, opened and closed: three events each.
    for filler in 0..queue / 3 + 500 {
        sandbox.write(&format!("in/{filler}.png"), b"");
    }
    for picture in 0..20 {
        sandbox.rename_in(&format!("in/{picture}.jpg"), &jpeg(60, 60, picture));
    }
    sandbox.signal(Signal::CONT);
    sandbox.wait_for_line(&["WARN", "events were lost"]);
    for picture in 0..20 {
        sandbox.wait_for_picture(&format!("out/{picture}.jpg"));
    }
    sandbox.wait_for("the lines", |sandbox| {
        sandbox.lines("processed").len() >= 20
    });
    assert_eq!(sandbox.lines("processed").len(), 20, "{}", sandbox.tail());
}

#[cfg(target_os = "linux")]
#[test]
fn no_picture_is_lost_for_want_of_file_descriptors() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let mut sandbox = Sandbox::with(&format!("{FOLDERS}retry: {{first: 200ms, max: 400ms}}\n"));
    sandbox.start();
    let limit = |current| {
        let pid = Pid::from_raw(i32::try_from(sandbox.pid()).unwrap());
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(1024),
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    limit(3);
    for picture in 0..10 {
        sandbox.rename_in(&format!("in/{picture}.jpg"), &jpeg(60, 60, picture));
    }
    sandbox.wait_for_line(&["WARN", "Too many open files"]);
    limit(1024);
    for picture in 0..10 {
        sandbox.wait_for_picture(&format!("out/{picture}.jpg"));
    }
    assert!(sandbox.lines("ERROR").is_empty(), "{}", sandbox.tail());
}

#[test]
fn a_picture_that_is_rewritten_stays_whole_in_the_output_until_the_new_one_is() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    sandbox.write("in/a.png", &png(100, 100, 1));
    let before = sandbox.wait_for_picture("out/a.png");
    let bytes = png(200, 100, 2);
    // Opening it for writing empties it.
    let mut file = fs::File::create(sandbox.path("in/a.png")).unwrap();
    sandbox.wait_for_line(&["not yet complete", "a.png"]);
    file.write_all(&bytes[..bytes.len() / 2]).unwrap();
    sandbox.wait_for("another try", |sandbox| {
        sandbox.lines("not yet complete").len() >= 2
    });
    assert!(before == fs::read(sandbox.path("out/a.png")).unwrap());
    file.write_all(&bytes[bytes.len() / 2..]).unwrap();
    drop(file);
    sandbox.wait_for("the new picture", |sandbox| {
        size(&fs::read(sandbox.path("out/a.png")).unwrap()) == (96, 48)
    });
    assert!(sandbox.lines("ERROR").is_empty(), "{}", sandbox.tail());
}

#[test]
fn what_is_written_through_another_name_is_found_by_the_scan() {
    let mut sandbox = Sandbox::with(&format!("{FOLDERS}rescan: 1s\n"));
    sandbox.write("beside", &png(100, 100, 1));
    fs::hard_link(sandbox.path("beside"), sandbox.path("in/a.png")).unwrap();
    sandbox.start();
    sandbox.wait_for_picture("out/a.png");
    // Through the other name no event is raised in the folder.
    sandbox.write("beside", &png(200, 100, 2));
    sandbox.wait_for("the new picture", |sandbox| {
        size(&fs::read(sandbox.path("out/a.png")).unwrap()) == (96, 48)
    });
}

#[test]
fn times_of_any_age_are_taken_as_they_are() {
    let sandbox = Sandbox::new();
    let day = Duration::from_secs(86_400);
    let times = [
        SystemTime::UNIX_EPOCH,
        SystemTime::UNIX_EPOCH - day * 3650,
        SystemTime::now() + day,
        SystemTime::now() + day * 3650,
    ];
    for (number, time) in times.into_iter().enumerate() {
        let name = format!("in/{number}.jpg");
        sandbox.write(&name, &jpeg(60, 60, 1));
        let file = fs::File::options().write(true).open(sandbox.path(name));
        file.unwrap().set_modified(time).unwrap();
    }
    sandbox.once_expecting(4, 0);
    sandbox.once_expecting(0, 0);
}

/// As on file systems that keep whole seconds only.
#[test]
fn a_picture_rewritten_within_the_second_with_its_length_is_the_one_that_is_published() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let (mut first, mut second) = (jpeg(60, 60, 1), jpeg(90, 60, 2));
    let length = first.len().max(second.len());
    first.resize(length, b'x');
    second.resize(length, b'x');
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let second_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
    let written = Instant::now();
    for bytes in [first, second] {
        let mut file = fs::File::create(sandbox.path("in/a.jpg")).unwrap();
        file.write_all(&bytes).unwrap();
        file.set_modified(second_ago).unwrap();
        drop(file);
        // It would be in progress or done by then, if its time were trusted.
        let later = written + Duration::from_millis(500);
        sandbox.wait_for("a moment", |_| Instant::now() >= later);
    }
    let made = sandbox.wait_for_picture("out/a.jpg");
    assert_eq!(size(&made), (72, 48));
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 1, "{}", sandbox.tail());
}

#[test]
fn a_daemon_that_stands_still_for_a_while_goes_on_where_it_was() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    for round in 0..10 {
        for picture in 0..10 {
            let name = format!("in/{round}-{picture}.jpg");
            sandbox.write(&name, &jpeg(300, 300, picture));
        }
        sandbox.signal(Signal::STOP);
        // What is waited for is that time passes which the daemon does not have.
        thread::sleep(Duration::from_millis(50));
        sandbox.signal(Signal::CONT);
    }
    sandbox.wait_for("all pictures", |sandbox| {
        sandbox.lines("processed").len() >= 100
    });
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 100, "{}", sandbox.tail());
    assert_eq!(sandbox.names("out").len(), 100);
}
