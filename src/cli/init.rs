//! `watermarkd init`: a folder in which `run` works at once.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, bail};

use super::terminal::line;
use crate::mark;

/// The example is the commented configuration: one text, which the tests hold against the parser.
pub const EXAMPLE: &str = include_str!("../../config.example.yaml");

pub fn run(directory: &Path) -> anyhow::Result<ExitCode> {
    let config = directory.join("config.yaml");
    let mark_file = directory.join("mark.npy");
    for path in [&config, &mark_file] {
        if path
            .try_exists()
            .with_context(|| format!("cannot look at {}", path.display()))?
        {
            bail!("{} exists, nothing was written", path.display());
        }
    }
    for folder in [directory.join("in"), directory.join("out")] {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create folder {}", folder.display()))?;
    }
    mark::save(&mark::sample(), &mark_file)?;
    File::create_new(&config)
        .and_then(|mut file| file.write_all(EXAMPLE.as_bytes()))
        .with_context(|| format!("cannot write {}", config.display()))?;
    let mut out = io::stdout().lock();
    let (file, mark, inbox) = (config.display(), mark_file.display(), directory.join("in"));
    line(&mut out, format_args!("wrote {file} and {mark}"))?;
    line(&mut out, format_args!("next: watermarkd run -c {file}"))?;
    let inbox = inbox.display();
    line(&mut out, format_args!("then drop pictures into {inbox}"))?;
    Ok(ExitCode::SUCCESS)
}
