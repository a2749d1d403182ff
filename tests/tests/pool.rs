use std::{collections::BTreeMap, fs};

use rustix::process::Signal;

use super::{
    pictures::{jpeg, png},
    sandbox::{FOLDERS, Sandbox},
};

/// Thread ids by name.
fn workers(sandbox: &Sandbox) -> BTreeMap<String, u32> {
    fs::read_dir(format!("/proc/{}/task", sandbox.pid()))
        .unwrap()
        .map(|task| task.unwrap().path())
        .filter_map(|task| {
            // A thread may end while it is looked at.
            let name = fs::read_to_string(task.join("comm"))
                .ok()?
                .trim()
                .to_owned();
            let id = task.file_name().unwrap().to_str().unwrap().parse().unwrap();
            name.starts_with("worker-").then_some((name, id))
        })
        .collect()
}

#[test]
fn the_same_threads_live_over_batches_and_reloads() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let first = workers(&sandbox);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["worker-0", "worker-1"]);
    for batch in 0..3 {
        for picture in 0..6 {
            sandbox.write(&format!("in/{batch}-{picture}.jpg"), &jpeg(90, 90, picture));
        }
        sandbox.wait_for("the batch", |sandbox| {
            sandbox.lines(" pictures/s").len() == batch + 1
        });
    }
    assert_eq!(workers(&sandbox), first);

    for (count, names) in [
        (3, &["worker-0", "worker-1", "worker-2"][..]),
        (1, &["worker-0"]),
    ] {
        sandbox.configure(
            &FOLDERS.replace("folders", &format!("max_pixels: 9{count}000000\nfolders")),
        );
        let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
        let config = config.replace("workers: 2", &format!("workers: {count}"));
        sandbox.write("config.yaml", config.as_bytes());
        sandbox.signal(Signal::HUP);
        sandbox.wait_for("the new number of workers", |sandbox| {
            workers(sandbox).keys().eq(names.iter())
        });
        assert_eq!(
            workers(&sandbox)["worker-0"],
            first["worker-0"],
            "the thread was replaced"
        );
    }
    sandbox.write("in/last.jpg", &jpeg(90, 90, 9));
    sandbox.wait_for_picture("out/last.jpg");
}

#[test]
fn bad_pictures_fail_with_a_reason_and_disturb_nothing_else() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out}]\nmax_pixels: 100000\n");
    let mut corrupt = png(90, 90, 1);
    // The checksum of its header.
    corrupt[29] ^= 1;
    let bad: [(&str, Vec<u8>, &str); 4] = [
        (
            "text.jpg",
            b"this is a text, and no picture at all".to_vec(),
            "decode",
        ),
        (
            "gif.png",
            b"GIF89a\x01\x00\x01\x00\x00\x00\x00;".repeat(9),
            "decode",
        ),
        ("corrupt.png", corrupt, "decode"),
        ("huge.jpg", jpeg(400, 400, 1), "max_pixels"),
    ];
    sandbox.start();
    for (index, (name, bytes, _)) in bad.iter().enumerate() {
        sandbox.write(&format!("in/{name}"), bytes);
        let seed = u32::try_from(index).unwrap();
        sandbox.write(&format!("in/good-{index}.jpg"), &jpeg(90, 90, seed));
    }
    for (index, (name, _, reason)) in bad.iter().enumerate() {
        sandbox.wait_for_line(&["ERROR", "failed", name, reason]);
        sandbox.wait_for_picture(&format!("out/good-{index}.jpg"));
    }
    sandbox.stop();
    assert_eq!(sandbox.names("out").len(), bad.len());
    let ledger = rusqlite::Connection::open(sandbox.path("state/ledger.sqlite")).unwrap();
    let mut select = ledger
        .prepare("SELECT path, reason FROM file WHERE state = 'failed' ORDER BY path")
        .unwrap();
    let failed: Vec<(String, String)> = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["corrupt.png", "gif.png", "huge.jpg", "text.jpg"]);
    assert!(
        failed.iter().all(|(_, reason)| !reason.is_empty()),
        "{failed:?}"
    );
    // A failure is a fate: the next run leaves it alone.
    sandbox.once_expecting(0, 0);
}

#[test]
fn a_file_touched_while_it_waits_is_one_job() {
    let mut sandbox = Sandbox::new();
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let config = config
        .replace("workers: 2", "workers: 1")
        .replace("30ms", "5ms");
    sandbox.write("config.yaml", config.as_bytes());
    for picture in 0..10 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(2000, 1500, picture));
    }
    sandbox.start();
    while sandbox.names("out").len() < 10 {
        for picture in 0..10 {
            // An open for writing that writes nothing still ends in a close event.
            let path = sandbox.path(format!("in/{picture}.jpg"));
            drop(fs::File::options().append(true).open(path).unwrap());
        }
    }
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 10, "{}", sandbox.tail());
}
