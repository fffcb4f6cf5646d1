//! Faults of the disk one by one: what the caller is told, what stays readable, what works afterwards.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use levada_event::{Flags, Splice, TopicName};

use super::super::*;
use super::sim::Sim;
use crate::Retention;

const NOW: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

fn options(sim: &Sim) -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new("/data/log");
    options.disk = Arc::new(sim.clone());
    options.committers = 0;
    options.maintain_every = None;
    options.segment_bytes = 4096;
    options.hot_bytes = 0;
    options.id = Some("0badcafe".into());
    options
}

fn open(sim: &Sim) -> Arc<Embedded> {
    Embedded::open(options(sim)).unwrap()
}

fn spec() -> TopicSpec {
    TopicSpec {
        name: TopicName::new("t").unwrap(),
        partitions: 2,
        retention: Retention {
            age: None,
            bytes: None,
        },
    }
}

async fn declare(log: &Embedded) {
    log.topic(&spec()).await.unwrap();
}

async fn fresh(sim: &Sim) -> Arc<Embedded> {
    let log = open(sim);
    declare(&log).await;
    log
}

fn partition(number: u32) -> TopicPartition {
    TopicPartition::new(TopicName::new("t").unwrap(), number)
}

fn value(number: u64) -> bytes::Bytes {
    format!("{number}:{}", "x".repeat(100 + number as usize % 50)).into()
}

async fn append(log: &Embedded, to: u32, number: u64) -> Result<Offset, LogError> {
    let record = Record {
        key: None,
        value: value(number),
        timestamp: Timestamp::from_millis(number as i64),
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
    };
    let to = partition(to);
    let mut append = std::pin::pin!(tokio::task::unconstrained(log.append(&to, vec![record])));
    if let Poll::Ready(outcome) = append.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return outcome;
    }
    log.commit_now();
    append.await
}

/// The first record from `offset` on.
async fn value_at(log: &Embedded, of: u32, offset: Offset) -> Result<bytes::Bytes, LogError> {
    let batch = log.read(&partition(of).at(offset), NOW).await?;
    let first = batch.iter().next().expect("the offset is within the bounds");
    assert_eq!(first.offset, offset);
    Ok(batch.value(0).unwrap())
}

async fn assert_all(log: &Embedded, of: u32, count: u64) {
    assert_eq!(log.bounds(&partition(of)).await.unwrap().next, count);
    for number in 0..count {
        assert_eq!(value_at(log, of, number).await.unwrap(), value(number));
    }
}

fn poisoned(log: &Embedded) -> Vec<String> {
    let partitions = log.stats().partitions;
    partitions.into_iter().filter_map(|p| p.poisoned).collect()
}

/// A log with 60 records in partition 0, closed in good order, and its segments, oldest first.
async fn closed(sim: &Sim) -> Vec<std::path::PathBuf> {
    let log = fresh(sim).await;
    for number in 0..60 {
        assert_eq!(append(&log, 0, number).await.unwrap(), number);
    }
    drop(log);
    let segments = sim.find(".seg");
    assert!(segments.len() >= 3, "{segments:?}");
    segments
}

#[tokio::test]
async fn a_failed_sync_ends_the_partition_and_no_other() {
    for seed in 0..20 {
        let sim = Sim::new(seed);
        let log = fresh(&sim).await;
        append(&log, 0, 0).await.unwrap();
        sim.fail_sync(0, ".seg");
        assert!(matches!(
            append(&log, 0, 1).await,
            Err(LogError::Indeterminate(_))
        ));
        // A second sync would succeed and lie.
        assert!(matches!(append(&log, 0, 2).await, Err(LogError::Poisoned(_))));
        assert_eq!(poisoned(&log).len(), 1);
        assert_all(&log, 0, 1).await;
        append(&log, 1, 0).await.unwrap();
        assert_all(&log, 1, 1).await;
        drop(log);
        sim.power_fails();
        let log = open(&sim);
        assert!(poisoned(&log).is_empty(), "seed {seed}");
        let next = log.bounds(&partition(0)).await.unwrap().next;
        assert_eq!(append(&log, 0, next).await.unwrap(), next);
        assert_all(&log, 0, next + 1).await;
        assert_all(&log, 1, 1).await;
    }
}

