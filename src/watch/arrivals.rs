//! What a folder's raw events mean: files on their way, new directories to be walked, a watch that
//! is dead.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use notify::ErrorKind;
use tracing::{debug, warn};

use super::{
    events::{Raw, explain_watch_error},
    filter,
    watching::{ONE_WATCH_A_DIRECTORY, State, Stopped, Watching},
};
use crate::{
    arrival::{FileEvent, FileKey},
    log::text,
    os,
};

impl Watching<'_> {
    /// Takes what waits now, but not for ever: reloads and rescans have their turn.
    pub fn take_waiting(&mut self) -> Result<(), Stopped> {
        for _ in 0..self.raws.receiver.len() {
            let Ok(raw) = self.raws.receiver.try_recv() else {
                break;
            };
            self.take(raw)?;
        }
        Ok(())
    }

    /// Handles one raw event and walks the directories that it brought to light.
    pub fn take(&mut self, raw: Raw) -> Result<(), Stopped> {
        self.take_file(raw)?;
        self.walk_appeared()
    }

    pub fn walk_appeared(&mut self) -> Result<(), Stopped> {
        while let Some(path) = self.appeared.pop() {
            let Some(directory) = self.relative(&path) else {
                continue;
            };
            debug!(path = text(&path), "walking a new folder");
            if let Err(cause) = self.scan(directory, &mut { ONE_WATCH_A_DIRECTORY })? {
                debug!(
                    path = text(&path),
                    cause = format!("{cause:#}"),
                    "new folder is gone again"
                );
            }
        }
        Ok(())
    }

    pub fn take_file(&mut self, raw: Raw) -> Result<(), Stopped> {
        let folder = &self.root.folder;
        match raw {
            Raw::File(path, hint) => {
                let Some(relative) = self.relative(&path) else {
                    return Ok(());
                };
                if filter::judge_in(folder, None, &relative).is_err() {
                    return Ok(());
                }
                let file = FileKey {
                    folder: self.root.id,
                    path: Arc::from(relative),
                };
                self.events
                    .send(FileEvent { file, hint })
                    .map_err(|_gone| Stopped)?;
            }
            Raw::Appeared(path) => {
                let Some(relative) = self.relative(&path) else {
                    return Ok(());
                };
                if folder.recursive
                    && fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir())
                    && filter::judge_directory(&relative, &folder.ignore).is_ok()
                {
                    self.appeared.push(path);
                }
            }
            Raw::Removed(path) => {
                // Only the loss of the folder itself matters: its watch is dead.
                if os::watch_path(&folder.input) == path {
                    self.next_look = Instant::now();
                    // The directory that comes next under this name may have the same inode.
                    if let State::Online { watched, tried, .. } = &mut self.state {
                        (*watched, *tried) = (false, None);
                    }
                }
            }
            Raw::Wake => {}
            Raw::Asked => {
                self.asked = true;
                self.next_look = Instant::now();
            }
            Raw::Mounts => {
                if self.has_moved() {
                    self.next_look = Instant::now();
                }
            }
            Raw::WatchLimit => warn!(
                path = text(&folder.input),
                cause = explain_watch_error(&notify::Error::new(ErrorKind::MaxFilesWatch)),
                "no events for some subfolders, the rescan covers them"
            ),
        }
        Ok(())
    }

    /// A path that events name, relative to the input, unless it belongs to the output.
    fn relative(&self, path: &Path) -> Option<PathBuf> {
        let input = os::watch_path(&self.root.folder.input);
        let relative = path.strip_prefix(&input).ok()?;
        let excluded = self
            .root
            .excluded
            .as_ref()
            .is_some_and(|output| relative.starts_with(output));
        (!excluded && !relative.as_os_str().is_empty()).then(|| relative.to_owned())
    }
}
