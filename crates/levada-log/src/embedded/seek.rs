//! Finding a record by time.
//!
//! Timestamps are not monotonic, so the answer is the first record in the order of offsets. What is
//! monotonic is the largest timestamp so far: it passes over whole segments by their ends, over
//! stretches of a segment by its index and over blocks by their headers.

use levada_event::{Offset, Timestamp};

use super::block::{Codec, HEADER_BYTES, Header};
use super::engine::Engine;
use super::frame::Frames;
use super::index;
use super::partition::{Partition, Spot};
use super::read::{Chunk, unreadable};
use crate::LogError;

/// Bytes read at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// See [`Log::offset_at`](crate::Log::offset_at). Blocks on files.
pub(super) fn offset_at(
    engine: &Engine,
    partition: &Partition,
    at: Timestamp,
) -> Result<Option<Offset>, LogError> {
    // Retention and rewriting may take a segment away under the search: then it begins again.
    const ATTEMPTS: usize = 8;
    'again: for _ in 0..ATTEMPTS {
        for spot in partition.spots() {
            match in_segment(engine, partition, &spot, at) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(_) if !partition.has(&spot.segment) => continue 'again,
                Err(error) => return Err(error),
            }
        }
        return Ok(None);
    }
    Err(LogError::Unavailable("the segments keep changing".into()))
}

fn in_segment(
    engine: &Engine,
    partition: &Partition,
    spot: &Spot,
    at: Timestamp,
) -> Result<Option<Offset>, LogError> {
    let (disk, open) = (&*engine.disk, &engine.open_segments);
    let segment = &spot.segment;
    if segment.is_sealed() {
        let end = segment.end(disk, open, spot.end);
        if end
            .map_err(|error| unreadable(&partition.of, spot.segment.base, &error))?
            .max
            < at
        {
            return Ok(None);
        }
    }
    let len = segment.len();
    let mut from = segment
        .with_index(disk, open, spot.end, |entries| index::before_time(entries, at))
        .map_err(|error| unreadable(&partition.of, spot.segment.base, &error))?;
    while let Some(start) = from.filter(|entry| entry.position < len) {
        let (stop, next) = segment
            .with_index(disk, open, spot.end, |entries| {
                let stop = index::stop(entries, start.position, CHUNK_BYTES, len);
                (stop, entries.iter().find(|entry| entry.position == stop).copied())
            })
            .map_err(|error| unreadable(&partition.of, spot.segment.base, &error))?;
        let chunk = Chunk::read(engine, partition, spot, start.position, stop, start.offset)?;
        for found in chunk.blocks(start.offset) {
            let corrupt = |(offset, reason): (Offset, &str)| LogError::Corrupt {
                at: partition.of.at(offset),
                reason: reason.into(),
            };
            let (header, block) = found.map_err(corrupt)?;
            // The block's records are readable already when their end is.
            if header.base >= spot.end || header.max < at {
                continue;
            }
            let found = in_block(&header, &chunk.bytes, block, at);
            if let Some(offset) = found.map_err(|reason| corrupt((header.base, reason)))? {
                return Ok(Some(offset));
            }
        }
        from = next;
    }
    Ok(None)
}

fn in_block(
    header: &Header,
    chunk: &[u8],
    block: usize,
    at: Timestamp,
) -> Result<Option<Offset>, &'static str> {
    let body = block + HEADER_BYTES..block + HEADER_BYTES + header.body_len as usize;
    let find = |buffer: &[u8], body| {
        let found = Frames::new(buffer, body)
            .flatten()
            .position(|frame| frame.timestamp >= at);
        Ok(found.map(|index| header.base + index as u64))
    };
    match header.codec {
        Codec::Plain => find(chunk, body),
        Codec::Zstd => {
            let raw = header.unpack(&chunk[body])?;
            find(&raw, 0..raw.len())
        }
    }
}
