//! What sessions share: the log, the channels, the tails, and the word to stop.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use levada_event::pool::Pool;
use levada_event::{Offset, TopicName, TopicPartition};
use levada_log::Log;
use levada_wire::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::awaited::Awaited;
use super::channel::Channel;
use super::failure::{Ended, Failure};
use super::limits::{CATCH_UP_CHUNKS_KEPT, CATCH_UP_CHUNKS_SIZES, Options};
use super::reading::Readings;
use super::shape::{LaneKind, Shape};
use super::stats::DeliveryStats;
use super::tail::Tail;
use super::wider::Wider;

pub(crate) struct Hub {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) stats: Arc<DeliveryStats>,
    pub(crate) options: Options,
    /// What sessions in the past render into.
    pub(crate) buffers: Pool,
    registry: Mutex<Registry>,
    readings: Readings,
    /// Topics that are waited for.
    pub(crate) awaited: Awaited,
    draining: watch::Sender<bool>,
    /// The same, to be read on every delivery.
    is_draining: AtomicBool,
    /// Number of sessions open.
    sessions: watch::Sender<usize>,
}

#[derive(Default)]
struct Registry {
    /// Each with the number of seats taken in it.
    channels: HashMap<Arc<Shape>, (Arc<Channel>, usize)>,
    tails: HashMap<TopicPartition, Arc<Tail>>,
}

impl Hub {
    pub(crate) fn new(log: Arc<dyn Log>, options: Options) -> Self {
        Self {
            log,
            stats: Arc::default(),
            options,
            buffers: Pool::new(CATCH_UP_CHUNKS_KEPT, CATCH_UP_CHUNKS_SIZES),
            registry: Mutex::default(),
            readings: Readings::default(),
            awaited: Awaited::default(),
            draining: watch::Sender::new(false),
            is_draining: AtomicBool::new(false),
            sessions: watch::Sender::new(0),
        }
    }

    /// Whether a session of this shape would find a channel.
    pub(crate) fn has_room(&self, shape: &Arc<Shape>) -> bool {
        let registry = self.registry.lock();
        registry.channels.len() < self.options.channels_max || registry.channels.contains_key(shape)
    }

    /// Takes a seat in the channel of this shape, opening the channel if there is none. `ends` says
    /// where each lane ended a moment ago: tails that have to be started start there.
    pub(crate) fn seat(self: &Arc<Self>, shape: &Arc<Shape>, ends: &[Offset]) -> Result<Seat, Failure> {
        let mut registry = self.registry.lock();
        if let Some((channel, seats)) = registry.channels.get_mut(shape) {
            *seats += 1;
            return Ok(Seat::new(self.clone(), channel.clone()));
        }
        if registry.channels.len() >= self.options.channels_max {
            return Err(Failure::new(
                ErrorCode::Overloaded,
                "too many different subscriptions are open",
            ));
        }
        let log_id = &self.log.facts().id;
        let channel = Channel::new(shape.clone(), self.stats.clone(), log_id, self.options);
        let channel = Arc::new(channel);
        for (index, lane) in shape.lanes.iter().enumerate() {
            if matches!(lane.kind, LaneKind::Ghost { .. }) {
                continue;
            }
            match registry.tails.entry(lane.of.clone()) {
                Entry::Occupied(entry) => entry.get().attach(&channel, index),
                Entry::Vacant(entry) => {
                    let tail = Arc::new(Tail::new(lane.of.clone(), ends[index]));
                    tail.attach(&channel, index);
                    tail.start(self, lane.kind == LaneKind::Awaited);
                    entry.insert(tail);
                    self.stats.tails.add(1);
                }
            }
        }
        channel.start();
        registry.channels.insert(shape.clone(), (channel.clone(), 1));
        self.stats.channels.add(1);
        Ok(Seat::new(self.clone(), channel))
    }

    /// Ends a tail that cannot be read and every channel that needs it. Who comes afterwards gets a
    /// new channel with a new tail.
    pub(crate) fn fail_tail(&self, tail: &Arc<Tail>, failure: &Failure) {
        let mut registry = self.registry.lock();
        for (channel, _) in tail.channels().iter() {
            channel.finish(Ended::Failed(failure.clone()));
            self.close(&mut registry, channel);
        }
        self.remove_tail(&mut registry, tail);
    }

