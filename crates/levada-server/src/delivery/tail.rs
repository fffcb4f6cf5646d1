//! The tail of a partition: read once, however many channels want it.
//!
//! A task reads from the end of the partition and publishes every batch into the channels on its
//! list. It ends when the last channel leaves, or with an error that it hands to all of them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use levada_event::{Offset, RecordBatch, TopicPartition};
use levada_log::{Log, LogError, OnRead, ReadLimit};
use levada_wire::{ErrorCode, Gap, GapReason};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::channel::Channel;
use super::failure::Failure;
use super::hub::Hub;
use super::limits::{READ_RETRIES, RETRY_FIRST, TAIL_READ_BYTES, TAIL_WAIT, YIELD_AFTER};
use super::wider;

#[derive(Debug)]
pub(crate) struct Tail {
    of: TopicPartition,
    listeners: Mutex<Listeners>,
    task: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct Listeners {
    /// Everything below was handed to all channels on the list, or is just being handed.
    next: Offset,
    channels: Arc<Vec<(Arc<Channel>, usize)>>,
}

impl Tail {
    pub(crate) fn new(of: TopicPartition, next: Offset) -> Self {
        Self {
            of,
            listeners: Mutex::new(Listeners {
                next,
                channels: Arc::default(),
            }),
            task: OnceLock::new(),
        }
    }

    /// Adds a channel, whose lane stands from now on where the tail stands.
    pub(crate) fn attach(&self, channel: &Arc<Channel>, lane: usize) {
        let mut listeners = self.listeners.lock();
        channel.place(lane, listeners.next);
        let mut channels = (*listeners.channels).clone();
        channels.push((channel.clone(), lane));
        listeners.channels = Arc::new(channels);
    }

    /// Removes a channel. `true` when it was the last one.
    pub(crate) fn detach(&self, channel: &Arc<Channel>) -> bool {
        let mut listeners = self.listeners.lock();
        let mut channels = (*listeners.channels).clone();
        channels.retain(|(other, _)| !Arc::ptr_eq(other, channel));
        listeners.channels = Arc::new(channels);
        listeners.channels.is_empty()
    }

    /// Starts reading; `awaited` when the topic does not exist yet.
    pub(crate) fn start(self: &Arc<Self>, hub: &Arc<Hub>, awaited: bool) {
        let follower = Follower {
            tail: self.clone(),
            hub: hub.clone(),
            finished: false,
        };
        let task = tokio::spawn(follower.run(awaited));
        let _ = self.task.set(task.abort_handle());
    }

    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    pub(crate) fn of(&self) -> &TopicPartition {
        &self.of
    }

    pub(crate) fn channels(&self) -> Arc<Vec<(Arc<Channel>, usize)>> {
        self.listeners.lock().channels.clone()
    }

    fn next(&self) -> Offset {
        self.listeners.lock().next
    }

    /// Moves on to `next` and says who has to be told.
    fn advance(&self, next: Offset) -> Arc<Vec<(Arc<Channel>, usize)>> {
        let mut listeners = self.listeners.lock();
        listeners.next = next;
        listeners.channels.clone()
    }
}

/// The task of a tail.
struct Follower {
    tail: Arc<Tail>,
    hub: Arc<Hub>,
    finished: bool,
}

impl Follower {
    async fn run(mut self, awaited: bool) {
        // Whatever a topic that is waited for holds from its first offset on is new to everybody here;
        // what retention has removed of that meanwhile is a gap, as everywhere.
        if awaited && let Err(error) = self.hub.awaited.appears(&self.hub.log, &self.tail.of).await {
            return self.fail(&error);
        }
        let of = &self.tail.of;
        // One tail of the topic looks after its partitions; who reads it whole has this one.
        if of.partition == 0 {
            let watch = wider::watch(self.hub.clone(), of.topic.clone());
            tokio::select! {
                () = watch => {}
                () = self.follow() => {}
            }
        } else {
            self.follow().await;
        }
    }

    /// Reads and publishes until that fails.
    async fn follow(&mut self) {
        loop {
            match read(
                &self.hub,
                &self.tail.of,
                self.tail.next(),
                TAIL_READ_BYTES,
                TAIL_WAIT,
            )
            .await
            {
                Ok(batch) => self.publish(&batch).await,
                Err(LogError::OutOfRange(bounds)) => {
                    let asked = self.tail.next();
                    let (reason, resumed) = if asked < bounds.earliest {
                        (GapReason::Expired, bounds.earliest)
                    } else {
                        (GapReason::BeyondEnd, bounds.next)
                    };
                    self.publish_gap(reason, asked, resumed);
                }
                Err(error) => return self.fail(&error),
            }
        }
    }

    fn fail(&mut self, error: &LogError) {
        tracing::warn!(partition = %self.tail.of, %error, "the tail of a partition cannot be read");
        self.finished = true;
        self.hub.fail_tail(&self.tail, &Failure::log(error));
    }

    async fn publish(&self, batch: &RecordBatch) {
        if batch.is_empty() && batch.next() == self.tail.next() {
            return;
        }
        let mut since = Instant::now();
        for (channel, lane) in self.tail.advance(batch.next()).iter() {
            channel.publish(*lane, batch);
            // Rendering for many channels must not keep the thread from their readers.
            if since.elapsed() >= YIELD_AFTER {
                tokio::task::yield_now().await;
                since = Instant::now();
            }
        }
    }

    fn publish_gap(&self, reason: GapReason, asked: Offset, resumed: Offset) {
        let gap = Gap {
            topic: self.tail.of.topic.to_string(),
            partition: self.tail.of.partition,
            reason,
            asked: Some(asked),
            resumed,
        };
        for (channel, lane) in self.tail.advance(resumed).iter() {
            channel.publish_gap(*lane, &gap);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Reached by a panic only: an aborted tail has no listeners any more.
        if !self.finished && !self.tail.channels().is_empty() {
            let failure = Failure::new(ErrorCode::Internal, "the reader of a partition stopped");
            self.hub.fail_tail(&self.tail, &failure);
        }
    }
}

/// Reads from the log; a log that is unavailable is asked again for a while.
pub(crate) async fn read(
    hub: &Arc<Hub>,
    of: &TopicPartition,
    from: Offset,
    bytes: usize,
    wait: Duration,
) -> Result<RecordBatch, LogError> {
    read_and_look(hub, of, from, ReadLimit { bytes, wait }, None).await
}

/// The same, letting `look` see what is read.
pub(crate) async fn read_and_look(
    hub: &Arc<Hub>,
    of: &TopicPartition,
    from: Offset,
    limit: ReadLimit,
    look: Option<OnRead>,
) -> Result<RecordBatch, LogError> {
    let position = of.at(from);
    let log: &Arc<dyn Log> = &hub.log;
    let read = || match &look {
        Some(look) => log.read_and_look(&position, limit, look.clone()),
        None => log.read(&position, limit),
    };
    let mut pause = RETRY_FIRST;
    for _ in 0..READ_RETRIES {
        match read().await {
            Err(LogError::Unavailable(reason)) => {
                tracing::debug!(%position, reason, "read is tried again");
                hub.stats.read_retries.add(1);
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return other,
        }
    }
    read().await
}
