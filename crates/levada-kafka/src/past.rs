//! The past: readers at explicit offsets, a bounded number of them.
//!
//! A consumer can stand at one place of a partition, so there are a few of them, and up to that many
//! places per partition at a time. What is fetched ahead for a place stays with it when a read ends, and
//! the next read that goes on there finds it. When all places are taken, the one that was not used for
//! the longest time is moved: that costs a fetch, and nobody is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_event::{Offset, RecordBatch, TopicPartition};
use levada_log::LogError;
use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinSet;

use crate::Settings;
use crate::client::{Context, ErrorCounts, Role};
use crate::fetch::Fetcher;
use crate::recent::Recent;

mod outages;
mod shelf;

use outages::Outages;
use shelf::{Place, Shelf, Turn};

/// Consumers for the past, and so places per partition. Each has a connection to every broker.
const FETCHERS: usize = 4;

/// A place that nobody went on from for this long is given up.
const IDLE: Duration = Duration::from_secs(15);

pub(crate) struct Past {
    settings: Settings,
    errors: Arc<ErrorCounts>,
    fetchers: [OnceCell<Fetcher>; FETCHERS],
    shelf: Mutex<Shelf>,
    /// A place was put back.
    back: Notify,
    outages: Mutex<Outages>,
    recent: Recent,
}

/// What a read of the past finds.
#[derive(Debug)]
pub(crate) enum Found {
    Batch(RecordBatch),
    /// The end of the partition, without a record before it.
    End,
    /// The partition cannot be read from there.
    Failed(RDKafkaErrorCode),
}

impl Past {
    pub(crate) fn new(settings: &Settings, errors: Arc<ErrorCounts>) -> Arc<Self> {
        let past = Arc::new(Self {
            settings: settings.clone(),
            errors,
            fetchers: [const { OnceCell::const_new() }; FETCHERS],
            shelf: Mutex::default(),
            back: Notify::new(),
            outages: Mutex::default(),
            recent: Recent::new(settings.catch_up_bytes_max),
        });
        tokio::spawn(sweep(Arc::downgrade(&past)));
        past
    }

    /// How many places there are.
    pub(crate) fn open(&self) -> usize {
        self.shelf.lock().open
    }

    /// Records that were fetched for somebody a moment ago.
    pub(crate) fn recent(&self, of: &TopicPartition, from: Offset, bytes: usize) -> Option<RecordBatch> {
        self.recent.find(of, from, bytes)
    }

    /// Whether a read before this one ended at `from`, so that this one can go on there.
    pub(crate) fn stands_at(&self, of: &TopicPartition, from: Offset) -> bool {
        let shelf = self.shelf.lock();
        shelf
            .idle
            .iter()
            .any(|place| place.next == from && place.of == *of)
    }

    /// Gives up all places.
    pub(crate) fn close(&self) {
        self.shelf.lock().retire(Duration::ZERO);
    }

    /// Reads from `from` on, at most `bytes` of values but at least one record. With `afresh` the place
    /// is fetched anew, so that an end which is met was met after this call began.
    ///
    /// # Errors
    /// `Unavailable` when the broker gives nothing in time, although there is something or the end, and
    /// when the turn of this reader does not come.
    pub(crate) async fn read(
        self: &Arc<Self>,
        of: &TopicPartition,
        from: Offset,
        bytes: usize,
        afresh: bool,
    ) -> Result<Found, LogError> {
        if !afresh && let Some(found) = self.at_hand(of, from, bytes) {
            return Ok(found);
        }
        // Whoever reads may look at what it waits for only now and then: a reader ahead of a client that
        // takes its time. The place must go back as soon as it has given its records all the same.
        let (past, of) = (self.clone(), of.clone());
        let mut reading = JoinSet::new();
        reading.spawn(async move { past.wait_for(&of, from, bytes, afresh).await });
        match reading.join_next().await {
            Some(Ok(found)) => found,
            _ => Err(LogError::Unavailable("the read was stopped".into())),
        }
    }

    /// What the place that stands at `from` can give without waiting.
    fn at_hand(self: &Arc<Self>, of: &TopicPartition, from: Offset, bytes: usize) -> Option<Found> {
        let place = self.shelf.lock().standing(of, from)?;
        Taken::new(self, place).find(from, bytes)
    }

    async fn wait_for(
        self: &Arc<Self>,
        of: &TopicPartition,
        from: Offset,
        bytes: usize,
        afresh: bool,
    ) -> Result<Found, LogError> {
        let began = tokio::time::Instant::now();
        let patience = self.patience(of);
        let until = began + patience;
        let late = || {
            LogError::Unavailable(format!(
                "the broker of {of} gave no records within {:.1} s",
                began.elapsed().as_secs_f64()
            ))
        };
        let mut taken = match self.take(of, from, bytes, afresh, until).await? {
            Some(Got::Place(taken)) => taken,
            Some(Got::Batch(batch)) => return Ok(Found::Batch(batch)),
            None => return Err(late()),
        };
        // What the wait for a turn took is not the broker's.
        let until = tokio::time::Instant::now() + patience;
        loop {
            if let Some(found) = taken.find(from, bytes) {
                return Ok(found);
            }
            let waited = tokio::time::timeout_at(until, taken.place()?.assigned.ready()).await;
            if waited.is_err() {
                taken.give_up();
                // A read with little patience says nothing new.
                if patience >= self.settings.request_timeout {
                    self.outages.lock().begins(of, Instant::now());
                }
                return Err(late());
            }
        }
    }

