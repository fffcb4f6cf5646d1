//! Bounds of partitions, asked for together.
//!
//! A subscription that opens wants the bounds of fifty partitions, and after a restart a thousand
//! subscriptions open at once. Whoever asks lays the question on the desk; the next turn takes all that
//! lie there and asks the brokers for the beginnings and the ends of all of them, in two requests per
//! broker. A question is never answered by a request that was sent before it was asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_event::{Bounds, Offset, TopicPartition};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use tokio::sync::{Semaphore, oneshot};

use crate::client::Context;
use crate::probe::{Probe, Unanswered};

/// Requests under way at a time. Few, so that questions gather meanwhile.
const TURNS: usize = 2;

/// Partitions in one request.
const TOGETHER: usize = 500;

/// How long a request for several partitions may take. One without a leader holds up all of them;
/// afterwards each is asked about alone.
const TOGETHER_FOR: Duration = Duration::from_secs(2);

/// A partition that was asked about in vain is asked about alone, for so long.
const ALONE_FOR: Duration = Duration::from_secs(15);

type Answer = Result<Bounds, Unanswered>;
type Asked = (TopicPartition, oneshot::Sender<Answer>);

pub(crate) struct BoundsDesk {
    probe: Arc<Probe>,
    asked: Mutex<Vec<Asked>>,
    turns: Arc<Semaphore>,
    alone: Arc<Alone>,
}

/// Partitions that were asked about in vain, and when.
#[derive(Default)]
struct Alone(Mutex<HashMap<TopicPartition, Instant>>);

impl Alone {
    fn holds(&self, of: &TopicPartition) -> bool {
        let in_vain = self.0.lock();
        in_vain.get(of).is_some_and(|at| at.elapsed() < ALONE_FOR)
    }

    fn note(&self, of: &TopicPartition, answered: bool) {
        let mut in_vain = self.0.lock();
        if answered {
            in_vain.remove(of);
        } else {
            in_vain.retain(|_, at| at.elapsed() < ALONE_FOR);
            in_vain.insert(of.clone(), Instant::now());
        }
    }
}

impl BoundsDesk {
    pub(crate) fn new(probe: Arc<Probe>) -> Self {
        Self {
            probe,
            asked: Mutex::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
            alone: Arc::default(),
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
                    let (probe, alone) = (self.probe.clone(), self.alone.clone());
                    // On its own, so that it goes on for the others when this one is no longer wanted.
                    tokio::spawn(async move {
                        answer_all(&probe, &alone, asked).await;
                        drop(turn);
                    });
                }
            }
        }
        answered.await.unwrap_or(Err(Unanswered::Late))
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

async fn answer_all(probe: &Arc<Probe>, alone: &Arc<Alone>, asked: Vec<Asked>) {
    let (apart, asked): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(of, _)| alone.holds(of));
    for asked in apart {
        tokio::spawn(answer_one(probe.clone(), alone.clone(), asked));
    }
    let mut partitions: Vec<TopicPartition> = asked.iter().map(|(of, _)| of.clone()).collect();
    partitions.sort();
    partitions.dedup();
    if partitions.len() > 1 {
        let together = partitions.clone();
        let found = probe
            .ask(probe.patience(None).min(TOGETHER_FOR), move |client, timeout| {
                look_up(client, &together, timeout)
            })
            .await;
        if let Ok(found) = found {
            for (of, answer) in asked {
                let unknown = || Err(Native::MetadataFetch(RDKafkaErrorCode::UnknownPartition));
                let bounds = found.get(&of).cloned().unwrap_or_else(unknown);
                let _ = answer.send(bounds.map_err(Unanswered::Refused));
            }
            return;
        }
    }
    for asked in asked {
        tokio::spawn(answer_one(probe.clone(), alone.clone(), asked));
    }
}

async fn answer_one(probe: Arc<Probe>, alone: Arc<Alone>, (of, answer): Asked) {
    let only = [of.clone()];
    let found = probe
        .ask(probe.patience(Some(&of.topic)), move |client, timeout| {
            look_up(client, &only, timeout)
        })
        .await;
    // Whoever could not be asked about, not whoever was refused.
    alone.note(&of, found.is_ok());
    let unknown = || Err(Native::MetadataFetch(RDKafkaErrorCode::UnknownPartition));
    let bounds = found.and_then(|found| {
        found
            .get(&of)
            .cloned()
            .unwrap_or_else(unknown)
            .map_err(Unanswered::Refused)
    });
    let _ = answer.send(bounds);
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
