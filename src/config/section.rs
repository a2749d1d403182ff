//! A mapping of the file, from which every known key is taken by name together with the function
//! that reads it; what is left over at the end is unknown.

use std::cell::RefCell;

use super::tree::{Node, Place, Value};

type Entries = [(String, Node)];

/// What is wrong with a file so far, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Findings(RefCell<Vec<(Place, String)>>);

impl Findings {
    /// Notes a problem; once only, since what stands in `watermark` is read again for each folder.
    pub fn add(&self, place: &Place, cause: impl Into<String>) {
        let finding = (place.clone(), cause.into());
        let mut findings = self.0.borrow_mut();
        if !findings.contains(&finding) {
            findings.push(finding);
        }
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

    pub fn into_inner(self) -> Vec<(Place, String)> {
        self.0.into_inner()
    }
}

pub struct Section<'a> {
    pub place: Place,
    entries: &'a Entries,
    /// Where a key is looked for that `entries` has not.
    base: &'a Entries,
    known: Vec<&'static str>,
    findings: &'a Findings,
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
            base: &[],
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
                base: &[],
                known: Vec::new(),
                findings: self.findings,
            },
        }
    }

    /// Keys that are missing here are taken from `base`, which reports its own left-overs.
    pub fn over(mut self, base: &Section<'a>) -> Self {
        self.base = base.entries;
        self
    }

    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let layers = self.entries.iter().chain(self.base);
        layers
            .filter(|(name, _)| name == key)
            .map(|(_, node)| node)
            .next()
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
        let layers = self.entries.iter().chain(self.base);
        layers
            .filter(|(name, _)| name == key)
            .map(|(_, node)| node.place.clone())
            .next()
            .unwrap_or_else(|| self.place.key(key))
    }

    /// Refuses the keys that nobody has asked for.
    pub fn finish(mut self) {
        self.known.sort_unstable();
        self.known.dedup();
        for (key, node) in self.entries {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let near = self
                .known
                .iter()
                .map(|known| (strsim::jaro_winkler(key, known), known))
                .filter(|(likeness, _)| *likeness > 0.8)
                .max_by(|(a, _), (b, _)| a.total_cmp(b));
            self.findings.add(
                &node.place,
                match near {
                    Some((_, known)) => format!("unknown key, did you mean {known}?"),
                    None => format!("unknown key, known here are {}", self.known.join(", ")),
                },
            );
        }
    }
}
