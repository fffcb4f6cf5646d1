//! A channel: the live events of one shape, rendered once for all of its subscribers.
//!
//! Tails publish batches into it. What they bring is rendered into an open buffer; a flush closes the
//! buffer into a chunk of the ring and wakes the subscribers, at once after a pause and otherwise at
//! most every [`flush_every`](super::Options::flush_every). So everything that is new to a subscriber
//! is one write. A write that is larger than the channel's share of the memory is let go shortly after.
//!
//! Locks are taken in the order `render`, `ring`; none is held while subscribers are woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use levada_event::{Offset, RecordBatch};
use levada_wire::Gap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::failure::Ended;
use super::limits::{LARGE_KEPT, LIVE_CHUNK_BYTES, Options, RING_AGE, RINGS_BYTES};
use super::plan::Place;
use super::render::Renderer;
use super::ring::{Chunk, Found, Mark, Marks, Ring};
use super::shape::Shape;
use super::stats::DeliveryStats;
use super::waiters::Waiters;

#[derive(Debug)]
pub(crate) struct Channel {
    shape: Arc<Shape>,
    options: Options,
    stats: Arc<DeliveryStats>,
    render: Mutex<Open>,
    ring: Mutex<Ring>,
    /// Number that the next chunk gets, readable without the lock.
    head: AtomicU64,
    /// Subscribers that wait for a chunk.
    waiters: Waiters,
    /// Sessions on their way here that wait for the marks to move.
    moved: Notify,
    /// Wakes the channel's task when something is due before the next heartbeat.
    due: Notify,
    ended: OnceLock<Ended>,
    task: OnceLock<AbortHandle>,
}

/// What is rendered and not yet flushed.
#[derive(Debug)]
struct Open {
    renderer: Renderer,
    flushed: Instant,
    /// Whether the task was told to flush.
    flush_due: bool,
    /// Whether the chunk that was flushed last is larger than the channel's share of the memory.
    is_large: bool,
}

/// A place in the ring: who is at `marks` has everything before chunk `number`.
#[derive(Debug)]
pub(crate) struct Joint {
    pub(crate) number: u64,
    pub(crate) marks: Marks,
}

impl Channel {
    /// A channel whose lanes stand at offset 0 until their tails [`place`](Self::place) them.
    pub(crate) fn new(shape: Arc<Shape>, stats: Arc<DeliveryStats>, log_id: &str, options: Options) -> Self {
        let places: Vec<Place> = shape.lanes.iter().map(|lane| Place::unread(lane.kind)).collect();
        let renderer = Renderer::new(shape.clone(), stats.clone(), log_id, &places);
        let now = Instant::now();
        Self {
            shape,
            options,
            render: Mutex::new(Open {
                renderer,
                // The first event is as urgent as one after a pause.
                flushed: now.checked_sub(options.flush_every).unwrap_or(now),
                flush_due: false,
                is_large: false,
            }),
            ring: Mutex::new(Ring::new()),
            stats,
            head: AtomicU64::new(0),
            waiters: Waiters::default(),
            moved: Notify::new(),
            due: Notify::new(),
            ended: OnceLock::new(),
            task: OnceLock::new(),
        }
    }

    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Puts a lane where its tail stands. Only before the channel has subscribers.
    pub(crate) fn place(&self, lane: usize, next: Offset) {
        self.render.lock().renderer.passed(lane, next);
    }

    /// Renders what came in a lane, and flushes it if it is time to.
    pub(crate) fn publish(&self, lane: usize, batch: &RecordBatch) {
        if self.ended.get().is_some() {
            return;
        }
        let mut wake = false;
        {
            let mut open = self.render.lock();
            for record in batch.iter() {
                open.renderer.record(lane, record, None);
                if open.renderer.len() >= LIVE_CHUNK_BYTES {
                    self.close(&mut open, Instant::now());
                    wake = true;
                }
            }
            open.renderer.passed(lane, batch.next());
            wake |= self.flush_if_due(&mut open);
        }
        self.moved.notify_waiters();
        if wake {
            self.waiters.wake_all();
        }
    }

    /// Says that records of a lane are missing up to `next`.
    pub(crate) fn publish_gap(&self, lane: usize, gap: &Gap) {
        let told = {
            let mut open = self.render.lock();
            open.renderer.passed(lane, gap.resumed);
            let told = open.renderer.gap(gap);
            self.close(&mut open, Instant::now());
            told
        };
        self.moved.notify_waiters();
        self.waiters.wake_all();
        if let Err(failure) = told {
            self.finish(failure.into());
        }
    }

    /// Ends the channel: its subscribers get what is in the ring and then do as is said.
    pub(crate) fn finish(&self, ended: Ended) {
        if self.ended.set(ended).is_ok() {
            self.moved.notify_waiters();
            self.waiters.wake_all();
        }
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }

    /// The place where a reader that has caught up takes its seat.
    pub(crate) fn joint(&self) -> Joint {
        let (joint, wake) = {
            let mut open = self.render.lock();
            let wake = open.renderer.len() > 0;
            if wake {
                self.close(&mut open, Instant::now());
            }
            let number = self.head.load(Ordering::Acquire);
            let marks = open.renderer.marks();
            (Joint { number, marks }, wake)
        };
        if wake {
            self.waiters.wake_all();
        }
        joint
    }

