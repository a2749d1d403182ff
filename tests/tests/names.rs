//! Names that two pictures share, that the output takes for the same, or that it does not take.

use std::{
    fs,
    io::Write,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::{
    fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with},
    io::Errno,
};

use super::{
    pictures::{jpeg, size},
    sandbox::{FOLDERS, Sandbox, skip},
};

#[test]
fn a_picture_whose_namesake_has_left_gets_a_number() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out, after: delete}]\n");
    sandbox.start();
    let mut results = Vec::new();
    for (seed, name) in [(1, "a.jpg"), (2, "a.1.jpg"), (3, "a.2.jpg")] {
        sandbox.write("in/a.jpg", &jpeg(60 + seed, 60, seed));
        results.push((name, sandbox.wait_for_picture(&format!("out/{name}"))));
        sandbox.wait_for("it to leave", |sandbox| !sandbox.path("in/a.jpg").exists());
    }
    sandbox.wait_for_line(&["WARN", "a.1.jpg", "another picture's"]);
    sandbox.wait_for_line(&["processed", "out/a.2.jpg"]);
    sandbox.stop();
    for (name, bytes) in &results {
        assert!(fs::read(sandbox.path(format!("out/{name}"))).unwrap() == *bytes);
    }
    // The same picture once more is the same result.
    sandbox.write("in/a.jpg", &jpeg(61, 60, 1));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.2.jpg", "a.jpg"]);
}

#[test]
fn a_picture_that_stays_and_changes_replaces_its_own_result() {
    let mut sandbox = Sandbox::with(FOLDERS);
    sandbox.start();
    for width in [60, 90, 120] {
        sandbox.write("in/a.jpg", &jpeg(width, 60, 1));
        sandbox.wait_for("the picture", |sandbox| {
            fs::read(sandbox.path("out/a.jpg")).is_ok_and(|bytes| size(&bytes).0 == width * 48 / 60)
        });
    }
    assert_eq!(sandbox.names("out"), ["a.jpg"]);
    assert!(sandbox.lines("WARN").is_empty(), "{}", sandbox.tail());
}

#[test]
fn a_result_whose_record_was_lost_is_made_once() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out, after: delete}]\n");
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    // After the rename, before the ledger learns of it.
    if !sandbox.once_killed_at("renameat") {
        return;
    }
    sandbox.once_expecting(1, 0);
    fs::remove_dir_all(sandbox.path("state")).unwrap();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out"), ["a.jpg"]);
}

/// An exFAT file system, which folds case, has no colons, links or exclusive renames, and whole
/// seconds.
struct Exfat {
    folder: PathBuf,
    device: String,
}

impl Exfat {
    fn mount(sandbox: &Sandbox, name: &str) -> Option<Exfat> {
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().ok()?;
            let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(told)
        };
        let (image, folder) = (sandbox.path("exfat"), sandbox.path(name));
        fs::create_dir_all(&folder).unwrap();
        fs::File::create(&image)
            .unwrap()
            .set_len(300 << 20)
            .unwrap();
        let image = image.to_str().unwrap();
        let mount = || {
            run("mkfs.exfat", &[image])?;
            let device = run("losetup", &["-f", "--show", image])?;
            let mounted = run("mount.exfat-fuse", &[&device, folder.to_str()?]);
            Some((device, mounted.is_some()))
        };
        let mounted = mount();
        let exfat = mounted.map(|(device, mounted)| (Exfat { folder, device }, mounted));
        let Some((exfat, true)) = exfat else {
            skip("exFAT cannot be mounted here");
            return None;
        };
        Some(exfat)
    }
}

impl Drop for Exfat {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.folder).status());
        drop(Command::new("losetup").args(["-d", &self.device]).status());
    }
}

#[test]
fn names_that_the_output_folds_are_two_pictures() {
    let sandbox = Sandbox::with("folders: [{input: in, output: card/out, after: delete}]\n");
    let Some(_card) = Exfat::mount(&sandbox, "card") else {
        return;
    };
    sandbox.write("in/IMG_1.JPG", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    sandbox.write("in/img_1.jpg", &jpeg(90, 60, 2));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("card/out"), ["IMG_1.JPG", "img_1.1.jpg"]);
    let read = |name: &str| size(&fs::read(sandbox.path(name)).unwrap());
    assert_eq!(read("card/out/IMG_1.JPG"), (48, 48));
    assert_eq!(read("card/out/img_1.1.jpg"), (72, 48));
}

