//! What `status`, `explain`, `retry` and `reprocess` answer about: the daemon that runs, which need
//! not run what the configuration file says now. A file with mistakes does not take the answers
//! away: the rest comes from what the daemon left beside its ledger.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{
    answer::path_json,
    config_file::ConfigFile,
    terminal::quoted,
    when::{local, utc},
};
use crate::{
    arrival::NotTaken,
    config::{self, Config, ConfigError, Folder, Understood},
    ledger::{self, Daemon, Running},
};

pub struct Asked {
    /// The file as it is now, but with the folders, the ledger and the waits of the daemon that runs.
    pub config: Config,
    /// What is wrong with the file.
    pub error: Option<ConfigError>,
    /// What is wrong with its folders on the disk, where somebody has looked. It may pass.
    pub layout: Option<ConfigError>,
    pub daemon: Option<Daemon>,
    /// What the daemon runs, or the last one ran.
    pub running: Option<Running>,
    pub relation: Relation,
    /// For each folder of `config`: whether the daemon works on it, or the next one will.
    pub watched: Vec<bool>,
    /// The ledger that the file names, where the daemon has another.
    pub next_ledger: Option<PathBuf>,
    /// What a command needs to mean the same configuration; with a space before it.
    option: String,
}

/// How the daemon that has the ledger open stands to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// No daemon runs.
    Alone,
    /// It has left no word: it is of an earlier version, or is just starting.
    Unknown,
    Same,
    /// The file was edited since it was loaded.
    Edited,
    /// The file is the same, but a mark of it has changed.
    Remade,
    /// It runs another file.
    Other,
}

impl Relation {
    pub fn name(self) -> Option<&'static str> {
        match self {
            Relation::Alone | Relation::Unknown => None,
            Relation::Same => Some("same"),
            Relation::Edited => Some("edited"),
            Relation::Remade => Some("mark changed"),
            Relation::Other => Some("other"),
        }
    }

    /// Whether what is in force is told by the daemon, and not by the file.
    fn is_told(self) -> bool {
        matches!(self, Relation::Edited | Relation::Remade | Relation::Other)
    }
}

impl ConfigFile {
    /// Finds out what an answer is about. A share that does not answer must not keep it back, so
    /// no folder is looked at.
    pub fn ask(&self) -> anyhow::Result<Asked> {
        let file = config::locate(self.config.as_deref())?;
        let Understood {
            mut config, error, ..
        } = config::understand(&file);
        let named = config.ledger.clone();
        let (ledger, running) = find(&config, error.is_some());
        let daemon = if ledger.as_os_str().is_empty() {
            None
        } else {
            ledger::daemon(&ledger)?
        };
        // What a daemon that was killed has left says nothing about the next one.
        let running = running.filter(|running| {
            daemon
                .as_ref()
                .is_none_or(|daemon| daemon.pid.is_none_or(|pid| pid == running.pid))
        });
        if let Some(cause) = error
            .as_ref()
            .filter(|_| running.is_none() && !ledger.exists())
        {
            return Err(cause.clone().into());
        }
        let relation = relation(&config, error.is_some(), running.as_ref(), daemon.is_some());
        let in_file = std::mem::take(&mut config.folders);
        let told = running.as_ref();
        let folders = folders(in_file, told, relation, error.is_some(), &config.file);
        let watched;
        (config.folders, watched) = folders.into_iter().unzip();
        if let Some(running) = &running
            && relation.is_told()
        {
            (config.settle, config.poll, config.rescan) =
                (running.settle, running.poll, running.rescan);
            config.retry.max = running.retry_max;
            config.log.dir.clone_from(&running.log);
        }
        // A ledger that a mistake hides is not another one.
        let next_ledger = (daemon.is_some() && error.is_none() && named != ledger).then_some(named);
        config.ledger = ledger;
        let option = self.config.as_ref().map(|_| quoted(&config.file));
        Ok(Asked {
            option: option.map_or_else(String::new, |file| format!(" -c {file}")),
            config,
            error,
            layout: None,
            daemon,
            running,
            relation,
            watched,
            next_ledger,
        })
    }
}

