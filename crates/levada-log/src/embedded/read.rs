//! Reading: recent records from memory on the spot, older ones from files on a thread of their own,
//! and waiting at the end.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use levada_event::{Offset, Position, RecordBatch, TopicPartition};

use super::block::{HEADER_BYTES, Header};
use super::collect::{Collector, More};
use super::disk::File;
use super::engine::Engine;
use super::index;
use super::partition::{Partition, Spot};
use crate::{LogError, OnRead, ReadLimit};

/// Bytes that one read takes from a file, at most, unless one block is larger.
const CHUNK_BYTES_MAX: u64 = 1 << 20;
/// Bytes that one read takes from a file, at least: less does not pay for the system call.
const CHUNK_BYTES_MIN: u64 = 64 << 10;

/// How often a read starts again because the segment it was in was removed or rewritten meanwhile.
const ATTEMPTS: usize = 8;

/// What can be said about an offset without touching a file.
enum Look {
    Batch(RecordBatch),
    InFile,
    End,
}

/// See [`Log::read`](crate::Log::read) and [`Log::read_and_look`](crate::Log::read_and_look).
pub(super) async fn read(
    engine: &Arc<Engine>,
    from: &Position,
    limit: ReadLimit,
    on_read: Option<OnRead>,
) -> Result<RecordBatch, LogError> {
    let partition = engine.partition(&from.of)?;
    let mut look = look(&partition, from.offset, limit.bytes)?;
    if matches!(look, Look::End) && !limit.wait.is_zero() {
        let mut next = partition.next.subscribe();
        let arrived = next.wait_for(|next| *next > from.offset);
        // Whether the time is up or records arrived, what is there now is the answer.
        let _ = tokio::time::timeout(limit.wait, arrived).await;
        look = self::look(&partition, from.offset, limit.bytes)?;
    }
    let looked_at = move |batch: RecordBatch| {
        if let Some(on_read) = on_read {
            on_read(&batch);
        }
        batch
    };
    match look {
        Look::Batch(batch) => Ok(looked_at(batch)),
        Look::End => Ok(looked_at(RecordBatch::empty(from.offset))),
        Look::InFile => {
            let (offset, bytes) = (from.offset, limit.bytes);
            let read = move |engine: &Engine| read_file(engine, &partition, offset, bytes).map(looked_at);
            blocking(engine, read).await
        }
    }
}

/// Runs `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    engine: &Arc<Engine>,
    work: impl FnOnce(&Engine) -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let turn = engine.readers.clone().acquire_owned().await;
    let engine = engine.clone();
    let done = tokio::task::spawn_blocking(move || {
        let answer = work(&engine);
        drop(turn);
        answer
    });
    match done.await {
        Ok(answer) => answer,
        Err(error) => Err(LogError::Unavailable(format!("a read did not end: {error}"))),
    }
}

fn look(partition: &Partition, offset: Offset, limit: usize) -> Result<Look, LogError> {
    let mut found = Vec::new();
    {
        let view = partition.view.read();
        let bounds = view.bounds();
        if offset < bounds.earliest || offset > bounds.next {
            return Err(LogError::OutOfRange(bounds));
        }
        if offset == bounds.next {
            return Ok(Look::End);
        }
        let Some(blocks) = view.hot.from(offset) else {
            return Ok(Look::InFile);
        };
        // Only references are taken under the lock.
        let mut bytes = 0;
        for block in blocks {
            found.push(block.clone());
            bytes += block.header.raw_len as usize;
            if bytes > limit {
                break;
            }
        }
    }
    let mut collector = Collector::new(offset, limit);
    for block in found {
        match collector.block(&block.header, &block.block, 0) {
            Ok(More::Yes) => {}
            Ok(More::No) => break,
            Err(reason) => {
                return Err(LogError::Corrupt {
                    at: partition.of.at(collector.next()),
                    reason: reason.into(),
                });
            }
        }
    }
    Ok(Look::Batch(collector.finish()))
}

/// Reads from the segment that holds `offset`. Blocks on files.
fn read_file(
    engine: &Engine,
    partition: &Partition,
    offset: Offset,
    limit: usize,
) -> Result<RecordBatch, LogError> {
    in_segment(partition, offset, |spot| {
        read_segment(engine, partition, spot, offset, limit)
    })
}

/// Runs `work` on the segment that holds `offset`, and again when it failed because the segment was
/// removed or rewritten meanwhile.
fn in_segment<T>(
    partition: &Partition,
    offset: Offset,
    work: impl Fn(&Spot) -> Result<T, LogError>,
) -> Result<T, LogError> {
    for _ in 0..ATTEMPTS {
        let spot = partition.locate(offset)?;
        match work(&spot) {
            Err(_) if !partition.has(&spot.segment) => {}
            other => return other,
        }
    }
    Err(LogError::Unavailable("the segment keeps changing".into()))
}

