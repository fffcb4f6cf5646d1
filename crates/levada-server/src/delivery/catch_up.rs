//! A session in the past: reads the log on its own, and takes a seat in its channel when it has
//! caught up.
//!
//! The handover is exact. The channel names a joint: the number of its next chunk, and its marks
//! there. The session reads every partition from the log up to exactly these marks, then goes on with
//! that chunk. If the ring has let the chunk go in the meantime, the next joint is nearer. So nothing
//! is lost and nothing comes twice, whatever happens in between.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt, MaybeDone};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use levada_event::Offset;
use levada_log::{LogError, ReadLimit};
use levada_wire::{Gap, GapReason};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::channel::{Channel, Joint};
use super::damage;
use super::failure::{Ended, Failure};
use super::hub::{Hub, Seat};
use super::limits::{
    CATCH_UP_CHUNK_BYTES, CATCH_UP_READ_MAX, CATCH_UP_READ_MIN, JOIN_BELOW_BYTES, LOOKUPS_AT_ONCE,
    PROGRESS_BYTES, PROMPT_BYTES, READS_AHEAD, SELECTING_READS_AHEAD, TAKEN_AT_ONCE,
};
use super::pace::Pace;
use super::plan::Place;
use super::render::Renderer;
use super::ring::{Chunk, Marks};
use super::selected::{Read, Slot};
use super::shape::{LaneKind, Shape};
use super::tail::read_and_look;
use super::wider::Wider;

/// How long a read waits where the log has nothing although its end lies further on. A hole at the
/// end of what is readable; rare, and not worth a busy loop.
const HOLE_WAIT: Duration = Duration::from_secs(1);

/// Whoever heard nothing for this long hears a beat when it takes its seat. It adds to the silence that the
/// channel allows itself.
const SEAT_SILENCE: Duration = Duration::from_secs(1);

/// What a session in the past hands over.
#[derive(Debug)]
pub(crate) enum Item {
    Chunk(Chunk),
    /// The session goes on in its channel with chunk `number`.
    Seated {
        seat: Seat,
        number: u64,
        marks: Marks,
    },
    /// The session ends: cleanly after its last chunk told the error, or by breaking off.
    End(Option<Failure>),
    /// The session goes on with more partitions.
    Wider(Wider),
}

pub(crate) struct CatchUp {
    hub: Arc<Hub>,
    shape: Arc<Shape>,
    renderer: Renderer,
    /// Where the lanes ended when last looked up.
    ends: Vec<Offset>,
    out: mpsc::Sender<Item>,
    read_bytes: usize,
    /// When the batch before was taken.
    taken: Instant,
    pace: Option<Pace>,
    last_out: Instant,
    /// Bytes passed over since anything was sent.
    passed_bytes: u64,
    /// This session's part of the lag gauge.
    lag: i64,
}

/// A read that has begun before its turn.
struct Ahead {
    lane: usize,
    from: Offset,
    read: MaybeDone<BoxFuture<'static, Result<Read, LogError>>>,
}

/// The session needs no more of this: it has failed, goes on otherwise, or nobody listens.
enum Stop {
    Failed(Failure),
    Wider(Wider),
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Failed(failure) => Self::Failed(failure),
            Ended::Wider(wider) => Self::Wider(wider),
        }
    }
}

impl CatchUp {
    pub(crate) fn new(
        hub: Arc<Hub>,
        shape: Arc<Shape>,
        places: &[Place],
        rate: Option<NonZeroU32>,
        out: mpsc::Sender<Item>,
    ) -> Self {
        let log_id = &hub.log.facts().id;
        let renderer = Renderer::new(shape.clone(), hub.stats.clone(), log_id, places);
        hub.stats.catch_ups.add(1);
        hub.stats.catching_up.add(1);
        Self {
            renderer,
            shape,
            ends: places.iter().map(|place| place.end).collect(),
            out,
            read_bytes: CATCH_UP_READ_MIN,
            taken: Instant::now(),
            pace: rate.map(Pace::new),
            last_out: Instant::now(),
            passed_bytes: 0,
            lag: 0,
            hub,
        }
    }

