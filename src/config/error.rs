//! What is wrong with a configuration, as an operator reads it.

use std::{error::Error, fmt, path::PathBuf};

/// Everything that is wrong with a configuration, in the order of its lines.
#[derive(Debug)]
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

impl Error for ConfigError {}

/// One problem a line, each with the file, as compilers do: editors jump to such lines.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.file.display())?;
            for number in [problem.line, problem.column].into_iter().flatten() {
                write!(f, ":{number}")?;
            }
            if !problem.key.is_empty() {
                write!(f, ": {}", problem.key)?;
            }
            write!(f, ": {}", problem.cause)?;
        }
        Ok(())
    }
}
