//! The fate of a picture that lies in a watched folder.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use super::remedy::remedy;
use crate::{
    arrival::Stamp,
    cli::{
        answer::{Answer, NOT_RELOADED, cause, outputs, outputs_json, path_json},
        asked::Asked,
        when::{span, utc, when},
    },
    config::{Folder, Source},
    ledger::{Entry, State},
    outcome::Step,
    settle::PATIENCE,
    watch::{self, Mode},
};

/// What goes for all files.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub asked: &'a Asked,
    /// Why the ledger cannot be written.
    pub trouble: Option<&'a str>,
}

/// A picture in a watched folder, as it is now.
pub struct Now<'a> {
    pub about: About<'a>,
    pub folder: &'a Folder,
    pub path: &'a Path,
    pub stamp: Stamp,
    /// Since its last change.
    pub age: Duration,
    pub at: SystemTime,
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

    pub fn unknown(&self) -> Answer {
        let (age, settle) = (span(self.age), self.about.asked.config.settle);
        let since = self.at.checked_sub(self.age).map(utc);
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

    pub fn entered(&self, entry: &Entry) -> Answer {
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
            answer.with("since", utc(entry.since))
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
                "when it changes, or after growing waits; after {} without a change it is decided: published as far as it goes if little is wrong, else failed",
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
            .with("next_try", utc(at))
    }

    fn done(&self, entry: &Entry) -> Answer {
        let there = entry.outputs.iter().all(|output| output.is_file());
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
            outputs(entry)
        );
        let next = match (entry.owed, stale || !there) {
            (true, _) => "it leaves the folder as `after` says, as soon as that works".to_owned(),
            (false, true) => format!(
                "nothing until it changes; {} makes it again",
                self.about.asked.command("reprocess", self.path)
            ),
            (false, false) => "nothing until it changes".to_owned(),
        };
        let mut reason = reason;
        if let Some(damage) = &entry.reason {
            reason = format!("{reason}, though damaged: {damage}");
        }
        if let Some(why) = self.why_done_stays(entry) {
            reason = format!("{reason}; {why}");
        }
        Answer::new("done", reason, next)
            .with("damage", entry.reason.clone())
            .with("output", entry.outputs.first().map(|path| path_json(path)))
            .with("outputs", outputs_json(entry))
            .with("output_there", there)
            .with(
                "took_ms",
                entry.took.map(|took| took.as_secs_f64() * 1000.0),
            )
            .with("stale", stale)
    }

    /// Why a source is still there though `after` lets it go.
    fn why_done_stays(&self, entry: &Entry) -> Option<&'static str> {
        if self.folder.after == Source::Keep || entry.owed {
            return None;
        }
        Some(if !entry.leaves_once_done {
            "its source stays, as it was done while `after` was `keep`"
        } else if entry.reason.is_some() {
            "its source stays, as the source of a damaged picture never leaves by itself"
        } else {
            "its source stays, as it was another file when it was to leave, or its writer may have gone on with it"
        })
    }

    fn failed(&self, entry: &Entry) -> Answer {
        let mut reason = format!("{}, at {}", cause(entry), when(entry.since, self.at));
        if self.folder.on_failure != Source::Keep && !entry.owed {
            let why = if entry.leaves_once_failed {
                "it stays, as it was another file when it was to be moved, or its writer may have gone on with it"
            } else {
                "it stays, as it failed while `on_failure` was `keep`"
            };
            reason = format!("{reason}; {why}");
        }
        let retry = self.about.asked.command("retry", self.path);
        let remedy = entry.reason.as_deref().and_then(remedy);
        let remedy = remedy.unwrap_or_else(|| "replace it, or mend the cause".to_owned());
        let next = match entry.next {
            Some(at) if entry.owed && at > self.at => format!(
                "it is moved as `on_failure` says at {}, unless it changes; or {remedy} and {retry}",
                when(at, self.at)
            ),
            _ if entry.owed => "it is moved as `on_failure` says, as soon as that works".to_owned(),
            _ => format!("nothing until it changes; {remedy} and {retry}"),
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