    /// Runs until the session is seated or over. `is_new` when the ends were just looked up.
    pub(crate) async fn run(mut self, is_new: bool) {
        let failure = match self.follow(is_new).await {
            Err(Stop::Failed(failure)) => failure,
            Err(Stop::Wider(wider)) => {
                let _ = self.emit(false).await;
                let _ = self.out.send(Item::Wider(wider)).await;
                return;
            }
            Err(Stop::Gone) | Ok(()) => return,
        };
        let told = self.renderer.failure(&failure);
        let _ = self.emit(false).await;
        let _ = self.out.send(Item::End((!told).then_some(failure))).await;
    }

    async fn follow(&mut self, is_new: bool) -> Result<(), Stop> {
        let mut ends = std::mem::take(&mut self.ends);
        if !is_new {
            ends = self.look_up_ends().await?;
        }
        loop {
            let bytes = self.pass(&ends).await?;
            if bytes == 0 {
                break;
            }
            ends = self.look_up_ends().await?;
            if bytes < JOIN_BELOW_BYTES {
                break;
            }
        }
        let seat = self.hub.seat(&self.shape, &ends)?;
        loop {
            let joint = self.next_joint(&seat).await?;
            let to: Vec<Offset> = joint.marks.iter().map(|mark| mark.next).collect();
            self.pass(&to).await?;
            self.keep_pace().await;
            if self.passed_bytes >= PROGRESS_BYTES && self.renderer.has_untold() {
                self.renderer.id_only();
            }
            self.emit(false).await?;
            if self.pace.is_some() {
                // A paced session never sits with the others; it only waits for more.
                self.await_more(&seat, &joint).await?;
            } else if seat.channel().reaches_back_to(joint.number) {
                // The channel counts silence from what it sent last, and knows nothing of this reader's.
                if self.last_out.elapsed() >= SEAT_SILENCE {
                    let blank = self.renderer.beat();
                    self.emit(blank).await?;
                }
                let Joint { number, marks } = joint;
                seat.channel().learn(|lane| self.renderer.mark(lane));
                return self.send(Item::Seated { seat, number, marks }).await;
            }
        }
    }

