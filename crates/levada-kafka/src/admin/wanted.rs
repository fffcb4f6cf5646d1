//! The settings that a topic should have, and what follows where it has others.

use std::collections::BTreeMap;

use levada_log::TopicSpec;

use super::{Deviation, TopicState};
use crate::Settings;
use crate::client::BATCH_OVERHEAD;
use crate::settings::canonical;

/// librdkafka's default of `batch.size`. Records are put together up to it, and a broker that refuses the
/// batch as too large refuses all of them.
const BATCH_BYTES: usize = 1_000_000;

/// What a topic must take beyond the largest event: what intake adds to it, its key, record and batch
/// headers.
const EVENT_ROOM: usize = 64 * 1024;

/// Topic settings that are asked for by a spec.
pub(super) fn wanted(settings: &Settings, spec: &TopicSpec) -> BTreeMap<String, String> {
    let forever = || "-1".to_owned();
    let age = spec.retention.age.map(|age| age.as_millis().to_string());
    let bytes = spec.retention.bytes.map(|bytes| bytes.to_string());
    let record = settings.record_bytes_max + BATCH_OVERHEAD;
    let mut wanted = BTreeMap::from([
        ("cleanup.policy".to_owned(), "delete".to_owned()),
        ("retention.ms".to_owned(), age.unwrap_or_else(forever)),
        ("retention.bytes".to_owned(), bytes.unwrap_or_else(forever)),
        (LARGEST.to_owned(), record.to_string()),
        ("message.timestamp.type".to_owned(), "CreateTime".to_owned()),
    ]);
    for key in TIME_BOUNDS {
        wanted.insert(key.to_owned(), i64::MAX.to_string());
    }
    if let Some(replicas) = settings.topics.min_insync_replicas {
        wanted.insert("min.insync.replicas".to_owned(), replicas.to_string());
    }
    wanted.extend(settings.topics.config.clone());
    wanted
}

/// Where a topic as it is differs from that.
pub(super) fn deviations(
    settings: &Settings,
    spec: &TopicSpec,
    state: &TopicState,
    found: &BTreeMap<String, String>,
) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    let mut differs = |setting: &str, wanted: String, found: String, remedy: &str| {
        deviations.push(Deviation {
            setting: setting.into(),
            wanted,
            found,
            remedy: remedy.into(),
        });
    };
    if state.partitions != spec.partitions {
        let (wanted, found) = (spec.partitions.to_string(), state.partitions.to_string());
        differs("partitions", wanted, found, REMEDY_PARTITIONS);
    }
    if let Some(wanted) = settings.topics.replication_factor
        && state.replication_factor < u32::from(wanted)
    {
        let (wanted, found) = (wanted.to_string(), state.replication_factor.to_string());
        differs("replication.factor", wanted, found, REMEDY_REPLICATION);
    }
    let mut wanted = wanted(settings, spec);
    if !settings.topics.config.contains_key(LARGEST) {
        // Created topics take any event that could be configured; others must take those that are, and
        // what they are sent in.
        let event = settings.event_bytes_max.saturating_add(EVENT_ROOM);
        let least = event.max(batch_bytes(settings));
        let least = least.min(settings.record_bytes_max + BATCH_OVERHEAD);
        wanted.insert(LARGEST.to_owned(), least.to_string());
    }
    for (key, wanted) in wanted {
        let Some(found) = found.get(&key) else { continue };
        let number = |text: &str| text.parse::<i64>().ok();
        let fine = match key.as_str() {
            // As much as asked for, or more.
            LARGEST | "min.insync.replicas" | TIME_BEFORE | TIME_AFTER => number(found) >= number(&wanted),
            _ => *found == wanted,
        };
        if !fine {
            differs(&key, wanted, found.clone(), remedy(&key));
        }
    }
    let insync = found.get("min.insync.replicas").map(String::as_str);
    if settings.topics.min_insync_replicas.is_none() && state.replication_factor > 1 && insync == Some("1") {
        differs("min.insync.replicas", "2".into(), "1".into(), REMEDY_INSYNC);
    }
    deviations
}

/// How large a batch of several records may be.
fn batch_bytes(settings: &Settings) -> usize {
    let mut properties = settings.properties.iter();
    let set = properties.find(|(key, _)| canonical(key) == "batch.size");
    set.and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(BATCH_BYTES)
}

