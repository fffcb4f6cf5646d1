//! What the service counts, as Prometheus text.
//!
//! All label values come from fixed sets, so that the number of series is bounded whatever is asked for. The names are
//! part of the public surface: `ops/` has a board and alert rules over them.

mod metered;
mod series;

pub use metered::Metered;

use crate::upstream::Upstream;
use parking_lot::Mutex;
use series::{Counters, Histogram, head, line};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// The kinds of things that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kept {
    /// Built feeds.
    Result,
    /// Composed and compressed bodies.
    Reply,
    /// Page HTML.
    Page,
    /// Page summaries.
    Summary,
    /// Site information.
    Siteinfo,
    /// Pageviews, images, entities.
    Answer,
}

impl Kept {
    #[cfg(test)]
    const ALL: [Kept; 6] = [
        Kept::Result,
        Kept::Reply,
        Kept::Page,
        Kept::Summary,
        Kept::Siteinfo,
        Kept::Answer,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kept::Result => "result",
            Kept::Reply => "reply",
            Kept::Page => "page",
            Kept::Summary => "summary",
            Kept::Siteinfo => "siteinfo",
            Kept::Answer => "answer",
        }
    }
}

/// The counters of one service.
#[derive(Default)]
pub struct Metrics {
    requests: Counters<(&'static str, u16)>,
    latency: Mutex<BTreeMap<&'static str, Histogram>>,
    upstream: Counters<(&'static str, &'static str)>,
    upstream_latency: Mutex<BTreeMap<&'static str, Histogram>>,
    upstream_in_flight: AtomicI64,
    cache: Counters<(&'static str, &'static str)>,
    stale: Counters<(&'static str, &'static str)>,
    failed: Counters<&'static str>,
    empty: Counters<&'static str>,
    builds: Counters<(&'static str, &'static str)>,
    invalidations: Counters<&'static str>,
    stale_age_ms: Mutex<BTreeMap<&'static str, i64>>,
    cache_bytes: Mutex<BTreeMap<&'static str, u64>>,
    store_dropped: AtomicU64,
    store_sweeps: AtomicU64,
}

impl Metrics {
    /// Counts an answered request. `endpoint` is from a fixed set.
    pub(crate) fn request(&self, endpoint: &'static str, status: u16, took: Duration) {
        self.requests.add((endpoint, status), 1);
        self.latency.lock().entry(endpoint).or_default().observe(took);
    }

    /// Counts an attempt at an upstream service.
    pub(crate) fn upstream(&self, upstream: Upstream, outcome: &'static str, took: Duration) {
        self.upstream.add((upstream.name(), outcome), 1);
        self.upstream_latency
            .lock()
            .entry(upstream.name())
            .or_default()
            .observe(took);
    }

    pub(crate) fn in_flight(&self, change: i64) {
        self.upstream_in_flight.fetch_add(change, Ordering::Relaxed);
    }

    /// Counts a look into a cache: `hit`, `miss`, `disk` or `stale`.
    pub(crate) fn cache(&self, kept: Kept, outcome: &'static str) {
        self.cache.add((kept.name(), outcome), 1);
    }

    /// Counts a feed that was served past its time, `why`: `revalidating`, `error`, `late`.
    pub(crate) fn stale(&self, feed: &'static str, why: &'static str) {
        self.stale.add((feed, why), 1);
    }

    /// Counts a part that could not be served at all.
    pub(crate) fn failed(&self, feed: &'static str) {
        self.failed.add(feed, 1);
    }

    /// Counts a making of a feed: `ok`, `degraded`, `failed`, `held` (the old one was better).
    pub(crate) fn build(&self, feed: &'static str, outcome: &'static str) {
        self.builds.add((feed, outcome), 1);
    }

    /// Counts a page that was there but yielded no item.
    pub(crate) fn empty(&self, feed: &'static str) {
        self.empty.add(feed, 1);
    }

    /// Counts feeds that a page change outdated.
    pub(crate) fn invalidated(&self, feed: &'static str, count: u64) {
        self.invalidations.add(feed, count);
    }

    /// Sets the gauges that are read when the text is made.
    pub(crate) fn sizes(
        &self,
        sizes: &[(Kept, u64)],
        (dropped, sweeps): (u64, u64),
        stale_age_ms: BTreeMap<&'static str, i64>,
    ) {
        *self.stale_age_ms.lock() = stale_age_ms;
        let mut bytes = self.cache_bytes.lock();
        for (kept, size) in sizes {
            bytes.insert(kept.name(), *size);
        }
        self.store_dropped.store(dropped, Ordering::Relaxed);
        self.store_sweeps.store(sweeps, Ordering::Relaxed);
    }

