//! A consumer that fetches partitions from explicit offsets, each into a queue of its own.
//!
//! One thread per consumer carries out assignments in the order in which they are asked for and serves
//! what is not of a partition (logs, errors, statistics). Readers poll their partition's queue without
//! blocking and are woken when it is no longer empty.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use levada_event::{Offset, TopicName, TopicPartition};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};

use crate::KafkaError;
use crate::chunk::ChunkBuilder;
use crate::client::{self, Context, Role};
use crate::settings::Settings;

/// How often a consumer serves what is not of a partition.
const SERVE_EVERY: Duration = Duration::from_millis(50);

/// Assignments that may wait: each assigned partition has at most one change under way, and far fewer
/// partitions than this are assigned.
const CHANGES_MAX: usize = 16_384;

/// How long the leaders of a topic are waited for before it is first fetched.
const LEADERS_WITHIN: Duration = Duration::from_secs(2);

/// After they were asked for in vain, nothing is held up for so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Most topics whose leaders a consumer is known to know.
const KNOWN_MAX: usize = 10_000;

type Queue = PartitionQueue<Context>;

enum Change {
    Assign {
        of: TopicPartition,
        from: Offset,
        /// For the assignment's end. The thread keeps none of its own: it ends with the last of them.
        changes: SyncSender<Change>,
        reply: oneshot::Sender<Result<Assigned, String>>,
    },
    /// The queue goes along, because letting go of it ends its wake-ups: that must not happen after the
    /// next assignment of the partition began.
    Unassign { of: TopicPartition, queue: Queue },
}

/// A consumer and its thread. The thread ends when the last handle and the last assignment are gone.
#[derive(Clone)]
pub(crate) struct Fetcher {
    changes: SyncSender<Change>,
}

impl Fetcher {
    /// Makes a consumer of `settings` for `role`.
    pub(crate) fn start(settings: &Settings, role: Role, context: Context) -> Result<Self, KafkaError> {
        let consumer: BaseConsumer<Context> = client::create(settings, role, context)?;
        let (changes, asked) = sync_channel(CHANGES_MAX);
        let thread = std::thread::Builder::new().name("kafka-fetch".into());
        thread
            .spawn(move || serve(&Arc::new(consumer), &asked))
            .map_err(|error| KafkaError::Setting {
                key: "threads".into(),
                reason: format!("a thread for a consumer cannot be started: {error}"),
            })?;
        Ok(Self { changes })
    }

