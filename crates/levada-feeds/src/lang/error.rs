//! Why a table is refused.

use std::path::PathBuf;

use thiserror::Error;

/// Why tables could not be loaded. Nothing of them is used then.
#[derive(Debug, Error)]
pub enum RulesError {
    /// The rules directory or a file in it can not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file in the rules directory has none of the known names.
    #[error("{file} is not a table of the feeds; known are {known}")]
    UnknownFile {
        /// Its name.
        file: String,
        /// The names that are known.
        known: String,
    },
    /// Not TOML or JSON, or not of the table's shape.
    #[error("{file}: {message}")]
    Syntax {
        /// Name of the file.
        file: &'static str,
        /// What is wrong and where.
        message: String,
    },
    /// A value of an entry can not be used.
    #[error("{file}: entry {entry:?}: {key}: {message}")]
    Value {
        /// Name of the file.
        file: &'static str,
        /// Which entry: its language or prefix.
        entry: String,
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A file is larger than the bound.
    #[error("{file} is larger than {max} bytes")]
    TooLarge {
        /// Name of the file.
        file: String,
        /// The bound.
        max: u64,
    },
}

/// The place of a value, for errors about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) file: &'static str,
    pub(super) entry: &'a str,
}

impl Place<'_> {
    pub(super) fn error(self, key: &'static str, message: impl ToString) -> RulesError {
        RulesError::Value {
            file: self.file,
            entry: self.entry.to_owned(),
            key,
            message: message.to_string(),
        }
    }
}
