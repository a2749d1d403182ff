use rustix::process::Signal;

use super::{pictures::jpeg, sandbox::Sandbox};

#[test]
fn every_record_is_in_the_file_after_a_stop() {
    let mut sandbox = Sandbox::new();
    for picture in 0..100 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(60, 60, picture));
    }
    sandbox.start();
    sandbox.wait_for("all pictures", |sandbox| sandbox.names("out").len() == 100);
    sandbox.stop();
    let processed = sandbox.lines("processed");
    assert_eq!(processed.len(), 100);
    for part in [
        "INFO",
        "publish",
        "path=",
        "size=\"48x48\"",
        "ms=",
        "worker=\"worker-",
    ] {
        assert!(
            processed[0].contains(part),
            "{part} is not in {}",
            processed[0]
        );
    }
    assert!(
        sandbox.tail().lines().last().unwrap().contains("ended"),
        "{}",
        sandbox.tail()
    );
    let console = std::fs::read_to_string(sandbox.path("console")).unwrap();
    assert_eq!(console.matches("processed").count(), 100);
}

#[test]
fn a_burst_ends_in_one_report() {
    let mut sandbox = Sandbox::new();
    sandbox.start();
    for picture in 0..8 {
        sandbox.rename_in(&format!("in/{picture}.jpg"), &jpeg(90, 90, picture));
    }
    sandbox.rename_in("in/bad.jpg", b"this is no picture at all");
    sandbox.wait_for_line(&["ERROR", "bad.jpg"]);
    sandbox.wait_for("all pictures", |sandbox| sandbox.names("out").len() == 8);
    sandbox.signal(Signal::USR1);
    sandbox.wait_for_line(&["since start", "pictures=8", "failures=1"]);
    sandbox.stop();
    let batch = sandbox.lines("batch").join("\n");
    for part in [
        "bytes_in=",
        "bytes_out=",
        "wall_ms=",
        "pictures_per_s=",
        "decode=\"count=",
    ] {
        assert!(batch.contains(part), "{part} is not in {batch}");
    }
    assert_eq!(sandbox.lines("pool started").len(), 1);
}

#[test]
fn under_the_journal_the_console_has_no_times_of_its_own() {
    let sandbox = Sandbox::new();
    let output = sandbox
        .command(&["run", "--once"])
        .env("JOURNAL_STREAM", "8:12345")
        .output()
        .unwrap();
    let console = String::from_utf8(output.stderr).unwrap();
    let first = console.lines().next().unwrap();
    assert!(first.trim_start().starts_with("INFO main"), "{first}");
    assert!(
        sandbox.log().starts_with("20"),
        "the file keeps its times: {}",
        sandbox.log()
    );
}

#[test]
fn no_file_name_can_pass_for_a_line_of_the_log() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in/x\n2026-01-01T00:00:00Z  INFO processed \x1b[31m.jpg",
        b"not a picture",
    );
    sandbox.once_expecting(0, 1);
    let log = sandbox.log();
    assert!(
        !log.contains("\n2026-01-01T00") && !log.contains('\x1b'),
        "{log}"
    );
}
