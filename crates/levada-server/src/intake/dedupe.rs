//! Windows in which a repeated `meta.id` is recognised, per stream and on request
//! (`levada.dedupe_window` in the stream's settings).
//!
//! A producer that did not hear the answer sends again; within the window the second event is
//! acknowledged without being stored twice. The window lives in memory; after a restart it is filled from
//! the log before it is used ([`recall`](super::recall)).
//!
//! An id belongs to the append that brought it until the log has answered, whatever has become of the
//! request meanwhile ([`Held`]). An event that comes with it before then waits for that answer:
//! what is on its way may still fail, and then nobody would have stored either.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_catalog::Stream;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore, watch};

use super::recall::Recalled;

/// Most ids that are remembered per stream; the oldest are forgotten first.
pub(super) const IDS_MAX: usize = 1_000_000;

/// Bytes of events with ids in a window that may be on their way to the log. It bounds what a log that
/// does not answer can make pile up behind requests that have given up, and so the ids on their way.
pub(super) const HELD_BYTES_MAX: u32 = 64 << 20;

/// Ends when the append that holds an id has its answer.
pub(super) type Answered = watch::Receiver<()>;

/// What an id meets in its window.
#[derive(Debug)]
pub(super) enum Met {
    /// Nothing: it was put there and is held by the append.
    Free,
    /// An event with this id is stored.
    Stored,
    /// An event with this id is on its way.
    OnItsWay(Answered),
}

#[derive(Debug)]
enum Place {
    Stored(Instant),
    Held(Answered),
}

#[derive(Debug, Default)]
struct Window {
    ids: HashMap<Arc<str>, Place>,
    /// What is stored, in the order of its storing.
    order: VecDeque<(Instant, Arc<str>)>,
}

/// All windows.
#[derive(Debug)]
pub(super) struct Windows {
    streams: Mutex<HashMap<Arc<str>, Window>>,
    /// Whether a stream's window was filled from the log; absent before its first use.
    filled: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    /// Room for events that are on their way, in bytes.
    pub(super) room: Arc<Semaphore>,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            streams: Mutex::default(),
            filled: Mutex::default(),
            room: Arc::new(Semaphore::new(HELD_BYTES_MAX as usize)),
        }
    }
}

/// The ids that one append holds. They leave their windows when it is dropped, unless the events are
/// stored: where the outcome is unknown too, so that the event is taken once more when it comes again.
#[derive(Debug)]
pub(super) struct Held {
    windows: Arc<Windows>,
    /// With the names of their streams.
    ids: Vec<(Arc<str>, Arc<str>)>,
    /// Dropped last, when the places say what became of them.
    answered: watch::Sender<()>,
}

impl Windows {
    /// Where the first use of a stream's window is settled; `None` when that was done.
    pub(super) fn first_use(&self, stream: &str) -> Option<Arc<OnceCell<()>>> {
        let mut filled = self.filled.lock();
        let cell = match filled.get(stream) {
            Some(cell) => cell,
            None => filled.entry(stream.to_owned()).or_default(),
        };
        (!cell.initialized()).then(|| cell.clone())
    }

    /// Forgets the windows of streams that use none: what is stored from now on is not in them, so they are
    /// filled anew should they be used again.
    pub(super) fn keep(&self, used: impl Fn(&str) -> bool) {
        self.filled.lock().retain(|stream, _| used(stream));
        let mut streams = self.streams.lock();
        streams.retain(|stream, window| used(stream) || window.holds());
    }

    /// Puts ids of stored events, in any order, into the window of a stream that was not used yet.
    pub(super) fn fill(&self, stream: &str, mut found: Vec<Recalled>) {
        found.sort_by_key(|(stored, _)| *stored);
        let mut streams = self.streams.lock();
        let window = streams.entry(stream.into()).or_default();
        for (stored, id) in found {
            window.store(stored, id);
        }
    }
}

impl Window {
    /// Whether an id in it is on its way.
    fn holds(&self) -> bool {
        self.ids.values().any(|place| matches!(place, Place::Held(_)))
    }

    fn store(&mut self, at: Instant, id: Arc<str>) {
        self.ids.insert(id.clone(), Place::Stored(at));
        self.order.push_back((at, id));
    }

