//! The answers are about the daemon that runs, whatever became of its configuration file.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    operate::run,
    pictures::jpeg,
    sandbox::{Sandbox, skip},
};

/// What a command prints as JSON, and its exit code.
fn ask(sandbox: &Sandbox, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = sandbox.command(arguments).arg("--json").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = serde_json::from_str(&told);
    (
        found.unwrap_or_else(|_| panic!("{told}{}", String::from_utf8_lossy(&output.stderr))),
        output.status.code(),
    )
}

fn contains(sandbox: &Sandbox, arguments: &[&str], parts: &[&str]) {
    let (_, told) = run(sandbox, arguments);
    for part in parts {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
}

fn config(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path("config.yaml")).unwrap()
}

#[test]
fn a_folder_that_was_not_reloaded_is_not_watched() {
    let mut sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("new")).unwrap();
    sandbox.start();
    let (found, code) = ask(&sandbox, &["status"]);
    assert_eq!(found["configuration"]["relation"], "same", "{found:#}");
    assert_eq!((&found["reload"], code), (&Value::Null, Some(0)));

    let folders = "folders: [{input: in, output: out}, {input: new, output: out2}]\n";
    sandbox.configure(folders);
    sandbox.write("new/a.jpg", &jpeg(90, 60, 1));
    let (found, code) = ask(&sandbox, &["status"]);
    assert_eq!(found["configuration"]["relation"], "edited", "{found:#}");
    assert_eq!(code, Some(0));
    let watched = |found: &Value, folder: usize| found["folders"][folder]["watched"].clone();
    assert_eq!(
        (watched(&found, 0), watched(&found, 1)),
        (true.into(), false.into())
    );
    contains(
        &sandbox,
        &["status"],
        &[
            "edited since, not reloaded",
            "  not watched: the daemon runs without this folder",
        ],
    );
    let (found, code) = ask(&sandbox, &["explain", "new/a.jpg"]);
    let next = found["next"].as_str().unwrap();
    assert!(
        next.contains("once the daemon reloads") && !next.contains("in its turn"),
        "{next}"
    );
    assert_eq!((&found["watched"], code), (&false.into(), Some(0)));

    sandbox.signal(Signal::HUP);
    sandbox.wait_for_picture("out2/a.jpg");
    let (found, _) = ask(&sandbox, &["status"]);
    assert_eq!(found["configuration"]["relation"], "same", "{found:#}");
    assert_eq!(
        (&found["reload"]["taken"], watched(&found, 1)),
        (&true.into(), true.into())
    );

    // A folder that was taken out is watched until the reload.
    sandbox.configure("folders: [{input: in, output: out}]\n");
    let (found, _) = ask(&sandbox, &["status"]);
    assert_eq!(found["folders"].as_array().unwrap().len(), 2, "{found:#}");
    assert_eq!(watched(&found, 1), true);
    sandbox.stop();
    let (found, code) = ask(&sandbox, &["status"]);
    for journal in ["-wal", "-shm"] {
        let left = sandbox.path(format!("state/ledger.sqlite{journal}"));
        assert!(!left.exists(), "{}", left.display());
    }
    assert_eq!(found["configuration"]["relation"], Value::Null, "{found:#}");
    assert_eq!(
        (found["folders"].as_array().unwrap().len(), code),
        (1, Some(3))
    );
}

#[test]
fn a_mistake_does_not_take_the_answers_away() {
    let mut sandbox = Sandbox::new();
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.start();
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.wait_for("done", |sandbox| {
        ask(sandbox, &["status"]).0["folders"][0]["done"] == 1
    });
    let good = config(&sandbox);
    let answers = |sandbox: &Sandbox, running: bool, mistake: &str| {
        let (found, code) = ask(sandbox, &["status"]);
        let told = found["configuration"]["mistakes"][0].as_str().unwrap();
        assert!(told.contains(mistake), "{told}");
        assert_eq!(
            (&found["folders"][0]["done"], code),
            (&1.into(), Some(78)),
            "{found:#}"
        );
        assert_eq!(found["daemon"]["running"], running);
        let (found, code) = ask(sandbox, &["explain", "in/a.jpg"]);
        assert_eq!(
            (&found["fate"], code),
            (&"done".into(), Some(78)),
            "{found:#}"
        );
        contains(sandbox, &["status"], &["mistake: ", mistake, "1 done"]);
        contains(sandbox, &["explain", "in/a.jpg"], &["mistake: ", mistake]);
    };
    sandbox.write("config.yaml", format!("{good}wrokers: 3\n").as_bytes());
    answers(&sandbox, true, "wrokers");
    // The same without a word of the ledger.
    sandbox.write("config.yaml", b"folders: [");
    answers(&sandbox, true, "config.yaml:2");
    sandbox.signal(Signal::HUP);
    sandbox.wait_for_line(&["reload rejected"]);
    let (found, _) = ask(&sandbox, &["status"]);
    let reasons = found["reload"]["reasons"][0].as_str().unwrap();
    assert!(
        found["reload"]["taken"] == false && reasons.contains("config.yaml:2"),
        "{found:#}"
    );
    contains(&sandbox, &["status"], &["reload: rejected, "]);
    fs::remove_file(sandbox.path("config.yaml")).unwrap();
    answers(&sandbox, true, "cannot read");
    sandbox.write("config.yaml", good.as_bytes());
    fs::rename(sandbox.path("mark.npy"), sandbox.path("mark-away.npy")).unwrap();
    answers(&sandbox, true, "mark.npy");
    sandbox.stop();
    answers(&sandbox, false, "mark.npy");
    sandbox.write("in/b.jpg", &jpeg(90, 60, 2));
    contains(
        &sandbox,
        &["explain", "in/b.jpg"],
        &["the configuration has to be mended"],
    );
}

