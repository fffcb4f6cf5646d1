//! Records as they were fetched: a run of one partition in one buffer, from which reads are cut.

use std::ops::Range;

use bytes::Bytes;
use levada_event::{Flags, Offset, RecordBatchBuilder, Splice, Timestamp};
use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::header;

#[derive(Debug, Clone)]
struct Entry {
    offset: Offset,
    timestamp: Timestamp,
    splice: Splice,
    flags: Flags,
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// Some records, in offset order.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    buffer: Bytes,
    entries: Vec<Entry>,
    held: usize,
}

impl Chunk {
    /// Records with these offsets and values of `bytes` bytes.
    #[cfg(test)]
    pub(crate) fn of(offsets: &[Offset], bytes: usize) -> Self {
        let mut builder = ChunkBuilder::default();
        for offset in offsets {
            let value = builder.put(&vec![b'v'; bytes]);
            builder.entries.push(Entry {
                offset: *offset,
                timestamp: Timestamp::from_millis(0),
                splice: Splice::UNKNOWN,
                flags: Flags::NONE,
                key: None,
                value,
            });
        }
        builder.finish().expect("there are records")
    }

    /// Bytes of memory, also those that were set aside and not filled.
    pub(crate) fn bytes(&self) -> usize {
        self.held
    }

    /// The offset behind the last record. There is at least one.
    pub(crate) fn next(&self) -> Offset {
        self.entries.last().map_or(0, |entry| entry.offset + 1)
    }

    /// Adds records from `from` on to `cut`, as far as its limit allows. `true` when all of them went.
    pub(crate) fn cut(&self, from: Offset, cut: &mut Cut) -> bool {
        let first = self.entries.partition_point(|entry| entry.offset < from);
        let mut placed = false;
        for entry in &self.entries[first..] {
            if !cut.has_room(entry.value.len()) {
                return false;
            }
            if !placed {
                cut.builder.buffer(self.buffer.clone());
                placed = true;
            }
            cut.bytes += entry.value.len();
            cut.next = entry.offset + 1;
            cut.builder.push(
                entry.offset,
                entry.timestamp,
                entry.splice,
                entry.flags,
                entry.key.clone(),
                entry.value.clone(),
            );
        }
        true
    }
}

/// A read that is being put together.
pub(crate) struct Cut {
    builder: RecordBatchBuilder,
    limit: usize,
    bytes: usize,
    next: Offset,
}

impl Cut {
    /// From `from` on, at most `limit` bytes of values, but at least one record.
    pub(crate) fn new(from: Offset, limit: usize) -> Self {
        Self {
            builder: RecordBatchBuilder::new(),
            limit,
            bytes: 0,
            next: from,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.builder.is_empty() || self.bytes.saturating_add(bytes) <= self.limit
    }

    /// The batch, unless there are no records.
    pub(crate) fn finish(self) -> Option<levada_event::RecordBatch> {
        (!self.builder.is_empty()).then(|| self.builder.finish(self.next))
    }
}

/// Gathers messages.
#[derive(Debug, Default)]
pub(crate) struct ChunkBuilder {
    buffer: Vec<u8>,
    entries: Vec<Entry>,
}

impl ChunkBuilder {
    /// Adds a message unless it lies before `from`: a fetch gives whole batches, and librdkafka drops
    /// what was not asked for, but nothing here depends on it.
    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>, from: Offset) {
        let Ok(offset) = Offset::try_from(message.offset()) else {
            return;
        };
        if offset < from || self.entries.last().is_some_and(|last| last.offset >= offset) {
            return;
        }
        let value = message.payload().unwrap_or_default();
        let ours = message.headers().and_then(|headers| {
            let mut ours = None;
            for header in headers.iter() {
                if header.key == header::NAME {
                    ours = header.value;
                }
            }
            ours
        });
        let facts = header::read(ours, value);
        let time = facts.time.unwrap_or_else(|| {
            // Records of the oldest format have none.
            Timestamp::from_millis(message.timestamp().to_millis().unwrap_or(0))
        });
        let key = message.key().map(|key| self.put(key));
        let value = self.put(value);
        self.entries.push(Entry {
            offset,
            timestamp: time,
            splice: facts.splice,
            flags: facts.flags,
            key,
            value,
        });
    }

    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        start..self.buffer.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The chunk, unless nothing was added.
    pub(crate) fn finish(self) -> Option<Chunk> {
        (!self.entries.is_empty()).then(|| Chunk {
            held: self.buffer.capacity() + self.entries.capacity() * size_of::<Entry>(),
            buffer: Bytes::from(self.buffer),
            entries: self.entries,
        })
    }
}
