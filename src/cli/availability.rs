//! What is in the way at the time of asking: input folders that are away, and a ledger that the
//! daemon cannot write to.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;

use crate::{
    arrival::Stamp,
    config::{self, Config, ConfigError},
    ledger::Earlier,
    memory::Size,
    os,
};

/// How long a dead share may keep the answer back.
const ANSWER_AT_MOST: Duration = Duration::from_secs(3);
/// Bytes below which a file system counts as full: what is left of it may be less than a block.
const FULL: u64 = 1 << 20;

/// What a look at the folders shows.
pub struct Looked {
    /// Why each input folder is offline; None where it is not.
    pub offline: Vec<Option<String>>,
    /// What is wrong with how the folders of the file lie to each other.
    pub layout: Option<ConfigError>,
}

/// Looks at all folders at once. One that hangs is waited for no longer than the others.
pub fn look(config: &Config) -> Looked {
    let deadline = Instant::now() + ANSWER_AT_MOST;
    let file = config.file.clone();
    let layout = in_thread(move || layout(&file));
    let offline = inputs(config);
    Looked {
        offline,
        layout: layout.recv_deadline(deadline).ok().flatten(),
    }
}

/// A folder that only the daemon may read tells nothing to who asks.
fn layout(file: &Path) -> Option<ConfigError> {
    let error = config::load(file).err()?;
    let folders = config::understand(file).config.folders;
    let mut looks = folders.iter().map(|folder| fs::read_dir(&folder.input));
    let is_shut =
        looks.any(|look| look.is_err_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied));
    (!is_shut).then_some(error)
}

fn inputs(config: &Config) -> Vec<Option<String>> {
    let folders = config.folders.iter();
    let looks: Vec<_> = folders
        .map(|folder| {
            let input = folder.input.clone();
            move || away(&input)
        })
        .collect();
    in_time(looks, || Some("it does not answer".to_owned()))
}

/// Whether one of these files of each folder is there, as it was when it failed.
pub fn any_is_there(files: Vec<(PathBuf, Vec<(PathBuf, Stamp)>)>) -> Vec<bool> {
    let looks: Vec<_> = files
        .into_iter()
        .map(|(input, files)| {
            move || {
                files.iter().any(|(path, stamp)| {
                    fs::symlink_metadata(input.join(path))
                        .is_ok_and(|found| found.is_file() && Stamp::of(&found) == *stamp)
                })
            }
        })
        .collect();
    in_time(looks, || true)
}

/// Does all at once, and takes `late` for the answer of what hangs.
fn in_time<T: Send + 'static>(
    looks: Vec<impl FnOnce() -> T + Send + 'static>,
    late: impl Fn() -> T,
) -> Vec<T> {
    let deadline = Instant::now() + ANSWER_AT_MOST;
    let answers: Vec<_> = looks.into_iter().map(in_thread).collect();
    answers
        .into_iter()
        // A thread that hangs is left behind: the process ends soon.
        .map(|answer| answer.recv_deadline(deadline).unwrap_or_else(|_| late()))
        .collect()
}

fn in_thread<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> crossbeam_channel::Receiver<T> {
    let (found, answer) = bounded(1);
    let look = move || drop(found.send(look()));
    // Without a thread nobody looks, which is told as no answer.
    drop(thread::Builder::new().name("look".to_owned()).spawn(look));
    answer
}

/// Why a folder is offline.
pub fn away(folder: &Path) -> Option<String> {
    let cause = fs::read_dir(folder).err()?;
    Some(match cause.kind() {
        // The daemon may be another user.
        io::ErrorKind::PermissionDenied => format!("{cause}, for who asks here"),
        _ => cause.to_string(),
    })
}

/// The ledger of earlier versions, if the next start takes it over.
pub fn earlier(config: &Config) -> Option<&Path> {
    let ledger = config.home.earlier.as_deref()?;
    let inputs: Vec<&Path> = config.folders.iter().map(|folder| &*folder.input).collect();
    let earlier = Earlier {
        ledger,
        inputs: &inputs,
    };
    earlier.is_taken_over(&config.ledger).then_some(ledger)
}

/// Why the daemon cannot write to the ledger, as far as its file system tells.
pub fn ledger(path: &Path) -> Option<String> {
    let nearest = path.ancestors().skip(1).find(|folder| folder.exists())?;
    let space = os::space(nearest).ok()??;
    let trouble = if space.read_only {
        "is read-only".to_owned()
    } else if space.free < FULL {
        format!("is full: {} free of {}", Size(space.free), Size(space.size))
    } else {
        return None;
    };
    let path = path.display();
    Some(format!(
        "the file system of {path} {trouble}; without the ledger nothing is taken up"
    ))
}
