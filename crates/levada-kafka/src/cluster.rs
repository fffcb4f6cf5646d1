//! Questions to the cluster: its id, its topics, the bounds of partitions, offsets by time.
//!
//! librdkafka answers them by blocking, so each runs on a thread for blocking work, a bounded number at
//! a time. What a topic looks like is remembered for a while; bounds never are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_event::{Bounds, Offset, TopicName, TopicPartition};
use levada_log::LogError;
use parking_lot::{Mutex, RwLock};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{IsError, KafkaError as Native, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use tokio::sync::Semaphore;

use crate::admin::TopicState;
use crate::client::{self, Context, ErrorCounts, Role};
use crate::{KafkaError, Settings};

/// Questions under way at a time. One connection carries them all; more would only hold more threads.
const QUESTIONS_AT_ONCE: usize = 32;

/// How long the number of a topic's partitions is believed. It only ever grows.
const TOPIC_AGE: Duration = Duration::from_secs(60);

/// Most topics that are remembered.
const TOPICS_MAX: usize = 10_000;

/// Pauses between looks for a topic that was just created, and between questions that a broker could
/// not answer yet.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// After a question was asked in vain for as long as it may take, further ones are this patient, for so
/// long: with the cluster away, readers and clients should hear of it soon.
const IMPATIENT: Duration = Duration::from_secs(1);
const IMPATIENT_FOR: Duration = Duration::from_secs(15);

/// A topic that exists may not have come to its brokers yet: so long after it was seen first, *unknown*
/// is not believed.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Cluster {
    servers: String,
    timeout: Duration,
    probe: Arc<BaseConsumer<Context>>,
    questions: Arc<Semaphore>,
    known: RwLock<HashMap<TopicName, Known>>,
    in_vain: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy)]
struct Known {
    partitions: u32,
    first_seen: Instant,
    seen: Instant,
}

impl Cluster {
    pub(crate) fn new(settings: &Settings, errors: Arc<ErrorCounts>) -> Result<Self, KafkaError> {
        let probe: BaseConsumer<Context> =
            client::create(settings, Role::Probe, Context::new(Role::Probe, errors))?;
        let probe = Arc::new(probe);
        spawn_service(&probe)?;
        Ok(Self {
            servers: settings.bootstrap_servers.clone(),
            timeout: settings.request_timeout,
            probe,
            questions: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            known: RwLock::default(),
            in_vain: Mutex::default(),
        })
    }

    /// The id that the cluster was formatted with.
    pub(crate) async fn id(&self) -> Result<String, KafkaError> {
        let answer = self
            .ask(|probe, timeout| {
                // The id comes with the first metadata; asking for all topics would bring thousands.
                let id = probe.client().fetch_cluster_id(timeout);
                id.ok_or(Native::MetadataFetch(RDKafkaErrorCode::AllBrokersDown))
            })
            .await;
        answer.map_err(|why| self.unreachable(&why))
    }

    pub(crate) fn unreachable(&self, why: &Unanswered) -> KafkaError {
        KafkaError::Unreachable {
            servers: self.servers.clone(),
            seconds: self.timeout.as_secs(),
            reason: why.to_string(),
        }
    }

    /// The topic as it is; `None` when there is none of this name.
    pub(crate) async fn state(&self, topic: &TopicName) -> Result<Option<TopicState>, Unanswered> {
        let name = topic.clone();
        let state = self
            .ask(move |probe, timeout| look_up(probe, &name, timeout))
            .await?;
        let mut known = self.known.write();
        match &state {
            Some(state) if known.len() < TOPICS_MAX || known.contains_key(topic) => {
                let now = Instant::now();
                let first_seen = known.get(topic).map_or(now, |known| known.first_seen);
                let seen = Known {
                    partitions: state.partitions,
                    first_seen,
                    seen: now,
                };
                known.insert(topic.clone(), seen);
            }
            Some(_) => {}
            None => {
                known.remove(topic);
            }
        }
        Ok(state)
    }

