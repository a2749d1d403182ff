//! `watermarkd status`: what the ledger knows at a glance. Nothing is changed.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::SystemTime,
};

use serde_json::{Value, json};

use super::{
    answer::{NOT_RELOADED, cause, daemon_json, daemon_line, path_json},
    asked::Asked,
    availability::{self, Looked},
    terminal::line,
    when::{local, utc, when},
};
use crate::{
    arrival::NotTaken,
    config::Folder,
    exit,
    ledger::{Entry, Tally, Visitor, Which, not_taken_to_json},
    memory::Size,
    outcome::Step,
};

/// Failed files that are listed.
const FAILURES: usize = 10;

pub fn run(mut asked: Asked, as_json: bool) -> anyhow::Result<ExitCode> {
    let Looked { offline, layout } = availability::look(&asked.config);
    asked.layout = layout.filter(|_| asked.error.is_none());
    answer(&asked, offline, as_json)
}

fn answer(asked: &Asked, offline: Vec<Option<String>>, as_json: bool) -> anyhow::Result<ExitCode> {
    let config = &asked.config;
    let ledger = Visitor::read(&config.ledger)?;
    let mut folders = Vec::with_capacity(config.folders.len());
    for ((folder, offline), watched) in config.folders.iter().zip(offline).zip(&asked.watched) {
        let id = match &ledger {
            Some(ledger) => ledger.folder(&folder.input)?,
            None => None,
        };
        let tally = match (&ledger, id) {
            (Some(ledger), Some(id)) => ledger.tally(id, folder.recipe_id, FAILURES)?,
            _ => Tally::default(),
        };
        folders.push(Seen {
            folder,
            tally,
            offline,
            watched: *watched,
            failing: false,
            not_taken: asked.not_taken(folder),
        });
    }
    find_failing(&mut folders, ledger.as_ref())?;
    let bytes = ledger.as_ref().map(Visitor::bytes);
    let mut failures: Vec<(&Folder, &Entry)> = folders
        .iter()
        .flat_map(|seen| seen.tally.failures.iter().map(|entry| (seen.folder, entry)))
        .collect();
    failures.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.since));
    failures.truncate(FAILURES);
    let all = All {
        asked,
        bytes,
        trouble: availability::ledger(&config.ledger),
        folders: &folders,
        failures,
    };
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{:#}", all.json())?;
    } else {
        all.write(&mut out, SystemTime::now())?;
    }
    Ok(ExitCode::from(if asked.error.is_some() {
        exit::BAD_CONFIG
    } else if asked.daemon.is_none() {
        exit::NO_DAEMON
    } else if !all.attention().is_empty() {
        exit::ATTENTION
    } else {
        exit::FINE
    }))
}

/// A folder at the time of asking.
struct Seen<'a> {
    folder: &'a Folder,
    tally: Tally,
    /// Why its input is away.
    offline: Option<String>,
    /// Whether the daemon works on it, or the next one will.
    watched: bool,
    /// A picture that has failed lies in it.
    failing: bool,
    not_taken: Option<&'a NotTaken>,
}

/// Failed pictures that left, or were taken out by hand, need nobody any more.
fn find_failing(folders: &mut [Seen<'_>], ledger: Option<&Visitor>) -> anyhow::Result<()> {
    let mut failed = Vec::with_capacity(folders.len());
    for seen in &*folders {
        let input = &seen.folder.input;
        let files = match ledger {
            Some(ledger) if seen.offline.is_none() && seen.tally.failed > 0 => ledger
                .folder(input)?
                .map(|id| ledger.candidates(id, Which::Failed, None))
                .transpose()?,
            _ => None,
        };
        failed.push((input.clone(), files.unwrap_or_default()));
    }
    for (seen, failing) in folders.iter_mut().zip(availability::any_is_there(failed)) {
        seen.failing = failing;
    }
    Ok(())
}

struct All<'a> {
    asked: &'a Asked,
    /// Of the ledger, if there is one.
    bytes: Option<u64>,
    /// Why it cannot be written.
    trouble: Option<String>,
    folders: &'a [Seen<'a>],
    failures: Vec<(&'a Folder, &'a Entry)>,
}

