//! Appending: records to a producer, and what became of them.
//!
//! All records of an append share one [`Ticket`], which settles when the last of them has its delivery
//! report. Records of one partition are handed over under a lock, so that those of one append lie side
//! by side in the producer's queue and, as far as this process is concerned, in the partition.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use levada_event::{Offset, Record, TopicPartition};
use levada_log::LogError;
use parking_lot::{Mutex, RwLock};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use tokio::sync::oneshot;

use crate::client::{self, Context, ErrorCounts, Role};
use crate::header;
use crate::stats::Deliveries;
use crate::{KafkaError, Settings};

mod room;
mod ticket;

pub(crate) use room::Room;
pub(crate) use ticket::Ticket;
use ticket::{Failure, Outcome};

/// Locks that keep appends to one partition apart. More than threads that append at a time, so that
/// different partitions seldom share one.
const LOCKS: usize = 64;

/// Bytes of memory that a record costs in the producer's queue beside key and value.
const RECORD_OVERHEAD: usize = 256;

type Client = ThreadedProducer<Context>;

/// One of the two producers.
pub(crate) struct Producer {
    settings: Settings,
    role: Role,
    errors: Arc<ErrorCounts>,
    deliveries: Arc<Deliveries>,
    room: Arc<Room>,
    client: RwLock<Arc<Client>>,
    renewing: Mutex<()>,
    locks: [Mutex<()>; LOCKS],
}

impl Producer {
    pub(crate) fn start(
        settings: &Settings,
        role: Role,
        errors: Arc<ErrorCounts>,
        deliveries: Arc<Deliveries>,
        room: Arc<Room>,
    ) -> Result<Self, KafkaError> {
        let client = client::create(settings, role, Context::new(role, errors.clone()))?;
        Ok(Self {
            settings: settings.clone(),
            role,
            errors,
            deliveries,
            room,
            client: RwLock::new(Arc::new(client)),
            renewing: Mutex::new(()),
            locks: [const { Mutex::new(()) }; LOCKS],
        })
    }

    /// Appends, and waits for the last delivery report. `records` must not be empty.
    pub(crate) async fn append(&self, to: &TopicPartition, records: &[Record]) -> Result<Offset, LogError> {
        let (done, outcome) = oneshot::channel();
        let client = self.enqueue(to, records, Some(done)).await?;
        let outcome = outcome.await;
        // Whoever comes next finds a client that works.
        self.renew_if_broken(&client);
        match outcome {
            Ok(outcome) => answer(to, records, outcome),
            Err(_) => Err(LogError::Indeterminate("the producer was stopped".into())),
        }
    }

    /// Hands records over; what becomes of them shows in metrics and the log.
    pub(crate) async fn append_hasty(&self, to: &TopicPartition, records: &[Record]) -> Result<(), LogError> {
        self.enqueue(to, records, None).await.map(|_| ())
    }

    /// Hands records over, and says to which client.
    async fn enqueue(
        &self,
        to: &TopicPartition,
        records: &[Record],
        done: Option<oneshot::Sender<Outcome>>,
    ) -> Result<Arc<Client>, LogError> {
        let bytes = records.iter().map(|record| size(record) + RECORD_OVERHEAD).sum();
        let waiting = self.room.take(self.role, bytes);
        let room = tokio::time::timeout(self.settings.delivery_timeout, waiting).await;
        let room = room.ok().flatten().ok_or_else(|| {
            LogError::Unavailable(
                "too many records wait for delivery to Kafka; the cluster is slow or away".into(),
            )
        })?;
        let ticket = Ticket::new(records.len(), bytes, room, self.deliveries.clone(), done);
        let mut client = self.usable();
        let _apart = self.locks[slot(to)].lock();
        for (at, record) in records.iter().enumerate() {
            let mut sent = send(&client, to, record, &ticket);
            // It failed a moment ago, and has nothing of this append yet.
            if at == 0 && matches!(sent, Err(Failure::Fatal)) {
                client = self.usable();
                sent = send(&client, to, record, &ticket);
            }
            if let Err(error) = sent {
                if at == 0 {
                    ticket.refuse();
                    return Err(refusal(to, record, &error));
                }
                // The rest never was in the queue. What is in it already may arrive.
                ticket.withdraw(records.len() - at, error);
                return Ok(client);
            }
        }
        Ok(client)
    }

