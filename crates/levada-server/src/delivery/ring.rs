//! Chunks of ready frames, and the ring that keeps the newest of them for the subscribers of a channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_event::{Offset, Timestamp};
use tokio::time::Instant;

/// How far a reader has come in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Everything below this offset is done with: sent, filtered or no event.
    pub(crate) next: Offset,
    /// The timestamp of the last record sent, for the part of the id that other servers read.
    pub(crate) sent: Option<Timestamp>,
}

/// How far a reader has come, partition by partition in the order of the subscription. Shared by all
/// who are at the same place.
pub(crate) type Marks = Arc<[Mark]>;

/// Whole frames to write in one go.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// Where a reader is after these bytes; `None` when they end inside a frame.
    pub(crate) after: Option<Marks>,
    /// Number of events whose last byte is in it.
    pub(crate) events: u32,
    /// Blanks of an idle NDJSON response: a line has begun that only an event can end.
    pub(crate) blank: bool,
}

/// What the ring has for a reader.
#[derive(Debug)]
pub(crate) enum Found {
    /// The chunk with the number asked for.
    Chunk(Chunk),
    /// Nothing newer.
    Nothing,
    /// The chunk is gone; the reader was too slow.
    Overrun,
}

/// The newest chunks of a channel, numbered from 0 without holes.
#[derive(Debug)]
pub(crate) struct Ring {
    chunks: VecDeque<(Instant, Chunk)>,
    /// Number of the oldest chunk kept.
    first: u64,
    bytes: usize,
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            first: 0,
            bytes: 0,
        }
    }

    /// Number that the next chunk gets.
    pub(crate) fn head(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }

    /// Bytes of the chunks that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the newest chunk and lets the oldest go where they are more than `bytes_max`; the newest
    /// stays, so that those who are there can take it.
    pub(crate) fn push(&mut self, now: Instant, chunk: Chunk, bytes_max: usize) {
        self.bytes += chunk.bytes.len();
        self.chunks.push_back((now, chunk));
        while self.bytes > bytes_max && self.chunks.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Lets go what is older than `age`.
    pub(crate) fn trim(&mut self, now: Instant, age: Duration) {
        while let Some((at, _)) = self.chunks.front()
            && now.saturating_duration_since(*at) > age
        {
            self.drop_oldest();
        }
    }

    /// Lets all chunks go.
    pub(crate) fn clear(&mut self) {
        while !self.chunks.is_empty() {
            self.drop_oldest();
        }
    }

    pub(crate) fn get(&self, number: u64) -> Found {
        if number < self.first {
            return Found::Overrun;
        }
        match self.chunks.get((number - self.first) as usize) {
            Some((_, chunk)) => Found::Chunk(chunk.clone()),
            None => Found::Nothing,
        }
    }

    /// Whether a reader that has everything before chunk `number` can go on from here.
    pub(crate) fn reaches_back_to(&self, number: u64) -> bool {
        number >= self.first
    }

    fn drop_oldest(&mut self) {
        if let Some((_, gone)) = self.chunks.pop_front() {
            self.bytes -= gone.bytes.len();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(len: usize) -> Chunk {
        Chunk {
            bytes: vec![b'x'; len].into(),
            after: None,
            events: 1,
            blank: false,
        }
    }

    #[tokio::test]
    async fn the_ring_keeps_the_newest_within_its_bound() {
        let now = Instant::now();
        let mut ring = Ring::new();
        for _ in 0..4 {
            ring.push(now, chunk(4), 10);
        }
        assert_eq!(ring.head(), 4);
        assert!(matches!(ring.get(1), Found::Overrun));
        assert!(matches!(ring.get(2), Found::Chunk(_)));
        assert!(matches!(ring.get(4), Found::Nothing));
        assert!(ring.reaches_back_to(4) && ring.reaches_back_to(2) && !ring.reaches_back_to(1));
        ring.push(now, chunk(100), 10);
        assert!(
            matches!(ring.get(4), Found::Chunk(_)),
            "the newest stays, however large"
        );
        assert!(matches!(ring.get(3), Found::Overrun));
        assert_eq!(ring.bytes(), 100);
        ring.clear();
        assert!(matches!(ring.get(4), Found::Overrun) && matches!(ring.get(5), Found::Nothing));
        assert_eq!((ring.bytes(), ring.head(), ring.reaches_back_to(5)), (0, 5, true));
    }

    #[tokio::test]
    async fn old_chunks_are_let_go() {
        let start = Instant::now();
        let mut ring = Ring::new();
        ring.push(start, chunk(1), 1000);
        ring.push(start + Duration::from_secs(5), chunk(1), 1000);
        ring.trim(start + Duration::from_secs(11), Duration::from_secs(10));
        assert!(matches!(ring.get(0), Found::Overrun));
        assert!(matches!(ring.get(1), Found::Chunk(_)));
        assert_eq!(ring.head(), 2);
    }
}
