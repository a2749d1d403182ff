//! The hidden `watermarkd trial`: one picture through its whole way, in a process that may die of it.

use std::{io::Read, path::Path, process::ExitCode};

use anyhow::Context;

use super::{config_file::ConfigFile, place::folder_of};
use crate::{
    os,
    picture::{self, Scratch},
    trial, watch,
};

/// What the daemon does with a picture, without its outcome being of interest to anybody.
pub fn run(config: &ConfigFile, file: &Path) -> anyhow::Result<ExitCode> {
    trial::end_with_parent().context("cannot start a thread")?;
    let config = config.load()?;
    let wanted = watch::promised_format(file).context("not the name of a picture")?;
    let recipe = &folder_of(&config, &file.canonicalize()?)?.recipe;
    let mut bytes = Vec::new();
    os::open_regular(file)?.read_to_end(&mut bytes)?;
    let mut scratch = Scratch::new()?;
    let treated = picture::treat(&bytes, wanted, recipe, &mut scratch, &mut |_| {});
    if treated.is_err() && picture::close(&mut bytes) {
        picture::treat(&bytes, wanted, recipe, &mut scratch, &mut |_| {})?;
    }
    Ok(ExitCode::SUCCESS)
}
