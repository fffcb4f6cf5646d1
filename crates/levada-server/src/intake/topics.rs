//! Which topic a stream's events go to, and how many partitions it has.

use std::collections::HashMap;
use std::sync::Arc;

use levada_catalog::Stream;
use levada_event::{TopicName, TopicPartition};
use levada_log::{LogError, Retention, TopicInfo, TopicSpec};
use levada_wire::ErrorCode;
use parking_lot::RwLock;

use super::Intake;
use crate::retention;

/// Streams with this prefix are never prefixed themselves (contract eventplatform §2.9).
const BARE_PREFIX: &str = "eventlogging_";

/// Most topics that are remembered. Names come from declared streams and their patterns; beyond
/// this the log is asked again each time.
const TOPICS_MAX: usize = 10_000;

/// A topic that exists.
#[derive(Debug)]
pub(super) struct Topic {
    partitions: Vec<TopicPartition>,
}

impl Topic {
    pub(super) fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    pub(super) fn partition(&self, number: u32) -> &TopicPartition {
        &self.partitions[number as usize]
    }
}

/// Topics that are known to exist, by stream name.
#[derive(Debug, Default)]
pub(super) struct Topics {
    known: RwLock<HashMap<String, Known>>,
}

/// A topic with what was declared when it was looked up; a reload may declare something else.
#[derive(Debug)]
struct Known {
    retention: Retention,
    topics: Vec<String>,
    topic: Arc<Topic>,
}

/// The topic that a stream's events go to. The original's rule (prefix and name) holds where the
/// result is one of the topics that the stream declares; else the first declared topic with that
/// prefix, else the first at all, so that what is accepted is also what readers are given.
pub(crate) fn topic_of(name: &str, prefix: &str, declared: &[String]) -> String {
    let prefix = if name.starts_with(BARE_PREFIX) { "" } else { prefix };
    let wanted = format!("{prefix}{name}");
    if declared.is_empty() || declared.contains(&wanted) {
        return wanted;
    }
    let fitting = declared
        .iter()
        .find(|topic| !prefix.is_empty() && topic.starts_with(prefix));
    fitting.unwrap_or(&declared[0]).clone()
}

/// What a stream declares of its retention, completed by what holds for all.
pub(crate) fn retention_of(stream: &Stream, default: Retention) -> Retention {
    let declared = stream.levada.retention;
    Retention {
        age: declared.age.or(default.age),
        bytes: declared.bytes.or(default.bytes),
    }
}

impl Topics {
    /// A topic as it was seen before.
    fn seen(&self, topic: &TopicName) -> Option<Arc<Topic>> {
        let known = self.known.read();
        let mut topics = known.values().map(|known| &known.topic);
        topics.find(|known| known.partition(0).topic == *topic).cloned()
    }

    /// The topic has gone, so the log says: it is asked for the next time.
    pub(super) fn forget(&self, topic: &TopicName) {
        let mut known = self.known.write();
        known.retain(|_, known| known.topic.partition(0).topic != *topic);
    }
}

impl Intake {
    /// The topic of the stream of this name, or the named one in place of it; makes sure that it exists.
    /// The log is waited for until `due`.
    pub(super) async fn topic(
        &self,
        stream: &Stream,
        (name, named): (&str, Option<&str>),
        due: tokio::time::Instant,
    ) -> Result<Arc<Topic>, (ErrorCode, String)> {
        let retention = retention_of(stream, self.options.retention);
        // What is named is named seldom; it is asked for each time and not remembered.
        if let Some(known) = self.topics.known.read().get(name)
            && named.is_none()
            && known.retention == retention
            && known.topics == stream.topics
        {
            return Ok(known.topic.clone());
        }
        let text = match named {
            Some(named) => named.to_owned(),
            None => topic_of(name, &self.options.topic_prefix, &stream.topics),
        };
        let topic = TopicName::new(&text).map_err(|e| {
            (
                ErrorCode::StreamUnknown,
                format!("{text:?} cannot be a topic: {e}"),
            )
        })?;
        let options = &self.options;
        let snapshot = self.catalog.snapshot();
        let of_all = retention::of_topic(&snapshot, &options.topic_prefix, options.retention, &text);
        let spec = TopicSpec {
            name: topic.clone(),
            partitions: stream.levada.partitions,
            retention: of_all.unwrap_or(retention),
        };
        let info = tokio::time::timeout_at(due, self.declare(&spec, snapshot.is_whole())).await;
        let info = info.map_err(|_| {
            let why =
                format!("the log did not tell of the topic {topic} within the request's deadline; try again");
            (ErrorCode::StorageUnavailable, why)
        })?;
        let info = info.map_err(|e| match e {
            LogError::UnknownTopic(_) => (
                ErrorCode::StorageUnavailable,
                format!("the topic {topic} does not exist; create it first"),
            ),
            e => (ErrorCode::StorageUnavailable, e.to_string()),
        })?;
        // The log may have more partitions by now, or tell so only some of the intakes: keys stay where
        // they are until a restart. Fewer means that it is another topic.
        let topic = match self.topics.seen(&topic) {
            Some(seen) if seen.partitions() <= info.partitions => seen,
            _ => {
                let partitions = (0..info.partitions).map(|p| TopicPartition::new(topic.clone(), p));
                Arc::new(Topic {
                    partitions: partitions.collect(),
                })
            }
        };
        let mut known = self.topics.known.write();
        if named.is_none() && known.len() < TOPICS_MAX {
            known.insert(
                name.to_owned(),
                Known {
                    retention,
                    topics: stream.topics.clone(),
                    topic: topic.clone(),
                },
            );
        }
        Ok(topic)
    }

    /// Makes sure that the topic exists. One that does keeps its retention while the configuration is not
    /// `whole`, see [`retention::apply`].
    async fn declare(&self, spec: &TopicSpec, whole: bool) -> Result<TopicInfo, LogError> {
        if !whole {
            match self.log.existing(spec).await {
                Err(LogError::UnknownTopic(_)) => {}
                known => return known,
            }
        }
        self.log.topic(spec).await
    }
}

#[cfg(test)]
mod tests {
    use super::topic_of;

    #[test]
    fn what_is_accepted_goes_where_readers_look() {
        let declared = |topics: &[&str]| topics.iter().map(ToString::to_string).collect::<Vec<_>>();
        let both = declared(&["eqiad.a", "codfw.a"]);
        assert_eq!(topic_of("a", "eqiad.", &both), "eqiad.a");
        assert_eq!(topic_of("a", "codfw.", &both), "codfw.a");
        assert_eq!(topic_of("a", "", &both), "eqiad.a");
        assert_eq!(
            topic_of("eventlogging_A", "eqiad.", &declared(&["eventlogging_A"])),
            "eventlogging_A"
        );
        assert_eq!(topic_of("a", "eqiad.", &declared(&["a"])), "a");
        let named = declared(&["eqiad.mutation", "codfw.mutation"]);
        assert_eq!(topic_of("a.v2", "codfw.", &named), "codfw.mutation");
    }
}
