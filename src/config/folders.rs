//! `folders:`, or the original tool's single folder.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::{
    layout::Site,
    model::{Folder, OnConflict, Rendition, Source, Watch},
    recipe::{self, Form, Marks},
    renditions,
    section::{Findings, Section},
    tree::{Node, Value},
    value,
};

const AFTER: &str = "after";
/// How long a file that was given up stays at least, unless the folder says otherwise.
const GIVE_UP: Duration = Duration::from_secs(3600);

/// The folders of either form.
pub fn read(top: &mut Section<'_>, base: &Path, findings: &Findings) -> Vec<Site> {
    let mut marks = Marks {
        base,
        fonts: HashMap::new(),
        loaded: HashMap::new(),
    };
    let max_pixels = top.get("max_pixels", value::whole(1..=4_000_000_000));
    let mut watermark = top.section("watermark");
    let old_input = watermark.get("input_folder", value::path);
    let old_form = watermark.node("input_folder").is_some();
    let form = if old_form { Form::Python } else { Form::List };
    let list = top.node("folders");

    let mut sites = Vec::new();
    // Read for itself too: a key may be wrong though every folder overrides it.
    recipe::read(&mut watermark, &mut marks, max_pixels, form);
    match list {
        Some(_) if old_form => findings.add(
            &watermark.place_of("input_folder"),
            "cannot be combined with folders: name it there",
        ),
        Some(Node {
            value: Value::List(nodes),
            place,
        }) => {
            if nodes.is_empty() {
                findings.add(place, "must have at least one folder");
            }
            sites.extend(
                nodes.iter().filter_map(|node| {
                    read_one(node, &watermark, &mut marks, max_pixels, findings)
                }),
            );
        }
        Some(Node { value, place }) => {
            findings.add(place, value::wanted("a list of folders", value));
        }
        None if old_form => {
            sites.extend(
                old_input.map(|input| read_old(&input, &mut watermark, &mut marks, max_pixels)),
            );
        }
        None => findings.add(
            &top.place.key("folders"),
            "required, but missing (or watermark.input_folder for a single folder)",
        ),
    }
    watermark.finish();
    sites
}

/// One entry of `folders`; `None` when it has no input.
fn read_one(
    node: &Node,
    watermark: &Section<'_>,
    marks: &mut Marks<'_>,
    max_pixels: Option<u64>,
    findings: &Findings,
) -> Option<Site> {
    let mut section = Section::of(node, findings);
    let input = section.get("input", value::path);
    if section.node("input").is_none() {
        findings.add(&section.place.key("input"), "required, but missing");
    }
    let output = section.get("output", value::path);
    let mut recursive = false;
    section.set("recursive", &mut recursive, value::switch);
    let mut watch = Watch::Auto;
    section.set(
        "watch",
        &mut watch,
        value::choice(&[
            ("auto", Watch::Auto),
            ("events", Watch::Events),
            ("poll", Watch::Poll),
        ]),
    );
    let (ignore, globs) = ignore(section.node("ignore"), findings);
    let (give_up, prune_empty) = clearing(&mut section);
    let after = source(AFTER, &mut section, marks.base);
    let on_failure = source("on_failure", &mut section, marks.base);

    let (renditions, on_conflict) = results(&mut section, watermark, marks, max_pixels);

    let input_at = section.place_of("input");
    let output_at = section.place_of("output");
    let output_given = section.node("output").is_some();
    let after_at = section.place_of(AFTER);
    let on_failure_at = section.place_of("on_failure");
    section.finish();

    let input = value::below(marks.base, &input?);
    Some(Site {
        folder: Folder {
            output: output.map_or_else(
                || input.join("output"),
                |path| value::below(marks.base, &path),
            ),
            input,
            recursive,
            watch,
            ignore,
            globs,
            after,
            on_failure,
            give_up,
            prune_empty,
            on_conflict,
            recipe_id: renditions::fingerprint(&renditions),
            renditions,
        },
        input_at,
        output_at,
        output_given,
        after_at,
        on_failure_at,
    })
}

