//! The process is killed, or the power fails, at every call that changes something on disk.
//!
//! One thread drives the engine, so a seed decides everything. A model follows: what was acknowledged,
//! what was refused, what is open, and what a reader has seen. After each crash the log is opened again
//! and must agree with the model.
//!
//! `LEVADA_CRASH_SEEDS=N` runs more seeds; a failure prints the seed and the call.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use levada_event::{Flags, Splice, TopicName};

use super::super::*;
use super::sim::{Random, Sim};
use crate::Retention;
use crate::clock::ManualClock;

const RETENTION: Duration = Duration::from_secs(3600);
const PARTITIONS: u32 = 3;
const NOW: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Killed,
    PowerFails,
    /// One or the other, by chance.
    Either,
}

/// What is known of one append.
#[derive(Debug, Clone)]
struct Append {
    /// Its place in the order of appends to the partition.
    number: u64,
    values: Vec<bytes::Bytes>,
    at: Timestamp,
    state: State,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    /// It has this offset, and stays.
    Acknowledged(Offset),
    /// It may be there, whole, or not.
    Open,
    /// It is not there.
    Refused,
}

/// What should be in the log.
#[derive(Default)]
struct Model {
    partitions: BTreeMap<u32, Vec<Append>>,
    /// What readers have seen, by partition and offset.
    seen: BTreeMap<(u32, Offset), bytes::Bytes>,
    appends: u64,
}

struct World {
    seed: u64,
    sim: Sim,
    clock: ManualClock,
    random: Random,
    model: Model,
    durability: Durability,
    compress: bool,
}

type Waiting = (
    u32,
    usize,
    Pin<Box<dyn Future<Output = Result<Offset, LogError>> + Send>>,
);

impl World {
    fn new(seed: u64, durability: Durability) -> Self {
        Self {
            seed,
            sim: Sim::new(seed),
            clock: ManualClock::at(Timestamp::from_millis(1_700_000_000_000)),
            random: Random::new(seed ^ 0x5eed),
            model: Model::default(),
            durability,
            compress: seed.is_multiple_of(3),
        }
    }

    fn open(&self) -> Result<Arc<Embedded>, OpenError> {
        let mut options = EmbeddedOptions::new("/data/log");
        options.disk = Arc::new(self.sim.clone());
        options.clock = self.clock.clock();
        options.durability = self.durability;
        options.committers = 0;
        options.maintain_every = None;
        options.segment_bytes = 4096;
        options.hot_bytes = if self.seed.is_multiple_of(2) { 0 } else { 1 << 20 };
        options.compress = self.compress;
        options.id = Some("0badcafe".into());
        Embedded::open(options)
    }

    fn partition(number: u32) -> TopicPartition {
        TopicPartition::new(TopicName::new("t").unwrap(), number)
    }

    async fn declare(log: &Embedded) -> Result<TopicInfo, LogError> {
        let spec = TopicSpec {
            name: TopicName::new("t").unwrap(),
            partitions: PARTITIONS,
            retention: Retention {
                age: Some(RETENTION),
                bytes: None,
            },
        };
        log.topic(&spec).await
    }

    /// Starts an append of some records; it waits until the next commit.
    fn start(&mut self, log: &Arc<Embedded>) -> Waiting {
        let partition = self.random.below(u64::from(PARTITIONS)) as u32;
        let number = self.model.appends;
        self.model.appends += 1;
        let count = 1 + self.random.below(4) * self.random.below(3);
        let values: Vec<_> = (0..count)
            .map(|i| {
                // The largest make appends that lie in several blocks.
                let size = match self.random.below(100) {
                    0..5 => 2500,
                    5..7 => 130_000,
                    _ => self.random.below(200),
                };
                let filler = char::from(b'a' + (number % 26) as u8)
                    .to_string()
                    .repeat(size as usize);
                bytes::Bytes::from(format!("{number}.{i}/{count}:{filler}"))
            })
            .collect();
        let records = values.iter().map(|value| Record {
            key: Some(value.slice(..1)),
            value: value.clone(),
            timestamp: Timestamp::from_millis(number as i64),
            splice: Splice::UNKNOWN,
            flags: Flags::NONE,
        });
        let records: Vec<_> = records.collect();
        let appends = self.model.partitions.entry(partition).or_default();
        appends.push(Append {
            number,
            values,
            at: self.clock.now(),
            state: State::Open,
        });
        let index = appends.len() - 1;
        let log = log.clone();
        let append = async move { log.append(&Self::partition(partition), records).await };
        // Outside the runtime's budget for a task, which would put an append off at moments that
        // depend on the time that reads take.
        let append = tokio::task::unconstrained(append);
        let mut append: Waiting = (partition, index, Box::pin(append));
        // The first poll brings it to where the committer finds it.
        self.poll(&mut append);
        append
    }

