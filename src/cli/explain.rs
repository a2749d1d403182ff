//! `watermarkd explain`: the one fate of a file, from the configuration, the ledger, and the file
//! itself. Nothing is changed.

mod ignored;
mod missing;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use self::{
    ignored::{a_folder, by_rule, outside},
    missing::missing,
};
use super::{
    answer::{Answer, NOT_RELOADED, cause, daemon_json, daemon_line, path_json},
    asked::Asked,
    availability,
    place::{self, Place, output_inside},
    terminal::line,
    when::{span, time, when},
};
use crate::{
    arrival::{FileKey, Stamp},
    config::{Config, Folder},
    exit,
    ledger::{Entry, State, Visitor},
    outcome::Step,
    settle::PATIENCE,
    watch::{self, Mode},
};

pub fn run(asked: &Asked, file: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let place = place::place(&asked.config, file)?;
    let daemon = asked.daemon.as_ref();
    let trouble = availability::ledger(&asked.config.ledger);
    let about = About {
        asked,
        trouble: trouble.as_deref(),
    };
    let answer = explain(&place, about)?;
    let mut out = io::stdout().lock();
    if as_json {
        let mut object = answer.facts;
        object.insert("file".to_owned(), path_json(&place.path));
        let folder = place.inside.as_ref().map(|(folder, _)| &folder.input);
        let folder = folder.map(|input| path_json(input));
        object.insert("folder".to_owned(), folder.unwrap_or_default());
        object.insert("fate".to_owned(), json!(answer.fate));
        object.insert("reason".to_owned(), json!(answer.reason));
        object.insert("next".to_owned(), json!(answer.next));
        object.insert("configuration".to_owned(), asked.configuration_json());
        object.insert("daemon".to_owned(), daemon_json(daemon));
        object.insert("ledger_trouble".to_owned(), json!(trouble));
        writeln!(out, "{:#}", Value::Object(object))?;
    } else {
        let daemon = daemon_line(daemon);
        let path = place.path.display();
        line(&mut out, format_args!("{path}: {}", answer.fate))?;
        line(&mut out, format_args!("  reason: {}", answer.reason))?;
        line(&mut out, format_args!("  next: {}", answer.next))?;
        line(&mut out, format_args!("  daemon: {daemon}"))?;
        let configuration = asked.configuration_line();
        line(&mut out, format_args!("  configuration: {configuration}"))?;
        for mistake in asked.mistakes() {
            line(&mut out, format_args!("  mistake: {mistake}"))?;
        }
        if let Some(trouble) = trouble {
            line(&mut out, format_args!("  ledger trouble: {trouble}"))?;
        }
    }
    Ok(ExitCode::from(if asked.error.is_some() {
        exit::BAD_CONFIG
    } else {
        exit::FINE
    }))
}

/// What goes for all files.
#[derive(Clone, Copy)]
struct About<'a> {
    asked: &'a Asked,
    /// Why the ledger cannot be written.
    trouble: Option<&'a str>,
}

fn explain(place: &Place<'_>, about: About<'_>) -> anyhow::Result<Answer> {
    let config = &about.asked.config;
    let Some((folder, relative)) = &place.inside else {
        return Ok(outside(config, place));
    };
    let output = output_inside(folder);
    if relative.as_os_str().is_empty() {
        let answer = Answer::new("ignored", "it is the folder itself", "never");
        return Ok(answer.with("rule", "not a file"));
    }
    let metadata = fs::symlink_metadata(&place.path);
    if metadata.as_ref().is_ok_and(fs::Metadata::is_dir) {
        return Ok(a_folder(folder, output.as_deref(), relative));
    }
    if let Err(ignored) = watch::judge_in(folder, output.as_deref(), relative) {
        return Ok(by_rule(folder, ignored));
    }
    let entry = known(config, folder, relative)?;
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(cause) => {
            let is_gone = matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            );
            let offline = availability::away(&folder.input);
            if is_gone || offline.is_some() {
                return Ok(missing(folder, entry.as_ref(), offline));
            }
            return Err(anyhow::Error::new(cause).context(place.path.display().to_string()));
        }
    };
    if !metadata.is_file() {
        let (rule, reason) = if metadata.is_symlink() {
            ("link", "it is a symbolic link, which is not followed")
        } else {
            ("not a file", "it is no regular file")
        };
        return Ok(Answer::new("ignored", reason, "never").with("rule", rule));
    }
    let file = Now {
        about,
        folder,
        path: &place.path,
        stamp: Stamp::of(&metadata),
        age: metadata
            .modified()
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .unwrap_or_default(),
        at: SystemTime::now(),
    };
    let answer = match entry {
        None => file.unknown(),
        Some(entry) => file.entered(&entry),
    };
    Ok(answer.with("watched", about.asked.is_watched(folder)))
}

