//! Metrics in Prometheus' text format: counters of the code through the `metrics` facade, and the
//! plain numbers that delivery and the log keep themselves.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use levada_log::embedded::{Embedded, SYNC_BUCKETS_MICROS};

use crate::delivery::Delivery;

/// One number that a part keeps itself.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Full metric name.
    pub(crate) name: Cow<'static, str>,
    /// Labels as they stand between the braces, or nothing.
    pub(crate) labels: String,
    /// Whether it only grows.
    pub(crate) counter: bool,
    /// The number.
    pub(crate) value: f64,
}

/// Where samples come from.
pub(crate) type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// The recorder behind the facade. A process has one, however many servers run in it.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder, once per process.
    pub(crate) fn install() -> Result<Self, String> {
        static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
        let handle = HANDLE.get_or_init(|| {
            PrometheusBuilder::new()
                .install_recorder()
                .map_err(|error| error.to_string())
        });
        Ok(Self {
            handle: handle.clone()?,
        })
    }

    /// A function that renders everything.
    pub(crate) fn renderer(
        &self,
        delivery: Arc<Delivery>,
        log: Source,
        feeds: Option<levada_feeds::Feeds>,
    ) -> Arc<dyn Fn() -> String + Send + Sync> {
        let handle = self.handle.clone();
        Arc::new(move || {
            handle.run_upkeep();
            let mut text = handle.render();
            let delivery = delivery
                .stats()
                .snapshot()
                .into_iter()
                .map(|(name, counter, value)| {
                    let name = format!("levada_delivery_{name}{}", if counter { "_total" } else { "" });
                    Sample {
                        name: name.into(),
                        labels: String::new(),
                        counter,
                        value: value as f64,
                    }
                });
            push(&mut text, delivery.collect());
            push(&mut text, log());
            if let Some(feeds) = &feeds {
                text.push_str(&feeds.metrics());
            }
            text
        })
    }
}

/// Most partitions of which each has its own lines; beyond this only the sums are shown.
pub(crate) const PARTITIONS_MAX: usize = 2000;

/// The numbers of the embedded log.
pub(crate) fn log_source(log: Arc<Embedded>) -> Source {
    Box::new(move || {
        let stats = log.stats();
        let sum = |name: &'static str, counter, value: u64| Sample {
            name: name.into(),
            labels: String::new(),
            counter,
            value: value as f64,
        };
        let mut samples = vec![
            sum("levada_log_records_appended_total", true, stats.records),
            sum("levada_log_blocks_written_total", true, stats.blocks),
            sum("levada_log_bytes_written_total", true, stats.bytes),
            sum("levada_log_syncs_failed_total", true, stats.syncs.failed),
            sum(
                "levada_log_refuses_writes",
                false,
                u64::from(stats.refuses_writes.is_some()),
            ),
            sum("levada_log_pending_bytes", false, stats.pending_bytes),
            sum("levada_log_recent_bytes", false, stats.hot_bytes),
            sum(
                "levada_log_damaged_topics",
                false,
                stats.damaged_topics.len() as u64,
            ),
        ];
        let mut below = 0;
        for (at, count) in stats.syncs.buckets.iter().enumerate() {
            below += count;
            let bound = SYNC_BUCKETS_MICROS
                .get(at)
                .map_or("+Inf".into(), |micros| (*micros as f64 / 1e6).to_string());
            let labels = format!("le=\"{bound}\"");
            samples.push(Sample {
                name: "levada_log_sync_seconds_bucket".into(),
                labels,
                counter: true,
                value: below as f64,
            });
        }
        let seconds = stats.syncs.micros as f64 / 1e6;
        samples.push(Sample {
            name: "levada_log_sync_seconds_sum".into(),
            labels: String::new(),
            counter: true,
            value: seconds,
        });
        samples.push(sum("levada_log_sync_seconds_count", true, stats.syncs.count));
        if stats.partitions.len() > PARTITIONS_MAX {
            return samples;
        }
        let mut each =
            |name: &'static str, value: &dyn Fn(&levada_log::embedded::PartitionStats) -> Option<f64>| {
                for partition in &stats.partitions {
                    let Some(value) = value(partition) else { continue };
                    let labels = format!(
                        "topic=\"{}\",partition=\"{}\"",
                        partition.of.topic, partition.of.partition
                    );
                    samples.push(Sample {
                        name: name.into(),
                        labels,
                        counter: false,
                        value,
                    });
                }
            };
        each("levada_log_partition_bytes", &|p| Some(p.bytes as f64));
        each("levada_log_partition_segments", &|p| Some(p.segments as f64));
        each("levada_log_partition_earliest_offset", &|p| {
            Some(p.bounds.earliest as f64)
        });
        each("levada_log_partition_next_offset", &|p| {
            Some(p.bounds.next as f64)
        });
        each("levada_log_partition_poisoned", &|p| {
            Some(f64::from(u8::from(p.poisoned.is_some())))
        });
        each("levada_log_partition_last_append_seconds", &|p| {
            p.last_appended.map(|t| t.as_millis() as f64 / 1000.0)
        });
        samples
    })
}

fn push(text: &mut String, samples: Vec<Sample>) {
    let mut last = Cow::Borrowed("");
    for sample in samples {
        if sample.name != last {
            last = sample.name.clone();
            let kind = if sample.counter { "counter" } else { "gauge" };
            let _ = writeln!(text, "# TYPE {last} {kind}");
        }
        let labels = if sample.labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", sample.labels)
        };
        let _ = writeln!(text, "{}{labels} {}", sample.name, sample.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_share_a_type_line() {
        let sample = |labels: &str, value| Sample {
            name: "levada_x".into(),
            labels: labels.into(),
            counter: false,
            value,
        };
        let mut text = String::new();
        push(
            &mut text,
            vec![sample("topic=\"a\"", 1.0), sample("topic=\"b\"", 2.5)],
        );
        assert_eq!(
            text,
            "# TYPE levada_x gauge\nlevada_x{topic=\"a\"} 1\nlevada_x{topic=\"b\"} 2.5\n"
        );
    }
}