    /// The client, or its successor where librdkafka gave it up: after what breaks the promises of an
    /// idempotent producer it takes nothing any more.
    fn usable(&self) -> Arc<Client> {
        let client = self.client.read().clone();
        if self.renew_if_broken(&client) {
            return self.client.read().clone();
        }
        client
    }

    /// Puts a new client in the place of this one, if librdkafka gave it up. `true` when it did.
    fn renew_if_broken(&self, client: &Arc<Client>) -> bool {
        let Some((code, why)) = client.client().fatal_error() else {
            return false;
        };
        let _turn = self.renewing.lock();
        if !Arc::ptr_eq(&self.client.read(), client) {
            return true;
        }
        let context = Context::new(self.role, self.errors.clone());
        match client::create::<Client>(&self.settings, self.role, context) {
            Ok(new) => {
                let old = std::mem::replace(&mut *self.client.write(), Arc::new(new));
                tracing::warn!(producer = ?self.role, %code, why, "a producer failed for good and was replaced");
                // Ending it waits for its thread.
                std::thread::spawn(move || drop(old));
            }
            Err(error) => tracing::error!(%error, "a producer could not be replaced"),
        }
        true
    }

    /// Waits until everything has its delivery report, at most `timeout`. Blocks.
    pub(crate) fn flush(&self, timeout: Duration) {
        let client = self.client.read().clone();
        if let Err(error) = client.flush(timeout) {
            tracing::warn!(producer = ?self.role, %error, "records were not delivered before the end");
        }
    }
}

/// What the caller of an append is told of its outcome.
fn answer(to: &TopicPartition, records: &[Record], outcome: Outcome) -> Result<Offset, LogError> {
    let Some(failure) = outcome.failure else {
        return Offset::try_from(outcome.first)
            .map_err(|_| LogError::Indeterminate("the cluster gave no offset".into()));
    };
    if outcome.stored > 0 {
        let of = records.len();
        let stored = outcome.stored;
        return Err(LogError::Indeterminate(format!(
            "{stored} of {of} records were stored: {failure}"
        )));
    }
    let largest = records.iter().max_by_key(|record| size(record));
    Err(match largest {
        Some(record) if failure.is_certain() => refusal(to, record, &failure),
        _ => LogError::Indeterminate(failure.to_string()),
    })
}

/// Bytes of key and value.
pub(crate) fn size(record: &Record) -> usize {
    record.value.len() + record.key.as_ref().map_or(0, |key| key.len())
}

fn slot(of: &TopicPartition) -> usize {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    (hasher.finish() % LOCKS as u64) as usize
}

fn send(client: &Client, to: &TopicPartition, record: &Record, ticket: &Arc<Ticket>) -> Result<(), Failure> {
    let text = header::write(record);
    let headers = OwnedHeaders::new_with_capacity(1).insert(Header {
        key: header::NAME,
        value: Some(text.as_bytes()),
    });
    let mut message: BaseRecord<'_, [u8], [u8], Arc<Ticket>> =
        BaseRecord::with_opaque_to(to.topic.as_str(), ticket.clone())
            .partition(to.partition as i32)
            .payload(&record.value[..])
            .timestamp(record.timestamp.as_millis().max(header::EARLIEST))
            .headers(headers);
    if let Some(key) = &record.key {
        message = message.key(&key[..]);
    }
    client.send(message).map_err(|(error, _)| Failure::of(&error))
}

/// Nothing of the append was stored, for this reason.
fn refusal(to: &TopicPartition, record: &Record, failure: &Failure) -> LogError {
    match failure {
        Failure::Code(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition,
        ) => LogError::UnknownTopic(to.clone()),
        Failure::Code(RDKafkaErrorCode::MessageSizeTooLarge) => LogError::TooLarge {
            bytes: size(record),
            max: size(record).saturating_sub(1),
        },
        other => LogError::Unavailable(other.to_string()),
    }
}
