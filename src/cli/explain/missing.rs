//! The fate of a file that is not there, or whose folder is not.

use std::path::Path;

use crate::{
    cli::{
        answer::{Answer, cause, outputs, outputs_json, path_json},
        when::{local, utc},
    },
    config::{Folder, Source},
    ledger::{Entry, State},
};

/// `offline` says why the folder is away, if it is.
pub fn missing(folder: &Folder, entry: Option<&Entry>, offline: Option<String>) -> Answer {
    let Some(cause) = offline else {
        return no_longer(folder, entry);
    };
    let next = "when the folder is back";
    let mut answer = match entry {
        None => Answer::new("missing", "no such file is known", next),
        Some(entry) => last_seen(entry, next),
    };
    let input = folder.input.display();
    answer.reason = format!("folder {input} is offline: {cause}; {}", answer.reason);
    answer.with("input_offline", cause)
}

/// The ledger's word of a file that cannot be looked at.
fn last_seen(entry: &Entry, next: &str) -> Answer {
    let at = local(entry.since);
    let reason = match entry.state {
        State::Done => format!("the file was done at {at}"),
        State::Failed => format!("the file failed at {at} ({})", cause(entry)),
        State::Waiting => format!("the file waits since {at} ({})", cause(entry)),
        State::Claimed | State::Made | State::Released | State::Asked => {
            format!("the file was last heard of at {at}")
        }
    };
    Answer::new("missing", reason, next)
        .with("since", utc(entry.since))
        .with("output", entry.outputs.first().map(|path| path_json(path)))
        .with("outputs", outputs_json(entry))
}

fn no_longer(folder: &Folder, entry: Option<&Entry>) -> Answer {
    let next = "when a file of this name comes";
    let Some(entry) = entry else {
        return Answer::new("missing", "there is no such file, and none is known", next);
    };
    // The ledger does not know the new name.
    let moved = |to: &Path| {
        let new = to.join(&entry.path);
        format!(
            "moved to {}, or with a number before the ending if that name was taken",
            new.display()
        )
    };
    let at = local(entry.since);
    let reason = match entry.state {
        State::Done => {
            let output = outputs(entry);
            let left = match (&folder.after, entry.gone) {
                (Source::MoveTo(to), true) => moved(to),
                (Source::Delete, true) => "deleted as `after` says".to_owned(),
                _ => "gone since".to_owned(),
            };
            format!("it was done at {at}, to {output}, and is {left}")
        }
        State::Failed => {
            let left = match (&folder.on_failure, entry.gone) {
                (Source::MoveTo(to), true) => moved(to),
                _ => "gone since".to_owned(),
            };
            format!("it failed at {at} ({}), and is {left}", cause(entry))
        }
        _ => format!("it went away before it was processed; last heard of at {at}"),
    };
    Answer::new("missing", reason, next)
        .with("since", utc(entry.since))
        .with("output", entry.outputs.first().map(|path| path_json(path)))
        .with("outputs", outputs_json(entry))
}