#[test]
fn status_lists_folders_that_get_in_each_others_way() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out}, {input: in2, output: out}]\n");
    fs::create_dir(sandbox.path("in2")).unwrap();
    let (found, code) = ask(&sandbox, &["status"]);
    let mistake = found["configuration"]["mistakes"][0].as_str().unwrap();
    assert!(
        mistake.contains("is the same folder as folders[0].output"),
        "{mistake}"
    );
    assert_eq!(
        (found["folders"].as_array().unwrap().len(), code),
        (2, Some(3))
    );
}

#[test]
fn another_configuration_and_another_ledger_are_told() {
    let mut sandbox = Sandbox::new();
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.start();
    sandbox.wait_for_picture("out/a.jpg");
    sandbox.wait_for("done", |sandbox| {
        ask(sandbox, &["status"]).0["folders"][0]["done"] == 1
    });
    let good = config(&sandbox);
    sandbox.write("other.yaml", good.as_bytes());
    let (found, _) = ask(&sandbox, &["status", "-c", "other.yaml"]);
    assert_eq!(found["configuration"]["relation"], "other", "{found:#}");
    let other = sandbox.path("config.yaml").display().to_string();
    let told = format!("but the daemon runs another configuration, {other}");
    contains(&sandbox, &["status", "-c", "other.yaml"], &[&told]);

    let elsewhere = good.replace("ledger: state", "ledger: elsewhere");
    sandbox.write("config.yaml", elsewhere.as_bytes());
    let (found, code) = ask(&sandbox, &["status"]);
    let next = found["configuration"]["next_ledger"].as_str().unwrap();
    assert!(next.ends_with("elsewhere/ledger.sqlite"), "{found:#}");
    assert_eq!((&found["daemon"]["running"], code), (&true.into(), Some(0)));
    assert_eq!(found["folders"][0]["done"], 1);
    contains(
        &sandbox,
        &["status"],
        &["ledger moved: the configuration names "],
    );
    sandbox.stop();
    let (found, code) = ask(&sandbox, &["status"]);
    assert_eq!(
        (&found["folders"][0]["done"], code),
        (&0.into(), Some(3)),
        "{found:#}"
    );
}

#[test]
fn two_configurations_of_one_user_never_meet() {
    let sandbox = Sandbox::new();
    let good = config(&sandbox);
    let auto = good.replace("ledger: state/ledger.sqlite\n", "");
    assert_ne!(auto, good);
    // As earlier versions had it: the configurations of a user share a ledger.
    let shared = sandbox.path("state-home/watermarkd/ledger.sqlite");
    let named = auto.clone() + &format!("ledger: {}\n", shared.display());
    sandbox.write("config.yaml", named.as_bytes());
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.once_expecting(1, 0);

    sandbox.write("config.yaml", auto.as_bytes());
    let takes = format!("  the next start takes over {}", shared.display());
    contains(&sandbox, &["status"], &["not there yet", &takes]);
    contains(&sandbox, &["check"], &[&takes]);
    sandbox.once_expecting(0, 0);
    assert_eq!(ask(&sandbox, &["status"]).0["folders"][0]["done"], 1);
    assert_eq!(sandbox.lines("ledger taken over").len(), 1);
    sandbox.once_expecting(0, 0);
    assert_eq!(sandbox.lines("ledger taken over").len(), 1);

    fs::create_dir_all(sandbox.path("two/in")).unwrap();
    fs::copy(sandbox.path("mark.npy"), sandbox.path("two/mark.npy")).unwrap();
    sandbox.write("two/config.yaml", auto.as_bytes());
    let of = |arguments: &[&str]| {
        let (found, _) = ask(&sandbox, arguments);
        found["ledger"]["path"].as_str().unwrap().to_owned()
    };
    let (one, two) = (of(&["status"]), of(&["status", "-c", "two/config.yaml"]));
    assert_ne!(one, two);
    assert!(two.contains("/watermarkd/two-"), "{two}");
    assert!(shared.exists(), "the others may need it");
}

