use std::{fs, thread};

use rustix::process::Signal;

use super::{
    pictures::{jpeg, size},
    sandbox::{FOLDERS, Sandbox},
};

#[test]
fn folders_marks_and_level_follow_a_good_configuration() {
    let mut sandbox = Sandbox::new();
    for folder in ["in2", "in3"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
    }
    sandbox.start();
    sandbox.write("in2/before.jpg", &jpeg(90, 90, 1));
    sandbox.configure(
        "folders: [{input: in2, output: out2}, {input: in3, output: out3, watermark: {output_height: 30}}]\n",
    );
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    sandbox.write(
        "config.yaml",
        config.replace("level: debug", "level: info").as_bytes(),
    );
    sandbox.signal(Signal::HUP);
    sandbox.wait_for_picture("out2/before.jpg");
    sandbox.write("in3/after.jpg", &jpeg(90, 90, 1));
    assert_eq!(size(&sandbox.wait_for_picture("out3/after.jpg")), (30, 30));
    // The first folder is no longer watched.
    sandbox.write("in/late.jpg", &jpeg(90, 90, 1));
    sandbox.write("in2/late.jpg", &jpeg(90, 90, 1));
    sandbox.wait_for_picture("out2/late.jpg");
    sandbox.stop();
    assert!(sandbox.names("out").is_empty());
    let log = sandbox.log();
    let (_, after) = log.split_once("configuration reloaded").unwrap();
    assert!(!after.contains("DEBUG"), "{}", sandbox.tail());
}

#[test]
fn a_level_of_the_command_line_stays() {
    let mut sandbox = Sandbox::new();
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let quiet = config.replace("level: debug", "level: info");
    sandbox.write("config.yaml", quiet.as_bytes());
    sandbox.start_with(&["-v"]);
    sandbox.signal(Signal::HUP);
    sandbox.wait_for_line(&["configuration reloaded"]);
    // One that breaks off is told of at this level alone.
    let whole = jpeg(90, 90, 1);
    sandbox.write("in/a.jpg", &whole[..whole.len() / 2]);
    sandbox.wait_for_line(&["DEBUG", "a.jpg"]);
    sandbox.stop();
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_told_with_all_reasons() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    sandbox.write(
        "config.yaml",
        b"watermark: {npy_path: missing.npy, quality: 300}\nfolders: [{input: in, output: in}]\nwrokers: 3\n",
    );
    sandbox.signal(Signal::HUP);
    for reason in ["missing.npy", "300", "wrokers", "folders[0].output"] {
        sandbox.wait_for_line(&["ERROR", "reload rejected", reason]);
    }
    sandbox.write("in/a.jpg", &jpeg(90, 90, 1));
    assert_eq!(size(&sandbox.wait_for_picture("out/a.jpg")), (48, 48));
    sandbox.configure(FOLDERS);
    sandbox.signal(Signal::HUP);
    sandbox.wait_for_line(&["configuration reloaded"]);
    sandbox.stop();
}

#[test]
fn reloads_good_and_bad_under_load_lose_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let good = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    thread::scope(|scope| {
        let sandbox = &sandbox;
        scope.spawn(move || {
            for picture in 0..120 {
                sandbox.rename_in(&format!("in/{picture}.jpg"), &jpeg(300, 200, picture));
            }
        });
        for round in 0..10 {
            sandbox.write(
                "config.yaml",
                if round % 2 == 0 {
                    b"watermark: ["
                } else {
                    good.as_bytes()
                },
            );
            sandbox.signal(Signal::HUP);
            let (rejected, taken) = (round / 2 + 1, usize::div_ceil(round, 2));
            sandbox.wait_for("the answer to the signal", |sandbox| {
                sandbox.lines("reload rejected").len() >= rejected
                    && sandbox.lines("configuration reloaded").len() >= taken
            });
        }
    });
    sandbox.wait_for("all pictures", |sandbox| sandbox.names("out").len() == 120);
    sandbox.stop();
    assert_eq!(sandbox.lines("processed").len(), 120, "{}", sandbox.tail());
}

#[test]
fn what_waits_for_the_next_start_is_told_until_it_is_taken_back() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    let config = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let elsewhere = config.replace("ledger: state", "ledger: elsewhere");
    for (round, text) in [&elsewhere, &elsewhere, &config].into_iter().enumerate() {
        sandbox.write("config.yaml", text.as_bytes());
        sandbox.signal(Signal::HUP);
        sandbox.wait_for("the answer to the signal", |sandbox| {
            sandbox.lines("configuration reloaded").len() > round
        });
        // Once for each that is not in force: the last is.
        let told = sandbox.lines("takes effect at the next start");
        assert_eq!(told.len(), [1, 2, 2][round], "{}", sandbox.tail());
    }
    sandbox.stop();
}

#[test]
fn a_command_tells_the_daemon_to_reload_and_prints_its_verdict() {
    let mut sandbox = Sandbox::new();
    let run = |sandbox: &Sandbox, command: &str| {
        let output = sandbox.command(&[command]).output().unwrap();
        let told = [&*output.stdout, &*output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    for command in ["reload", "stop"] {
        let (code, told) = run(&sandbox, command);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("no daemon runs for "), "{told}");
    }
    sandbox.start();
    for _ in 0..2 {
        let (code, told) = run(&sandbox, "reload");
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("has taken the configuration over"), "{told}");
    }
    let good = fs::read(sandbox.path("config.yaml")).unwrap();
    sandbox.configure("folders: [{input: in, output: out, recursive: often}]\n");
    let (code, told) = run(&sandbox, "reload");
    assert_eq!(code, Some(78), "{told}");
    for part in [
        "folders[0].recursive: must be true or false",
        "rejected, process",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    sandbox.write("config.yaml", &good);
    sandbox.write("other.yaml", &good);
    for command in ["reload", "stop"] {
        let output = sandbox
            .command(&[command, "-c", "other.yaml"])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("the daemon runs another configuration"),
            "{told}"
        );
    }
    let (code, told) = run(&sandbox, "stop");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("has ended"), "{told}");
    assert_eq!(sandbox.wait_for_end().code(), Some(0));
}
