//! Work that takes a processor for milliseconds or waits for the disk, on a few threads that stay.
//!
//! The runtime's own threads for such work come and go by the dozen, and every thread that has worked keeps the memory
//! that it worked in: a page's tree is a hundred times what is kept of it. Here that is a few times, not dozens of
//! times, the largest page.

use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::Semaphore;

/// What a thread is given.
type Job = Box<dyn FnOnce() + Send>;

/// A few threads that take turns.
pub(crate) struct Workers {
    /// As many as there are threads, so that no more jobs than that are in the queue.
    turns: Arc<Semaphore>,
    jobs: SyncSender<Job>,
}

impl Workers {
    /// For parsing, writing JSON, rendering and compressing: as many as there are processors, at least two.
    pub(crate) fn for_processors() -> Arc<Workers> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Arc::new(Workers::start("feeds-work", cores.max(2)))
    }

    /// Starts `threads` of them (at least 1). Those that cannot be started are missed in the log; without any, all work
    /// fails.
    pub(crate) fn start(name: &str, threads: usize) -> Workers {
        let threads = threads.max(1);
        let (jobs, queue) = sync_channel(threads);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            let started = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || serve(&queue));
            if let Err(error) = started {
                tracing::error!(%error, name, "a working thread does not start");
            }
        }
        Workers {
            turns: Arc::new(Semaphore::new(threads)),
            jobs,
        }
    }

    /// Runs `work` when it is its turn. `None` when it ended by a panic, or there is no thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let (done, outcome) = sync_channel(1);
        let job = move || {
            // Who wanted it may have gone away.
            let _ = done.send(work());
        };
        // There is room: jobs in the queue hold a turn.
        self.jobs.send(Box::new(job)).ok()?;
        // Waited for on a thread of the runtime, which costs it nothing to keep: so that the runtime knows that
        // something is under way, and a clock that stands still for a test does not leap ahead meanwhile. The turn ends
        // there too, before that thread does: whoever waits for it is never without something under way.
        let wait = tokio::task::spawn_blocking(move || {
            let outcome = outcome.recv().ok();
            drop(turn);
            outcome
        });
        wait.await.ok().flatten()
    }
}

/// A thread: one job after the other until nobody can send any.
fn serve(queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().recv();
        let Ok(job) = next else { return };
        // The panic hook has reported it; whoever waits sees that there is no outcome.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[tokio::test]
    async fn the_same_few_threads_do_all_the_work() {
        let workers = Arc::new(Workers::start("test", 3));
        let tasks: Vec<_> = (0..500)
            .map(|n| {
                let workers = Arc::clone(&workers);
                tokio::spawn(async move { workers.run(move || (n, std::thread::current().id())).await })
            })
            .collect();
        let mut threads = HashSet::new();
        for (n, task) in tasks.into_iter().enumerate() {
            let (said, thread) = task.await.expect("no panic").expect("done");
            assert_eq!(said, n);
            threads.insert(thread);
        }
        assert!(threads.len() <= 3);
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_work_and_no_thread() {
        let workers = Workers::start("test", 1);
        let lost: Option<()> = workers.run(|| panic!("on purpose")).await;
        assert_eq!(lost, None);
        assert_eq!(workers.run(|| 7).await, Some(7));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_done_within_the_bound() {
        let workers = Workers::start("test", 1);
        let (go, gate) = sync_channel::<()>(0);
        let slow = tokio::time::timeout(
            std::time::Duration::from_millis(20),
            workers.run(move || gate.recv().is_ok()),
        );
        assert!(slow.await.is_err());
        // Its turn is not over before it is done.
        assert_eq!(workers.turns.available_permits(), 0);
        go.send(()).expect("it waits");
        assert_eq!(workers.run(|| 7).await, Some(7));
    }
}
