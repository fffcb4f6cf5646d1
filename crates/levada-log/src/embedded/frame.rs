//! Records in the body of a block: a header of 24 bytes, the key, the value.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the key; `0xffffffff` when there is none |
//! | 4 | length of the value |
//! | 8 | timestamp, milliseconds since 1970, signed |
//! | 4 | splice position, `0xffffffff` when unknown |
//! | 4 | flags |

use std::ops::Range;

use levada_event::{Flags, Record, Splice, Timestamp};

use super::block::{u32_at, u64_at};

/// Bytes of a record's header.
pub(super) const HEADER_BYTES: usize = 24;

const NO_KEY: u32 = u32::MAX;

/// Where a record lies in a buffer, and what its header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) timestamp: Timestamp,
    pub(super) splice: Splice,
    pub(super) flags: Flags,
    pub(super) key: Option<Range<usize>>,
    pub(super) value: Range<usize>,
}

impl Frame {
    /// Bytes of key and value.
    pub(super) fn size(&self) -> usize {
        self.key.as_ref().map_or(0, ExactSizeIterator::len) + self.value.len()
    }
}

/// Bytes of a record's key and value, which is what limits count.
pub(super) fn size(record: &Record) -> usize {
    record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.len()
}

/// Appends a record, whose key and value are each far below 4 GiB, to a body.
pub(super) fn write(record: &Record, body: &mut Vec<u8>) {
    let key = record.key.as_deref();
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&key.map_or(NO_KEY, |key| key.len() as u32).to_le_bytes());
    header[4..8].copy_from_slice(&(record.value.len() as u32).to_le_bytes());
    header[8..16].copy_from_slice(&record.timestamp.as_millis().to_le_bytes());
    header[16..20].copy_from_slice(&record.splice.to_raw().to_le_bytes());
    header[20..24].copy_from_slice(&record.flags.to_raw().to_le_bytes());
    body.reserve(HEADER_BYTES + size(record));
    body.extend_from_slice(&header);
    body.extend_from_slice(key.unwrap_or_default());
    body.extend_from_slice(&record.value);
}

/// The record at `at` in the part of `buffer` that ends at `end`; `None` where none fits.
pub(super) fn read(buffer: &[u8], at: usize, end: usize) -> Option<Frame> {
    let header = buffer
        .get(at..at + HEADER_BYTES)
        .filter(|_| at + HEADER_BYTES <= end)?;
    let key_len = u32_at(header, 0);
    let key_start = at + HEADER_BYTES;
    let value_start = key_start + if key_len == NO_KEY { 0 } else { key_len as usize };
    let value_end = value_start + u32_at(header, 4) as usize;
    (value_end <= end).then(|| Frame {
        timestamp: Timestamp::from_millis(u64_at(header, 8) as i64),
        splice: Splice::from_raw(u32_at(header, 16)),
        flags: Flags::from_raw(u32_at(header, 20)),
        key: (key_len != NO_KEY).then_some(key_start..value_start),
        value: value_start..value_end,
    })
}

/// The records of a body that lies at `body` in `buffer`. Ends with `None` after the last one, or
/// with `Some(None)` where the bytes are no record, which a checked block cannot have.
pub(super) struct Frames<'a> {
    buffer: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Frames<'a> {
    pub(super) fn new(buffer: &'a [u8], body: Range<usize>) -> Self {
        Self {
            buffer,
            at: body.start,
            end: body.end.min(buffer.len()),
        }
    }
}

impl Iterator for Frames<'_> {
    type Item = Option<Frame>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let frame = read(self.buffer, self.at, self.end);
        self.at = frame.as_ref().map_or(self.end, |frame| frame.value.end);
        Some(frame)
    }
}