/// The ledger that an answer comes from, and what its daemon has left. It is the one that the file
/// names, unless a daemon still works with another one for this file, or the file does not tell.
fn find(config: &Config, is_wrong: bool) -> (PathBuf, Option<Running>) {
    let named = &config.ledger;
    let home = config.home.ledger.as_deref();
    let at_home = home.and_then(|home| ledger::running_of(home, &config.file));
    let at_home = at_home.filter(|running| {
        running.ledger != *named && (is_wrong || is_open(&running.ledger) && !is_open(named))
    });
    match at_home {
        Some(running) => (running.ledger.clone(), ledger::running(&running.ledger)),
        None => (named.clone(), ledger::running(named)),
    }
}

fn is_open(ledger: &Path) -> bool {
    matches!(ledger::daemon(ledger), Ok(Some(_)))
}

fn relation(config: &Config, is_wrong: bool, running: Option<&Running>, runs: bool) -> Relation {
    let Some(running) = running.filter(|_| runs) else {
        return if runs {
            Relation::Unknown
        } else {
            Relation::Alone
        };
    };
    let is_remade = || {
        let is_another = |folder: &Folder| {
            let mut told = running.folders.iter();
            told.all(|told| told.input != folder.input || told.recipe_id != folder.recipe_id)
        };
        config.folders.iter().any(is_another)
    };
    if running.config != config.file {
        Relation::Other
    } else if running.fingerprint != config.fingerprint {
        Relation::Edited
    } else if is_wrong || is_remade() {
        Relation::Remade
    } else {
        Relation::Same
    }
}

/// The folders that there is something to say of, and whether they are watched, or will be.
fn folders(
    in_file: Vec<Folder>,
    running: Option<&Running>,
    relation: Relation,
    is_wrong: bool,
    file: &Path,
) -> Vec<(Folder, bool)> {
    let told = match running {
        Some(running) if relation.is_told() => &running.folders[..],
        // The last daemon's are better than none.
        Some(running) if is_wrong && running.config == file => &running.folders[..],
        _ => return in_file.into_iter().map(|folder| (folder, true)).collect(),
    };
    let is_new = |folder: &Folder| told.iter().all(|told| told.input != folder.input);
    let new: Vec<_> = in_file.into_iter().filter(is_new).collect();
    let watched = told.iter().map(|folder| (folder.clone(), true));
    // Without a daemon they will all be watched.
    let new = new.into_iter().map(|folder| (folder, !relation.is_told()));
    watched.chain(new).collect()
}

impl Asked {
    pub fn is_watched(&self, folder: &Folder) -> bool {
        let mut folders = self.config.folders.iter().zip(&self.watched);
        folders.any(|(one, watched)| one.input == folder.input && *watched)
    }

    /// What the last scan of a folder did not take.
    pub fn not_taken(&self, folder: &Folder) -> Option<&NotTaken> {
        let running = self.running.as_ref()?;
        running.not_taken.get(&folder.input)
    }

    /// A command on a file, as it is to be typed.
    pub fn command(&self, verb: &str, file: &Path) -> String {
        format!("`watermarkd {verb}{} {}`", self.option, quoted(file))
    }

    pub fn command_alone(&self, verb: &str) -> String {
        format!("`watermarkd {verb}{}`", self.option)
    }

    /// The configuration, and what is to be known of it.
    pub fn configuration_line(&self) -> String {
        let file = self.config.file.display();
        match (self.relation, &self.running) {
            (Relation::Other, Some(running)) => {
                let other = running.config.display();
                format!("{file}, but the daemon runs another configuration, {other}")
            }
            (Relation::Edited, _) => format!("{file}, edited since, not reloaded"),
            (Relation::Remade, _) => format!("{file}, whose mark has changed since, not reloaded"),
            _ => file.to_string(),
        }
    }

    /// What is wrong with the file, a line for each mistake.
    pub fn mistakes(&self) -> Vec<String> {
        let errors = [&self.error, &self.layout].into_iter().flatten();
        errors
            .flat_map(|error| error.problems.iter().map(|one| one.in_file(&error.file)))
            .collect()
    }