#[test]
fn the_exit_code_of_status_tells_what_needs_somebody() {
    let mut sandbox = Sandbox::with("folders: [{input: in, output: out, recursive: true}]\n");
    let code = |sandbox: &Sandbox| {
        let (found, code) = ask(sandbox, &["status"]);
        (code, found["attention"].to_string())
    };
    assert_eq!(code(&sandbox).0, Some(3));
    sandbox.start();
    assert_eq!(code(&sandbox), (Some(0), "[]".to_owned()));
    sandbox.write("in/bad.jpg", b"\xff\xd8 this is no picture");
    sandbox.wait_for_line(&["bad.jpg", "failed"]);
    sandbox.wait_for("the failure", |sandbox| code(sandbox).0 == Some(4));
    assert!(code(&sandbox).1.contains("pictures have failed in "));
    contains(
        &sandbox,
        &["status"],
        &["attention: pictures have failed in "],
    );
    // Who takes it out has looked after it.
    fs::remove_file(sandbox.path("in/bad.jpg")).unwrap();
    assert_eq!(code(&sandbox), (Some(0), "[]".to_owned()));
    fs::rename(sandbox.path("in"), sandbox.path("away")).unwrap();
    let (found, told) = code(&sandbox);
    assert!(found == Some(4) && told.contains("is offline"), "{told}");
    sandbox.stop();
    assert_eq!(code(&sandbox).0, Some(3));
}