    /// Waits for `work`, and keeps the response alive meanwhile: a log that is away for a while must not
    /// look like a dead server.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let mut work = pin!(work);
        loop {
            let beat_at = self.last_out + self.hub.options.heartbeat;
            if let Ok(done) = tokio::time::timeout_at(beat_at, &mut work).await {
                return Ok(done);
            }
            // What is rendered already is as good a sign as any.
            let blank = self.renderer.len() == 0 && self.renderer.beat();
            self.emit(blank).await?;
        }
    }

    /// Where the reader is in each lane.
    fn nexts(&self) -> Vec<Offset> {
        (0..self.shape.lanes.len())
            .map(|lane| self.renderer.mark(lane).next)
            .collect()
    }

    async fn look_up_ends(&mut self) -> Result<Vec<Offset>, Stop> {
        let lanes = self.nexts().into_iter().enumerate();
        let (hub, shape) = (self.hub.clone(), self.shape.clone());
        let questions = lanes.map(move |(lane, next)| end_of(hub.clone(), shape.clone(), lane, next));
        let ends = stream::iter(questions).buffered(LOOKUPS_AT_ONCE).try_collect();
        Ok(self.meanwhile(ends).await??)
    }

    /// Waits until the channel is nowhere behind this session, and takes the joint there.
    async fn next_joint(&mut self, seat: &Seat) -> Result<Joint, Stop> {
        let nexts = self.nexts();
        let mut joint = pin!(joint_beyond(seat.channel(), &nexts));
        if let Some(joint) = joint.as_mut().now_or_never() {
            return Ok(joint?);
        }
        // A partition that makes the others wait should not hold back what is there of them.
        self.emit(false).await?;
        Ok(self.meanwhile(joint).await??)
    }

    /// Waits until the channel has moved on from `joint`, keeping the response alive.
    async fn await_more(&mut self, seat: &Seat, joint: &Joint) -> Result<(), Stop> {
        let channel = seat.channel();
        loop {
            let mut moved = pin!(channel.moved());
            moved.as_mut().enable();
            if let Some(ended) = channel.ended() {
                return Err(ended.clone().into());
            }
            if !channel.stands_at(&joint.marks) {
                return Ok(());
            }
            let beat_at = self.last_out + self.hub.options.heartbeat;
            if tokio::time::timeout_at(beat_at, moved).await.is_err() {
                let blank = self.renderer.beat();
                self.emit(blank).await?;
            }
        }
    }

    /// Reads every lane up to `to`, in turns. Returns the bytes read.
    async fn pass(&mut self, to: &[Offset]) -> Result<usize, Stop> {
        let mut queue: VecDeque<usize> = (0..to.len()).filter(|&lane| self.is_behind(lane, to)).collect();
        let behind: u64 = queue
            .iter()
            .map(|&lane| to[lane] - self.renderer.mark(lane).next)
            .sum();
        self.tell_lag(i64::try_from(behind).unwrap_or(i64::MAX));
        let mut total = 0;
        let reads_ahead = match self.shape.selection.is_plain() {
            true => READS_AHEAD,
            false => SELECTING_READS_AHEAD,
        };
        let mut ahead: VecDeque<Ahead> = VecDeque::with_capacity(reads_ahead);
        while let Some(lane) = queue.pop_front() {
            let from = self.renderer.mark(lane).next;
            let read = match ahead.pop_front() {
                Some(begun) if begun.lane == lane && begun.from == from => {
                    self.meanwhile(take(begun, &mut ahead)).await?
                }
                _ => {
                    ahead.clear();
                    let read = self.begin(lane, from, Duration::ZERO);
                    self.meanwhile(read).await?
                }
            };
            match read {
                Ok(read) => {
                    let batch = &read.batch;
                    if batch.is_empty() && batch.next() <= from {
                        tracing::debug!(partition = %self.shape.lanes[lane].of, from, "nothing where there should be records");
                        let more = self.begin(lane, from, HOLE_WAIT);
                        drop(self.meanwhile(more).await?);
                    } else {
                        let then = batch.next().min(to[lane]);
                        let others = queue.iter().map(|&lane| (lane, self.renderer.mark(lane).next));
                        let upcoming = others.chain((then < to[lane]).then_some((lane, then)));
                        for (lane, from) in upcoming.take(reads_ahead).skip(ahead.len()) {
                            ahead.push_back(self.read_ahead(lane, from).await);
                        }
                        total += self.render(lane, &read, to[lane]).await?;
                    }
                }
                Err(LogError::OutOfRange(bounds)) => {
                    self.step_over(lane, from, bounds.earliest, bounds.next)?
                }
                Err(LogError::Corrupt { .. }) if self.hub.options.pass_damage => {
                    self.step_over_damage(lane, from, to[lane]).await?
                }
                Err(error) => return Err(Stop::Failed(Failure::log(&error))),
            }
            let done = self.renderer.mark(lane).next.saturating_sub(from);
            self.tell_lag(
                self.lag
                    .saturating_sub(i64::try_from(done).unwrap_or(i64::MAX))
                    .max(0),
            );
            if self.is_behind(lane, to) {
                queue.push_back(lane);
            }
        }
        self.tell_lag(0);
        Ok(total)
    }

    fn is_behind(&self, lane: usize, to: &[Offset]) -> bool {
        !matches!(self.shape.lanes[lane].kind, LaneKind::Ghost { .. })
            && self.renderer.mark(lane).next < to[lane]
    }

    fn begin(&self, lane: usize, from: Offset, wait: Duration) -> BoxFuture<'static, Result<Read, LogError>> {
        let (hub, of) = (self.hub.clone(), self.shape.lanes[lane].of.clone());
        let limit = ReadLimit {
            bytes: self.read_bytes,
            wait,
        };
        let slot = Slot::default();
        let look = slot.filler(&self.shape, lane);
        let read = async move {
            let batch = read_and_look(&hub, &of, from, limit, look).await?;
            let selected = slot.take();
            Ok(Read { batch, selected })
        };
        read.boxed()
    }

    /// Begins a read whose turn comes soon, so that the log works while frames are rendered and
    /// written.
    async fn read_ahead(&self, lane: usize, from: Offset) -> Ahead {
        let mut read = future::maybe_done(self.begin(lane, from, Duration::ZERO));
        // One poll sends the request to the log; its answer is taken when its turn comes.
        future::poll_fn(|context| {
            let _ = read.poll_unpin(context);
            std::task::Poll::Ready(())
        })
        .await;
        Ahead { lane, from, read }
    }

    /// Records were removed before they were read: says so and goes on with what is left.
    fn step_over(
        &mut self,
        lane: usize,
        from: Offset,
        earliest: Offset,
        next: Offset,
    ) -> Result<(), Failure> {
        let (reason, resumed) = if from < earliest {
            (GapReason::Expired, earliest)
        } else {
            (GapReason::BeyondEnd, next)
        };
        self.gap(lane, from, reason, resumed)
    }

    /// Records cannot be read: says so and goes on with those behind them.
    async fn step_over_damage(&mut self, lane: usize, from: Offset, end: Offset) -> Result<(), Stop> {
        let (hub, of) = (self.hub.clone(), self.shape.lanes[lane].of.clone());
        let behind = self.meanwhile(damage::behind(&hub, &of, from, end)).await?;
        let resumed = behind.map_err(|error| Failure::log(&error))?;
        tracing::warn!(partition = %of, from, resumed, "a reader is led past damaged records");
        Ok(self.gap(lane, from, GapReason::Damaged, resumed)?)
    }

    fn gap(&mut self, lane: usize, from: Offset, reason: GapReason, resumed: Offset) -> Result<(), Failure> {
        let of = &self.shape.lanes[lane].of;
        let gap = Gap {
            topic: of.topic.to_string(),
            partition: of.partition,
            reason,
            asked: Some(from),
            resumed,
        };
        self.renderer.passed(lane, resumed);
        self.renderer.gap(&gap)
    }

    /// Renders a batch up to `to` and sends it on in chunks. A chunk is only begun when there is room
    /// for it.
    async fn render(&mut self, lane: usize, read: &Read, to: Offset) -> Result<usize, Stop> {
        let Read { batch, selected } = read;
        let bytes = batch.value_bytes();
        self.passed_bytes += bytes as u64;
        let mut index = 0;
        while let Some(record) = batch.get(index).filter(|record| record.offset < to) {
            let frame_bytes = self.renderer.frame_bytes(record.value.len());
            if self.renderer.len() + frame_bytes > CATCH_UP_CHUNK_BYTES || self.pace.is_some() {
                self.keep_pace().await;
                self.emit(false).await?;
            }
            if self.renderer.len() == 0 {
                self.room().await?;
                let rest = self.renderer.frame_bytes(bytes / batch.len()) * (batch.len() - index);
                let room = rest.clamp(frame_bytes, CATCH_UP_CHUNK_BYTES.max(frame_bytes));
                self.renderer.render_into(|| self.hub.buffers.room(room));
            }
            let chosen = selected.as_ref().and_then(|selected| selected.get(index));
            self.renderer.record(lane, record, chosen);
            index += 1;
        }
        self.renderer.passed(lane, batch.next().min(to));
        self.read_bytes = next_size(self.read_bytes, self.taken.elapsed());
        self.taken = Instant::now();
        if self.renderer.len() == 0 {
            self.stay_alive().await?;
        } else if self.passed_bytes >= PROMPT_BYTES && self.pace.is_none() {
            self.emit(false).await?;
            tokio::task::yield_now().await;
        }
        Ok(bytes)
    }

    async fn keep_pace(&mut self) {
        if self.renderer.len() > 0
            && let Some(pace) = &mut self.pace
        {
            pace.next().await;
        }
    }

    /// After records of which none was sent: lets others run, and tells the client where we are.
    async fn stay_alive(&mut self) -> Result<(), Stop> {
        tokio::task::yield_now().await;
        if self.last_out.elapsed() >= self.hub.options.heartbeat {
            let blank = self.renderer.beat();
            self.emit(blank).await?;
        } else if self.passed_bytes >= PROGRESS_BYTES && self.renderer.has_untold() {
            self.renderer.id_only();
            self.emit(false).await?;
        }
        Ok(())
    }

    /// What is rendered, as a chunk.
    fn chunk(&mut self, blank: bool) -> Option<Chunk> {
        if self.renderer.len() == 0 {
            return None;
        }
        let (bytes, events) = self.renderer.take();
        Some(Chunk {
            bytes: self.hub.buffers.share(bytes),
            after: Some(self.renderer.marks()),
            events,
            blank,
        })
    }

    /// Waits until one more chunk can be handed over. Nobody else sends, so that the room stays free.
    async fn room(&self) -> Result<(), Stop> {
        self.out.reserve().await.map(drop).map_err(|_| Stop::Gone)
    }

    async fn emit(&mut self, blank: bool) -> Result<(), Stop> {
        match self.chunk(blank) {
            Some(chunk) => self.send(Item::Chunk(chunk)).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, item: Item) -> Result<(), Stop> {
        self.out.send(item).await.map_err(|_| Stop::Gone)?;
        self.sent();
        Ok(())
    }

    fn sent(&mut self) {
        self.last_out = Instant::now();
        self.passed_bytes = 0;
    }

    fn tell_lag(&mut self, lag: i64) {
        self.hub.stats.lag.add(lag - self.lag);
        self.lag = lag;
    }
}

