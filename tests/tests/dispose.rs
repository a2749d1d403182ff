use std::fs;
#[cfg(unix)]
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

#[cfg(unix)]
use tempfile::TempDir;

#[cfg(unix)]
use super::sandbox::Small;
use super::{
    pictures::{jpeg, size},
    sandbox::Sandbox,
};

const QUICK: &str = "retry: {first: 200ms, max: 400ms}\nrescan: 1s\n";

fn folder(keys: &str) -> String {
    format!("folders: [{{input: in, output: out, {keys}}}]\n{QUICK}")
}

fn processed(sandbox: &Sandbox) -> usize {
    let log = sandbox.log();
    log.lines()
        .filter(|line| line.contains("processed"))
        .count()
}

fn owed(sandbox: &Sandbox) -> i64 {
    let ledger = rusqlite::Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM file WHERE source = 'owed'";
    ledger.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_done_is_deleted_and_what_failed_is_moved() {
    for watch in ["events", "poll"] {
        let keys = "recursive: true, after: delete, on_failure: {move_to: failed}";
        let config = folder(&format!("{keys}, watch: {watch}"));
        let mut sandbox = Sandbox::with(&format!("poll: 200ms\n{config}"));
        sandbox.write("failed/sub/bad.jpg", b"an earlier one");
        sandbox.start();
        for (name, bytes) in [
            ("in/a.jpg", jpeg(60, 60, 1)),
            ("in/sub/deep/b.jpg", jpeg(60, 60, 2)),
            ("in/sub/bad.jpg", b"no picture".to_vec()),
            ("in/notes.txt", b"not ours".to_vec()),
        ] {
            sandbox.write(name, &bytes);
        }
        sandbox.wait_for("all gone from the input", |sandbox| {
            !sandbox.path("in/a.jpg").exists()
                && !sandbox.path("in/sub/deep/b.jpg").exists()
                && !sandbox.path("in/sub/bad.jpg").exists()
                && owed(sandbox) == 0
        });
        sandbox.stop();
        for name in ["out/a.jpg", "out/sub/deep/b.jpg"] {
            size(&fs::read(sandbox.path(name)).unwrap());
        }
        assert_eq!(sandbox.names("failed/sub"), ["bad.1.jpg", "bad.jpg"]);
        let read = |name: &str| fs::read(sandbox.path(name)).unwrap();
        assert_eq!(read("failed/sub/bad.jpg"), b"an earlier one");
        assert_eq!(read("failed/sub/bad.1.jpg"), b"no picture");
        assert_eq!(sandbox.names("in"), ["notes.txt", "sub"]);
    }
}

#[test]
fn a_file_that_comes_again_is_made_again() {
    let sandbox = Sandbox::with(&folder("after: {move_to: done}"));
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("done"), ["a.jpg"]);
    // With the same length and time.
    fs::rename(sandbox.path("done/a.jpg"), sandbox.path("in/a.jpg")).unwrap();
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("in"), [""; 0]);
    assert_eq!(sandbox.names("done"), ["a.jpg"]);
}

#[test]
fn what_was_only_given_up_on_stays() {
    let sandbox = Sandbox::with(&folder("after: delete, on_failure: {move_to: failed}"));
    let bytes = jpeg(640, 480, 1);
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2..][..400].fill(0);
    sandbox.write("in/cut.jpg", &bytes[..bytes.len() / 2]);
    sandbox.write("in/damaged.jpg", &damaged);
    sandbox.write("in/open.jpg", &bytes[..bytes.len() - 2]);
    sandbox.write("in/bad.jpg", b"no picture");
    for name in ["in/cut.jpg", "in/damaged.jpg", "in/open.jpg"] {
        sandbox.leave_alone(name);
    }
    sandbox.once_expecting(2, 2);
    assert_eq!(sandbox.names("in"), ["cut.jpg", "damaged.jpg", "open.jpg"]);
    assert_eq!(sandbox.names("failed"), ["bad.jpg"]);
    // What its writer went on with is another state of it.
    sandbox.write("in/cut.jpg", &bytes);
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("in"), ["damaged.jpg", "open.jpg"]);
}

