//! `watermarkd preview`: one picture through the recipe of its folder.

use std::{fs, io, path::Path, process::ExitCode};

use anyhow::{Context, bail};

use super::{
    config_file::ConfigFile,
    place::folder_of,
    terminal::{self, line},
};
use crate::{
    arrival::Stamp,
    picture::{self, Order, Scratch},
    staging, watch, worker,
};

pub fn run(config: &ConfigFile, file: &Path, output: &Path) -> anyhow::Result<ExitCode> {
    let config = config.load()?;
    let Some(wanted) = watch::promised_format(output) else {
        bail!(
            "{}: the name must end in .jpg, .jpeg, .jpe, .jfif, .png or .webp",
            output.display()
        );
    };
    let absolute = file
        .canonicalize()
        .with_context(|| format!("cannot open {}", file.display()))?;
    if output.canonicalize().is_ok_and(|output| output == absolute) {
        bail!("{}: the output would replace the picture", output.display());
    }
    let folder = folder_of(&config, &absolute)?;
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut scratch = Scratch::new()?;
    let recipe = folder.recipe().context("the folder makes nothing")?;
    let written = Stamp::of(&absolute.metadata()?);
    let name = absolute.file_name().unwrap_or_default().to_owned();
    let order = Order {
        wanted,
        recipe,
        about: &picture::about(&bytes, name, worker::written(written)),
    };
    let treated = picture::treat_one(&bytes, &order, &mut scratch, &mut |_| {})
        .with_context(|| file.display().to_string())?;
    staging::write(output, treated.bytes)?;
    let (width, height) = (treated.width, treated.height);
    let (output, bytes) = (output.display(), treated.bytes.len());
    line(
        &mut io::stdout(),
        format_args!("{output}: {width}x{height}, {bytes} bytes"),
    )?;
    if let Some(warning) = treated.warning {
        terminal::error(&anyhow::anyhow!("{}: damaged: {warning}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}
