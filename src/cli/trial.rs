//! The hidden `watermarkd trial`: makes one picture for the daemon, in a process that may die of it.

use std::{
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;

use super::config_file::ConfigFile;
use crate::{memory, trial, watch};

pub fn run(config: &ConfigFile, file: &Path, recipe: u64, length: u64) -> anyhow::Result<ExitCode> {
    let config = config.load()?;
    let wanted = watch::promised_format(file).context("not the name of a picture")?;
    let mut recipes = config.folders.iter().map(|folder| &folder.recipe);
    let recipe = recipes
        .find(|one| one.fingerprint() == recipe)
        .context("the configuration has changed since the daemon read it")?;
    let mut source = Vec::new();
    io::stdin().lock().take(length).read_to_end(&mut source)?;
    trial::end_with_parent().context("cannot start a thread")?;
    let mut out = io::stdout().lock();
    let (max_memory, _) = memory::limit(config.max_memory);
    trial::answer(&source, wanted, recipe, max_memory, &mut out)?;
    Ok(ExitCode::SUCCESS)
}
