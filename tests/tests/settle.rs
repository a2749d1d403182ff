use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    thread,
    time::Duration,
};

use super::{
    pictures::{jpeg, png},
    sandbox::Sandbox,
};

/// Longer than `settle`, so that the file is tried while its writer pauses.
const PAUSE: Duration = Duration::from_millis(700);

#[test]
fn a_writer_that_pauses_never_leads_to_a_partial_picture() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    for (name, bytes) in [
        ("slow.jpg", jpeg(640, 480, 1)),
        ("slow.png", png(320, 240, 2)),
    ] {
        sandbox.write(&format!("in/whole-{name}"), &bytes);
        let whole = sandbox.wait_for_picture(&format!("out/whole-{name}"));

        let path = format!("in/{name}");
        let mut file = fs::File::create(sandbox.path(&path)).unwrap();
        for part in bytes.chunks(bytes.len() / 3 + 1) {
            assert!(
                !sandbox.path(format!("out/{name}")).exists(),
                "published too early"
            );
            file.write_all(part).unwrap();
            // The writer keeps the file open: what is waited for is that the daemon tries.
            thread::sleep(PAUSE);
        }
        drop(file);
        assert!(
            whole == sandbox.wait_for_picture(&format!("out/{name}")),
            "{name} differs"
        );
        assert!(
            !sandbox.lines("not yet complete").is_empty(),
            "it was never tried early"
        );
    }
    assert!(sandbox.lines("ERROR").is_empty(), "{}", sandbox.tail());
}

#[test]
fn an_empty_or_preallocated_file_waits_for_its_bytes() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let bytes = jpeg(200, 200, 1);
    sandbox.write("in/empty.jpg", b"");
    sandbox.write("in/zeros.jpg", &vec![0; bytes.len()]);
    let mut tail_missing = bytes.clone();
    tail_missing[bytes.len() / 2..].fill(0);
    sandbox.write("in/half.jpg", &tail_missing);
    for name in ["empty.jpg", "zeros.jpg", "half.jpg"] {
        sandbox.wait_for_line(&["not yet complete", name]);
    }
    assert!(sandbox.names("out").is_empty());
    for name in ["empty.jpg", "zeros.jpg", "half.jpg"] {
        sandbox.write(&format!("in/{name}"), &bytes);
        sandbox.wait_for_picture(&format!("out/{name}"));
    }
    assert!(sandbox.lines("ERROR").is_empty(), "{}", sandbox.tail());
}

#[test]
fn a_picture_that_stays_truncated_fails_and_is_taken_up_when_it_changes() {
    let sandbox = Sandbox::new();
    let bytes = jpeg(200, 200, 1);
    sandbox.write("in/a.jpg", &bytes[..bytes.len() / 2]);
    // Its writer may go on.
    sandbox.once_expecting(0, 1);
    assert_eq!(sandbox.lines("the next run tries again").len(), 1);
    sandbox.leave_alone("in/a.jpg");
    sandbox.once_expecting(0, 1);
    assert!(
        sandbox.log().contains("has not changed since"),
        "{}",
        sandbox.tail()
    );
    assert!(sandbox.names("out").is_empty());
    sandbox.once_expecting(0, 0);
    sandbox.write("in/a.jpg", &bytes);
    sandbox.once_expecting(1, 0);
}

#[test]
fn a_picture_written_tail_first_is_not_published_with_a_hole() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let bytes = jpeg(640, 480, 1);
    sandbox.write("in/whole.jpg", &bytes);
    let whole = sandbox.wait_for_picture("out/whole.jpg");

    let (hole, end) = (bytes.len() / 2, bytes.len() - 1000);
    let mut file = fs::File::create(sandbox.path("in/a.jpg")).unwrap();
    file.write_all(&bytes[..hole]).unwrap();
    file.seek(SeekFrom::Start(end as u64)).unwrap();
    file.write_all(&bytes[end..]).unwrap();
    sandbox.wait_for_line(&["not yet complete", "a.jpg"]);
    assert!(!sandbox.path("out/a.jpg").exists(), "published with a hole");
    file.seek(SeekFrom::Start(hole as u64)).unwrap();
    file.write_all(&bytes[hole..end]).unwrap();
    drop(file);
    assert!(
        whole == sandbox.wait_for_picture("out/a.jpg"),
        "another picture came out"
    );
}

