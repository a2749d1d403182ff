//! `watermarkd init`: a folder in which `run` works at once.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{self, Path},
    process::ExitCode,
};

use anyhow::{Context, bail};

use super::terminal::line;
use crate::mark;

/// The example is the commented configuration: one text, which the tests hold against the parser.
pub const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// Without folders of their own, input and output lie beside the configuration.
pub fn run(
    directory: &Path,
    input: Option<&Path>,
    output: Option<&Path>,
) -> anyhow::Result<ExitCode> {
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
    let mut text = EXAMPLE.to_owned();
    let mut inbox = directory.join("in");
    for (key, named) in [("input: in", input), ("output: out", output)] {
        let (name, beside) = key.split_once(": ").unwrap_or_default();
        let folder = match named {
            Some(folder) => {
                let folder = path::absolute(folder)?;
                let line = format!("{name}: {}\n", as_yaml(&folder)?);
                text = text.replacen(&format!("{key}\n"), &line, 1);
                folder
            }
            None => directory.join(beside),
        };
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create folder {}", folder.display()))?;
        if name == "input" {
            inbox = folder;
        }
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create folder {}", directory.display()))?;
    mark::save(&mark::sample(), &mark_file)?;
    File::create_new(&config)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", config.display()))?;
    let mut out = io::stdout().lock();
    let (file, mark) = (config.display(), mark_file.display());
    line(&mut out, format_args!("wrote {file} and {mark}"))?;
    line(&mut out, format_args!("next: watermarkd run -c {file}"))?;
    let inbox = inbox.display();
    line(&mut out, format_args!("then drop pictures into {inbox}"))?;
    Ok(ExitCode::SUCCESS)
}

/// A path in double quotes, which YAML reads as JSON does.
fn as_yaml(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(serde_json::to_string(text)?)
}
