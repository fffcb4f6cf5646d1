//! A partition: what readers see, what waits to be written, and the writer's own state.
//!
//! Three locks, taken in this order where more than one is held: `writer` (the committer or the
//! keeper, for as long as a write takes, but not over a sync), `pending` (appending tasks and the committer,
//! for a copy), `view` (readers and the committer, for moments).

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use levada_event::{Bounds, Offset, Timestamp, TopicPartition};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::{Semaphore, watch};

use super::hot::Hot;
use super::pending::Pending;
use super::segment::Segment;
use super::topic::Topic;
use super::writer::Writer;
use crate::LogError;

/// Bytes of appends that may wait in one partition, so that a partition whose disk is slow cannot
/// take the room of the others. An append that is larger waits until it has the partition alone.
pub(super) const PENDING_BYTES_MAX: u32 = 16 << 20;

/// A partition of a topic.
pub(super) struct Partition {
    pub(super) of: TopicPartition,
    pub(super) topic: Arc<Topic>,
    pub(super) dir: PathBuf,
    pub(super) place: u32,
    pub(super) writer: Mutex<Writer>,
    /// Told when rounds in flight have come to their end; belongs to `writer`.
    pub(super) settled: Condvar,
    pub(super) pending: Mutex<Pending>,
    pub(super) view: RwLock<View>,
    /// Room for appends, in bytes.
    pub(super) room: Semaphore,
    /// The next offset, for readers that wait at the end.
    pub(super) next: watch::Sender<Offset>,
    /// Segments that retention took out of the view and whose files are still to be removed.
    pub(super) doomed: Mutex<VecDeque<Arc<Segment>>>,
    /// Base offsets of segments that could not be rewritten; they are left alone until a restart.
    pub(super) unsound: Mutex<HashSet<Offset>>,
    /// Why what it holds could not be found out: then nothing is read from it and nothing appended.
    pub(super) unreadable: Option<String>,
}

/// What readers see.
#[derive(Default)]
pub(super) struct View {
    /// All segments, oldest first; the last one is active.
    pub(super) segments: Vec<Arc<Segment>>,
    /// The next offset: everything below is durable (as far as the log's durability goes).
    pub(super) next: Offset,
    /// Recent blocks in memory, up to `next`.
    pub(super) hot: Hot,
    pub(super) health: Health,
    pub(super) last_appended: Option<Timestamp>,
}

/// Whether a partition takes appends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Health {
    #[default]
    Sound,
    /// It takes none until a restart, or until it has been repaired; the reason.
    Poisoned(String),
}

/// A segment and where it ends, as a reader found it.
pub(super) struct Spot {
    pub(super) segment: Arc<Segment>,
    /// The offset behind the segment.
    pub(super) end: Offset,
}

impl Partition {
    /// A partition as recovery found it.
    pub(super) fn new(topic: Arc<Topic>, number: u32, place: u32, view: View, writer: Writer) -> Arc<Self> {
        Arc::new(Self::build(topic, number, place, view, writer))
    }

    /// A partition whose files cannot be read.
    pub(super) fn unreadable(topic: Arc<Topic>, number: u32, place: u32, error: &io::Error) -> Arc<Self> {
        let dir = topic.partition_dir(number);
        let reason = format!("the partition in {} cannot be read: {error}", dir.display());
        tracing::error!(topic = %topic.name, partition = number, reason, "the partition cannot be used");
        let view = View {
            health: Health::Poisoned(reason.clone()),
            ..View::default()
        };
        let mut partition = Self::build(topic, number, place, view, Writer::default());
        partition.unreadable = Some(reason);
        Arc::new(partition)
    }

    fn build(topic: Arc<Topic>, number: u32, place: u32, view: View, writer: Writer) -> Self {
        let mut pending = Pending::default();
        if let Health::Poisoned(reason) = &view.health {
            pending.refuse(LogError::Poisoned(reason.clone()));
        }
        Self {
            of: TopicPartition::new(topic.name.clone(), number),
            dir: topic.partition_dir(number),
            topic,
            place,
            writer: Mutex::new(writer),
            settled: Condvar::new(),
            pending: Mutex::new(pending),
            room: Semaphore::new(PENDING_BYTES_MAX as usize),
            next: watch::Sender::new(view.next),
            view: RwLock::new(view),
            doomed: Mutex::default(),
            unsound: Mutex::default(),
            unreadable: None,
        }
    }

    /// Takes no more appends until a restart.
    pub(super) fn poison(&self, reason: &str) {
        tracing::error!(partition = %self.of, reason, "the partition takes no more appends");
        self.pending.lock().refuse(LogError::Poisoned(reason.to_owned()));
        self.view.write().health = Health::Poisoned(reason.to_owned());
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.view.read().bounds()
    }

    /// The segment that holds `offset`.
    ///
    /// # Errors
    /// `OutOfRange` when the offset is not kept or not there yet.
    pub(super) fn locate(&self, offset: Offset) -> Result<Spot, LogError> {
        let view = self.view.read();
        let bounds = view.bounds();
        if offset < bounds.earliest || offset >= bounds.next {
            return Err(LogError::OutOfRange(bounds));
        }
        let behind = view.segments.partition_point(|segment| segment.base <= offset);
        match view.spot(behind.wrapping_sub(1)) {
            Some(spot) => Ok(spot),
            None => Err(LogError::OutOfRange(bounds)),
        }
    }

    /// Whether the segment is still part of the partition, and not replaced by a rewritten one.
    pub(super) fn has(&self, segment: &Arc<Segment>) -> bool {
        let view = self.view.read();
        view.segments.iter().any(|known| Arc::ptr_eq(known, segment))
    }

    /// All segments with records as of now, oldest first.
    pub(super) fn spots(&self) -> Vec<Spot> {
        let view = self.view.read();
        (0..view.segments.len())
            .filter_map(|i| view.spot(i))
            .filter(|spot| spot.end > spot.segment.base)
            .collect()
    }
}

impl View {
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            earliest: self.segments.first().map_or(self.next, |first| first.base),
            next: self.next,
        }
    }

    fn spot(&self, index: usize) -> Option<Spot> {
        let segment = self.segments.get(index)?.clone();
        let end = self.segments.get(index + 1).map_or(self.next, |next| next.base);
        Some(Spot { segment, end })
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len()).sum()
    }
}
