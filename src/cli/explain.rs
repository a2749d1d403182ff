//! `watermarkd explain`: the one fate of a file, from the configuration, the ledger, and the file
//! itself. Nothing is changed.

mod ignored;
mod missing;
mod present;
mod remedy;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::SystemTime,
};

use serde_json::{Map, Value, json};

use self::{
    ignored::{a_folder, by_rule, outside},
    missing::missing,
    present::{About, Now},
};
use super::{
    answer::{Answer, daemon_json, daemon_line, path_json},
    asked::Asked,
    availability,
    place::{self, Place, output_inside},
    terminal::line,
};
use crate::{
    arrival::{FileKey, Stamp},
    config::{Config, Folder},
    exit,
    ledger::{Entry, Visitor},
    watch,
};

pub fn run(asked: &Asked, files: &[PathBuf], as_json: bool) -> anyhow::Result<ExitCode> {
    let trouble = availability::ledger(&asked.config.ledger);
    let about = About {
        asked,
        trouble: trouble.as_deref(),
    };
    let mut out = io::stdout().lock();
    let mut objects = Vec::with_capacity(files.len());
    for file in files {
        let answer = answer(file, about)?;
        let inside = files_in(&answer.0);
        if as_json {
            let mut object = json_of(answer, about);
            if !inside.is_empty() {
                let inside = inside.iter().map(|file| {
                    let answer = self::answer(file, about)?;
                    Ok(Value::Object(json_of(answer, about)))
                });
                let inside: anyhow::Result<Vec<Value>> = inside.collect();
                object.insert("files".to_owned(), Value::Array(inside?));
            }
            objects.push(Value::Object(object));
            continue;
        }
        write(&mut out, &answer, about)?;
        for file in inside {
            write(&mut out, &self::answer(&file, about)?, about)?;
        }
    }
    match (as_json, objects.as_slice()) {
        (false, _) => {}
        (true, [one]) => writeln!(out, "{one:#}")?,
        (true, _) => writeln!(out, "{:#}", Value::Array(objects))?,
    }
    Ok(ExitCode::from(if asked.error.is_some() {
        exit::BAD_CONFIG
    } else {
        exit::FINE
    }))
}

fn answer<'a>(file: &Path, about: About<'a>) -> anyhow::Result<(Place<'a>, Answer)> {
    let place = place::place(&about.asked.config, file)?;
    let answer = explain(&place, about)?;
    Ok((place, answer))
}

/// The files that lie in a folder, in the order of their names; none of a file.
fn files_in(place: &Place<'_>) -> Vec<PathBuf> {
    if !fs::symlink_metadata(&place.path).is_ok_and(|found| found.is_dir()) {
        return Vec::new();
    }
    let entries = fs::read_dir(&place.path).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn json_of((place, answer): (Place<'_>, Answer), about: About<'_>) -> Map<String, Value> {
    let asked = about.asked;
    let mut object = answer.facts;
    object.insert("file".to_owned(), path_json(&place.path));
    let folder = place.inside.as_ref().map(|(folder, _)| &folder.input);
    let folder = folder.map(|input| path_json(input));
    object.insert("folder".to_owned(), folder.unwrap_or_default());
    object.insert("fate".to_owned(), json!(answer.fate));
    object.insert("reason".to_owned(), json!(answer.reason));
    object.insert("next".to_owned(), json!(answer.next));
    object.insert("configuration".to_owned(), asked.configuration_json());
    object.insert("daemon".to_owned(), daemon_json(asked.daemon.as_ref()));
    object.insert("ledger_trouble".to_owned(), json!(about.trouble));
    object
}

fn write(
    out: &mut impl Write,
    (place, answer): &(Place<'_>, Answer),
    about: About<'_>,
) -> io::Result<()> {
    let asked = about.asked;
    let path = place.path.display();
    line(out, format_args!("{path}: {}", answer.fate))?;
    line(out, format_args!("  reason: {}", answer.reason))?;
    line(out, format_args!("  next: {}", answer.next))?;
    let daemon = daemon_line(asked.daemon.as_ref());
    line(out, format_args!("  daemon: {daemon}"))?;
    let configuration = asked.configuration_line();
    line(out, format_args!("  configuration: {configuration}"))?;
    for mistake in asked.mistakes() {
        line(out, format_args!("  mistake: {mistake}"))?;
    }
    if let Some(trouble) = about.trouble {
        line(out, format_args!("  ledger trouble: {trouble}"))?;
    }
    Ok(())
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
