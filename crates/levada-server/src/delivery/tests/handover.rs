//! From the past to the present and back: nothing lost, nothing doubled, in whatever order things
//! happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_event::{Record, Start};
use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::memory::{Memory, MemoryOptions};
use levada_log::{Durability, Log};
use proptest::prelude::*;

use super::super::{From, Options, Request};
use super::fixture::*;

const PARTITIONS: u32 = 3;

/// What happens in a run.
#[derive(Debug, Clone)]
enum Step {
    /// So many events of this size come to a partition.
    Append {
        partition: u32,
        count: usize,
        size: usize,
    },
    /// A session opens.
    Open { from_start: bool, filtered: bool },
    /// A session takes some chunks, if they come without waiting.
    Take { session: usize, chunks: usize },
    /// Tasks get the chance to run.
    Breathe { times: usize },
    /// A session leaves and comes back with its last id.
    Reconnect { session: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PARTITIONS, 1usize..6, 1usize..300)
            .prop_map(|(partition, count, size)| Step::Append { partition, count, size }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(from_start, filtered)| Step::Open { from_start, filtered }),
        4 => (any::<usize>(), 1usize..5).prop_map(|(session, chunks)| Step::Take { session, chunks }),
        3 => (1usize..20).prop_map(|times| Step::Breathe { times }),
        1 => any::<usize>().prop_map(|session| Step::Reconnect { session }),
    ]
}

struct Session {
    reader: Reader,
    filtered: bool,
    /// What it must get, by partition: everything from here on.
    from: Vec<u64>,
    got: BTreeMap<u32, Vec<u64>>,
    last_id: Option<String>,
}

impl Session {
    fn note(&mut self, got: Got) {
        self.got.entry(got.partition).or_default().push(got.offset);
        self.last_id = Some(got.id);
    }
}

fn padded(size: usize, wanted: bool) -> Record {
    let domain = if wanted { "yes" } else { "no" };
    event_of(domain, &"x".repeat(size), T0)
}

fn asked(from: From, filtered: bool) -> Request {
    let mut asked = request(&[]);
    asked.topics = vec![topic_request("t", PARTITIONS)];
    asked.from = from;
    if filtered {
        asked.selection = selection(&["meta.domain:yes"]);
    }
    asked
}

async fn run(steps: Vec<Step>, ring_bytes: usize) -> Result<(), TestCaseError> {
    let options = Options {
        ring_bytes,
        ..Options::default()
    };
    let rig = Rig::with(options, MemoryOptions::default());
    rig.log.create(&spec("t", PARTITIONS));
    let mut sessions: Vec<Session> = Vec::new();
    // Offsets by partition, with whether the filter lets them through.
    let mut all: Vec<Vec<(u64, bool)>> = vec![Vec::new(); PARTITIONS as usize];
    for step in steps {
        match step {
            Step::Append {
                partition,
                count,
                size,
            } => {
                for i in 0..count {
                    let wanted = (size + i) % 3 == 0;
                    let offset = rig.append("t", partition, &[padded(size, wanted)]).await;
                    all[partition as usize].push((offset, wanted));
                }
            }
            Step::Open { from_start, filtered } => {
                let start = if from_start {
                    Start::Earliest
                } else {
                    Start::Latest
                };
                let mut from = Vec::new();
                for partition in 0..PARTITIONS {
                    let bounds = rig.log.bounds(&tp("t", partition)).await.unwrap();
                    from.push(if from_start { 0 } else { bounds.next });
                }
                sessions.push(Session {
                    reader: rig.open(asked(From::Everywhere(start), filtered)).await,
                    filtered,
                    from,
                    got: BTreeMap::new(),
                    last_id: None,
                });
            }
            Step::Take { session, chunks } => {
                let count = sessions.len().max(1);
                let Some(session) = sessions.get_mut(session % count) else {
                    continue;
                };
                for _ in 0..chunks {
                    let Some(event) = futures_util::FutureExt::now_or_never(session.reader.event()) else {
                        break;
                    };
                    let event = event.ok_or_else(|| TestCaseError::fail("the session ended"))?;
                    session.note(event);
                }
            }
            Step::Breathe { times } => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
            Step::Reconnect { session } => {
                let count = sessions.len().max(1);
                let Some(session) = sessions.get_mut(session % count) else {
                    continue;
                };
                if let Some(id) = &session.last_id {
                    session.reader = rig.open(asked(last_event_id(id), session.filtered)).await;
                }
            }
        }
    }
    for session in &mut sessions {
        while let Some(event) = session.reader.event_soon().await {
            session.note(event);
        }
        for partition in 0..PARTITIONS {
            let from = session.from[partition as usize];
            let want: Vec<u64> = all[partition as usize]
                .iter()
                .filter(|(offset, wanted)| *offset >= from && (*wanted || !session.filtered))
                .map(|(offset, _)| *offset)
                .collect();
            let got = session.got.get(&partition).cloned().unwrap_or_default();
            prop_assert_eq!(got, want, "partition {}", partition);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_session_gets_every_event_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..60),
        ring_bytes in prop_oneof![Just(1usize), 500usize..5000, Just(1 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps, ring_bytes))?;
    }
}

