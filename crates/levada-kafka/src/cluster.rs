//! Questions to the cluster: its id, its topics, the bounds of partitions, offsets by time.
//!
//! What a topic looks like is remembered for a while; bounds never are, but who asks for them at the same
//! time shares a question.

use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_event::{Bounds, Offset, TopicName, TopicPartition};
use levada_log::LogError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use crate::admin::TopicState;
use crate::bounds::{BoundsDesk, TOGETHER_FOR};
use crate::client::{Context, ErrorCounts};
use crate::probe::{Probe, Unanswered};
use crate::{KafkaError, Settings};

mod known;
mod under_way;

use known::{KnownTopics, Partitions};
use under_way::UnderWay;

/// What is known of a topic serves when the cluster does not say within this time whether it still holds.
const REFRESHED_WITHIN: Duration = Duration::from_secs(1);

/// Pauses between looks for a topic that was just created, and before a question that a broker could not
/// answer yet is asked again. These double up to [`AGAIN_AFTER_MAX`].
const AGAIN_AFTER: Duration = Duration::from_millis(50);
const AGAIN_AFTER_MAX: Duration = Duration::from_millis(400);

/// While the cluster is first waited for, it is looked this often whether waiting makes sense.
const LOOK: Duration = Duration::from_secs(1);

/// So many look for a time in a partition before one question about its bounds goes before each further one.
const SEEKERS: usize = 4;

/// What the metadata said so short a while ago holds for whoever asks about a partition that nobody leads.
const STATE_AGE: Duration = Duration::from_secs(1);

pub(crate) struct Cluster {
    servers: String,
    errors: Arc<ErrorCounts>,
    probe: Arc<Probe>,
    desk: BoundsDesk,
    known: KnownTopics,
    seekers: UnderWay,
    /// Held while a topic is looked at that a partition seems to be missing from.
    looking: tokio::sync::Mutex<()>,
}

impl Cluster {
    pub(crate) fn new(settings: &Settings, errors: Arc<ErrorCounts>) -> Result<Self, KafkaError> {
        let probe = Arc::new(Probe::new(settings, errors.clone())?);
        Ok(Self {
            errors,
            servers: settings.bootstrap_servers.clone(),
            desk: BoundsDesk::new(probe.clone()),
            probe,
            known: KnownTopics::default(),
            seekers: UnderWay::default(),
            looking: tokio::sync::Mutex::default(),
        })
    }

    /// The id that the cluster was formatted with.
    pub(crate) async fn id(&self) -> Result<String, KafkaError> {
        let until = Instant::now() + self.probe.timeout();
        loop {
            let question = |probe: &BaseConsumer<Context>, timeout| {
                // The id comes with the first metadata; asking for all topics would bring thousands.
                let id = probe.client().fetch_cluster_id(timeout);
                id.ok_or(Native::MetadataFetch(RDKafkaErrorCode::AllBrokersDown))
            };
            let left = until.saturating_duration_since(Instant::now());
            match self.probe.ask(left.min(LOOK), question).await {
                Ok(id) => return Ok(id),
                Err(why) if left <= LOOK || self.errors.is_refused() => return Err(self.unreachable(&why)),
                Err(_) => {}
            }
        }
    }

    pub(crate) fn unreachable(&self, why: &Unanswered) -> KafkaError {
        KafkaError::Unreachable {
            servers: self.servers.clone(),
            seconds: self.probe.timeout().as_secs(),
            reason: self.errors.last().unwrap_or_else(|| why.to_string()),
        }
    }

    /// The topic as it is; `None` when there is none of this name.
    pub(crate) async fn state(&self, topic: &TopicName) -> Result<Option<TopicState>, Unanswered> {
        self.state_within(topic, self.probe.patience(Some(topic))).await
    }

    async fn state_within(
        &self,
        topic: &TopicName,
        within: Duration,
    ) -> Result<Option<TopicState>, Unanswered> {
        let name = topic.clone();
        let question = move |probe: &BaseConsumer<Context>, timeout| look_up(probe, &name, timeout);
        let state = self.probe.ask(within, question).await?;
        let partitions = state.as_ref().map(|state| state.partitions);
        self.known.note(topic, partitions, Instant::now());
        Ok(state)
    }

