//! The embedded engine: a segment log in a directory of this machine.
//!
//! It trusts the file system for what a sync reported as done, and nothing else; it promises that what
//! it acknowledged is read back byte for byte, or reported as damaged, and never anything else.
//!
//! # The format, version 1
//!
//! All numbers are little-endian. Checksums are crc32c.
//!
//! ```text
//! FORMAT_VERSION  LOG_ID  LOCK          see `root`
//! topics/<topic>/topic                  partitions and retention, with a checksum
//! topics/<topic>/<partition>/<base>.seg a segment: blocks, one after the other, nothing else
//! topics/<topic>/<partition>/<base>.idx its sidecar: a cache
//! ```
//!
//! `<base>` is the offset of the segment's first record in 20 digits. The last segment is written to;
//! the others are sealed and complete. The next offset survives in the name of an empty last segment.
//!
//! A **block** is a header of 72 bytes and a body:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `LVB` and the version of the block format, 1 |
//! | 4 | 4 | checksum of the header: bytes 0–3 and 8–71 |
//! | 8 | 4 | checksum of the body as stored |
//! | 12 | 4 | place: checksum of `<log id>/<topic>/<partition>` |
//! | 16 | 8 | offset of the first record |
//! | 24 | 8 | every record below this offset was durable when the block was written |
//! | 32 | 4 | number of records, at least 1; offsets are dense |
//! | 36 | 4 | bytes of the body as stored |
//! | 40 | 4 | bytes of the body unpacked |
//! | 44 | 1 | codec: 0 as it is, 1 one zstd frame |
//! | 45 | 1 | flags: 1 the last append goes on in the next block, 2 rewritten after sealing |
//! | 46 | 2 | zero |
//! | 48 | 8 | smallest timestamp of the records, milliseconds since 1970, signed |
//! | 56 | 8 | largest timestamp |
//! | 64 | 8 | time of appending |
//!
//! A body is a run of **records**: a header of 24 bytes (length of the key or `0xffffffff`, length of
//! the value, timestamp, splice position, flags: 4, 4, 8, 4 and 4 bytes), the key, the value.
//!
//! A **sidecar** begins with `LVX`, 1 and the place; each entry has 40 bytes: offset, position, largest
//! timestamp before it, time of appending before it (8 bytes each), a checksum over place, base and
//! these, and 4 zero bytes. It names places that are durable: block starts about every 64 KiB, and the
//! end of the segment when that was sealed or the log closed.
//!
//! # What is promised when things go wrong
//!
//! - *The process is killed.* Acknowledged records are there. An append that was not acknowledged is
//!   there whole or not at all.
//! - *The power fails.* The same with [`Durability::Fsync`]. With [`Durability::Os`] the youngest records
//!   may be gone, up to what the keeper synced last, and their offsets are given out again.
//! - *A write fails* (a full disk): it is undone, the append answers `Unavailable`, the next one may
//!   succeed.
//! - *A sync fails*: the appends concerned answer `Indeterminate`, the partition takes no more appends
//!   until a restart (`Poisoned`). What was readable stays so; other partitions go on.
//! - *A torn tail* at the end of the last segment is cut off at the start and logged. *Damage* anywhere
//!   else is never cut off: reading it answers `Corrupt`, and if it is in the part of a last segment
//!   that the start scans, the partition opens read-only (`Poisoned`) while the others work.
//!   `levada log check` finds all of it, `export` reads around it.

mod block;
mod collect;
mod committer;
pub mod disk;
mod engine;
mod frame;
mod hot;
mod index;
mod keeper;
pub mod offline;
mod partition;
mod pending;
mod read;
mod recover;
mod refusal;
mod retain;
mod rewrite;
mod root;
mod scan;
mod seek;
mod segment;
mod stats;
mod topic;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use levada_event::{Bounds, Offset, Position, Record, RecordBatch, Timestamp, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::root::OpenError;
pub use self::stats::{PartitionStats, SYNC_BUCKETS_MICROS, Stats, SyncStats};

use self::disk::{Disk, OsDisk};
use self::engine::{Declared, Engine};
use crate::clock::Clock;
use crate::{Durability, Log, LogError, LogFacts, OnRead, ReadLimit, TopicInfo, TopicSpec};

/// How to open an [`Embedded`] log. Start from [`new`](Self::new) and change what should differ.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// The data directory; made when it is missing.
    pub path: PathBuf,
    /// What `Ok` of an append means; `None` counts as [`Durability::Os`].
    pub durability: Durability,
    /// A segment is sealed before it grows beyond this many bytes. Retention removes whole segments.
    pub segment_bytes: u64,
    /// Whether sealed segments are packed in the background.
    pub compress: bool,
    /// Bytes of recent blocks kept in memory over all partitions, for readers that follow the end.
    pub hot_bytes: usize,
    /// Threads that write and sync; that many partitions are synced side by side. With 0 nothing is
    /// written but by [`Embedded::commit_now`].
    pub committers: usize,
    /// How often the keeper looks for work; `None` leaves it to [`Embedded::maintain`].
    pub maintain_every: Option<Duration>,
    /// Where the time of appending comes from.
    pub clock: Clock,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The id of a log that is made, in place of a drawn one.
    pub(crate) id: Option<String>,
}

impl EmbeddedOptions {
    /// A log at `path`: fsync, segments of 128 MiB, no packing, 64 MiB of recent blocks, 16 committer
    /// threads, the keeper every ten seconds.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Fsync,
            segment_bytes: 128 << 20,
            compress: false,
            hot_bytes: 64 << 20,
            committers: 16,
            maintain_every: Some(Duration::from_secs(10)),
            clock: Clock::system(),
            disk: Arc::new(OsDisk),
            id: None,
        }
    }
}

