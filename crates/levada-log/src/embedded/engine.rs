//! What all parts of the engine share.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use levada_event::limits::{PARTITIONS_MAX, RECORD_BYTES_MAX};
use levada_event::pool::Pool;
use levada_event::{Record, TopicName, TopicPartition};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot};

use super::block::place;
use super::committer::Queue;
use super::disk::{Disk, File};
use super::hot::HotPool;
use super::partition::{PENDING_BYTES_MAX, Partition, View};
use super::pending::Outcome;
use super::recover::recover;
use super::refusal::Refusal;
use super::root::{self, OpenError, Root};
use super::segment::OpenSegments;
use super::stats::Counters;
use super::topic::{Stored, Topic};
use super::writer::Writer;
use super::{EmbeddedOptions, frame};
use crate::clock::Clock;
use crate::{Durability, LogError, LogFacts, Retention, TopicInfo, TopicSpec};

/// Bytes of appends that may wait in the whole log: what the disk writes in a fraction of a second.
/// Beyond it appends wait for room, which is the back-pressure that producers feel.
const ROOM_BYTES: u32 = 64 << 20;

/// Reads from files at one time; more wait their turn. Each takes a thread and up to a mebibyte.
const FILE_READERS_MAX: usize = 16;

/// Buffers of reads that are kept for the next ones, and the sizes of those that are worth it: what few
/// clients that catch up have in use at a time.
const BUFFERS_KEPT: usize = 8;
const BUFFER_BYTES: Range<usize> = 256 << 10..2 << 20;

/// Threads that open partitions at the start. Opening waits for the disk more than it computes.
const OPENERS: usize = 8;

pub(super) struct Engine {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: EmbeddedOptions,
    pub(super) facts: LogFacts,
    pub(super) clock: Clock,
    pub(super) topics: RwLock<HashMap<TopicName, Declared>>,
    pub(super) queue: Queue,
    pub(super) room: Semaphore,
    pub(super) readers: Arc<Semaphore>,
    /// What reads of files are read into.
    pub(super) buffers: Pool,
    pub(super) hot: HotPool,
    pub(super) open_segments: OpenSegments,
    pub(super) counters: Counters,
    pub(super) refusal: Refusal,
    pub(super) closing: AtomicBool,
    /// Held by whoever does the keeper's work; the partition whose turn it is to have a segment packed.
    pub(super) maintaining: Mutex<usize>,
    /// Held while a topic is made, so that it is made once.
    declaring: Mutex<()>,
    closed: Mutex<bool>,
    close: Condvar,
    root: Mutex<Root>,
}

/// A topic and its partitions.
#[derive(Clone)]
pub(super) enum Declared {
    Sound {
        topic: Arc<Topic>,
        partitions: Arc<[Arc<Partition>]>,
    },
    /// How its records are divided cannot be told: nothing is done with it.
    Damaged(String),
}

impl Engine {
    /// Opens or makes the log and recovers every partition.
    pub(super) fn open(options: EmbeddedOptions) -> Result<Arc<Self>, OpenError> {
        let disk = options.disk.clone();
        let root = root::open(&*disk, &options.path, options.id.as_deref())?;
        // Without committers of its own the engine runs on the caller's thread alone.
        let openers = if options.committers == 0 { 1 } else { OPENERS };
        let topics = open_topics(&*disk, &root, openers)?;
        Ok(Arc::new(Self {
            facts: LogFacts {
                backend: "embedded",
                id: root.id.clone(),
                durability: match options.durability {
                    Durability::Fsync => Durability::Fsync,
                    Durability::Os | Durability::None => Durability::Os,
                },
                record_bytes_max: RECORD_BYTES_MAX,
                creates_topics: true,
            },
            disk,
            clock: options.clock.clone(),
            topics: RwLock::new(topics),
            queue: Queue::default(),
            room: Semaphore::new(ROOM_BYTES as usize),
            readers: Arc::new(Semaphore::new(FILE_READERS_MAX)),
            buffers: Pool::new(BUFFERS_KEPT, BUFFER_BYTES),
            hot: HotPool::new(options.hot_bytes),
            open_segments: OpenSegments::default(),
            counters: Counters::default(),
            refusal: Refusal::default(),
            closing: AtomicBool::new(false),
            maintaining: Mutex::new(0),
            declaring: Mutex::new(()),
            closed: Mutex::new(false),
            close: Condvar::new(),
            root: Mutex::new(root),
            options,
        }))
    }

    /// The partition, or why there is none.
    pub(super) fn partition(&self, of: &TopicPartition) -> Result<Arc<Partition>, LogError> {
        match self.topics.read().get(&of.topic) {
            Some(Declared::Sound { partitions, .. }) => {
                let partition = partitions.get(of.partition as usize).cloned();
                let partition = partition.ok_or_else(|| LogError::UnknownTopic(of.clone()))?;
                match &partition.unreadable {
                    None => Ok(partition),
                    Some(reason) => Err(LogError::Corrupt {
                        at: of.at(0),
                        reason: reason.clone(),
                    }),
                }
            }
            Some(Declared::Damaged(reason)) => Err(LogError::Corrupt {
                at: of.at(0),
                reason: reason.clone(),
            }),
            None => Err(LogError::UnknownTopic(of.clone())),
        }
    }

