//! The hidden `watermarkd trial`: makes one picture for the daemon, in a process that may die of it.

use std::{
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;

use super::config_file::ConfigFile;
use crate::{arrival::Stamp, memory, picture, trial, watch, worker};

pub fn run(
    config: &ConfigFile,
    file: &Path,
    recipe: u64,
    (length, written): (u64, i64),
) -> anyhow::Result<ExitCode> {
    let config = config.load()?;
    let promised = watch::promised_format(file).context("not the name of a picture")?;
    let folder = config.folders.iter().find(|one| one.recipe_id == recipe);
    let folder = folder.context("the configuration has changed since the daemon read it")?;
    let mut source = Vec::new();
    io::stdin().lock().take(length).read_to_end(&mut source)?;
    let written = worker::written(Stamp {
        length,
        mtime_ns: written,
    });
    let name = file.file_name().unwrap_or_default().to_owned();
    let about = picture::about(&source, name, written);
    let renditions = folder.renditions.iter();
    let orders: Vec<_> = renditions.map(|one| one.order(promised, &about)).collect();
    trial::end_with_parent().context("cannot start a thread")?;
    let mut out = io::stdout().lock();
    let (max_memory, _) = memory::limit(config.max_memory);
    trial::answer(&source, &orders, max_memory, &mut out)?;
    Ok(ExitCode::SUCCESS)
}
