//! What other programs write and read on the same cluster.

use std::time::Duration;

use bytes::Bytes;
use levada_event::{Flags, Record, Splice, Timestamp};
use levada_log::{Log, Partitioner, partition_of};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::cluster::Cluster;
use super::records::{NOW, partition, record, spec};

fn client(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.settings.bootstrap_servers);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_foreign_producers_are_read() {
    let Some(cluster) = Cluster::shared("records_of_foreign_producers_are_read") else {
        return;
    };
    let log = cluster.log().await;
    let topic = format!("{}foreign", cluster.prefix);
    log.topic(&spec(&topic, 1)).await.expect("a topic");
    let producer: BaseProducer = client(&cluster).create().expect("a producer");
    let of = |value: Option<&'static [u8]>, key: Option<&'static [u8]>, header: Option<&str>| {
        let mut message = BaseRecord::<[u8], [u8]>::to(&topic)
            .partition(0)
            .timestamp(1_600_000_000_000);
        message.payload = value;
        message.key = key;
        message.headers = header.map(|value| {
            OwnedHeaders::new().insert(Header {
                key: "levada",
                value: Some(value),
            })
        });
        producer
            .send(message)
            .map_err(|(error, _)| error)
            .expect("queued");
    };
    of(Some(b"{\"plain\":1}"), Some(b"key"), None);
    of(None, Some(b"tombstone"), None);
    of(Some(b""), None, None);
    of(Some(b"not \xff json\n\0"), Some(b""), Some("nonsense"));
    // A header that speaks of another value, as a tool leaves it that changes values.
    of(Some(b"{}"), None, Some("0000000100000002deadbeef"));
    producer.flush(Duration::from_secs(30)).expect("delivered");
    let batch = log.read(&partition(&topic, 0).at(0), NOW).await.expect("read");
    let read: Vec<_> = batch.iter().map(|r| (r.key, r.value)).collect();
    let expected: [(Option<&[u8]>, &[u8]); 5] = [
        (Some(b"key"), b"{\"plain\":1}"),
        (Some(b"tombstone"), b""),
        (None, b""),
        (Some(b""), b"not \xff json\n\0"),
        (None, b"{}"),
    ];
    assert_eq!(read, expected);
    for record in batch.iter() {
        assert_eq!((record.splice, record.flags), (Splice::UNKNOWN, Flags::NONE));
        assert_eq!(record.timestamp.as_millis(), 1_600_000_000_000);
    }
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_consumers_see_keys_values_and_times() {
    let Some(cluster) = Cluster::shared("foreign_consumers_see_keys_values_and_times") else {
        return;
    };
    let log = cluster.log().await;
    let topic = format!("{}seen", cluster.prefix);
    log.topic(&spec(&topic, 50)).await.expect("a topic");
    let keyed = Record {
        key: Some(Bytes::from_static(b"{\"wiki_id\":\"enwiki\",\"page_id\":123}")),
        timestamp: Timestamp::from_millis(1_756_449_917_001),
        splice: Splice::at(8),
        ..record(r#"{"meta":{}}"#)
    };
    let hasty = Record {
        key: None,
        ..keyed.clone()
    };
    let to = partition(&topic, 37);
    log.append(&to, vec![keyed.clone()]).await.expect("taken");
    log.append_hasty(&to, vec![hasty]).await.expect("taken");
    let consumer: BaseConsumer = client(&cluster)
        .set("group.id", "foreign")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..50 {
        list.add_partition_offset(&topic, partition, Offset::Beginning)
            .expect("a partition");
    }
    consumer.assign(&list).expect("assigned");
    for key in [keyed.key.as_deref(), None] {
        let message = loop {
            if let Some(message) = consumer.poll(Duration::from_secs(30)) {
                break message.expect("a message");
            }
        };
        assert_eq!((message.partition(), message.key()), (37, key));
        assert_eq!(message.payload(), Some(&keyed.value[..]));
        assert_eq!(message.timestamp().to_millis(), Some(1_756_449_917_001));
        let headers = message.headers().expect("our header");
        assert_eq!((headers.count(), headers.get(0).key), (1, "levada"));
    }
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_where_librdkafka_and_java_put_them() {
    let Some(cluster) = Cluster::shared("keys_go_where_librdkafka_and_java_put_them") else {
        return;
    };
    let log = cluster.log().await;
    for (name, by) in [
        ("consistent_random", Partitioner::ConsistentRandom),
        ("murmur2_random", Partitioner::Murmur2),
    ] {
        let topic = format!("{}{name}", cluster.prefix);
        log.topic(&spec(&topic, 50)).await.expect("a topic");
        let producer: BaseProducer = client(&cluster)
            .set("partitioner", name)
            .create()
            .expect("a producer");
        for i in 0..300 {
            let key = format!("{{\"page_id\":{i},\"wiki_id\":\"wiki{}\"}}", i % 7);
            let message = BaseRecord::<str, str>::to(&topic).key(&key).payload("{}");
            producer
                .send(message)
                .map_err(|(error, _)| error)
                .expect("queued");
        }
        producer.flush(Duration::from_secs(30)).expect("delivered");
        let mut seen = 0;
        for number in 0..50 {
            let of = partition(&topic, number);
            if log.bounds(&of).await.expect("bounds").next == 0 {
                continue;
            }
            let batch = log.read(&of.at(0), NOW).await.expect("read");
            for record in batch.iter() {
                let ours = partition_of(record.key, 50, by, || unreachable!("a key decides"));
                assert_eq!(ours, number, "{name}: {:?}", record.key);
                seen += 1;
            }
        }
        assert_eq!(seen, 300, "{name}");
    }
    log.close().await;
}
