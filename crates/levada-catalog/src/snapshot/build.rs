//! From what the sources declare to a snapshot.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Snapshot;
use super::memo::Memo;
use crate::merge::replace_recursive;
use crate::pattern::Pattern;
use crate::problem::Problem;
use crate::source::{Declarations, Declared};
use crate::stream::{Entry, Stream};

/// Builds a snapshot from the sources' declarations in order. An entry that makes no sense is left
/// out and reported; if `previous` has a sound one of that key, that one stays in force.
pub(crate) fn build(
    sources: &[Arc<Declarations>],
    configured_aliases: &BTreeMap<String, String>,
    problems: Vec<Problem>,
    previous: Option<&Snapshot>,
) -> Snapshot {
    let mut builder = Builder {
        problems,
        previous,
        snapshot: Snapshot {
            entries: Vec::new(),
            streams: Vec::new(),
            by_key: HashMap::new(),
            patterns: Vec::new(),
            aliases: BTreeMap::new(),
            problems: Vec::new(),
            version: String::new(),
            memo: Memo::default(),
            full_answer: OnceLock::new(),
        },
    };
    let mut declared = builder.collect(sources);
    builder.overlay(&mut declared, sources);
    for entry in declared {
        builder.add(entry);
    }
    builder.keep_unnamed(sources);
    builder.aliases(sources, configured_aliases);
    builder.finish()
}

struct Builder<'a> {
    problems: Vec<Problem>,
    previous: Option<&'a Snapshot>,
    snapshot: Snapshot,
}

impl Builder<'_> {
    /// All entries; a later source's entry takes the place of an earlier one of the same key.
    fn collect(&mut self, sources: &[Arc<Declarations>]) -> Vec<Declared> {
        let mut all: Vec<Declared> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for source in sources {
            self.problems.extend(source.problems.iter().cloned());
            for declared in &source.streams {
                match places.get(&declared.key) {
                    None => {
                        places.insert(declared.key.clone(), all.len());
                        all.push(declared.clone());
                    }
                    Some(&place) => {
                        let reason = format!("replaces the entry of {} as a whole", all[place].source);
                        self.problems
                            .push(Problem::warning(&declared.source, Some(&declared.key), reason));
                        all[place] = declared.clone();
                    }
                }
            }
        }
        all
    }

    /// Lays overrides over the entry with their key and over the names their pattern matches.
    fn overlay(&mut self, all: &mut [Declared], sources: &[Arc<Declarations>]) {
        for over in sources.iter().flat_map(|source| &source.overrides) {
            let mut hit = false;
            for entry in all.iter_mut() {
                let by_pattern = over
                    .pattern
                    .as_ref()
                    .is_some_and(|p| !Pattern::is_pattern(&entry.key) && p.is_match(&entry.key));
                if entry.key == over.key || by_pattern {
                    if let Ok(settings) = &mut entry.settings {
                        *settings = replace_recursive(settings, &over.settings);
                    }
                    hit = true;
                }
            }
            if !hit {
                let reason = "the override applies to no stream";
                self.problems
                    .push(Problem::warning(&over.source, Some(&over.key), reason));
            }
        }
    }

    fn add(&mut self, declared: Declared) {
        let Declared {
            key,
            settings,
            source,
        } = declared;
        let mut warnings = Vec::new();
        let built = settings
            .and_then(|settings| Entry::new(key.clone(), settings, source.clone()))
            .and_then(|entry| {
                entry
                    .stream(&mut warnings)
                    .map(|stream| (Arc::new(entry), Arc::new(stream)))
            });
        for warning in warnings {
            self.problems.push(Problem::warning(&source, Some(&key), warning));
        }
        let built = match built {
            Ok(built) => built,
            Err(reason) => match self.previous.and_then(|previous| previous.entry(&key)) {
                Some(earlier) => {
                    let reason = format!("{reason}; the definition from before stays in force");
                    self.problems.push(Problem::error(&source, Some(&key), reason));
                    earlier
                }
                None => {
                    self.problems.push(Problem::error(&source, Some(&key), reason));
                    return;
                }
            },
        };
        self.put(key, built);
    }

    /// Entries without a name may be about any stream of their source that is no longer declared by name:
    /// these all stay as they were.
    fn keep_unnamed(&mut self, sources: &[Arc<Declarations>]) {
        let Some(previous) = self.previous else { return };
        for nameless in sources.iter().filter_map(|source| source.nameless.as_ref()) {
            for stream in previous
                .streams()
                .iter()
                .filter(|stream| stream.source == *nameless)
            {
                if self.snapshot.by_key.contains_key(&stream.key) {
                    continue;
                }
                let Some(earlier) = previous.entry(&stream.key) else {
                    continue;
                };
                let reason = "it is no longer declared, or by an entry that does not say its name; \
                              the definition from before stays in force";
                self.problems
                    .push(Problem::error(nameless, Some(&stream.key), reason));
                self.put(stream.key.clone(), earlier);
            }
        }
    }

    fn put(&mut self, key: String, (entry, stream): (Arc<Entry>, Arc<Stream>)) {
        let place = self.snapshot.streams.len();
        if stream.is_pattern() {
            self.snapshot.patterns.push(place);
        }
        self.snapshot.by_key.insert(key, place);
        self.snapshot.entries.push(entry);
        self.snapshot.streams.push(stream);
    }

    fn aliases(&mut self, sources: &[Arc<Declarations>], configured: &BTreeMap<String, String>) {
        let mut all = BTreeMap::new();
        for source in sources {
            all.extend(source.aliases.iter());
        }
        all.extend(configured.iter());
        for (alias, target) in all {
            let reason = match self.snapshot.stream(target) {
                _ if self.snapshot.by_key.contains_key(alias) => {
                    "the alias has the name of a stream, which is what the name means".to_owned()
                }
                None => format!("the alias names the stream {target}, which is not configured"),
                Some(stream) if stream.is_pattern() => {
                    format!("the alias names {target}, which is a pattern and no stream")
                }
                Some(_) => {
                    self.snapshot.aliases.insert(alias.clone(), target.clone());
                    continue;
                }
            };
            self.problems
                .push(Problem::error("stream_aliases", Some(alias), reason));
        }
    }

    fn finish(mut self) -> Snapshot {
        let mut content = Map::new();
        for stream in &self.snapshot.streams {
            content.insert(stream.key.clone(), Value::Object(stream.settings.clone()));
        }
        let mut hash = Sha256::new();
        hash.update(Value::Object(content).to_string());
        for (alias, target) in &self.snapshot.aliases {
            hash.update(format!("\n{alias}\n{target}"));
        }
        for byte in &hash.finalize()[..16] {
            // Writing to a String cannot fail.
            let _ = write!(self.snapshot.version, "{byte:02x}");
        }
        self.snapshot.problems = self.problems;
        self.snapshot
    }
}

#[cfg(test)]
mod tests;
