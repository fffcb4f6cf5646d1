//! Series and how they are written (Prometheus text format 0.0.4).

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Upper bounds of the latency buckets, seconds. 0.1, 0.25 (most of) and 0.5 are the objectives of contract §4.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 5.0,
];

/// Counters by label; the labels are from fixed sets.
pub(super) struct Counters<K>(Mutex<BTreeMap<K, u64>>);

impl<K> Default for Counters<K> {
    fn default() -> Self {
        Counters(Mutex::default())
    }
}

impl<K: Ord + Copy> Counters<K> {
    pub(super) fn add(&self, key: K, count: u64) {
        *self.0.lock().entry(key).or_default() += count;
    }

    pub(super) fn read(&self) -> Vec<(K, u64)> {
        self.0.lock().iter().map(|(key, count)| (*key, *count)).collect()
    }
}

/// Observed times.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    pub(super) fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }

    pub(super) fn write(&self, out: &mut String, name: &str, label: (&str, &str)) {
        let mut total = 0;
        for (bound, count) in BUCKETS.iter().zip(self.buckets) {
            total += count;
            line(
                out,
                &format!("{name}_bucket"),
                &[label, ("le", &bound.to_string())],
                total,
            );
        }
        line(
            out,
            &format!("{name}_bucket"),
            &[label, ("le", "+Inf")],
            self.count,
        );
        line(out, &format!("{name}_sum"), &[label], self.sum);
        line(out, &format!("{name}_count"), &[label], self.count);
    }
}

/// The two lines before a family.
pub(super) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(
        out,
        "# HELP levada_feeds_{name} {help}\n# TYPE levada_feeds_{name} {kind}"
    );
}

/// One sample.
pub(super) fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    let _ = write!(out, "levada_feeds_{name}");
    for (place, (label, text)) in labels.iter().enumerate() {
        let _ = write!(out, "{}{label}=\"{text}\"", if place == 0 { '{' } else { ',' });
    }
    let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
}
