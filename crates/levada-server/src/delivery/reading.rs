//! The reader of a session in the past, driven by the polls of the response's body.
//!
//! It has no task: what it reads and renders is for the connection that polls it, and handing that
//! over between threads would cost more than it gains. But then nobody polls it while the client does
//! not read. So every reading is on a list, and a [`sweep`] takes from those that have waited too long
//! for their client what was read ahead; the session begins a new reading where the client is.

use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::Instant;

use super::catch_up::{CatchUp, Item};
use super::hub::Hub;
use super::limits::STALLED_AFTER;
use super::plan::Place;
use super::shape::Shape;

pub(crate) struct Reading {
    state: Mutex<State>,
}

struct State {
    work: Option<Work>,
    /// When something was handed out, until the body is polled again.
    served: Option<Instant>,
}

struct Work {
    items: mpsc::Receiver<Item>,
    reader: BoxFuture<'static, ()>,
    running: bool,
}

/// What a poll gives.
#[derive(Debug)]
pub(crate) enum Step {
    Item(Item),
    /// The reader was let go; begin another one.
    LetGo,
    /// The reader ended without a word, which it never does.
    Broken,
}

impl Reading {
    /// Begins to read at these places; `is_new` when their ends were just looked up.
    pub(crate) fn begin(
        hub: &Arc<Hub>,
        shape: &Arc<Shape>,
        places: &[Place],
        rate: Option<NonZeroU32>,
        is_new: bool,
    ) -> Arc<Self> {
        // One chunk waits while the one before is written.
        let (out, items) = mpsc::channel(1);
        let reader = CatchUp::new(hub.clone(), shape.clone(), places, rate, out);
        let reading = Arc::new(Self {
            state: Mutex::new(State {
                work: Some(Work {
                    items,
                    reader: reader.run(is_new).boxed(),
                    running: true,
                }),
                served: None,
            }),
        });
        hub.readings().add(hub, &reading);
        reading
    }

    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Step> {
        let mut state = self.state.lock();
        state.served = None;
        let Some(work) = &mut state.work else {
            return Poll::Ready(Step::LetGo);
        };
        // The reader runs inside this very poll, so nobody else can send and no waker is needed for
        // what it sends: only for what it waits for itself.
        let item = match work.items.try_recv() {
            Err(TryRecvError::Empty) if work.running => {
                work.running = work.reader.poll_unpin(context).is_pending();
                work.items.try_recv()
            }
            other => other,
        };
        match item {
            Ok(item) => {
                state.served = Some(Instant::now());
                Poll::Ready(Step::Item(item))
            }
            Err(TryRecvError::Empty) if work.running => Poll::Pending,
            Err(_) => Poll::Ready(Step::Broken),
        }
    }

    fn let_go_if_stalled(&self, now: Instant) {
        let work = {
            let mut state = self.state.lock();
            let stalled = state
                .served
                .is_some_and(|served| now.saturating_duration_since(served) >= STALLED_AFTER);
            stalled.then(|| state.work.take()).flatten()
        };
        // Its seat in a channel, if it has one, is left with no lock held.
        drop(work);
    }
}

/// All readings there are.
#[derive(Default)]
pub(crate) struct Readings {
    state: Mutex<Listed>,
}

#[derive(Default)]
struct Listed {
    readings: Vec<Weak<Reading>>,
    swept: bool,
}

impl Readings {
    fn add(&self, hub: &Arc<Hub>, reading: &Arc<Reading>) {
        let mut listed = self.state.lock();
        listed.readings.push(Arc::downgrade(reading));
        if !listed.swept {
            listed.swept = true;
            tokio::spawn(sweep(hub.clone()));
        }
    }
}

/// Looks after stalled readings as long as there are readings.
async fn sweep(hub: Arc<Hub>) {
    loop {
        tokio::time::sleep(STALLED_AFTER).await;
        let readings: Vec<Arc<Reading>> = {
            let mut listed = hub.readings().state.lock();
            listed.readings.retain(|reading| reading.strong_count() > 0);
            if listed.readings.is_empty() {
                listed.readings.shrink_to_fit();
                listed.swept = false;
                return;
            }
            listed.readings.iter().filter_map(Weak::upgrade).collect()
        };
        let now = Instant::now();
        for reading in readings {
            reading.let_go_if_stalled(now);
        }
    }
}
