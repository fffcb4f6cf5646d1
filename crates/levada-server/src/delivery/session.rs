//! A session: the body of one streaming response.
//!
//! It is polled by the HTTP connection and has no task of its own. In the past it drives its own
//! [`Reading`] of the log; in the present it is a seat in a channel and the number of the next chunk. A
//! reader that is too slow for the channel's ring goes back to reading the log from where it is.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http_body::{Body, Frame};
use levada_event::Offset;
use levada_wire::cursor::First;
use levada_wire::{ErrorCode, Gap, ndjson, sse};
use tokio::time::Sleep;

use super::catch_up::Item;
use super::failure::{Ended, Failure, SessionAborted};
use super::hub::{Hub, Seat};
use super::limits::{DRAIN_PATIENCE, LANES_MAX};
use super::plan::Place;
use super::reading::{Reading, Step};
use super::render::Renderer;
use super::request::{Api, Format};
use super::ring::{Chunk, Found, Marks};
use super::shape::Shape;
use super::wider::Wider;

/// The body of a streaming response. Nothing is read and no seat is taken before it is polled.
pub struct SessionBody {
    hub: Arc<Hub>,
    shape: Arc<Shape>,
    phase: Phase,
    rate: Option<NonZeroU32>,
    /// Where the client is after the last whole frame handed out.
    marks: Marks,
    age: Option<Pin<Box<Sleep>>>,
    /// The age is reached; the session ends at the next place where it may.
    aged: bool,
    /// Resolves when whoever reads may do so no longer.
    revoked: Option<BoxFuture<'static, ()>>,
    is_revoked: bool,
    /// What was handed out last ends inside a frame, or with the blanks that begin a line.
    inside: Inside,
    /// How long a server that stops waits for the event that ends a line of blanks.
    patience: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Frame,
    Blanks,
}

enum Phase {
    /// The first bytes are still to be sent.
    Opening {
        bytes: Bytes,
        places: Vec<Place>,
    },
    Past {
        reading: Arc<Reading>,
        /// Resolves when the server stops.
        stop: BoxFuture<'static, ()>,
    },
    Live {
        seat: Seat,
        number: u64,
    },
    /// The last bytes were sent; what follows is the end, clean or not.
    Ending(Option<Failure>),
    Over,
}

impl SessionBody {
    pub(crate) fn new(
        hub: Arc<Hub>,
        shape: Arc<Shape>,
        places: Vec<Place>,
        opening: Bytes,
        rate: Option<NonZeroU32>,
        age: Option<Duration>,
    ) -> Self {
        hub.session_opened();
        Self {
            marks: places.iter().map(|place| place.mark).collect(),
            phase: Phase::Opening {
                bytes: opening,
                places,
            },
            age: age.map(|age| Box::pin(tokio::time::sleep(age))),
            aged: false,
            revoked: None,
            is_revoked: false,
            inside: Inside::Nothing,
            patience: None,
            hub,
            shape,
            rate,
        }
    }

    /// Ends the session, at the next place between two frames, when `revoked` resolves.
    pub fn end_when(&mut self, revoked: BoxFuture<'static, ()>) {
        self.revoked = Some(revoked);
    }

    /// Counts a chunk and hands it out.
    fn hand_out(&mut self, chunk: Chunk) -> Bytes {
        self.hub.stats.deliveries.add(u64::from(chunk.events));
        self.hub.stats.bytes.add(chunk.bytes.len() as u64);
        self.inside = match &chunk.after {
            None => Inside::Frame,
            Some(_) if chunk.blank => Inside::Blanks,
            Some(_) => Inside::Nothing,
        };
        if let Some(marks) = chunk.after {
            self.marks = marks;
        }
        chunk.bytes
    }

