//! A log on topics of fifty partitions, for tests that declare fewer: each declared partition is one of
//! the fifty, and others hold records of their own, which must never show.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use levada_event::{Bounds, Offset, Position, Record, RecordBatch, Timestamp, TopicName, TopicPartition};
use levada_kafka::KafkaLog;
use levada_log::{Log, LogError, LogFacts, ReadLimit, TopicInfo, TopicSpec};
use parking_lot::Mutex;

use super::records::record;

const FIFTY: u32 = 50;

/// How many partitions each topic was declared with.
pub type Declared = Arc<Mutex<HashMap<TopicName, u32>>>;

/// A log whose few partitions are some of fifty.
pub struct Spread {
    pub log: Arc<KafkaLog>,
    pub declared: Declared,
}

impl Spread {
    /// Which of the fifty stands for a declared partition.
    fn physical(&self, of: &TopicPartition) -> Result<TopicPartition, LogError> {
        let declared = self.declared.lock().get(&of.topic).copied();
        if declared.is_some_and(|partitions| of.partition >= partitions) {
            return Err(LogError::UnknownTopic(of.clone()));
        }
        Ok(TopicPartition::new(
            of.topic.clone(),
            (of.partition * 13 + 7) % FIFTY,
        ))
    }
}

/// Errors name the partition that was asked for.
fn logical<T>(answer: Result<T, LogError>, of: &TopicPartition) -> Result<T, LogError> {
    answer.map_err(|error| match error {
        LogError::UnknownTopic(_) => LogError::UnknownTopic(of.clone()),
        other => other,
    })
}

#[async_trait]
impl Log for Spread {
    fn facts(&self) -> &LogFacts {
        self.log.facts()
    }

    async fn topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        let mut fifty = spec.clone();
        fifty.partitions = FIFTY;
        assert_eq!(self.log.topic(&fifty).await?.partitions, FIFTY);
        let partitions = *self
            .declared
            .lock()
            .entry(spec.name.clone())
            .or_insert(spec.partitions);
        for neighbour in [0, 6, 8, 49] {
            let of = TopicPartition::new(spec.name.clone(), neighbour);
            self.log.append(&of, vec![record("a neighbour's")]).await?;
        }
        Ok(TopicInfo { partitions })
    }

    fn topics_made(&self) -> Option<tokio::sync::watch::Receiver<()>> {
        self.log.topics_made()
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>) -> Result<Offset, LogError> {
        logical(self.log.append(&self.physical(to)?, records).await, to)
    }

    async fn append_hasty(&self, to: &TopicPartition, records: Vec<Record>) -> Result<(), LogError> {
        logical(self.log.append_hasty(&self.physical(to)?, records).await, to)
    }

    async fn read(&self, from: &Position, limit: ReadLimit) -> Result<RecordBatch, LogError> {
        let position = self.physical(&from.of)?.at(from.offset);
        logical(self.log.read(&position, limit).await, &from.of)
    }

    async fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        logical(self.log.bounds(&self.physical(of)?).await, of)
    }

    async fn offset_at(&self, of: &TopicPartition, at: Timestamp) -> Result<Option<Offset>, LogError> {
        logical(self.log.offset_at(&self.physical(of)?, at).await, of)
    }
}