#[test]
fn a_source_keeps_its_number_when_it_is_made_again() {
    let sandbox = Sandbox::with("folders: [{input: in, output: card/out}]\n");
    let Some(_card) = Exfat::mount(&sandbox, "card") else {
        return;
    };
    sandbox.write("in/IMG_1.JPG", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    for width in [90, 120] {
        sandbox.write("in/img_1.jpg", &jpeg(width, 60, 2));
        sandbox.once_expecting(1, 0);
        assert_eq!(sandbox.names("card/out"), ["IMG_1.JPG", "img_1.1.jpg"]);
        let made = fs::read(sandbox.path("card/out/img_1.1.jpg")).unwrap();
        assert_eq!(size(&made), (width * 48 / 60, 48));
    }
}

#[test]
fn a_name_that_the_output_does_not_take_fails_and_says_so() {
    let sandbox = Sandbox::with(
        "folders: [{input: in, output: card/out, recursive: true, on_failure: {move_to: failed}}]\n",
    );
    let Some(_card) = Exfat::mount(&sandbox, "card") else {
        return;
    };
    for name in ["in/12:30.jpg", "in/a:b/c.jpg", "in/whole.jpg"] {
        sandbox.write(name, &jpeg(60, 60, 1));
    }
    sandbox.once_expecting(1, 2);
    let failed = sandbox.lines("ERROR");
    assert_eq!(failed.len(), 2, "{}", sandbox.tail());
    for line in failed {
        assert!(line.contains("does not take this name"), "{line}");
    }
    assert_eq!(sandbox.names("failed"), ["12:30.jpg", "a:b"]);
    assert_eq!(sandbox.names("card/out"), ["whole.jpg"]);
}

/// Killed at each call that changes something: there is exactly one whole copy then, and no other.
#[test]
fn a_move_to_another_file_system_leaves_one_whole_copy_whenever_it_is_killed() {
    let calls = "fsync,renameat,renameat2,linkat,unlinkat,utimensat,fchmod,copy_file_range";
    let picture = jpeg(60, 60, 1);
    for number in 1.. {
        let sandbox =
            Sandbox::with("folders: [{input: in, output: out, after: {move_to: card/done}}]\n");
        let Some(_card) = Exfat::mount(&sandbox, "card") else {
            return;
        };
        sandbox.write("in/a.jpg", &picture);
        let Some(killed) = sandbox.once_killed_at_number(calls, number) else {
            return;
        };
        sandbox.once();
        assert_eq!(sandbox.names("card/done"), ["a.jpg"], "killed at {number}");
        assert!(fs::read(sandbox.path("card/done/a.jpg")).unwrap() == picture);
        assert_eq!(sandbox.names("in"), [""; 0], "killed at {number}");
        assert_eq!(sandbox.names("out"), ["a.jpg"], "killed at {number}");
        if !killed {
            assert!(number > 10, "only {number} calls");
            return;
        }
    }
}

/// Folders are exchanged for links to elsewhere, over and over, while pictures come.
#[test]
fn links_that_are_swapped_in_lead_nowhere() {
    const SWAPS: usize = 10_000;
    const SECRETS: u32 = 2000;
    let mut sandbox = Sandbox::with(
        "folders: [{input: in, recursive: true, after: {move_to: done}}]\n\
         retry: {first: 100ms, max: 200ms}\nrescan: 1s\n",
    );
    // Of the names that the pictures have, and of another shape.
    let secret = jpeg(240, 60, 1);
    for number in 0..SECRETS {
        sandbox.write(&format!("outside/{number}.jpg"), &secret);
    }
    for name in ["in/sub/x", "in/output/sub/x", "done/sub/x"] {
        sandbox.write(name, b"");
    }
    let pairs = ["in/sub", "in/output/sub", "in/output", "done/sub"].map(|name| {
        let link = sandbox.path(name.replace('/', "-"));
        symlink(sandbox.path("outside"), &link).unwrap();
        (sandbox.path(name), link)
    });
    sandbox.start();
    let ended = AtomicBool::new(false);
    let mut pictures = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for (folder, link) in pairs.iter().cycle().take(4 * SWAPS) {
                // One that lies in another may be elsewhere now.
                let swapped = renameat_with(CWD, folder, CWD, link, RenameFlags::EXCHANGE);
                assert!(matches!(swapped, Ok(()) | Err(Errno::NOENT)), "{swapped:?}");
                thread::sleep(Duration::from_micros(50));
            }
            ended.store(true, Ordering::Release);
        });
        while !ended.load(Ordering::Acquire) && pictures < SECRETS {
            if let Ok(file) = create_in(&sandbox.path("in/sub"), &format!("{pictures}.jpg")) {
                fs::File::from(file)
                    .write_all(&jpeg(60, 60, pictures))
                    .unwrap();
                pictures += 1;
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
    // Some exchanges met a folder that was elsewhere. In the end all folders are back at their places.
    for name in ["in/output", "in/output/sub", "in/sub", "done/sub"] {
        let (folder, link) = pairs
            .iter()
            .find(|(folder, _)| *folder == sandbox.path(name))
            .unwrap();
        if fs::symlink_metadata(folder).unwrap().is_symlink() {
            renameat_with(CWD, folder, CWD, link, RenameFlags::EXCHANGE).unwrap();
        }
    }
    sandbox.wait_for("pictures", |sandbox| sandbox.log().contains("processed"));
    sandbox.stop();
    assert_eq!(sandbox.names("outside").len(), SECRETS as usize);
    for number in 0..SECRETS {
        let path = sandbox.path(format!("outside/{number}.jpg"));
        assert!(fs::read(&path).unwrap() == secret, "{}", path.display());
    }
    let wide = format!(" {}x48 ", 240 * 48 / 60);
    assert!(!sandbox.log().contains(&wide), "{}", sandbox.tail());
    assert!(pictures > 100, "only {pictures} pictures");
}

/// Creates a file in a folder, unless that is a link.
fn create_in(folder: &Path, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let folder = openat(CWD, folder, flags, Mode::empty())?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
    openat(folder, name, flags, Mode::from_raw_mode(0o644))
}

#[test]
fn an_output_that_others_made_a_link_is_not_used() {
    let mut sandbox = Sandbox::with("folders: [{input: in}]\n");
    fs::create_dir(sandbox.path("outside")).unwrap();
    symlink(sandbox.path("outside"), sandbox.path("in/output")).unwrap();
    // Our own link, where nobody else may write, is the operator's.
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("outside"), ["a.jpg"]);
    // Where others may write it may be theirs.
    let mode = PermissionsExt::from_mode(0o777);
    fs::set_permissions(sandbox.path("in"), mode).unwrap();
    sandbox.start();
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_line(&["WARN", "output", "symbolic link that others may have made"]);
    sandbox.stop();
    assert_eq!(sandbox.names("outside"), ["a.jpg"]);
}

