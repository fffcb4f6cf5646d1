//! The contract every log backend keeps.
//!
//! Pull, not push: a reader asks for records from a position and gets what is there, waiting a
//! bounded time at the end of the partition. Few methods, so that a backend is an adapter and not a
//! broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use levada_event::{Bounds, Offset, Position, Record, RecordBatch, Timestamp, TopicName, TopicPartition};
use tokio::sync::watch;

/// Looks at what was read, see [`Log::read_and_look`]. Its work is bounded by the batch.
pub type OnRead = Arc<dyn Fn(&RecordBatch) + Send + Sync>;

/// A partitioned durable log.
///
/// Promises of every backend: offsets of a partition strictly increase and are never reused, also
/// over restarts; records of one `append` call are adjacent in order and become visible together;
/// what `append` acknowledged is read back byte for byte until retention removes it; a reader sees
/// only durable records.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// What kind of log this is. Reported to people, never matched on.
    fn facts(&self) -> &LogFacts;

    /// Makes sure that the topic exists, creating it to `spec` where the backend may. For a topic
    /// that exists, the retention of `spec` takes force; the number of partitions never changes, and
    /// the answer tells how many there are.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] where the backend must not create topics, `Unavailable`.
    async fn topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError>;

    /// The topic as it is, for those who only read. A log that others share never creates a topic for
    /// a reader; a log of one's own may answer as [`Log::topic`] does.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] for a topic that does not exist, `Unavailable`.
    async fn existing(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        self.topic(spec).await
    }

    /// Changes whenever [`Log::topic`] may have created a topic in this process, so that those who wait
    /// for one need not ask again and again. `None` for a log that does not tell. Topics that other
    /// processes create are not told.
    fn topics_made(&self) -> Option<watch::Receiver<()>> {
        None
    }

    /// Appends all of `records` or none, and returns the offset of the first. `Ok` means durable.
    /// Appends to one partition that are awaited one after the other keep that order.
    ///
    /// # Errors
    /// `UnknownTopic`, `TooLarge` (one record over [`LogFacts::record_bytes_max`]), `Unavailable`
    /// (nothing was appended, try again), `Indeterminate` (may have been appended), `Poisoned`.
    async fn append(&self, to: &TopicPartition, records: Vec<Record>) -> Result<Offset, LogError>;

    /// Appends `records` that nobody waits for (hasty events): what they lose in certainty they may
    /// gain in speed. `Ok` means that the log took them and will try; a failure after that shows in its
    /// metrics. A log that knows only one way of appending appends.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    async fn append_hasty(&self, to: &TopicPartition, records: Vec<Record>) -> Result<(), LogError> {
        self.append(to, records).await.map(|_| ())
    }

    /// Reads records from `from` on, at most `limit`, but at least one if there is one. Waits up to
    /// [`ReadLimit::wait`] at the end of the partition; an empty batch means nothing came.
    ///
    /// # Errors
    /// `UnknownTopic`, `OutOfRange` with the bounds (the position lies before the oldest record kept
    /// or behind the end), `Corrupt` with the position of the damage, `Unavailable`.
    async fn read(&self, from: &Position, limit: ReadLimit) -> Result<RecordBatch, LogError>;

    /// As [`read`](Self::read); `look` sees the batch before the answer comes. A log that reads on threads of
    /// its own lets it look there, while the records are in that processor's cache.
    ///
    /// # Errors
    /// As [`read`](Self::read); nothing is looked at then.
    async fn read_and_look(
        &self,
        from: &Position,
        limit: ReadLimit,
        look: OnRead,
    ) -> Result<RecordBatch, LogError> {
        let batch = self.read(from, limit).await?;
        look(&batch);
        Ok(batch)
    }

    /// Oldest record kept and next offset of a partition.
    ///
    /// # Errors
    /// `UnknownTopic`, `Unavailable`.
    async fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError>;

    /// Offset of the first kept record whose own timestamp is at or after `at`, as Kafka's
    /// `offsetsForTimes`: timestamps are not monotonic, so earlier ones may follow. `None` when no
    /// kept record is that young.
    ///
    /// # Errors
    /// `UnknownTopic`, `Corrupt`, `Unavailable`.
    async fn offset_at(&self, of: &TopicPartition, at: Timestamp) -> Result<Option<Offset>, LogError>;
}

/// What kind of log this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFacts {
    /// Name of the backend: `embedded`, `memory`, `kafka`.
    pub backend: &'static str,
    /// Eight hexadecimal digits that tell this log's offsets from those of any other log. Kept for
    /// the life of the log (embedded: drawn at creation and stored; Kafka: from the cluster id), so
    /// that a cursor from elsewhere is recognised and not mistaken for an exact position.
    pub id: String,
    /// What `Ok` of an append means.
    pub durability: Durability,
    /// Largest record (key and value) in bytes.
    pub record_bytes_max: usize,
    /// Whether [`Log::topic`] creates topics that do not exist.
    pub creates_topics: bool,
}

/// What survives when an append was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Power loss: the bytes were synced to the device (or to Kafka's replicas).
    #[default]
    Fsync,
    /// The death of the process, not of the machine: the operating system has the bytes.
    Os,
    /// Nothing: memory only.
    None,
}

/// How long records are kept. Both bounds count from the time of appending, never from a record's
/// own timestamp, so that events dated years ago do not vanish on arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records appended longer ago than this may be removed; `None` keeps them for ever.
    pub age: Option<Duration>,
    /// When a partition holds more bytes than this, its oldest records may be removed; `None` for
    /// no bound.
    pub bytes: Option<u64>,
}

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: TopicName,
    /// Number of partitions if it has to be created, 1 to
    /// [`PARTITIONS_MAX`](levada_event::limits::PARTITIONS_MAX).
    pub partitions: u32,
    /// How long records are kept.
    pub retention: Retention,
}

/// A topic as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicInfo {
    /// Number of partitions.
    pub partitions: u32,
}

/// How much a read returns, and how long it waits for the first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Stop before the batch holds more bytes than this; one record is always returned.
    pub bytes: usize,
    /// How long to wait when nothing is there; zero answers at once.
    pub wait: Duration,
}

/// What went wrong, by what the caller knows and can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The topic or partition does not exist.
    #[error("topic partition {0} does not exist")]
    UnknownTopic(TopicPartition),
    /// The position lies outside what is kept.
    #[error("offset is outside {}..{}", .0.earliest, .0.next)]
    OutOfRange(Bounds),
    /// A record is larger than the log takes.
    #[error("record of {bytes} bytes is larger than the {max} that the log takes")]
    TooLarge {
        /// Size of the record.
        bytes: usize,
        /// Most that the log takes.
        max: usize,
    },
    /// Nothing happened; trying again later may succeed.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The append may or may not have happened.
    #[error("the outcome of the append is not known: {0}")]
    Indeterminate(String),
    /// Stored bytes are damaged at this position.
    #[error("the log is damaged at {at}: {reason}")]
    Corrupt {
        /// Where the damage begins.
        at: Position,
        /// What does not fit.
        reason: String,
    },
    /// A sync failed earlier; the partition takes no more appends until the process restarts.
    #[error("the partition takes no more appends until a restart: {0}")]
    Poisoned(String),
}
