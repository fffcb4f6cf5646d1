//! A sector that the disk does not give any more is damage: reported at its place, and no more than that.

use levada_event::{Flags, Splice, TopicName};

use super::super::disk::{Disk, Open};
use super::super::scan::{Found, Scanner};
use super::super::*;
use super::sim::Sim;
use crate::Retention;

const NOW: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_around_a_lost_sector_are_read() {
    let sim = Sim::new(3);
    let mut options = EmbeddedOptions::new("/data/log");
    options.disk = Arc::new(sim.clone());
    options.maintain_every = None;
    options.segment_bytes = 1 << 30;
    options.hot_bytes = 0;
    let log = Embedded::open(options).unwrap();
    let spec = TopicSpec {
        name: TopicName::new("t").unwrap(),
        partitions: 1,
        retention: Retention {
            age: None,
            bytes: None,
        },
    };
    log.topic(&spec).await.unwrap();
    let of = TopicPartition::new(spec.name, 0);
    for number in 0..200 {
        let record = Record {
            key: None,
            value: format!("{number}:{}", "x".repeat(2000)).into(),
            timestamp: Timestamp::from_millis(0),
            splice: Splice::UNKNOWN,
            flags: Flags::NONE,
        };
        log.append(&of, vec![record]).await.unwrap();
    }
    sim.lose_bytes(".seg", 100 << 10..104 << 10);
    let mut read = Vec::new();
    let mut lost = Vec::new();
    let mut next = 0;
    while next < 200 {
        match log.read(&of.at(next), NOW).await {
            Ok(batch) => {
                read.extend(batch.iter().map(|record| record.offset));
                next = batch.next();
            }
            Err(LogError::Corrupt { .. }) => {
                lost.push(next);
                next += 1;
            }
            Err(other) => panic!("{other:?} at {next}"),
        }
    }
    assert!((48..=50).contains(&lost[0]), "all before it are read: {lost:?}");
    assert!(read.contains(&199) && read.contains(&47));
    // What shares a stretch of the index with it behind it is not found.
    assert!(lost.len() < 40, "{lost:?}");
    assert_eq!(read.len() + lost.len(), 200);
    // Checks and exports walk the file: they have all blocks up to the sector, and fail there.
    log.close().await;
    let path = &sim.find(".seg")[0];
    let file = sim.open(path, Open::Existing).unwrap();
    let place = block::place(&log.facts().id, "t", 0);
    let mut scanner = Scanner::new(&*file, place, 0, 0, file.len().unwrap());
    let mut walked = 0;
    while let Ok(Some(Found::Block { header, .. })) = scanner.step() {
        walked = header.end();
    }
    assert_eq!(walked, lost[0]);
    assert!(scanner.step().is_err());
}
