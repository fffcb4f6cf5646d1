//! The topics that declared streams consist of, as they should be.

use std::collections::{BTreeMap, HashMap};

use levada_catalog::Snapshot;
use levada_event::TopicName;
use levada_log::TopicSpec;

use crate::boot::retention;
use crate::config::Config;
use crate::intake::{retention_of, topic_of};
use crate::retention::of_topic;

/// A topic of a declared stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredTopic {
    /// As it should be.
    pub spec: TopicSpec,
    /// The stream that declares it; the first one in alphabetical order if several do.
    pub stream: String,
    /// Whether this configuration's intake appends to it. Other topics of a stream are filled by
    /// others, such as the intake of another datacentre.
    pub written: bool,
}

/// What is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Topics by name.
    pub topics: Vec<DeclaredTopic>,
    /// Patterns of stream names: their topics are not known before an event comes.
    pub patterns: Vec<String>,
    /// Topics and streams that cannot be what they are declared to be, with the reason.
    pub faults: Vec<String>,
}

/// The topics of all declared streams, or of those named, as the intake would create them: one that several
/// streams share, also with streams that are not named, is kept as long as the most generous of them says.
pub fn declared(config: &Config, snapshot: &Snapshot, only: &[String]) -> Declared {
    let default = retention(config);
    let service = &config.intake.service;
    let mut found = Declared::default();
    let mut topics: BTreeMap<TopicName, DeclaredTopic> = BTreeMap::new();
    let prefix = &config.intake.topic_prefix;
    let sharers = sharers(snapshot, prefix);
    for name in only {
        if !snapshot.streams().iter().any(|stream| &stream.name == name) {
            found.faults.push(format!("there is no stream {name:?}"));
        }
    }
    for stream in snapshot.streams().iter() {
        if !only.is_empty() && !only.contains(&stream.name) {
            continue;
        }
        if stream.is_pattern() {
            found.patterns.push(stream.name.clone());
            continue;
        }
        let destination = stream.destination_event_service.as_ref();
        let taken = service.is_empty() || destination.is_none_or(|to| to == service);
        let own = taken.then(|| topic_of(&stream.name, prefix, &stream.topics));
        for text in stream
            .topics
            .iter()
            .chain(own.iter().filter(|own| !stream.topics.contains(own)))
        {
            let name = match TopicName::new(text) {
                Ok(name) => name,
                Err(error) => {
                    let fault = format!("{}: {text:?} cannot be a topic: {error}", stream.name);
                    found.faults.push(fault);
                    continue;
                }
            };
            let written = own.as_ref() == Some(text);
            let shared = sharers.get(text).is_some_and(|streams| *streams > 1);
            let of_all = shared
                .then(|| of_topic(snapshot, prefix, default, text))
                .flatten();
            let spec = TopicSpec {
                name: name.clone(),
                partitions: stream.levada.partitions,
                retention: of_all.unwrap_or_else(|| retention_of(stream, default)),
            };
            match topics.get_mut(&name) {
                None => {
                    let stream = stream.name.clone();
                    let topic = DeclaredTopic {
                        spec,
                        stream,
                        written,
                    };
                    topics.insert(name, topic);
                }
                Some(first) => {
                    first.written |= written;
                    let partitions = (first.spec.partitions, spec.partitions);
                    if partitions.0 != partitions.1 {
                        found.faults.push(format!(
                            "{} and {} share the topic {name} and declare {} and {} partitions; declare the \
                             same number",
                            first.stream, stream.name, partitions.0, partitions.1
                        ));
                    }
                }
            }
        }
    }
    found.topics = topics.into_values().collect();
    found
}

/// How many streams each topic belongs to.
fn sharers(snapshot: &Snapshot, prefix: &str) -> HashMap<String, usize> {
    let mut sharers = HashMap::new();
    for stream in snapshot.streams().iter().filter(|stream| !stream.is_pattern()) {
        let own = topic_of(&stream.name, prefix, &stream.topics);
        let own = (!stream.topics.contains(&own)).then_some(own);
        for topic in stream.topics.iter().cloned().chain(own) {
            *sharers.entry(topic).or_default() += 1;
        }
    }
    sharers
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use levada_catalog::{Catalog, CatalogConfig, Compat, NoFetch, Source};

    use super::*;

    const STREAMS: &str = "streams:
  brief: {schema_title: test, topics: [shared], levada: {retention: {age: 1d}}}
  long: {schema_title: test, topics: [shared, own], levada: {retention: {age: 9d}}}
  wide: {schema_title: test, topics: [own], levada: {partitions: 3}}
  alone: {schema_title: test, levada: {retention: {age: 1h}}}
";

    #[tokio::test]
    async fn shared_topics_are_declared_as_the_intake_makes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("streams.yaml");
        std::fs::write(&path, STREAMS).unwrap();
        let streams = CatalogConfig {
            sources: vec![Source::at(path.to_str().unwrap())],
            wiki: None,
            wiki_tags: Vec::new(),
            aliases: Default::default(),
            ttl: None,
            compat: Compat::default(),
        };
        let catalog = Catalog::open(streams, Arc::new(NoFetch)).await.unwrap();
        let config = Config::load(None, [], &[]).unwrap().config;
        let ages = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(ToString::to_string).collect();
            let found = declared(&config, &catalog.snapshot(), &only);
            let topics = found.topics.iter();
            let ages = topics.map(|topic| (topic.spec.name.to_string(), topic.spec.retention.age));
            (ages.collect::<Vec<_>>(), found.faults)
        };
        let hours = |hours: u64| Some(Duration::from_secs(3600 * hours));
        let nine_days = hours(9 * 24);
        assert_ne!(retention(&config).age, nine_days);
        let expected = |topics: &[(&str, Option<Duration>)]| {
            let topics = topics.iter().map(|(topic, age)| (topic.to_string(), *age));
            topics.collect::<Vec<_>>()
        };
        // The others count also where only one is asked about.
        assert_eq!(ages(&["brief"]), (expected(&[("shared", nine_days)]), vec![]));
        let (topics, faults) = ages(&[]);
        let all = [("alone", hours(1)), ("own", nine_days), ("shared", nine_days)];
        assert_eq!(topics, expected(&all));
        assert_eq!(
            faults,
            ["long and wide share the topic own and declare 1 and 3 partitions; declare the same number"]
        );
    }
}