    /// How many partitions those have who read the fewest of the whole topic; `None` when nobody reads it
    /// whole.
    pub(crate) fn narrowest(&self, topic: &TopicName) -> Option<u32> {
        let registry = self.registry.lock();
        registry
            .channels
            .keys()
            .filter_map(|shape| shape.width_of(topic))
            .min()
    }

    /// Ends the channels that read the topic whole and have fewer partitions than it has; their sessions
    /// go on in wider ones.
    pub(crate) fn widen(&self, wider: &Wider) {
        let mut registry = self.registry.lock();
        let narrow = |shape: &Shape| {
            let width = shape.width_of(&wider.topic);
            width.is_some_and(|width| width < wider.partitions)
        };
        let channels: Vec<_> = registry
            .channels
            .iter()
            .filter(|(shape, _)| narrow(shape))
            .map(|(_, (channel, _))| channel.clone())
            .collect();
        for channel in channels {
            channel.finish(Ended::Wider(wider.clone()));
            self.close(&mut registry, &channel);
        }
    }

    fn leave(&self, channel: &Arc<Channel>) {
        let mut registry = self.registry.lock();
        let Some((present, seats)) = registry.channels.get_mut(channel.shape()) else {
            return;
        };
        if !Arc::ptr_eq(present, channel) {
            return;
        }
        *seats -= 1;
        if *seats == 0 {
            self.close(&mut registry, channel);
        }
    }

    /// Takes a channel out of the registry and off its tails.
    fn close(&self, registry: &mut Registry, channel: &Arc<Channel>) {
        let shape = channel.shape();
        match registry.channels.get(shape) {
            Some((present, _)) if Arc::ptr_eq(present, channel) => {}
            _ => return,
        }
        registry.channels.remove(shape);
        self.stats.channels.add(-1);
        channel.stop();
        for lane in &shape.lanes {
            if let Some(tail) = registry.tails.get(&lane.of).cloned()
                && tail.detach(channel)
            {
                self.remove_tail(registry, &tail);
            }
        }
    }

    fn remove_tail(&self, registry: &mut Registry, tail: &Arc<Tail>) {
        if let Entry::Occupied(entry) = registry.tails.entry(tail.of().clone())
            && Arc::ptr_eq(entry.get(), tail)
        {
            entry.remove();
            self.stats.tails.add(-1);
            tail.stop();
        }
    }

    /// The sessions that read the log on their own.
    pub(crate) fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Tells every session to end at the next frame boundary.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.draining.send_replace(true);
        let channels: Vec<_> = self
            .registry
            .lock()
            .channels
            .values()
            .map(|(c, _)| c.clone())
            .collect();
        for channel in channels {
            channel.waiters().wake_all();
        }
    }

    /// One of the channels, if there is any.
    #[cfg(test)]
    pub(crate) fn any_channel(&self) -> Option<Arc<Channel>> {
        let registry = self.registry.lock();
        registry.channels.values().next().map(|(c, _)| c.clone())
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// Changes once, when sessions have to end.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Resolves when no session is open.
    pub(crate) async fn empty(&self) {
        let mut sessions = self.sessions.subscribe();
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = sessions.wait_for(|open| *open == 0).await;
    }

    pub(crate) fn session_opened(&self) {
        self.stats.sessions_opened.add(1);
        self.stats.sessions_open.add(1);
        self.sessions.send_modify(|open| *open += 1);
    }

    pub(crate) fn session_closed(&self) {
        self.stats.sessions_open.add(-1);
        self.sessions.send_modify(|open| *open -= 1);
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A subscriber's seat in a channel; leaving it may close the channel.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Arc<Hub>,
    channel: Arc<Channel>,
    slot: u32,
}

impl Seat {
    fn new(hub: Arc<Hub>, channel: Arc<Channel>) -> Self {
        let slot = channel.waiters().take();
        Self { hub, channel, slot }
    }

    pub(crate) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Asks to be woken by the channel's next chunk, its failure, or the word to stop.
    pub(crate) fn arm(&self, waker: &std::task::Waker) {
        self.channel.waiters().arm(self.slot, waker);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.channel.waiters().release(self.slot);
        self.hub.leave(&self.channel);
    }
}
