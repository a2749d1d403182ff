use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    pictures::{jpeg, png, size},
    sandbox::{Sandbox, skip},
};

#[test]
fn every_way_of_arriving_ends_in_a_marked_picture() {
    let mut sandbox = Sandbox::new();
    sandbox.write("in/before.jpg", &jpeg(100, 96, 1));
    sandbox.start();
    sandbox.write("in/copied.jpg", &jpeg(100, 96, 2));
    sandbox.rename_in("in/renamed.PNG", &png(100, 96, 3));
    sandbox.rename_in("in/saved.JFIF", &jpeg(100, 96, 6));
    sandbox.write("beside", &jpeg(100, 96, 4));
    fs::hard_link(sandbox.path("beside"), sandbox.path("in/linked.JPEG")).unwrap();
    sandbox.write("in/grown.jpg", &jpeg(100, 96, 5)[..700]);
    let mut append = fs::File::options()
        .append(true)
        .open(sandbox.path("in/grown.jpg"))
        .unwrap();
    std::io::Write::write_all(&mut append, &jpeg(100, 96, 5)[700..]).unwrap();
    drop(append);
    for name in [
        "before.jpg",
        "copied.jpg",
        "renamed.PNG",
        "saved.JFIF",
        "linked.JPEG",
        "grown.jpg",
    ] {
        let picture = sandbox.wait_for_picture(&format!("out/{name}"));
        assert_eq!(size(&picture), (50, 48), "{name}");
        assert_eq!(
            picture.starts_with(b"\x89PNG"),
            name.ends_with("PNG"),
            "{name}"
        );
    }
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 6, "{}", sandbox.tail());
    assert_eq!(sandbox.names("in").len(), 6, "inputs are kept");
}

#[test]
fn what_is_no_picture_that_has_arrived_harms_nothing() {
    let mut sandbox = Sandbox::with(
        "folders: [{input: in, output: out, recursive: true, ignore: ['*-raw.*']}]\n",
    );
    let input = sandbox.path("in");
    sandbox.start();
    fs::create_dir(input.join("folder.jpg")).unwrap();
    sandbox.fifo("in/fifo.jpg");
    let _socket = std::os::unix::net::UnixListener::bind(input.join("socket.png")).unwrap();
    symlink("loop.jpg", input.join("loop.jpg")).unwrap();
    symlink(&input, input.join("round")).unwrap();
    sandbox.write("outside.jpg", &jpeg(60, 60, 1));
    symlink(sandbox.path("outside.jpg"), input.join("link.jpg")).unwrap();
    sandbox.write("in/notes.txt", b"no picture");
    for name in [
        ".hidden.jpg",
        "~lock.jpg",
        "@eaDir/thumb.jpg",
        "part.jpg.part",
        "a-raw.jpg",
    ] {
        sandbox.write(&format!("in/{name}"), &jpeg(60, 60, 2));
    }
    sandbox.write("in/good.jpg", &jpeg(60, 60, 3));
    sandbox.wait_for_picture("out/good.jpg");
    // A scan sees what events do not tell.
    sandbox.stop();
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("out"), ["good.jpg"]);
    assert!(sandbox.lines("WARN").is_empty(), "{}", sandbox.tail());
}

#[test]
fn subfolders_are_mirrored_even_when_they_arrive_whole() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out, recursive: true}]\n");
    sandbox.write("in/old/a.jpg", &jpeg(60, 60, 1));
    sandbox.start();
    sandbox.write("in/new/deep/b.jpg", &jpeg(60, 60, 2));
    sandbox.write("moved/x/c.jpg", &jpeg(60, 60, 3));
    fs::rename(sandbox.path("moved"), sandbox.path("in/moved")).unwrap();
    for name in ["old/a.jpg", "new/deep/b.jpg", "moved/x/c.jpg"] {
        sandbox.wait_for_picture(&format!("out/{name}"));
    }
    sandbox.write("in/new/deep/later.png", &png(60, 60, 4));
    sandbox.wait_for_picture("out/new/deep/later.png");
}

#[test]
fn subfolders_of_a_flat_folder_are_left_alone() {
    let mut sandbox = Sandbox::new();
    sandbox.write("in/sub/a.jpg", &jpeg(60, 60, 1));
    sandbox.start();
    sandbox.write("in/sub/b.jpg", &jpeg(60, 60, 1));
    sandbox.write("in/c.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("out/c.jpg");
    sandbox.stop();
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("out"), ["c.jpg"]);
}

