//! The model of the log: everything in memory, as plain as possible, for tests of what stands above it.
//!
//! It keeps every promise of [`Log`] except durability. Offsets have holes by default, so that nobody
//! learns to rely on their being dense. Failures can be injected: see
//! [`fail_next_append`](Memory::fail_next_append), [`fail_next_read`](Memory::fail_next_read),
//! [`damage`](Memory::damage) and [`trim`](Memory::trim).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use levada_event::limits::{PARTITIONS_MAX, RECORD_BYTES_MAX};
use levada_event::{
    Bounds, Offset, Position, Record, RecordBatch, RecordBatchBuilder, Timestamp, TopicName, TopicPartition,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::{Durability, Log, LogError, LogFacts, ReadLimit, Retention, TopicInfo, TopicSpec};

/// How a [`Memory`] log behaves.
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    /// One offset is skipped after each run of this many records; 0 makes offsets dense.
    pub hole_every: u64,
    /// What [`LogFacts::id`] says.
    pub id: String,
    /// Whether [`Log::topic`] creates topics; where not, use [`Memory::create`].
    pub creates_topics: bool,
    /// Largest record (key and value) in bytes.
    pub record_bytes_max: usize,
    /// Where the time of appending comes from.
    pub clock: Clock,
}

impl Default for MemoryOptions {
    /// A hole after every third record, the limits of the embedded engine, the system's clock.
    fn default() -> Self {
        Self {
            hole_every: 3,
            id: "00000000".into(),
            creates_topics: true,
            record_bytes_max: RECORD_BYTES_MAX,
            clock: Clock::system(),
        }
    }
}

/// A log in memory. Share it in an `Arc`.
#[derive(Debug)]
pub struct Memory {
    facts: LogFacts,
    options: MemoryOptions,
    topics: Mutex<HashMap<TopicName, Topic>>,
    /// Says that topics were created.
    made: watch::Sender<()>,
    faults: Mutex<Faults>,
}

#[derive(Debug)]
struct Topic {
    retention: Retention,
    partitions: Vec<Arc<Partition>>,
}

#[derive(Debug)]
struct Partition {
    kept: Mutex<Kept>,
    /// The next offset, for readers that wait.
    next: watch::Sender<Offset>,
}

impl Partition {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            next: watch::Sender::new(0),
        })
    }
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Entry>,
    earliest: Offset,
    next: Offset,
    appended: u64,
    bytes: u64,
    damaged: Option<(Offset, String)>,
}

#[derive(Debug)]
struct Entry {
    offset: Offset,
    appended: Timestamp,
    record: Record,
}

#[derive(Debug, Default)]
struct Faults {
    append: VecDeque<(LogError, bool)>,
    read: VecDeque<LogError>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(MemoryOptions::default())
    }
}

impl Memory {
    /// An empty log.
    pub fn new(options: MemoryOptions) -> Self {
        Self {
            facts: LogFacts {
                backend: "memory",
                id: options.id.clone(),
                durability: Durability::None,
                record_bytes_max: options.record_bytes_max,
                creates_topics: options.creates_topics,
            },
            options,
            topics: Mutex::default(),
            made: watch::Sender::new(()),
            faults: Mutex::default(),
        }
    }

    /// Creates the topic whatever [`MemoryOptions::creates_topics`] says, or gives an existing one
    /// the retention of `spec`. The number of partitions is put into `1..=PARTITIONS_MAX`.
    pub fn create(&self, spec: &TopicSpec) -> TopicInfo {
        let mut topics = self.topics.lock();
        let topic = topics.entry(spec.name.clone()).or_insert_with(|| Topic {
            retention: spec.retention,
            partitions: (0..spec.partitions.clamp(1, PARTITIONS_MAX))
                .map(|_| Partition::new())
                .collect(),
        });
        topic.retention = spec.retention;
        let info = TopicInfo {
            partitions: topic.partitions.len() as u32,
        };
        drop(topics);
        self.made.send_replace(());
        info
    }