/// The same with real threads: writers, readers of all kinds and reconnects at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_do_not_change_that() {
    let log = Arc::new(Memory::new(MemoryOptions {
        id: LOG_ID.into(),
        ..MemoryOptions::default()
    }));
    storm(log).await;
}

/// And on the embedded engine, with its files and its own threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_does_the_embedded_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.durability = Durability::Os;
    // Segments so small and so little memory that most of the past is read from files.
    options.segment_bytes = 64 * 1024;
    options.hot_bytes = 16 * 1024;
    storm(Embedded::open(options).unwrap()).await;
}

async fn storm<L: Log>(log: Arc<L>) {
    const EVENTS: u64 = 400;
    let options = Options {
        ring_bytes: 3000,
        ..Options::default()
    };
    let rig = Arc::new(Rig::on(log, options));
    rig.log.topic(&spec("t", PARTITIONS)).await.unwrap();
    let mut tasks = Vec::new();
    for partition in 0..PARTITIONS {
        let rig = rig.clone();
        tasks.push(tokio::spawn(async move {
            for i in 0..EVENTS {
                rig.append("t", partition, &[padded((i % 50) as usize, i % 3 == 0)])
                    .await;
                if i % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    for reader in 0..12u64 {
        let rig = rig.clone();
        let filtered = reader % 2 == 1;
        tasks.push(tokio::spawn(async move {
            let wanted = if filtered { EVENTS.div_ceil(3) } else { EVENTS } * u64::from(PARTITIONS);
            let mut session = rig.open(asked(earliest(), filtered)).await;
            let mut seen: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
            for count in 0..wanted {
                let got = session.event().await.unwrap();
                assert_eq!(got.name, "message");
                let list = seen.entry(got.partition).or_default();
                assert!(
                    list.last().is_none_or(|last| *last < got.offset),
                    "{got:?} after {list:?}"
                );
                list.push(got.offset);
                if reader % 3 == 0 && count % 97 == 96 {
                    session = rig.open(asked(last_event_id(&got.id), filtered)).await;
                }
                if reader % 4 == 0 && count % 50 == 0 {
                    for _ in 0..200 {
                        tokio::task::yield_now().await;
                    }
                }
            }
            assert_eq!(seen.values().map(|list| list.len() as u64).sum::<u64>(), wanted);
            assert!(
                seen.values()
                    .all(|list| list.len() as u64 == wanted / u64::from(PARTITIONS))
            );
        }));
    }
    for task in tasks {
        let minute = std::time::Duration::from_secs(60);
        tokio::time::timeout(minute, task)
            .await
            .expect("nobody waits for ever")
            .unwrap();
    }
}