    /// How many partitions the topic has; `None` when there is no such topic.
    pub(crate) async fn partitions(&self, topic: &TopicName) -> Result<Option<u32>, Unanswered> {
        let known = self.known.read().get(topic).copied();
        if let Some(known) = known
            && known.seen.elapsed() < TOPIC_AGE
        {
            return Ok(Some(known.partitions));
        }
        match self.state(topic).await {
            Ok(state) => Ok(state.map(|state| state.partitions)),
            // What was true a minute ago is better than nothing: the broker says whether it still is.
            Err(why) => known.map(|known| Some(known.partitions)).ok_or(why),
        }
    }

    /// Fails unless the partition exists.
    pub(crate) async fn must_exist(&self, of: &TopicPartition) -> Result<(), LogError> {
        match self.partitions(&of.topic).await? {
            Some(partitions) if of.partition < partitions => Ok(()),
            Some(_) => match self.state(&of.topic).await? {
                Some(state) if of.partition < state.partitions => Ok(()),
                _ => Err(LogError::UnknownTopic(of.clone())),
            },
            None => Err(LogError::UnknownTopic(of.clone())),
        }
    }

    /// The topic has gone, or so a broker says: it is looked for the next time.
    pub(crate) fn forget(&self, topic: &TopicName) {
        self.known.write().remove(topic);
    }

