//! Two rounds of one partition under way at once: what each append is told when their syncs end in either
//! order, fail, or are cut short by a crash.

use levada_event::{Flags, Splice, TopicName};
use tokio::task::JoinHandle;

use super::super::*;
use super::gate::Gate;
use super::sim::Sim;
use crate::Retention;

const NOW: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};
const SEGMENT_BYTES: u64 = 4096;
const SEEDS: u64 = 12;

type Appended = Result<Offset, LogError>;

/// A log with two committers and two records in its partition, one by each lane, whose next two appends are
/// written, each by a round of its own, and whose syncs (numbers 0 and 1) are held.
struct InFlight {
    sim: Sim,
    gate: Gate,
    log: Arc<Embedded>,
    first: JoinHandle<Appended>,
    second: JoinHandle<Appended>,
}

fn open(sim: &Sim, gate: &Gate) -> Arc<Embedded> {
    let mut options = EmbeddedOptions::new("/data/log");
    options.disk = Arc::new(gate.clone());
    options.committers = 2;
    options.maintain_every = None;
    options.segment_bytes = SEGMENT_BYTES;
    options.hot_bytes = 0;
    options.id = Some("0badcafe".into());
    assert!(!sim.is_dead());
    Embedded::open(options).unwrap()
}

fn partition() -> TopicPartition {
    TopicPartition::new(TopicName::new("t").unwrap(), 0)
}

fn value(number: u64, bytes: usize) -> bytes::Bytes {
    format!("{number}:{}", "x".repeat(bytes)).into()
}

fn append(log: &Arc<Embedded>, number: u64, bytes: usize) -> JoinHandle<Appended> {
    let log = log.clone();
    let record = Record {
        key: None,
        value: value(number, bytes),
        timestamp: Timestamp::from_millis(0),
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
    };
    tokio::spawn(async move { log.append(&partition(), vec![record]).await })
}

/// A log with two committers and a topic without records.
async fn fresh(sim: &Sim, gate: &Gate) -> Arc<Embedded> {
    let log = open(sim, gate);
    let spec = TopicSpec {
        name: TopicName::new("t").unwrap(),
        partitions: 1,
        retention: Retention {
            age: None,
            bytes: None,
        },
    };
    log.topic(&spec).await.unwrap();
    log
}

/// Two appends with these numbers, each in a round of its own, whose syncs are held.
fn two(log: &Arc<Embedded>, gate: &Gate, number: u64) -> (JoinHandle<Appended>, JoinHandle<Appended>) {
    let first = append(log, number, 100);
    gate.wait_for(&[0]);
    let second = append(log, number + 1, 100);
    gate.wait_for(&[0, 1]);
    (first, second)
}

async fn in_flight(seed: u64) -> InFlight {
    let sim = Sim::new(seed);
    let gate = Gate::new(&sim);
    let log = fresh(&sim, &gate).await;
    gate.hold(".seg");
    let (first, second) = two(&log, &gate, 0);
    gate.open();
    assert_eq!(first.await.unwrap().unwrap(), 0);
    assert_eq!(second.await.unwrap().unwrap(), 1);
    gate.hold(".seg");
    let (first, second) = two(&log, &gate, 2);
    InFlight {
        sim,
        gate,
        log,
        first,
        second,
    }
}

/// The numbers of the records that are there; what is there is whole and can be read.
async fn numbers(log: &Embedded) -> Vec<u64> {
    let bounds = log.bounds(&partition()).await.unwrap();
    let mut found = Vec::new();
    let mut next = bounds.earliest;
    while next < bounds.next {
        let batch = log.read(&partition().at(next), NOW).await.unwrap();
        for record in batch.iter() {
            let text = std::str::from_utf8(record.value).unwrap();
            let (number, rest) = text.split_once(':').unwrap();
            let number = number.parse().unwrap();
            assert_eq!(record.value, value(number, rest.len()));
            found.push(number);
        }
        next = batch.next();
    }
    found
}

