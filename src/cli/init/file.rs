//! The configuration that is written: the example with other values.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, bail};

/// The example is the commented configuration: one text, which the tests hold against the parser.
pub const EXAMPLE: &str = include_str!("../../../config.example.yaml");

pub fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    // A link that leads nowhere has the name, too.
    match path.symlink_metadata() {
        Ok(_) => bail!("{} exists, nothing was written", path.display()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(cause).with_context(|| format!("cannot look at {}", path.display())),
    }
}

pub fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The text with other values of keys of `watermark`.
pub fn with_values(text: &str, values: &[(&str, &str)]) -> String {
    let mut changed = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        let value = values.iter().find(|(key, _)| {
            let rest = line
                .strip_prefix("  ")
                .and_then(|line| line.strip_prefix(key));
            rest.is_some_and(|rest| rest.starts_with(": "))
        });
        match value {
            Some((key, value)) => {
                changed.push_str("  ");
                changed.push_str(key);
                changed.push_str(": ");
                changed.push_str(value);
            }
            None => changed.push_str(line),
        }
        changed.push('\n');
    }
    changed
}

/// The text with another folder at `key`, whose value in the example is `example`.
pub fn with_folder(text: &str, key: &str, example: &str, folder: &Path) -> anyhow::Result<String> {
    let line = format!("{key}: {}\n", as_yaml(folder)?);
    Ok(text.replacen(&format!("{key}: {example}\n"), &line, 1))
}

/// A path in double quotes, which YAML reads as JSON does.
pub fn as_yaml(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(serde_json::to_string(text)?)
}
