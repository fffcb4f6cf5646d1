use std::time::Duration;

use levada_event::{Flags, Splice};

use super::*;

fn record(value: &str, at: i64) -> Record {
    Record {
        key: None,
        value: Bytes::copy_from_slice(value.as_bytes()),
        timestamp: Timestamp::from_millis(at),
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
    }
}

fn spec(name: &str) -> TopicSpec {
    TopicSpec {
        name: TopicName::new(name).unwrap(),
        partitions: 2,
        retention: Retention {
            age: None,
            bytes: None,
        },
    }
}

const NOW: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

#[tokio::test]
async fn offsets_have_holes_and_reads_step_over_them() {
    let log = Memory::default();
    log.topic(&spec("t")).await.unwrap();
    let to = TopicPartition::new(TopicName::new("t").unwrap(), 1);
    for i in 0..7 {
        log.append(&to, vec![record(&i.to_string(), i)]).await.unwrap();
    }
    let batch = log.read(&to.at(0), NOW).await.unwrap();
    let offsets: Vec<_> = batch.iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 4, 5, 6, 8]);
    assert_eq!(log.read(&to.at(3), NOW).await.unwrap().get(0).unwrap().offset, 4);
    assert_eq!(batch.next(), 9);
}

#[tokio::test]
async fn injected_failures_come_once_and_in_order() {
    let log = Memory::default();
    log.topic(&spec("t")).await.unwrap();
    let to = TopicPartition::new(TopicName::new("t").unwrap(), 0);
    log.fail_next_append(LogError::Unavailable("full".into()));
    log.append_but_answer(LogError::Indeterminate("gone".into()));
    let one = || vec![record("a", 0)];
    assert!(matches!(
        log.append(&to, one()).await,
        Err(LogError::Unavailable(_))
    ));
    assert_eq!(log.bounds(&to).await.unwrap().next, 0);
    assert!(matches!(
        log.append(&to, one()).await,
        Err(LogError::Indeterminate(_))
    ));
    assert_eq!(log.append(&to, one()).await, Ok(1));
    log.damage(&to.at(1), "rot");
    assert_eq!(log.read(&to.at(0), NOW).await.unwrap().len(), 1);
    assert!(matches!(log.read(&to.at(1), NOW).await, Err(LogError::Corrupt { at, .. }) if at.offset == 1));
    log.trim(&to, 1);
    assert!(matches!(log.read(&to.at(0), NOW).await, Err(LogError::OutOfRange(b)) if b.earliest == 1));
}
