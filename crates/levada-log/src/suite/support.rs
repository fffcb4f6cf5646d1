//! What the promises share: topics of their own, records with known content, reading to the end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_event::{
    Flags, Offset, Position, Record, RecordBatch, Splice, Timestamp, TopicName, TopicPartition,
};

use super::Subject;
use crate::{Log, LogError, ReadLimit, Retention, TopicSpec};

pub(super) const FOR_EVER: Retention = Retention {
    age: None,
    bytes: None,
};

/// At once, whatever is there.
pub(super) const NOW: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

pub(super) fn topic_name(subject: &dyn Subject, name: &str) -> TopicName {
    TopicName::new(&format!("{}{name}", subject.prefix())).expect("the suite's names are well formed")
}

pub(super) fn spec(subject: &dyn Subject, name: &str, partitions: u32, retention: Retention) -> TopicSpec {
    TopicSpec {
        name: topic_name(subject, name),
        partitions,
        retention,
    }
}

/// Declares a topic and names its partitions.
pub(super) async fn declare(
    subject: &dyn Subject,
    name: &str,
    partitions: u32,
    retention: Retention,
) -> Vec<TopicPartition> {
    let spec = spec(subject, name, partitions, retention);
    let info = subject.log().topic(&spec).await.expect("a topic can be declared");
    assert_eq!(info.partitions, partitions);
    (0..partitions)
        .map(|partition| TopicPartition::new(spec.name.clone(), partition))
        .collect()
}

/// Declares a topic of one partition that keeps everything.
pub(super) async fn one(subject: &dyn Subject, name: &str) -> TopicPartition {
    declare(subject, name, 1, FOR_EVER).await.swap_remove(0)
}

pub(super) fn record(value: impl AsRef<[u8]>, millis: i64) -> Record {
    Record {
        key: None,
        value: Bytes::copy_from_slice(value.as_ref()),
        timestamp: Timestamp::from_millis(millis),
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
    }
}

pub(super) fn texts(batch: &RecordBatch) -> Vec<String> {
    batch
        .iter()
        .map(|record| String::from_utf8_lossy(record.value).into_owned())
        .collect()
}

pub(super) async fn append(log: &Arc<dyn Log>, to: &TopicPartition, values: &[&str]) -> Offset {
    let records = values.iter().map(|value| record(value, 0)).collect();
    log.append(to, records).await.expect("the append is taken")
}

/// Everything from the oldest record kept to the end: offset, timestamp and value.
pub(super) async fn read_all(log: &Arc<dyn Log>, of: &TopicPartition) -> Vec<(Offset, i64, Bytes)> {
    let bounds = log.bounds(of).await.expect("the partition has bounds");
    let mut position = of.at(bounds.earliest);
    let mut all = Vec::new();
    while position.offset < bounds.next {
        let batch = match log.read(&position, NOW).await {
            // Retention may run beside the test; what should be there is the test's business.
            Err(LogError::OutOfRange(bounds)) if bounds.earliest > position.offset => {
                position.offset = bounds.earliest;
                continue;
            }
            other => other.expect("what is kept can be read"),
        };
        let from = all.len();
        for (i, record) in batch.iter().enumerate() {
            assert!(record.offset >= position.offset, "a read never goes back");
            let value = batch.value(i).expect("the record has a value");
            all.push((record.offset, record.timestamp.as_millis(), value));
        }
        assert!(
            all.len() > from || batch.next() > position.offset,
            "a read before the end gets on"
        );
        position.offset = batch.next();
    }
    all
}

pub(super) async fn values(log: &Arc<dyn Log>, of: &TopicPartition) -> Vec<String> {
    let all = read_all(log, of).await;
    all.iter()
        .map(|(_, _, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// Reads one batch, waiting as long as the subject's patience.
pub(super) async fn patiently(
    subject: &dyn Subject,
    log: &Arc<dyn Log>,
    from: &Position,
) -> Result<RecordBatch, LogError> {
    let limit = ReadLimit {
        wait: subject.patience(),
        ..NOW
    };
    log.read(from, limit).await
}

/// Appends records of a kilobyte until the subject's unit of removal is surely full, one append each,
/// with values that do not get smaller by packing. Answers how many.
pub(super) async fn fill(subject: &dyn Subject, to: &TopicPartition, mark: &str) -> usize {
    let log = subject.log();
    let count = subject.bytes_to_roll() / 1024 + 2;
    let mut state = 1_u64;
    for i in 0..count {
        let noise = (0..1000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let mut value = format!("{mark}{i}").into_bytes();
        value.extend(noise);
        let value = record(value, 0);
        log.append(to, vec![value]).await.expect("the append is taken");
    }
    count
}
