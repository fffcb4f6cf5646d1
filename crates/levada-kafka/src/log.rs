//! The log.

use async_trait::async_trait;
use levada_event::{Bounds, Offset, Position, Record, RecordBatch, Timestamp, TopicPartition};
use levada_log::{Log, LogError, LogFacts, ReadLimit, TopicInfo, TopicSpec};

use crate::{KafkaError, Settings, Stats};

/// A log whose records are those of an Apache Kafka cluster.
#[derive(Debug)]
pub struct KafkaLog {
    facts: LogFacts,
}

impl KafkaLog {
    /// Connects to the cluster and learns its id; `settings` are checked first.
    ///
    /// # Errors
    /// [`KafkaError`] for settings that are refused and clusters that do not answer.
    pub async fn open(settings: Settings) -> Result<Self, KafkaError> {
        Err(KafkaError::Unreachable {
            servers: settings.bootstrap_servers,
            seconds: 0,
            reason: "not connected".into(),
        })
    }

    /// Figures as they are now.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Waits until what was appended (also hasty) is delivered or `settings.delivery_timeout` is over,
    /// then stops all clients. Appends and reads after this are `Unavailable`.
    pub async fn close(&self) {}
}

#[async_trait]
impl Log for KafkaLog {
    fn facts(&self) -> &LogFacts {
        &self.facts
    }

    async fn topic(&self, _: &TopicSpec) -> Result<TopicInfo, LogError> {
        Err(LogError::Unavailable("not connected".into()))
    }

    async fn append(&self, _: &TopicPartition, _: Vec<Record>) -> Result<Offset, LogError> {
        Err(LogError::Unavailable("not connected".into()))
    }

    async fn read(&self, _: &Position, _: ReadLimit) -> Result<RecordBatch, LogError> {
        Err(LogError::Unavailable("not connected".into()))
    }

    async fn bounds(&self, _: &TopicPartition) -> Result<Bounds, LogError> {
        Err(LogError::Unavailable("not connected".into()))
    }

    async fn offset_at(&self, _: &TopicPartition, _: Timestamp) -> Result<Option<Offset>, LogError> {
        Err(LogError::Unavailable("not connected".into()))
    }
}