    /// Forgets what is older than `span` and what is too much.
    fn forget(&mut self, span: Duration, now: Instant) {
        while let Some((stored, oldest)) = self.order.front() {
            if now.saturating_duration_since(*stored) < span && self.order.len() < IDS_MAX {
                break;
            }
            // The id may have left and entered again since; only its own entry is removed.
            if matches!(self.ids.get(oldest), Some(Place::Stored(at)) if at == stored) {
                self.ids.remove(oldest);
            }
            self.order.pop_front();
        }
    }
}

impl Held {
    /// Holds nothing yet.
    pub(super) fn new(windows: Arc<Windows>) -> Self {
        Self {
            windows,
            ids: Vec::new(),
            answered: watch::Sender::new(()),
        }
    }

    /// Puts an id into the window of its stream, unless it is there.
    pub(super) fn enter(&mut self, stream: &Stream, id: &str) -> Met {
        let span = stream.levada.dedupe_window.unwrap_or_default();
        self.enter_at(&stream.name, span, id, Instant::now())
    }

    fn enter_at(&mut self, stream: &str, span: Duration, id: &str, now: Instant) -> Met {
        let mut streams = self.windows.streams.lock();
        let stream: Arc<str> = match streams.get_key_value(stream) {
            Some((known, _)) => known.clone(),
            None => stream.into(),
        };
        let window = streams.entry(stream.clone()).or_default();
        window.forget(span, now);
        match window.ids.get(id) {
            Some(Place::Stored(_)) => return Met::Stored,
            Some(Place::Held(answered)) => return Met::OnItsWay(answered.clone()),
            None => {}
        }
        let id: Arc<str> = id.into();
        let place = Place::Held(self.answered.subscribe());
        window.ids.insert(id.clone(), place);
        self.ids.push((stream, id));
        Met::Free
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The events are stored: from now on their ids are recognised.
    pub(super) fn confirm(self) {
        self.confirm_at(Instant::now());
    }

    fn confirm_at(mut self, now: Instant) {
        let mut streams = self.windows.streams.lock();
        for (stream, id) in self.ids.drain(..) {
            if let Some(window) = streams.get_mut(&stream) {
                window.store(now, id);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let mut streams = self.windows.streams.lock();
        for (stream, id) in self.ids.drain(..) {
            if let Some(window) = streams.get_mut(&stream) {
                window.ids.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    fn enter(windows: &Arc<Windows>, stream: &str, id: &str, now: Instant) -> (Held, Met) {
        let mut held = Held::new(windows.clone());
        let met = held.enter_at(stream, SPAN, id, now);
        (held, met)
    }

    #[test]
    fn an_id_is_recognised_within_its_window_and_stream() {
        let windows = Arc::default();
        let start = Instant::now();
        let is_new = |stream: &str, id: &str, after: u64| {
            let now = start + Duration::from_secs(after);
            let (held, met) = enter(&windows, stream, id, now);
            held.confirm_at(now);
            matches!(met, Met::Free)
        };
        assert!(is_new("a", "x", 0));
        assert!(!is_new("a", "x", 9));
        assert!(is_new("b", "x", 9));
        assert!(is_new("a", "x", 10));
        assert!(!is_new("a", "x", 19));
    }

    #[test]
    fn an_event_that_failed_may_come_again() {
        let windows = Arc::default();
        let now = Instant::now();
        for _ in 0..2 {
            let (held, met) = enter(&windows, "a", "x", now);
            assert!(matches!(met, Met::Free));
            drop(held);
        }
        let (held, _) = enter(&windows, "a", "x", now);
        held.confirm_at(now);
        assert!(matches!(enter(&windows, "a", "x", now).1, Met::Stored));
    }

    #[test]
    fn an_id_on_its_way_is_held_however_long_it_takes() {
        let windows = Arc::default();
        let now = Instant::now();
        let (first, _) = enter(&windows, "a", "x", now);
        let later = now + SPAN * 3;
        let (second, met) = enter(&windows, "a", "x", later);
        let Met::OnItsWay(answered) = met else {
            panic!("{met:?}");
        };
        assert!(answered.has_changed().is_ok());
        // What holds nothing takes nothing away.
        drop(second);
        first.confirm_at(later);
        assert!(answered.has_changed().is_err());
        assert!(matches!(enter(&windows, "a", "x", later).1, Met::Stored));
    }
}
