//! `watermarkd retry` and `watermarkd reprocess`: take fates away in the ledger, so that the daemon
//! deals with the files once more, at once if it runs.

mod back;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::SystemTime,
};

use anyhow::Context;

use self::back::{Named, moved_back, stamp_of};
use super::{
    asked::{Asked, Relation},
    place::{self, output_inside},
    terminal,
    usage::Usage,
};
use crate::{
    arrival::{FileKey, FolderId, Stamp},
    config::{Config, Folder},
    exit,
    ledger::{self, Entry, State, Visitor, Which},
    watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// What failed or waits.
    Retry,
    /// What is done as well.
    Reprocess,
}

/// Asks for the files that are named.
pub fn named(
    about: &Asked,
    files: &[PathBuf],
    verb: Verb,
    dry_run: bool,
) -> anyhow::Result<ExitCode> {
    let config = &about.config;
    let mut ledger = open(config)?;
    let (mut asked, mut refused, mut back) = (0, 0, 0);
    let mut found = Vec::new();
    for file in files {
        match ask_for(about, &mut ledger, file, verb, dry_run)? {
            Named::Asked if dry_run => found.push(file.clone()),
            Named::Asked => asked += 1,
            Named::Anyway(why) => {
                let file = file.display();
                terminal::line(&mut io::stdout(), format_args!("{file}: {why}"))?;
            }
            Named::Back(target) => {
                let (file, target) = (file.display(), target.display());
                let told = format_args!("{file}: moved back to {target}, where it is a new file");
                terminal::line(&mut io::stdout(), told)?;
                back += 1;
            }
            Named::Refused(why) => {
                terminal::error(&anyhow::anyhow!("{}: {why}", file.display()));
                refused += 1;
            }
        }
    }
    if dry_run {
        return tell_plan(&found, refused > 0);
    }
    if back == files.len() {
        return Ok(exit::FINE.into());
    }
    tell(about, asked, refused > 0)
}

/// How far `all` may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// It was given with the command.
    Given,
    /// It is asked for on a terminal, and else refused.
    Wanted,
    /// Nothing is done, the files are named.
    DryRun,
}

/// Asks for all files that failed, or that are of a stale recipe.
pub fn all(about: &Asked, verb: Verb, consent: Consent) -> anyhow::Result<ExitCode> {
    let mut ledger = open(&about.config)?;
    if consent != Consent::Given {
        let mut count = 0;
        let mut found = Vec::new();
        let swept = sweep(about, &mut ledger, verb, &mut |_, _, folder, files| {
            count += files.len();
            if consent == Consent::DryRun {
                found.extend(files.iter().map(|(path, _)| folder.input.join(path)));
            }
            Ok(files.len())
        })?;
        if consent == Consent::DryRun {
            return tell_plan(&found, swept.offline);
        }
        if count > 0 && !may_go_on(count)? {
            writeln!(io::stdout(), "nothing was done")?;
            return Ok(exit::FAILED.into());
        }
    }
    let swept = sweep(about, &mut ledger, verb, &mut |ledger, id, _, files| {
        ledger.ask_for(id, files, verb == Verb::Reprocess)
    })?;
    if swept.left > 0 {
        let left = swept.left;
        writeln!(
            io::stdout(),
            "left out: {left} that are gone, have changed or are in progress"
        )?;
    }
    tell(about, swept.taken, swept.offline)
}

fn may_go_on(count: usize) -> anyhow::Result<bool> {
    let files = if count == 1 { "file is" } else { "files are" };
    let question = format!("{count} {files} made again, which replaces the results. Go on?");
    match terminal::confirm(&question)? {
        Some(answer) => Ok(answer),
        None => Err(Usage::error(format!(
            "{count} {files} of another recipe: --all makes them again, --dry-run names them"
        ))),
    }
}

fn tell_plan(found: &[PathBuf], offline: bool) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for path in found {
        terminal::line(&mut out, format_args!("{}", path.display()))?;
    }
    let count = found.len();
    terminal::line(&mut out, format_args!("{count} files would be tried again"))?;
    let code = if offline { exit::FAILED } else { exit::FINE };
    Ok(code.into())
}

/// What came of a look at all folders.
struct Swept {
    taken: usize,
    /// Gone, changed or in progress.
    left: usize,
    offline: bool,
}

/// What is done with files of a folder; tells how many were taken.
type Each<'a> = &'a mut dyn FnMut(
    &mut Visitor,
    FolderId,
    &Folder,
    &[(PathBuf, Stamp)],
) -> anyhow::Result<usize>;

/// Hands the files that are meant to `each`, folder by folder.
fn sweep(about: &Asked, ledger: &mut Visitor, verb: Verb, each: Each<'_>) -> anyhow::Result<Swept> {
    let mut swept = Swept {
        taken: 0,
        left: 0,
        offline: false,
    };
    for folder in &about.config.folders {
        let Some(id) = ledger.folder(&folder.input)? else {
            continue;
        };
        if let Err(cause) = fs::read_dir(&folder.input) {
            let cause = anyhow::Error::new(cause);
            terminal::error(&cause.context(format!(
                "folder {}: nothing was asked for",
                folder.input.display()
            )));
            swept.offline = true;
            continue;
        }
        let which = match verb {
            Verb::Retry => Which::Failed,
            Verb::Reprocess => Which::Stale(folder.recipe_id),
        };
        let output = output_inside(folder);
        let mut after: Option<PathBuf> = None;
        loop {
            let files = ledger.candidates(id, which, after.as_deref())?;
            // Windows has names that cannot be told: they come last, and are left alone.
            let Some((last, _)) = files.last().filter(|(last, _)| last != Path::new("")) else {
                break;
            };
            after = Some(last.clone());
            let count = files.len();
            let there: Vec<(PathBuf, Stamp)> = files
                .into_iter()
                .filter(|(path, stamp)| {
                    watch::judge_in(folder, output.as_deref(), path).is_ok()
                        && stamp_of(&folder.input.join(path)) == Some(*stamp)
                })
                .collect();
            let taken = each(ledger, id, folder, &there)?;
            swept.taken += taken;
            swept.left += count.saturating_sub(taken);
        }
    }
    Ok(swept)
}

