//! The id that every frame carries: where the reader is after it, in the form of the API that is read.

use levada_event::{Offset, Timestamp};
use levada_wire::cursor::{CompactCursor, CursorText, First};

use super::request::Api;

/// JSON as EventStreams has it, which other servers read, or the compact form of the Realtime API.
#[derive(Debug)]
pub(crate) enum Id {
    Json(CursorText),
    Compact(CompactCursor),
}

impl Id {
    pub(crate) fn new(api: Api, log_id: &str) -> Self {
        match api {
            Api::EventStreams => Self::Json(CursorText::new(log_id)),
            Api::Realtime => Self::Compact(CompactCursor::new(log_id)),
        }
    }

    /// Adds a partition and returns its number.
    pub(crate) fn push(&mut self, topic: &str, partition: u32, first: First, next: Offset) -> usize {
        match self {
            Self::Json(id) => id.push(topic, partition, first, next),
            Self::Compact(id) => id.push(topic, partition, next),
        }
    }

    pub(crate) fn sent(&mut self, index: usize, timestamp: Timestamp, next: Offset) {
        match self {
            Self::Json(id) => id.sent(index, timestamp, next),
            Self::Compact(id) => id.sent(index, timestamp, next),
        }
    }

    pub(crate) fn passed(&mut self, index: usize, next: Offset) {
        match self {
            Self::Json(id) => id.passed(index, next),
            Self::Compact(id) => id.passed(index, next),
        }
    }

    pub(crate) fn as_bytes(&mut self) -> &[u8] {
        match self {
            Self::Json(id) => id.as_bytes(),
            Self::Compact(id) => id.as_bytes(),
        }
    }

    /// About how many bytes it has.
    pub(crate) fn text_len(&self) -> usize {
        match self {
            Self::Json(id) => id.as_bytes().len(),
            Self::Compact(id) => id.text_len(),
        }
    }
}