    /// Whether the session has to end here: the server stops, or the response is old enough.
    fn must_end(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(age) = &mut self.age
            && age.as_mut().poll(context).is_ready()
        {
            self.age = None;
            self.aged = true;
        }
        if let Some(revoked) = &mut self.revoked
            && revoked.poll_unpin(context).is_ready()
        {
            self.revoked = None;
            self.is_revoked = true;
        }
        match self.inside {
            Inside::Frame => false,
            Inside::Nothing => self.aged || self.is_revoked || self.hub.is_draining(),
            // Blanks before the end would look like a broken line: an old session waits for the next
            // event. A server that stops cannot wait long, and one that was told to let nobody read on
            // must not.
            Inside::Blanks if self.is_revoked => true,
            Inside::Blanks if self.hub.is_draining() => {
                let patience = self
                    .patience
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(DRAIN_PATIENCE)));
                patience.as_mut().poll(context).is_ready()
            }
            Inside::Blanks => false,
        }
    }

    /// Begins the end: the last bytes, if there are any.
    fn end(&mut self) -> Option<Bytes> {
        if let Phase::Live { seat, number } = &self.phase
            && let Some(marks) = seat.channel().marks_if_current(*number)
        {
            self.marks = marks;
        }
        if self.is_revoked {
            let why = "the login, key or right that this stream was opened with is gone; log in again";
            return self.fail(Failure::new(ErrorCode::Unauthorized, why));
        }
        self.phase = Phase::Ending(None);
        let mut renderer = self.renderer();
        // So that the client comes back to exactly this place even if it has seen no event yet.
        renderer.id_only();
        (renderer.len() > 0).then(|| renderer.take().0.into())
    }

    fn fail(&mut self, failure: Failure) -> Option<Bytes> {
        self.hub.stats.sessions_failed.add(1);
        let mut renderer = self.renderer();
        let told = renderer.failure(&failure);
        self.phase = Phase::Ending((!told).then_some(failure));
        told.then(|| renderer.take().0.into())
    }

    /// A renderer that stands where the client is.
    fn renderer(&self) -> Renderer {
        let log_id = &self.hub.log.facts().id;
        Renderer::new(self.shape.clone(), self.hub.stats.clone(), log_id, &self.places())
    }

    fn places(&self) -> Vec<Place> {
        let ends: Vec<Offset> = self.marks.iter().map(|mark| mark.next).collect();
        let place = |(mark, end)| Place {
            first: First::Latest,
            mark,
            end,
        };
        self.marks.iter().copied().zip(ends).map(place).collect()
    }
}

impl Body for SessionBody {
    type Data = Bytes;
    type Error = SessionAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SessionAborted>>> {
        let this = &mut *self;
        loop {
            match &mut this.phase {
                Phase::Opening { bytes, places } => {
                    let (bytes, places) = (std::mem::take(bytes), std::mem::take(places));
                    this.read_from(&places, true);
                    if !bytes.is_empty() {
                        return frame(bytes);
                    }
                }
                Phase::Past { stop, .. } => {
                    let _ = stop.poll_unpin(context);
                    if this.must_end(context) {
                        match this.end() {
                            Some(bytes) => return frame(bytes),
                            None => continue,
                        }
                    }
                    match this.poll_past(context) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Some(bytes)) => return frame(bytes),
                        Poll::Ready(None) => {}
                    }
                }
                Phase::Live { .. } => {
                    if this.must_end(context) {
                        match this.end() {
                            Some(bytes) => return frame(bytes),
                            None => continue,
                        }
                    }
                    match this.poll_live(context) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Some(bytes)) => return frame(bytes),
                        Poll::Ready(None) => {}
                    }
                }
                Phase::Ending(broken) => {
                    let broken = broken.take();
                    this.phase = Phase::Over;
                    if let Some(failure) = broken {
                        return Poll::Ready(Some(Err(failure.into())));
                    }
                }
                Phase::Over => return Poll::Ready(None),
            }
        }
    }
}

impl SessionBody {
    /// Begins to read the log at these places.
    fn read_from(&mut self, places: &[Place], is_new: bool) {
        let mut draining = self.hub.draining();
        self.phase = Phase::Past {
            reading: Reading::begin(&self.hub, &self.shape, places, self.rate, is_new),
            stop: async move {
                let _ = draining.wait_for(|draining| *draining).await;
            }
            .fuse()
            .boxed(),
        };
    }

