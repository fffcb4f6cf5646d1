//! Figures of a running log, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levada_event::TopicPartition;

/// Upper bounds of the buckets of [`Stats::delivery`], in microseconds; a last bucket holds the rest.
pub const DELIVERY_BUCKETS_MICROS: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000,
];

/// Figures since the log was opened (counters) or as they are now (gauges).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Records that wait for delivery, of both producers.
    pub queued_records: u64,
    /// Their bytes, with what the queue itself costs.
    pub queued_bytes: u64,
    /// Records that were acknowledged.
    pub delivered_records: u64,
    /// Hasty records that were taken and then not stored.
    pub lost_hasty_records: u64,
    /// Appends by how long their delivery took: counts per bucket of [`DELIVERY_BUCKETS_MICROS`] and
    /// beyond, not cumulated.
    pub delivery: [u64; DELIVERY_BUCKETS_MICROS.len() + 1],
    /// Sum of all delivery times in microseconds.
    pub delivery_micros: u64,
    /// Errors by their kind (librdkafka's name of the code, a closed set).
    pub errors: Vec<(String, u64)>,
    /// Live partitions and how far their reader is behind.
    pub lag: Vec<PartitionLag>,
    /// Readers in the past that are open now.
    pub catch_up_readers: u64,
}

/// How far the fetch loop of a live partition is behind its end.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionLag {
    /// The partition.
    pub of: TopicPartition,
    /// Records between the fetch loop and the end.
    pub records: u64,
    /// How long the fetch loop has been behind the end without reaching it, in seconds; 0 at the end.
    pub seconds: f64,
}

/// Counts of the producers.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    queued_records: AtomicU64,
    queued_bytes: AtomicU64,
    delivered_records: AtomicU64,
    lost_hasty: AtomicU64,
    times: [AtomicU64; DELIVERY_BUCKETS_MICROS.len() + 1],
    micros: AtomicU64,
}

impl Deliveries {
    pub(crate) fn queued(&self, records: usize, bytes: usize) {
        self.queued_records.fetch_add(records as u64, Ordering::Relaxed);
        self.queued_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn settled(&self, records: usize, bytes: usize, stored: usize, took: Duration) {
        self.queued_records.fetch_sub(records as u64, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        self.delivered_records.fetch_add(stored as u64, Ordering::Relaxed);
        if stored > 0 {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let bucket = DELIVERY_BUCKETS_MICROS.partition_point(|bound| *bound < micros);
            self.times[bucket].fetch_add(1, Ordering::Relaxed);
            self.micros.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// Counts hasty records that were lost. `true` for the first, which is worth a word in the log.
    pub(crate) fn lost_hasty(&self, records: usize) -> bool {
        self.lost_hasty.fetch_add(records as u64, Ordering::Relaxed) == 0
    }

    pub(crate) fn fill(&self, stats: &mut Stats) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        stats.queued_records = get(&self.queued_records);
        stats.queued_bytes = get(&self.queued_bytes);
        stats.delivered_records = get(&self.delivered_records);
        stats.lost_hasty_records = get(&self.lost_hasty);
        stats.delivery_micros = get(&self.micros);
        for (to, from) in stats.delivery.iter_mut().zip(&self.times) {
            *to = get(from);
        }
    }
}
