//! Bounds of partitions, asked for together.
//!
//! A subscription that opens wants the bounds of fifty partitions, and after a restart a thousand
//! subscriptions open at once. Whoever asks lays the question on the desk; the next turn takes all that
//! lie there and asks the brokers for the beginnings and the ends of all of them, in two requests per
//! broker. A question is never answered by a request that was sent before it was asked. What cannot be
//! answered together is asked about singly.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_event::{Bounds, Offset, TopicPartition};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use tokio::sync::{Semaphore, oneshot};

use crate::client::Context;
use crate::probe::{Line, Probe, Unanswered};

mod single;

use single::{Asker, Singles};

/// Requests under way at a time. Few, so that questions gather meanwhile.
const TURNS: usize = 2;

/// Partitions in one request.
const TOGETHER: usize = 500;

/// How long a request for several partitions may take. One without a leader holds up all of them;
/// afterwards each is asked about alone.
pub(crate) const TOGETHER_FOR: Duration = Duration::from_secs(2);

type Answer = Result<Bounds, Unanswered>;
type Asked = (TopicPartition, Asker);

pub(crate) struct BoundsDesk {
    probe: Arc<Probe>,
    asked: Mutex<Vec<Asked>>,
    turns: Arc<Semaphore>,
    singles: Arc<Singles>,
}

impl BoundsDesk {
    pub(crate) fn new(probe: Arc<Probe>) -> Self {
        Self {
            singles: Arc::new(Singles::new(probe.clone())),
            probe,
            asked: Mutex::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// The bounds of a partition, as they were after this was called.
    pub(crate) async fn bounds(&self, of: &TopicPartition) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        self.asked.lock().push((of.clone(), answer));
        // A turn may be full of questions that were there before.
        loop {
            tokio::select! {
                biased;
                // Somebody's turn took the question along.
                answer = &mut answered => return answer.unwrap_or(Err(Unanswered::Late)),
                turn = self.turns.clone().acquire_owned() => {
                    let asked = self.take();
                    if asked.is_empty() {
                        break;
                    }
                    let (probe, singles) = (self.probe.clone(), self.singles.clone());
                    // On its own, so that it goes on for the others when this one is no longer wanted.
                    tokio::spawn(async move {
                        answer_all(&probe, &singles, asked).await;
                        drop(turn);
                    });
                }
            }
        }
        answered.await.unwrap_or(Err(Unanswered::Late))
    }

    /// Whether the partition was asked about in vain of late.
    pub(crate) fn doubts(&self, of: &TopicPartition) -> bool {
        self.singles.doubts(of)
    }

    /// Notes that another question about the partition had no answer.
    pub(crate) fn doubt(&self, of: &TopicPartition) {
        self.singles.note(of, false);
    }

    fn take(&self) -> Vec<Asked> {
        let mut asked = self.asked.lock();
        // Those who have gone need no answer.
        asked.retain(|(_, answer)| !answer.is_closed());
        let first = asked.len().min(TOGETHER);
        let rest = asked.split_off(first);
        std::mem::replace(&mut *asked, rest)
    }
}

async fn answer_all(probe: &Arc<Probe>, singles: &Arc<Singles>, asked: Vec<Asked>) {
    let mut askers: HashMap<TopicPartition, Vec<Asker>> = HashMap::new();
    for (of, asker) in asked {
        askers.entry(of).or_default().push(asker);
    }
    let (doubted, askers): (HashMap<_, _>, HashMap<_, _>) =
        askers.into_iter().partition(|(of, _)| singles.doubts(of));
    for (of, askers) in doubted {
        singles.ask(of, askers, None);
    }
    let mut line = None;
    if askers.len() > 1 {
        let together: Vec<TopicPartition> = askers.keys().cloned().collect();
        let found = probe
            .ask(probe.patience(None).min(TOGETHER_FOR), move |client, timeout| {
                look_up(client, &together, timeout)
            })
            .await;
        if let Ok(found) = found {
            for (of, askers) in askers {
                let unknown = || Err(Native::MetadataFetch(RDKafkaErrorCode::UnknownPartition));
                let bounds = found.get(&of).cloned().unwrap_or_else(unknown);
                let bounds = bounds.map_err(Unanswered::Refused);
                for asker in askers {
                    let _ = asker.send(bounds.clone());
                }
            }
            return;
        }
        // One of them is away, and nobody knows which.
        line = Some(Line::Doubtful);
    }
    for (of, askers) in askers {
        singles.ask(of, askers, line);
    }
}

type Found = HashMap<TopicPartition, KafkaResult<Bounds>>;

fn look_up(client: &BaseConsumer<Context>, of: &[TopicPartition], timeout: Duration) -> KafkaResult<Found> {
    let begins = ends_of(client, of, NativeOffset::Beginning, timeout)?;
    let ends = ends_of(client, of, NativeOffset::End, timeout)?;
    let bounds = of.iter().zip(begins).zip(ends);
    let bounds = bounds.map(|((of, begin), end)| {
        let bounds = begin.and_then(|earliest| {
            end.map(|next| Bounds {
                // Retention may have moved the one past the other's time.
                earliest: earliest.min(next),
                next,
            })
        });
        (of.clone(), bounds)
    });
    Ok(bounds.collect())
}

/// One end of each partition. A time of -2 or -1 in the request means the beginning or the end.
fn ends_of(
    client: &BaseConsumer<Context>,
    of: &[TopicPartition],
    which: NativeOffset,
    timeout: Duration,
) -> KafkaResult<Vec<KafkaResult<Offset>>> {
    let mut list = TopicPartitionList::with_capacity(of.len());
    for of in of {
        list.add_partition_offset(of.topic.as_str(), of.partition as i32, which)?;
    }
    let list = client.offsets_for_times(list, timeout)?;
    let found = of.iter().map(|of| {
        let unknown = Native::MetadataFetch(RDKafkaErrorCode::UnknownPartition);
        let found = list
            .find_partition(of.topic.as_str(), of.partition as i32)
            .ok_or(unknown)?;
        if let Err(error) = found.error() {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            return Err(Native::MetadataFetch(code));
        }
        match found.offset() {
            NativeOffset::Offset(offset) => {
                Offset::try_from(offset).map_err(|_| Native::MetadataFetch(RDKafkaErrorCode::NoOffset))
            }
            _ => Err(Native::MetadataFetch(RDKafkaErrorCode::NoOffset)),
        }
    });
    Ok(found.collect())
}
