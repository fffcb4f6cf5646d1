//! Recent blocks in memory, as the very bytes that were written, for readers that follow the end.
//!
//! Each partition keeps its newest blocks, up to a bound of its own; all together keep to a bound too,
//! and the oldest of all go first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use levada_event::Offset;
use parking_lot::Mutex;

use super::block::Header;
use super::partition::Partition;

/// Bytes of recent blocks of one partition: some tens of milliseconds of the heaviest load, more than
/// a follower that keeps up ever lags behind.
const PARTITION_BYTES_MAX: usize = 8 << 20;

/// Each block is charged this much for its administration.
const BLOCK_OVERHEAD: usize = 256;

/// Entries of blocks that are gone are swept out of the order when there are this many at least.
const SWEEP_AT: usize = 4096;

/// A block that was written a moment ago.
pub(super) struct HotBlock {
    pub(super) header: Header,
    /// Header and body, not packed.
    pub(super) block: Bytes,
}

impl HotBlock {
    fn charge(&self) -> usize {
        self.block.len() + BLOCK_OVERHEAD
    }
}

/// The recent blocks of one partition, oldest first, without gaps.
#[derive(Default)]
pub(super) struct Hot {
    blocks: VecDeque<Arc<HotBlock>>,
    bytes: usize,
}

impl Hot {
    /// The blocks from the one that holds `offset` on; `None` when it is not here.
    pub(super) fn from(&self, offset: Offset) -> Option<impl Iterator<Item = &Arc<HotBlock>>> {
        if self.blocks.front()?.header.base > offset {
            return None;
        }
        let start = self.blocks.partition_point(|block| block.header.end() <= offset);
        Some(self.blocks.range(start..))
    }

    fn drop_oldest(&mut self) -> usize {
        let freed = self.blocks.pop_front().map_or(0, |block| block.charge());
        self.bytes -= freed;
        freed
    }
}

/// The bound over all partitions.
pub(super) struct HotPool {
    max: usize,
    bytes: AtomicUsize,
    /// Blocks of all partitions in the order of writing. Some may be gone already.
    order: Mutex<VecDeque<(Weak<Partition>, Weak<HotBlock>)>>,
}

impl HotPool {
    /// A pool that keeps at most `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            bytes: AtomicUsize::new(0),
            order: Mutex::default(),
        }
    }

    /// Bytes kept now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds blocks that were just written to what `hot` keeps, and lets its oldest go where the
    /// partition keeps too much. Runs under the partition's view lock.
    pub(super) fn keep(&self, hot: &mut Hot, blocks: &[Arc<HotBlock>]) {
        let added: usize = blocks.iter().map(|block| block.charge()).sum();
        hot.blocks.extend(blocks.iter().cloned());
        hot.bytes += added;
        self.bytes.fetch_add(added, Ordering::Relaxed);
        while hot.bytes > PARTITION_BYTES_MAX.min(self.max) {
            self.bytes.fetch_sub(hot.drop_oldest(), Ordering::Relaxed);
        }
    }

    /// Lets the oldest blocks of all partitions go until the bound is kept. Runs without any view
    /// lock held; `blocks` are those that `of` has just been given.
    pub(super) fn settle(&self, of: &Arc<Partition>, blocks: &[Arc<HotBlock>]) {
        let mut order = self.order.lock();
        for block in blocks {
            order.push_back((Arc::downgrade(of), Arc::downgrade(block)));
        }
        while self.bytes() > self.max
            && let Some((partition, block)) = order.pop_front()
        {
            if let (Some(partition), Some(block)) = (partition.upgrade(), block.upgrade()) {
                let mut view = partition.view.write();
                while view
                    .hot
                    .blocks
                    .front()
                    .is_some_and(|front| front.header.base <= block.header.base)
                {
                    self.bytes.fetch_sub(view.hot.drop_oldest(), Ordering::Relaxed);
                }
            }
        }
        if order.len() >= SWEEP_AT && order.len() == order.capacity() {
            order.retain(|(_, block)| block.strong_count() > 0);
        }
    }
}
