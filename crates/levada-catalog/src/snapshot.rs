//! The streams in force: immutable, swapped whole.

mod build;
mod memo;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use levada_event::StreamName;

pub(crate) use build::build;

use crate::problem::{Problem, Severity};
use crate::stream::{Entry, Stream};
use memo::Memo;

/// All declared streams, as one configuration says it. A holder sees one consistent state for as
/// long as it holds the snapshot.
#[derive(Debug)]
pub struct Snapshot {
    entries: Vec<Arc<Entry>>,
    streams: Vec<Arc<Stream>>,
    by_key: HashMap<String, usize>,
    /// Indices of entries whose keys are patterns, in declaration order.
    patterns: Vec<usize>,
    aliases: BTreeMap<String, String>,
    problems: Vec<Problem>,
    version: String,
    memo: Memo,
    /// The answer to a streamconfigs request for everything, made once.
    pub(crate) full_answer: OnceLock<Bytes>,
}

impl Snapshot {
    /// The stream of this name: the entry with exactly this key, else the first entry in declaration
    /// order whose pattern matches. For a name under a pattern the topics are those of the name.
    /// Names that no topic could have are under no pattern. Aliases are not looked at.
    pub fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        if let Some(&index) = self.by_key.get(name) {
            return Some(self.streams[index].clone());
        }
        if self.patterns.is_empty() || StreamName::new(name).is_err() {
            return None;
        }
        if let Some(known) = self.memo.get(name) {
            return known;
        }
        let found = self
            .patterns
            .iter()
            .find(|&&index| self.entries[index].matches(name))
            .and_then(|&index| self.entries[index].concrete(name).ok())
            .map(Arc::new);
        self.memo.put(name, found.clone());
        found
    }

    /// The stream of this name or of what the name is an alias of.
    pub fn resolve(&self, name_or_alias: &str) -> Option<Arc<Stream>> {
        self.stream(name_or_alias)
            .or_else(|| self.stream(self.aliases.get(name_or_alias)?))
    }

    /// All entries in declaration order. Entries of patterns are among them and say so in
    /// [`Stream::is_pattern`].
    pub fn streams(&self) -> &[Arc<Stream>] {
        &self.streams
    }

    /// Further names of streams: alias to name. Every target exists.
    pub fn aliases(&self) -> &BTreeMap<String, String> {
        &self.aliases
    }

    /// What is wrong with the configuration this snapshot was made from.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether this is all that the sources are meant to say: nothing is left out, nothing stands in for what
    /// makes no sense, and every source was read. What cannot be undone must wait for it.
    pub fn is_whole(&self) -> bool {
        self.problems
            .iter()
            .all(|problem| problem.severity < Severity::Error)
    }

    /// Hexadecimal fingerprint of the content: equal for snapshots that say the same.
    pub fn version(&self) -> &str {
        &self.version
    }

    fn entry(&self, key: &str) -> Option<(Arc<Entry>, Arc<Stream>)> {
        let &index = self.by_key.get(key)?;
        Some((self.entries[index].clone(), self.streams[index].clone()))
    }
}