impl All<'_> {
    fn write(&self, out: &mut impl Write, now: SystemTime) -> io::Result<()> {
        self.write_head(out)?;
        if let Some(trouble) = &self.trouble {
            line(out, format_args!("ledger trouble: {trouble}"))?;
        }
        let log = self.asked.config.log.dir.display();
        line(out, format_args!("log: {log}"))?;
        for seen in self.folders {
            write_folder(out, seen, self.asked.daemon.is_some(), now)?;
        }
        if !self.failures.is_empty() {
            line(out, format_args!("recent failures:"))?;
        }
        for (folder, entry) in &self.failures {
            let path = folder.input.join(&entry.path);
            let at = local(entry.since);
            line(
                out,
                format_args!("  {at} {}: {}", path.display(), cause(entry)),
            )?;
        }
        if let Some((folder, entry)) = self.failures.first() {
            let path = folder.input.join(&entry.path);
            let explain = self.asked.command("explain", &path);
            let retry = self.asked.command_alone("retry --failed");
            line(
                out,
                format_args!("  {explain} tells what to do; {retry} tries all again"),
            )?;
        }
        Ok(())
    }

    /// What the answer is about.
    fn write_head(&self, out: &mut impl Write) -> io::Result<()> {
        let asked = self.asked;
        let configuration = asked.configuration_line();
        line(out, format_args!("configuration: {configuration}"))?;
        for mistake in asked.mistakes() {
            line(out, format_args!("mistake: {mistake}"))?;
        }
        let daemon = daemon_line(asked.daemon.as_ref());
        line(out, format_args!("daemon: {daemon}"))?;
        for reload in asked.reload_lines() {
            line(out, format_args!("{reload}"))?;
        }
        for attention in self.attention() {
            line(out, format_args!("attention: {attention}"))?;
        }
        let ledger = asked.config.ledger.display();
        match self.bytes {
            Some(bytes) => line(out, format_args!("ledger: {ledger}, {}", Size(bytes)))?,
            None => line(out, format_args!("ledger: {ledger}, not there yet"))?,
        }
        if let Some(earlier) = availability::earlier(&asked.config) {
            let earlier = earlier.display();
            line(out, format_args!("  the next start takes over {earlier}"))?;
        }
        if let Some(next) = &asked.next_ledger {
            let next = next.display();
            line(
                out,
                format_args!(
                    "ledger moved: the configuration names {next} now, which takes effect at the next start"
                ),
            )?;
        }
        Ok(())
    }

    /// What somebody has to look after.
    fn attention(&self) -> Vec<String> {
        let mut told = Vec::new();
        if self.asked.layout.is_some() {
            told.push("a reload or a start would be rejected, see the mistakes".to_owned());
        }
        if self.trouble.is_some() {
            told.push("the ledger cannot be written".to_owned());
        }
        for seen in self.folders.iter().filter(|seen| seen.watched) {
            let input = seen.folder.input.display();
            if seen.offline.is_some() {
                told.push(format!("folder {input} is offline"));
            }
            if held_up(&seen.tally).is_some() {
                told.push(format!("pictures of {input} wait for the output"));
            }
            if seen.failing {
                told.push(format!("pictures have failed in {input}"));
            }
        }
        told
    }

    fn json(&self) -> Value {
        let folders: Vec<Value> = self.folders.iter().map(folder_json).collect();
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|(folder, entry)| {
                json!({
                    "file": path_json(&folder.input.join(&entry.path)),
                    "at": utc(entry.since),
                    "step": entry.step.map(Step::name),
                    "cause": entry.reason,
                })
            })
            .collect();
        json!({
            "configuration": self.asked.configuration_json(),
            "daemon": daemon_json(self.asked.daemon.as_ref()),
            "reload": self.asked.reload_json(),
            "attention": self.attention(),
            "ledger": {"path": path_json(&self.asked.config.ledger), "bytes": self.bytes},
            "ledger_trouble": self.trouble,
            "log": path_json(&self.asked.config.log.dir),
            "folders": folders,
            "failures": failures,
        })
    }
}