#[test]
fn links_beside_the_ledger_and_the_log_are_not_followed() {
    let sandbox = Sandbox::with("folders: [{input: in}]\n");
    sandbox.once_expecting(0, 0);
    let outside = sandbox.path("outside");
    sandbox.write("outside/file", b"kept");
    let ledger = "state/ledger.sqlite";
    for ending in ["", ".lock", ".pid"] {
        let name = sandbox.path(format!("{ledger}{ending}"));
        fs::remove_file(&name).unwrap();
        symlink(outside.join("file"), &name).unwrap();
        let output = sandbox.once();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{told}");
        let named = format!("{} is a link", name.display());
        assert!(told.contains(&named), "{told}");
        fs::remove_file(&name).unwrap();
    }
    let (log, aside) = (sandbox.path("log"), sandbox.path("log-before"));
    fs::rename(&log, aside).unwrap();
    fs::create_dir(&log).unwrap();
    for name in sandbox.names("log-before") {
        symlink(outside.join("file"), log.join(name)).unwrap();
    }
    let output = sandbox.once();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"kept");
    assert_eq!(sandbox.names("outside"), ["file"]);
}

/// As root a command would else make and remove files wherever the link leads.
#[test]
fn a_command_notifies_through_no_link() {
    let mut sandbox = Sandbox::with("folders: [{input: in}]\n");
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    fs::create_dir(sandbox.path("outside")).unwrap();
    sandbox.start();
    let bell = sandbox.path("state/ledger.sqlite.bell");
    fs::remove_dir(&bell).unwrap();
    symlink(sandbox.path("outside"), &bell).unwrap();
    let before = fs::metadata(sandbox.path("outside"))
        .unwrap()
        .modified()
        .unwrap();
    let output = sandbox
        .command(&["reprocess", "in/a.jpg"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("was not told"), "{output:?}");
    let after = fs::metadata(sandbox.path("outside"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
    sandbox.stop();
}