impl Drop for CatchUp {
    fn drop(&mut self) {
        self.tell_lag(0);
        self.hub.stats.catching_up.add(-1);
    }
}

/// The size of the reads behind one of `bytes` that was taken in `time`.
fn next_size(bytes: usize, time: Duration) -> usize {
    match time < TAKEN_AT_ONCE {
        true => (bytes * 2).min(CATCH_UP_READ_MAX),
        false => (bytes / 2).max(CATCH_UP_READ_MIN),
    }
}

/// Where a lane ends, for a reader that has come to `next` in it.
async fn end_of(hub: Arc<Hub>, shape: Arc<Shape>, lane: usize, next: Offset) -> Result<Offset, Failure> {
    let lane = &shape.lanes[lane];
    match lane.kind {
        LaneKind::Ghost { .. } => Ok(0),
        LaneKind::Kept | LaneKind::Awaited => match hub.log.bounds(&lane.of).await {
            Ok(bounds) => Ok(bounds.next),
            // A topic that does not exist yet, or whose end will be learnt from its tail.
            Err(LogError::UnknownTopic(_) | LogError::Unavailable(_)) => Ok(next),
            Err(error) => Err(Failure::log(&error)),
        },
    }
}

/// The joint of a channel, once it is nowhere behind `nexts`.
async fn joint_beyond(channel: &Channel, nexts: &[Offset]) -> Result<Joint, Ended> {
    loop {
        let mut moved = pin!(channel.moved());
        moved.as_mut().enable();
        if let Some(ended) = channel.ended() {
            return Err(ended.clone());
        }
        if channel.covers(|lane| nexts[lane]) {
            return Ok(channel.joint());
        }
        moved.await;
    }
}