/// What is made of each picture, and what becomes of it where its name is taken.
fn results(
    section: &mut Section<'_>,
    watermark: &Section<'_>,
    marks: &mut Marks<'_>,
    max_pixels: Option<u64>,
) -> (Vec<Rendition>, OnConflict) {
    let mut own = section.section("watermark").over(watermark);
    let recipe = recipe::read(&mut own, marks, max_pixels, Form::List);
    let renditions = if let Some(node) = section.node("renditions") {
        renditions::read(node, &own, marks, max_pixels)
    } else {
        recipe::require_mark(&mut own);
        vec![Rendition::only(Arc::new(recipe))]
    };
    own.finish();
    let mut on_conflict = OnConflict::Auto;
    section.set(
        "on_conflict",
        &mut on_conflict,
        value::choice(&[
            ("auto", OnConflict::Auto),
            ("replace", OnConflict::Replace),
            ("number", OnConflict::Number),
            ("fail", OnConflict::Fail),
        ]),
    );
    (renditions, on_conflict)
}

/// How thoroughly the input is emptied.
fn clearing(section: &mut Section<'_>) -> (Duration, bool) {
    let (mut give_up, mut prune_empty) = (GIVE_UP, false);
    let longest = Duration::from_secs(365 * 24 * 3600);
    let range = Duration::from_secs(1)..=longest;
    section.set("give_up", &mut give_up, value::duration(range));
    section.set("prune_empty", &mut prune_empty, value::switch);
    (give_up, prune_empty)
}

/// The folder of the original tool's form.
fn read_old(
    input: &Path,
    watermark: &mut Section<'_>,
    marks: &mut Marks<'_>,
    max_pixels: Option<u64>,
) -> Site {
    let recipe = recipe::read(watermark, marks, max_pixels, Form::Python);
    recipe::require_mark(watermark);
    let input = value::below(marks.base, input);
    let renditions = vec![Rendition::only(Arc::new(recipe))];
    let at = watermark.place_of("input_folder");
    Site {
        folder: Folder {
            output: input.join("output"),
            input,
            recursive: false,
            watch: Watch::Auto,
            ignore: GlobSet::empty(),
            globs: Vec::new(),
            after: Source::Keep,
            on_failure: Source::Keep,
            give_up: GIVE_UP,
            prune_empty: false,
            on_conflict: OnConflict::Auto,
            recipe_id: renditions::fingerprint(&renditions),
            renditions,
        },
        output_at: at.clone(),
        after_at: at.clone(),
        on_failure_at: at.clone(),
        input_at: at,
        output_given: false,
    }
}

fn ignore(node: Option<&Node>, findings: &Findings) -> (GlobSet, Vec<String>) {
    let globs = match node {
        None => &[][..],
        Some(Node {
            value: Value::List(globs),
            ..
        }) => globs,
        Some(Node { place, value }) => {
            findings.add(place, value::wanted("a list of globs", value));
            &[]
        }
    };
    let (mut set, mut texts) = (GlobSetBuilder::new(), Vec::new());
    for Node { place, value } in globs {
        let glob = value::text(value).and_then(glob);
        match glob {
            Ok(glob) => {
                texts.push(glob.glob().to_owned());
                set.add(glob);
            }
            Err(cause) => findings.add(place, cause),
        }
    }
    let set = set.build().unwrap_or_else(|error| {
        // Each glob is sound; together they may be too large.
        if let Some(node) = node {
            findings.add(&node.place, error.to_string());
        }
        GlobSet::empty()
    });
    (set, texts)
}

fn glob(text: &str) -> Result<Glob, String> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .case_insensitive(cfg!(windows))
        .build()
        .map_err(|error| error.to_string())
}

/// Globs that were taken before.
#[must_use]
pub fn glob_set(globs: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in globs.iter().filter_map(|text| glob(text).ok()) {
        set.add(glob);
    }
    set.build().unwrap_or_default()
}

/// What is to become of the files that `key` is about. Only files that have been published are ever
/// deleted.
fn source(key: &'static str, section: &mut Section<'_>, base: &Path) -> Source {
    let Some(node) = section.node(key) else {
        return Source::Keep;
    };
    let choices = match (&node.value, key) {
        (Value::Text(text), _) if text == "keep" => return Source::Keep,
        (Value::Text(text), AFTER) if text == "delete" => return Source::Delete,
        (Value::Map(entries), _) if !entries.is_empty() => {
            let mut entry = Section::of(node, section.findings);
            let path = entry.get("move_to", value::path);
            entry.finish();
            return path.map_or(Source::Keep, |path| {
                Source::MoveTo(value::below(base, &path))
            });
        }
        (_, AFTER) => "keep, delete or {move_to: FOLDER}",
        _ => "keep or {move_to: FOLDER}",
    };
    let cause = value::wanted(choices, &node.value);
    section.findings.add(&node.place, cause);
    Source::Keep
}
