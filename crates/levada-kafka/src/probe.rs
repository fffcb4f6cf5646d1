//! The client that questions go through, and how long they may take.
//!
//! librdkafka answers by blocking, so each question runs on a thread for blocking work, a bounded
//! number at a time. Those about partitions whose broker may be away have a line of their own, so that
//! what takes long does not stand before what is answered at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_event::TopicName;
use levada_log::LogError;
use parking_lot::Mutex;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::{self, Context, ErrorCounts, Role};
use crate::{KafkaError, Settings};

/// Questions of a line under way at a time. One connection carries them all; more would only hold more
/// threads.
const QUESTIONS_AT_ONCE: usize = 32;

/// After a question was asked in vain for as long as it may take, further ones are this patient, for so
/// long: with the cluster away, readers and clients should hear of it soon.
const IMPATIENT: Duration = Duration::from_secs(1);
const IMPATIENT_FOR: Duration = Duration::from_secs(15);

/// Where a question stands in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    General,
    /// For partitions whose broker may be away.
    Doubtful,
}

pub(crate) struct Probe {
    consumer: Arc<BaseConsumer<Context>>,
    general: Arc<Semaphore>,
    doubtful: Arc<Semaphore>,
    timeout: Duration,
    errors: Arc<ErrorCounts>,
    silence: Mutex<Silence>,
}

/// What was asked in vain of late.
#[derive(Default)]
struct Silence {
    answered: Option<Instant>,
    /// Since when nothing at all was answered, as far as was asked.
    everywhere: Option<Instant>,
    topics: HashMap<TopicName, Instant>,
}

impl Silence {
    fn around(&self, topic: Option<&TopicName>) -> bool {
        let recent = |at: &Instant| at.elapsed() < IMPATIENT_FOR;
        let of = topic.and_then(|topic| self.topics.get(topic));
        of.is_some_and(recent) || self.everywhere.as_ref().is_some_and(recent)
    }

    fn ends(&mut self, topic: &TopicName) {
        self.answered = Some(Instant::now());
        self.everywhere = None;
        self.topics.remove(topic);
    }

    /// When no other question was answered since `begun`, it is the cluster that is away and not a leader.
    fn begins(&mut self, topic: &TopicName, begun: Instant) {
        self.topics.retain(|_, at| at.elapsed() < IMPATIENT_FOR);
        self.topics.insert(topic.clone(), Instant::now());
        if self.answered.is_none_or(|at| at < begun) {
            self.everywhere = Some(Instant::now());
        }
    }
}

impl Probe {
    pub(crate) fn new(settings: &Settings, errors: Arc<ErrorCounts>) -> Result<Self, KafkaError> {
        let consumer: BaseConsumer<Context> =
            client::create(settings, Role::Probe, Context::new(Role::Probe, errors.clone()))?;
        let consumer = Arc::new(consumer);
        spawn_service(&consumer)?;
        Ok(Self {
            consumer,
            general: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            doubtful: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            timeout: settings.request_timeout,
            errors,
            silence: Mutex::default(),
        })
    }

    /// How long a question may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long a question may take now that is about a topic, or about several.
    pub(crate) fn patience(&self, topic: Option<&TopicName>) -> Duration {
        if self.silence.lock().around(topic) {
            return IMPATIENT.min(self.timeout);
        }
        self.timeout
    }

    /// Notes that a question about a topic was answered.
    pub(crate) fn heard(&self, topic: &TopicName) {
        self.silence.lock().ends(topic);
    }

    /// Notes that a question about a topic was asked in vain from `begun` on, with this `patience`. What
    /// had little of it says nothing new, and where it began anew with each, a slow broker would not be
    /// waited for as long as somebody asks.
    pub(crate) fn heard_nothing(&self, topic: &TopicName, begun: Instant, patience: Duration) {
        if patience >= self.timeout {
            self.silence.lock().begins(topic, begun);
        }
    }

    /// Waits for the turn of a question.
    pub(crate) async fn turn(&self, line: Line) -> Result<OwnedSemaphorePermit, Unanswered> {
        let questions = match line {
            Line::General => &self.general,
            Line::Doubtful => &self.doubtful,
        };
        let turn = tokio::time::timeout(self.timeout, questions.clone().acquire_owned()).await;
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Unanswered::Late),
        }
    }

    /// Asks once.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        question: impl FnOnce(&BaseConsumer<Context>, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let turn = self.turn(Line::General).await?;
        self.ask_in(turn, within, question).await
    }

    /// Asks once, whose `turn` it is.
    pub(crate) async fn ask_in<T: Send + 'static>(
        &self,
        turn: OwnedSemaphorePermit,
        within: Duration,
        question: impl FnOnce(&BaseConsumer<Context>, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let consumer = self.consumer.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = question(&consumer, within);
            drop(turn);
            answer
        });
        match answer.await {
            Ok(answer) => answer.map_err(|error| {
                if let Some(code) = error.rdkafka_error_code() {
                    self.errors.count(code);
                }
                Unanswered::Refused(error)
            }),
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
    /// Whether it may be a broker that is away, and not one that refuses.
    pub(crate) fn is_silence(&self) -> bool {
        use RDKafkaErrorCode as Code;
        let code = self.code();
        matches!(
            code,
            None | Some(
                Code::OperationTimedOut
                    | Code::RequestTimedOut
                    | Code::BrokerTransportFailure
                    | Code::AllBrokersDown
                    | Code::UnknownPartition
            )
        )
    }

    pub(crate) fn code(&self) -> Option<RDKafkaErrorCode> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_topic_in_silence_costs_the_others_no_patience() {
        let name = |name: &str| TopicName::new(name).expect("a name");
        let (away, well) = (name("away"), name("well"));
        let mut silence = Silence::default();
        let begun = Instant::now();
        silence.ends(&well);
        silence.begins(&away, begun);
        assert!(silence.around(Some(&away)) && !silence.around(Some(&well)) && !silence.around(None));
        // Nothing was answered while this one was asked: nobody answers.
        std::thread::sleep(Duration::from_millis(2));
        silence.begins(&away, Instant::now());
        assert!(silence.around(Some(&well)) && silence.around(None));
        silence.ends(&well);
        assert!(silence.around(Some(&away)) && !silence.around(Some(&well)));
        silence.ends(&away);
        assert!(!silence.around(Some(&away)));
    }
}