    /// All partitions of all sound topics.
    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        let mut all = Vec::new();
        for declared in topics.values() {
            if let Declared::Sound { partitions, .. } = declared {
                all.extend(partitions.iter().cloned());
            }
        }
        all.sort_by(|a, b| a.of.cmp(&b.of));
        all
    }

    /// The topic if it is there with this retention already, which needs no file.
    pub(super) fn known_topic(&self, spec: &TopicSpec) -> Option<TopicInfo> {
        match self.topics.read().get(&spec.name)? {
            Declared::Sound { topic, partitions } if topic.retention() == round(spec.retention) => {
                Some(TopicInfo {
                    partitions: partitions.len() as u32,
                })
            }
            _ => None,
        }
    }

    /// A sound topic, whatever its retention.
    pub(super) fn topic_as_it_is(&self, name: &TopicName) -> Option<TopicInfo> {
        match self.topics.read().get(name)? {
            Declared::Sound { partitions, .. } => Some(TopicInfo {
                partitions: partitions.len() as u32,
            }),
            Declared::Damaged(_) => None,
        }
    }

    /// Whether the topic is there but cannot be used.
    pub(super) fn is_damaged(&self, name: &TopicName) -> bool {
        matches!(self.topics.read().get(name), Some(Declared::Damaged(_)))
    }

    /// Declares a topic; blocks on files. Appends and readers of memory go on meanwhile; who reads files may wait
    /// for one of the turns that those who declare hold.
    pub(super) fn declare(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        let retention = round(spec.retention);
        let failed = |error: io::Error| {
            LogError::Unavailable(format!("the topic {} cannot be declared: {error}", spec.name))
        };
        let known = |topics: &HashMap<TopicName, Declared>| topics.get(&spec.name).cloned();
        let again = |declared: Declared| match declared {
            Declared::Sound { topic, partitions } => {
                let count = partitions.len() as u32;
                topic
                    .set_retention(&*self.disk, count, retention)
                    .map_err(failed)?;
                Ok(TopicInfo { partitions: count })
            }
            Declared::Damaged(reason) => Err(LogError::Unavailable(reason)),
        };
        if self.closing.load(Ordering::SeqCst) {
            return Err(closed());
        }
        let declared = known(&self.topics.read());
        if let Some(declared) = declared {
            return again(declared);
        }
        let making = self.declaring.lock();
        let declared = known(&self.topics.read());
        if let Some(declared) = declared {
            drop(making);
            return again(declared);
        }
        if !(1..=PARTITIONS_MAX).contains(&spec.partitions) {
            return Err(LogError::Unavailable(format!(
                "the topic {} cannot have {} partitions; 1 to {PARTITIONS_MAX} are possible",
                spec.name, spec.partitions
            )));
        }
        let (count, dir) = (spec.partitions, self.root.lock().topics.clone());
        let created = Topic::create(&*self.disk, &dir, &spec.name, count, retention);
        let topic = created
            .inspect_err(|error| self.refusal.refused(error))
            .map_err(failed)?;
        let topic = Arc::new(topic);
        let partitions = (0..count)
            .map(|number| {
                let place = place(&self.facts.id, spec.name.as_str(), number);
                Partition::new(topic.clone(), number, place, View::default(), Writer::default())
            })
            .collect();
        let mut topics = self.topics.write();
        if self.closing.load(Ordering::SeqCst) {
            return Err(closed());
        }
        topics.insert(spec.name.clone(), Declared::Sound { topic, partitions });
        Ok(TopicInfo { partitions: count })
    }

    /// Puts an append where the committer finds it, and answers where its outcome will arrive.
    pub(super) async fn enqueue(
        &self,
        to: &TopicPartition,
        records: &[Record],
    ) -> Result<oneshot::Receiver<Outcome>, LogError> {
        let partition = self.partition(to).map_err(|error| match error {
            LogError::Corrupt { reason, .. } => LogError::Poisoned(reason),
            other => other,
        })?;
        let mut bytes = 0;
        for record in records {
            let size = frame::size(record);
            if size > self.facts.record_bytes_max {
                return Err(LogError::TooLarge {
                    bytes: size,
                    max: self.facts.record_bytes_max,
                });
            }
            bytes += size + frame::HEADER_BYTES;
        }
        if records.is_empty() {
            let (sender, receiver) = oneshot::channel();
            let _ = sender.send(Ok(partition.bounds().next));
            return Ok(receiver);
        }
        let cost = u32::try_from(bytes).unwrap_or(u32::MAX).min(PENDING_BYTES_MAX);
        let of_partition = partition.room.acquire_many(cost).await.map_err(|_| closed())?;
        let of_log = self.room.acquire_many(cost).await.map_err(|_| closed())?;
        let (receiver, idle) = partition.pending.lock().push(records, cost)?;
        // The committer gives the room back when the append has its outcome, whether or not anyone
        // still waits for it.
        of_partition.forget();
        of_log.forget();
        if idle {
            self.queue.push(partition);
        }
        Ok(receiver)
    }

    /// Syncs a file and counts how long that took.
    pub(super) fn timed_sync(&self, file: &dyn File) -> io::Result<()> {
        let start = Instant::now();
        let outcome = file.sync();
        self.counters.synced(start.elapsed(), outcome.is_ok());
        outcome
    }

    /// Takes no more appends. What waits is still written.
    pub(super) fn refuse_appends(&self) {
        // The lock orders this against declarations of topics.
        let topics = self.topics.write();
        self.closing.store(true, Ordering::SeqCst);
        drop(topics);
        for partition in self.partitions() {
            partition.pending.lock().refuse(closed());
        }
    }

    /// Waits for `time` or until the log closes; `true` when it does.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let mut closed = self.closed.lock();
        if !*closed {
            self.close.wait_for(&mut closed, time);
        }
        *closed
    }

    /// Lets the threads end.
    pub(super) fn end_threads(&self) {
        self.queue.close();
        *self.closed.lock() = true;
        self.close.notify_all();
    }

    /// The last work after the committers have ended: syncs, saves the indices, gives up the lock.
    pub(super) fn finish(&self) {
        for partition in self.partitions() {
            let mut writer = partition.writer.lock();
            if partition.sync_active(self, &mut writer).is_ok() {
                partition.save_index(self, &mut writer, true);
            }
        }
        self.root.lock().lock = None;
    }

    /// Whether the log was closed.
    pub(super) fn is_finished(&self) -> bool {
        self.root.lock().lock.is_none()
    }
}

