//! The order of the keeper's work: what cannot wait is never behind packing, and all partitions have a turn.

use levada_event::{Flags, Splice, TopicName};

use super::super::*;
use super::sim::Sim;
use crate::Retention;

const SEGMENT_BYTES: u64 = 4096;

async fn append(log: &Arc<Embedded>, to: u32, count: u64) {
    for number in 0..count {
        let record = Record {
            key: None,
            value: format!("{number}:{}", "x".repeat(200)).into(),
            timestamp: Timestamp::from_millis(0),
            splice: Splice::UNKNOWN,
            flags: Flags::NONE,
        };
        log.append(&of(to), vec![record]).await.unwrap();
    }
}

fn of(partition: u32) -> TopicPartition {
    TopicPartition::new(TopicName::new("t").unwrap(), partition)
}

/// Sealed segments that are packed, and all there are.
fn packed(log: &Embedded, partition: u32) -> (usize, usize) {
    let partition = log.engine.partition(&of(partition)).unwrap();
    let (disk, open) = (&*log.engine.disk, &log.engine.open_segments);
    let sealed = partition.spots().into_iter().map(|spot| spot.segment);
    let sealed: Vec<_> = sealed.filter(|segment| segment.is_sealed()).collect();
    let packed = sealed
        .iter()
        .filter(|segment| segment.rewritten(disk, open))
        .count();
    (packed, sealed.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packing_takes_turns_and_what_is_due_comes_first() {
    let sim = Sim::new(1);
    let clock = crate::clock::ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let mut options = EmbeddedOptions::new("/data/log");
    options.disk = Arc::new(sim.clone());
    options.maintain_every = None;
    options.segment_bytes = SEGMENT_BYTES;
    options.compress = true;
    options.clock = clock.clock();
    let log = Embedded::open(options).unwrap();
    let age = Duration::from_secs(3600);
    let spec = TopicSpec {
        name: TopicName::new("t").unwrap(),
        partitions: 2,
        retention: Retention {
            age: Some(age),
            bytes: None,
        },
    };
    log.topic(&spec).await.unwrap();
    append(&log, 1, 100).await;
    clock.advance(age * 2);
    append(&log, 0, 100).await;
    append(&log, 1, 100).await;
    let in_the_past = packed(&log, 1).1;
    // A turn whose time is over as soon as it packs.
    keeper::maintain_within(&log.engine, Some(Duration::ZERO));
    assert!(packed(&log, 1).1 < in_the_past, "retention is not behind packing");
    assert!(packed(&log, 0).1 > 2 && packed(&log, 1).1 > 2);
    assert_eq!((packed(&log, 0).0, packed(&log, 1).0), (1, 0));
    keeper::maintain_within(&log.engine, Some(Duration::ZERO));
    assert_eq!((packed(&log, 0).0, packed(&log, 1).0), (1, 1));
    log.maintain();
    for partition in [0, 1] {
        let (packed, sealed) = packed(&log, partition);
        assert_eq!(packed, sealed);
    }
}