    fn poll(&mut self, (partition, index, append): &mut Waiting) {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(outcome) = append.as_mut().poll(&mut context) else {
            return;
        };
        let append = &mut self.model.partitions.get_mut(partition).unwrap()[*index];
        append.state = match outcome {
            Ok(offset) => State::Acknowledged(offset),
            Err(LogError::Indeterminate(_)) => State::Open,
            Err(_) => State::Refused,
        };
    }

    /// Works until the process dies or `steps` are done. `Err` when the process died.
    async fn work(&mut self, log: &Arc<Embedded>, steps: usize) {
        let mut waiting: Vec<Waiting> = Vec::new();
        for _ in 0..steps {
            match self.random.below(20) {
                0..=8 => {
                    let append = self.start(log);
                    waiting.push(append);
                }
                9..=14 => log.commit_now(),
                15 => self.see(log).await,
                16 => log.maintain(),
                17 | 18 => self.clock.advance(Duration::from_secs(self.random.below(900))),
                _ => {
                    log.commit_now();
                    log.maintain();
                }
            }
            self.settle(&mut waiting);
            if self.sim.is_dead() {
                return;
            }
        }
        log.commit_now();
        self.settle(&mut waiting);
    }

    fn settle(&mut self, waiting: &mut Vec<Waiting>) {
        for append in waiting.iter_mut() {
            self.poll(append);
        }
        let model = &self.model;
        let dead = self.sim.is_dead();
        waiting.retain(|(partition, index, _)| {
            // A future that has answered must not be polled again.
            !dead && model.partitions[partition][*index].state == State::Open
        });
    }

    /// A reader reads everything.
    async fn see(&mut self, log: &Embedded) {
        for number in 0..PARTITIONS {
            let Ok(found) = read_all(log, &Self::partition(number)).await else {
                assert!(self.sim.is_dead(), "a sound log can be read");
                return;
            };
            for (offset, value) in found {
                let before = self.model.seen.insert((number, offset), value.clone());
                assert!(
                    before.is_none_or(|before| before == value),
                    "an offset was used twice"
                );
            }
        }
    }

    /// Compares the log with the model.
    async fn check(&mut self, log: &Embedded) {
        let kept_since = self.clock.now().plus_millis(-(RETENTION.as_millis() as i64));
        for number in 0..PARTITIONS {
            let of = Self::partition(number);
            let bounds = log.bounds(&of).await.unwrap();
            let found: BTreeMap<_, _> = read_all(log, &of).await.unwrap().into_iter().collect();
            let appends = self.model.partitions.entry(number).or_default();
            for append in appends.iter() {
                let State::Acknowledged(first) = append.state else {
                    continue;
                };
                for (i, value) in append.values.iter().enumerate() {
                    let offset = first + i as u64;
                    if offset < bounds.earliest {
                        assert!(append.at < kept_since, "{of}@{offset} went before its time");
                    } else {
                        assert_eq!(found.get(&offset), Some(value), "{of}@{offset} was acknowledged");
                    }
                }
            }
            for ((_, offset), value) in self.model.seen.range((number, 0)..(number + 1, 0)) {
                if *offset >= bounds.earliest {
                    assert_eq!(found.get(offset), Some(value), "{of}@{offset} was seen");
                }
            }
            check_order(&of, appends, &found, bounds);
            // What was open and is there now is there for good.
            for append in appends.iter_mut().filter(|append| append.state == State::Open) {
                let first = found.iter().find(|(_, value)| **value == append.values[0]);
                append.state = match first {
                    Some((offset, _)) => State::Acknowledged(*offset),
                    None => State::Refused,
                };
            }
        }
    }
}

/// Everything that is there belongs to an append that may be there, whole and in order.
fn check_order(
    of: &TopicPartition,
    appends: &[Append],
    found: &BTreeMap<Offset, bytes::Bytes>,
    bounds: Bounds,
) {
    assert_eq!(
        found.len() as u64,
        bounds.next - bounds.earliest,
        "offsets are dense"
    );
    let mut place = BTreeMap::new();
    for append in appends {
        for (i, value) in append.values.iter().enumerate() {
            place.insert(value, (append, i));
        }
    }
    let mut last: Option<(u64, usize)> = None;
    for (offset, value) in found {
        let Some((append, i)) = place.get(value) else {
            panic!("{of}@{offset} was never appended: {value:?}");
        };
        assert_ne!(append.state, State::Refused, "{of}@{offset} was refused");
        match last {
            Some((number, index)) if number == append.number => assert_eq!(*i, index + 1),
            Some((number, _)) => {
                assert!(append.number > number, "{of}@{offset} is out of order");
                assert_eq!(*i, 0, "{of}@{offset}: an append was torn");
            }
            None => {}
        }
        last = Some((append.number, *i));
    }
    if let Some((number, index)) = last {
        let append = appends.iter().find(|append| append.number == number).unwrap();
        assert_eq!(index + 1, append.values.len(), "{of}: the last append was torn");
    }
}

