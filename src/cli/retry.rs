//! `watermarkd retry` and `watermarkd reprocess`: take fates away in the ledger, so that the daemon
//! deals with the files once more, at once if it runs.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::SystemTime,
};

use anyhow::Context;

use super::{
    asked::{Asked, Relation},
    place::{self, output_inside},
    terminal,
    usage::Usage,
};
use crate::{
    arrival::{FileKey, FolderId, Stamp},
    config::{Config, Folder, Source},
    exit,
    ledger::{self, Entry, State, Visitor, Which},
    os::{self, Directory},
    watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// What failed or waits.
    Retry,
    /// What is done as well.
    Reprocess,
}

/// What came of the wish for one file.
enum Named {
    Asked,
    /// It is processed anyway: why.
    Anyway(String),
    /// It is in its input folder again, here.
    Back(PathBuf),
    /// It cannot be: why.
    Refused(String),
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

/// A folder that a moved file may have come from, with the folder that its failed files are moved to
/// and the file's place in both.
type Origin<'a> = (&'a Folder, &'a Path, PathBuf);

/// Moves a file that failed, and was moved for that, back into its input, where it is taken up like
/// a new one.
fn moved_back(config: &Config, ledger: &Visitor, path: &Path) -> anyhow::Result<Option<Named>> {
    let origins: Vec<Origin<'_>> = config
        .folders
        .iter()
        .filter_map(|folder| {
            let Source::MoveTo(to) = &folder.on_failure else {
                return None;
            };
            let relative = path.strip_prefix(os::resolve(to).ok()?).ok()?;
            Some((folder, to.as_path(), relative.to_owned()))
        })
        .collect();
    if origins.is_empty() {
        return Ok(None);
    }
    if stamp_of(path).is_none() {
        return Ok(Some(Named::Refused("there is no such file".to_owned())));
    }
    match origin(ledger, &origins)? {
        Ok(origin) => move_back(origin, path),
        Err(why) => Ok(Some(Named::Refused(why))),
    }
}

/// The one folder whose file it is, or why that is not certain. Folders may share where they move
/// files, and files that are done may be moved there, too.
fn origin<'a>(
    ledger: &Visitor,
    origins: &'a [Origin<'a>],
) -> anyhow::Result<Result<&'a Origin<'a>, String>> {
    let (mut failed, mut is_done) = (Vec::new(), false);
    for origin in origins {
        let (folder, _, relative) = origin;
        let Some(id) = ledger.folder(&folder.input)? else {
            continue;
        };
        let key = FileKey {
            folder: id,
            path: Arc::from(relative.as_path()),
        };
        match ledger.entry(&key)? {
            Some(entry) if entry.gone && entry.state == State::Failed => failed.push(origin),
            Some(entry) if entry.gone => is_done = true,
            _ => {}
        }
    }
    let takes_done = |(folder, to, _): &Origin<'_>| matches!(&folder.after, Source::MoveTo(after) if after == to);
    Ok(match (failed.as_slice(), origins) {
        ([origin], _) => Ok(*origin),
        ([], _) if is_done => Err("it was moved here because it is done".to_owned()),
        // It has a number, or the ledger has forgotten it.
        ([], [origin]) if !takes_done(origin) => Ok(origin),
        _ => {
            let inputs: Vec<String> = origins
                .iter()
                .map(|(folder, ..)| folder.input.display().to_string())
                .collect();
            let inputs = inputs.join(" or ");
            Err(format!(
                "the ledger does not tell whether it failed in {inputs}: move it back yourself"
            ))
        }
    })
}

fn move_back(
    (folder, failed, relative): &Origin<'_>,
    path: &Path,
) -> anyhow::Result<Option<Named>> {
    let refused = |why: String| Ok(Some(Named::Refused(why)));
    if let Err(ignored) = watch::judge_in(folder, None, relative) {
        return refused(format!("it is ignored: {ignored}"));
    }
    let (Some(name), Some(parent)) = (relative.file_name(), relative.parent()) else {
        return Ok(None);
    };
    let target = folder.input.join(relative);
    let context = || {
        format!(
            "cannot move {} back to {}",
            path.display(),
            target.display()
        )
    };
    let from = Directory::open(failed).and_then(|folder| folder.descend(parent));
    // The subfolder may have been removed once it was empty.
    let to = Directory::open(&folder.input).and_then(|input| {
        let mut steps = parent.iter();
        steps.try_fold(input, |directory, name| directory.enter_or_make(name))
    });
    match from.and_then(|from| {
        let to = to?;
        from.move_new(name, &to, name)?;
        to.sync()?;
        from.sync()
    }) {
        Ok(()) => Ok(Some(Named::Back(target))),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            refused(format!("{} is there already", target.display()))
        }
        Err(cause) if cause.kind() == io::ErrorKind::CrossesDevices => refused(format!(
            "it lies on another file system: copy it to {}",
            target.display()
        )),
        Err(cause) => Err(cause).with_context(context),
    }
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

/// None where there is no file, or none that is taken.
fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| Stamp::of(&metadata))
}
