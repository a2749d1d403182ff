//! What Windows does otherwise than the rest: names, events, the end of a process.

use std::{
    fs,
    io::Write,
    path::{MAIN_SEPARATOR_STR, PathBuf},
    time::{Duration, Instant},
};

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};

use super::{
    pictures::{jpeg, png, size},
    sandbox::Sandbox,
};

/// Characters that the name of a file may have where it is not in the canonical form.
const MAX_PATH: usize = 260;

/// Presses Ctrl-Break for a process that leads a group of its own. Returns whether that is possible:
/// it is not without a console, nor with any in Wine 8.
#[expect(unsafe_code, reason = "std sends no such events")]
pub fn send_break(pid: u32) -> bool {
    // SAFETY: the call takes two numbers.
    unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, pid) != 0 }
}

/// Subfolders that make any name in them longer than Windows takes as it stands.
fn deep(start: &str) -> String {
    let folder = "a-folder-with-a-name-of-forty-characters";
    let deep: PathBuf = [start].into_iter().chain([folder; 7]).collect();
    deep.to_str().unwrap().replace(MAIN_SEPARATOR_STR, "/")
}

fn is_long(sandbox: &Sandbox, name: &str) -> bool {
    sandbox.path(name).to_str().unwrap().chars().count() > MAX_PATH
}

#[test]
fn paths_below_a_folder_may_be_longer_than_260_characters() {
    let mut sandbox = Sandbox::with(
        "folders: [{input: in, output: out, recursive: true, on_failure: {move_to: failed}, after: {move_to: done}}]\nrescan: 1s\n",
    );
    let early = deep("in") + "/early.jpg";
    sandbox.write(&early, &jpeg(90, 60, 1));
    assert!(is_long(&sandbox, &early));
    sandbox.once_expecting(1, 0);
    sandbox.start();
    sandbox.write(&(deep("in") + "/late.png"), &png(90, 60, 2));
    sandbox.write(&(deep("in") + "/bad.jpg"), b"no picture");
    for name in ["/early.jpg", "/late.png"] {
        let bytes = fs::read(sandbox.path(deep("done") + name));
        sandbox.wait_for_picture(&(deep("out") + name));
        if let Ok(bytes) = bytes {
            assert_eq!(size(&bytes), (90, 60), "{name}");
        }
    }
    for name in [
        deep("done") + "/early.jpg",
        deep("done") + "/late.png",
        deep("failed") + "/bad.jpg",
    ] {
        sandbox.wait_for(&name, |sandbox| sandbox.path(&name).exists());
    }
    assert_eq!(sandbox.names(deep("in").as_str()), [""; 0]);
    sandbox.stop();
    assert!(sandbox.lines("WARN").is_empty(), "{}", sandbox.tail());
}

#[test]
#[ignore = "Wine 8 resolves no names of that length"]
fn folders_themselves_may_have_longer_names() {
    let (input, output) = (deep("in"), deep("out"));
    let mut sandbox = Sandbox::with(&format!(
        "folders: [{{input: {input}, output: {output}}}]\n"
    ));
    fs::create_dir_all(sandbox.path(&output)).unwrap();
    sandbox.write(&(input.clone() + "/early.jpg"), &jpeg(90, 60, 1));
    let check = sandbox.command(&["check"]).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    sandbox.start();
    sandbox.wait_for_picture(&(output.clone() + "/early.jpg"));
    // Told by an event: the next scan is minutes away.
    sandbox.write(&(input + "/late.jpg"), &jpeg(90, 60, 2));
    sandbox.wait_for_picture(&(output + "/late.jpg"));
    sandbox.stop();
    assert!(sandbox.lines("WARN").is_empty(), "{}", sandbox.tail());
}

#[test]
fn every_way_of_arriving_ends_in_a_marked_picture() {
    let mut sandbox = Sandbox::new();
    sandbox.write("in/before.jpg", &jpeg(100, 96, 1));
    sandbox.start();
    sandbox.write("in/copied.jpg", &jpeg(100, 96, 2));
    sandbox.rename_in("in/renamed.PNG", &png(100, 96, 3));
    sandbox.write("beside", &jpeg(100, 96, 4));
    fs::hard_link(sandbox.path("beside"), sandbox.path("in/linked.JPEG")).unwrap();
    sandbox.write("in/temporary", &jpeg(100, 96, 5));
    fs::rename(sandbox.path("in/temporary"), sandbox.path("in/final.jpg")).unwrap();
    let bytes = jpeg(100, 96, 6);
    let mut grown = fs::File::create(sandbox.path("in/grown.jpg")).unwrap();
    for part in bytes.chunks(bytes.len() / 3) {
        grown.write_all(part).unwrap();
    }
    drop(grown);
    for name in [
        "before.jpg",
        "copied.jpg",
        "renamed.PNG",
        "linked.JPEG",
        "final.jpg",
        "grown.jpg",
    ] {
        let picture = sandbox.wait_for_picture(&format!("out/{name}"));
        assert_eq!(size(&picture), (50, 48), "{name}");
    }
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 6, "{}", sandbox.tail());
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
    sandbox.stop();
}

#[test]
fn subfolders_that_arrive_whole_are_mirrored() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: in/out, recursive: true}]\nrescan: 1s\n");
    sandbox.start();
    sandbox.write("in/new/deep/a.jpg", &jpeg(60, 60, 1));
    sandbox.write("moved/x/b.jpg", &jpeg(60, 60, 2));
    fs::rename(sandbox.path("moved"), sandbox.path("in/moved")).unwrap();
    for name in ["new/deep/a.jpg", "moved/x/b.jpg"] {
        sandbox.wait_for_picture(&format!("in/out/{name}"));
    }
    sandbox.stop();
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("in/out"), ["moved", "new"]);
}

#[test]
fn a_file_that_its_writer_shares_with_nobody_is_waited_for() {
    use std::os::windows::fs::OpenOptionsExt;
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out}]\nretry: {first: 200ms, max: 400ms}\n");
    sandbox.start();
    // As Explorer and most programs write.
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .share_mode(0)
        .open(sandbox.path("in/a.jpg"))
        .unwrap();
    file.write_all(&jpeg(60, 60, 1)).unwrap();
    sandbox.wait_for_line(&["a.jpg", "os error 32"]);
    assert!(!sandbox.path("out/a.jpg").exists());
    drop(file);
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.stop();
    assert!(sandbox.lines("ERROR").is_empty(), "{}", sandbox.tail());
}

#[test]
fn a_running_daemon_takes_up_what_is_asked_for() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("out/a.jpg");
    let told = |arguments: &[&str]| {
        let output = sandbox.command(arguments).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let running = format!("pid {}", sandbox.pid());
    sandbox.wait_for("done", |_| {
        told(&["explain", "in/a.jpg"]).contains(": done")
    });
    assert!(
        told(&["status"]).contains(&running),
        "{}",
        told(&["status"])
    );
    fs::remove_file(sandbox.path("out/a.jpg")).unwrap();
    let answer = told(&["reprocess", "in/a.jpg"]);
    let asked = Instant::now();
    assert_eq!(answer, "1 file will be tried again now\n");
    sandbox.wait_for_picture("out/a.jpg");
    assert!(asked.elapsed() < Duration::from_secs(2));
    sandbox.stop();
    let answer = sandbox.command(&["status"]).output().unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.contains("not running"), "{answer}");
}
