//! Folders that are not there when the daemon starts or reloads.

use std::{fs, process::Output};

use rustix::process::Signal;

use super::{
    pictures::{jpeg, size},
    sandbox::Sandbox,
};

const RETRY: &str = "retry: {first: 200ms, max: 400ms}\n";

fn check(sandbox: &Sandbox) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = sandbox.command(&["check"]).output().unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn an_input_that_is_missing_at_start_is_waited_for() {
    let config = "folders: [{input: in, output: out}, {input: late, output: other}]\n";
    let mut sandbox = Sandbox::with(config);
    let (code, said) = check(&sandbox);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("offline: No such file"), "{said}");
    assert!(
        said.contains("warning: ") && said.contains("late is missing; it is waited for"),
        "{said}"
    );
    sandbox.start();
    sandbox.wait_for_line(&["WARN", "late", "offline"]);
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("out/a.jpg");
    assert!(!sandbox.path("late").exists(), "a missing input was made");
    // The sandbox waits for 20 s, the daemon looks every 10 s.
    sandbox.write("coming/b.jpg", &jpeg(60, 60, 2));
    fs::rename(sandbox.path("coming"), sandbox.path("late")).unwrap();
    sandbox.wait_for_picture("other/b.jpg");
    sandbox.write("late/c.jpg", &jpeg(60, 60, 3));
    sandbox.wait_for_picture("other/c.jpg");
    sandbox.stop();
}

#[test]
fn the_default_output_of_a_missing_input_is_made_with_it_and_never_taken_for_input() {
    let mut sandbox = Sandbox::with(&format!(
        "folders: [{{input: late, recursive: true}}]\nrescan: 1s\n{RETRY}"
    ));
    let (code, said) = check(&sandbox);
    assert_eq!(code, Some(0), "{said}");
    sandbox.start();
    sandbox.wait_for_line(&["WARN", "late", "offline"]);
    sandbox.write("coming/sub/b.jpg", &jpeg(60, 60, 2));
    fs::rename(sandbox.path("coming"), sandbox.path("late")).unwrap();
    sandbox.wait_for_picture("late/output/sub/b.jpg");
    sandbox.write("late/c.jpg", &jpeg(60, 60, 3));
    sandbox.wait_for_picture("late/output/c.jpg");
    sandbox.stop();
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.names("late/output"), ["c.jpg", "sub"]);
}

#[test]
fn an_output_that_is_missing_at_start_is_waited_for() {
    let config = format!("folders: [{{input: in, output: nas/out}}]\n{RETRY}");
    let mut sandbox = Sandbox::with(&config);
    let (code, said) = check(&sandbox);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("nas/out is missing, and so is its parent"),
        "{said}"
    );
    sandbox.start();
    sandbox.wait_for_line(&["WARN", "nas/out", "offline"]);
    for picture in 0..5 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(60, 60, picture));
    }
    sandbox.wait_for_line(&["DEBUG", "failed again"]);
    assert!(!sandbox.path("nas").exists(), "a missing parent was made");
    fs::create_dir(sandbox.path("nas")).unwrap();
    for picture in 0..5 {
        size(&sandbox.wait_for_picture(&format!("nas/out/{picture}.jpg")));
    }
    sandbox.wait_for_line(&["output is back"]);
    sandbox.stop();
    assert_eq!(sandbox.lines(" WARN ").len(), 1, "{}", sandbox.tail());
}