    /// Gives a topic more partitions, as an operator of a Kafka cluster may. Does nothing for an unknown
    /// topic.
    pub fn widen(&self, topic: &TopicName, partitions: u32) {
        if let Some(topic) = self.topics.lock().get_mut(topic) {
            let wanted = partitions.min(PARTITIONS_MAX) as usize;
            let missing = wanted.saturating_sub(topic.partitions.len());
            topic.partitions.extend((0..missing).map(|_| Partition::new()));
        }
    }

    /// The next append, to whichever partition, answers `error` and appends nothing. Calls queue up.
    pub fn fail_next_append(&self, error: LogError) {
        self.faults.lock().append.push_back((error, false));
    }

    /// The next append, to whichever partition, appends and answers `error` all the same, as
    /// [`LogError::Indeterminate`] may mean. Calls queue up with those of
    /// [`fail_next_append`](Self::fail_next_append).
    pub fn append_but_answer(&self, error: LogError) {
        self.faults.lock().append.push_back((error, true));
    }

    /// The next read, from whichever partition, answers `error`. Calls queue up.
    pub fn fail_next_read(&self, error: LogError) {
        self.faults.lock().read.push_back(error);
    }

    /// Damages the record at `at`: reads return what lies before it, then
    /// [`LogError::Corrupt`] with `reason`. Does nothing for an unknown partition.
    pub fn damage(&self, at: &Position, reason: &str) {
        if let Ok(partition) = self.partition(&at.of) {
            partition.kept.lock().damaged = Some((at.offset, reason.into()));
        }
    }

    /// Removes the records below `earliest`, as retention would. Does nothing for an unknown partition.
    pub fn trim(&self, of: &TopicPartition, earliest: Offset) {
        if let Ok(partition) = self.partition(of) {
            let mut kept = partition.kept.lock();
            while kept.entries.front().is_some_and(|entry| entry.offset < earliest) {
                kept.drop_oldest();
            }
        }
    }

    /// Removes what the retention of each topic lets go at the clock's present time.
    pub fn apply_retention(&self) {
        let now = self.options.clock.now();
        for topic in self.topics.lock().values() {
            for partition in &topic.partitions {
                let mut kept = partition.kept.lock();
                while kept.may_drop_oldest(&topic.retention, now) {
                    kept.drop_oldest();
                }
            }
        }
    }

    /// Whether a reader waits at the end of the partition at this moment. For tests that must know
    /// that a read has begun before they append.
    pub fn has_waiting_reader(&self, of: &TopicPartition) -> bool {
        self.partition(of).is_ok_and(|p| p.next.receiver_count() > 0)
    }

    fn partition(&self, of: &TopicPartition) -> Result<Arc<Partition>, LogError> {
        self.topics
            .lock()
            .get(&of.topic)
            .and_then(|topic| topic.partitions.get(of.partition as usize).cloned())
            .ok_or_else(|| LogError::UnknownTopic(of.clone()))
    }
}

impl Kept {
    fn bounds(&self) -> Bounds {
        Bounds {
            earliest: self.earliest,
            next: self.next,
        }
    }

    fn may_drop_oldest(&self, retention: &Retention, now: Timestamp) -> bool {
        let Some(oldest) = self.entries.front() else {
            return false;
        };
        let age = now.as_millis().saturating_sub(oldest.appended.as_millis());
        retention
            .age
            .is_some_and(|max| age as i128 > max.as_millis() as i128)
            || retention.bytes.is_some_and(|max| self.bytes > max)
    }

    fn drop_oldest(&mut self) {
        if let Some(gone) = self.entries.pop_front() {
            self.bytes -= size(&gone.record) as u64;
            self.earliest = self.entries.front().map_or(self.next, |entry| entry.offset);
        }
    }

    fn collect(&self, from: &Position, limit: usize) -> Result<RecordBatch, LogError> {
        if from.offset < self.earliest || from.offset > self.next {
            return Err(LogError::OutOfRange(self.bounds()));
        }
        let first = self.entries.partition_point(|entry| entry.offset < from.offset);
        let mut builder = RecordBatchBuilder::new();
        let mut bytes = 0;
        let mut next = None;
        for entry in self.entries.iter().skip(first) {
            if let Some((at, reason)) = self.damaged.as_ref().filter(|(at, _)| entry.offset >= *at) {
                if builder.is_empty() {
                    return Err(LogError::Corrupt {
                        at: from.of.at(*at),
                        reason: reason.clone(),
                    });
                }
                next = Some(*at);
                break;
            }
            bytes += size(&entry.record);
            if !builder.is_empty() && bytes > limit {
                next = Some(entry.offset);
                break;
            }
            push(&mut builder, entry);
        }
        Ok(builder.finish(next.unwrap_or(self.next)))
    }
}