#[test]
fn an_output_inside_the_input_is_not_taken_for_input() {
    let mut sandbox = Sandbox::with("folders: [{input: in, recursive: true}]\nrescan: 1s\n");
    sandbox.start();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.write("in/sub/b.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("in/output/a.jpg");
    sandbox.wait_for_picture("in/output/sub/b.jpg");
    // Two marked pictures were renamed into the tree by now; a third one proves that the events
    // of theirs have been seen, and that they led to nothing.
    sandbox.rename_in("in/z.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("in/output/z.jpg");
    sandbox.stop();
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("in/output"), ["a.jpg", "sub", "z.jpg"]);
}

#[test]
fn a_polled_folder_needs_no_events() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out, watch: poll}]\npoll: 100ms\n");
    sandbox.start();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("out/a.jpg");
    assert_eq!(sandbox.lines("poll").len(), 1, "{}", sandbox.tail());
}

#[test]
fn the_rescan_finds_what_no_event_told_of() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out}]\nrescan: 1s\n");
    let (first, second) = (jpeg(60, 60, 1), jpeg(120, 60, 2));
    assert!(second.len() > first.len());
    sandbox.write("other-name", &first);
    fs::hard_link(sandbox.path("other-name"), sandbox.path("in/a.jpg")).unwrap();
    sandbox.start();
    sandbox.wait_for_line(&["processed", "a.jpg"]);
    // Writing through another name raises no event in the folder. In one piece, for a file that was
    // found incomplete would be tried again without any scan.
    let other = fs::File::options()
        .write(true)
        .open(sandbox.path("other-name"));
    std::os::unix::fs::FileExt::write_all_at(&other.unwrap(), &second, 0).unwrap();
    sandbox.wait_for("the second picture", |sandbox| {
        size(&fs::read(sandbox.path("out/a.jpg")).unwrap()) == (96, 48)
    });
    for retry in ["not yet complete", "still being written", "failed"] {
        assert_eq!(sandbox.lines(retry), [""; 0]);
    }
}

#[test]
fn a_folder_that_vanishes_and_returns_is_taken_up_again() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out}]\nrescan: 1s\n");
    sandbox.start();
    fs::rename(sandbox.path("in"), sandbox.path("away")).unwrap();
    sandbox.wait_for_line(&["WARN", "offline"]);
    sandbox.write("away/a.jpg", &jpeg(60, 60, 1));
    fs::rename(sandbox.path("away"), sandbox.path("in")).unwrap();
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/b.jpg");
}

#[test]
fn a_folder_inside_a_flat_one_has_its_own_events() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out}, {input: in/sub, output: out-sub}]\n");
    fs::create_dir(sandbox.path("in/sub")).unwrap();
    sandbox.start();
    sandbox.write("in/sub/nested.jpg", &jpeg(60, 60, 1));
    sandbox.write("in/top.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/top.jpg");
    sandbox.wait_for_picture("out-sub/nested.jpg");
    sandbox.stop();
    assert_eq!(sandbox.names("out"), ["top.jpg"]);
}

#[test]
fn a_subfolder_that_appears_during_a_scan_is_watched() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out, recursive: true}]\n");
    for number in 0..6000 {
        sandbox.write(&format!("in/many/{number}.png"), b"");
    }
    sandbox.start_without_waiting();
    sandbox.wait_for_line(&["watching"]);
    sandbox.write("in/new/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("out/new/a.jpg");
}

#[test]
fn a_folder_replaced_by_another_of_its_name_is_watched_again() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    fs::remove_dir_all(sandbox.path("in")).unwrap();
    for name in ["first.jpg", "later.jpg"] {
        sandbox.write(&format!("in/{name}"), &jpeg(60, 60, 1));
        sandbox.wait_for_picture(&format!("out/{name}"));
    }
}

#[test]
fn a_fate_that_another_process_takes_away_is_noticed() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out, watch: poll}]\npoll: 100ms\n");
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let config = config.replace("level: debug", "level: trace");
    sandbox.write("config.yaml", config.as_bytes());
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.start();
    sandbox.wait_for_picture("out/a.jpg");
    // The file is known to the scans by now.
    let scans = sandbox.lines(" scanned ").len();
    sandbox.wait_for("two more polls", |sandbox| {
        sandbox.lines(" scanned ").len() > scans + 2
    });
    fs::remove_file(sandbox.path("out/a.jpg")).unwrap();
    let ledger = rusqlite::Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    ledger.execute("DELETE FROM file", []).unwrap();
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 2, "{}", sandbox.tail());
}