    /// Begins to fetch `of` at `from`, which must not be assigned to this fetcher now. Whoever gives up
    /// the wait may do so at any moment: the partition is free for the next that asks.
    pub(crate) async fn assign(&self, of: TopicPartition, from: Offset) -> Result<Assigned, String> {
        let (reply, answer) = oneshot::channel();
        let change = Change::Assign {
            of,
            from,
            changes: self.changes.clone(),
            reply,
        };
        let gone = || "the consumer has stopped".to_owned();
        self.changes.try_send(change).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn serve(consumer: &Arc<BaseConsumer<Context>>, asked: &Receiver<Change>) {
    let mut leaders = Leaders::default();
    loop {
        match asked.recv_timeout(SERVE_EVERY) {
            Ok(change) => carry_out(consumer, change, &mut leaders),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Errors are counted and logged by the context.
        while consumer.poll(Duration::ZERO).is_some() {}
    }
}

fn carry_out(consumer: &Arc<BaseConsumer<Context>>, change: Change, leaders: &mut Leaders) {
    match change {
        Change::Assign {
            of,
            from,
            changes,
            reply,
        } => {
            // Whoever asked may have given up meanwhile.
            if reply.is_closed() {
                return;
            }
            leaders.learn(consumer, &of.topic);
            let ready = Arc::new(Notify::new());
            let answer = assign(consumer, &of, from, ready.clone()).map(|queue| Assigned {
                of: of.clone(),
                changes,
                queue: Some(queue),
                ready,
                from,
            });
            // What is sent and never looked at ends as it is dropped with the answer. What cannot be sent
            // ends here, before the next change: that may be another's for the same partition.
            if let Err(Ok(mut assigned)) = reply.send(answer)
                && let Some(queue) = assigned.queue.take()
            {
                unassign(consumer, &of, queue);
            }
        }
        Change::Unassign { of, queue } => unassign(consumer, &of, queue),
    }
}

/// The topics whose leaders a consumer has asked for.
#[derive(Default)]
struct Leaders {
    known: HashSet<TopicName>,
    asked_in_vain: Option<Instant>,
}

impl Leaders {
    /// Asks for the leaders of a topic that is new to the consumer. librdkafka looks for them by itself,
    /// but only once a second.
    fn learn(&mut self, consumer: &BaseConsumer<Context>, topic: &TopicName) {
        let in_vain = self
            .asked_in_vain
            .is_some_and(|at| at.elapsed() < ASK_AGAIN_AFTER);
        if in_vain || self.known.contains(topic) {
            return;
        }
        match consumer.fetch_metadata(Some(topic.as_str()), LEADERS_WITHIN) {
            Ok(_) => {
                if self.known.len() < KNOWN_MAX {
                    self.known.insert(topic.clone());
                }
                self.asked_in_vain = None;
            }
            Err(error) => {
                tracing::debug!(%topic, %error, "leaders are not known yet");
                self.asked_in_vain = Some(Instant::now());
            }
        }
    }
}

fn assign(
    consumer: &Arc<BaseConsumer<Context>>,
    of: &TopicPartition,
    from: Offset,
    ready: Arc<Notify>,
) -> Result<Queue, String> {
    // Split off before the assignment, so that nothing ever goes to the common queue.
    let mut queue = consumer
        .split_partition_queue(of.topic.as_str(), of.partition as i32)
        .ok_or("the partition has no queue")?;
    let list = place(of, from).map_err(|error| error.to_string())?;
    consumer
        .incremental_assign(&list)
        .map_err(|error| error.to_string())?;
    queue.set_nonempty_callback(move || ready.notify_one());
    Ok(queue)
}

fn unassign(consumer: &Arc<BaseConsumer<Context>>, of: &TopicPartition, queue: Queue) {
    let list = place(of, 0);
    if let Err(error) = list.and_then(|list| consumer.incremental_unassign(&list)) {
        tracing::warn!(partition = %of, %error, "a partition could not be let go");
    }
    // What was fetched ahead is outdated now; looking at it frees it.
    while queue.poll(Duration::ZERO).is_some() {}
}

fn place(of: &TopicPartition, from: Offset) -> Result<TopicPartitionList, Native> {
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(of.topic.as_str(), of.partition as i32, NativeOffset::Offset(from))?;
    Ok(list)
}

/// What came last out of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Records, as many as were asked for; there may be more.
    Full,
    /// The queue is empty for now.
    Empty,
    /// The end of the partition was reached behind the records before.
    End,
    /// The partition cannot be fetched from here on.
    Failed(RDKafkaErrorCode),
}

/// A partition that is being fetched. Dropping it ends that.
pub(crate) struct Assigned {
    of: TopicPartition,
    changes: SyncSender<Change>,
    queue: Option<Queue>,
    ready: Arc<Notify>,
    from: Offset,
}

impl Assigned {
    /// Moves what was fetched to `into`, until that holds `bytes`.
    pub(crate) fn drain(&self, into: &mut ChunkBuilder, bytes: usize) -> Drained {
        let Some(queue) = &self.queue else {
            return Drained::Empty;
        };
        while into.bytes() < bytes {
            match queue.poll(Duration::ZERO) {
                None => return Drained::Empty,
                Some(Ok(message)) => into.push(&message, self.from),
                Some(Err(Native::PartitionEOF(_))) => return Drained::End,
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                    return Drained::Failed(code);
                }
            }
        }
        Drained::Full
    }

    /// Waits until there may be something to drain.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            let of = self.of.clone();
            if self.changes.try_send(Change::Unassign { of, queue }).is_err() {
                tracing::error!(partition = %self.of, "a partition could not be let go: its consumer is busy");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context as Waiting, Poll, Waker};

    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::client::ErrorCounts;

    fn partition(number: u32) -> TopicPartition {
        TopicPartition::new(TopicName::new("t").expect("a name"), number)
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_leaves_the_partition_free() {
        let mock = MockCluster::new(1).expect("a mock cluster");
        mock.create_topic("t", 2, 1).expect("a topic");
        let context = Context::new(Role::Past, Arc::<ErrorCounts>::default());
        let settings = Settings::new(mock.bootstrap_servers());
        let fetcher = Fetcher::start(&settings, Role::Past, context).expect("a consumer");
        {
            let mut asked = pin!(fetcher.assign(partition(0), 0));
            let waiting = &mut Waiting::from_waker(Waker::noop());
            assert!(matches!(asked.as_mut().poll(waiting), Poll::Pending));
            // Changes are carried out in their order: when this one is, the other has its answer.
            fetcher.assign(partition(1), 0).await.expect("assigned");
        }
        fetcher.assign(partition(0), 0).await.expect("assigned again");
        // As is one that was taken, when it is dropped.
        fetcher.assign(partition(1), 0).await.expect("assigned again");
    }
}