#[tokio::test]
async fn a_failed_sync_of_a_directory_acknowledges_nothing() {
    let sim = Sim::new(1);
    let log = fresh(&sim).await;
    append(&log, 0, 0).await.unwrap();
    sim.fail_sync(0, "/t/0");
    let mut number = 1;
    let error = loop {
        match append(&log, 0, number).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert!(number > 10, "it failed at the first roll");
    assert!(matches!(error, LogError::Poisoned(_)), "{error}");
    assert_all(&log, 0, number).await;
    drop(log);
    sim.power_fails();
    let log = open(&sim);
    assert_eq!(append(&log, 0, number).await.unwrap(), number);
    assert_all(&log, 0, number + 1).await;
}

#[tokio::test]
async fn a_full_disk_refuses_appends_until_there_is_space() {
    for room in [0, 1, 70, 100, 500, 3000, 9000] {
        let sim = Sim::new(room);
        let log = fresh(&sim).await;
        append(&log, 0, 0).await.unwrap();
        sim.set_capacity(sim.used() + room);
        let mut number = 1;
        while number < 200 {
            match append(&log, 0, number).await {
                Ok(offset) => assert_eq!(offset, number),
                Err(LogError::Unavailable(reason)) => {
                    assert!(!reason.is_empty());
                    break;
                }
                Err(error) => panic!("{room}: {error}"),
            }
            number += 1;
        }
        assert!(number < 200, "the disk is full");
        assert!(poisoned(&log).is_empty());
        assert_all(&log, 0, number).await;
        // As it was, also after the power fails; and it works when there is space.
        drop(log);
        sim.power_fails();
        let log = open(&sim);
        assert!(append(&log, 0, number).await.is_err(), "{room}");
        sim.set_capacity(u64::MAX);
        assert_eq!(append(&log, 0, number).await.unwrap(), number);
        assert_all(&log, 0, number + 1).await;
    }
}

#[tokio::test]
async fn what_a_full_disk_refused_does_not_come_back() {
    let sim = Sim::new(7);
    let log = fresh(&sim).await;
    append(&log, 0, 0).await.unwrap();
    // Three appends in one write, in two blocks: the first block would fit.
    sim.set_capacity(sim.used() + 200_000);
    let to = partition(0);
    let record = || Record {
        key: None,
        value: vec![b'z'; 90_000].into(),
        timestamp: Timestamp::from_millis(0),
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
    };
    let mut appends: Vec<_> = (0..3)
        .map(|_| Box::pin(tokio::task::unconstrained(log.append(&to, vec![record()]))))
        .collect();
    for append in &mut appends {
        let polled = append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    log.commit_now();
    for append in appends {
        assert!(matches!(append.await, Err(LogError::Unavailable(_))));
    }
    drop(log);
    sim.live_again();
    assert_all(&open(&sim), 0, 1).await;
}

#[tokio::test]
async fn short_and_interrupted_writes_are_carried_on() {
    let sim = Sim::new(5);
    let log = fresh(&sim).await;
    sim.clumsy(60);
    for number in 0..150 {
        assert_eq!(append(&log, 0, number).await.unwrap(), number);
    }
    drop(log);
    sim.power_fails();
    assert_all(&open(&sim), 0, 150).await;
}

/// Counts the records of partition 0 that cannot be read; all others are what was appended.
async fn unreadable(log: &Embedded) -> usize {
    let mut count = 0;
    for number in 0..60 {
        match value_at(log, 0, number).await {
            Ok(found) => assert_eq!(found, value(number)),
            Err(LogError::Corrupt { .. }) => count += 1,
            Err(error) => panic!("{error}"),
        }
    }
    count
}

#[tokio::test]
async fn damage_in_the_last_segment_is_refused_and_never_cut_off() {
    let sim = Sim::new(3);
    let last = closed(&sim).await.pop().unwrap();
    let sidecar = last.with_extension("idx");
    let (good, index) = (sim.content(&last), sim.content(&sidecar));
    let last_block = good.len() - (72 + 24 + value(59).len());
    // After a crash no sidecar vouches for the end: the blocks that follow the damage do.
    for at in (0..last_block).step_by(5) {
        sim.damage(&last, |bytes| bytes[at] ^= 0x10);
        sim.damage(&sidecar, Vec::clear);
        let log = open(&sim);
        let reasons = poisoned(&log);
        assert!(
            reasons.len() == 1 && reasons[0].contains("at byte"),
            "{at}: {reasons:?}"
        );
        let refused = append(&log, 0, 60).await;
        assert!(matches!(refused, Err(LogError::Poisoned(_))), "{at}: {refused:?}");
        assert_eq!(unreadable(&log).await, 1, "byte {at}: one block of one record");
        drop(log);
        assert_eq!(sim.content(&last).len(), good.len(), "nothing was cut off");
        sim.damage(&last, |bytes| bytes.clone_from(&good));
    }
    // After an end in good order the sidecar vouches for everything, the last block included; what
    // it vouches for is checked when it is read.
    for at in (0..good.len()).step_by(5) {
        sim.damage(&last, |bytes| bytes[at] ^= 0x10);
        sim.damage(&sidecar, |bytes| bytes.clone_from(&index));
        let log = open(&sim);
        assert!(
            unreadable(&log).await >= 1,
            "byte {at} was read as if it were sound"
        );
        drop(log);
        assert_eq!(sim.content(&last).len(), good.len(), "nothing was cut off");
        sim.damage(&last, |bytes| bytes.clone_from(&good));
    }
    // What was durable and is not there any more is damage, whatever is left.
    for len in (0..good.len()).step_by(97) {
        sim.damage(&last, |bytes| bytes.truncate(len));
        sim.damage(&sidecar, |bytes| bytes.clone_from(&index));
        let log = open(&sim);
        assert_eq!(poisoned(&log).len(), 1, "cut at {len}");
        assert!(append(&log, 0, 60).await.is_err());
        append(&log, 1, 0).await.unwrap();
        drop(log);
        sim.damage(&last, |bytes| bytes.clone_from(&good));
    }
    sim.damage(&sidecar, |bytes| bytes.clone_from(&index));
    assert_all(&open(&sim), 0, 60).await;
}

#[tokio::test]
async fn damage_in_a_sealed_segment_is_reported_where_it_is_read() {
    let sim = Sim::new(4);
    let first = closed(&sim).await.remove(0);
    let good = sim.content(&first);
    for at in (0..good.len()).step_by(31) {
        sim.damage(&first, |bytes| bytes[at] ^= 0x80);
        let log = open(&sim);
        assert!(
            unreadable(&log).await >= 1,
            "byte {at} was read as if it were sound"
        );
        drop(log);
        assert_eq!(sim.content(&first).len(), good.len());
        sim.damage(&first, |bytes| bytes.clone_from(&good));
    }
    let log = open(&sim);
    assert_eq!(append(&log, 0, 60).await.unwrap(), 60);
    assert_all(&log, 0, 61).await;
}

#[tokio::test]
async fn a_sidecar_may_be_lost_or_damaged_and_a_segment_may_not() {
    let sim = Sim::new(6);
    let segments = closed(&sim).await;
    for (number, sidecar) in sim.find(".idx").iter().enumerate() {
        if number % 2 == 0 {
            sim.lose(sidecar);
        } else {
            sim.damage(sidecar, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x55));
        }
    }
    assert_all(&open(&sim), 0, 60).await;
    sim.lose(&segments[1]);
    let log = open(&sim);
    let missing = unreadable(&log).await;
    assert!(missing > 5, "{missing}");
}

#[tokio::test]
async fn a_sync_behind_that_failed_is_not_made_good_by_the_next() {
    for seed in 0..30 {
        let sim = Sim::new(seed);
        let mut options = options(&sim);
        options.durability = Durability::Os;
        let log = Embedded::open(options).unwrap();
        declare(&log).await;
        for number in 0..10 {
            append(&log, 0, number).await.unwrap();
        }
        sim.fail_sync(0, ".seg");
        log.maintain();
        assert_eq!(poisoned(&log).len(), 1);
        // Neither the keeper's next turn nor the end in good order may vouch for what was lost.
        log.maintain();
        drop(log);
        sim.power_fails();
        let log = open(&sim);
        assert_eq!(
            poisoned(&log),
            Vec::<String>::new(),
            "seed {seed}: a lost tail is no damage"
        );
        let next = log.bounds(&partition(0)).await.unwrap().next;
        assert_all(&log, 0, next).await;
    }
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_keeps_none_of_the_others() {
    let sim = Sim::new(9);
    let segments = closed(&sim).await;
    let log = open(&sim);
    append(&log, 1, 0).await.unwrap();
    drop(log);
    // A sidecar is only a cache.
    let last = segments.last().unwrap();
    sim.fail_open(".idx");
    assert_all(&open(&sim), 0, 60).await;
    sim.fail_open(&last.to_string_lossy());
    let log = open(&sim);
    let reasons = poisoned(&log);
    assert!(
        reasons.len() == 1 && reasons[0].contains("cannot be read"),
        "{reasons:?}"
    );
    assert!(matches!(append(&log, 0, 60).await, Err(LogError::Poisoned(_))));
    // What is there cannot be told: no reader is sent elsewhere.
    let of = partition(0);
    assert!(matches!(log.bounds(&of).await, Err(LogError::Corrupt { .. })));
    assert!(matches!(
        log.read(&of.at(3), NOW).await,
        Err(LogError::Corrupt { .. })
    ));
    assert!(matches!(
        log.offset_at(&of, Timestamp::from_millis(0)).await,
        Err(LogError::Corrupt { .. })
    ));
    append(&log, 1, 1).await.unwrap();
    assert_all(&log, 1, 2).await;
    log.maintain();
    drop(log);
    // It is as it was when it can be read again.
    sim.fail_open("");
    let log = open(&sim);
    assert_all(&log, 0, 60).await;
    assert_eq!(append(&log, 0, 60).await.unwrap(), 60);
}

#[tokio::test]
async fn offsets_of_a_topic_whose_file_is_damaged_are_never_given_twice() {
    let sim = Sim::new(11);
    let clock = crate::clock::ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let mut options = options(&sim);
    options.clock = clock.clock();
    let log = Embedded::open(options).unwrap();
    let mut spec = spec();
    spec.retention.age = Some(Duration::from_secs(60));
    log.topic(&spec).await.unwrap();
    for number in 0..10 {
        append(&log, 0, number).await.unwrap();
    }
    clock.advance(Duration::from_secs(3600));
    log.maintain();
    assert_eq!(
        log.bounds(&partition(0)).await.unwrap(),
        Bounds {
            earliest: 10,
            next: 10
        }
    );
    drop(log);
    sim.damage(&sim.find("topic").remove(0), Vec::clear);
    let log = open(&sim);
    assert!(matches!(log.topic(&spec).await, Err(LogError::Unavailable(_))));
    assert_eq!(log.stats().damaged_topics.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_declared_anew_on_a_slow_disk_holds_nobody_up() {
    let sim = Sim::new(12);
    let gate = super::gate::Gate::new(&sim);
    let mut options = options(&sim);
    options.disk = Arc::new(gate.clone());
    options.committers = 2;
    let log = Embedded::open(options).unwrap();
    declare(&log).await;
    append(&log, 0, 0).await.unwrap();
    gate.hold("topic.tmp");
    let mut other = spec();
    other.retention.bytes = Some(1 << 30);
    let declaring = tokio::spawn({
        let (log, other) = (log.clone(), other.clone());
        async move { log.topic(&other).await }
    });
    tokio::task::spawn_blocking({
        let gate = gate.clone();
        move || gate.wait_for(&[0])
    })
    .await
    .unwrap();
    let (done, told) = std::sync::mpsc::channel();
    let meanwhile = tokio::spawn({
        let log = log.clone();
        async move {
            assert_eq!(append(&log, 0, 1).await.unwrap(), 1);
            assert_eq!(log.bounds(&partition(0)).await.unwrap().next, 2);
            // As it was declared before, and a topic that is new.
            log.topic(&spec()).await.unwrap();
            let mut new = spec();
            new.name = TopicName::new("new").unwrap();
            log.topic(&new).await.unwrap();
            log.maintain();
            done.send(()).unwrap();
        }
    });
    let in_time = told.recv_timeout(Duration::from_secs(20));
    gate.open();
    meanwhile.await.unwrap();
    assert!(
        in_time.is_ok(),
        "everything waited for a sync of one topic's file"
    );
    declaring.await.unwrap().unwrap();
    assert_eq!(log.topics()[1].retention, other.retention);
}

#[tokio::test]
async fn the_keeper_finds_out_that_the_disk_takes_writes_again() {
    let sim = Sim::new(13);
    let log = fresh(&sim).await;
    append(&log, 0, 0).await.unwrap();
    sim.set_capacity(sim.used());
    assert!(append(&log, 0, 1).await.is_err());
    assert!(log.stats().refuses_writes.is_some());
    sim.set_capacity(u64::MAX);
    log.maintain();
    assert_eq!(log.stats().refuses_writes, None);
}