    /// What came of the last reload.
    pub fn reload_lines(&self) -> Vec<String> {
        let Some(verdict) = self.verdict() else {
            return Vec::new();
        };
        let at = local(verdict.at);
        let outcome = match (verdict.taken, verdict.reasons.is_empty()) {
            (true, true) => "taken over",
            (true, false) => "taken over, with warnings",
            (false, _) => "rejected, the running configuration stays",
        };
        let reasons = verdict.reasons.iter().map(|reason| format!("  {reason}"));
        [format!("reload: {outcome}, at {at}")]
            .into_iter()
            .chain(reasons)
            .collect()
    }

    fn verdict(&self) -> Option<&ledger::Verdict> {
        let running = self.running.as_ref().filter(|_| self.daemon.is_some());
        running?.verdict.as_ref()
    }

    pub fn configuration_json(&self) -> Value {
        let running = self.running.as_ref().filter(|_| self.daemon.is_some());
        json!({
            "path": path_json(&self.config.file),
            "running": running.map(|running| path_json(&running.config)),
            "relation": self.relation.name(),
            "mistakes": self.mistakes(),
            "next_ledger": self.next_ledger.as_deref().map(path_json),
        })
    }

    pub fn reload_json(&self) -> Value {
        let Some(verdict) = self.verdict() else {
            return Value::Null;
        };
        json!({
            "at": utc(verdict.at),
            "taken": verdict.taken,
            "reasons": verdict.reasons,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A configuration with these inputs.
    fn config(dir: &Path, name: &str, inputs: &[&str]) -> Config {
        let mark = crate::mark::sample();
        crate::mark::save(&mark, &dir.join("mark.npy")).unwrap();
        let mut text = "watermark: {npy_path: mark.npy}\nledger: l\nfolders:\n".to_owned();
        for input in inputs {
            text = format!("{text}- {{input: {input}, output: {input}-out}}\n");
        }
        fs::write(dir.join(name), text).unwrap();
        let Understood { config, error, .. } = config::understand(&dir.join(name));
        assert!(error.is_none(), "{error:?}");
        config
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn the_answer_is_about_what_runs() {
        let dir = tempfile::tempdir().unwrap();
        let old = config(dir.path(), "a.yaml", &["one", "two"]);
        let new = config(dir.path(), "a.yaml", &["two", "three"]);
        let other = config(dir.path(), "b.yaml", &["three"]);
        let mut remade = new.clone();
        remade.folders[0].recipe_id += 1;
        let told = Running::of(&old, false);
        let (w, n) = (true, false);
        let both = &[("one", w), ("two", w), ("three", n)][..];
        for (file, wrong, running, runs, expected, watched) in [
            (
                &old,
                false,
                Some(&told),
                true,
                Relation::Same,
                &[("one", w), ("two", w)][..],
            ),
            (&new, false, Some(&told), true, Relation::Edited, both),
            (&new, true, Some(&told), true, Relation::Edited, both),
            (
                &old,
                true,
                Some(&told),
                true,
                Relation::Remade,
                &[("one", w), ("two", w)],
            ),
            (&other, false, Some(&told), true, Relation::Other, both),
            (
                &new,
                false,
                None,
                true,
                Relation::Unknown,
                &[("two", w), ("three", w)],
            ),
            (
                &new,
                false,
                Some(&told),
                false,
                Relation::Alone,
                &[("two", w), ("three", w)],
            ),
            // What the last one ran is better than nothing.
            (
                &new,
                true,
                Some(&told),
                false,
                Relation::Alone,
                &[("one", w), ("two", w), ("three", w)],
            ),
            (
                &other,
                true,
                Some(&told),
                false,
                Relation::Alone,
                &[("three", w)],
            ),
        ] {
            let found = relation(file, wrong, running, runs);
            assert_eq!(found, expected);
            let folders = folders(file.folders.clone(), running, found, wrong, &file.file);
            let folders: Vec<(&str, bool)> = folders
                .iter()
                .map(|(folder, watched)| {
                    let name = folder.input.file_name().and_then(|name| name.to_str());
                    (name.unwrap(), *watched)
                })
                .collect();
            assert_eq!(folders, watched, "{expected:?}");
        }
        let told = Running::of(&new, false);
        assert_eq!(
            relation(&remade, false, Some(&told), true),
            Relation::Remade
        );
    }
}