async fn read_all(log: &Embedded, of: &TopicPartition) -> Result<Vec<(Offset, bytes::Bytes)>, LogError> {
    let bounds = log.bounds(of).await?;
    let mut all = Vec::new();
    let mut position = of.at(bounds.earliest);
    while position.offset < bounds.next {
        let batch = log.read(&position, NOW).await?;
        for (i, record) in batch.iter().enumerate() {
            all.push((record.offset, batch.value(i).unwrap()));
        }
        position.offset = batch.next();
    }
    Ok(all)
}

/// One life: open, check, work, die at `die_at`. Answers the calls of all lives so far.
async fn live(world: &mut World, die_at: Option<u64>, steps: usize) {
    world.sim.die_at(die_at);
    let Ok(log) = world.open() else {
        assert!(world.sim.is_dead(), "a sound log opens");
        return;
    };
    if World::declare(&log).await.is_err() {
        assert!(world.sim.is_dead(), "a topic can be declared");
        return;
    }
    // A partition that could not be read for it is none that the others need.
    if world.sim.is_dead() {
        return;
    }
    world.work(&log, steps).await;
    if world.sim.is_dead() || die_at.is_some() {
        world.sim.die();
    }
    // A dead process does nothing more; a living one closes in good order, or dies in it.
    drop(log);
}

async fn recover(world: &mut World, end: End) {
    match end {
        End::Killed => world.sim.live_again(),
        End::Either if world.random.chance(50) => world.sim.live_again(),
        End::PowerFails | End::Either => world.sim.power_fails(),
    }
    let mut log = world.open().expect("the log opens after a crash");
    World::declare(&log)
        .await
        .expect("the topic is there or can be declared");
    let poisoned: Vec<_> = log
        .stats()
        .partitions
        .into_iter()
        .filter_map(|p| p.poisoned)
        .collect();
    assert!(poisoned.is_empty(), "a crash is no damage: {poisoned:?}");
    world.check(&log).await;
    if end != End::Killed && world.random.chance(40) {
        // What recovery showed is durable: the power may fail at once.
        world.sim.die();
        drop(log);
        world.sim.power_fails();
        log = world.open().expect("the log opens after a second crash");
        World::declare(&log).await.expect("the topic is still there");
        world.check(&log).await;
    }
    // It works: new appends come behind everything.
    world.work(&log, 10).await;
    world.check(&log).await;
    if world.random.chance(50) {
        world.sim.die();
    }
    drop(log);
    world.sim.live_again();
}

/// Everything a seed does: three lives, each ended at a call.
async fn run(seed: u64, end: End, die_after: u64, durability: Durability) -> (u64, u32) {
    let mut world = World::new(seed, durability);
    for life in 0..3 {
        let calls = world.sim.trace().0;
        live(&mut world, Some(calls + die_after), 60).await;
        println!(
            "seed {seed}, {end:?} in life {life} at call {}",
            world.sim.trace().0
        );
        recover(&mut world, end).await;
    }
    world.sim.trace()
}

fn seeds() -> u64 {
    let more = std::env::var("LEVADA_CRASH_SEEDS").ok();
    more.and_then(|text| text.parse().ok()).unwrap_or(3)
}

async fn every_call(end: End, durability: Durability) {
    for seed in 0..seeds() {
        // A life without a crash tells how many calls there are.
        let mut world = World::new(seed, durability);
        live(&mut world, None, 60).await;
        let calls = world.sim.trace().0;
        assert!(calls > 60, "the workload changes things");
        // Three seeds share the calls, which keeps the suite short.
        for die_after in (seed % 3..calls).step_by(3) {
            run(seed, end, die_after, durability).await;
        }
    }
}

#[tokio::test]
async fn killed_at_every_call() {
    every_call(End::Killed, Durability::Fsync).await;
}

#[tokio::test]
async fn killed_at_every_call_without_syncs() {
    every_call(End::Killed, Durability::Os).await;
}

#[tokio::test]
async fn power_fails_at_every_call() {
    every_call(End::PowerFails, Durability::Fsync).await;
}

#[tokio::test]
async fn killed_or_without_power_at_every_call() {
    every_call(End::Either, Durability::Fsync).await;
}

#[tokio::test]
async fn a_seed_decides_everything() {
    for end in [End::Killed, End::Either] {
        for seed in 0..6 {
            let first = run(seed, end, 40, Durability::Fsync).await;
            assert_eq!(run(seed, end, 40, Durability::Fsync).await, first, "seed {seed}");
        }
    }
}
