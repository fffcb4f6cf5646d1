//! Figures of a running log, for metrics.

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
    /// Their bytes.
    pub queued_bytes: u64,
    /// Records that were acknowledged.
    pub delivered_records: u64,
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
    /// Age of the last record read, in seconds, while there are records to read; 0 at the end.
    pub seconds: f64,
}
