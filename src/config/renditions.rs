//! `renditions:`, what is made of each picture of a folder.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use xxhash_rust::xxh3::Xxh3;

use super::{
    model::{MOST_RENDITIONS, Rendition},
    recipe::{self, Form, Marks},
    section::Section,
    tree::{Node, Value},
    value,
};
use crate::{
    picture::Format,
    template::{Ending, Template},
};

/// The entries of `renditions`. What an entry does not say is said by `own`, the folder's keys of
/// `watermark`.
pub fn read(
    node: &Node,
    own: &Section<'_>,
    marks: &mut Marks<'_>,
    max_pixels: Option<u64>,
) -> Vec<Rendition> {
    let nodes = match &node.value {
        Value::List(nodes) if (1..=MOST_RENDITIONS).contains(&nodes.len()) => nodes,
        Value::List(nodes) => {
            let cause = format!(
                "must have 1..{MOST_RENDITIONS} renditions, found {}",
                nodes.len()
            );
            own.findings.add(&node.place, cause);
            return Vec::new();
        }
        other => {
            let cause = value::wanted("a list of renditions", other);
            own.findings.add(&node.place, cause);
            return Vec::new();
        }
    };
    let mut renditions: Vec<Rendition> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let mut entry = own.entry(node);
        let to = entry.get("to", subfolder).unwrap_or_default();
        let named = entry.get("name", |value| name(value::text(value)?));
        let (name, format) = named.unwrap_or_else(|| (Template::of_source(), None));
        let recipe = Arc::new(recipe::read(&mut entry, marks, max_pixels, Form::List));
        recipe::require_mark(&mut entry);
        let is_same = |other: &Rendition| other.to == to && other.name == name;
        if let Some(index) = renditions.iter().position(is_same) {
            let cause = format!("has the folder and the name of renditions[{index}]");
            entry.findings.add(&node.place, cause);
        }
        entry.finish();
        renditions.push(Rendition {
            to,
            name,
            format,
            recipe,
        });
    }
    renditions
}

/// What results are called, and their format: `None` for that of the source.
fn name(text: &str) -> Result<(Template, Option<Format>), String> {
    let template = Template::name(text)?;
    let format = match template.ending() {
        Ending::Source => None,
        Ending::Own(extension) => Some(Format::of_extension(extension).ok_or_else(|| {
            format!("results are .jpg, .jpeg, .jpe, .jfif, .png or .webp, not .{extension}")
        })?),
        Ending::None => {
            let cause = "must end with .jpg, .jpeg, .jpe, .jfif, .png, .webp or .{ext}, which says the format";
            return Err(cause.to_owned());
        }
    };
    Ok((template, format))
}

/// A folder below the output.
fn subfolder(value: &Value) -> Result<PathBuf, String> {
    let wanted = || value::wanted("a folder below the output, such as web or web/large", value);
    let Value::Text(text) = value else {
        return Err(wanted());
    };
    let path = Path::new(text);
    let is_plain = |part: Component<'_>| match part {
        // A hidden one could be a temporary file's.
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    if text.contains('\0') || !path.components().all(is_plain) {
        return Err(wanted());
    }
    // Without a slash at the end.
    Ok(path.components().collect())
}

/// A number that is the same for equal renditions on every machine and in every build. That of a folder
/// with a single result under the source's name is that of its recipe.
pub fn fingerprint(renditions: &[Rendition]) -> u64 {
    if let [only] = renditions
        && only.to.as_os_str().is_empty()
        && only.name == Template::of_source()
    {
        return only.recipe.fingerprint();
    }
    let mut hash = Xxh3::new();
    for Rendition {
        to,
        name,
        format: _,
        recipe,
    } in renditions
    {
        hash.update(to.as_os_str().as_encoded_bytes());
        // No path and no name has it.
        hash.update(&[0]);
        hash.update(name.text().as_bytes());
        hash.update(&[0]);
        hash.update(&recipe.fingerprint().to_le_bytes());
    }
    hash.digest()
}