/// What a read that has begun brings. Those `behind` it go on meanwhile: they may hold what this one waits
/// for, such as one of the few places of a log for readers of the past.
async fn take(mut begun: Ahead, behind: &mut VecDeque<Ahead>) -> Result<Read, LogError> {
    future::poll_fn(|context| {
        for other in behind.iter_mut() {
            let _ = other.read.poll_unpin(context);
        }
        begun.read.poll_unpin(context)
    })
    .await;
    let read = std::pin::Pin::new(&mut begun.read).take_output();
    read.unwrap_or_else(|| Err(LogError::Unavailable("a read was lost".into())))
}

#[cfg(test)]
mod tests {
    use levada_event::RecordBatch;

    use super::*;

    #[test]
    fn only_who_takes_much_is_read_much_for() {
        let (at_once, slowly) = (TAKEN_AT_ONCE / 2, TAKEN_AT_ONCE * 2);
        let after = |times: &[Duration]| {
            let times = times.iter();
            times.fold(CATCH_UP_READ_MIN, |bytes, time| next_size(bytes, *time))
        };
        assert_eq!(after(&[at_once; 9]), CATCH_UP_READ_MAX);
        assert_eq!(after(&[slowly; 9]), CATCH_UP_READ_MIN);
        assert_eq!(after(&[at_once, at_once, slowly]), 2 * CATCH_UP_READ_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_waits_for_one_behind_it_is_not_held_up() {
        let empty = |next| Read {
            batch: RecordBatch::empty(next),
            selected: None,
        };
        let (done, first_may) = tokio::sync::oneshot::channel();
        let first = async move {
            first_may.await.expect("said");
            Ok(empty(1))
        };
        let second = async move {
            tokio::task::yield_now().await;
            done.send(()).expect("waited for");
            Ok(empty(2))
        };
        let ahead = |lane, read| Ahead {
            lane,
            from: 0,
            read: future::maybe_done(read),
        };
        let mut behind = VecDeque::from([ahead(1, second.boxed())]);
        let taken = tokio::time::timeout(
            Duration::from_secs(60),
            take(ahead(0, first.boxed()), &mut behind),
        );
        assert_eq!(taken.await.expect("not held up").expect("read").batch.next(), 1);
        let second = behind.pop_front().expect("still there");
        let second = take(second, &mut behind).await;
        assert_eq!(second.expect("read").batch.next(), 2);
    }
}
