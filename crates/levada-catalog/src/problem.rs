//! What is wrong with the configuration: where, which stream, why.

use std::fmt;

use serde::Serialize;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something works other than its author may think.
    Warning,
    /// The named part is not in force.
    Error,
}

/// One thing that is wrong with the configuration. The rest of it is in force nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file or address the fault stands in.
    pub source: String,
    /// The stream concerned (its key as configured), if it is one stream.
    pub stream: Option<String>,
    /// What is wrong, as a sentence without its full stop.
    pub reason: String,
}

impl Problem {
    pub(crate) fn error(source: &str, stream: Option<&str>, reason: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            source: source.into(),
            stream: stream.map(Into::into),
            reason: reason.into(),
        }
    }

    pub(crate) fn warning(source: &str, stream: Option<&str>, reason: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(source, stream, reason)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stream {
            Some(stream) => write!(f, "{}: stream {stream}: {}", self.source, self.reason),
            None => write!(f, "{}: {}", self.source, self.reason),
        }
    }
}
