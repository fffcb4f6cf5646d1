//! Kafka as the log: its settings from the configuration, its figures for the metrics.

use std::sync::Arc;
use std::time::Duration;

use levada_kafka::{DELIVERY_BUCKETS_MICROS, KafkaLog, PartitionLag, Settings, TopicSettings};

use crate::config::Config;
use crate::metrics::{PARTITIONS_MAX, Sample, Source};

/// How much earlier than the request's own deadline the outcome of a delivery is known.
const DEADLINE_MARGIN: f64 = 0.9;

/// What `[kafka]` says, in the terms of the log. Whether it makes sense is what
/// [`Settings::check`] tells.
pub fn settings(config: &Config) -> Settings {
    let kafka = &config.kafka;
    let mut properties = kafka.properties.0.clone();
    if let Some(password) = &kafka.sasl_password {
        properties.insert("sasl.password".into(), password.expose().into());
    }
    let some = |number: u16| (number > 0).then_some(number);
    Settings {
        properties,
        client_id: kafka.client_id.clone(),
        topics: TopicSettings {
            create: kafka.create_topics,
            replication_factor: some(kafka.replication_factor),
            min_insync_replicas: some(kafka.min_insync_replicas),
            config: kafka.topic_config.0.clone(),
        },
        delivery_timeout: config
            .intake
            .deadline
            .mul_f64(DEADLINE_MARGIN)
            .max(Duration::from_millis(100)),
        request_timeout: kafka.request_timeout,
        produce_bytes_max: kafka.produce_bytes_max,
        catch_up_max: kafka.catch_up_max,
        event_bytes_max: config.intake.event_bytes_max,
        ..Settings::new(kafka.bootstrap_servers.join(","))
    }
}

/// Where the figures of the log come from.
pub(crate) fn samples(log: Arc<KafkaLog>) -> Source {
    Box::new(move || {
        let stats = log.stats();
        let sum = |name: &'static str, counter, value: f64| Sample {
            name: name.into(),
            labels: String::new(),
            counter,
            value,
        };
        let mut samples = vec![
            sum(
                "levada_kafka_produce_queue_records",
                false,
                stats.queued_records as f64,
            ),
            sum(
                "levada_kafka_produce_queue_bytes",
                false,
                stats.queued_bytes as f64,
            ),
            sum(
                "levada_kafka_delivered_records_total",
                true,
                stats.delivered_records as f64,
            ),
            sum(
                "levada_kafka_lost_hasty_records_total",
                true,
                stats.lost_hasty_records as f64,
            ),
            sum(
                "levada_kafka_catch_up_readers",
                false,
                stats.catch_up_readers as f64,
            ),
        ];
        let mut below = 0;
        for (at, count) in stats.delivery.iter().enumerate() {
            below += count;
            let bound = DELIVERY_BUCKETS_MICROS
                .get(at)
                .map_or("+Inf".into(), |micros| (*micros as f64 / 1e6).to_string());
            samples.push(Sample {
                labels: format!("le=\"{bound}\""),
                ..sum("levada_kafka_delivery_seconds_bucket", true, below as f64)
            });
        }
        samples.push(sum(
            "levada_kafka_delivery_seconds_sum",
            true,
            stats.delivery_micros as f64 / 1e6,
        ));
        samples.push(sum("levada_kafka_delivery_seconds_count", true, below as f64));
        for (kind, count) in &stats.errors {
            samples.push(Sample {
                labels: format!("kind=\"{kind}\""),
                ..sum("levada_kafka_errors_total", true, *count as f64)
            });
        }
        if stats.lag.len() > PARTITIONS_MAX {
            let most = |of: fn(&PartitionLag) -> f64| stats.lag.iter().map(of).fold(0.0, f64::max);
            samples.push(sum(
                "levada_kafka_consumer_lag_records",
                false,
                most(|lag| lag.records as f64),
            ));
            samples.push(sum(
                "levada_kafka_consumer_lag_seconds",
                false,
                most(|lag| lag.seconds),
            ));
            return samples;
        }
        let labels = |of: &levada_event::TopicPartition| {
            format!("topic=\"{}\",partition=\"{}\"", of.topic, of.partition)
        };
        for lag in &stats.lag {
            samples.push(Sample {
                labels: labels(&lag.of),
                ..sum("levada_kafka_consumer_lag_records", false, lag.records as f64)
            });
        }
        for lag in &stats.lag {
            samples.push(Sample {
                labels: labels(&lag.of),
                ..sum("levada_kafka_consumer_lag_seconds", false, lag.seconds)
            });
        }
        samples
    })
}
