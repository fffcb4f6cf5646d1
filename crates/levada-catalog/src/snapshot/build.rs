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
use crate::stream::Entry;

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
            let pattern = match Pattern::is_pattern(&over.key).then(|| Pattern::parse(&over.key)) {
                None => None,
                Some(Ok(pattern)) => Some(pattern),
                Some(Err(reason)) => {
                    let reason = format!("override: {reason}");
                    self.problems
                        .push(Problem::error(&over.source, Some(&over.key), reason));
                    continue;
                }
            };
            let mut hit = false;
            for entry in all.iter_mut() {
                let by_pattern = pattern
                    .as_ref()
                    .is_some_and(|p| !Pattern::is_pattern(&entry.key) && p.is_match(&entry.key));
                if entry.key == over.key || by_pattern {
                    entry.settings = replace_recursive(&entry.settings, &over.settings);
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
        let built = Entry::new(key.clone(), settings, source.clone()).and_then(|entry| {
            entry
                .stream(&mut warnings)
                .map(|stream| (Arc::new(entry), Arc::new(stream)))
        });
        for warning in warnings {
            self.problems.push(Problem::warning(&source, Some(&key), warning));
        }
        let (entry, stream) = match built {
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::{self, Site};

    fn declarations(document: Value, name: &str) -> Arc<Declarations> {
        Arc::new(
            source::read(
                document,
                &[],
                name,
                Site {
                    wiki: None,
                    tags: &[],
                },
            )
            .unwrap(),
        )
    }

    fn snapshot(documents: &[Value], previous: Option<&Snapshot>) -> Snapshot {
        let sources: Vec<_> = documents
            .iter()
            .zip(["one", "two"])
            .map(|(d, name)| declarations(d.clone(), name))
            .collect();
        build(&sources, &BTreeMap::new(), Vec::new(), previous)
    }

    fn problems(snapshot: &Snapshot) -> Vec<String> {
        snapshot.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_found_exactly_then_by_the_first_pattern() {
        let got = snapshot(
            &[json!({"streams": {
                "/^a\\./": {"schema_title": "first"}, "/^a\\.b/": {"schema_title": "second"},
                "a.b.c": {"schema_title": "exact"}
            }})],
            None,
        );
        let title = |name: &str| got.stream(name).and_then(|s| s.schema_title.clone());
        assert_eq!(title("a.b.c").as_deref(), Some("exact"));
        for _ in 0..2 {
            assert_eq!(title("a.b.d").as_deref(), Some("first"));
            assert_eq!(title("b"), None);
        }
        assert_eq!(title("/^a\\.b/").as_deref(), Some("second"));
        assert_eq!(title("a.b d"), None);
        assert_eq!(got.stream("a.b.d").unwrap().name, "a.b.d");
    }

    #[test]
    fn a_bad_entry_is_reported_and_an_earlier_sound_one_stays() {
        let good = json!({"streams": {"a": {"schema_title": "x"}, "b": {}}});
        let bad = json!({"streams": {"a": {"schema_title": 1}, "b": {}, "/(/": {}}});
        let first = snapshot(std::slice::from_ref(&good), None);
        let alone = snapshot(std::slice::from_ref(&bad), None);
        assert!(alone.stream("a").is_none() && alone.stream("b").is_some());
        assert_eq!(problems(&alone)[0], "one: stream a: schema_title is no string");
        let after = snapshot(&[bad], Some(&first));
        assert_eq!(after.stream("a").unwrap().schema_title.as_deref(), Some("x"));
        assert!(
            problems(&after)[0]
                .ends_with("schema_title is no string; the definition from before stays in force")
        );
        assert!(problems(&after)[1].starts_with("one: stream /(/: the pattern does not compile"));
    }

    #[test]
    fn later_sources_replace_and_override() {
        let got = snapshot(
            &[
                json!({"streams": {"a": {"schema_title": "x", "description": "d"}, "b": {"schema_title": "y"}}}),
                json!({"streams": {"a": {"schema_title": "z"}},
                       "overrides": {"/./": {"levada": {"visibility": "private"}},
                                     "b": {"levada": {"visibility": "public"}}, "c": {}}}),
            ],
            None,
        );
        let a = got.stream("a").unwrap();
        assert_eq!(
            (a.schema_title.as_deref(), a.description.as_deref(), a.is_public()),
            (Some("z"), None, false)
        );
        assert!(got.stream("b").unwrap().is_public());
        assert_eq!(
            problems(&got),
            [
                "two: stream a: replaces the entry of one as a whole",
                "two: stream c: the override applies to no stream"
            ]
        );
    }

    #[test]
    fn aliases_lead_to_streams() {
        let got = snapshot(
            &[json!({"streams": {"a": {}, "b": {}, "/^j/": {}},
                     "stream_aliases": {"x": "a", "b": "a", "y": "nowhere", "z": "/^j/", "w": "j1"}})],
            None,
        );
        assert_eq!(got.resolve("x").unwrap().name, "a");
        assert_eq!(got.resolve("b").unwrap().name, "b");
        assert_eq!(got.resolve("w").unwrap().name, "j1");
        assert!(got.stream("x").is_none() && got.resolve("y").is_none());
        assert_eq!(got.aliases().keys().collect::<Vec<_>>(), ["w", "x"]);
        assert_eq!(problems(&got).len(), 3);
    }

    #[test]
    fn the_version_tells_contents_apart() {
        let one = snapshot(&[json!({"streams": {"a": {"x": 1}}})], None);
        let same = snapshot(&[json!({"streams": {"a": {"x": 1}}})], None);
        let other = snapshot(&[json!({"streams": {"a": {"x": 2}}})], None);
        assert_eq!(one.version(), same.version());
        assert_ne!(one.version(), other.version());
        assert_eq!(one.version().len(), 32);
    }
}
