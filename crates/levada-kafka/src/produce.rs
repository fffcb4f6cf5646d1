//! Appending: records to a producer, and what became of them.
//!
//! All records of an append share one [`Ticket`], which settles when the last of them has its delivery
//! report. Records of one partition are handed over under a lock, so that those of one append lie side
//! by side in the producer's queue and, as far as this process is concerned, in the partition.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use levada_event::{Offset, Record, TopicPartition};
use levada_log::LogError;
use parking_lot::{Mutex, RwLock};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use tokio::sync::{Semaphore, oneshot};

use crate::client::{self, Context, ErrorCounts, Role};
use crate::header;
use crate::stats::Deliveries;
use crate::{KafkaError, Settings};

mod ticket;

pub(crate) use ticket::Ticket;
use ticket::{Failure, Outcome};

/// Locks that keep appends to one partition apart. More than threads that append at a time, so that
/// different partitions seldom share one.
const LOCKS: usize = 64;

/// Bytes of memory that a record costs in the producer's queue beside key and value.
const RECORD_OVERHEAD: usize = 256;

/// Bytes that one permit of the queue's bound stands for: permits are counted in 32 bits.
const PERMIT_BYTES: usize = 1024;

type Client = ThreadedProducer<Context>;

/// The bound of bytes that wait, shared by both producers.
pub(crate) struct Room {
    permits: Arc<Semaphore>,
    all: u32,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes / PERMIT_BYTES)
            .unwrap_or(u32::MAX)
            .clamp(1, 1 << 28);
        Self {
            permits: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// Permits for `bytes`; a single append larger than everything takes everything.
    fn of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(PERMIT_BYTES))
            .unwrap_or(u32::MAX)
            .clamp(1, self.all)
    }
}

/// One of the two producers.
pub(crate) struct Producer {
    settings: Settings,
    role: Role,
    errors: Arc<ErrorCounts>,
    deliveries: Arc<Deliveries>,
    room: Arc<Room>,
    client: RwLock<Arc<Client>>,
    renewing: AtomicBool,
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
            renewing: AtomicBool::new(false),
            locks: [const { Mutex::new(()) }; LOCKS],
        })
    }

    /// Appends, and waits for the last delivery report. `records` must not be empty.
    pub(crate) async fn append(&self, to: &TopicPartition, records: &[Record]) -> Result<Offset, LogError> {
        let (done, outcome) = oneshot::channel();
        self.enqueue(to, records, Some(done)).await?;
        match outcome.await {
            Ok(outcome) => self.answer(to, records, outcome),
            Err(_) => Err(LogError::Indeterminate("the producer was stopped".into())),
        }
    }

    /// Hands records over; what becomes of them shows in metrics and the log.
    pub(crate) async fn append_hasty(&self, to: &TopicPartition, records: &[Record]) -> Result<(), LogError> {
        self.enqueue(to, records, None).await
    }

    async fn enqueue(
        &self,
        to: &TopicPartition,
        records: &[Record],
        done: Option<oneshot::Sender<Outcome>>,
    ) -> Result<(), LogError> {
        let bytes = records.iter().map(|record| size(record) + RECORD_OVERHEAD).sum();
        let waiting = self.room.permits.clone().acquire_many_owned(self.room.of(bytes));
        let full = || {
            LogError::Unavailable(
                "too many records wait for delivery to Kafka; the cluster is slow or away".into(),
            )
        };
        let room = tokio::time::timeout(self.settings.delivery_timeout, waiting).await;
        let room = room.map_err(|_| full())?.map_err(|_| full())?;
        let ticket = Ticket::new(records.len(), bytes, room, self.deliveries.clone(), done);
        let client = self.client.read().clone();
        let _apart = self.locks[slot(to)].lock();
        for (at, record) in records.iter().enumerate() {
            if let Err(error) = send(&client, to, record, &ticket) {
                // The rest never was in the queue. What is in it already may arrive.
                ticket.withdraw(records.len() - at, error);
                if matches!(error, Failure::Fatal) {
                    self.renew(&client);
                }
                return if at == 0 {
                    Err(refusal(to, record, &error))
                } else {
                    Ok(())
                };
            }
        }
        Ok(())
    }

    fn answer(&self, to: &TopicPartition, records: &[Record], outcome: Outcome) -> Result<Offset, LogError> {
        let Some(failure) = outcome.failure else {
            return Offset::try_from(outcome.first)
                .map_err(|_| LogError::Indeterminate("the cluster gave no offset".into()));
        };
        if matches!(failure, Failure::Fatal) {
            let client = self.client.read().clone();
            self.renew(&client);
        }
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

    /// Puts a new client in the place of `broken`, which librdkafka gave up.
    fn renew(&self, broken: &Arc<Client>) {
        if self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        if Arc::ptr_eq(&self.client.read(), broken) {
            let context = Context::new(self.role, self.errors.clone());
            match client::create::<Client>(&self.settings, self.role, context) {
                Ok(client) => {
                    let old = std::mem::replace(&mut *self.client.write(), Arc::new(client));
                    tracing::warn!(producer = ?self.role, "a producer failed for good and was replaced");
                    // Ending it waits for its thread.
                    std::thread::spawn(move || drop(old));
                }
                Err(error) => tracing::error!(%error, "a producer could not be replaced"),
            }
        }
        self.renewing.store(false, Ordering::Release);
    }

    /// Waits until everything has its delivery report, at most `timeout`. Blocks.
    pub(crate) fn flush(&self, timeout: Duration) {
        let client = self.client.read().clone();
        if let Err(error) = client.flush(timeout) {
            tracing::warn!(producer = ?self.role, %error, "records were not delivered before the end");
        }
    }
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
