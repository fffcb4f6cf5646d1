//! Many readers: one fetch per live partition, a bounded number of places in the past.

use std::sync::Arc;

use levada_event::TopicPartition;
use levada_log::{Log, ReadLimit};
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::records::{NOW, follow, followed, partition, record, spec, values_from};

async fn fifty(log: &dyn Log, topic: &str) -> Vec<TopicPartition> {
    log.topic(&spec(topic, 50)).await.expect("a topic");
    (0..50).map(|number| partition(topic, number)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_partition_is_fetched_once_however_many_read_it() {
    let Some(cluster) = Cluster::shared("a_live_partition_is_fetched_once_however_many_read_it") else {
        return;
    };
    let log = Arc::new(cluster.log().await);
    let partitions = fifty(&*log, &format!("{}live", cluster.prefix)).await;
    let mut readers = JoinSet::new();
    for of in &partitions {
        for _ in 0..10 {
            let (reading, partition) = (follow(&log, of, 0, 6, 0), of.partition);
            readers.spawn(async move { (partition, reading.await.expect("no panic").0) });
        }
    }
    followed(&log, 50).await;
    let mut writers = JoinSet::new();
    for of in &partitions {
        let (log, of) = (log.clone(), of.clone());
        writers.spawn(async move {
            for round in 0..3 {
                let records = (0..2)
                    .map(|i| record(format!("{}:{round}:{i}", of.partition)))
                    .collect();
                log.append(&of, records).await.expect("taken");
            }
        });
    }
    writers.join_all().await;
    for (partition, values) in readers.join_all().await {
        let expected: Vec<_> = (0..6)
            .map(|n| format!("{partition}:{}:{}", n / 2, n % 2))
            .collect();
        assert_eq!(values, expected);
    }
    let stats = log.stats();
    assert_eq!((stats.lag.len(), stats.catch_up_readers), (50, 0));
    assert_eq!(stats.delivered_records, 300);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_the_past_are_bounded_and_all_get_everything() {
    let Some(mut cluster) = Cluster::shared("readers_of_the_past_are_bounded_and_all_get_everything") else {
        return;
    };
    cluster.settings.catch_up_max = 6;
    let log = Arc::new(cluster.log().await);
    let partitions = fifty(&*log, &format!("{}past", cluster.prefix)).await;
    let partitions = &partitions[..10];
    let padding = "p".repeat(500);
    for of in partitions {
        for round in 0..4 {
            let records = (0..25).map(|i| record(format!("{}:{}{padding}", of.partition, round * 25 + i)));
            log.append(of, records.collect()).await.expect("taken");
        }
    }
    let mut readers = JoinSet::new();
    for reader in 0..3_u64 {
        for of in partitions {
            let (log, of) = (log.clone(), of.clone());
            readers.spawn(async move {
                let from = reader * 10;
                let mut position = of.at(from);
                let limit = ReadLimit { bytes: 4000, ..NOW };
                let mut seen = from;
                while seen < 100 {
                    let batch = log.read(&position, limit).await.expect("read");
                    for record in batch.iter() {
                        assert_eq!(record.offset, seen);
                        let text = format!("{}:{seen}p", of.partition);
                        assert!(record.value.starts_with(text.as_bytes()));
                        seen += 1;
                    }
                    assert!(log.stats().catch_up_readers <= 6);
                    position.offset = batch.next();
                }
            });
        }
    }
    readers.join_all().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_of_a_live_partition_misses_nothing() {
    let Some(cluster) = Cluster::shared("a_slow_reader_of_a_live_partition_misses_nothing") else {
        return;
    };
    let log = Arc::new(cluster.log().await);
    let topic = format!("{}slow", cluster.prefix);
    log.topic(&spec(&topic, 50)).await.expect("a topic");
    let of = partition(&topic, 49);
    let fast = follow(&log, &of, 0, 4000, 4000);
    followed(&log, 1).await;
    // Several megabytes: more than the window keeps for those who are late.
    let padding = "x".repeat(2000);
    for round in 0..40 {
        let records = (0..100).map(|i| record(format!("{}{padding}", round * 100 + i)));
        log.append(&of, records.collect()).await.expect("taken");
    }
    fast.await.expect("no panic");
    let values = values_from(&*log, &of, 0).await;
    assert_eq!(values.len(), 4000);
    for (n, value) in values.iter().enumerate() {
        assert!(value.starts_with(&format!("{n}x")), "{n}");
    }
    log.close().await;
}

/// After a restart of a server its clients resume where they all stood, each in all partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_come_back_together_share_what_is_fetched() {
    let Some(cluster) = Cluster::shared("clients_that_come_back_together_share_what_is_fetched") else {
        return;
    };
    let log = Arc::new(cluster.log().await);
    let partitions = fifty(&*log, &format!("{}together", cluster.prefix)).await;
    for of in &partitions {
        let records = (0..20).map(|i| record(format!("{}:{i}", of.partition))).collect();
        log.append(of, records).await.expect("taken");
    }
    // New clients of Kafka, as a process that starts has them.
    log.close().await;
    let log = Arc::new(cluster.log().await);
    let begun = std::time::Instant::now();
    let mut lanes = JoinSet::new();
    for client in 0..100 {
        for of in &partitions {
            let (log, of) = (log.clone(), of.clone());
            lanes.spawn(async move {
                let mut position = of.at(client % 5);
                let end = log.bounds(&of).await.expect("bounds").next;
                let mut seen = position.offset;
                while position.offset < end {
                    let batch = log.read(&position, NOW).await.expect("read");
                    for record in batch.iter() {
                        assert_eq!(record.offset, seen);
                        seen += 1;
                    }
                    position.offset = batch.next();
                }
                assert_eq!(seen, 20);
            });
        }
    }
    lanes.join_all().await;
    println!("5,000 lanes caught up in {:?}", begun.elapsed());
    log.close().await;
}
