//! What `status` and `explain` say alike.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::when::{local, utc};
use crate::{
    ledger::{Daemon, Entry},
    outcome::Step,
};

/// Why a folder of the configuration is not watched.
pub const NOT_RELOADED: &str =
    "the daemon runs without this folder, as its configuration was not reloaded since";

/// What `explain` says of a file.
pub struct Answer {
    pub fate: &'static str,
    pub reason: String,
    /// What comes next, and when.
    pub next: String,
    /// More fields of the JSON object.
    pub facts: Map<String, Value>,
}

impl Answer {
    pub fn new(fate: &'static str, reason: impl Into<String>, next: impl Into<String>) -> Answer {
        Answer {
            fate,
            reason: reason.into(),
            next: next.into(),
            facts: Map::new(),
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Answer {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

pub fn daemon_line(daemon: Option<&Daemon>) -> String {
    let Some(Daemon { pid, since }) = daemon else {
        return "not running".to_owned();
    };
    let pid = pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    let since = since.map_or_else(String::new, |at| format!(", since {}", local(at)));
    format!("running{pid}{since}")
}

pub fn daemon_json(daemon: Option<&Daemon>) -> Value {
    json!({
        "running": daemon.is_some(),
        "pid": daemon.and_then(|daemon| daemon.pid),
        "since": daemon.and_then(|daemon| daemon.since).map(utc),
    })
}

pub fn path_json(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

/// What was published of a file, for people: the first result, and how many more.
pub fn outputs(entry: &Entry) -> String {
    let first = entry.outputs.first().map_or(Path::new("?"), |path| path);
    match entry.outputs.len() {
        0 | 1 => first.display().to_string(),
        count => {
            let names = entry.outputs[1..]
                .iter()
                .map(|path| path.display().to_string());
            let more: Vec<String> = names.collect();
            format!(
                "{} and {} more: {}",
                first.display(),
                count - 1,
                more.join(", ")
            )
        }
    }
}

pub fn outputs_json(entry: &Entry) -> Value {
    entry.outputs.iter().map(|path| path_json(path)).collect()
}

/// In which step a file failed or was put off, and why.
pub fn cause(entry: &Entry) -> String {
    let step = entry.step.map_or("?", Step::name);
    format!("{step}: {}", entry.reason.as_deref().unwrap_or("?"))
}
