use std::{fs, process::Output};

use super::{
    pictures::{jpeg, size},
    sandbox::Sandbox,
};

/// Runs `apply` in the sandbox with exactly these arguments, without any configuration.
fn apply(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    command(sandbox, arguments).output().unwrap()
}

fn command(sandbox: &Sandbox, arguments: &[&str]) -> std::process::Command {
    let program = sandbox.command(&[]).get_program().to_owned();
    let mut command = std::process::Command::new(program);
    command.arg("apply").args(arguments);
    command.current_dir(sandbox.path(""));
    command
}

fn told(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn pictures_are_marked_without_configuration_and_ledger() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jpg", &jpeg(600, 400, 1));
    sandbox.write("b.jpg", &jpeg(300, 200, 2));
    let output = apply(
        &sandbox,
        &["a.jpg", "b.jpg", "-o", "marked", "--text", "© Jane"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(
        told(&output).contains("2 pictures, 0 failed"),
        "{}",
        told(&output)
    );
    assert_eq!(sandbox.names("marked"), ["a.jpg", "b.jpg"]);
    for (name, wanted) in [("a.jpg", (600, 400)), ("b.jpg", (300, 200))] {
        let made = fs::read(sandbox.path("marked").join(name)).unwrap();
        assert_eq!(size(&made), wanted);
        assert_ne!(made, fs::read(sandbox.path(name)).unwrap());
    }
    assert!(!sandbox.path("state").exists(), "a ledger was made");

    let small = [
        "a.jpg", "-o", "web", "--mark", "mark.npy", "--height", "100", "--scale", "none",
    ];
    let output = apply(&sandbox, &small);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let made = fs::read(sandbox.path("web/a.jpg")).unwrap();
    assert_eq!(size(&made), (150, 100));

    let output = apply(
        &sandbox,
        &["a.jpg", "-o", "as-configured", "-c", "config.yaml"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let made = fs::read(sandbox.path("as-configured/a.jpg")).unwrap();
    assert_eq!(size(&made), (72, 48));
}

#[test]
fn nothing_that_is_there_is_replaced_unasked_and_a_source_never() {
    let sandbox = Sandbox::new();
    for name in ["x/a.jpg", "y/a.jpg"] {
        sandbox.write(name, &jpeg(60, 60, 1));
    }
    sandbox.write("out/b.jpg", b"of somebody else");
    sandbox.write("b.jpg", &jpeg(60, 60, 2));
    let arguments = ["x/a.jpg", "y/a.jpg", "b.jpg", "-o", "out", "--text", "x"];
    let output = apply(&sandbox, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("b.jpg: is there already; --force replaces it"));
    assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.jpg", "b.jpg"]);
    assert_eq!(
        fs::read(sandbox.path("out/b.jpg")).unwrap(),
        b"of somebody else"
    );

    let output = apply(&sandbox, &[&arguments[..], &["--force"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.jpg", "b.jpg"]);
    size(&fs::read(sandbox.path("out/b.jpg")).unwrap());

    let before = fs::read(sandbox.path("x/a.jpg")).unwrap();
    let output = apply(&sandbox, &["x", "-o", "x", "--text", "x", "--force"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(
        told(&output).contains("is a source itself"),
        "{}",
        told(&output)
    );
    assert_eq!(fs::read(sandbox.path("x/a.jpg")).unwrap(), before);
    assert_eq!(sandbox.names("x"), ["a.jpg"]);
}

#[test]
fn folders_are_taken_with_their_pictures_and_mirrored() {
    let sandbox = Sandbox::new();
    for name in ["from/a.jpg", "from/sub/b.jpg", "from/sub/.c.jpg"] {
        sandbox.write(name, &jpeg(60, 60, 1));
    }
    sandbox.write("from/list.txt", b"no picture");
    let plan = apply(
        &sandbox,
        &["from", "-r", "-o", "from/out", "--text", "x", "--dry-run"],
    );
    assert_eq!(plan.status.code(), Some(0), "{}", told(&plan));
    for part in [
        "from/a.jpg → from/out/a.jpg",
        "sub/b.jpg",
        "2 pictures, nothing was written",
    ] {
        assert!(told(&plan).contains(part), "{part}: {}", told(&plan));
    }
    assert!(!sandbox.path("from/out").exists());

    // The second time the results are no pictures to be marked.
    for force in [None, Some("--force")] {
        let mut arguments = vec!["from", "-r", "-o", "from/out", "--text", "x"];
        arguments.extend(force);
        let output = apply(&sandbox, &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        assert_eq!(sandbox.names("from/out"), ["a.jpg", "sub"]);
        assert_eq!(sandbox.names("from/out/sub"), ["b.jpg"]);
    }
    let output = apply(&sandbox, &["from", "-o", "flat", "--text", "x", "-q"]);
    assert_eq!(told(&output), "");
    assert_eq!(sandbox.names("flat"), ["a.jpg"]);
}

#[test]
fn what_cannot_be_made_is_named_and_the_rest_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.jpg", b"this is no picture");
    let whole = jpeg(600, 600, 1);
    sandbox.write("cut.jpg", &whole[..whole.len() / 2]);
    sandbox.write("good.jpg", &whole);
    let files = ["bad.jpg", "cut.jpg", "good.jpg", "gone.jpg", "notes.txt"];
    let output = apply(
        &sandbox,
        &[&files[..], &["-o", "out", "--text", "x"]].concat(),
    );
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    for part in [
        "bad.jpg: ",
        "cut.jpg: decode: ",
        "gone.jpg: ",
        "1 pictures, 4 failed",
    ] {
        assert!(told(&output).contains(part), "{part}: {}", told(&output));
    }
    assert_eq!(sandbox.names("out"), ["good.jpg"]);
}

#[test]
fn wrong_arguments_end_with_2_and_a_bad_configuration_with_78() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jpg", &jpeg(60, 60, 1));
    sandbox.write("bad.yaml", b"watermark: {opacity: 900}\n");
    for (arguments, code, told_of) in [
        (
            &["--text", "x", "--scale", "wide"][..],
            2,
            "--scale: must be none",
        ),
        (
            &["--text", "x", "--output-quality", "0"],
            2,
            "--output-quality: must be 1..100",
        ),
        (&["--mark", "gone.png"], 2, "--mark: "),
        (&[], 2, "--mark FILE, --text TEXT, or -c FILE"),
        (
            &["-c", "config.yaml", "--opacity", "5"],
            2,
            "--opacity goes with",
        ),
        (&["-c", "bad.yaml"], 78, "watermark.opacity"),
    ] {
        let output = apply(&sandbox, &[&["a.jpg", "-o", "made"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        assert!(
            told(&output).contains(told_of),
            "{told_of}: {}",
            told(&output)
        );
        assert!(!sandbox.path("made").exists(), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_whole_pictures_only() {
    use std::{io::Read, process::Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    let sandbox = Sandbox::new();
    for picture in 0..400 {
        sandbox.write(&format!("from/{picture}.jpg"), &jpeg(900, 900, picture));
    }
    let mut child = command(
        &sandbox,
        &["from", "-o", "out", "--text", "x", "--workers", "2", "-v"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::null())
    .spawn()
    .unwrap();
    let mut first = [0];
    let mut lines = child.stdout.take().unwrap();
    lines.read_exact(&mut first).unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    lines.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let made = sandbox.names("out");
    assert!(
        !made.is_empty() && made.len() < 400,
        "{} pictures",
        made.len()
    );
    for name in made {
        assert!(name.ends_with("jpg") && !name.starts_with('.'), "{name}");
        let made = fs::read(sandbox.path("out").join(name)).unwrap();
        assert_eq!(size(&made), (900, 900));
        assert!(made.ends_with(&[0xff, 0xd9]));
    }
}

#[test]
fn workers_have_a_range() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jpg", &jpeg(60, 60, 1));
    for workers in ["0", "1025", "18446744073709551615"] {
        let arguments = ["a.jpg", "-o", "out", "--text", "x", "--workers", workers];
        let output = apply(&sandbox, &arguments);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    }
    let output = apply(
        &sandbox,
        &["a.jpg", "-o", "out", "--text", "x", "--workers", "1024"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}