    /// Tells the channel what a session that takes its seat has seen last in lanes from which the
    /// channel has sent nothing yet: so the ids keep a time for them, which other servers understand.
    pub(crate) fn learn(&self, seen: impl Fn(usize) -> Mark) {
        let mut open = self.render.lock();
        for lane in 0..self.shape.lanes.len() {
            if let Some(timestamp) = seen(lane).sent {
                open.renderer.learn(lane, timestamp);
            }
        }
    }

    /// The joint, if a reader that has everything before chunk `number` has everything there is.
    pub(crate) fn marks_if_current(&self, number: u64) -> Option<Marks> {
        let mut open = self.render.lock();
        let current = open.renderer.len() == 0 && self.head.load(Ordering::Acquire) == number;
        current.then(|| open.renderer.marks())
    }

    /// Whether the channel is nowhere behind a reader that needs `next(lane)` in every lane.
    pub(crate) fn covers(&self, next: impl Fn(usize) -> Offset) -> bool {
        let open = self.render.lock();
        (0..self.shape.lanes.len()).all(|lane| open.renderer.mark(lane).next >= next(lane))
    }

    /// Whether the channel has not moved on from `marks`.
    pub(crate) fn stands_at(&self, marks: &[Mark]) -> bool {
        let open = self.render.lock();
        marks
            .iter()
            .enumerate()
            .all(|(lane, mark)| open.renderer.mark(lane).next == mark.next)
    }

    /// Whether chunk `number` can still be had, now or later.
    pub(crate) fn reaches_back_to(&self, number: u64) -> bool {
        self.ring.lock().reaches_back_to(number)
    }

    /// The marks' next change. Make it, look at the [`joint`](Self::joint), then await it.
    pub(crate) fn moved(&self) -> tokio::sync::futures::Notified<'_> {
        self.moved.notified()
    }

    /// The chunk with this number.
    pub(crate) fn get(&self, number: u64) -> Found {
        if self.head.load(Ordering::Acquire) == number {
            return Found::Nothing;
        }
        self.ring.lock().get(number)
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Starts the task that flushes late and keeps idle responses alive.
    pub(crate) fn start(self: &Arc<Self>) {
        let task = tokio::spawn(self.clone().run());
        let _ = self.task.set(task.abort_handle());
    }

    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            let (flushed, flush_due, is_large) = {
                let open = self.render.lock();
                (open.flushed, open.flush_due, open.is_large)
            };
            let now = Instant::now();
            let beat_at = flushed + self.options.heartbeat;
            let flush_at = flush_due.then_some(flushed + self.options.flush_every);
            let let_go_at = is_large.then_some(flushed + LARGE_KEPT);
            let is_due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
            if now >= beat_at {
                self.beat();
            } else if is_due(flush_at) {
                self.flush();
            } else if is_due(let_go_at) {
                self.let_go();
            } else {
                let next = [Some(beat_at), flush_at, let_go_at].into_iter().flatten().min();
                // What is due by now is seen above, whether it was the time or the word.
                let _ = tokio::time::timeout_at(next.unwrap_or(beat_at), self.due.notified()).await;
            }
        }
    }

    /// Lets a large chunk go that had its time; whoever has not taken it reads the log.
    fn let_go(&self) {
        let mut open = self.render.lock();
        if open.is_large && Instant::now() >= open.flushed + LARGE_KEPT {
            open.is_large = false;
            self.ring.lock().clear();
        }
    }

    /// Bytes that the ring keeps.
    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> usize {
        self.ring.lock().bytes()
    }

    fn flush(&self) {
        let wake = {
            let mut open = self.render.lock();
            open.flush_due = false;
            let wake = open.renderer.len() > 0;
            if wake {
                self.close(&mut open, Instant::now());
            }
            wake
        };
        if wake {
            self.waiters.wake_all();
        }
    }

    /// Tells every subscriber that the channel is alive and lets old chunks go.
    fn beat(&self) {
        let now = Instant::now();
        {
            let mut open = self.render.lock();
            let blank = open.renderer.beat();
            self.push(&mut open, now, blank);
        }
        self.ring.lock().trim(now, RING_AGE);
        self.waiters.wake_all();
    }

    fn flush_if_due(&self, open: &mut Open) -> bool {
        if open.renderer.len() == 0 {
            return false;
        }
        let now = Instant::now();
        if now >= open.flushed + self.options.flush_every {
            self.close(open, now);
            return true;
        }
        if !open.flush_due {
            open.flush_due = true;
            self.due.notify_one();
        }
        false
    }

    fn close(&self, open: &mut Open, now: Instant) {
        self.push(open, now, false);
    }

    fn push(&self, open: &mut Open, now: Instant, blank: bool) {
        let (mut bytes, events) = open.renderer.take();
        // The next chunk will be of about this size; this one may be kept for a while.
        open.renderer.reserve(bytes.len().min(LIVE_CHUNK_BYTES));
        bytes.shrink_to_fit();
        open.flushed = now;
        let chunk = Chunk {
            bytes: bytes.into(),
            after: Some(open.renderer.marks()),
            events,
            blank,
        };
        let channels = usize::try_from(self.stats.channels.get()).unwrap_or(0).max(1);
        let share = RINGS_BYTES / channels;
        let mut ring = self.ring.lock();
        ring.push(now, chunk, self.options.ring_bytes.min(share));
        ring.trim(now, RING_AGE);
        open.is_large = ring.bytes() > share;
        self.head.store(ring.head(), Ordering::Release);
        drop(ring);
        if open.is_large {
            self.due.notify_one();
        }
    }
}