fn read_segment(
    engine: &Engine,
    partition: &Partition,
    spot: &Spot,
    offset: Offset,
    limit: usize,
) -> Result<RecordBatch, LogError> {
    let want = (limit as u64).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
    let segment = &spot.segment;
    let found = segment.with_index(&*engine.disk, &engine.open_segments, spot.end, |entries| {
        let start = index::floor(entries, offset)?;
        let stop = index::stop(entries, start.position, want, segment.len());
        Some((start, stop))
    });
    let Some((start, stop)) = found.map_err(|error| unreadable(&partition.of, offset, &error))? else {
        return Err(missing(&partition.of, offset));
    };
    let chunk = Chunk::read(engine, partition, spot, start.position, stop, start.offset)?;
    let mut collector = Collector::new(offset, limit);
    let mut fault = None;
    for found in chunk.blocks(offset) {
        let taken = found.and_then(|(header, at)| {
            collector
                .block(&header, &chunk.bytes, at)
                .map_err(|reason| (header.base, reason))
        });
        match taken {
            Ok(More::Yes) => {}
            Ok(More::No) => break,
            Err(damage) => {
                fault = Some(damage);
                break;
            }
        }
    }
    match fault {
        // What is sound before the damage is returned first.
        _ if !collector.is_empty() => Ok(collector.finish()),
        Some((at, reason)) => Err(LogError::Corrupt {
            at: partition.of.at(at.max(offset)),
            reason: reason.into(),
        }),
        None => Err(missing(&partition.of, offset)),
    }
}

/// A run of blocks read from a segment.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    place: u32,
    first: Offset,
}

impl Chunk {
    /// Reads the bytes from `start`, where the block with the offset `first` begins, to `stop`.
    pub(super) fn read(
        engine: &Engine,
        partition: &Partition,
        spot: &Spot,
        start: u64,
        stop: u64,
        first: Offset,
    ) -> Result<Self, LogError> {
        let mut bytes = engine.buffers.take((stop - start) as usize);
        let file = spot.segment.file(&*engine.disk, &engine.open_segments);
        let read = file.and_then(|file| match file.read_at(start, &mut bytes) {
            Err(error) if is_damage(&error) => before_damage(&*file, start, &mut bytes, error),
            read => read,
        });
        bytes.truncate(read.map_err(|error| unreadable(&partition.of, first, &error))?);
        Ok(Self {
            bytes: engine.buffers.share(bytes),
            place: partition.place,
            first,
        })
    }

    /// The blocks of the chunk that end behind `from`, checked, with their places; ends after the
    /// first that is damaged, which comes as the offset it should have and what is wrong.
    pub(super) fn blocks(
        &self,
        from: Offset,
    ) -> impl Iterator<Item = Result<(Header, usize), (Offset, &'static str)>> {
        let (mut at, mut expected, mut over) = (0, self.first, false);
        std::iter::from_fn(move || {
            while !over && at < self.bytes.len() {
                let start = at;
                match self.block(start, expected, from) {
                    Ok(header) => {
                        at = start + header.block_len() as usize;
                        expected = header.end();
                        if expected > from {
                            return Some(Ok((header, start)));
                        }
                    }
                    Err(reason) => {
                        over = true;
                        return Some(Err((expected, reason)));
                    }
                }
            }
            None
        })
    }

    fn block(&self, at: usize, expected: Offset, from: Offset) -> Result<Header, &'static str> {
        let bytes = &self.bytes[at..];
        let header = Header::read(bytes, self.place)?;
        if header.base != expected {
            return Err("records are missing before this block");
        }
        let end = header.block_len() as usize;
        let body = bytes
            .get(HEADER_BYTES..end)
            .ok_or("the file ends within a block")?;
        // Blocks before the offset asked for are passed over unread.
        if header.end() > from {
            header.fits(body)?;
        }
        Ok(header)
    }
}

/// Bytes that a disk reads or fails to read as one.
const SECTOR_BYTES: usize = 4096;

/// Whether the disk has lost what was to be read. Other failures may pass.
fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// Reads what lies before a sector that cannot be read; `error` where that is nothing.
fn before_damage(file: &dyn File, start: u64, bytes: &mut [u8], error: io::Error) -> io::Result<usize> {
    let mut sound = 0;
    while sound < bytes.len() {
        let at = start + sound as u64;
        let left = SECTOR_BYTES - at as usize % SECTOR_BYTES;
        let end = (sound + left).min(bytes.len());
        match file.read_at(at, &mut bytes[sound..end]) {
            Ok(read) if read == end - sound => sound = end,
            Ok(read) => return Ok(sound + read),
            Err(_) => break,
        }
    }
    if sound == 0 { Err(error) } else { Ok(sound) }
}

/// What a failed read at `offset` is to readers.
pub(super) fn unreadable(of: &TopicPartition, offset: Offset, error: &io::Error) -> LogError {
    let reason = format!("reading {of} failed: {error}");
    match is_damage(error) {
        true => LogError::Corrupt {
            at: of.at(offset),
            reason,
        },
        false => LogError::Unavailable(reason),
    }
}

pub(super) fn missing(of: &TopicPartition, offset: Offset) -> LogError {
    LogError::Corrupt {
        at: of.at(offset),
        reason: "records are missing between two segments".into(),
    }
}
