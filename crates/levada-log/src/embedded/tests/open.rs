//! Opening and closing.

use levada_event::{Flags, Splice, TopicName};

use super::super::*;
use crate::Retention;

fn options(dir: &tempfile::TempDir) -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new(dir.path().join("log"));
    options.maintain_every = None;
    options
}

fn spec(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec {
        name: TopicName::new(name).unwrap(),
        partitions,
        retention: Retention {
            age: None,
            bytes: None,
        },
    }
}

fn record(value: &str) -> Record {
    Record {
        key: None,
        value: bytes::Bytes::copy_from_slice(value.as_bytes()),
        timestamp: Timestamp::from_millis(0),
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
    }
}

#[tokio::test]
async fn two_logs_on_one_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = Embedded::open(options(&dir)).unwrap();
    let Err(error) = Embedded::open(options(&dir)) else {
        panic!("the directory is in use");
    };
    let OpenError::Locked { pid, .. } = &error else {
        panic!("not {error}");
    };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains("in use by another process (pid"));
    first.close().await;
    Embedded::open(options(&dir)).unwrap();
}

#[tokio::test]
async fn other_formats_and_other_directories_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Embedded::open(options(&dir)).unwrap());
    let root = dir.path().join("log");
    std::fs::write(root.join("FORMAT_VERSION"), "levada-log 2\n").unwrap();
    assert!(matches!(
        Embedded::open(options(&dir)).err(),
        Some(OpenError::Version { found, .. }) if found == "levada-log 2"
    ));
    std::fs::remove_file(root.join("FORMAT_VERSION")).unwrap();
    std::fs::create_dir(root.join("topics/t")).unwrap();
    assert!(matches!(
        Embedded::open(options(&dir)).err(),
        Some(OpenError::NotALog { .. })
    ));
    std::fs::remove_dir(root.join("topics/t")).unwrap();
    Embedded::open(options(&dir)).unwrap();
    std::fs::write(root.join("LOG_ID"), "what").unwrap();
    assert!(matches!(
        Embedded::open(options(&dir)).err(),
        Some(OpenError::NotALog { .. })
    ));
}

#[tokio::test]
async fn a_closed_log_refuses_appends_and_keeps_what_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let log = Embedded::open(options(&dir)).unwrap();
    log.topic(&spec("t", 1)).await.unwrap();
    let to = TopicPartition::new(TopicName::new("t").unwrap(), 0);
    // Appends that wait when the log closes are still written.
    let waiting: Vec<_> = (0..50)
        .map(|i| {
            let (log, to) = (log.clone(), to.clone());
            tokio::spawn(async move { log.append(&to, vec![record(&i.to_string())]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    log.close().await;
    let mut taken = 0;
    for append in waiting {
        match append.await.unwrap() {
            Ok(_) => taken += 1,
            Err(LogError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(
        log.append(&to, vec![record("late")]).await,
        Err(LogError::Unavailable(_))
    ));
    assert!(matches!(
        log.topic(&spec("late", 1)).await,
        Err(LogError::Unavailable(_))
    ));
    let log = Embedded::open(options(&dir)).unwrap();
    assert_eq!(log.bounds(&to).await.unwrap().next, taken);
    assert_eq!(log.topics(), [spec("t", 1)]);
}

#[tokio::test]
async fn a_topic_whose_file_is_damaged_is_refused_and_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let log = Embedded::open(options(&dir)).unwrap();
    let to = TopicPartition::new(TopicName::new("t").unwrap(), 1);
    log.topic(&spec("t", 2)).await.unwrap();
    log.topic(&spec("sound", 1)).await.unwrap();
    log.append(&to, vec![record("a")]).await.unwrap();
    log.close().await;
    let file = dir.path().join("log/topics/t/topic");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"levada-topic 1\npartitions 3\n").unwrap();
    let log = Embedded::open(options(&dir)).unwrap();
    assert!(matches!(
        log.append(&to, vec![record("b")]).await,
        Err(LogError::Poisoned(_))
    ));
    assert!(matches!(log.bounds(&to).await, Err(LogError::Corrupt { .. })));
    assert!(matches!(
        log.topic(&spec("t", 2)).await,
        Err(LogError::Unavailable(_))
    ));
    assert_eq!(log.stats().damaged_topics.len(), 1);
    assert_eq!(log.topics(), [spec("sound", 1)]);
    log.close().await;
    std::fs::write(&file, good).unwrap();
    let log = Embedded::open(options(&dir)).unwrap();
    assert_eq!(log.bounds(&to).await.unwrap().next, 1);
}

#[tokio::test]
async fn numbers_of_partitions_have_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let log = Embedded::open(options(&dir)).unwrap();
    for partitions in [0, levada_event::limits::PARTITIONS_MAX + 1] {
        let refused = log.topic(&spec("t", partitions)).await;
        assert!(matches!(refused, Err(LogError::Unavailable(_))));
    }
    assert!(log.topics().is_empty());
}

#[tokio::test]
async fn stats_tell_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let log = Embedded::open(options(&dir)).unwrap();
    log.topic(&spec("t", 2)).await.unwrap();
    let to = TopicPartition::new(TopicName::new("t").unwrap(), 1);
    log.append(&to, vec![record("a"), record("b")]).await.unwrap();
    log.append(&to, vec![record("c")]).await.unwrap();
    let stats = log.stats();
    assert_eq!((stats.records, stats.blocks, stats.syncs.count), (3, 2, 2));
    assert_eq!(stats.syncs.buckets.iter().sum::<u64>(), 2);
    assert_eq!(stats.partitions.len(), 1);
    let of = &stats.partitions[0];
    assert_eq!(
        (of.of.clone(), of.bounds, of.segments),
        (to, Bounds { earliest: 0, next: 3 }, 1)
    );
    assert_eq!((of.bytes, stats.bytes), (2 * 72 + 3 * 25, 2 * 72 + 3 * 25));
    assert!(of.last_appended.is_some() && of.poisoned.is_none());
}
