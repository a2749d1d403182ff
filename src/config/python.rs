//! What a file in the Python tool's form says, for it to be written in the new one.

use std::path::{Path, PathBuf};

use super::{
    error::{ConfigError, Problem},
    load,
    model::Folder,
    read_file,
    tree::{self, Node, Value},
    value,
};
use crate::picture::Size;

/// Absolute paths, and what becomes of the pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct PythonForm {
    pub mark: PathBuf,
    pub input: PathBuf,
    pub output: PathBuf,
    /// Percent.
    pub opacity: f32,
    /// Pixels.
    pub output_height: u32,
    pub quality: u8,
}

/// Reads `file`, which must be valid and have the old form.
pub fn python_form(file: &Path) -> Result<PythonForm, ConfigError> {
    let config = load(file)?;
    let failed = |problem| ConfigError {
        file: file.to_owned(),
        problems: vec![problem],
    };
    let bytes = read_file(file).map_err(failed)?;
    let parsed = tree::decode(&bytes).and_then(tree::parse);
    let root = parsed.map_err(failed)?;
    let watermark = entry(&root, "watermark");
    let text = |key| match watermark.and_then(|node| entry(node, key)) {
        Some(Node {
            value: Value::Text(text),
            ..
        }) => Some(text),
        _ => None,
    };
    let (Some(_), Some(mark)) = (text("input_folder"), text("npy_path")) else {
        let cause = "it has no watermark.input_folder: it is no file of the Python tool";
        return Err(failed(Problem::of_file(cause)));
    };
    let base = config.file.parent().unwrap_or(Path::new(""));
    let folder = config.folders.first();
    let recipe = folder.and_then(Folder::recipe);
    let placed = recipe.and_then(|recipe| recipe.marks.first());
    let (Some(folder), Some(recipe), Some(placed)) = (folder, recipe, placed) else {
        return Err(failed(Problem::of_file("it has no folder or no mark")));
    };
    let Size::Height(output_height) = recipe.size else {
        let cause =
            "its size is not an output_height in pixels, which is all that the Python tool had";
        return Err(failed(Problem::of_file(cause)));
    };
    Ok(PythonForm {
        mark: value::below(base, Path::new(mark)),
        input: folder.input.clone(),
        output: folder.output.clone(),
        opacity: placed.opacity,
        output_height,
        quality: recipe.quality,
    })
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let mut entries = entries.iter();
    entries.find(|(name, _)| name == key).map(|(_, node)| node)
}