#[test]
fn more_files_than_are_kept_in_mind_do_not_keep_other_folders_waiting() {
    let mut sandbox = Sandbox::with(
        "folders: [{input: many, output: out-many, watch: poll}, {input: in, output: out}]\npoll: 100ms\n",
    );
    fs::create_dir(sandbox.path("many")).unwrap();
    sandbox.write("picture", &jpeg(60, 60, 1));
    for number in 0..60_000 {
        let name = sandbox.path(format!("many/{number}.jpg"));
        fs::hard_link(sandbox.path("picture"), name).unwrap();
    }
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let config = config.replace("settle: 300ms", "settle: 1h");
    sandbox.write("config.yaml", config.as_bytes());
    sandbox.start();
    sandbox.wait_for_line(&["INFO", "many", "more files than are kept in mind"]);
    sandbox.rename_in("in/a.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/a.jpg");
    assert_eq!(sandbox.lines("more files than").len(), 1);
}

#[test]
fn what_an_overflowing_event_queue_swallowed_is_found() {
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let queue: usize = queue.trim().parse().unwrap();
    let mut sandbox = Sandbox::new();
    sandbox.start();
    sandbox.signal(Signal::STOP);
    sandbox.wait_for("the process to stand still", |sandbox| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", sandbox.pid())).unwrap();
        stat.rsplit(')').next().unwrap().starts_with(" T")
    });
    sandbox.write("beside", b"no picture");
    for number in 0..=queue {
        let name = sandbox.path(format!("in/{number}"));
        fs::hard_link(sandbox.path("beside"), name).unwrap();
    }
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.signal(Signal::CONT);
    sandbox.wait_for_picture("out/a.jpg");
    assert_eq!(sandbox.lines("events were lost").len(), 1);
}

/// Something mounted for the length of a test.
pub struct Mount {
    point: PathBuf,
    /// The process that serves it.
    server: Option<Child>,
}

impl Mount {
    /// None where this may not be done.
    pub fn new(arguments: &[&str], point: &Path) -> Option<Mount> {
        fs::create_dir_all(point).unwrap();
        let mounted = Command::new("mount")
            .args(arguments)
            .arg(point)
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            skip("nothing can be mounted here");
            return None;
        }
        Some(Mount {
            point: point.to_owned(),
            server: None,
        })
    }

    /// A directory under another name, served by a process.
    fn fuse(behind: &Path, point: &Path) -> Option<Mount> {
        for folder in [behind, point] {
            fs::create_dir_all(folder).unwrap();
        }
        let server = Command::new("bindfs")
            .args([
                "-f",
                "-o",
                "attr_timeout=0,entry_timeout=0,negative_timeout=0",
            ])
            .args([behind, point])
            .stderr(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            skip("bindfs is not installed");
            return None;
        };
        let mut mount = Mount {
            point: point.to_owned(),
            server: Some(server),
        };
        let table = || fs::read_to_string("/proc/self/mountinfo").unwrap();
        while !table().contains(point.to_str().unwrap()) {
            if mount.server.as_mut().unwrap().try_wait().unwrap().is_some() {
                skip("bindfs cannot mount here");
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Some(mount)
    }

    fn signal(&self, signal: Signal) {
        let server = self.server.as_ref().unwrap().id();
        kill_process(
            Pid::from_raw(i32::try_from(server).unwrap()).unwrap(),
            signal,
        )
        .unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
        drop(
            Command::new("umount")
                .arg("-l")
                .arg(&self.point)
                .stderr(Stdio::null())
                .status(),
        );
    }
}

#[test]
fn a_folder_whose_mount_goes_is_back_soon_after_its_return() {
    let mut sandbox = Sandbox::new();
    let (disk, input) = (sandbox.path("disk"), sandbox.path("in"));
    let Some(_disk) = Mount::new(&["-t", "tmpfs", "none"], &disk) else {
        return;
    };
    let mount = || Mount::new(&["--bind", disk.to_str().unwrap()], &input).unwrap();
    let first = mount();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.start();
    sandbox.wait_for_picture("out/a.jpg");
    drop(first);
    sandbox.wait_for_line(&["WARN", "offline", "nothing is mounted on"]);
    sandbox.write("disk/b.jpg", &jpeg(60, 60, 2));
    let returned = Instant::now();
    let second = mount();
    sandbox.wait_for_picture("out/b.jpg");
    assert!(returned.elapsed() < Duration::from_secs(15));
    sandbox.write("in/c.jpg", &jpeg(60, 60, 3));
    sandbox.wait_for_picture("out/c.jpg");
    // Covered by another file system, then uncovered again.
    let cover = Mount::new(&["-t", "tmpfs", "none"], &input).unwrap();
    sandbox.write("in/d.jpg", &jpeg(60, 60, 4));
    sandbox.wait_for_picture("out/d.jpg");
    drop(cover);
    sandbox.write("in/e.jpg", &jpeg(60, 60, 5));
    sandbox.wait_for_picture("out/e.jpg");
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 5, "{}", sandbox.tail());
    drop(second);
}