const LARGEST: &str = "max.message.bytes";
const TIME_BEFORE: &str = "message.timestamp.before.max.ms";
const TIME_AFTER: &str = "message.timestamp.after.max.ms";

/// How far an event's time may lie from the broker's. Since Kafka 4.0 an hour in the future is the most
/// by default, and events carry what their producers believe.
pub(super) const TIME_BOUNDS: [&str; 2] = [TIME_BEFORE, TIME_AFTER];

const REMEDY_PARTITIONS: &str = "the topic is used as it is: keys stay in its own number of partitions. \
Kafka can add partitions but never remove them, and adding moves keys; change the stream's number instead";
const REMEDY_REPLICATION: &str =
    "fewer brokers may fail than was meant; raise it with kafka-reassign-partitions";
const REMEDY_INSYNC: &str = "what is acknowledged may be on one broker only and is lost with it; set 2 with \
kafka-configs --alter";

fn remedy(setting: &str) -> &'static str {
    match setting {
        "retention.ms" | "retention.bytes" => {
            "events are kept for another time or amount than the stream says; set it with kafka-configs --alter"
        }
        "cleanup.policy" => {
            "compaction removes all but the newest event of a key; set delete with kafka-configs --alter"
        }
        LARGEST => {
            "larger events are refused as too large, and smaller ones that travel in one batch with them or \
             make a larger one together; raise it with kafka-configs --alter, or lower \
             intake.event_bytes_max and batch.size in kafka.properties"
        }
        "message.timestamp.type" => {
            "the broker replaces the events' own times, so that resuming and seeking by time go by the time \
             of storing; set CreateTime with kafka-configs --alter"
        }
        TIME_BEFORE | TIME_AFTER => {
            "events whose meta.dt lies further away are refused; raise it with kafka-configs --alter"
        }
        _ => "set it with kafka-configs --alter",
    }
}

#[cfg(test)]
mod tests {
    use levada_event::TopicName;
    use levada_log::Retention;

    use super::*;

    /// What is said of a topic that takes messages of `found` bytes and is otherwise as it should be.
    fn said(settings: &Settings, found: usize) -> Option<Deviation> {
        let spec = TopicSpec {
            name: TopicName::new("t").expect("a name"),
            partitions: 1,
            retention: Retention {
                age: None,
                bytes: None,
            },
        };
        let state = TopicState {
            partitions: 1,
            replication_factor: 1,
            leaderless: Vec::new(),
        };
        let mut topic = wanted(settings, &spec);
        topic.insert(LARGEST.into(), found.to_string());
        let mut all = deviations(settings, &spec, &state, &topic);
        assert!(all.len() <= 1, "{all:?}");
        all.pop()
    }

    #[test]
    fn a_topic_must_take_the_events_that_are_configured_and_no_larger_ones() {
        let mut settings = Settings::new("localhost:9092");
        settings.event_bytes_max = 4 << 20;
        assert_eq!(said(&settings, 5 << 20), None);
        let small = said(&settings, 4 << 20).expect("what is added has no room");
        assert_eq!(small.wanted, ((4 << 20) + EVENT_ROOM).to_string());
        settings.event_bytes_max = 3 << 20;
        assert_eq!(said(&settings, 4 << 20), None);
        // The largest that can be configured fit the topics that are created.
        let largest = Settings::new("localhost:9092");
        assert_eq!(said(&largest, 20 << 20), None);
        assert!(said(&largest, 10 << 20).is_some());
        // Small events travel in batches, which are refused whole.
        settings.event_bytes_max = 200 << 10;
        let small = said(&settings, 300 << 10).expect("a batch has no room");
        assert_eq!(small.wanted, BATCH_BYTES.to_string());
        assert_eq!(
            said(&settings, 1 << 20),
            None,
            "what Kafka's topics take by default"
        );
        let properties = &mut settings.properties;
        properties.insert("batch.size".into(), "200000".into());
        assert_eq!(said(&settings, 300 << 10), None);
        let properties = &mut settings.properties;
        properties.insert("batch.size".into(), "4000000".into());
        assert!(said(&settings, 1 << 20).is_some());
        // Who says how large is heard.
        let config = &mut settings.topics.config;
        config.insert(LARGEST.into(), (6 << 20).to_string());
        assert!(said(&settings, 5 << 20).is_some());
    }
}
