//! What delivery counts. Plain atomics, exported by whoever owns the metrics endpoint.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

macro_rules! stats {
    ($( $(#[$doc:meta])* $name:ident: $kind:ident, )*) => {
        /// Counters and gauges of delivery. Names and meanings are part of `docs/reference/metrics.md`.
        #[derive(Debug, Default)]
        pub struct DeliveryStats {
            $( $(#[$doc])* pub $name: $kind, )*
        }

        impl DeliveryStats {
            /// All values at about this moment: name, whether it only ever grows, value.
            pub fn snapshot(&self) -> Vec<(&'static str, bool, i64)> {
                vec![$( (stringify!($name), $kind::GROWS, self.$name.get()), )*]
            }
        }
    };
}

stats! {
    /// Sessions opened since the start.
    sessions_opened: Counter,
    /// Sessions open now.
    sessions_open: Gauge,
    /// Sessions that ended with an in-band error.
    sessions_failed: Counter,
    /// Events handed to a session's socket.
    deliveries: Counter,
    /// Bytes handed to sockets, frames included, transfer framing excluded.
    bytes: Counter,
    /// Events rendered (once per channel or per session in the past).
    rendered: Counter,
    /// Records that a filter or the canary switch left out.
    filtered: Counter,
    /// Records that are no event (not one JSON object) and were left out.
    skipped: Counter,
    /// Positions that could not be taken as asked, before and after the first byte.
    gaps: Counter,
    /// Sessions that have read from the past, once for each time they did.
    catch_ups: Counter,
    /// Sessions reading from the past now.
    catching_up: Gauge,
    /// Offsets between where sessions in the past read and the ends they read towards, added up.
    lag: Gauge,
    /// Times a live session was too slow for its channel's ring and went back to reading the log.
    overruns: Counter,
    /// Channels open now.
    channels: Gauge,
    /// Partitions whose tail is followed now.
    tails: Gauge,
    /// Reads that were tried again because the log was unavailable.
    read_retries: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    const GROWS: bool = true;

    /// Adds `by`.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> i64 {
        i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    const GROWS: bool = false;

    /// Adds `by`, which may be negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
