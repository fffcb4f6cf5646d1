//! The client that questions go through, and how long they may take.
//!
//! librdkafka answers by blocking, so each question runs on a thread for blocking work, a bounded
//! number at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_log::LogError;
use parking_lot::Mutex;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode};
use tokio::sync::Semaphore;

use crate::client::{self, Context, ErrorCounts, Role};
use crate::{KafkaError, Settings};

/// Questions under way at a time. One connection carries them all; more would only hold more threads.
const QUESTIONS_AT_ONCE: usize = 32;

/// After a question was asked in vain for as long as it may take, further ones are this patient, for so
/// long: with the cluster away, readers and clients should hear of it soon.
const IMPATIENT: Duration = Duration::from_secs(1);
const IMPATIENT_FOR: Duration = Duration::from_secs(15);

pub(crate) struct Probe {
    consumer: Arc<BaseConsumer<Context>>,
    questions: Arc<Semaphore>,
    timeout: Duration,
    in_vain: Mutex<Option<Instant>>,
}

impl Probe {
    pub(crate) fn new(settings: &Settings, errors: Arc<ErrorCounts>) -> Result<Self, KafkaError> {
        let consumer: BaseConsumer<Context> =
            client::create(settings, Role::Probe, Context::new(Role::Probe, errors))?;
        let consumer = Arc::new(consumer);
        spawn_service(&consumer)?;
        Ok(Self {
            consumer,
            questions: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            timeout: settings.request_timeout,
            in_vain: Mutex::default(),
        })
    }

    /// How long a question may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long a question may take now.
    pub(crate) fn patience(&self) -> Duration {
        match *self.in_vain.lock() {
            Some(at) if at.elapsed() < IMPATIENT_FOR => IMPATIENT.min(self.timeout),
            _ => self.timeout,
        }
    }

    /// Notes whether the cluster answers.
    pub(crate) fn heard(&self, answered: bool) {
        *self.in_vain.lock() = (!answered).then(Instant::now);
    }

    /// Asks once.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        question: impl FnOnce(&BaseConsumer<Context>, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let turn = tokio::time::timeout(self.timeout, self.questions.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Unanswered::Late);
        };
        let consumer = self.consumer.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = question(&consumer, within);
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
