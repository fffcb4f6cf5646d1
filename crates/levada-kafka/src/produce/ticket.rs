//! What becomes of one append: a count of records that are under way, and what their reports said.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::DeliveryResult;
use tokio::sync::oneshot;

use super::room::Held;
use crate::stats::Deliveries;

/// Why a record was not stored, or is not known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client can produce no more.
    Fatal,
    /// librdkafka's or the broker's code.
    Code(RDKafkaErrorCode),
}

impl Failure {
    pub(crate) fn of(error: &Native) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => Failure::Fatal,
            Some(code) => Failure::Code(code),
            None => Failure::Code(RDKafkaErrorCode::Unknown),
        }
    }

    /// Whether it says that the record was not stored. Everything that leaves it open whether the
    /// broker had the record (time-outs, lost connections, a producer given up) does not; nor does a
    /// purged queue, in which batches that were sent before may have waited for their retry.
    pub(crate) fn is_certain(self) -> bool {
        use RDKafkaErrorCode as Code;
        matches!(
            self,
            Failure::Code(
                Code::UnknownTopicOrPartition
                    | Code::UnknownTopic
                    | Code::UnknownPartition
                    | Code::MessageSizeTooLarge
                    | Code::InvalidMessageSize
                    | Code::MessageBatchTooLarge
                    | Code::InvalidTopic
                    | Code::InvalidTimestamp
                    | Code::InvalidRecord
                    | Code::InvalidConfig
                    | Code::PolicyViolation
                    | Code::TopicAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::SaslAuthenticationFailed
                    | Code::NotEnoughReplicas
                    | Code::UnsupportedForMessageFormat
                    | Code::QueueFull
            )
        )
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Fatal => f.write_str("the producer failed for good and is being replaced"),
            Failure::Code(RDKafkaErrorCode::MessageTimedOut) => {
                f.write_str("Kafka did not acknowledge the records in time")
            }
            Failure::Code(RDKafkaErrorCode::InvalidTimestamp) => f.write_str(
                "the topic refuses the event's time (message.timestamp.before.max.ms, message.timestamp.after.max.ms)",
            ),
            Failure::Code(code) => write!(f, "{code}"),
        }
    }
}

/// How an append ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Records that were stored.
    pub(crate) stored: usize,
    /// The lowest offset among them.
    pub(crate) first: i64,
    /// Why others were not.
    pub(crate) failure: Option<Failure>,
}

struct State {
    waiting: usize,
    outcome: Outcome,
    done: Option<oneshot::Sender<Outcome>>,
    room: Option<Held>,
}

/// One append under way.
pub(crate) struct Ticket {
    state: Mutex<State>,
    begun: Instant,
    records: usize,
    bytes: usize,
    hasty: bool,
    deliveries: Arc<Deliveries>,
}

impl Ticket {
    /// For `records` of `bytes`, which hold `room` until all have their report. Without `done` nobody
    /// waits.
    pub(crate) fn new(
        records: usize,
        bytes: usize,
        room: Held,
        deliveries: Arc<Deliveries>,
        done: Option<oneshot::Sender<Outcome>>,
    ) -> Arc<Self> {
        deliveries.queued(records, bytes);
        let hasty = done.is_none();
        Arc::new(Self {
            state: Mutex::new(State {
                waiting: records,
                outcome: Outcome {
                    stored: 0,
                    first: i64::MAX,
                    failure: None,
                },
                done,
                room: Some(room),
            }),
            begun: Instant::now(),
            records,
            bytes,
            hasty,
            deliveries,
        })
    }

    /// Takes the report of one record.
    pub(crate) fn settle(&self, result: &DeliveryResult<'_>) {
        self.take(1, |outcome| match result {
            Ok(message) => {
                outcome.stored += 1;
                // Without acknowledgements there are no offsets.
                outcome.first = outcome.first.min(message.offset());
            }
            Err((error, _)) => outcome.failure = Some(worse(outcome.failure, Failure::of(error))),
        });
    }

    /// The last `records` were not handed over.
    pub(crate) fn withdraw(&self, records: usize, failure: Failure) {
        self.take(records, |outcome| {
            outcome.failure = Some(worse(outcome.failure, failure));
        });
    }

    /// None of the records was handed over, and the caller is told so: nothing was taken, nothing is lost.
    pub(crate) fn refuse(&self) {
        let mut state = self.state.lock();
        state.waiting = 0;
        state.room = None;
        state.done = None;
        drop(state);
        self.deliveries
            .settled(self.records, self.bytes, 0, self.begun.elapsed());
    }

    fn take(&self, records: usize, note: impl FnOnce(&mut Outcome)) {
        let mut state = self.state.lock();
        note(&mut state.outcome);
        state.waiting = state.waiting.saturating_sub(records);
        if state.waiting > 0 {
            return;
        }
        state.room = None;
        let none = Outcome {
            stored: 0,
            first: i64::MAX,
            failure: None,
        };
        let outcome = std::mem::replace(&mut state.outcome, none);
        let done = state.done.take();
        drop(state);
        self.deliveries
            .settled(self.records, self.bytes, outcome.stored, self.begun.elapsed());
        if let (true, Some(failure)) = (self.hasty, outcome.failure) {
            let lost = self.records - outcome.stored;
            if self.deliveries.lost_hasty(lost) {
                tracing::warn!(%failure, "hasty records were not stored; further losses show in metrics");
            }
        }
        if let Some(done) = done {
            let _ = done.send(outcome);
        }
    }
}

/// The one of two failures that leaves more open.
fn worse(before: Option<Failure>, now: Failure) -> Failure {
    match before {
        Some(before) if now.is_certain() || !before.is_certain() => before,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Role;
    use crate::produce::Room;
    use crate::stats::Stats;

    #[tokio::test]
    async fn hasty_records_are_lost_only_when_they_were_taken() {
        let (room, deliveries) = (Room::new(1 << 20), Arc::<Deliveries>::default());
        let stats = || {
            let mut stats = Stats::default();
            deliveries.fill(&mut stats);
            (stats.lost_hasty_records, stats.queued_records, stats.queued_bytes)
        };
        let ticket = || async {
            let held = room.take(Role::Hasty, 1 << 19).await.expect("room");
            Ticket::new(3, 30, held, deliveries.clone(), None)
        };
        ticket().await.refuse();
        assert_eq!(stats(), (0, 0, 0));
        let ticket = ticket().await;
        ticket.withdraw(2, Failure::Code(RDKafkaErrorCode::QueueFull));
        assert_eq!(stats(), (0, 3, 30));
        ticket.withdraw(1, Failure::Code(RDKafkaErrorCode::QueueFull));
        assert_eq!(stats(), (3, 0, 0));
    }

    #[test]
    fn what_was_purged_may_have_been_stored() {
        use RDKafkaErrorCode as Code;
        // A batch that timed out waits for its retry in the queue, and is purged from there.
        for open in [Code::PurgeQueue, Code::PurgeInflight, Code::MessageTimedOut] {
            let open = Failure::Code(open);
            assert!(!open.is_certain(), "{open:?}");
            let certain = Failure::Code(Code::MessageSizeTooLarge);
            assert_eq!(worse(Some(certain), open), open);
        }
    }
}
