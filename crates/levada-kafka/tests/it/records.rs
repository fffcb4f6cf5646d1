//! Records with known content, and reading them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_event::{Flags, Offset, Record, RecordBatch, Splice, Timestamp, TopicName, TopicPartition};
use levada_kafka::KafkaLog;
use levada_log::{Log, ReadLimit, Retention, TopicSpec};
use tokio::task::JoinHandle;

/// At once, whatever is there.
pub const NOW: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

/// As long as a test waits for what must come.
pub const PATIENTLY: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::from_secs(60),
};

pub fn record(value: impl Into<Bytes>) -> Record {
    Record {
        key: None,
        value: value.into(),
        timestamp: Timestamp::from_millis(1_700_000_000_000),
        splice: Splice::UNKNOWN,
        flags: Flags::CHECKED,
    }
}

pub fn spec(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec {
        name: TopicName::new(name).expect("a name of a topic"),
        partitions,
        retention: Retention {
            age: None,
            bytes: None,
        },
    }
}

pub fn partition(name: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(TopicName::new(name).expect("a name of a topic"), partition)
}

pub async fn append(log: &dyn Log, to: &TopicPartition, values: &[&str]) -> Offset {
    let records = values.iter().map(|value| record(value.to_string())).collect();
    log.append(to, records).await.expect("the append is taken")
}

/// So many bytes of text that hardly gets smaller when it is compressed.
pub fn noise(bytes: usize) -> String {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (state >> 16) as u8 % 90)
    });
    noise.take(bytes).collect()
}

/// The values of a batch as text.
pub fn texts(batch: &RecordBatch) -> impl Iterator<Item = String> {
    batch
        .iter()
        .map(|record| String::from_utf8_lossy(record.value).into_owned())
}

/// A reader that waits for records from `from` on until it has `count` of them and stands at `end` or
/// beyond. Gives their values and where it stands then.
pub fn follow(
    log: &Arc<KafkaLog>,
    of: &TopicPartition,
    from: Offset,
    count: usize,
    end: Offset,
) -> JoinHandle<(Vec<String>, Offset)> {
    let (log, mut position) = (log.clone(), of.at(from));
    tokio::spawn(async move {
        let mut values = Vec::new();
        while values.len() < count || position.offset < end {
            let batch = log.read(&position, PATIENTLY).await.expect("read");
            values.extend(texts(&batch));
            position.offset = batch.next();
        }
        (values, position.offset)
    })
}

/// Waits until so many partitions are followed live.
pub async fn followed(log: &KafkaLog, partitions: usize) {
    while log.stats().lag.len() < partitions {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All values from `from` to the end as it was when this began, as text.
pub async fn values_from(log: &dyn Log, of: &TopicPartition, from: Offset) -> Vec<String> {
    let end = log.bounds(of).await.expect("bounds").next;
    let mut position = of.at(from);
    let mut values = Vec::new();
    while position.offset < end {
        let batch = log.read(&position, NOW).await.expect("what is kept can be read");
        values.extend(texts(&batch));
        assert!(batch.next() > position.offset, "a read before the end gets on");
        position.offset = batch.next();
    }
    values
}
