use std::fs;

use super::{
    pictures::{jpeg, png, size},
    sandbox::Sandbox,
};

#[test]
fn init_makes_a_folder_in_which_run_works_at_once() {
    let sandbox = Sandbox::new();
    let output = sandbox.command(&["init", "demo"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    sandbox.write("demo/in/a.jpg", &jpeg(90, 60, 1));
    for arguments in [
        &["check", "-c", "demo/config.yaml"][..],
        &["run", "--once", "-c", "demo/config.yaml"],
    ] {
        let output = sandbox
            .command(arguments)
            .env("STATE_DIRECTORY", sandbox.path("state"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(
        size(&fs::read(sandbox.path("demo/out/a.jpg")).unwrap()),
        (1620, 1080)
    );
    let again = sandbox.command(&["init", "demo"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("exists"),
        "{again:?}"
    );
}

#[test]
fn check_tells_how_each_folder_is_treated() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out, watch: poll}]\n");
    let output = sandbox.command(&["check"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "watch: poll (as configured)",
        "out",
        "output_height 48",
        "quality 80",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!sandbox.path("state").exists(), "check leaves no traces");
}

#[test]
fn preview_treats_one_picture_and_touches_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.png", &png(90, 60, 1));
    let output = sandbox
        .command(&["preview", "in/a.png", "-o", "shown.jpg"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = fs::read(sandbox.path("shown.jpg")).unwrap();
    assert!(shown.starts_with(&[0xff, 0xd8]));
    assert_eq!(size(&shown), (72, 48));
    assert!(sandbox.names("out").is_empty() && !sandbox.path("state").exists());
    let onto_itself = sandbox
        .command(&["preview", "in/a.png", "-o", "in/a.png"])
        .output()
        .unwrap();
    assert_eq!(onto_itself.status.code(), Some(1), "{onto_itself:?}");
}

#[test]
fn exit_codes_tell_usage_from_configuration() {
    let sandbox = Sandbox::new();
    for (arguments, config, code, told) in [
        (&["run", "--twice"][..], "", 2, "--twice"),
        (&["frobnicate"], "", 2, "frobnicate"),
        (&["run", "-c", "nowhere.yaml"], "", 78, "nowhere.yaml"),
        (
            &["check"],
            "watermark: {npy_path: mark.npy, qualty: 3}\nfolders: [{input: in}]\n",
            78,
            ":1: watermark.qualty",
        ),
        (
            &["run", "--once"],
            "watermark: {npy_path: mark.npy}\nfolders: [{input: none}]\n",
            78,
            "none",
        ),
        (
            &["run"],
            "watermark: {npy_path: mark.npy}\nfolders: [{input: in}]\nstatus: {listen: \"127.0.0.1:1\"}\n",
            78,
            "not supported yet",
        ),
    ] {
        if !config.is_empty() {
            sandbox.write("config.yaml", config.as_bytes());
        }
        let output = sandbox.command(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(told), "{told} is not in {error}");
    }
}