/// A log in a directory of this machine.
///
/// Dropping it ends it in good order, but blocks for the last sync; [`close`](Self::close) does so
/// without blocking a task.
pub struct Embedded {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Says that topics were created.
    made: watch::Sender<()>,
}

impl Embedded {
    /// Opens the log, or makes it. Blocks on files; damage of single partitions is no error but is
    /// logged and reported by [`stats`](Self::stats).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: EmbeddedOptions) -> Result<Arc<Self>, OpenError> {
        let (committers, every) = (options.committers, options.maintain_every);
        let log = Self {
            engine: Engine::open(options)?,
            threads: Mutex::default(),
            made: watch::Sender::new(()),
        };
        for number in 0..committers {
            let name = format!("levada-commit-{number}");
            log.spawn(name, committer::run).map_err(OpenError::Threads)?;
        }
        if let Some(every) = every {
            log.spawn("levada-keeper".into(), move |engine| keeper::run(engine, every))
                .map_err(OpenError::Threads)?;
        }
        Ok(Arc::new(log))
    }

    fn spawn(&self, name: String, life: impl FnOnce(&Engine) + Send + 'static) -> std::io::Result<()> {
        let engine = self.engine.clone();
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || life(&engine))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Ends the log in good order: takes no more appends, writes and syncs what waits, and gives the
    /// data directory free. Reads go on working until the last reference is dropped.
    pub async fn close(self: &Arc<Self>) {
        let log = self.clone();
        // The only failure is a panic in there, which the threads' own handling has reported.
        let _ = tokio::task::spawn_blocking(move || log.close_blocking()).await;
    }

    /// [`close`](Self::close) for callers that may block.
    pub fn close_blocking(&self) {
        let mut threads = self.threads.lock();
        if self.engine.is_finished() {
            return;
        }
        self.engine.refuse_appends();
        self.engine.end_threads();
        for thread in threads.drain(..) {
            // A committer that panicked has poisoned its partition.
            let _ = thread.join();
        }
        committer::drain(&self.engine);
        self.engine.finish();
    }

    /// Writes and syncs everything that waits, on this thread. Only of use with
    /// [`EmbeddedOptions::committers`] at 0.
    pub fn commit_now(&self) {
        committer::drain(&self.engine);
    }

    /// Does what the keeper does, now: retention, packing, syncs that are due. Blocks on files.
    pub fn maintain(&self) {
        keeper::maintain(&self.engine);
    }

    /// All usable topics as they are, by name.
    pub fn topics(&self) -> Vec<TopicSpec> {
        let topics = self.engine.topics.read();
        let mut all: Vec<_> = topics
            .iter()
            .filter_map(|(name, declared)| match declared {
                Declared::Sound { topic, partitions } => Some(TopicSpec {
                    name: name.clone(),
                    partitions: partitions.len() as u32,
                    retention: topic.retention(),
                }),
                Declared::Damaged(_) => None,
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Numbers for metrics.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Why the disk takes no writes, if it refused the last one and refuses one more that is tried now
    /// (at most once a second). Blocks on files while writes are refused.
    pub fn refuses_writes(&self) -> Option<String> {
        let engine = &self.engine;
        engine.refusal.probe(&*engine.disk, &engine.options.path)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close_blocking();
    }
}

#[async_trait]
impl Log for Embedded {
    fn facts(&self) -> &LogFacts {
        &self.engine.facts
    }

    async fn topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        if let Some(info) = self.engine.known_topic(spec) {
            return Ok(info);
        }
        let spec = spec.clone();
        let info = read::blocking(&self.engine, move |engine| engine.declare(&spec)).await?;
        self.made.send_replace(());
        Ok(info)
    }

    fn topics_made(&self) -> Option<watch::Receiver<()>> {
        Some(self.made.subscribe())
    }

    /// A reader changes nothing about a topic that exists. One that does not is made, so that its first
    /// event is seen at once; where the disk refuses that, the reader waits for it.
    async fn existing(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        if let Some(info) = self.engine.topic_as_it_is(&spec.name) {
            return Ok(info);
        }
        match self.topic(spec).await {
            Err(LogError::Unavailable(reason)) if !self.engine.is_damaged(&spec.name) => {
                tracing::warn!(topic = %spec.name, reason, "a topic cannot be made for its reader");
                Err(LogError::UnknownTopic(TopicPartition::new(spec.name.clone(), 0)))
            }
            other => other,
        }
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>) -> Result<Offset, LogError> {
        let outcome = self.engine.enqueue(to, &records).await?;
        drop(records);
        outcome.await.unwrap_or_else(|_| {
            Err(LogError::Indeterminate(
                "the committer failed before it knew the outcome".into(),
            ))
        })
    }

    async fn read(&self, from: &Position, limit: ReadLimit) -> Result<RecordBatch, LogError> {
        read::read(&self.engine, from, limit, None).await
    }

    async fn read_and_look(
        &self,
        from: &Position,
        limit: ReadLimit,
        look: OnRead,
    ) -> Result<RecordBatch, LogError> {
        read::read(&self.engine, from, limit, Some(look)).await
    }

    async fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        Ok(self.engine.partition(of)?.bounds())
    }

    async fn offset_at(&self, of: &TopicPartition, at: Timestamp) -> Result<Option<Offset>, LogError> {
        let partition = self.engine.partition(of)?;
        read::blocking(&self.engine, move |engine| {
            seek::offset_at(engine, &partition, at)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
