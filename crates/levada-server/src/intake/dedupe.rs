//! Windows in which a repeated `meta.id` is recognised, per stream and on request
//! (`levada.dedupe_window` in the stream's settings).
//!
//! A producer that did not hear the answer sends again; within the window the second event is
//! acknowledged without being stored twice. The window lives in memory: after a restart it is empty.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_catalog::Stream;
use levada_wire::{ErrorCode, Outcome};
use parking_lot::Mutex;

/// Most ids that are remembered per stream; the oldest are forgotten first.
const IDS_MAX: usize = 1_000_000;

/// The id is in the window already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

/// An id that has been put into a window.
#[derive(Debug)]
pub(super) struct Entered {
    stream: String,
    id: Arc<str>,
}

#[derive(Debug, Default)]
struct Window {
    ids: HashMap<Arc<str>, Instant>,
    order: VecDeque<(Instant, Arc<str>)>,
}

/// All windows.
#[derive(Debug, Default)]
pub(super) struct Windows {
    streams: Mutex<HashMap<String, Window>>,
}

impl Windows {
    /// Puts an id into the window of its stream, unless it is there.
    pub(super) fn enter(&self, stream: &Stream, id: &str) -> Result<Entered, Repeated> {
        let span = stream.levada.dedupe_window.unwrap_or_default();
        self.enter_at(&stream.name, span, id, Instant::now())
    }

    fn enter_at(&self, stream: &str, span: Duration, id: &str, now: Instant) -> Result<Entered, Repeated> {
        let mut streams = self.streams.lock();
        let window = streams.entry(stream.to_owned()).or_default();
        while let Some((entered, oldest)) = window.order.front() {
            if now.duration_since(*entered) < span && window.order.len() < IDS_MAX {
                break;
            }
            // The id may have left and entered again since; only its own entry is removed.
            if window.ids.get(oldest) == Some(entered) {
                window.ids.remove(oldest);
            }
            window.order.pop_front();
        }
        if window.ids.contains_key(id) {
            return Err(Repeated);
        }
        let id: Arc<str> = id.into();
        window.ids.insert(id.clone(), now);
        window.order.push_back((now, id.clone()));
        Ok(Entered { stream: stream.to_owned(), id })
    }

    /// The events are stored: their ids stay.
    pub(super) fn confirm(&self, _entered: Vec<Entered>) {}

    /// The events failed: ids leave unless the events may have been stored after all.
    pub(super) fn leave(&self, entered: Vec<Entered>, code: ErrorCode) {
        if code.outcome() != Outcome::Nothing {
            return;
        }
        let mut streams = self.streams.lock();
        for Entered { stream, id } in entered {
            if let Some(window) = streams.get_mut(&stream) {
                window.ids.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_recognised_within_its_window_and_stream() {
        let windows = Windows::default();
        let (start, span) = (Instant::now(), Duration::from_secs(10));
        let enter = |stream: &str, id: &str, after: u64| {
            windows.enter_at(stream, span, id, start + Duration::from_secs(after)).map(|_| ())
        };
        assert_eq!(enter("a", "x", 0), Ok(()));
        assert_eq!(enter("a", "x", 9), Err(Repeated));
        assert_eq!(enter("b", "x", 9), Ok(()));
        assert_eq!(enter("a", "x", 10), Ok(()));
        assert_eq!(enter("a", "x", 19), Err(Repeated));
    }

    #[test]
    fn a_failed_event_may_come_again() {
        let windows = Windows::default();
        let (now, span) = (Instant::now(), Duration::from_secs(10));
        let entered = windows.enter_at("a", span, "x", now).unwrap();
        windows.leave(vec![entered], ErrorCode::StorageUnavailable);
        let entered = windows.enter_at("a", span, "x", now).unwrap();
        windows.leave(vec![entered], ErrorCode::OutcomeUnknown);
        assert!(windows.enter_at("a", span, "x", now).is_err());
    }
}