/// Samsung's front cameras write scan parameters of zeros, and libjpeg warns of them.
#[test]
fn a_picture_whose_decoder_warns_of_nothing_is_published_at_once_and_leaves() {
    let sandbox = Sandbox::with(&folder("after: delete"));
    let mut bytes = jpeg(640, 480, 1);
    let scan = memchr::memmem::find(&bytes, b"\xff\xda").unwrap();
    bytes[scan + 11..scan + 14].fill(0);
    sandbox.write("in/a.jpg", &bytes);
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("in"), [""; 0]);
    assert!(!sandbox.log().contains("WARN"), "{}", sandbox.tail());
}

/// Cameras pad their maker notes with zeros, and a sparse copy has holes there.
#[cfg(unix)]
#[test]
fn a_picture_with_a_hole_beside_its_samples_is_published_at_once_and_leaves() {
    use std::os::unix::fs::FileExt;
    let sandbox = Sandbox::with(&folder("after: delete"));
    let bytes = jpeg(640, 480, 1);
    // SOI, a segment of 60,000 bytes, and the rest.
    let rest = 2 + 2 + 60_000;
    let path = sandbox.path("in/a.jpg");
    let file = fs::File::create(path).unwrap();
    file.write_all_at(b"\xff\xd8\xff\xe1\xea\x60", 0).unwrap();
    file.write_all_at(&bytes[2..], rest).unwrap();
    drop(file);
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("in"), [""; 0]);
    assert!(!sandbox.log().contains("WARN"), "{}", sandbox.tail());
}

#[cfg(unix)]
#[test]
fn what_was_done_before_stays_and_what_comes_then_leaves() {
    let mut sandbox = Sandbox::with(&folder("after: keep"));
    sandbox.write("in/old.jpg", &jpeg(60, 60, 1));
    sandbox.start();
    sandbox.wait_for_picture("out/old.jpg");
    sandbox.configure(&folder("after: delete"));
    sandbox.signal(rustix::process::Signal::HUP);
    sandbox.wait_for_line(&["configuration reloaded"]);
    sandbox.write("in/new.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for("the new one gone", |sandbox| {
        sandbox.path("out/new.jpg").exists() && !sandbox.path("in/new.jpg").exists()
    });
    sandbox.stop();
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("in"), ["old.jpg"]);
}

/// A daemon that has made `in/a.jpg` and cannot move it, since the folder to move it to is away.
fn stuck() -> Sandbox {
    // No scan helps.
    let config = folder("after: {move_to: nas/done}").replace("rescan: 1s", "rescan: 1h");
    let mut sandbox = Sandbox::with(&config);
    fs::create_dir(sandbox.path("nas")).unwrap();
    sandbox.start();
    fs::rename(sandbox.path("nas"), sandbox.path("away")).unwrap();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_line(&["WARN", "nas", "cannot leave"]);
    sandbox.wait_for_picture("out/a.jpg");
    sandbox
}

fn bring_back(sandbox: &Sandbox) {
    fs::rename(sandbox.path("away"), sandbox.path("nas")).unwrap();
}

#[test]
fn a_folder_that_is_away_is_waited_for_and_holds_up_nothing() {
    let mut sandbox = stuck();
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/b.jpg");
    sandbox.wait_for_line(&["DEBUG", "still cannot leave"]);
    assert!(!sandbox.path("nas").exists(), "a folder was made again");
    bring_back(&sandbox);
    sandbox.wait_for_line(&["leave the folder again"]);
    assert_eq!(sandbox.names("nas/done"), ["a.jpg", "b.jpg"]);
    assert_eq!(sandbox.names("in"), [""; 0]);
    assert_eq!(sandbox.lines("WARN").len(), 1, "{}", sandbox.tail());
    sandbox.stop();
    assert_eq!(processed(&sandbox), 2, "{}", sandbox.tail());
}

