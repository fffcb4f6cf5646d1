//! Windows in which a repeated `meta.id` is recognised, per stream and on request
//! (`levada.dedupe_window` in the stream's settings).
//!
//! A producer that did not hear the answer sends again; within the window the second event is
//! acknowledged without being stored twice. The window lives in memory; after a restart it is filled from
//! the log before it is used ([`recall`](super::recall)).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_catalog::Stream;
use levada_wire::{ErrorCode, Outcome};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::recall::Recalled;

/// Most ids that are remembered per stream; the oldest are forgotten first.
pub(super) const IDS_MAX: usize = 1_000_000;

/// An event with this id is stored already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

/// An id that has been put into a window.
#[derive(Debug)]
pub(super) struct Entered {
    stream: String,
    id: Arc<str>,
}

/// An id in a window. Only what is stored makes a later event a repetition: what is on its way may
/// still fail, and then nobody would have stored either.
#[derive(Debug)]
struct Place {
    entered: Instant,
    stored: bool,
}

#[derive(Debug, Default)]
struct Window {
    ids: HashMap<Arc<str>, Place>,
    order: VecDeque<(Instant, Arc<str>)>,
}

/// All windows.
#[derive(Debug, Default)]
pub(super) struct Windows {
    streams: Mutex<HashMap<String, Window>>,
    /// Whether a stream's window was filled from the log; absent before its first use.
    filled: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
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

    /// Puts ids of stored events, in any order, into the window of a stream that was not used yet.
    pub(super) fn fill(&self, stream: &str, mut found: Vec<Recalled>) {
        found.sort_by_key(|(entered, _)| *entered);
        let mut streams = self.streams.lock();
        let window = streams.entry(stream.to_owned()).or_default();
        for (entered, id) in found {
            let stored = true;
            window.ids.insert(id.clone(), Place { entered, stored });
            window.order.push_back((entered, id));
        }
    }

    /// Puts an id into the window of its stream, unless an event with it is stored.
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
            if window
                .ids
                .get(oldest)
                .is_some_and(|place| place.entered == *entered)
            {
                window.ids.remove(oldest);
            }
            window.order.pop_front();
        }
        match window.ids.get_key_value(id) {
            Some((_, place)) if place.stored => return Err(Repeated),
            Some((id, _)) => {
                return Ok(Entered {
                    stream: stream.to_owned(),
                    id: id.clone(),
                });
            }
            None => {}
        }
        let id: Arc<str> = id.into();
        window.ids.insert(
            id.clone(),
            Place {
                entered: now,
                stored: false,
            },
        );
        window.order.push_back((now, id.clone()));
        Ok(Entered {
            stream: stream.to_owned(),
            id,
        })
    }

    /// The events are stored: from now on their ids are recognised.
    pub(super) fn confirm(&self, entered: Vec<Entered>) {
        if entered.is_empty() {
            return;
        }
        let mut streams = self.streams.lock();
        for Entered { stream, id } in entered {
            if let Some(place) = streams
                .get_mut(&stream)
                .and_then(|window| window.ids.get_mut(&id))
            {
                place.stored = true;
            }
        }
    }

    /// The events failed: ids leave. Where the outcome is unknown they stay as not stored, so that the
    /// event is taken once more when it comes again.
    pub(super) fn leave(&self, entered: Vec<Entered>, code: ErrorCode) {
        if code.outcome() != Outcome::Nothing {
            return;
        }
        let mut streams = self.streams.lock();
        for Entered { stream, id } in entered {
            if let Some(window) = streams.get_mut(&stream) {
                // Another request may have stored the same event in the meantime.
                if window.ids.get(&id).is_some_and(|place| !place.stored) {
                    window.ids.remove(&id);
                }
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
            let entered = windows.enter_at(stream, span, id, start + Duration::from_secs(after))?;
            windows.confirm(vec![entered]);
            Ok(())
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
        let entered = windows.enter_at("a", span, "x", now).unwrap();
        windows.confirm(vec![entered]);
        assert!(windows.enter_at("a", span, "x", now).is_err());
    }

    #[test]
    fn an_event_on_its_way_does_not_stand_for_another() {
        let windows = Windows::default();
        let (now, span) = (Instant::now(), Duration::from_secs(10));
        let first = windows.enter_at("a", span, "x", now).unwrap();
        let second = windows.enter_at("a", span, "x", now).unwrap();
        windows.confirm(vec![second]);
        windows.leave(vec![first], ErrorCode::StorageUnavailable);
        assert_eq!(windows.enter_at("a", span, "x", now).map(|_| ()), Err(Repeated));
    }
}