/// What a new process finds when the power fails now.
async fn after_a_power_failure(at: InFlight) -> (Vec<u64>, Arc<Embedded>) {
    at.sim.die();
    at.gate.open();
    drop(at.log);
    at.sim.power_fails();
    let log = open(&at.sim, &at.gate);
    let poisoned = log.stats().partitions.into_iter().find_map(|p| p.poisoned);
    assert_eq!(poisoned, None, "a crash is no damage");
    let found = numbers(&log).await;
    let next = found.len() as u64;
    assert_eq!(append(&log, 77, 10).await.unwrap().unwrap(), next, "it goes on");
    (found, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_sync_that_ends_first_answers_both_rounds() {
    for seed in 0..SEEDS {
        let mut at = in_flight(seed).await;
        assert_eq!(numbers(&at.log).await, [0, 1], "nothing is shown before its sync");
        at.gate.let_go(1);
        assert_eq!((&mut at.first).await.unwrap().unwrap(), 2);
        assert_eq!((&mut at.second).await.unwrap().unwrap(), 3);
        at.gate.wait_for(&[0]);
        assert_eq!(numbers(&at.log).await, [0, 1, 2, 3]);
        assert_eq!(after_a_power_failure(at).await.0, [0, 1, 2, 3]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_sync_answers_its_own_round_alone() {
    for seed in 0..SEEDS {
        let mut at = in_flight(seed).await;
        at.gate.let_go(0);
        assert_eq!((&mut at.first).await.unwrap().unwrap(), 2);
        at.gate.wait_for(&[1]);
        assert_eq!(numbers(&at.log).await, [0, 1, 2]);
        assert!(!at.second.is_finished());
        let found = after_a_power_failure(at).await.0;
        assert!(found == [0, 1, 2] || found == [0, 1, 2, 3], "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_with_two_rounds_in_flight_leaves_a_beginning_of_them() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..SEEDS * 3 {
        let found = after_a_power_failure(in_flight(seed).await).await.0;
        let all = [0, 1, 2, 3];
        assert!(found.len() > 1 && all.starts_with(&found), "{found:?}");
        lengths.insert(found.len());
    }
    assert!(lengths.len() > 1, "the seeds differ: {lengths:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_ends_both_rounds_and_the_partition() {
    for seed in 0..SEEDS {
        for failing in [0, 1] {
            let mut at = in_flight(seed).await;
            at.sim.fail_sync(0, ".seg");
            at.gate.let_go(failing);
            for append in [&mut at.first, &mut at.second] {
                let outcome = append.await.unwrap();
                assert!(matches!(outcome, Err(LogError::Indeterminate(_))), "{outcome:?}");
            }
            at.gate.wait_for(&[1 - failing]);
            // The other sync ends behind the failure: whatever it says, nothing is taken back or added.
            at.gate.let_go(1 - failing);
            let late = append(&at.log, 4, 100).await.unwrap();
            assert!(matches!(late, Err(LogError::Poisoned(_))), "{late:?}");
            assert_eq!(numbers(&at.log).await, [0, 1]);
            let found = after_a_power_failure(at).await.0;
            assert!(found.len() > 1 && [0, 1, 2, 3].starts_with(&found), "{found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_is_sealed_when_all_of_it_is_synced() {
    let mut at = in_flight(1).await;
    let third = append(&at.log, 4, SEGMENT_BYTES as usize);
    at.gate.let_go(0);
    assert_eq!((&mut at.first).await.unwrap().unwrap(), 2);
    // The committer that is free now has the third append, and waits.
    tokio::time::sleep(Duration::from_millis(50)).await;
    at.gate.wait_for(&[1]);
    assert_eq!(at.sim.find(".seg").len(), 1);
    at.gate.let_go(1);
    assert_eq!((&mut at.second).await.unwrap().unwrap(), 3);
    at.gate.wait_for(&[2]);
    assert_eq!(at.sim.find(".seg").len(), 2);
    at.gate.let_go(2);
    assert_eq!(third.await.unwrap().unwrap(), 4);
    assert_eq!(after_a_power_failure(at).await.0, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_behind_a_roll_takes_nothing_from_the_sealed_segment() {
    for seed in 0..SEEDS {
        let mut at = in_flight(seed).await;
        let third = append(&at.log, 4, SEGMENT_BYTES as usize);
        // The later sync answers both rounds, so that the segment is sealed while the first still lasts.
        at.gate.let_go(1);
        assert_eq!((&mut at.first).await.unwrap().unwrap(), 2);
        assert_eq!((&mut at.second).await.unwrap().unwrap(), 3);
        at.gate.wait_for(&[0, 2]);
        at.sim.fail_sync(0, "0.seg");
        at.gate.let_go(0);
        at.gate.wait_for(&[2]);
        at.gate.let_go(2);
        let third = third.await.unwrap();
        while at.log.stats().partitions[0].poisoned.is_none() {
            tokio::task::yield_now().await;
        }
        let mut known = vec![0, 1, 2, 3];
        if third.is_ok() {
            known.push(4);
        }
        assert_eq!(numbers(&at.log).await, known);
        let (found, _log) = after_a_power_failure(at).await;
        assert!(found.starts_with(&known), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_descriptor_opened_behind_a_failure_answers_for_nothing_before_it() {
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let gate = Gate::new(&sim);
        let log = fresh(&sim, &gate).await;
        assert_eq!(append(&log, 0, 100).await.unwrap().unwrap(), 0);
        // The first sync has failed and nobody knows it yet; the second, by a descriptor that is opened only
        // now, succeeds.
        sim.fail_sync(0, ".seg");
        gate.hold_done(".seg");
        let (first, second) = two(&log, &gate, 1);
        gate.let_go(1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let shown = numbers(&log).await;
        gate.let_go(0);
        assert_eq!(shown, [0], "what may be lost is not shown");
        for append in [first, second] {
            let outcome = append.await.unwrap();
            assert!(matches!(outcome, Err(LogError::Indeterminate(_))), "{outcome:?}");
        }
        assert_eq!(numbers(&log).await, [0]);
    }
}
