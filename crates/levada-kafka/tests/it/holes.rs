//! Offsets with holes, and records that go away while they are read.

use std::sync::Arc;
use std::time::Duration;

use levada_log::{Log, LogError, ReadLimit};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::cluster::Cluster;
use super::records::{NOW, append, follow, noise, partition, record, spec, values_from};

/// A producer of transactions on the shared broker.
async fn transactions(cluster: &Cluster) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.settings.bootstrap_servers);
    config.set("transactional.id", format!("{}transactions", cluster.prefix));
    let producer: BaseProducer = config.create().expect("a producer");
    tokio::task::spawn_blocking(move || {
        producer
            .init_transactions(Duration::from_secs(60))
            .expect("a coordinator");
        producer
    })
    .await
    .expect("no panic")
}

/// One transaction of these values; `committed` or not.
async fn transaction(producer: BaseProducer, topic: &str, values: &[&str], committed: bool) -> BaseProducer {
    producer.begin_transaction().expect("begun");
    for value in values {
        let message = BaseRecord::<str, str>::to(topic).partition(0).payload(value);
        producer
            .send(message)
            .map_err(|(error, _)| error)
            .expect("queued");
    }
    tokio::task::spawn_blocking(move || {
        let wait = Duration::from_secs(60);
        producer.flush(wait).expect("delivered");
        if committed {
            producer.commit_transaction(wait).expect("committed");
        } else {
            producer.abort_transaction(wait).expect("aborted");
        }
        producer
    })
    .await
    .expect("no panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_and_aborted_records_of_transactions_are_stepped_over() {
    let Some(cluster) = Cluster::shared("marks_and_aborted_records_of_transactions_are_stepped_over") else {
        return;
    };
    let log = Arc::new(cluster.log().await);
    let topic = format!("{}transactions", cluster.prefix);
    log.topic(&spec(&topic, 1)).await.expect("a topic");
    let of = partition(&topic, 0);
    let producer = transactions(&cluster).await;
    let producer = transaction(producer, &topic, &["a", "b"], true).await;
    let producer = transaction(producer, &topic, &["never", "seen"], false).await;
    let producer = transaction(producer, &topic, &["c"], true).await;
    // Reading on from any place comes to the end, which lies behind the last mark.
    assert_eq!(values_from(&*log, &of, 0).await, ["a", "b", "c"]);
    assert_eq!(values_from(&*log, &of, 1).await, ["b", "c"]);
    let end = log.bounds(&of).await.expect("bounds").next;
    let last = log.read(&of.at(end - 1), NOW).await.expect("the last mark");
    assert!(last.is_empty());
    assert_eq!(last.next(), end);
    // A live reader gets on over marks too, so that nobody waits for the next record to catch up.
    let reading = follow(&log, &of, end, 2, end + 4);
    let producer = transaction(producer, &topic, &["d"], true).await;
    let producer = transaction(producer, &topic, &["e"], true).await;
    let (values, at) = reading.await.expect("no panic");
    assert_eq!(values, ["d", "e"]);
    assert_eq!(at, log.bounds(&of).await.expect("bounds").next);
    drop(producer);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_removed_under_a_reader_are_a_gap_with_bounds() {
    let Some(cluster) = Cluster::shared("records_removed_under_a_reader_are_a_gap_with_bounds") else {
        return;
    };
    let log = cluster.log().await;
    let topic = format!("{}removed", cluster.prefix);
    log.topic(&spec(&topic, 1)).await.expect("a topic");
    let of = partition(&topic, 0);
    // Far more than is fetched ahead for a reader, also compressed, so that it must come to what is gone.
    let padding = noise(300_000);
    for i in 0..20 {
        append(&log, &of, &[&format!("{i}{padding}")]).await;
    }
    let limit = ReadLimit { bytes: 1, ..NOW };
    let batch = log.read(&of.at(3), limit).await.expect("read");
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &cluster.settings.bootstrap_servers)
        .create()
        .expect("a client");
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(&topic, 0, Offset::Offset(18))
        .expect("a partition");
    admin
        .delete_records(&before, &AdminOptions::new())
        .await
        .expect("removed");
    let bounds = log.bounds(&of).await.expect("bounds");
    assert_eq!((bounds.earliest, bounds.next), (18, 20));
    // A reader that begins before what is kept.
    for gone in [0, 7, 17] {
        let answer = log.read(&of.at(gone), NOW).await;
        assert_eq!(answer.expect_err("it is gone"), LogError::OutOfRange(bounds));
    }
    // One that was there before is still given what was fetched ahead; then the gap is told, with what
    // is kept, and nothing is left out before it.
    let mut position = of.at(batch.next());
    let told = loop {
        match log.read(&position, limit).await {
            Ok(batch) => {
                assert_eq!(
                    batch.iter().next().map(|record| record.offset),
                    Some(position.offset)
                );
                position.offset = batch.next();
            }
            Err(error) => break error,
        }
    };
    assert_eq!(told, LogError::OutOfRange(bounds));
    assert!(position.offset < bounds.earliest, "{}", position.offset);
    assert_eq!(values_from(&log, &of, bounds.earliest).await.len(), 2);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compacted_topics_are_read_to_their_end() {
    let Some(cluster) = Cluster::shared("compacted_topics_are_read_to_their_end") else {
        return;
    };
    let mut settings = cluster.settings.clone();
    for (key, value) in [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
    ] {
        settings.topics.config.insert(key.into(), value.into());
    }
    let log = levada_kafka::KafkaLog::open(settings)
        .await
        .expect("the broker answers");
    let topic = format!("{}compacted", cluster.prefix);
    log.topic(&spec(&topic, 1)).await.expect("a topic");
    let of = partition(&topic, 0);
    let keyed = |n: u64| {
        let mut record = record(n.to_string());
        record.key = Some("one".into());
        // Segments end by the records' own times.
        record.timestamp = record.timestamp.plus_millis(n as i64 * 1000);
        record
    };
    let begun = std::time::Instant::now();
    let mut count = 0_u64;
    // New segments and the cleaner need time to pass; each round gives the cleaner something to do.
    let offsets = loop {
        for _ in 0..5 {
            log.append(&of, vec![keyed(count)]).await.expect("taken");
            count += 1;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut position = of.at(log.bounds(&of).await.expect("bounds").earliest);
        let end = log.bounds(&of).await.expect("bounds").next;
        let mut offsets = Vec::new();
        while position.offset < end {
            let batch = log.read(&position, NOW).await.expect("read");
            offsets.extend(batch.iter().map(|record| record.offset));
            assert!(batch.next() > position.offset, "a read before the end gets on");
            position.offset = batch.next();
        }
        if (offsets.len() as u64) < end {
            break offsets;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(90),
            "the cleaner never came"
        );
    };
    assert!(offsets.is_sorted_by(|a, b| a < b));
    assert_eq!(offsets.last(), Some(&(count - 1)));
    log.close().await;
}