fn known(config: &Config, folder: &Folder, relative: &Path) -> anyhow::Result<Option<Entry>> {
    let Some(ledger) = Visitor::read(&config.ledger)? else {
        return Ok(None);
    };
    let Some(folder) = ledger.folder(&folder.input)? else {
        return Ok(None);
    };
    let path = Arc::from(relative);
    ledger.entry(&FileKey { folder, path })
}

/// A picture in a watched folder, as it is now.
struct Now<'a> {
    about: About<'a>,
    folder: &'a Folder,
    path: &'a Path,
    stamp: Stamp,
    /// Since its last change.
    age: Duration,
    at: SystemTime,
}

impl Now<'_> {
    /// When a file is taken up that has no fate.
    fn turn(&self) -> String {
        let settle = self.about.asked.config.settle;
        if self.about.asked.daemon.is_none() {
            return self.next_daemon().to_owned();
        }
        if !self.about.asked.is_watched(self.folder) {
            return format!("once the daemon reloads its configuration: {NOT_RELOADED}");
        }
        if self.about.trouble.is_some() {
            return "once the ledger can be written".to_owned();
        }
        if let Some(left) = settle.checked_sub(self.age).filter(|left| !left.is_zero()) {
            return format!("in {}, unless it changes", span(left));
        }
        let (wait, what) = match watch::choose_mode(self.folder).0 {
            Mode::Events => (self.about.asked.config.rescan, "rescan"),
            Mode::Poll => (self.about.asked.config.poll, "poll"),
        };
        let wait = span(wait);
        format!("in its turn; if its event was missed, the {what} finds it within about {wait}")
    }

    fn next_daemon(&self) -> &'static str {
        match self.about.asked.error {
            None => "when the daemon runs",
            Some(_) => "when the daemon runs, for which the configuration has to be mended",
        }
    }

    fn unknown(&self) -> Answer {
        let (age, settle) = (span(self.age), self.about.asked.config.settle);
        let since = self.at.checked_sub(self.age).map(time);
        if self.age < settle {
            let reason = format!(
                "it changed {age} ago and is left alone for {}",
                span(settle)
            );
            return Answer::new("settling", reason, self.turn()).with("since", since);
        }
        let reason = format!("it has not been tried yet; it last changed {age} ago");
        Answer::new("unseen", reason, self.turn()).with("since", since)
    }

    fn entered(&self, entry: &Entry) -> Answer {
        let same = entry.stamp == self.stamp;
        let answer = match entry.state {
            State::Claimed | State::Made => self.in_progress(entry),
            State::Done | State::Failed if !same || entry.gone => self.changed(entry),
            State::Done => self.done(entry),
            State::Failed => self.failed(entry),
            State::Waiting if same => self.waiting(entry),
            State::Asked if same => {
                let at = when(entry.since, self.at);
                let reason = format!("it is to be processed again, as asked for at {at}");
                Answer::new("queued", reason, self.turn())
            }
            State::Released if same && self.age >= self.about.asked.config.settle => {
                self.given_back(entry)
            }
            State::Waiting | State::Asked | State::Released => self.unknown(),
        };
        let watched = self.about.asked.is_watched(self.folder);
        let mut answer = answer
            .with("suspect", entry.suspect)
            .with("watched", watched);
        if entry.suspect && !matches!(entry.state, State::Done | State::Failed) {
            answer.reason +=
                "; a process died with it in progress, so it is made in a process of its own";
        }
        if answer.facts.contains_key("since") {
            answer
        } else {
            answer.with("since", time(entry.since))
        }
    }

    fn given_back(&self, entry: &Entry) -> Answer {
        let at = when(entry.since, self.at);
        if entry.reason.is_none() {
            let reason = format!(
                "it was given back at {at}: it changed meanwhile, or was in progress when the daemon ended"
            );
            return Answer::new("queued", reason, self.turn());
        }
        let reason = format!("it was not complete at {at}: {}", cause(entry));
        let watched = self.about.asked.is_watched(self.folder);
        let next = match self.about.asked.daemon {
            Some(_) if !watched => self.turn(),
            Some(_) => format!(
                "when it changes, or after growing waits; after {} without a change it is processed as it is",
                span(PATIENCE)
            ),
            None => self.turn(),
        };
        Answer::new("queued", reason, next)
            .with("step", entry.step.map(Step::name))
            .with("cause", entry.reason.clone())
    }

    fn in_progress(&self, entry: &Entry) -> Answer {
        let at = when(entry.since, self.at);
        if self.about.asked.daemon.is_none() {
            let reason = format!("it was in progress, since {at}, when the daemon ended");
            return Answer::new("queued", reason, self.turn());
        }
        let next = match self.about.trouble {
            Some(_) => "its fate, once the ledger can be written",
            None => "its fate, within moments",
        };
        Answer::new("in progress", format!("a worker took it at {at}"), next)
    }

    fn changed(&self, entry: &Entry) -> Answer {
        let (was, at) = (verb(entry.state), when(entry.since, self.at));
        let reason = if entry.gone {
            format!("it was {was} at {at} and left the folder; this is another file")
        } else {
            format!("it was {was} at {at}, but has changed since")
        };
        Answer::new("changed", reason, self.turn())
    }

    fn waiting(&self, entry: &Entry) -> Answer {
        let tries = entry.tries.unwrap_or_default();
        let times = if tries == 1 { "try" } else { "tries" };
        let reason = format!("{} ({tries} {times})", cause(entry));
        // As the daemon cuts it: the clock may have been set.
        let latest = self.at + self.about.asked.config.retry.max;
        let at = entry.next.unwrap_or(self.at).min(latest);
        let for_output = entry.step == Some(Step::Output);
        let watched = self.about.asked.is_watched(self.folder);
        let next = match self.about.asked.daemon {
            Some(_) if !watched => self.turn(),
            Some(_) if at > self.at && for_output => {
                format!(
                    "once the output is back, at the latest at {}",
                    when(at, self.at)
                )
            }
            Some(_) if at > self.at => format!("at {}", when(at, self.at)),
            Some(_) => "in its turn".to_owned(),
            None => self.next_daemon().to_owned(),
        };
        Answer::new("waiting", reason, next)
            .with("step", entry.step.map(Step::name))
            .with("cause", entry.reason.clone())
            .with("tries", tries)
            .with("next_try", time(at))
    }

    fn done(&self, entry: &Entry) -> Answer {
        let output: PathBuf = entry.output.clone().unwrap_or_default();
        let there = output.is_file();
        let stale = entry.recipe != self.folder.recipe_id;
        let took = entry
            .took
            .map_or_else(String::new, |took| format!(" in {}", span(took)));
        let gone = if there { "" } else { ", where it no longer is" };
        let recipe = if stale {
            ", by another recipe than the present one"
        } else {
            ", by the present recipe"
        };
        let reason = format!(
            "done at {}{took}, to {}{gone}{recipe}",
            when(entry.since, self.at),
            output.display()
        );
        let next = match (entry.owed, stale || !there) {
            (true, _) => "it leaves the folder as `after` says, as soon as that works".to_owned(),
            (false, true) => format!(
                "nothing until it changes; {} makes it again",
                self.about.asked.command("reprocess", self.path)
            ),
            (false, false) => "nothing until it changes".to_owned(),
        };
        Answer::new("done", reason, next)
            .with("output", path_json(&output))
            .with("output_there", there)
            .with(
                "took_ms",
                entry.took.map(|took| took.as_secs_f64() * 1000.0),
            )
            .with("stale", stale)
    }

    fn failed(&self, entry: &Entry) -> Answer {
        let reason = format!("{}, at {}", cause(entry), when(entry.since, self.at));
        let next = if entry.owed {
            "it is moved as `on_failure` says, as soon as that works".to_owned()
        } else {
            format!(
                "nothing until it changes; replace it, or mend the cause and {}",
                self.about.asked.command("retry", self.path)
            )
        };
        Answer::new("failed", reason, next)
            .with("step", entry.step.map(Step::name))
            .with("cause", entry.reason.clone())
            .with("stale", entry.recipe != self.folder.recipe_id)
    }
}

fn verb(state: State) -> &'static str {
    match state {
        State::Done => "done",
        _ => "tried, and failed,",
    }
}
