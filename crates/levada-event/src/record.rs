//! Records: what a log stores of an event.

use std::ops::Range;

use bytes::Bytes;

use crate::{Offset, Timestamp};

/// Byte position in a record's value where delivery inserts its own fields: just before the closing
/// brace of the object that receives them (`meta` of an event, `event` of an article). Knowing it
/// spares an unfiltered subscriber any parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice(u32);

impl Splice {
    /// The position is not known (a foreign Kafka producer, or an event that already carries the
    /// fields): the value has to be scanned.
    pub const UNKNOWN: Splice = Splice(u32::MAX);

    /// The position `at`; positions beyond `u32` count as unknown.
    pub fn at(at: usize) -> Self {
        u32::try_from(at).map_or(Self::UNKNOWN, Splice)
    }

    /// The position, if known.
    pub fn get(self) -> Option<usize> {
        (self.0 != u32::MAX).then_some(self.0 as usize)
    }

    /// The stored form; `u32::MAX` is unknown.
    pub fn to_raw(self) -> u32 {
        self.0
    }

    /// From the stored form.
    pub fn from_raw(raw: u32) -> Self {
        Splice(raw)
    }
}

/// Facts about a record that intake knows and delivery would otherwise have to parse for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// No fact.
    pub const NONE: Flags = Flags(0);
    /// The event is a canary (`meta.domain` is `canary`).
    pub const CANARY: Flags = Flags(1);
    /// Intake checked the value: valid UTF-8, one JSON object without duplicate keys or line
    /// breaks. Values without this flag come from foreign producers and are not trusted.
    pub const CHECKED: Flags = Flags(2);
    /// The value has none of the characters that
    /// [`escape_separators`](crate::splice::escape_separators) escapes: delivery need not look for them.
    pub const NO_SEPARATORS: Flags = Flags(4);

    /// Whether all facts of `other` hold.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of facts.
    #[must_use]
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The stored form.
    pub fn to_raw(self) -> u32 {
        self.0
    }

    /// From the stored form; unknown bits are kept.
    pub fn from_raw(raw: u32) -> Self {
        Flags(raw)
    }
}

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The message key; records with equal keys go to one partition and stay in order.
    pub key: Option<Bytes>,
    /// The event's JSON text.
    pub value: Bytes,
    /// The event's own time (`meta.dt`); not necessarily monotonic.
    pub timestamp: Timestamp,
    /// Where delivery inserts its fields.
    pub splice: Splice,
    /// What intake knows.
    pub flags: Flags,
}

/// A record as read, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its number in the partition.
    pub offset: Offset,
    /// The event's own time.
    pub timestamp: Timestamp,
    /// Where delivery inserts its fields.
    pub splice: Splice,
    /// What intake knew.
    pub flags: Flags,
    /// The message key.
    pub key: Option<&'a [u8]>,
    /// The event's JSON text.
    pub value: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: Offset,
    timestamp: Timestamp,
    splice: Splice,
    flags: Flags,
    buffer: u32,
    key_start: u32,
    key_len: u32,
    value_start: u32,
    value_len: u32,
}

const NO_KEY: u32 = u32::MAX;

/// Records of one partition in offset order, sharing a few large buffers.
#[derive(Debug, Clone)]
pub struct RecordBatch {
    buffers: Vec<Bytes>,
    entries: Vec<Entry>,
    next: Offset,
}

impl RecordBatch {
    /// A batch without records: nothing was there to read before `next`.
    pub fn empty(next: Offset) -> Self {
        Self {
            buffers: Vec::new(),
            entries: Vec::new(),
            next,
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no records. The [`next`](Self::next) offset may still have moved on.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The offset to read from next. Larger than the last record's offset, by how much is the
    /// log's business.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Bytes of all values.
    pub fn value_bytes(&self) -> usize {
        self.entries.iter().map(|e| e.value_len as usize).sum()
    }

    /// The record at `index`, in offset order.
    pub fn get(&self, index: usize) -> Option<RecordRef<'_>> {
        self.entries.get(index).map(|entry| self.view(entry))
    }

    /// All records in offset order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> + Clone {
        self.entries.iter().map(|entry| self.view(entry))
    }