    /// Goes on with the partitions that a topic has now.
    fn widen(&mut self, wider: &Wider) -> Option<Bytes> {
        let Some((shape, marks)) = self.shape.wider(wider, &self.marks) else {
            let Wider { topic, partitions } = wider;
            let why = format!(
                "{topic} has {partitions} partitions now, which makes more than {LANES_MAX} for one subscription"
            );
            return self.fail(Failure::new(ErrorCode::Overloaded, why));
        };
        self.shape = Arc::new(shape);
        self.marks = marks.into();
        self.read_from(&self.places(), false);
        None
    }

    /// The next chunk of the past, or a change of phase.
    fn poll_past(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Phase::Past { reading, .. } = &self.phase else {
            return Poll::Ready(None);
        };
        match ready!(reading.poll(context)) {
            Step::Item(Item::Chunk(chunk)) => return Poll::Ready(Some(self.hand_out(chunk))),
            Step::Item(Item::Seated { seat, number, marks }) => {
                self.marks = marks;
                // The channel's own, so that equal subscriptions are kept once.
                self.shape = seat.channel().shape().clone();
                self.phase = Phase::Live { seat, number };
            }
            Step::Item(Item::End(broken)) => {
                self.hub.stats.sessions_failed.add(1);
                self.phase = Phase::Ending(broken);
            }
            Step::Item(Item::Wider(wider)) => return Poll::Ready(self.widen(&wider)),
            Step::LetGo => self.read_from(&self.places(), false),
            Step::Broken => {
                let failure = Failure::new(ErrorCode::Internal, "the reader of the log stopped");
                return Poll::Ready(self.fail(failure));
            }
        }
        Poll::Ready(None)
    }

    /// The next chunk of the channel, or a change of phase.
    fn poll_live(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Phase::Live { seat, number } = &mut self.phase else {
            return Poll::Ready(None);
        };
        let mut armed = false;
        loop {
            match seat.channel().get(*number) {
                Found::Chunk(chunk) => {
                    *number += 1;
                    return Poll::Ready(Some(self.hand_out(chunk)));
                }
                Found::Overrun => {
                    self.hub.stats.overruns.add(1);
                    self.read_from(&self.places(), false);
                    return Poll::Ready(None);
                }
                Found::Nothing => {
                    if let Some(ended) = seat.channel().ended() {
                        return Poll::Ready(match ended.clone() {
                            Ended::Failed(failure) => self.fail(failure),
                            Ended::Wider(wider) => self.widen(&wider),
                        });
                    }
                    if armed {
                        return Poll::Pending;
                    }
                    // What came between the first look and the arming woke nobody: look again.
                    seat.arm(context.waker());
                    armed = true;
                    // Who waits for the end of a line has looked already, and is woken in time.
                    if self.hub.is_draining() && self.patience.is_none() {
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }
}

impl Drop for SessionBody {
    fn drop(&mut self) {
        // The seat is left before the session counts as closed.
        self.phase = Phase::Over;
        self.hub.session_closed();
    }
}

impl std::fmt::Debug for SessionBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionBody")
            .field("shape", &self.shape)
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}

fn frame(bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, SessionAborted>>> {
    Poll::Ready(Some(Ok(Frame::data(bytes))))
}

/// The first bytes of a response (contract eventstreams §1.3, §7.4).
pub(crate) fn opening(api: Api, format: Format, retry: Option<Duration>, gaps: &[Gap]) -> Bytes {
    let mut out = Vec::new();
    match (format, api) {
        (Format::Sse, _) => {
            out.extend_from_slice(sse::OK);
            if let Some(retry) = retry {
                sse::retry(&mut out, u64::try_from(retry.as_millis()).unwrap_or(u64::MAX));
            }
            for gap in gaps {
                sse::comment(&mut out, &gap.comment());
            }
        }
        (Format::Ndjson, Api::EventStreams) => out.extend_from_slice(ndjson::OPENING),
        (Format::Ndjson, Api::Realtime) => {}
    }
    out.into()
}
