//! The topics that declared streams consist of, as they should be.

use std::collections::BTreeMap;

use levada_catalog::Snapshot;
use levada_event::TopicName;
use levada_log::TopicSpec;

use crate::boot::retention;
use crate::config::Config;
use crate::intake::{retention_of, topic_of};

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

/// The topics of all declared streams, or of those named.
pub fn declared(config: &Config, snapshot: &Snapshot, only: &[String]) -> Declared {
    let default = retention(config);
    let service = &config.intake.service;
    let mut found = Declared::default();
    let mut topics: BTreeMap<TopicName, DeclaredTopic> = BTreeMap::new();
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
        let own = taken.then(|| topic_of(&stream.name, &config.intake.topic_prefix, &stream.topics));
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
            let spec = TopicSpec {
                name: name.clone(),
                partitions: stream.levada.partitions,
                retention: retention_of(stream, default),
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
                    if first.spec != spec {
                        found.faults.push(format!(
                            "{} and {} share the topic {name} and declare different partitions or retention",
                            first.stream, stream.name
                        ));
                    }
                }
            }
        }
    }
    found.topics = topics.into_values().collect();
    found
}
