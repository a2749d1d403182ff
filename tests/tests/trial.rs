//! A picture that was in progress when the daemon died is made in a process of its own.

use std::{fs, time::Duration};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    pictures::{jpeg, png},
    sandbox::{FOLDERS, Sandbox},
};

/// Takes a worker long enough to be found at it.
fn large() -> Vec<u8> {
    png(6000, 6000, 1)
}

fn wait_until_claimed(sandbox: &Sandbox) {
    sandbox.wait_for("a claim", |sandbox| {
        let Ok(ledger) = Connection::open(sandbox.path("state/ledger.sqlite")) else {
            return false;
        };
        ledger.busy_timeout(Duration::from_secs(5)).unwrap();
        let claims = "SELECT count(*) FROM file WHERE state = 'claimed'";
        ledger.query_row(claims, [], |row| row.get(0)) == Ok(1)
    });
}

/// The daemon's child.
fn wait_for_child(sandbox: &Sandbox) -> Pid {
    let mut child = None;
    sandbox.wait_for("a child process", |sandbox| {
        let threads = fs::read_dir(format!("/proc/{}/task", sandbox.pid())).unwrap();
        child = threads
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
            .find_map(|children| children.split_whitespace().next()?.parse().ok());
        child.is_some()
    });
    Pid::from_raw(child.unwrap()).unwrap()
}

#[test]
fn a_picture_that_kills_fails_at_the_third_death_and_the_others_go_on() {
    let retry = "retry: {first: 100ms, max: 200ms}\n";
    let mut sandbox = Sandbox::with(&format!("{FOLDERS}{retry}"));
    sandbox.write("in/killer.png", &large());
    sandbox.start();
    wait_until_claimed(&sandbox);
    sandbox.kill();
    sandbox.start();
    let child = wait_for_child(&sandbox);
    kill_process(child, Signal::STOP).unwrap();
    for picture in 0..5 {
        sandbox.write(&format!("in/{picture}.jpg"), &jpeg(90, 60, picture));
    }
    for picture in 0..5 {
        sandbox.wait_for_picture(&format!("out/{picture}.jpg"));
    }
    kill_process(child, Signal::KILL).unwrap();
    sandbox.wait_for_line(&["WARN", "killer.png", "2 processes died", "signal 9"]);
    // Somebody who kills the daemon meanwhile proves nothing.
    wait_for_child(&sandbox);
    sandbox.kill();
    sandbox.start();
    kill_process(wait_for_child(&sandbox), Signal::KILL).unwrap();
    sandbox.wait_for_line(&["ERROR", "killer.png", "3 processes died"]);
    assert!(!sandbox.path("out/killer.png").exists());
    assert!(sandbox.path("in/killer.png").exists());

    // Asked for, it is made in a process of its own again, as any other picture is.
    sandbox.write("in/same.png", &large());
    let same = sandbox.wait_for_picture("out/same.png");
    let retry = sandbox.command(&["retry", "in/killer.png"]).output();
    assert!(retry.unwrap().status.success());
    wait_for_child(&sandbox);
    assert!(sandbox.wait_for_picture("out/killer.png") == same);
}

#[test]
fn a_suspect_that_is_no_picture_fails_as_any_other() {
    let mut sandbox = Sandbox::new();
    let mut bytes = large();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9000].fill(0xff);
    sandbox.write("in/broken.png", &bytes);
    sandbox.start();
    wait_until_claimed(&sandbox);
    sandbox.kill();
    sandbox.start();
    wait_for_child(&sandbox);
    sandbox.wait_for_line(&["ERROR", "broken.png", ": decode: "]);
}