#[test]
fn a_folder_that_does_not_answer_holds_up_no_other() {
    let mut sandbox = Sandbox::with(
        "folders: [{input: share, output: out-share}, {input: in, output: out}]\npoll: 100ms\n",
    );
    let behind = sandbox.path("behind");
    let Some(share) = Mount::fuse(&behind, &sandbox.path("share")) else {
        return;
    };
    sandbox.start();
    sandbox.wait_for_line(&["share", "mode=poll", "fuse"]);
    sandbox.write("behind/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("out-share/a.jpg");
    share.signal(Signal::STOP);
    // The next poll hangs.
    thread::sleep(Duration::from_millis(300));
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/b.jpg");
    share.signal(Signal::CONT);
    sandbox.write("behind/c.jpg", &jpeg(60, 60, 3));
    sandbox.wait_for_picture("out-share/c.jpg");
    sandbox.stop();
}

/// What a FUSE server has begun cannot be broken off in the kernel, not even by SIGKILL: the
/// process stays, with all its locks, until the server answers. It must have said all it had to say
/// by then, and stand in nobody's way.
#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_does_not_answer_does_not_hold_up_the_next_daemon() {
    let folder = "{input: in, output: out}";
    let share = "{input: share, output: out-share}";
    let mut sandbox = Sandbox::with(&format!("folders: [{share}, {folder}]\npoll: 100ms\n"));
    let (behind, between) = (sandbox.path("behind"), sandbox.path("between"));
    // The outer server begins every request, and waits for the inner one.
    let Some(inner) = Mount::fuse(&behind, &between) else {
        return;
    };
    let Some(_outer) = Mount::fuse(&between, &sandbox.path("share")) else {
        return;
    };
    sandbox.start();
    inner.signal(Signal::STOP);
    let pid = sandbox.pid();
    sandbox.wait_for("the next poll to hang", |_| {
        threads(pid)
            .iter()
            .any(|thread| thread.name == "watch-1" && thread.waits_for_fuse())
    });
    sandbox.signal(Signal::TERM);
    sandbox.wait_for_line(&["WARN", "share", "folder does not answer"]);
    sandbox.wait_for_line(&["INFO", " ended"]);
    sandbox.wait_for("all threads but the hanging one to end", |_| {
        let threads = threads(pid);
        let mut left = threads.iter().filter(|thread| thread.state != 'Z');
        left.next()
            .is_some_and(|thread| thread.state == 'D' && thread.waits_for_fuse())
            && left.next().is_none()
    });

    let mut remains = sandbox.let_go();
    sandbox.configure(&format!("folders: [{folder}]\n"));
    sandbox.start();
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/b.jpg");
    sandbox.stop();

    assert!(remains.try_wait().unwrap().is_none(), "it did not hang");
    inner.signal(Signal::CONT);
    assert_eq!(remains.wait().unwrap().code(), Some(0));
}

/// A thread of a process, as the kernel sees it.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Thread {
    name: String,
    /// Z has ended, D waits for what cannot be broken off.
    state: char,
    /// The kernel's function in which it waits.
    waits_in: String,
}

#[cfg(target_os = "linux")]
impl Thread {
    fn waits_for_fuse(&self) -> bool {
        self.waits_in == "request_wait_answer"
    }
}

#[cfg(target_os = "linux")]
fn threads(pid: u32) -> Vec<Thread> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    // A thread may end between two looks.
    tasks
        .filter_map(|task| {
            let task = task.ok()?.path();
            let stat = fs::read_to_string(task.join("stat")).ok()?;
            let (named, rest) = stat.rsplit_once(") ")?;
            Some(Thread {
                name: named.split_once('(')?.1.to_owned(),
                state: rest.chars().next()?,
                waits_in: fs::read_to_string(task.join("wchan")).ok()?,
            })
        })
        .collect()
}