fn size(record: &Record) -> usize {
    record.key.as_ref().map_or(0, Bytes::len) + record.value.len()
}

fn push(builder: &mut RecordBatchBuilder, entry: &Entry) {
    let record = &entry.record;
    let key = record.key.as_deref();
    let key_len = key.map_or(0, <[u8]>::len);
    let mut buffer = Vec::with_capacity(size(record));
    buffer.extend_from_slice(key.unwrap_or_default());
    buffer.extend_from_slice(&record.value);
    let end = buffer.len();
    builder.buffer(buffer.into());
    builder.push(
        entry.offset,
        record.timestamp,
        record.splice,
        record.flags,
        key.map(|_| 0..key_len),
        key_len..end,
    );
}

#[async_trait]
impl Log for Memory {
    fn facts(&self) -> &LogFacts {
        &self.facts
    }

    async fn topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        if !self.options.creates_topics && !self.topics.lock().contains_key(&spec.name) {
            return Err(LogError::UnknownTopic(TopicPartition::new(spec.name.clone(), 0)));
        }
        Ok(self.create(spec))
    }

    fn topics_made(&self) -> Option<watch::Receiver<()>> {
        Some(self.made.subscribe())
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>) -> Result<Offset, LogError> {
        let partition = self.partition(to)?;
        let max = self.facts.record_bytes_max;
        if let Some(bytes) = records.iter().map(size).find(|bytes| *bytes > max) {
            return Err(LogError::TooLarge { bytes, max });
        }
        let fault = self.faults.lock().append.pop_front();
        if let Some((error, false)) = fault {
            return Err(error);
        }
        let appended = self.options.clock.now();
        let (first, next) = {
            let mut kept = partition.kept.lock();
            let first = kept.next;
            for record in records {
                let offset = kept.next;
                if kept.entries.is_empty() {
                    kept.earliest = offset;
                }
                kept.bytes += size(&record) as u64;
                kept.appended += 1;
                kept.entries.push_back(Entry {
                    offset,
                    appended,
                    record,
                });
                kept.next = offset + 1;
                if self.options.hole_every != 0 && kept.appended % self.options.hole_every == 0 {
                    kept.next += 1;
                }
            }
            (first, kept.next)
        };
        partition
            .next
            .send_if_modified(|seen| next > std::mem::replace(seen, next.max(*seen)));
        match fault {
            Some((error, _)) => Err(error),
            None => Ok(first),
        }
    }

    async fn read(&self, from: &Position, limit: ReadLimit) -> Result<RecordBatch, LogError> {
        let partition = self.partition(&from.of)?;
        if let Some(error) = self.faults.lock().read.pop_front() {
            return Err(error);
        }
        let batch = partition.kept.lock().collect(from, limit.bytes)?;
        if !batch.is_empty() || limit.wait.is_zero() {
            return Ok(batch);
        }
        let mut next = partition.next.subscribe();
        let arrived = next.wait_for(|next| *next > batch.next());
        // Whether the time is up or records arrived, what is there now is the answer.
        let _ = tokio::time::timeout(limit.wait, arrived).await;
        partition.kept.lock().collect(from, limit.bytes)
    }

    async fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        Ok(self.partition(of)?.kept.lock().bounds())
    }

    async fn offset_at(&self, of: &TopicPartition, at: Timestamp) -> Result<Option<Offset>, LogError> {
        let partition = self.partition(of)?;
        let kept = partition.kept.lock();
        let found = kept.entries.iter().find(|entry| entry.record.timestamp >= at);
        Ok(found.map(|entry| entry.offset))
    }
}

#[cfg(test)]
mod tests;