    fn patience(&self, of: &TopicPartition) -> Duration {
        let timeout = self.settings.request_timeout;
        self.outages.lock().patience(of, timeout, Instant::now())
    }

    /// A place that stands at `from`, for this reader alone; or what another reader has fetched from
    /// there while this one waited for its turn. `None` when the broker was not asked by `until`.
    ///
    /// # Errors
    /// `Unavailable` also when all places are in use until then.
    async fn take(
        self: &Arc<Self>,
        of: &TopicPartition,
        from: Offset,
        bytes: usize,
        afresh: bool,
        until: tokio::time::Instant,
    ) -> Result<Option<Got>, LogError> {
        loop {
            let mut back = std::pin::pin!(self.back.notified());
            back.as_mut().enable();
            let turn = self
                .shelf
                .lock()
                .turn(of, from, afresh, self.settings.catch_up_max.max(1));
            let fetcher = match turn {
                Turn::Ready(place) => return Ok(Some(Got::Place(Taken::new(self, place)))),
                Turn::Room(fetcher) => Some(fetcher),
                // The old assignment is let go, as its place is dropped here, before the new one is asked for.
                Turn::Move(place) => Some(place.fetcher),
                Turn::Wait => None,
            };
            if let Some(fetcher) = fetcher {
                let place = tokio::time::timeout_at(until, self.fetch(of, from, fetcher)).await;
                return place.map_or(Ok(None), |place| place.map(|place| Some(Got::Place(place))));
            }
            if tokio::time::timeout_at(until, back).await.is_err() {
                return Err(LogError::Unavailable(format!(
                    "too many readers of the past of {of}: none of its places came free in time; try again, \
                     or raise kafka.catch_up_max where it bounds them"
                )));
            }
            if !afresh && let Some(batch) = self.recent.find(of, from, bytes) {
                return Ok(Some(Got::Batch(batch)));
            }
        }
    }

    async fn fetch(
        self: &Arc<Self>,
        of: &TopicPartition,
        from: Offset,
        number: usize,
    ) -> Result<Taken, LogError> {
        // Whatever happens from here on, the room that was taken on the shelf is given back.
        let mut taken = Taken {
            past: self.clone(),
            of: of.clone(),
            fetcher: number,
            place: None,
        };
        let fetcher = self.fetchers[number]
            .get_or_try_init(|| async { self.fetcher() })
            .await?;
        let assigned = fetcher.assign(of.clone(), from).await;
        taken.place = Some(Place {
            of: of.clone(),
            fetcher: number,
            assigned: assigned.map_err(LogError::Unavailable)?,
            next: from,
            stock: shelf::Stock::default(),
            used: Instant::now(),
        });
        Ok(taken)
    }

    fn fetcher(&self) -> Result<Fetcher, LogError> {
        let context = Context::new(Role::Past, self.errors.clone());
        Fetcher::start(&self.settings, Role::Past, context)
            .map_err(|error| LogError::Unavailable(error.to_string()))
    }
}

/// What a reader gets when it asks for a place.
enum Got {
    Place(Taken),
    Batch(RecordBatch),
}

/// A place in use; it goes back when the reader is done.
struct Taken {
    past: Arc<Past>,
    of: TopicPartition,
    fetcher: usize,
    place: Option<Place>,
}

impl Taken {
    fn new(past: &Arc<Past>, place: Place) -> Self {
        Self {
            past: past.clone(),
            of: place.of.clone(),
            fetcher: place.fetcher,
            place: Some(place),
        }
    }

    fn place(&self) -> Result<&Place, LogError> {
        let gone = || LogError::Unavailable("the reader's place is gone".into());
        self.place.as_ref().ok_or_else(gone)
    }

    /// What the place gives from `from` on; `None` when it says nothing yet. Where it failed, or there
    /// is none, it does not go back.
    fn find(&mut self, from: Offset, bytes: usize) -> Option<Found> {
        let found = self.place.as_mut()?.find(from, bytes, &self.past.recent);
        match found {
            Some(Found::Failed(_)) => self.give_up(),
            Some(_) => {
                self.past.outages.lock().ends(&self.of);
            }
            None => {}
        }
        found
    }

    /// Does not go back.
    fn give_up(&mut self) {
        self.place = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut shelf = self.past.shelf.lock();
        match self.place.take() {
            Some(mut place) => {
                place.used = Instant::now();
                shelf.idle.push(place);
            }
            None => {
                shelf.free_number(&self.of, self.fetcher);
                shelf.open = shelf.open.saturating_sub(1);
            }
        }
        drop(shelf);
        self.past.back.notify_waiters();
    }
}

/// Gives up places that nobody went on from.
async fn sweep(past: std::sync::Weak<Past>) {
    loop {
        tokio::time::sleep(IDLE / 3).await;
        let Some(past) = past.upgrade() else { return };
        past.recent.sweep();
        past.shelf.lock().retire(IDLE);
    }
}
