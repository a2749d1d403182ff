use std::{fs, os::unix::fs::PermissionsExt};

use super::{
    pictures::{jpeg, size},
    sandbox::Sandbox,
};

#[test]
fn a_visible_file_is_a_complete_file() {
    let mut sandbox = Sandbox::new();
    for picture in 0..40 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(300, 300, picture));
    }
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
    sandbox.stop();
    assert!(
        sandbox
            .names("out")
            .iter()
            .all(|name| !name.starts_with('.')),
        "leftovers"
    );
    let mode = fs::metadata(sandbox.path("out/1.jpg"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o133, 0, "mode {mode:o} is more than 0644");
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
    sandbox.wait_for_line(&["WARN", "a.jpg", "publish", "is gone"]);
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
