//! Segments that an earlier program wrote, kept for ever under `fixtures/`: every later program reads
//! them. A new version of the format gets a folder of its own beside them.
//!
//! `UPDATE_EXPECT=1` writes the folder of the present version if it is not there; one that is there is
//! never changed.

use std::path::{Path, PathBuf};

use levada_event::{Flags, Splice, TopicName};

use super::super::*;
use crate::Retention;
use crate::clock::ManualClock;

const RECORDS: u64 = 60;
const START: i64 = 1_700_000_000_000;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/format-1")
}

fn partition(topic: &str) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), 0)
}

/// A record of each kind: with and without key, splice position and flag; times out of order.
fn record(number: u64) -> Record {
    Record {
        key: (!number.is_multiple_of(3)).then(|| format!("key {}", number % 5).into()),
        value: format!(
            "{{\"n\":{number},\"text\":\"{}\"}}",
            "levada ".repeat(number as usize % 9)
        )
        .into(),
        timestamp: Timestamp::from_millis(START - 1000 * (number as i64 * 7 % 13)),
        splice: if number.is_multiple_of(2) {
            Splice::at(1)
        } else {
            Splice::UNKNOWN
        },
        flags: if number.is_multiple_of(4) {
            Flags::from_raw(1)
        } else {
            Flags::NONE
        },
    }
}

/// Writes the topics `plain` and `packed` at `path`.
async fn write(path: &Path) {
    // Packing is the work of a whole log: what is to stay plain is written last.
    for topic in ["packed", "plain"] {
        let mut options = EmbeddedOptions::new(path);
        let clock = ManualClock::at(Timestamp::from_millis(START));
        options.clock = clock.clock();
        options.maintain_every = None;
        options.committers = 1;
        options.segment_bytes = 2000;
        options.compress = topic == "packed";
        options.id = Some("f00dcafe".into());
        let log = Embedded::open(options).unwrap();
        let spec = TopicSpec {
            name: TopicName::new(topic).unwrap(),
            partitions: 2,
            retention: Retention {
                age: Some(Duration::from_secs(604_800)),
                bytes: None,
            },
        };
        log.topic(&spec).await.unwrap();
        for first in (0..RECORDS).step_by(3) {
            let records = (first..first + 3).map(record).collect();
            log.append(&partition(topic), records).await.unwrap();
            clock.advance(Duration::from_secs(1));
        }
        if topic == "packed" {
            log.maintain();
        }
        log.close().await;
    }
    std::fs::remove_file(path.join("LOCK")).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn segments_of_format_1_are_read_for_ever() {
    if std::env::var_os("UPDATE_EXPECT").is_some() && !fixture().exists() {
        write(&fixture()).await;
    }
    // A start may write; the kept files stay as they are.
    let dir = tempfile::tempdir().unwrap();
    for file in files(&fixture()) {
        let copy = dir.path().join(file.strip_prefix(fixture()).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(file, copy).unwrap();
    }
    let mut options = EmbeddedOptions::new(dir.path());
    options.maintain_every = None;
    let log = Embedded::open(options).unwrap();
    assert_eq!(log.facts().id, "f00dcafe");
    assert_eq!(log.topics().len(), 2);
    for topic in ["plain", "packed"] {
        let of = partition(topic);
        assert_eq!(log.bounds(&of).await.unwrap().next, RECORDS);
        let mut next = 0;
        while next < RECORDS {
            let limit = ReadLimit {
                bytes: 1 << 20,
                wait: Duration::ZERO,
            };
            let batch = log.read(&of.at(next), limit).await.unwrap();
            for found in batch.iter() {
                let expected = record(found.offset);
                assert_eq!(found.offset, next);
                assert_eq!(found.key, expected.key.as_deref());
                assert_eq!(found.value, &expected.value[..]);
                assert_eq!(found.timestamp, expected.timestamp);
                assert_eq!((found.splice, found.flags), (expected.splice, expected.flags));
                next += 1;
            }
        }
        assert_eq!(log.append(&of, vec![record(0)]).await.unwrap(), RECORDS);
    }
    let packed = files(&fixture().join("topics/packed"));
    let zstd = [0x28, 0xb5, 0x2f, 0xfd];
    let holds = |path: &PathBuf| std::fs::read(path).unwrap().windows(4).any(|four| four == zstd);
    assert!(packed.iter().any(holds), "some of it is packed");
}

#[tokio::test]
async fn the_same_records_are_written_as_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path()).await;
    // What is packed depends on the version of zstd.
    let kept: Vec<_> = files(&fixture())
        .into_iter()
        .filter(|file| !file.to_string_lossy().contains("/packed/0/"))
        .collect();
    assert!(kept.len() > 8, "{kept:?}");
    for file in kept {
        let written = dir.path().join(file.strip_prefix(fixture()).unwrap());
        let same = std::fs::read(&written).unwrap() == std::fs::read(&file).unwrap();
        assert!(same, "{} has another content", written.display());
    }
}
