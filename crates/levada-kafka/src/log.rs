//! The log: the parts put together behind the contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use levada_event::{Bounds, Offset, Position, Record, RecordBatch, Timestamp, TopicPartition};
use levada_log::{Durability, Log, LogError, LogFacts, ReadLimit, TopicInfo, TopicSpec};
use tokio::sync::watch;

use crate::admin::Admin;
use crate::client::{ErrorCounts, Role};
use crate::cluster::Cluster;
use crate::produce::{self, Producer, Room};
use crate::read::Reader;
use crate::stats::Deliveries;
use crate::{KafkaError, Settings, Stats};

/// A log whose records are those of an Apache Kafka cluster.
pub struct KafkaLog {
    facts: LogFacts,
    settings: Settings,
    cluster: Arc<Cluster>,
    admin: Admin,
    guaranteed: Arc<Producer>,
    hasty: Arc<Producer>,
    reader: Reader,
    errors: Arc<ErrorCounts>,
    deliveries: Arc<Deliveries>,
    /// Says that topics were created.
    made: watch::Sender<()>,
    closed: AtomicBool,
}

impl KafkaLog {
    /// Connects to the cluster and learns its id; `settings` are checked first. Must be called on a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`KafkaError`] for settings that are refused and clusters that do not answer.
    pub async fn open(settings: Settings) -> Result<Self, KafkaError> {
        settings.check()?;
        let errors = Arc::new(ErrorCounts::default());
        let cluster = Arc::new(Cluster::new(&settings, errors.clone())?);
        let deliveries = Arc::new(Deliveries::default());
        let room = Arc::new(Room::new(settings.produce_bytes_max));
        let producer = |role| {
            let (errors, deliveries) = (errors.clone(), deliveries.clone());
            Producer::start(&settings, role, errors, deliveries, room.clone()).map(Arc::new)
        };
        // Settings are refused before the cluster is waited for.
        let guaranteed = producer(Role::Guaranteed)?;
        let hasty = producer(Role::Hasty)?;
        let id = cluster.id().await?;
        let facts = LogFacts {
            backend: "kafka",
            id: format!("{:08x}", crc32fast::hash(id.as_bytes())),
            durability: Durability::Fsync,
            record_bytes_max: settings.record_bytes_max,
            creates_topics: settings.topics.create,
        };
        Ok(Self {
            facts,
            admin: Admin::over(settings.clone(), cluster.clone(), errors.clone())?,
            reader: Reader::new(&settings, cluster.clone(), &errors),
            settings,
            cluster,
            guaranteed,
            hasty,
            errors,
            deliveries,
            made: watch::Sender::new(()),
            closed: AtomicBool::new(false),
        })
    }

    /// Topics of the cluster.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Figures as they are now.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            errors: self.errors.all(),
            lag: self.reader.live.lag(),
            catch_up_readers: self.reader.past.open() as u64,
            ..Stats::default()
        };
        self.deliveries.fill(&mut stats);
        stats
    }

    /// Waits until what was appended (also hasty) is delivered or the delivery timeout is over, and ends
    /// all fetching. Appends after this are `Unavailable`.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.reader.live.close();
        self.reader.past.close();
        let timeout = self.settings.delivery_timeout;
        let producers = [self.guaranteed.clone(), self.hasty.clone()];
        let flushing = producers.map(|producer| tokio::task::spawn_blocking(move || producer.flush(timeout)));
        for flushed in flushing {
            if let Err(error) = flushed.await {
                tracing::error!(%error, "a producer could not be flushed");
            }
        }
    }

    /// Refuses what cannot be appended before anything is.
    async fn admit(&self, to: &TopicPartition, records: &[Record]) -> Result<(), LogError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(LogError::Unavailable("the log is closed".into()));
        }
        let max = self.settings.record_bytes_max;
        if let Some(bytes) = records.iter().map(produce::size).find(|bytes| *bytes > max) {
            return Err(LogError::TooLarge { bytes, max });
        }
        // A producer that is given a topic which does not exist creates it, where the cluster lets it.
        self.cluster.must_exist(to).await
    }
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn facts(&self) -> &LogFacts {
        &self.facts
    }

    /// As the contract says, but the retention of a topic that exists is left as it is: the cluster's
    /// operators own it. `levada topics check` shows the difference.
    async fn topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        if let Some(partitions) = self.cluster.partitions(&spec.name).await? {
            return Ok(TopicInfo { partitions });
        }
        if !self.settings.topics.create {
            return Err(LogError::UnknownTopic(TopicPartition::new(spec.name.clone(), 0)));
        }
        let created = self.admin.create(spec).await;
        created.map_err(|error| LogError::Unavailable(error.to_string()))?;
        self.made.send_replace(());
        match self.cluster.partitions(&spec.name).await? {
            Some(partitions) => Ok(TopicInfo { partitions }),
            None => Err(LogError::Unavailable(format!(
                "the topic {} was created and cannot be seen yet",
                spec.name
            ))),
        }
    }

    async fn existing(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        match self.cluster.partitions(&spec.name).await? {
            Some(partitions) => Ok(TopicInfo { partitions }),
            None => Err(LogError::UnknownTopic(TopicPartition::new(spec.name.clone(), 0))),
        }
    }

    fn topics_made(&self) -> Option<watch::Receiver<()>> {
        Some(self.made.subscribe())
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>) -> Result<Offset, LogError> {
        self.admit(to, &records).await?;
        if records.is_empty() {
            return Ok(self.cluster.bounds(to).await?.next);
        }
        let appended = self.guaranteed.append(to, &records).await;
        if let Err(LogError::UnknownTopic(of)) = &appended {
            self.cluster.forget(&of.topic);
        }
        appended
    }

    async fn append_hasty(&self, to: &TopicPartition, records: Vec<Record>) -> Result<(), LogError> {
        self.admit(to, &records).await?;
        if records.is_empty() {
            return Ok(());
        }
        self.hasty.append_hasty(to, &records).await
    }

    async fn read(&self, from: &Position, limit: ReadLimit) -> Result<RecordBatch, LogError> {
        self.reader.read(from, limit).await
    }

    async fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.cluster.bounds(of).await
    }

    async fn offset_at(&self, of: &TopicPartition, at: Timestamp) -> Result<Option<Offset>, LogError> {
        self.reader.offset_at(of, at).await
    }
}
