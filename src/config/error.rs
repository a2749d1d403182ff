//! What is wrong with a configuration, as an operator reads it.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

/// Everything that is wrong with a configuration, in the order of its lines.
#[derive(Debug, Clone)]
pub struct ConfigError {
    /// As it was named.
    pub file: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// From 1; only where the file is no YAML.
    pub column: Option<usize>,
    /// Dotted, such as `folders[0].input`; empty when the whole file is meant.
    pub key: String,
    pub cause: String,
}

impl Problem {
    /// A problem of the whole file.
    pub(super) fn of_file(cause: impl Into<String>) -> Self {
        Self {
            line: None,
            column: None,
            key: String::new(),
            cause: cause.into(),
        }
    }
}

impl Problem {
    /// One line with the file and the place in it.
    #[must_use]
    pub fn in_file(&self, file: &Path) -> String {
        let mut told = file.display().to_string();
        for number in [self.line, self.column].into_iter().flatten() {
            told = format!("{told}:{number}");
        }
        if !self.key.is_empty() {
            told = format!("{told}: {}", self.key);
        }
        format!("{told}: {}", self.cause)
    }
}

impl Error for ConfigError {}

/// One problem a line, each with the file, as compilers do: editors jump to such lines.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.in_file(&self.file))?;
        }
        Ok(())
    }
}