fn write_folder(
    out: &mut impl Write,
    seen: &Seen<'_>,
    is_running: bool,
    now: SystemTime,
) -> io::Result<()> {
    let (folder, tally) = (seen.folder, &seen.tally);
    line(out, format_args!("folder {}", folder.input.display()))?;
    if !seen.watched {
        line(out, format_args!("  not watched: {NOT_RELOADED}"))?;
    }
    if let Some(cause) = &seen.offline {
        line(out, format_args!("  offline: {cause}; waiting for it"))?;
    }
    let output = folder.output.display();
    match held_up(tally) {
        Some(cause) => line(
            out,
            format_args!("  output: {output}, pictures wait for it: {cause}"),
        )?,
        None => line(out, format_args!("  output: {output}"))?,
    }
    let counts = [
        (tally.done, "done"),
        (tally.failed, "failed"),
        (tally.waiting, "waiting"),
        (tally.in_progress, "in progress"),
    ];
    let rare = [
        (tally.open, "to be taken up again"),
        (tally.suspects, "suspect"),
        (tally.damaged, "published damaged"),
        (tally.owed, "to leave the folder"),
        (tally.stale, "by another recipe than now"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .chain(rare.into_iter().filter(|(count, _)| *count > 0))
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    line(out, format_args!("  files: {}", counts.join(", ")))?;
    if let Some(not_taken) = seen.not_taken.filter(|counts| counts.total() > 0) {
        line(out, format_args!("  not taken: {not_taken}"))?;
    }
    if let Some(entry) = &tally.next {
        let at = match entry.next {
            _ if seen.offline.is_some() => "once the folder is back".to_owned(),
            Some(at) if at > now => when(at, now),
            _ if is_running => "in its turn".to_owned(),
            _ => "when the daemon runs".to_owned(),
        };
        let path = entry.path.display();
        line(
            out,
            format_args!("  next try: {at}, {path}: {}", cause(entry)),
        )?;
    }
    if let Some(entry) = &tally.last_done {
        let at = when(entry.since, now);
        line(
            out,
            format_args!("  last done: {at}, {}", entry.path.display()),
        )?;
    }
    Ok(())
}

fn folder_json(seen: &Seen<'_>) -> Value {
    let (folder, tally) = (seen.folder, &seen.tally);
    let next = tally.next.as_ref().map(|entry| {
        json!({
            "file": path_json(&folder.input.join(&entry.path)),
            "at": entry.next.map(utc),
            "step": entry.step.map(Step::name),
            "cause": entry.reason,
        })
    });
    let last = tally.last_done.as_ref().map(|entry| {
        json!({
            "file": path_json(&folder.input.join(&entry.path)),
            "at": utc(entry.since),
            "output": entry.outputs.first().map(|path| path_json(path)),
        })
    });
    json!({
        "input": path_json(&folder.input),
        "watched": seen.watched,
        "input_offline": seen.offline,
        "output": path_json(&folder.output),
        "output_held_up": held_up(tally),
        "done": tally.done,
        "damaged": tally.damaged,
        "failed": tally.failed,
        "waiting": tally.waiting,
        "in_progress": tally.in_progress,
        "again": tally.open,
        "suspects": tally.suspects,
        "leaving": tally.owed,
        "stale": tally.stale,
        "not_taken": not_taken_to_json(seen.not_taken),
        "next_try": next,
        "last_done": last,
    })
}

/// Why pictures cannot get out, as far as the ledger knows.
fn held_up(tally: &Tally) -> Option<&str> {
    let next = tally.next.as_ref()?;
    (next.step == Some(Step::Output)).then(|| next.reason.as_deref().unwrap_or("?"))
}
