//! What `status` and `explain` say alike.

use std::path::Path;

use serde_json::{Value, json};

use super::when::time;
use crate::{
    ledger::{Daemon, Entry},
    outcome::Step,
};

pub fn daemon_line(daemon: Option<&Daemon>) -> String {
    let Some(Daemon { pid, since }) = daemon else {
        return "not running".to_owned();
    };
    let pid = pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    let since = since.map_or_else(String::new, |at| format!(", since {}", time(at)));
    format!("running{pid}{since}")
}

pub fn daemon_json(daemon: Option<&Daemon>) -> Value {
    json!({
        "running": daemon.is_some(),
        "pid": daemon.and_then(|daemon| daemon.pid),
        "since": daemon.and_then(|daemon| daemon.since).map(time),
    })
}

pub fn path_json(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

/// In which step a file failed or was put off, and why.
pub fn cause(entry: &Entry) -> String {
    let step = entry.step.map_or("?", Step::name);
    format!("{step}: {}", entry.reason.as_deref().unwrap_or("?"))
}
