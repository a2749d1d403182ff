//! From the folders of a configuration to what is known of them while the machine runs.

use std::{fs, io, path::PathBuf, sync::Arc};

use anyhow::Context;

use crate::{
    config::{self, Config},
    ledger::Ledger,
    os,
    output::Place,
    root::Root,
};

/// Resolves the configured folders to roots, making output folders that are missing. What is known
/// of the place of an output stays known: after a reload, too, a folder whose mount is gone must
/// not be made again on the wrong disk.
pub(super) fn prepare(
    config: &Config,
    ledger: &Ledger,
    before: &[Arc<Root>],
) -> anyhow::Result<Vec<Arc<Root>>> {
    let root = |folder: &config::Folder| {
        let known = before
            .iter()
            .find(|root| root.folder.output == folder.output);
        let output = if let Some(root) = known {
            root.output.clone()
        } else {
            let before = ledger.mount_of(&folder.output)?;
            Place::prepare(&folder.output, before)
        };
        let same_input = known.filter(|root| root.folder.input == folder.input);
        let (excluded, output_identity) = match same_input {
            Some(root) if root.output_identity.is_some() => {
                (root.excluded.clone(), root.output_identity)
            }
            _ => place_of_output(folder)
                .with_context(|| format!("cannot look at {}", folder.output.display()))?,
        };
        let backlog = same_input.map(|root| Arc::clone(&root.backlog));
        Ok(Arc::new(Root {
            id: ledger.folder(&folder.input)?,
            recipe_id: folder.recipe_id,
            excluded,
            output_identity,
            output,
            backlog: backlog.unwrap_or_default(),
            folder: folder.clone(),
        }))
    };
    config.folders.iter().map(root).collect()
}

fn place_of_output(folder: &config::Folder) -> io::Result<(Option<PathBuf>, Option<os::Identity>)> {
    let excluded = os::relative_inside(&folder.output, &folder.input)?;
    let identity = fs::metadata(&folder.output)
        .ok()
        .and_then(|metadata| os::identity(&metadata));
    Ok((excluded, identity))
}