#[test]
fn check_looks_with_the_rights_of_another_user() {
    let sandbox = Sandbox::new();
    let is_root = run(&sandbox, &["check"]).1.contains("checked as root");
    let (code, told) = run(&sandbox, &["check", "--user", "no-such-user"]);
    assert!(
        code == Some(1) && told.contains("cannot check as no-such-user"),
        "{told}"
    );
    if !is_root {
        skip("only root takes on the rights of others");
        return;
    }
    // A temporary folder is its owner's alone.
    for (path, mode) in [("", 0o755), ("in", 0o777), ("out", 0o777)] {
        fs::set_permissions(sandbox.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    for folder in ["state", "log"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
        fs::set_permissions(sandbox.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let (code, told) = run(&sandbox, &["check", "--user", "nobody"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("checked as root"), "{told}");
    fs::set_permissions(sandbox.path("out"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run(&sandbox, &["check"]).0, Some(0));
    let (code, told) = run(&sandbox, &["check", "--user", "nobody"]);
    assert!(
        code == Some(78) && told.contains("out is not writable"),
        "{told}"
    );
}

#[test]
fn a_single_run_that_is_interrupted_says_so() {
    let mut sandbox = Sandbox::new();
    for number in 0..300 {
        sandbox.write(&format!("in/{number}.jpg"), &jpeg(900, 600, number));
    }
    sandbox.start_once();
    sandbox.wait_for("a picture", |sandbox| !sandbox.names("out").is_empty());
    sandbox.signal(Signal::INT);
    let status = sandbox.wait_for_end();
    assert_eq!(status.code(), Some(130), "{}", sandbox.tail());
    let report = fs::read_to_string(sandbox.path("report")).unwrap();
    assert!(
        report.contains(" left, the next run takes them up"),
        "{report}"
    );
    let (found, _) = ask(&sandbox, &["status"]);
    let done = found["folders"][0]["done"].as_u64().unwrap();
    assert!(done < 300, "it was too fast");
    let left = format!("{} left, ", 300 - done);
    assert!(report.contains(&left), "{left}: {report}");
}

#[test]
fn nothing_that_lies_there_is_invisible() {
    let mut sandbox =
        Sandbox::with("folders: [{input: in, output: out, ignore: ['*_draft.jpg']}]\n");
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.write("in/bad.jpg", b"\xff\xd8 this is no picture");
    for name in [
        "a.heic",
        "b.HEIC",
        "a.cr2",
        ".DS_Store",
        "Thumbs.db",
        "a_draft.jpg",
        "sub/a.jpg",
        "none",
    ] {
        sandbox.write(&format!("in/{name}"), b"");
    }
    std::os::unix::fs::symlink("a.jpg", sandbox.path("in/link.jpg")).unwrap();
    let told = "not taken: 9 (.heic 2, .cr2 1, others 1, hidden or temporary 2, by `ignore` 1, links 1, subfolders 1)";
    let report = |sandbox: &Sandbox| {
        let output = sandbox.once();
        String::from_utf8(output.stdout).unwrap()
    };
    let first = report(&sandbox);
    assert!(first.contains(told) && !first.contains("before"), "{first}");
    let second = report(&sandbox);
    assert!(
        second.contains("1 done before, 1 failed before\n") && second.contains(told),
        "{second}"
    );
    // The last run's scan is the news until the next.
    contains(&sandbox, &["status"], &[told]);
    fs::remove_file(sandbox.path("in/a.heic")).unwrap();
    sandbox.start();
    sandbox.wait_for_line(&[
        "INFO",
        "scanned, some of it is not taken",
        "8 (.cr2 1, .heic 1,",
    ]);
    let (found, _) = ask(&sandbox, &["status"]);
    let counts = &found["folders"][0]["not_taken"];
    assert_eq!(
        (&counts["total"], &counts["extensions"]["heic"]),
        (&8.into(), &1.into()),
        "{counts:#}"
    );
    sandbox.stop();
}

#[test]
fn explain_says_why_a_source_stays_and_what_to_set() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out}]\nmax_pixels: 100000\n");
    sandbox.write("in/done.jpg", &jpeg(90, 60, 1));
    sandbox.write("in/large.jpg", &jpeg(500, 300, 2));
    sandbox.write("in/bad.jpg", b"\xff\xd8 this is no picture");
    sandbox.once_expecting(1, 2);
    sandbox.configure(
        "folders: [{input: in, output: out, after: delete, on_failure: {move_to: failed}}]\nmax_pixels: 100000\n",
    );
    contains(
        &sandbox,
        &["explain", "in/done.jpg"],
        &["its source stays, as it was done while `after` was `keep`"],
    );
    contains(
        &sandbox,
        &["explain", "in/bad.jpg"],
        &["it stays, as it failed while `on_failure` was `keep`"],
    );
    let file = sandbox.path("config.yaml").canonicalize().unwrap();
    let large = sandbox.path("in").canonicalize().unwrap().join("large.jpg");
    let retry = format!(
        "`watermarkd retry -c {} {}`",
        file.display(),
        large.display()
    );
    contains(
        &sandbox,
        &["explain", "-c", file.to_str().unwrap(), "in/large.jpg"],
        &["set `max_pixels: 150000` or more, reload and ", &retry],
    );
    let retry = format!(
        "`watermarkd retry --failed -c {}` tries all again",
        file.display()
    );
    contains(
        &sandbox,
        &["status", "-c", file.to_str().unwrap()],
        &[&retry, "`watermarkd explain -c "],
    );

    // Several at once, and all of a folder.
    contains(
        &sandbox,
        &["explain", "in/done.jpg", "in/bad.jpg"],
        &["done.jpg: done\n", "bad.jpg: failed\n"],
    );
    let (found, _) = ask(&sandbox, &["explain", "in/done.jpg", "in/bad.jpg"]);
    assert_eq!(
        (&found[0]["fate"], &found[1]["fate"]),
        (&"done".into(), &"failed".into())
    );
    let (found, _) = ask(&sandbox, &["explain", "in"]);
    let fates: Vec<&str> = found["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["fate"].as_str().unwrap())
        .collect();
    assert_eq!(fates, ["failed", "done", "failed"], "{found:#}");

    std::os::unix::fs::symlink("done.jpg", sandbox.path("in/link.jpg")).unwrap();
    let (code, told) = run(&sandbox, &["retry", "in/link.jpg"]);
    assert!(
        code == Some(1) && told.contains("symbolic link, which is not followed"),
        "{told}"
    );
}

#[test]
fn damage_and_replacement_are_told() {
    let sandbox = Sandbox::with("folders: [{input: in, output: out, after: delete}]\n");
    let mut damaged = jpeg(640, 480, 1);
    let middle = damaged.len() / 2;
    damaged[middle..][..400].fill(0);
    sandbox.write("in/a.jpg", &damaged);
    sandbox.leave_alone("in/a.jpg");
    let output = sandbox.once();
    assert_eq!(output.status.code(), Some(0), "{}", sandbox.tail());
    let (found, _) = ask(&sandbox, &["explain", "in/a.jpg"]);
    assert!(found["damage"].is_string(), "{found:#}");
    contains(
        &sandbox,
        &["explain", "in/a.jpg"],
        &[
            "though damaged: ",
            "the source of a damaged picture never leaves by itself",
        ],
    );
    contains(&sandbox, &["status"], &["1 published damaged"]);

    let sandbox = Sandbox::new();
    for (seed, replaced) in [(1, 0), (2, 1)] {
        sandbox.write("in/a.jpg", &jpeg(90 + seed, 60, seed));
        sandbox.once_expecting(1, 0);
        let told = sandbox.lines("replaced=true").len();
        assert_eq!(told, replaced, "{}", sandbox.tail());
    }
}
