//! Numbers about the engine for metrics and for people.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levada_event::{Bounds, Timestamp, TopicPartition};

use super::engine::{Declared, Engine};
use super::partition::Health;

/// Upper bounds of the buckets of [`SyncStats::buckets`], in microseconds; a last bucket takes the rest.
pub const SYNC_BUCKETS_MICROS: [u64; 12] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 2_000_000,
];

/// What the engine did since it was opened, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Records appended.
    pub records: u64,
    /// Blocks written; records divided by blocks tells how well appends batch.
    pub blocks: u64,
    /// Bytes written to segments.
    pub bytes: u64,
    /// Syncs of segments.
    pub syncs: SyncStats,
    /// Bytes of appends that wait to be written.
    pub pending_bytes: u64,
    /// Bytes of recent blocks in memory.
    pub hot_bytes: u64,
    /// Topics that cannot be used, with the reason.
    pub damaged_topics: Vec<(String, String)>,
    /// Why the disk took no writes when it was last tried, if so.
    pub refuses_writes: Option<String>,
    /// Each partition that holds or held records.
    pub partitions: Vec<PartitionStats>,
}

/// How long syncs took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncStats {
    /// Syncs that succeeded or failed.
    pub count: u64,
    /// Syncs that failed.
    pub failed: u64,
    /// Time spent in syncs, in microseconds.
    pub micros: u64,
    /// Syncs per bucket of [`SYNC_BUCKETS_MICROS`] (each counts its own, not those below).
    pub buckets: [u64; SYNC_BUCKETS_MICROS.len() + 1],
}

/// A partition in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStats {
    /// Which one.
    pub of: TopicPartition,
    /// Oldest offset kept and next offset.
    pub bounds: Bounds,
    /// Bytes on disk.
    pub bytes: u64,
    /// Segments on disk.
    pub segments: usize,
    /// When a record was last appended, as far as that is known.
    pub last_appended: Option<Timestamp>,
    /// Bytes of appends that wait to be written.
    pub pending_bytes: u64,
    /// Why it takes no appends, if so.
    pub poisoned: Option<String>,
    /// Whether what it holds can be read at all.
    pub readable: bool,
}

/// The counters behind [`Stats`].
#[derive(Default)]
pub(super) struct Counters {
    records: AtomicU64,
    blocks: AtomicU64,
    bytes: AtomicU64,
    syncs: AtomicU64,
    syncs_failed: AtomicU64,
    sync_micros: AtomicU64,
    sync_buckets: [AtomicU64; SYNC_BUCKETS_MICROS.len() + 1],
}

impl Counters {
    pub(super) fn appended(&self, blocks: u64, records: u64, bytes: u64) {
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn synced(&self, took: Duration, succeeded: bool) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = SYNC_BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.syncs_failed
            .fetch_add(u64::from(!succeeded), Ordering::Relaxed);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
        self.sync_buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }
}

impl Engine {
    pub(super) fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let mut partitions = Vec::new();
        for partition in self.partitions() {
            let pending_bytes = partition.pending.lock().bytes() as u64;
            let view = partition.view.read();
            if view.segments.is_empty() && pending_bytes == 0 && view.health == Health::Sound {
                continue;
            }
            partitions.push(PartitionStats {
                of: partition.of.clone(),
                bounds: view.bounds(),
                bytes: view.bytes(),
                segments: view.segments.len(),
                last_appended: view.last_appended,
                pending_bytes,
                poisoned: match &view.health {
                    Health::Sound => None,
                    Health::Poisoned(reason) => Some(reason.clone()),
                },
                readable: partition.unreadable.is_none(),
            });
        }
        let topics = self.topics.read();
        let mut damaged_topics: Vec<_> = topics
            .iter()
            .filter_map(|(name, declared)| match declared {
                Declared::Damaged(reason) => Some((name.to_string(), reason.clone())),
                Declared::Sound { .. } => None,
            })
            .collect();
        damaged_topics.sort();
        Stats {
            records: load(&counters.records),
            blocks: load(&counters.blocks),
            bytes: load(&counters.bytes),
            syncs: SyncStats {
                count: load(&counters.syncs),
                failed: load(&counters.syncs_failed),
                micros: load(&counters.sync_micros),
                buckets: counters.sync_buckets.each_ref().map(load),
            },
            pending_bytes: partitions.iter().map(|p| p.pending_bytes).sum(),
            hot_bytes: self.hot.bytes() as u64,
            damaged_topics,
            refuses_writes: self.refusal.reason(),
            partitions,
        }
    }
}