    /// The value of the record at `index` as a shared slice of its buffer (no copy).
    pub fn value(&self, index: usize) -> Option<Bytes> {
        let entry = self.entries.get(index)?;
        let buffer = self.buffers.get(entry.buffer as usize)?;
        let start = entry.value_start as usize;
        Some(buffer.slice(start..start + entry.value_len as usize))
    }

    fn view(&self, entry: &Entry) -> RecordRef<'_> {
        let buffer = &self.buffers[entry.buffer as usize];
        let slice = |start: u32, len: u32| &buffer[start as usize..start as usize + len as usize];
        RecordRef {
            offset: entry.offset,
            timestamp: entry.timestamp,
            splice: entry.splice,
            flags: entry.flags,
            key: (entry.key_len != NO_KEY).then(|| slice(entry.key_start, entry.key_len)),
            value: slice(entry.value_start, entry.value_len),
        }
    }
}

/// Builds a [`RecordBatch`] from buffers and the places of records in them.
#[derive(Debug, Default)]
pub struct RecordBatchBuilder {
    buffers: Vec<Bytes>,
    entries: Vec<Entry>,
}

impl RecordBatchBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the buffer (shorter than 4 GiB) that the records pushed from now on lie in.
    pub fn buffer(&mut self, buffer: Bytes) {
        assert!(u32::try_from(buffer.len()).is_ok(), "buffers are far below 4 GiB");
        self.buffers.push(buffer);
    }

    /// Adds a record that lies in the current buffer.
    ///
    /// # Panics
    /// When a range is outside the buffer or offsets do not increase: both are faults of the log.
    pub fn push(
        &mut self,
        offset: Offset,
        timestamp: Timestamp,
        splice: Splice,
        flags: Flags,
        key: Option<Range<usize>>,
        value: Range<usize>,
    ) {
        let len = self.buffers.last().map_or(0, Bytes::len);
        assert!(
            value.start <= value.end && value.end <= len,
            "value lies in the buffer"
        );
        assert!(
            key.as_ref().is_none_or(|k| k.start <= k.end && k.end <= len),
            "key lies in the buffer"
        );
        assert!(
            self.entries.last().is_none_or(|e| e.offset < offset),
            "offsets increase"
        );
        self.entries.push(Entry {
            offset,
            timestamp,
            splice,
            flags,
            buffer: (self.buffers.len() - 1) as u32,
            key_start: key.as_ref().map_or(0, |k| k.start as u32),
            key_len: key.map_or(NO_KEY, |k| (k.end - k.start) as u32),
            value_start: value.start as u32,
            value_len: (value.end - value.start) as u32,
        });
    }

    /// Number of records so far.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no records yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The batch; `next` is the offset to read from afterwards.
    pub fn finish(self, next: Offset) -> RecordBatch {
        assert!(
            self.entries.last().is_none_or(|e| e.offset < next),
            "next lies behind the last record"
        );
        RecordBatch {
            buffers: self.buffers,
            entries: self.entries,
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let mut builder = RecordBatchBuilder::new();
        builder.buffer(Bytes::from_static(b"kv0v1"));
        builder.push(
            3,
            Timestamp::from_millis(7),
            Splice::at(1),
            Flags::CANARY,
            Some(0..1),
            1..3,
        );
        builder.push(
            5,
            Timestamp::from_millis(6),
            Splice::UNKNOWN,
            Flags::NONE,
            None,
            3..5,
        );
        let batch = builder.finish(9);
        assert_eq!(batch.next(), 9);
        let seen: Vec<_> = batch.iter().map(|r| (r.offset, r.key, r.value)).collect();
        assert_eq!(seen, [(3, Some(&b"k"[..]), &b"v0"[..]), (5, None, &b"v1"[..])]);
        assert_eq!(batch.value(1).as_deref(), Some(&b"v1"[..]));
        assert_eq!(batch.value_bytes(), 4);
    }

    #[test]
    #[should_panic(expected = "offsets increase")]
    fn offsets_must_increase() {
        let mut builder = RecordBatchBuilder::new();
        builder.buffer(Bytes::from_static(b"ab"));
        builder.push(
            1,
            Timestamp::from_millis(0),
            Splice::UNKNOWN,
            Flags::NONE,
            None,
            0..1,
        );
        builder.push(
            1,
            Timestamp::from_millis(0),
            Splice::UNKNOWN,
            Flags::NONE,
            None,
            1..2,
        );
    }
}