fn open(config: &Config) -> anyhow::Result<Visitor> {
    Visitor::write(&config.ledger)?.with_context(|| {
        format!(
            "there is no ledger {} yet: nothing has been processed",
            config.ledger.display()
        )
    })
}

/// Wakes the daemon, and says what was done.
fn tell(about: &Asked, asked: usize, incomplete: bool) -> anyhow::Result<ExitCode> {
    for mistake in about.mistakes() {
        terminal::error(&anyhow::anyhow!(mistake));
    }
    let config = &about.config;
    let running = about.daemon.is_some();
    if matches!(about.relation, Relation::Edited | Relation::Remade) && asked > 0 {
        terminal::error(&anyhow::anyhow!(
            "{}: it runs with the recipes that it loaded",
            about.configuration_line()
        ));
    }
    let files = if asked == 1 { "file" } else { "files" };
    let when = match (asked, running) {
        (0, _) => "",
        (_, true) => " now",
        (_, false) => " when the daemon runs",
    };
    if asked > 0
        && running
        && let Err(cause) = ledger::notify(&config.ledger)
    {
        let cause = anyhow::Error::new(cause);
        terminal::error(&cause.context("the daemon was not told, and finds them in its next scan"));
    }
    writeln!(io::stdout(), "{asked} {files} will be tried again{when}")?;
    Ok(if incomplete {
        ExitCode::from(exit::FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn ask_for(
    about: &Asked,
    ledger: &mut Visitor,
    file: &Path,
    verb: Verb,
    dry_run: bool,
) -> anyhow::Result<Named> {
    let refused = |why: &str| Ok(Named::Refused(why.to_owned()));
    let place = place::place(&about.config, file)?;
    let Some((folder, relative)) = place.inside else {
        if verb == Verb::Retry
            && let Some(back) = moved_back(&about.config, ledger, &place.path)?
        {
            return Ok(back);
        }
        return refused("it lies in none of the folders of the configuration");
    };
    let output = output_inside(folder);
    if let Err(ignored) = watch::judge_in(folder, output.as_deref(), &relative) {
        return Ok(Named::Refused(format!("it is ignored: {ignored}")));
    }
    if place.path.is_symlink() {
        return refused("it is a symbolic link, which is not followed");
    }
    let id = ledger.folder(&folder.input)?;
    let stamp = stamp_of(&place.path);
    let key = id.map(|folder| FileKey {
        folder,
        path: Arc::from(relative.as_path()),
    });
    let entry = key.map(|key| ledger.entry(&key)).transpose()?.flatten();
    let (Some(id), Some(entry)) = (id, entry) else {
        return Ok(match stamp {
            Some(_) => Named::Anyway("it has not been processed yet".to_owned()),
            None => Named::Refused("there is no such file".to_owned()),
        });
    };
    let Some(stamp) = stamp else {
        return refused(gone(folder, &entry));
    };
    if stamp != entry.stamp || entry.gone {
        return Ok(Named::Anyway(
            "it has changed, so it is taken up anyway".to_owned(),
        ));
    }
    if entry.owed && !leaves_later(&entry) {
        return refused("it is about to leave the folder, as the configuration says");
    }
    match entry.state {
        State::Claimed | State::Made => {
            return Ok(Named::Anyway("it is in progress right now".to_owned()));
        }
        State::Released | State::Asked => {
            return Ok(Named::Anyway("it is taken up anyway".to_owned()));
        }
        State::Done if verb == Verb::Retry => {
            let command = about.command("reprocess", file);
            return Ok(Named::Refused(format!(
                "it is done; {command} makes it again"
            )));
        }
        State::Done | State::Failed | State::Waiting => {}
    }
    if dry_run {
        return Ok(Named::Asked);
    }
    ask_once(ledger, id, relative, stamp, verb)
}

/// It was given up, and its time to leave has not come.
fn leaves_later(entry: &Entry) -> bool {
    entry.next.is_some_and(|at| at > SystemTime::now())
}

fn ask_once(
    ledger: &mut Visitor,
    folder: FolderId,
    path: PathBuf,
    stamp: Stamp,
    verb: Verb,
) -> anyhow::Result<Named> {
    let taken = ledger.ask_for(folder, &[(path, stamp)], verb == Verb::Reprocess)?;
    Ok(if taken > 0 {
        Named::Asked
    } else {
        Named::Anyway("it was taken up in this moment".to_owned())
    })
}

fn gone(folder: &Folder, entry: &Entry) -> &'static str {
    let is_away = fs::read_dir(&folder.input).is_err();
    match (is_away, entry.gone) {
        (true, _) => "its folder cannot be read",
        (_, true) => "it has left the folder, as the configuration says",
        (_, false) => "there is no such file any more",
    }
}