#[test]
fn a_reload_takes_and_refuses_what_check_does() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let entry = "{input: late, output: other, after: {move_to: nas/done}}";
    sandbox.configure(&format!(
        "folders: [{{input: in, output: out}}, {entry}]\n{RETRY}"
    ));
    assert_eq!(check(&sandbox).0, Some(78));
    sandbox.signal(Signal::HUP);
    sandbox.wait_for_line(&[
        "ERROR",
        "reload rejected",
        "nas/done is missing, and so is its parent",
    ]);
    let (_, said) = super::operate::run(&sandbox, &["status"]);
    assert!(
        said.contains("reload: rejected, ") && said.contains("nas/done is missing"),
        "{said}"
    );

    fs::create_dir(sandbox.path("nas")).unwrap();
    assert_eq!(check(&sandbox).0, Some(0));
    sandbox.signal(Signal::HUP);
    sandbox.wait_for_line(&["configuration reloaded"]);
    sandbox.wait_for_line(&["WARN", "late", "offline"]);
    sandbox.wait_for_line(&["WARN", "reloaded with a warning", "late is missing"]);
    let (_, said) = super::operate::run(&sandbox, &["status"]);
    assert!(
        said.contains("reload: taken over, with warnings") && said.contains("late is missing"),
        "{said}"
    );
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.write("coming/b.jpg", &jpeg(60, 60, 2));
    fs::rename(sandbox.path("coming"), sandbox.path("late")).unwrap();
    sandbox.wait_for_picture("other/b.jpg");
    sandbox.wait_for("moved", |sandbox| sandbox.path("nas/done/b.jpg").exists());
    sandbox.stop();
}

#[cfg(unix)]
#[test]
fn a_start_without_the_mounts_that_were_written_to_waits_for_them() {
    use super::sandbox::Small;
    // One at its mount point, one below, one that only sources are moved to.
    let keys = "folders:\n- {input: in, output: one}\n\
                - {input: in2, output: two/out, after: {move_to: three}}\n";
    let mut sandbox = Sandbox::with(&format!("{keys}retry: {{first: 200ms, max: 400ms}}\n"));
    fs::create_dir(sandbox.path("in2")).unwrap();
    let names = ["one", "two", "three"];
    let mount = |sandbox: &Sandbox| -> Option<Vec<Small>> {
        let mount = |name| Small::mount(sandbox.path(name), "size=1g");
        names.into_iter().map(mount).collect()
    };
    let Some(mounts) = mount(&sandbox) else {
        return;
    };
    sandbox.start();
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.write("in2/a.jpg", &jpeg(60, 60, 1));
    sandbox.wait_for_picture("one/a.jpg");
    sandbox.wait_for_picture("three/a.jpg");
    sandbox.stop();
    drop(mounts);

    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.write("in2/b.jpg", &jpeg(60, 60, 2));
    sandbox.start();
    for name in ["one", "two"] {
        sandbox.wait_for_line(&["WARN", "gone with its mount", name]);
    }
    sandbox.wait_for("two tries", |sandbox| {
        sandbox.lines("failed again").len() >= 2
    });
    for name in names {
        assert_eq!(sandbox.names(name), [""; 0], "{name}");
    }
    // Two of them come back, the third does a little later.
    let mount = |name| Small::mount(sandbox.path(name), "size=1g").unwrap();
    let _two = [mount("one"), mount("two")];
    sandbox.wait_for_picture("one/b.jpg");
    sandbox.wait_for_picture("two/out/b.jpg");
    sandbox.wait_for_line(&["WARN", "three", "cannot leave"]);
    assert_eq!(sandbox.names("three"), [""; 0]);
    assert!(sandbox.path("in2/b.jpg").exists());
    let _third = mount("three");
    sandbox.wait_for_picture("three/b.jpg");
}

#[cfg(unix)]
#[test]
fn an_output_with_something_in_it_is_the_place_from_then_on() {
    use super::sandbox::Small;
    let mut sandbox = Sandbox::new();
    let Some(mount) = Small::mount(sandbox.path("out"), "size=1g") else {
        return;
    };
    sandbox.write("in/a.jpg", &jpeg(60, 60, 1));
    sandbox.once_expecting(1, 0);
    drop(mount);
    sandbox.write("out/.here", b"");
    sandbox.start();
    sandbox.write("in/b.jpg", &jpeg(60, 60, 2));
    sandbox.wait_for_picture("out/b.jpg");
}