    /// The text exposition format, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        let out = &mut text;
        head(out, "requests_total", "counter", "Requests answered.");
        for ((endpoint, status), count) in self.requests.read() {
            line(
                out,
                "requests_total",
                &[("endpoint", endpoint), ("status", &status.to_string())],
                count,
            );
        }
        head(
            out,
            "request_duration_seconds",
            "histogram",
            "Time to answer a request.",
        );
        for (endpoint, histogram) in &*self.latency.lock() {
            histogram.write(out, "request_duration_seconds", ("endpoint", endpoint));
        }
        head(
            out,
            "upstream_requests_total",
            "counter",
            "Attempts at upstream services.",
        );
        for ((upstream, outcome), count) in self.upstream.read() {
            line(
                out,
                "upstream_requests_total",
                &[("upstream", upstream), ("outcome", outcome)],
                count,
            );
        }
        head(
            out,
            "upstream_duration_seconds",
            "histogram",
            "Time of an attempt at an upstream service.",
        );
        for (upstream, histogram) in &*self.upstream_latency.lock() {
            histogram.write(out, "upstream_duration_seconds", ("upstream", upstream));
        }
        head(out, "upstream_in_flight", "gauge", "Attempts under way.");
        line(
            out,
            "upstream_in_flight",
            &[],
            self.upstream_in_flight.load(Ordering::Relaxed),
        );
        head(out, "cache_lookups_total", "counter", "Looks into a cache.");
        for ((kept, outcome), count) in self.cache.read() {
            line(
                out,
                "cache_lookups_total",
                &[("cache", kept), ("outcome", outcome)],
                count,
            );
        }
        head(out, "cache_bytes", "gauge", "Memory taken by a cache.");
        for (kept, size) in &*self.cache_bytes.lock() {
            line(out, "cache_bytes", &[("cache", kept)], size);
        }
        head(
            out,
            "store_dropped_total",
            "counter",
            "Cache entries not written because the queue was full.",
        );
        line(
            out,
            "store_dropped_total",
            &[],
            self.store_dropped.load(Ordering::Relaxed),
        );
        head(
            out,
            "store_sweeps_total",
            "counter",
            "Times that the store was looked through for what has to go.",
        );
        line(
            out,
            "store_sweeps_total",
            &[],
            self.store_sweeps.load(Ordering::Relaxed),
        );
        head(out, "builds_total", "counter", "Feeds made, by outcome.");
        for ((feed, outcome), count) in self.builds.read() {
            line(
                out,
                "builds_total",
                &[("feed", feed), ("outcome", outcome)],
                count,
            );
        }
        head(
            out,
            "stale_served_total",
            "counter",
            "Feeds served past their time.",
        );
        for ((feed, why), count) in self.stale.read() {
            line(out, "stale_served_total", &[("feed", feed), ("why", why)], count);
        }
        head(
            out,
            "stale_age_seconds",
            "gauge",
            "Age of the oldest feed past its time of those that were asked for lately; 0 when there is none.",
        );
        for (feed, age) in &*self.stale_age_ms.lock() {
            line(out, "stale_age_seconds", &[("feed", feed)], *age as f64 / 1000.0);
        }
        head(
            out,
            "failed_parts_total",
            "counter",
            "Feeds that could not be served at all.",
        );
        for (feed, count) in self.failed.read() {
            line(out, "failed_parts_total", &[("feed", feed)], count);
        }
        head(
            out,
            "empty_total",
            "counter",
            "Source pages that were there but yielded no item.",
        );
        for (feed, count) in self.empty.read() {
            line(out, "empty_total", &[("feed", feed)], count);
        }
        head(
            out,
            "invalidations_total",
            "counter",
            "Feeds outdated by a page change.",
        );
        for (feed, count) in self.invalidations.read() {
            line(out, "invalidations_total", &[("feed", feed)], count);
        }
        text
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_family_and_cumulative_buckets() {
        let metrics = Metrics::default();
        metrics.request("news", 200, Duration::from_millis(3));
        metrics.request("news", 200, Duration::from_secs(60));
        metrics.sizes(&Kept::ALL.map(|kept| (kept, 1)), (2, 3), BTreeMap::new());
        let text = metrics.text();
        for expected in [
            "levada_feeds_requests_total{endpoint=\"news\",status=\"200\"} 2\n",
            "levada_feeds_request_duration_seconds_bucket{endpoint=\"news\",le=\"0.0025\"} 0\n",
            "levada_feeds_request_duration_seconds_bucket{endpoint=\"news\",le=\"0.005\"} 1\n",
            "levada_feeds_request_duration_seconds_bucket{endpoint=\"news\",le=\"5\"} 1\n",
            "levada_feeds_request_duration_seconds_bucket{endpoint=\"news\",le=\"+Inf\"} 2\n",
            "levada_feeds_request_duration_seconds_count{endpoint=\"news\"} 2\n",
            "levada_feeds_cache_bytes{cache=\"summary\"} 1\n",
            "levada_feeds_store_dropped_total 2\n",
            "levada_feeds_store_sweeps_total 3\n",
            "levada_feeds_upstream_in_flight 0\n",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }
}