    /// How many partitions the topic has; `None` when there is no such topic.
    pub(crate) async fn partitions(&self, topic: &TopicName) -> Result<Option<u32>, Unanswered> {
        let old = match self.known.partitions(topic, Instant::now()) {
            Partitions::Sure(partitions) => return Ok(Some(partitions)),
            Partitions::Old(partitions) => partitions,
            Partitions::Unknown => return Ok(self.state(topic).await?.map(|state| state.partitions)),
        };
        // What was true a minute ago is better than nothing: the broker says whether it still is. With the
        // cluster away, appends must not wait long here before they wait for their delivery.
        let within = self.probe.patience(Some(topic)).min(REFRESHED_WITHIN);
        match self.state_within(topic, within).await {
            Ok(state) => Ok(state.map(|state| state.partitions)),
            Err(_) => {
                self.known.heard_nothing(Instant::now());
                Ok(Some(old))
            }
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
        self.known.forget(topic);
    }

    /// Waits until a topic that was just created has a leader for each partition.
    pub(crate) async fn appears(&self, topic: &TopicName) -> Result<TopicState, Unanswered> {
        let until = Instant::now() + self.probe.timeout();
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
        self.insist(of, || self.desk.bounds(of)).await
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
        self.insist(of, || self.ask_of(of, question.clone())).await
    }

    /// Asks about a partition once. Where its broker may be away, or many ask, one question about its bounds
    /// goes before for all of them, so that they do not fill the line.
    async fn ask_of<T: Send + 'static>(
        &self,
        of: &TopicPartition,
        question: impl FnOnce(&BaseConsumer<Context>, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let mut within = self.probe.patience(Some(&of.topic));
        let seeker = self.seekers.enter(of);
        if seeker.before >= SEEKERS || self.desk.doubts(of) {
            self.desk.bounds(of).await?;
        } else {
            within = within.min(TOGETHER_FOR);
        }
        let answer = self.probe.ask(within, question).await;
        if answer.as_ref().is_err_and(Unanswered::is_silence) {
            self.desk.doubt(of);
        }
        answer
    }

    /// Asks until there is an answer that lasts: a partition whose leader moves has none for a moment.
    async fn insist<T, Asked: Future<Output = Result<T, Unanswered>> + Send>(
        &self,
        of: &TopicPartition,
        ask: impl Fn() -> Asked + Send,
    ) -> Result<T, LogError> {
        let begun = Instant::now();
        let patience = self.probe.patience(Some(&of.topic));
        let until = begun + patience;
        let mut pause = AGAIN_AFTER;
        loop {
            let failure = match ask().await {
                Ok(answer) => {
                    self.probe.heard(&of.topic);
                    return Ok(answer);
                }
                Err(why) => self.passes(of, why).await?,
            };
            if Instant::now() >= until {
                self.probe.heard_nothing(&of.topic, begun, patience);
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(AGAIN_AFTER_MAX);
        }
    }

    /// What to answer if asking again does not help.
    ///
    /// # Errors
    /// Where it cannot help.
    async fn passes(&self, of: &TopicPartition, why: Unanswered) -> Result<LogError, LogError> {
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
            ) => Ok(why.into()),
            Some(Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::UnknownTopic) => {
                if self.known.settles(&of.topic) {
                    return Ok(why.into());
                }
                self.unled(of).await
            }
            _ => Err(why.into()),
        }
    }

    /// *Unknown* is what librdkafka also says of a partition that nobody leads. Only the metadata tell that
    /// from one that does not exist, which is the error here.
    async fn unled(&self, of: &TopicPartition) -> Result<LogError, LogError> {
        let unled = || LogError::Unavailable(format!("{of} has no leader"));
        let _one = self.looking.lock().await;
        if self.known.has(of, STATE_AGE) {
            return Ok(unled());
        }
        match self.state(&of.topic).await {
            Ok(Some(state)) if of.partition < state.partitions => Ok(unled()),
            Ok(_) => Err(LogError::UnknownTopic(of.clone())),
            Err(why) => Ok(why.into()),
        }
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
        .filter(|p| p.leader() < 0)
        .map(|p| p.id() as u32);
    Ok(Some(TopicState {
        partitions: partitions.len() as u32,
        replication_factor: partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0) as u32,
        leaderless: leaderless.collect(),
    }))
}