    /// Waits until a topic that was just created has a leader for each partition.
    pub(crate) async fn appears(&self, topic: &TopicName) -> Result<TopicState, Unanswered> {
        let until = Instant::now() + self.timeout;
        loop {
            let state = self.state(topic).await?;
            if let Some(state) = state.filter(|state| state.leaderless.is_empty()) {
                return Ok(state);
            }
            if Instant::now() > until {
                return Err(Unanswered::Late);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    pub(crate) async fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.must_exist(of).await?;
        let (topic, partition) = (of.topic.clone(), of.partition as i32);
        let question = move |probe: &BaseConsumer<Context>, timeout| {
            probe.fetch_watermarks(topic.as_str(), partition, timeout)
        };
        let (low, high) = self.insist(of, question).await?;
        let none = || LogError::Unavailable(format!("the cluster gave no bounds of {of}"));
        let earliest = Offset::try_from(low).map_err(|_| none())?;
        let next = Offset::try_from(high).map_err(|_| none())?;
        // The two come from two requests: retention may have moved the one past the other's time.
        Ok(Bounds {
            earliest: earliest.min(next),
            next,
        })
    }

    /// Offset of the first record whose Kafka timestamp is at or after `millis`, which must be positive:
    /// other numbers have meanings of their own in the request.
    pub(crate) async fn offset_for(
        &self,
        of: &TopicPartition,
        millis: i64,
    ) -> Result<Option<Offset>, LogError> {
        self.must_exist(of).await?;
        let (topic, partition) = (of.topic.clone(), of.partition as i32);
        let question = move |probe: &BaseConsumer<Context>, timeout| {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition_offset(topic.as_str(), partition, NativeOffset::Offset(millis))?;
            let list = probe.offsets_for_times(list, timeout)?;
            let found = list.find_partition(topic.as_str(), partition);
            let found = found.ok_or(Native::MetadataFetch(RDKafkaErrorCode::UnknownPartition))?;
            found.error()?;
            Ok(match found.offset() {
                NativeOffset::Offset(offset) => Offset::try_from(offset).ok(),
                // "No record is that young" comes as the end.
                _ => None,
            })
        };
        self.insist(of, question).await
    }

    /// Asks until there is an answer that lasts: a partition whose leader moves has none for a moment.
    async fn insist<T: Send + 'static>(
        &self,
        of: &TopicPartition,
        question: impl Fn(&BaseConsumer<Context>, Duration) -> KafkaResult<T> + Clone + Send + 'static,
    ) -> Result<T, LogError> {
        let until = Instant::now() + self.patience();
        loop {
            match self.ask(question.clone()).await {
                Ok(answer) => {
                    *self.in_vain.lock() = None;
                    return Ok(answer);
                }
                Err(why) => {
                    if !self.passes(of, &why) {
                        return Err(self.refused(of, why));
                    }
                    if Instant::now() >= until {
                        *self.in_vain.lock() = Some(Instant::now());
                        return Err(why.into());
                    }
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    fn patience(&self) -> Duration {
        match *self.in_vain.lock() {
            Some(at) if at.elapsed() < IMPATIENT_FOR => IMPATIENT.min(self.timeout),
            _ => self.timeout,
        }
    }

    /// Whether asking again may help.
    fn passes(&self, of: &TopicPartition, why: &Unanswered) -> bool {
        use RDKafkaErrorCode as Code;
        match why.code() {
            Some(
                Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::ReplicaNotAvailable
                | Code::BrokerNotAvailable
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::NetworkException
                | Code::RequestTimedOut
                | Code::OperationTimedOut
                | Code::KafkaStorageError
                | Code::UnknownLeaderEpoch
                | Code::FencedLeaderEpoch
                | Code::OffsetNotAvailable,
            ) => true,
            Some(Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::UnknownTopic) => {
                let known = self.known.read();
                known
                    .get(&of.topic)
                    .is_some_and(|known| known.first_seen.elapsed() < SETTLES_WITHIN)
            }
            _ => false,
        }
    }

    fn refused(&self, of: &TopicPartition, why: Unanswered) -> LogError {
        if matches!(
            why.code(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownPartition
            )
        ) {
            self.forget(&of.topic);
            return LogError::UnknownTopic(of.clone());
        }
        why.into()
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<Context>, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let turn = tokio::time::timeout(self.timeout, self.questions.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Unanswered::Late);
        };
        let (probe, timeout) = (self.probe.clone(), self.patience());
        let answer = tokio::task::spawn_blocking(move || {
            let answer = question(&probe, timeout);
            drop(turn);
            answer
        });
        match answer.await {
            Ok(answer) => answer.map_err(Unanswered::Refused),
            Err(_) => Err(Unanswered::Late),
        }
    }
}

/// A question that got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Too many questions were before it, or the answer took too long.
    #[error("Kafka did not answer in time")]
    Late,
    /// librdkafka's error.
    #[error("{0}")]
    Refused(Native),
}

impl Unanswered {
    fn code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Unanswered::Late => None,
            Unanswered::Refused(error) => error.rdkafka_error_code(),
        }
    }
}

impl From<Unanswered> for LogError {
    fn from(why: Unanswered) -> Self {
        LogError::Unavailable(why.to_string())
    }
}

fn look_up(
    probe: &BaseConsumer<Context>,
    topic: &TopicName,
    timeout: Duration,
) -> KafkaResult<Option<TopicState>> {
    let metadata = probe.fetch_metadata(Some(topic.as_str()), timeout)?;
    let Some(topic) = metadata.topics().iter().find(|t| t.name() == topic.as_str()) else {
        return Ok(None);
    };
    match topic.error().map(RDKafkaErrorCode::from) {
        None => {}
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::InvalidTopic,
        ) => return Ok(None),
        // Just created: it is there, and nobody leads it yet.
        Some(RDKafkaErrorCode::LeaderNotAvailable) => {}
        Some(code) => return Err(Native::MetadataFetch(code)),
    }
    let partitions = topic.partitions();
    if partitions.is_empty() {
        return Ok(None);
    }
    let leaderless = partitions
        .iter()
        .filter(|p| p.leader() < 0 || p.error().is_some_and(|error| error.is_error() && p.leader() < 0))
        .map(|p| p.id() as u32);
    Ok(Some(TopicState {
        partitions: partitions.len() as u32,
        replication_factor: partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0) as u32,
        leaderless: leaderless.collect(),
    }))
}

/// Serves the probe's logs and errors for as long as it lives.
fn spawn_service(probe: &Arc<BaseConsumer<Context>>) -> Result<(), KafkaError> {
    let probe = Arc::downgrade(probe);
    let thread = std::thread::Builder::new().name("kafka-probe".into());
    let serve = move || {
        while let Some(probe) = probe.upgrade() {
            while probe.poll(Duration::ZERO).is_some() {}
            drop(probe);
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    thread
        .spawn(serve)
        .map(|_| ())
        .map_err(|error| KafkaError::Setting {
            key: "threads".into(),
            reason: format!("a thread cannot be started: {error}"),
        })
}
