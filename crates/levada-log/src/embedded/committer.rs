//! The committer: a queue of partitions with waiting appends, and a fixed pool of threads that write
//! and sync them.
//!
//! There is no tick. An idle partition is written as soon as an append arrives; what arrives during its
//! syncs is written together afterwards. So batches grow with the load and with the slowness of the disk
//! by themselves. On a disk so fast that rounds would stay small, a busy partition begins a round at most
//! every [`GATHER`]: fewer and larger rounds cost less of the processor than they cost in waiting.
//! Partitions are synced side by side and never wait for each other; on one partition as many threads
//! work as it has lanes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::engine::Engine;
use super::partition::Partition;

/// Least time between the beginnings of two rounds of a busy partition: well below what a person or a
/// percentile notices, and several times what a sync of a fast disk takes.
pub(super) const GATHER: Duration = Duration::from_micros(400);

/// A partition is busy when its last round answered at least so many appends.
pub(super) const BUSY_APPENDS: usize = 4;

/// Partitions that wait for a thread. Each is in it once per lane at most, which bounds it.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Partition>>,
    closing: bool,
}

impl Queue {
    pub(super) fn push(&self, partition: Arc<Partition>) {
        self.state.lock().ready.push_back(partition);
        self.wake.notify_one();
    }

    /// The next partition; waits for one. `None` when the log closes and all is done.
    fn pop(&self) -> Option<Arc<Partition>> {
        let mut state = self.state.lock();
        loop {
            if let Some(partition) = state.ready.pop_front() {
                return Some(partition);
            }
            if state.closing {
                return None;
            }
            self.wake.wait(&mut state);
        }
    }

    fn try_pop(&self) -> Option<Arc<Partition>> {
        self.state.lock().ready.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.state.lock().ready.is_empty()
    }

    /// Lets the threads end when the queue is empty.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.wake.notify_all();
    }
}

/// The life of a committer thread.
pub(super) fn run(engine: &Engine) {
    while let Some(partition) = engine.queue.pop() {
        serve(engine, &partition, true);
    }
}

/// Does everything that waits in the queue on this thread.
pub(super) fn drain(engine: &Engine) {
    while let Some(partition) = engine.queue.try_pop() {
        serve(engine, &partition, false);
    }
}

/// Commits a partition until nothing waits there or others wait for a thread.
fn serve(engine: &Engine, partition: &Arc<Partition>, gather: bool) {
    loop {
        // While others wait for a thread, appends gather by themselves.
        if gather && engine.queue.is_empty() {
            let wait = partition.pending.lock().gather();
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
        }
        if catch_unwind(AssertUnwindSafe(|| partition.commit(engine))).is_err() {
            // What the writer's state is now, nobody knows.
            partition.abandon();
        }
        if partition.pending.lock().done() {
            return;
        }
        if !engine.queue.is_empty() {
            engine.queue.push(partition.clone());
            return;
        }
    }
}