#[test]
fn a_png_written_tail_first_is_waited_for() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let bytes = png(640, 480, 1);
    let (hole, end) = (bytes.len() / 3, bytes.len() - 1000);
    assert!(end - hole > 2000, "{} bytes", bytes.len());
    let mut gap = bytes.clone();
    gap[hole..end].fill(0);
    sandbox.write("in/a.png", &gap);
    sandbox.wait_for_line(&["not yet complete", "a.png"]);
    sandbox.write("in/a.png", &bytes);
    sandbox.wait_for_picture("out/a.png");
    assert_eq!(sandbox.lines("ERROR"), [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_jpeg_with_parts_that_were_never_written_waits_for_them() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    // A hole of whole blocks among the samples.
    let picture = jpeg(900, 700, 1);
    let hole = 0x4000..0xc000;
    assert!(picture.len() > 2 * hole.end, "{} bytes", picture.len());
    let mut file = fs::File::create(sandbox.path("in/a.jpg")).unwrap();
    file.write_all(&picture[..hole.start]).unwrap();
    file.seek(SeekFrom::Start(hole.end as u64)).unwrap();
    file.write_all(&picture[hole.end..]).unwrap();
    drop(file);
    let waits = |sandbox: &Sandbox, times| {
        sandbox.wait_for("a try", |sandbox| {
            sandbox.lines("not yet complete").len() >= times
        });
        assert!(!sandbox.path("out/a.jpg").exists());
    };
    waits(&sandbox, 1);
    // Its writer has come half the way.
    let path = sandbox.path("in/a.jpg");
    let before = sandbox.lines("not yet complete").len();
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(hole.start as u64)).unwrap();
    let middle = hole.start.midpoint(hole.end);
    file.write_all(&picture[hole.start..middle]).unwrap();
    waits(&sandbox, before + 1);
    file.write_all(&picture[middle..hole.end]).unwrap();
    drop(file);
    sandbox.wait_for_picture("out/a.jpg");
    assert_eq!(sandbox.lines("WARN"), [""; 0], "{}", sandbox.tail());
}

#[test]
fn a_picture_that_lacks_only_its_end_is_published_once_it_is_left_alone() {
    let mut sandbox = Sandbox::new();
    let bytes = jpeg(640, 480, 1);
    // As Samsung's panoramas have it.
    let panorama = [&bytes[..bytes.len() - 2], b"SEFH a trailer SEFT"].concat();
    let png = png(64, 48, 1);
    let others = [
        ("in/panorama.jpg", &panorama[..]),
        ("in/open.png", &png[..png.len() - 12]),
    ];
    for (name, bytes) in others {
        sandbox.write(name, bytes);
    }
    sandbox.write("in/open.jpg", &bytes[..bytes.len() - 2]);
    sandbox.write("in/cut.jpg", &bytes[..bytes.len() - 200]);
    sandbox.start();
    // While it may still grow it waits.
    sandbox.wait_for_line(&["not yet complete", "open.jpg"]);
    sandbox.stop();
    sandbox.once_expecting(0, 4);
    assert!(sandbox.names("out").is_empty());
    for name in [
        "in/open.jpg",
        "in/cut.jpg",
        "in/panorama.jpg",
        "in/open.png",
    ] {
        sandbox.leave_alone(name);
    }
    sandbox.once_expecting(3, 1);
    assert_eq!(
        sandbox.names("out"),
        ["open.jpg", "open.png", "panorama.jpg"]
    );
}

#[test]
fn a_damaged_picture_is_published_as_far_as_it_goes_once_it_is_left_alone() {
    let sandbox = Sandbox::new();
    let mut bytes = jpeg(640, 480, 1);
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0);
    sandbox.write("in/a.jpg", &bytes);
    sandbox.leave_alone("in/a.jpg");
    sandbox.once_expecting(1, 0);
    assert!(sandbox.log().contains("damaged"), "{}", sandbox.tail());
}

/// A picture that was whole when it was opened may be written to before it is read. The worker is
/// held up in between by a ledger that another process is writing to.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_changes_before_it_is_read_is_not_taken() {
    use std::os::unix::fs::FileExt;
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let ledger = rusqlite::Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let bytes = jpeg(60, 60, 1);
    sandbox.rename_in("in/a.jpg", &bytes);
    let source = sandbox.path("in/a.jpg");
    let fds = format!("/proc/{}/fd", sandbox.pid());
    sandbox.wait_for("a worker to open the file", |_| {
        let mut fds = fs::read_dir(&fds).unwrap();
        fds.any(|fd| fs::read_link(fd.unwrap().path()).is_ok_and(|path| path == source))
    });
    // Of the same length, so that only its time tells.
    let file = fs::File::options().write(true).open(&source).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    drop(file);
    ledger.execute_batch("ROLLBACK").unwrap();
    sandbox.wait_for_line(&["still being written", "a.jpg"]);
    sandbox.wait_for_picture("out/a.jpg");
}
