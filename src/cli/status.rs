//! `watermarkd status`: what the ledger knows at a glance. Nothing is changed.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::SystemTime,
};

use serde_json::{Value, json};

use super::words::{self, cause, time, when};
use crate::{
    config::{Config, Folder},
    ledger::{self, Daemon, Entry, Tally, Visitor},
    memory::Size,
    publish::output,
};

/// Failed files that are listed.
const FAILURES: usize = 10;

pub fn run(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let daemon = ledger::daemon(&config.ledger)?;
    let ledger = Visitor::read(&config.ledger)?;
    let mut folders = Vec::with_capacity(config.folders.len());
    for folder in &config.folders {
        let id = match &ledger {
            Some(ledger) => ledger.folder(&folder.input)?,
            None => None,
        };
        let tally = match (&ledger, id) {
            (Some(ledger), Some(id)) => ledger.tally(id, folder.recipe.fingerprint(), FAILURES)?,
            _ => Tally::default(),
        };
        folders.push((folder, tally));
    }
    let bytes = ledger.as_ref().map(Visitor::bytes);
    let mut failures: Vec<(&Folder, &Entry)> = folders
        .iter()
        .flat_map(|(folder, tally)| tally.failures.iter().map(|entry| (*folder, entry)))
        .collect();
    failures.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.since));
    failures.truncate(FAILURES);
    let all = All {
        config,
        daemon,
        bytes,
        folders: &folders,
        failures,
    };
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{:#}", all.json())?;
    } else {
        all.write(&mut out, SystemTime::now())?;
    }
    Ok(ExitCode::SUCCESS)
}

struct All<'a> {
    config: &'a Config,
    daemon: Option<Daemon>,
    /// Of the ledger, if there is one.
    bytes: Option<u64>,
    folders: &'a [(&'a Folder, Tally)],
    failures: Vec<(&'a Folder, &'a Entry)>,
}

impl All<'_> {
    fn write(&self, out: &mut impl Write, now: SystemTime) -> io::Result<()> {
        let ledger = self.config.ledger.display();
        writeln!(out, "daemon: {}", words::daemon_line(self.daemon.as_ref()))?;
        match self.bytes {
            Some(bytes) => writeln!(out, "ledger: {ledger}, {}", Size(bytes))?,
            None => writeln!(out, "ledger: {ledger}, not there yet")?,
        }
        writeln!(out, "log: {}", self.config.log.dir.display())?;
        for (folder, tally) in self.folders {
            write_folder(out, folder, tally, now)?;
        }
        if !self.failures.is_empty() {
            writeln!(out, "failed of late:")?;
        }
        for (folder, entry) in &self.failures {
            let path = folder.input.join(&entry.path);
            let at = time(entry.since);
            writeln!(out, "  {at} {}: {}", path.display(), cause(entry))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let folders: Vec<Value> = self
            .folders
            .iter()
            .map(|(folder, tally)| folder_json(folder, tally))
            .collect();
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|(folder, entry)| {
                json!({
                    "file": words::path_json(&folder.input.join(&entry.path)),
                    "at": time(entry.since),
                    "step": entry.step,
                    "cause": entry.reason,
                })
            })
            .collect();
        json!({
            "daemon": words::daemon_json(self.daemon.as_ref()),
            "ledger": {"path": words::path_json(&self.config.ledger), "bytes": self.bytes},
            "log": words::path_json(&self.config.log.dir),
            "folders": folders,
            "failures": failures,
        })
    }
}

fn write_folder(
    out: &mut impl Write,
    folder: &Folder,
    tally: &Tally,
    now: SystemTime,
) -> io::Result<()> {
    writeln!(out, "folder {}", folder.input.display())?;
    let output = folder.output.display();
    match held_up(tally) {
        Some(cause) => writeln!(out, "  output: {output}, pictures wait for it: {cause}")?,
        None => writeln!(out, "  output: {output}")?,
    }
    let counts = [
        (tally.done, "done"),
        (tally.failed, "failed"),
        (tally.waiting, "waiting"),
        (tally.in_hand, "in hand"),
    ];
    let rare = [
        (tally.open, "to be taken up again"),
        (tally.suspects, "suspect"),
        (tally.owed, "to leave the folder"),
        (tally.stale, "by another recipe than now"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .chain(rare.into_iter().filter(|(count, _)| *count > 0))
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    writeln!(out, "  files: {}", counts.join(", "))?;
    if let Some(entry) = &tally.next {
        let at = entry
            .next
            .map_or_else(|| "?".to_owned(), |at| when(at, now));
        let path = entry.path.display();
        writeln!(out, "  next try: {at}, {path}: {}", cause(entry))?;
    }
    if let Some(entry) = &tally.last_done {
        let at = when(entry.since, now);
        writeln!(out, "  last done: {at}, {}", entry.path.display())?;
    }
    Ok(())
}

fn folder_json(folder: &Folder, tally: &Tally) -> Value {
    let next = tally.next.as_ref().map(|entry| {
        json!({
            "file": words::path_json(&folder.input.join(&entry.path)),
            "at": entry.next.map(time),
            "step": entry.step,
            "cause": entry.reason,
        })
    });
    let last = tally.last_done.as_ref().map(|entry| {
        json!({
            "file": words::path_json(&folder.input.join(&entry.path)),
            "at": time(entry.since),
            "output": entry.output.as_deref().map(|path: &Path| words::path_json(path)),
        })
    });
    json!({
        "input": words::path_json(&folder.input),
        "output": words::path_json(&folder.output),
        "output_held_up": held_up(tally),
        "done": tally.done,
        "failed": tally.failed,
        "waiting": tally.waiting,
        "in_hand": tally.in_hand,
        "again": tally.open,
        "suspects": tally.suspects,
        "leaving": tally.owed,
        "stale": tally.stale,
        "next_try": next,
        "last_done": last,
    })
}

/// Why pictures cannot get out, as far as the ledger knows.
fn held_up(tally: &Tally) -> Option<&str> {
    let next = tally.next.as_ref()?;
    (next.step.as_deref() == Some(output::STEP)).then(|| next.reason.as_deref().unwrap_or("?"))
}