#[test]
fn what_a_crash_left_owed_leaves_at_the_next_start() {
    let mut sandbox = stuck();
    sandbox.kill();
    bring_back(&sandbox);
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("nas/done"), ["a.jpg"]);
    assert_eq!(sandbox.names("in"), [""; 0]);
    assert_eq!(processed(&sandbox), 1, "{}", sandbox.tail());
}

#[test]
fn nothing_is_gone_from_an_input_whose_mount_has_not_come() {
    let mut sandbox = stuck();
    sandbox.kill();
    bring_back(&sandbox);
    fs::rename(sandbox.path("in"), sandbox.path("disk")).unwrap();
    fs::create_dir(sandbox.path("in")).unwrap();
    sandbox.once_expecting(0, 0);
    assert_eq!(owed(&sandbox), 1);
    assert_eq!(sandbox.lines("WARN").len(), 1, "{}", sandbox.tail());
    fs::remove_dir(sandbox.path("in")).unwrap();
    fs::rename(sandbox.path("disk"), sandbox.path("in")).unwrap();
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("nas/done"), ["a.jpg"]);
    assert_eq!(owed(&sandbox), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_kill_between_done_and_leaving_strands_nothing() {
    for (call, keys, done) in [
        ("unlinkat", "after: delete", None),
        ("renameat2", "after: {move_to: done}", Some("done")),
    ] {
        let sandbox = Sandbox::with(&folder(keys));
        sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
        if !sandbox.once_killed_at(call) {
            return;
        }
        size(&fs::read(sandbox.path("out/a.jpg")).unwrap());
        sandbox.once_expecting(0, 0);
        assert_eq!(sandbox.names("in"), [""; 0], "{call}");
        if let Some(done) = done {
            assert_eq!(sandbox.names(done), ["a.jpg"], "{call}");
        }
        assert_eq!(processed(&sandbox), 1, "{call}");
    }
}

/// The source leaves only when its copy is on the disk. What was asked of the system, in order, is
/// the only proof that needs no power cut.
#[cfg(target_os = "linux")]
#[test]
fn a_copy_is_durable_before_its_source_leaves() {
    let sandbox = Sandbox::new();
    let Some(other) = other_file_system(&sandbox) else {
        return;
    };
    let done = other.path().join("done");
    let keys = format!("after: {{move_to: {}}}", done.display());
    sandbox.configure(&folder(&keys));
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    let calls = "trace=fsync,fdatasync,renameat2,unlinkat";
    let Some(trace) = sandbox.once_traced(&[calls]) else {
        return;
    };
    let at = |what: &str, matches: &dyn Fn(&str) -> bool| {
        let at = trace.lines().position(matches);
        at.unwrap_or_else(|| panic!("no {what}\n{trace}"))
    };
    let done = done.display();
    let copied = at("sync of the copy", &|line| {
        line.contains("sync(") && line.contains(&format!("<{done}/."))
    });
    let named = at("name for the copy", &|line| {
        line.contains(&format!("<{done}>, \".")) && line.ends_with("= 0")
    });
    let folder = at("sync of its folder", &|line| {
        line.contains("sync(") && line.contains(&format!("<{done}>"))
    });
    let left = at("removal", &|line| {
        line.contains("unlinkat(") && line.contains("leaving-a.jpg")
    });
    assert!(named < folder && folder < left, "{trace}");
    assert!(copied < named && named < left, "{trace}");
}

#[test]
fn a_file_that_changed_meanwhile_stays_until_it_is_made_itself() {
    let mut sandbox = stuck();
    let newer = jpeg(90, 60, 7);
    sandbox.write("in/a.jpg", &newer);
    sandbox.wait_for("made anew", |sandbox| processed(sandbox) == 2);
    bring_back(&sandbox);
    sandbox.wait_for("the newer one moved", |sandbox| {
        sandbox.path("nas/done/a.jpg").exists() && !sandbox.path("in/a.jpg").exists()
    });
    sandbox.stop();
    assert_eq!(sandbox.names("nas/done"), ["a.jpg"]);
    assert_eq!(fs::read(sandbox.path("nas/done/a.jpg")).unwrap(), newer);
}

#[cfg(unix)]
#[test]
fn a_file_that_looks_like_the_one_made_is_made_itself() {
    for exchanged in [true, false] {
        let sandbox = stuck();
        let path = sandbox.path("in/a.jpg");
        let bytes = fs::read(&path).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // Of the same length and time, be it another file or the same one written anew.
        let written = if exchanged {
            sandbox.path("other")
        } else {
            path.clone()
        };
        fs::write(&written, &bytes).unwrap();
        let file = fs::File::options().write(true).open(&written).unwrap();
        file.set_modified(modified).unwrap();
        drop(file);
        fs::rename(&written, &path).unwrap();
        bring_back(&sandbox);
        sandbox.wait_for("made anew and moved", |sandbox| {
            processed(sandbox) == 2 && !sandbox.path("in/a.jpg").exists()
        });
        assert_eq!(sandbox.names("nas/done"), ["a.jpg"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_its_writer_has_open_does_not_leave() {
    use std::io::Write;
    let keys = "folders: [{input: in, output: out, after: delete}, {input: in2, output: out2}]\n";
    let mut sandbox = Sandbox::with(keys);
    fs::create_dir(sandbox.path("in2")).unwrap();
    sandbox.start();
    let open = |name: &str| {
        let mut file = fs::File::create(sandbox.path(name)).unwrap();
        file.write_all(&jpeg(60, 60, 1)).unwrap();
        file
    };
    let first = open("in/a.jpg");
    let _second = open("in2/b.jpg");
    // Its turn comes after that of the first.
    sandbox.wait_for_picture("out2/b.jpg");
    assert!(sandbox.path("in/a.jpg").exists() && !sandbox.path("out/a.jpg").exists());
    drop(first);
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.wait_for("it to leave", |sandbox| !sandbox.path("in/a.jpg").exists());
}

#[cfg(unix)]
#[test]
fn a_planted_link_leads_nowhere() {
    let config = folder("recursive: true, after: {move_to: done}");
    let mut sandbox = Sandbox::with(&config);
    for folder in ["done", "elsewhere"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
    }
    sandbox.write("precious", b"untouched");
    symlink(sandbox.path("precious"), sandbox.path("done/a.jpg")).unwrap();
    symlink(sandbox.path("elsewhere"), sandbox.path("done/sub")).unwrap();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.write("in/sub/b.jpg", &jpeg(60, 60, 2));
    sandbox.start();
    sandbox.wait_for_line(&["WARN", "done/sub"]);
    sandbox.wait_for("the other moved", |sandbox| {
        sandbox.path("done/a.1.jpg").exists()
    });
    assert_eq!(sandbox.names("elsewhere"), [""; 0]);
    assert_eq!(fs::read(sandbox.path("precious")).unwrap(), b"untouched");
    assert!(sandbox.path("in/sub/b.jpg").exists());
    fs::remove_file(sandbox.path("done/sub")).unwrap();
    sandbox.wait_for("both moved", |sandbox| {
        sandbox.path("done/sub/b.jpg").exists()
    });
    sandbox.stop();
}

/// A folder on another file system than the sandbox's, where there is one.
#[cfg(unix)]
fn other_file_system(sandbox: &Sandbox) -> Option<TempDir> {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    let shm = Path::new("/dev/shm");
    let other = device(shm).is_ok_and(|shm| shm != device(&sandbox.path(".")).unwrap());
    let folder = other.then(|| tempfile::tempdir_in(shm).ok()).flatten();
    if folder.is_none() {
        super::sandbox::skip("/dev/shm is no other file system here");
    }
    folder
}

#[cfg(unix)]
#[test]
fn onto_another_file_system_a_file_is_copied_and_compared() {
    let mut sandbox = Sandbox::new();
    let Some(other) = other_file_system(&sandbox) else {
        return;
    };
    let done = other.path().join("done");
    sandbox.configure(&folder(&format!(
        "recursive: true, after: {{move_to: {}}}",
        done.display()
    )));
    let (one, two) = (jpeg(90, 60, 1), jpeg(60, 90, 2));
    fs::create_dir_all(done.join("sub")).unwrap();
    fs::write(done.join("one.jpg"), b"an earlier one").unwrap();
    sandbox.write("in/one.jpg", &one);
    sandbox.write("in/sub/two.jpg", &two);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = fs::File::options()
        .write(true)
        .open(sandbox.path("in/one.jpg"));
    file.unwrap().set_modified(long_ago).unwrap();
    let acts_as_its_owner = fs::Permissions::from_mode(0o7754);
    fs::set_permissions(sandbox.path("in/one.jpg"), acts_as_its_owner).unwrap();
    sandbox.start();
    sandbox.wait_for("both moved", |sandbox| {
        !sandbox.path("in/one.jpg").exists() && !sandbox.path("in/sub/two.jpg").exists()
    });
    sandbox.stop();
    let read = |name: &str| fs::read(done.join(name)).unwrap();
    assert_eq!(read("one.jpg"), b"an earlier one");
    assert_eq!(read("one.1.jpg"), one);
    assert_eq!(read("sub/two.jpg"), two);
    let moved = fs::metadata(done.join("one.1.jpg")).unwrap();
    assert_eq!(moved.modified().unwrap(), long_ago);
    assert_eq!(moved.mode() & 0o7777, 0o644);

    // A copy that a crash left there complete is not made twice.
    sandbox.write("in/one.jpg", &one);
    let file = fs::File::options()
        .write(true)
        .open(sandbox.path("in/one.jpg"));
    file.unwrap().set_modified(long_ago).unwrap();
    sandbox.once_expecting(1, 0);
    let mut names: Vec<_> = fs::read_dir(&done)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["one.1.jpg", "one.jpg", "sub"]);
    assert!(!sandbox.path("in/one.jpg").exists());
}

#[cfg(unix)]
#[test]
fn a_full_disk_keeps_the_source_and_leaves_no_half_copy() {
    let config = folder("after: {move_to: small/done}");
    let mut sandbox = Sandbox::new();
    let Some(_small) = Small::mount(sandbox.path("small"), "size=1m") else {
        return;
    };
    sandbox.configure(&config);
    sandbox.write("small/filler", &vec![7; 1000 << 10]);
    let picture = jpeg(400, 400, 3);
    let length = picture.len();
    assert!((40 << 10..900 << 10).contains(&length), "{length} bytes");
    sandbox.start();
    sandbox.write("in/a.jpg", &picture);
    sandbox.wait_for_line(&["WARN", "cannot leave", "No space left"]);
    sandbox.wait_for_picture("out/a.jpg");
    assert!(sandbox.path("in/a.jpg").exists());
    assert_eq!(sandbox.names("small/done"), [""; 0]);
    fs::remove_file(sandbox.path("small/filler")).unwrap();
    sandbox.wait_for("moved", |sandbox| !sandbox.path("in/a.jpg").exists());
    assert_eq!(fs::read(sandbox.path("small/done/a.jpg")).unwrap(), picture);
    sandbox.stop();
    assert_eq!(processed(&sandbox), 1);
}

/// A picture that breaks off: it is given up at once, as it has not changed for long.
#[cfg(unix)]
fn broken_off(sandbox: &Sandbox, name: &str) {
    let whole = jpeg(300, 200, 1);
    sandbox.write(name, &whole[..whole.len() / 2]);
    sandbox.leave_alone(name);
}

#[cfg(unix)]
#[test]
fn what_was_given_up_leaves_later_as_a_failed_one() {
    let keys = "recursive: true, on_failure: {move_to: failed}, prune_empty: true";
    let mut sandbox = Sandbox::with(&folder(&format!("{keys}, give_up: 1h")));
    broken_off(&sandbox, "in/sub/a.jpg");
    sandbox.write("in/sub/empty.jpg", b"");
    sandbox.leave_alone("in/sub/empty.jpg");
    sandbox.once_expecting(0, 2);
    let (_, told) = super::operate::run(&sandbox, &["run", "--once"]);
    assert!(told.contains("0 done before, 2 failed before"), "{told}");
    let (_, told) = super::operate::run(&sandbox, &["explain", "in/sub/a.jpg"]);
    assert!(
        told.contains("it is moved as `on_failure` says at ") && told.contains("(in 59 min)"),
        "{told}"
    );
    // It can be retried until then.
    let (_, told) = super::operate::run(&sandbox, &["retry", "in/sub/a.jpg"]);
    assert!(told.contains("1 file will be tried again"), "{told}");
    sandbox.once_expecting(0, 1);
    assert_eq!(sandbox.names("in/sub"), ["a.jpg", "empty.jpg"]);

    // As after an hour, with a new file beside it.
    let ledger = rusqlite::Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    let sql = "UPDATE file SET next_ms = 1 WHERE source = 'owed'";
    assert!(ledger.execute(sql, []).unwrap() > 0);
    drop(ledger);
    sandbox.configure(&folder(&format!("{keys}, give_up: 1s")));
    sandbox.start();
    sandbox.wait_for("both moved", |sandbox| {
        ["failed/sub/a.jpg", "failed/sub/empty.jpg"]
            .iter()
            .all(|name| sandbox.path(name).exists())
    });
    sandbox.stop();

    // Back to where it was, as somebody wants it.
    let (code, told) = super::operate::run(&sandbox, &["retry", "failed/sub/a.jpg"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("moved back to ") && told.contains("in/sub/a.jpg"),
        "{told}"
    );
    assert!(sandbox.path("in/sub/a.jpg").exists() && !sandbox.path("failed/sub/a.jpg").exists());
    sandbox.write("failed/sub/a.jpg", b"another");
    let (code, told) = super::operate::run(&sandbox, &["retry", "failed/sub/a.jpg"]);
    assert!(
        code == Some(1) && told.contains("is there already"),
        "{told}"
    );
}

#[cfg(unix)]
#[test]
fn a_moved_file_goes_back_only_where_it_failed() {
    let sandbox = Sandbox::with(
        "folders:\n\
         - {input: in, output: out, on_failure: {move_to: moved}}\n\
         - {input: in2, output: out2, after: {move_to: moved}, on_failure: {move_to: moved}}\n",
    );
    sandbox.write("in2/bad.jpg", b"no picture at all");
    sandbox.write("in2/good.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 1);
    assert_eq!(sandbox.names("moved"), ["bad.jpg", "good.jpg"]);
    let retry = |name: &str| super::operate::run(&sandbox, &["retry", name]);
    let (code, told) = retry("moved/good.jpg");
    assert!(code == Some(1) && told.contains("it is done"), "{told}");
    sandbox.write("moved/whose.jpg", b"of neither");
    let (code, told) = retry("moved/whose.jpg");
    assert!(code == Some(1) && told.contains("/in or "), "{told}");
    let (code, told) = retry("moved/bad.jpg");
    assert!(code == Some(0) && told.contains("in2/bad.jpg"), "{told}");
    assert!(!told.contains("will be tried"), "{told}");
    assert_eq!(sandbox.names("in2"), ["bad.jpg"]);
    assert_eq!(sandbox.names("in"), [""; 0]);
}

#[cfg(unix)]
#[test]
fn emptied_subfolders_go_with_their_files() {
    let sandbox = Sandbox::with(&folder("recursive: true, after: delete, prune_empty: true"));
    sandbox.write("in/a/b/1.jpg", &jpeg(60, 60, 1));
    sandbox.write("in/full/2.jpg", &jpeg(60, 60, 2));
    sandbox.write("in/full/notes.txt", b"not ours");
    fs::create_dir(sandbox.path("in/never-filled")).unwrap();
    sandbox.once_expecting(2, 0);
    assert_eq!(
        sandbox.names("in"),
        ["full", "never-filled"],
        "{}",
        sandbox.tail()
    );
    assert_eq!(sandbox.names("in/full"), ["notes.txt"]);
    let sandbox = Sandbox::with(&folder("after: delete, prune_empty: true"));
    sandbox.write("in/1.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    assert!(sandbox.names("in").is_empty(), "the input itself stays");
}
