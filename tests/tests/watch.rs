use std::{fs, os::unix::fs::symlink};

use super::{
    pictures::{jpeg, png, size},
    sandbox::Sandbox,
};

#[test]
fn every_way_of_arriving_ends_in_a_marked_picture() {
    let mut sandbox = Sandbox::new();
    sandbox.write("in/before.jpg", &jpeg(100, 96, 1));
    sandbox.start();
    sandbox.write("in/copied.jpg", &jpeg(100, 96, 2));
    sandbox.rename_in("in/renamed.PNG", &png(100, 96, 3));
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
    assert_eq!(sandbox.lines("processed").len(), 5, "{}", sandbox.tail());
    assert_eq!(sandbox.names("in").len(), 5, "inputs are kept");
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
    let whole = jpeg(60, 60, 1);
    sandbox.write("other-name", &whole[..400]);
    fs::hard_link(sandbox.path("other-name"), sandbox.path("in/a.jpg")).unwrap();
    sandbox.start();
    sandbox.wait_for_line(&["not yet complete", "a.jpg"]);
    // Writing through another name raises no event in the folder.
    sandbox.write("other-name", &whole);
    sandbox.wait_for_picture("out/a.jpg");
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
