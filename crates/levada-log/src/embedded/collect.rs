//! Turning blocks into a batch, without copying what is not packed.

use bytes::Bytes;
use levada_event::{Offset, RecordBatch, RecordBatchBuilder};

use super::block::{Codec, HEADER_BYTES, Header};
use super::frame::{self, Frames};

/// Gathers the records from an offset on, up to a number of bytes.
pub(super) struct Collector {
    builder: RecordBatchBuilder,
    /// The next offset to take; records below are passed over.
    next: Offset,
    limit: usize,
    bytes: usize,
    /// Which buffer the builder is at, by its address.
    buffer: Option<*const u8>,
}

/// Whether a collector takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    /// The limit is reached.
    No,
}

impl Collector {
    pub(super) fn new(from: Offset, limit: usize) -> Self {
        Self {
            builder: RecordBatchBuilder::new(),
            next: from,
            limit,
            bytes: 0,
            buffer: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    /// The offset behind the last record taken.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// Takes the records of the block at `at` in `buffer`, whose bytes were checked. A block that
    /// would pass the limit is left for the next read, whole, unless there is nothing yet: so reads
    /// in a row begin where blocks begin.
    ///
    /// # Errors
    /// What is wrong with a block whose checksum was right; nothing of it has been taken then.
    pub(super) fn block(&mut self, header: &Header, buffer: &Bytes, at: usize) -> Result<More, &'static str> {
        let net = (header.raw_len as usize).saturating_sub(frame::HEADER_BYTES * header.count as usize);
        if !self.is_empty() && self.bytes + net > self.limit {
            return Ok(More::No);
        }
        let body = at + HEADER_BYTES..at + HEADER_BYTES + header.body_len as usize;
        match header.codec {
            Codec::Plain => self.records(header, buffer, body),
            Codec::Zstd => {
                let raw = Bytes::from(header.unpack(&buffer[body])?);
                let all = 0..raw.len();
                self.records(header, &raw, all)
            }
        }
    }

    fn records(
        &mut self,
        header: &Header,
        buffer: &Bytes,
        body: std::ops::Range<usize>,
    ) -> Result<More, &'static str> {
        if self.buffer != Some(buffer.as_ptr()) {
            self.buffer = Some(buffer.as_ptr());
            self.builder.buffer(buffer.clone());
        }
        let mut offset = header.base;
        for found in Frames::new(buffer, body) {
            let Some(found) = found.filter(|_| offset < header.end()) else {
                return Err("a record of the block does not fit into it");
            };
            if offset >= self.next {
                self.bytes += found.size();
                if !self.is_empty() && self.bytes > self.limit {
                    return Ok(More::No);
                }
                self.next = offset + 1;
                self.builder.push(
                    offset,
                    found.timestamp,
                    found.splice,
                    found.flags,
                    found.key,
                    found.value,
                );
            }
            offset += 1;
        }
        if offset != header.end() {
            return Err("the block holds fewer records than it says");
        }
        Ok(if self.bytes < self.limit {
            More::Yes
        } else {
            More::No
        })
    }

    pub(super) fn finish(self) -> RecordBatch {
        self.builder.finish(self.next)
    }
}
