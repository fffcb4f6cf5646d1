//! What a broker removes by itself, by age and by size: the promises of the contract suite that need a
//! clock which can be moved, tried here with short times.

use std::time::{Duration, Instant, SystemTime};

use levada_event::{Bounds, Offset, Record, Timestamp, TopicPartition};
use levada_kafka::KafkaLog;
use levada_kafka_broker::Broker;
use levada_log::{Log, LogError, ReadLimit, Retention};

use super::cluster::settings;
use super::records::{NOW, noise, partition, record, spec};

/// Looks for what may go several times a second, from its start on.
const EAGER: &str = "log.initial.task.delay.ms=100\nlog.retention.check.interval.ms=200";

const AGE: Duration = Duration::from_secs(2);

/// As long as the broker may take for what it does several times a second.
const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

fn dated(value: String, timestamp: Timestamp) -> Record {
    Record {
        timestamp,
        ..record(value)
    }
}

/// Makes a topic of one partition that is kept like this.
async fn declare(log: &KafkaLog, name: &str, retention: Retention) -> TopicPartition {
    let mut wanted = spec(name, 1);
    wanted.retention = retention;
    log.topic(&wanted).await.expect("a topic");
    partition(name, 0)
}

/// The bounds, once they are as they should be.
async fn bounds(log: &KafkaLog, of: &TopicPartition, fit: impl Fn(Bounds) -> bool) -> Bounds {
    let begun = Instant::now();
    loop {
        let bounds = log.bounds(of).await.expect("bounds");
        if fit(bounds) {
            return bounds;
        }
        assert!(begun.elapsed() < PATIENCE, "{bounds:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a reader was given and what it was told is gone, from offset 0 to `end`, in order.
#[derive(Debug, Default)]
struct Seen {
    given: usize,
    gaps: Vec<(Offset, Offset)>,
}

/// Reads record by record, more slowly than the broker removes, until it stands at `end`. Fails when
/// anything is passed over that is neither given nor told.
async fn read_slowly(log: &KafkaLog, of: &TopicPartition, end: Offset) -> Seen {
    let limit = ReadLimit { bytes: 1, ..NOW };
    let mut seen = Seen::default();
    let mut from = 0;
    while from < end {
        match log.read(&of.at(from), limit).await {
            Ok(batch) => {
                for record in batch.iter() {
                    assert_eq!(record.offset, from, "nothing is passed over in silence");
                    from += 1;
                    seen.given += 1;
                }
                assert_eq!(batch.next(), from, "there are no holes");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(LogError::OutOfRange(now)) => {
                assert!(now.earliest > from, "{now:?} has {from}");
                seen.gaps.push((from, now.earliest));
                from = now.earliest;
            }
            Err(error) => panic!("{error}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_removes_is_a_gap_with_bounds() {
    let Some(jars) = levada_kafka_broker::jars("what_the_broker_removes_is_a_gap_with_bounds") else {
        return;
    };
    let mut broker = Broker::start(&jars, EAGER).expect("the broker starts");
    let mut settings = settings(&broker.address());
    for (key, value) in [("segment.ms", "500"), ("segment.bytes", "1048576")] {
        settings.topics.config.insert(key.into(), value.into());
    }
    let log = KafkaLog::open(settings.clone())
        .await
        .expect("the broker answers");
    let by = |age, bytes| Retention { age, bytes };
    let aging = declare(&log, "aging", by(Some(AGE), None)).await;
    let sized = declare(&log, "sized", by(None, Some(1 << 20))).await;
    let old = declare(&log, "old", by(Some(Duration::from_secs(3600)), None)).await;

    // By age: the broker removes while a reader is in the middle of it.
    const COUNT: Offset = 25;
    let padding = noise(200_000);
    let writing = async {
        for i in 0..COUNT {
            let record = dated(format!("{i}{padding}"), now());
            assert_eq!(log.append(&aging, vec![record]).await, Ok(i));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (seen, ()) = tokio::join!(read_slowly(&log, &aging, COUNT), writing);
    // How much of it was fetched before it went is a matter of luck; `read_slowly` minds that all of it was
    // given or told. A process that has fetched nothing yet is told in any case.
    assert!(seen.given > 0, "{seen:?}");
    bounds(&log, &aging, |bounds| bounds.earliest > 0).await;
    let late = KafkaLog::open(settings.clone())
        .await
        .expect("the broker answers");
    let gone = late.read(&aging.at(0), NOW).await;
    assert!(
        matches!(gone, Err(LogError::OutOfRange(now)) if now.earliest > 0),
        "{gone:?}"
    );
    late.close().await;

    // By size: the oldest go, and a reader and a time seek see only what is kept.
    let first = now();
    for i in 0..30 {
        let time = first.plus_millis(i);
        let record = dated(format!("{i}{padding}"), time);
        log.append(&sized, vec![record]).await.expect("taken");
    }
    let kept = bounds(&log, &sized, |bounds| bounds.earliest > 15).await;
    assert_eq!(kept.next, 30);
    let gone = log.read(&sized.at(0), NOW).await;
    assert_eq!(gone.expect_err("it is gone"), LogError::OutOfRange(kept));
    let found = log.offset_at(&sized, first).await.expect("found");
    assert_eq!(found, Some(kept.earliest));
    let batch = log.read(&sized.at(kept.earliest), NOW).await.expect("it is kept");
    assert_eq!(
        batch.iter().next().map(|record| record.offset),
        Some(kept.earliest)
    );

    // Age counts from the events' own time: one of 2001 goes although an hour is kept.
    let time = Timestamp::from_millis(1_000_000_000_000);
    log.append(&old, vec![dated("2001".into(), time)])
        .await
        .expect("taken");
    bounds(&log, &old, |bounds| (bounds.earliest, bounds.next) == (1, 1)).await;
    assert_eq!(log.offset_at(&old, time).await, Ok(None));

    // All of it goes in the end; its offsets are not used again, also by a broker that starts anew.
    let ended = bounds(&log, &aging, |bounds| bounds.earliest == bounds.next).await;
    assert_eq!(ended.next, COUNT);
    log.close().await;
    broker.stop().expect("stopped");
    broker.start_again().expect("the broker starts");
    let log = KafkaLog::open(settings).await.expect("the broker answers");
    assert_eq!(
        log.append(&aging, vec![dated("next".into(), now())]).await,
        Ok(COUNT)
    );
    let gone = log.read(&aging.at(COUNT - 1), NOW).await;
    assert!(matches!(gone, Err(LogError::OutOfRange(_))), "{gone:?}");
    log.close().await;
}
