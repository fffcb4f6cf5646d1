//! The ends of partitions: one fetch loop per live partition, however many readers it has.
//!
//! A loop keeps a window of the newest records. Readers whose place lies in the window are served from
//! it and wait there for more; who has fallen out of it reads the past. The loop goes no further ahead
//! of its foremost reader than a bound, and ends when nobody has read for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use levada_event::{Offset, RecordBatch, TopicPartition};
use levada_log::{LogError, ReadLimit};
use parking_lot::Mutex;
use tokio::sync::{Notify, OnceCell};

use crate::Settings;
use crate::client::{Context, ErrorCounts, Role};
use crate::fetch::Fetcher;
use crate::statistics::Report;
use crate::stats::PartitionLag;

mod follow;
mod trouble;
mod window;

use follow::follow;
use window::{Found, Window};

/// Most live partitions at a time; each holds up to three megabytes when its readers are slow.
const LIVE_MAX: usize = 4096;

/// A loop looks around this often even when nothing wakes it.
const LOOK: Duration = Duration::from_secs(1);

/// The statistics may be this much older than they look: they are told in whole seconds.
const STALE: Duration = Duration::from_secs(2);

pub(crate) struct Live {
    settings: Settings,
    errors: Arc<ErrorCounts>,
    fetcher: OnceCell<Fetcher>,
    starting: tokio::sync::Mutex<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    partitions: Mutex<HashMap<TopicPartition, Arc<LivePartition>>>,
}

impl Live {
    pub(crate) fn new(settings: &Settings, errors: Arc<ErrorCounts>) -> Self {
        Self {
            settings: settings.clone(),
            errors,
            fetcher: OnceCell::new(),
            starting: tokio::sync::Mutex::default(),
            shared: Arc::default(),
        }
    }

    /// The loop of a partition, if it runs.
    pub(crate) fn get(&self, of: &TopicPartition) -> Option<Arc<LivePartition>> {
        self.shared.partitions.lock().get(of).cloned()
    }

    /// Starts the loop of a partition at `from`, unless it runs.
    pub(crate) async fn start(
        &self,
        of: &TopicPartition,
        from: Offset,
    ) -> Result<Arc<LivePartition>, LogError> {
        let _turn = self.starting.lock().await;
        if let Some(partition) = self.get(of) {
            return Ok(partition);
        }
        if self.shared.partitions.lock().len() >= LIVE_MAX {
            return Err(LogError::Unavailable(format!(
                "more than {LIVE_MAX} partitions are being followed"
            )));
        }
        let fetcher = self.fetcher.get_or_try_init(|| async { self.fetcher() }).await?;
        let assigned = fetcher.assign(of.clone(), from).await;
        let assigned = assigned.map_err(LogError::Unavailable)?;
        let partition = Arc::new(LivePartition::new(of.clone(), from));
        let mut partitions = self.shared.partitions.lock();
        partitions.insert(of.clone(), partition.clone());
        drop(partitions);
        tokio::spawn(follow(self.shared.clone(), partition.clone(), assigned));
        Ok(partition)
    }

    fn fetcher(&self) -> Result<Fetcher, LogError> {
        let shared = Arc::downgrade(&self.shared);
        let take = move |json: &[u8]| {
            let Some(shared) = shared.upgrade() else { return };
            match Report::parse(json) {
                Ok(report) => shared.take(&report),
                Err(error) => tracing::warn!(%error, "statistics of librdkafka cannot be read"),
            }
        };
        let context = Context::new(Role::Live, self.errors.clone()).with_statistics(Box::new(take));
        Fetcher::start(&self.settings, Role::Live, context)
            .map_err(|error| LogError::Unavailable(error.to_string()))
    }

    pub(crate) fn lag(&self) -> Vec<PartitionLag> {
        let partitions: Vec<_> = self.shared.partitions.lock().values().cloned().collect();
        partitions.iter().map(|partition| partition.lag()).collect()
    }

