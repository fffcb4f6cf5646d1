//! Appends that wait for the committer, already in the form in which they will be written.
//!
//! The appending task itself copies its records into the block that is being filled and carries the
//! checksum on, while the committer syncs what came before: what is left for the committer is to
//! write headers and to make system calls.

use std::time::{Duration, Instant};

use levada_event::{Offset, Record};
use tokio::sync::oneshot;

use super::block::{BODY_BYTES_AIM, Builder};
use super::committer::{BUSY_APPENDS, GATHER};
use super::frame;
use super::writer::LANES;
use crate::LogError;

/// What an append learns.
pub(super) type Outcome = Result<Offset, LogError>;

/// Appends of one partition in the order in which they will be written.
#[derive(Default)]
pub(super) struct Pending {
    blocks: Vec<Filling>,
    /// How often the partition is in the queue or in the hands of a committer, up to [`LANES`].
    lanes: usize,
    /// Why no append is taken any more.
    refuse: Option<LogError>,
    /// Room that the next block is given at the start: what recent blocks needed.
    capacity: usize,
    bytes: usize,
    /// Appends that wait.
    appends: usize,
    /// When the last round began, if it was one of a busy partition.
    busy_round: Option<Instant>,
}

/// A block being filled and those who wait for it.
pub(super) struct Filling {
    pub(super) block: Builder,
    pub(super) waiters: Vec<Waiter>,
}

/// An append that waits for its outcome. Dropping it unanswered tells the append that its outcome is
/// not known.
pub(super) struct Waiter {
    /// Place of its first record in the block.
    index: u32,
    /// Bytes it took of the partition's and the log's room.
    pub(super) cost: u32,
    outcome: oneshot::Sender<Outcome>,
}

impl Waiter {
    /// Tells the outcome: its offset counted from the block's, or the error.
    pub(super) fn answer(self, outcome: Result<Offset, &LogError>) {
        // The append may have been dropped meanwhile; what it appended counts all the same.
        let _ = self.outcome.send(match outcome {
            Ok(base) => Ok(base + u64::from(self.index)),
            Err(error) => Err(error.clone()),
        });
    }
}

impl Pending {
    /// Takes an append. Answers where its outcome will arrive, and whether the partition has to be
    /// put into the committer's queue.
    pub(super) fn push(
        &mut self,
        records: &[Record],
        cost: u32,
    ) -> Result<(oneshot::Receiver<Outcome>, bool), LogError> {
        if let Some(error) = &self.refuse {
            return Err(error.clone());
        }
        let (sender, receiver) = oneshot::channel();
        let total: usize = records.iter().map(|r| frame::size(r) + frame::HEADER_BYTES).sum();
        self.bytes += total;
        self.appends += 1;
        if !self.blocks.last().is_some_and(|last| last.block.may_begin(total)) {
            self.start_block(total);
        }
        let mut waiter = Some(Waiter {
            index: 0,
            cost,
            outcome: sender,
        });
        let mut left = total;
        for record in records {
            let size = frame::size(record);
            if !self.blocks.last().is_some_and(|last| last.block.has_room(size)) {
                if let (None, Some(last)) = (&waiter, self.blocks.last_mut()) {
                    last.block.continue_in_next();
                }
                self.start_block(left);
            }
            let Some(filling) = self.blocks.last_mut() else {
                continue;
            };
            if let Some(mut waiter) = waiter.take() {
                waiter.index = filling.block.count();
                filling.waiters.push(waiter);
            }
            filling.block.push(record);
            left -= size + frame::HEADER_BYTES;
        }
        let another = self.lanes < LANES;
        if another {
            self.lanes += 1;
        }
        Ok((receiver, another))
    }

    fn start_block(&mut self, needed: usize) {
        let capacity = needed.min(BODY_BYTES_AIM).max(self.capacity);
        self.blocks.push(Filling {
            block: Builder::new(capacity),
            waiters: Vec::new(),
        });
    }

    /// Hands over everything that waits.
    pub(super) fn take(&mut self) -> Vec<Filling> {
        let blocks = std::mem::take(&mut self.blocks);
        self.bytes = 0;
        let appends = std::mem::take(&mut self.appends);
        self.busy_round = (appends >= BUSY_APPENDS).then(Instant::now);
        // Full blocks are followed by full blocks; small ones should not cost room in memory.
        let largest = blocks.iter().map(|b| b.block.body_len()).max().unwrap_or(0);
        self.capacity = if largest > BODY_BYTES_AIM / 2 {
            BODY_BYTES_AIM
        } else {
            0
        };
        blocks
    }

    /// How long the next round should wait for company: the rest of [`GATHER`] since the last one began
    /// where that answered many, nothing where a full block waits already or appends come singly.
    pub(super) fn gather(&self) -> Duration {
        match self.busy_round {
            Some(began) if self.bytes < BODY_BYTES_AIM => GATHER.saturating_sub(began.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// A committer asks whether it is done with the partition: if so the next append will put it
    /// into the queue again.
    pub(super) fn done(&mut self) -> bool {
        // Written as branches: LLVM 22 loses the store of `lanes -= usize::from(is_empty)` when an
        // unlock follows it.
        if self.blocks.is_empty() {
            self.lanes -= 1;
            return true;
        }
        false
    }

    /// No append is taken from now on. The first reason stays.
    pub(super) fn refuse(&mut self, error: LogError) {
        self.refuse.get_or_insert(error);
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