fn open_topics(
    disk: &dyn Disk,
    root: &Root,
    openers: usize,
) -> Result<HashMap<TopicName, Declared>, OpenError> {
    let io = |source| OpenError::Io {
        path: root.topics.clone(),
        source,
    };
    let mut topics = HashMap::new();
    let mut jobs = Vec::new();
    for listed in disk.list(&root.topics).map_err(io)? {
        let Some(name) = TopicName::new(&listed.name).ok().filter(|_| listed.is_dir) else {
            continue;
        };
        let loaded = Topic::load(disk, &root.topics, name.clone());
        let loaded = loaded.or_else(|error| match concerns_the_process(&error) {
            true => Err(io(error)),
            false => Ok(Stored::Damaged(format!("its directory cannot be read: {error}"))),
        });
        match loaded? {
            Stored::Topic(topic, count) => {
                let topic = Arc::new(topic);
                jobs.extend((0..count).map(|number| (topic.clone(), number)));
            }
            Stored::Nothing => {}
            Stored::Damaged(reason) => {
                tracing::error!(topic = %name, reason, "the topic cannot be used");
                topics.insert(name, Declared::Damaged(reason));
            }
        }
    }
    let mut opened = open_partitions(disk, &root.id, &jobs, openers).map_err(io)?;
    opened.sort_by(|a, b| a.of.cmp(&b.of));
    for partitions in opened.chunk_by(|a, b| a.of.topic == b.of.topic) {
        let declared = Declared::Sound {
            topic: partitions[0].topic.clone(),
            partitions: partitions.into(),
        };
        topics.insert(partitions[0].of.topic.clone(), declared);
    }
    Ok(topics)
}

fn open_partitions(
    disk: &dyn Disk,
    id: &str,
    jobs: &[(Arc<Topic>, u32)],
    openers: usize,
) -> io::Result<Vec<Arc<Partition>>> {
    let share = jobs.len().div_ceil(openers).max(1);
    std::thread::scope(|scope| {
        let openers: Vec<_> = jobs
            .chunks(share)
            .map(|jobs| {
                scope.spawn(move || {
                    let open = |(topic, number): &(Arc<Topic>, u32)| {
                        let place = place(id, topic.name.as_str(), *number);
                        recover(disk, topic, *number, place).or_else(|error| {
                            match concerns_the_process(&error) {
                                true => Err(error),
                                false => Ok(Partition::unreadable(topic.clone(), *number, place, &error)),
                            }
                        })
                    };
                    jobs.iter().map(open).collect::<io::Result<Vec<_>>>()
                })
            })
            .collect();
        let mut all = Vec::with_capacity(jobs.len());
        for opener in openers {
            let opened = opener
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread that opens partitions failed")))?;
            all.extend(opened);
        }
        Ok(all)
    })
}

/// Whether a failure says more of this process than of the file: then it may open next time.
fn concerns_the_process(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}

/// Retention as it is stored: whole milliseconds.
fn round(retention: Retention) -> Retention {
    let millis = |age: std::time::Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Retention {
        age: retention.age.map(millis).map(std::time::Duration::from_millis),
        ..retention
    }
}

fn closed() -> LogError {
    LogError::Unavailable("the log is closed".into())
}