    /// Ends all loops.
    pub(crate) fn close(&self) {
        let partitions: Vec<_> = self.shared.partitions.lock().values().cloned().collect();
        for partition in partitions {
            partition.window.lock().over = true;
            partition.nudge.notify_one();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Tells each partition how it is.
    fn take(&self, report: &Report) {
        let told = SystemTime::UNIX_EPOCH + Duration::from_secs(report.time.try_into().unwrap_or(0));
        let partitions: Vec<_> = self.partitions.lock().values().cloned().collect();
        for partition in partitions {
            // What was told before a loop began may be about the loop before it.
            if told < partition.begun + STALE {
                continue;
            }
            let Some(glance) = report.glance(&partition.of) else {
                continue;
            };
            let mut window = partition.window.lock();
            let moved = window.take(glance);
            drop(window);
            if moved {
                partition.moved.notify_waiters();
            }
        }
    }

    fn remove(&self, partition: &Arc<LivePartition>) {
        let mut partitions = self.partitions.lock();
        if partitions
            .get(&partition.of)
            .is_some_and(|other| Arc::ptr_eq(other, partition))
        {
            partitions.remove(&partition.of);
        }
    }
}

/// A partition that is being followed.
pub(crate) struct LivePartition {
    of: TopicPartition,
    begun: SystemTime,
    window: Mutex<Window>,
    /// Something for readers.
    moved: Notify,
    /// Something for the loop: room, or the end.
    nudge: Notify,
}

impl LivePartition {
    fn new(of: TopicPartition, from: Offset) -> Self {
        Self {
            of,
            begun: SystemTime::now(),
            window: Mutex::new(Window::at(from)),
            moved: Notify::new(),
            nudge: Notify::new(),
        }
    }

    /// The end of what the loop has seen.
    pub(crate) fn next(&self) -> Offset {
        self.window.lock().next()
    }

    /// Whether this is the place to read from `from` on.
    pub(crate) fn holds(&self, from: Offset) -> bool {
        self.window.lock().holds(from)
    }

    /// Why the loop could not go on.
    pub(crate) fn failure(&self) -> Option<String> {
        self.window.lock().failed.clone()
    }

    /// Reads from `from` on, waiting as `limit` says. `None` when this is not the place to read: the
    /// records are older than the window, or the loop has ended.
    ///
    /// # Errors
    /// `Unavailable` when the partition's broker has been away for longer than `grace`.
    pub(crate) async fn read(
        &self,
        from: Offset,
        limit: ReadLimit,
        grace: Duration,
    ) -> Result<Option<RecordBatch>, LogError> {
        let deadline = tokio::time::Instant::now() + limit.wait;
        let _here = Here::enter(self);
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            match self.find(from, limit.bytes) {
                Found::Batch(batch) => return Ok(Some(batch)),
                Found::Elsewhere => return Ok(None),
                Found::Nothing {
                    trouble: Some((since, why)),
                } if since.elapsed() >= grace => {
                    return Err(LogError::Unavailable(why));
                }
                Found::Nothing { .. } => {}
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(Some(RecordBatch::empty(from)));
            }
            // Trouble is looked at even when nothing moves.
            let until = deadline.min(tokio::time::Instant::now() + LOOK);
            let _ = tokio::time::timeout_at(until, moved).await;
        }
    }

    /// Looks into the window, and tells the loop when that made room.
    fn find(&self, from: Offset, bytes: usize) -> Found {
        let mut window = self.window.lock();
        let had_room = window.has_room();
        let found = window.find(from, bytes);
        if !had_room && window.has_room() {
            self.nudge.notify_one();
        }
        found
    }

    fn lag(&self) -> PartitionLag {
        let window = self.window.lock();
        PartitionLag {
            of: self.of.clone(),
            records: window.behind(),
            seconds: window.behind_for().as_secs_f64(),
        }
    }
}

/// A reader in a window.
struct Here<'a>(&'a LivePartition);

impl<'a> Here<'a> {
    fn enter(partition: &'a LivePartition) -> Self {
        partition.window.lock().readers += 1;
        Self(partition)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let mut window = self.0.window.lock();
        window.readers -= 1;
        window.used = Instant::now();
    }
}
