//! A mapping of the file, from which every known key is taken by name together with the function
//! that reads it; what is left over at the end is unknown.

use std::{cell::RefCell, iter};

use super::{
    tree::{Node, Place, Value},
    value,
};

type Entries = [(String, Node)];

/// What is wrong with a file so far, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Findings {
    problems: RefCell<Vec<(Place, String)>>,
    /// What is taken all the same.
    warnings: RefCell<Vec<(Place, String)>>,
}

impl Findings {
    /// Notes a problem; once only, since what stands in `watermark` is read again for each folder.
    pub fn add(&self, place: &Place, cause: impl Into<String>) {
        let finding = (place.clone(), cause.into());
        let mut findings = self.problems.borrow_mut();
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    /// Notes what is taken, but hardly what was meant.
    pub fn warn(&self, place: &Place, cause: impl Into<String>) {
        let mut warnings = self.warnings.borrow_mut();
        warnings.push((place.clone(), cause.into()));
    }

    /// Notes every key below `node` that its mapping has twice.
    pub fn add_duplicates(&self, node: &Node) {
        match &node.value {
            Value::List(nodes) => nodes.iter().for_each(|node| self.add_duplicates(node)),
            Value::Map(entries) => {
                for (index, (key, node)) in entries.iter().enumerate() {
                    if entries[..index].iter().any(|(earlier, _)| earlier == key) {
                        self.add(&node.place, "duplicate key");
                    }
                    self.add_duplicates(node);
                }
            }
            _ => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// The problems and the warnings.
    pub fn into_inner(self) -> [Vec<(Place, String)>; 2] {
        [self.problems.into_inner(), self.warnings.into_inner()]
    }
}

pub struct Section<'a> {
    pub place: Place,
    entries: &'a Entries,
    /// Where a key is looked for that `entries` has not, nearest first.
    bases: Vec<&'a Entries>,
    known: Vec<&'static str>,
    pub findings: &'a Findings,
}

impl<'a> Section<'a> {
    pub fn of(node: &'a Node, findings: &'a Findings) -> Self {
        let entries: &Entries = match &node.value {
            Value::Map(entries) => entries,
            // All its keys are commented out.
            Value::Null => &[],
            other => {
                findings.add(&node.place, format!("must be a mapping, found {other}"));
                &[]
            }
        };
        Self {
            place: node.place.clone(),
            entries,
            bases: Vec::new(),
            known: Vec::new(),
            findings,
        }
    }

    /// The mapping at `key`, empty when it is missing.
    pub fn section(&mut self, key: &'static str) -> Section<'a> {
        match self.node(key) {
            Some(node) => Section::of(node, self.findings),
            None => Section {
                place: self.place.key(key),
                entries: &[],
                bases: Vec::new(),
                known: Vec::new(),
                findings: self.findings,
            },
        }
    }

    /// Keys that are missing here are taken from `base`, which reports its own left-overs.
    pub fn over(mut self, base: &Section<'a>) -> Self {
        self.bases = base.layers().collect();
        self
    }

    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.find(key)
    }

    /// As `node`, for a key that is known already.
    pub fn find(&self, key: &str) -> Option<&'a Node> {
        self.layers().find_map(|entries| value_of(entries, key))
    }

    /// The mapping at `node`, whose missing keys are taken from here.
    pub fn entry(&self, node: &'a Node) -> Section<'a> {
        Section::of(node, self.findings).over(self)
    }

    /// Those of `keys` that the nearest layer with any of them has, in their order: keys that mean
    /// one thing together, so that a layer with one of them hides all of the layers below it.
    pub fn nearest_of(&mut self, keys: &[&'static str]) -> Vec<(&'static str, &'a Node)> {
        self.known.extend(keys);
        let mut found = self.layers().map(|entries| {
            let node = |key: &&'static str| Some((*key, value_of(entries, key)?));
            keys.iter().filter_map(node).collect::<Vec<_>>()
        });
        found.find(|nodes| !nodes.is_empty()).unwrap_or_default()
    }

    /// This mapping and those below it, nearest first.
    fn layers(&self) -> impl Iterator<Item = &'a Entries> {
        iter::once(self.entries).chain(self.bases.iter().copied())
    }

    /// The value at `key` as `read` understands it; `None` when the key is missing or wrong.
    pub fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.node(key)?;
        match read(&node.value) {
            Ok(value) => Some(value),
            Err(cause) => {
                self.findings.add(&node.place, cause);
                None
            }
        }
    }

    /// Puts the value at `key` in the place of the default.
    pub fn set<T>(
        &mut self,
        key: &'static str,
        slot: &mut T,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) {
        if let Some(value) = self.get(key, read) {
            *slot = value;
        }
    }

    /// The place of `key` if it is there, else the one that lacks it.
    pub fn place_of(&self, key: &str) -> Place {
        self.find(key)
            .map_or_else(|| self.place.key(key), |node| node.place.clone())
    }

    /// Refuses the keys that nobody has asked for.
    pub fn finish(mut self) {
        self.known.sort_unstable();
        self.known.dedup();
        for (key, node) in self.entries {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let meant = meant(key).filter(|meant| self.known.contains(meant));
            let cause = match meant.or_else(|| value::nearest(key, &self.known)) {
                Some(known) => format!("unknown key, did you mean {known}?"),
                None => format!("unknown key, known here are {}", self.known.join(", ")),
            };
            self.findings.add(&node.place, cause);
        }
    }
}

/// The key that other programs call so.
fn meant(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase().replace('-', "_");
    let (_, meant) = MEANT.iter().find(|(words, _)| words.contains(&&*key))?;
    Some(meant)
}

const MEANT: [(&[&str], &str); 12] = [
    (&["height", "max_height"], "output_height"),
    (&["width", "max_width"], "output_width"),
    (
        &[
            "size",
            "resize",
            "longest_edge",
            "long_side",
            "longest_side",
            "max_size",
        ],
        "long_edge",
    ),
    (
        &["shortest_edge", "short_side", "shortest_side"],
        "short_edge",
    ),
    (
        &[
            "jpeg_quality",
            "jpg_quality",
            "compression",
            "output_jpeg_quality",
        ],
        "output_quality",
    ),
    (
        &[
            "mark",
            "image",
            "logo",
            "watermark",
            "file",
            "path",
            "png_path",
            "mark_path",
        ],
        "npy_path",
    ),
    (&["alpha", "transparency"], "opacity"),
    (&["anchor", "gravity", "location"], "position"),
    (&["padding", "border", "distance"], "margin"),
    (
        &["input_folder", "input_dir", "source", "src", "from"],
        "input",
    ),
    (
        &[
            "output_folder",
            "output_dir",
            "destination",
            "dest",
            "target",
            "to",
        ],
        "output",
    ),
    (&["threads", "jobs", "processes"], "workers"),
];

fn value_of<'a>(entries: &'a Entries, key: &str) -> Option<&'a Node> {
    let mut entries = entries.iter();
    entries.find(|(name, _)| name == key).map(|(_, node)| node)
}
