//! Topics as they were last seen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use levada_event::{TopicName, TopicPartition};
use parking_lot::{Mutex, RwLock};

/// How long the number of a topic's partitions is believed. It only ever grows.
const TOPIC_AGE: Duration = Duration::from_secs(60);

/// While somebody asks whether what is known still holds, or after that had no answer, it serves unasked
/// for so long.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Most topics that are remembered.
const TOPICS_MAX: usize = 10_000;

/// A topic that exists may not have come to its brokers yet: so long after it was seen first, *unknown*
/// is not believed.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct KnownTopics {
    topics: RwLock<HashMap<TopicName, Known>>,
    /// When the cluster did not say whether what is known still holds.
    silent: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy)]
struct Known {
    partitions: u32,
    first_seen: Instant,
    seen: Instant,
    /// When somebody last asked because it was old.
    asked: Option<Instant>,
}

/// What is known of a topic's number of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitions {
    /// Believed.
    Sure(u32),
    /// Old: whoever is told this asks the cluster, and takes the number where that does not answer soon.
    Old(u32),
    Unknown,
}

impl KnownTopics {
    pub(super) fn partitions(&self, topic: &TopicName, now: Instant) -> Partitions {
        let Some(known) = self.topics.read().get(topic).copied() else {
            return Partitions::Unknown;
        };
        let recent = |at: Instant| now.saturating_duration_since(at) < ASK_AGAIN;
        if now.saturating_duration_since(known.seen) < TOPIC_AGE || self.silent.lock().is_some_and(recent) {
            return Partitions::Sure(known.partitions);
        }
        match self.topics.write().get_mut(topic) {
            Some(known) if known.asked.is_some_and(recent) => Partitions::Sure(known.partitions),
            Some(known) => {
                known.asked = Some(now);
                Partitions::Old(known.partitions)
            }
            None => Partitions::Unknown,
        }
    }

    /// The cluster did not say whether what is known still holds.
    pub(super) fn heard_nothing(&self, now: Instant) {
        *self.silent.lock() = Some(now);
    }

    /// Whether the partition was there when its topic was looked at less than `age` ago.
    pub(super) fn has(&self, of: &TopicPartition, age: Duration) -> bool {
        let known = self.topics.read().get(&of.topic).copied();
        known.is_some_and(|known| of.partition < known.partitions && known.seen.elapsed() < age)
    }

    /// Whether the topic may not have come to its brokers yet.
    pub(super) fn settles(&self, topic: &TopicName) -> bool {
        let known = self.topics.read().get(topic).copied();
        known.is_some_and(|known| known.first_seen.elapsed() < SETTLES_WITHIN)
    }

    /// Notes what the cluster said: so many partitions, or no such topic.
    pub(super) fn note(&self, topic: &TopicName, partitions: Option<u32>, now: Instant) {
        *self.silent.lock() = None;
        let mut topics = self.topics.write();
        let Some(partitions) = partitions else {
            topics.remove(topic);
            return;
        };
        if topics.len() < TOPICS_MAX || topics.contains_key(topic) {
            let first_seen = topics.get(topic).map_or(now, |known| known.first_seen);
            let known = Known {
                partitions,
                first_seen,
                seen: now,
                asked: None,
            };
            topics.insert(topic.clone(), known);
        }
    }

    /// The topic has gone, or so a broker says.
    pub(super) fn forget(&self, topic: &TopicName) {
        self.topics.write().remove(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_for_all_and_nobody_while_the_cluster_is_silent() {
        let name = |name: &str| TopicName::new(name).unwrap();
        let (a, b) = (name("a"), name("b"));
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let known = KnownTopics::default();
        assert_eq!(known.partitions(&a, at(0)), Partitions::Unknown);
        known.note(&a, Some(3), at(0));
        known.note(&b, Some(1), at(0));
        assert_eq!(known.partitions(&a, at(59)), Partitions::Sure(3));
        assert_eq!(known.partitions(&a, at(60)), Partitions::Old(3));
        assert_eq!(known.partitions(&a, at(60)), Partitions::Sure(3));
        assert_eq!(known.partitions(&b, at(60)), Partitions::Old(1));
        known.heard_nothing(at(61));
        assert_eq!(known.partitions(&a, at(65)), Partitions::Sure(3));
        assert_eq!(known.partitions(&a, at(66)), Partitions::Old(3));
        // An answer about one of them says that the cluster is there.
        known.heard_nothing(at(67));
        known.note(&a, Some(4), at(68));
        assert_eq!(known.partitions(&a, at(68)), Partitions::Sure(4));
        assert_eq!(known.partitions(&b, at(68)), Partitions::Old(1));
        known.note(&a, None, at(69));
        assert_eq!(known.partitions(&a, at(69)), Partitions::Unknown);
    }
}
