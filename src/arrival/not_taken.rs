//! What a scan did not take: counted by rule, and by extension, without a word for each file. The
//! table of extensions has a bound, so that a folder of any size costs the same.

use std::fmt;

/// Extensions that are told apart. The others are counted together.
const EXTENSIONS: usize = 16;
/// The longest extension that is told, in bytes.
const LONGEST: usize = 8;

/// The entries of a folder that are no pictures to be processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotTaken {
    extensions: [Extension; EXTENSIONS],
    /// Files with other extensions, or none.
    pub others: u64,
    /// Hidden, temporary, or a system's own.
    pub hidden: u64,
    /// That match a glob of `ignore`.
    pub globs: u64,
    /// Links, and what else is no file.
    pub links: u64,
    /// Folders that are not entered, since the folder is not recursive.
    pub subfolders: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extension {
    /// Lower-case ASCII, filled up with zeros.
    name: [u8; LONGEST],
    count: u64,
}

impl NotTaken {
    /// Counts a file whose extension is that of no picture.
    pub fn count_extension(&mut self, extension: Option<&[u8]>) {
        self.add_extension(extension.unwrap_or_default(), 1);
    }

    /// The same of so many files.
    pub fn add_extension(&mut self, extension: &[u8], count: u64) {
        let is_plain = extension.iter().all(u8::is_ascii_alphanumeric);
        let mut name = [0; LONGEST];
        let slot = name.get_mut(..extension.len());
        let Some(slot) = slot.filter(|_| is_plain && !extension.is_empty()) else {
            self.others += count;
            return;
        };
        slot.copy_from_slice(extension);
        name.make_ascii_lowercase();
        let mut extensions = self.extensions.iter_mut();
        match extensions.find(|one| one.name == name || one.count == 0) {
            Some(one) => {
                *one = Extension {
                    name,
                    count: one.count + count,
                }
            }
            None => self.others += count,
        }
    }

    /// Counts what another scan did not take.
    pub fn add(&mut self, other: &NotTaken) {
        for (name, count) in other.extensions() {
            self.add_extension(name.as_bytes(), count);
        }
        self.others += other.others;
        self.hidden += other.hidden;
        self.globs += other.globs;
        self.links += other.links;
        self.subfolders += other.subfolders;
    }

    /// In the order in which they were met.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, u64)> {
        let met = self.extensions.iter().filter(|one| one.count > 0);
        met.map(|one| {
            let end = one.name.iter().position(|byte| *byte == 0);
            let name = &one.name[..end.unwrap_or(LONGEST)];
            (str::from_utf8(name).unwrap_or_default(), one.count)
        })
    }

    pub fn total(&self) -> u64 {
        let extensions: u64 = self.extensions.iter().map(|one| one.count).sum();
        extensions + self.others + self.hidden + self.globs + self.links + self.subfolders
    }
}

/// Such as `3 (.heic 2, .cr2 1)`, what is most first.
impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut extensions: Vec<(&str, u64)> = self.extensions().collect();
        extensions.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        let extensions = extensions
            .iter()
            .map(|(name, count)| format!(".{name} {count}"));
        let rules = [
            ("others", self.others),
            ("hidden or temporary", self.hidden),
            ("by `ignore`", self.globs),
            ("links", self.links),
            ("subfolders", self.subfolders),
        ];
        let rules = rules.iter().filter(|(_, count)| *count > 0);
        let parts: Vec<String> = extensions
            .chain(rules.map(|(what, count)| format!("{what} {count}")))
            .collect();
        write!(f, "{}", self.total())?;
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_most_is_told_first_and_the_table_has_a_bound() {
        let mut counted = NotTaken::default();
        assert_eq!(counted.to_string(), "0");
        for extension in ["cr2", "heic", "HEIC", "waytoolong", "x-y"] {
            counted.count_extension(Some(extension.as_bytes()));
        }
        counted.count_extension(None);
        assert_eq!(counted.to_string(), "6 (.heic 2, .cr2 1, others 3)");
        (counted.hidden, counted.subfolders) = (2, 1);
        let told = "9 (.heic 2, .cr2 1, others 3, hidden or temporary 2, subfolders 1)";
        assert_eq!(counted.to_string(), told);
        let mut both = counted;
        both.add(&counted);
        assert_eq!(both.total(), 18);
        for number in 0..100 {
            counted.count_extension(Some(format!("e{number}").as_bytes()));
        }
        assert_eq!(counted.extensions().count(), EXTENSIONS);
        assert_eq!(counted.total(), 109);
        assert!(counted.to_string().len() < 300, "{counted}");
    }
}
