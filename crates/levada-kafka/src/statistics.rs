//! What librdkafka tells of a fetching client each second, as far as readers need it: whether the
//! broker of a partition can be reached, and where the partition ends.

use std::collections::HashMap;
use std::time::Duration;

use levada_event::{Offset, TopicPartition};
use serde::Deserialize;

/// A broker that owes an answer and has said nothing for this long hangs. Fetches at the end of a
/// partition are answered within `fetch.wait.max.ms`.
const HANGS_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
struct Broker {
    nodeid: i32,
    state: String,
    #[serde(default)]
    waitresp_cnt: i64,
    /// Microseconds since anything came.
    #[serde(default)]
    rxidle: i64,
    #[serde(default)]
    req: Requests,
}

/// How many requests of a kind were sent to a broker.
#[derive(Debug, Default, Deserialize)]
struct Requests {
    #[serde(rename = "Fetch", default)]
    fetch: u64,
}

/// Fetches that were sent to the broker of a partition, of which it has answered all but the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetches {
    /// The broker's number.
    pub(crate) broker: i32,
    /// Fetches since the client began.
    pub(crate) sent: u64,
}

impl Broker {
    fn trouble(&self) -> Option<String> {
        if self.state != "UP" && self.state != "UPDATE" {
            return Some(format!(
                "broker {} cannot be reached ({})",
                self.nodeid, self.state
            ));
        }
        let silent = Duration::from_micros(self.rxidle.try_into().unwrap_or(0));
        (self.waitresp_cnt > 0 && silent > HANGS_AFTER).then(|| {
            format!(
                "broker {} has not answered for {} s",
                self.nodeid,
                silent.as_secs()
            )
        })
    }
}

#[derive(Debug, Deserialize)]
struct Partition {
    broker: i32,
    leader: i32,
    fetchq_cnt: i64,
    next_offset: i64,
    eof_offset: i64,
    hi_offset: i64,
    ls_offset: i64,
}

#[derive(Debug, Deserialize)]
struct Topic {
    partitions: HashMap<String, Partition>,
}

/// The state of a client at one moment.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    /// Seconds since 1970.
    pub(crate) time: i64,
    brokers: HashMap<String, Broker>,
    topics: HashMap<String, Topic>,
}

/// A partition at that moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    /// Why nothing can come now.
    pub(crate) trouble: Option<String>,
    /// What was asked of its broker; `None` when that is not known.
    pub(crate) fetches: Option<Fetches>,
    /// The end of what is readable, as the last fetch told.
    pub(crate) end: Option<Offset>,
    /// The end, when the fetch stands there and everything before it was handed out. Behind the last
    /// record where that is followed by records that are not shown (of transactions).
    pub(crate) reached: Option<Offset>,
}

impl Report {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    pub(crate) fn glance(&self, of: &TopicPartition) -> Option<Glance> {
        let topic = self.topics.get(of.topic.as_str())?;
        let partition = topic.partitions.get(&of.partition.to_string())?;
        let source = if partition.broker >= 0 {
            partition.broker
        } else {
            partition.leader
        };
        let broker = self.brokers.values().find(|broker| broker.nodeid == source);
        let broker = broker.filter(|_| source >= 0);
        let trouble = match broker {
            Some(broker) => broker.trouble(),
            None if source < 0 => Some(format!("{of} has no leader")),
            None => Some(format!("broker {source} is not known yet")),
        };
        let fetches = broker.map(|broker| Fetches {
            broker: source,
            sent: broker.req.fetch,
        });
        let end = if partition.ls_offset >= 0 {
            partition.ls_offset
        } else {
            partition.hi_offset
        };
        // The mark of the end is set after all records before it were queued, so an empty queue means
        // that they were all taken.
        let reached = (partition.eof_offset == partition.next_offset && partition.fetchq_cnt == 0)
            .then_some(partition.eof_offset);
        Some(Glance {
            trouble,
            fetches,
            end: Offset::try_from(end).ok(),
            reached: reached.and_then(|offset| Offset::try_from(offset).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use levada_event::TopicName;

    use super::*;

    fn report(state: &str, waiting: i64, idle: i64, partition: &str) -> Report {
        let json = format!(
            r#"{{"time":7,"brokers":{{"a:1/1":{{"nodeid":1,"state":"{state}","waitresp_cnt":{waiting},"rxidle":{idle},"req":{{"Fetch":5,"Metadata":2}}}},
            "b/bootstrap":{{"nodeid":-1,"state":"DOWN"}}}},"topics":{{"t":{{"partitions":{{"0":{partition}}}}}}}}}"#
        );
        Report::parse(json.as_bytes()).unwrap()
    }

    fn partition(broker: i32, leader: i32, queued: i64, next: i64, eof: i64) -> String {
        format!(
            r#"{{"broker":{broker},"leader":{leader},"fetchq_cnt":{queued},"next_offset":{next},"eof_offset":{eof},"hi_offset":12,"ls_offset":-1001,"other":1}}"#
        )
    }

    fn zero() -> TopicPartition {
        TopicPartition::new(TopicName::new("t").unwrap(), 0)
    }

    #[test]
    fn a_partition_at_its_end() {
        let glance = report("UP", 1, 100, &partition(1, 1, 0, 12, 12))
            .glance(&zero())
            .unwrap();
        let expected = Glance {
            trouble: None,
            fetches: Some(Fetches { broker: 1, sent: 5 }),
            end: Some(12),
            reached: Some(12),
        };
        assert_eq!(glance, expected);
        let queued = report("UP", 1, 100, &partition(1, 1, 3, 12, 12))
            .glance(&zero())
            .unwrap();
        assert_eq!(queued.reached, None);
        let behind = report("UP", 1, 100, &partition(1, 1, 0, 12, -1001))
            .glance(&zero())
            .unwrap();
        assert_eq!(behind.reached, None);
        let unstarted = report("UP", 1, 100, &partition(1, 1, 0, -1001, -1001))
            .glance(&zero())
            .unwrap();
        assert_eq!(unstarted.reached, None);
    }

    #[test]
    fn trouble_is_told_by_its_cause() {
        let trouble = |state, waiting, idle, partition: &str| {
            report(state, waiting, idle, partition)
                .glance(&zero())
                .unwrap()
                .trouble
        };
        let led = partition(1, 1, 0, 12, 12);
        assert!(trouble("DOWN", 0, 0, &led).unwrap().contains("cannot be reached"));
        assert!(
            trouble("UP", 1, 9_000_000, &led)
                .unwrap()
                .contains("not answered for 9 s")
        );
        assert_eq!(trouble("UP", 0, 9_000_000, &led), None);
        assert!(
            trouble("UP", 0, 0, &partition(-1, -1, 0, 12, 12))
                .unwrap()
                .contains("no leader")
        );
        assert!(
            trouble("UP", 0, 0, &partition(2, 2, 0, 12, 12))
                .unwrap()
                .contains("not known")
        );
        let other = TopicPartition::new(TopicName::new("u").unwrap(), 0);
        assert_eq!(report("UP", 0, 0, &led).glance(&other), None);
    }
}
