//! The bound of bytes of request bodies in work.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Unit in which bodies are counted, so that the count fits a semaphore.
const PERMIT_BYTES: usize = 1024;

/// One bound for all bodies. Hasty ones hold at most half of it: nobody waits for them, so where the log
/// is slow they pile up, and the requests that somebody waits for must not be behind them.
pub(crate) struct InFlight {
    all: Share,
    hasty: Share,
}

struct Share {
    permits: Arc<Semaphore>,
    size: u32,
}

/// A body in work, until this is dropped.
pub(crate) struct Admitted {
    all: OwnedSemaphorePermit,
    hasty: Option<OwnedSemaphorePermit>,
}

impl InFlight {
    /// For `bytes` of bodies.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            all: Share::new(bytes),
            hasty: Share::new(bytes / 2),
        }
    }

    /// Waits for room for a body of `bytes`, no longer than `patience`. One that is larger than its share
    /// takes that.
    pub(crate) async fn admit(&self, bytes: usize, hasty: bool, patience: Duration) -> Option<Admitted> {
        let share = if hasty { &self.hasty } else { &self.all };
        let bytes = bytes.min(share.size as usize * PERMIT_BYTES);
        let admitted = async {
            // In this order: hasty bodies that stand in the common line hold a place of their own already,
            // so they are few there, too.
            let hasty = match hasty {
                true => Some(self.hasty.take(bytes).await?),
                false => None,
            };
            let all = self.all.take(bytes).await?;
            Some(Admitted { all, hasty })
        };
        tokio::time::timeout(patience, admitted).await.ok().flatten()
    }

    /// Waits until no body is in work. `false` when that takes longer than `timeout`.
    pub(crate) async fn none_left(&self, timeout: Duration) -> bool {
        let all = self.all.permits.clone().acquire_many_owned(self.all.size);
        tokio::time::timeout(timeout, all).await.is_ok()
    }
}

impl Admitted {
    /// Gives back what a body of `bytes` does not need.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let needed = bytes.div_ceil(PERMIT_BYTES).max(1);
        for held in [Some(&mut self.all), self.hasty.as_mut()].into_iter().flatten() {
            let spare = held.num_permits().saturating_sub(needed);
            drop(held.split(spare));
        }
    }
}

impl Share {
    fn new(bytes: usize) -> Self {
        let size = (bytes / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        Self {
            permits: Arc::new(Semaphore::new(size as usize)),
            size,
        }
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let wanted = wanted.clamp(1, self.size);
        self.permits.clone().acquire_many_owned(wanted).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test(start_paused = true)]
    async fn hasty_bodies_leave_half_to_the_others() {
        let bodies = InFlight::new(100 * PERMIT_BYTES);
        let mut flood = bodies.admit(1 << 30, true, SOON).await.expect("their half");
        assert!(bodies.admit(1, true, SOON).await.is_none());
        let others = bodies.admit(50 * PERMIT_BYTES, false, SOON).await;
        assert!(others.is_some() && bodies.admit(1, false, SOON).await.is_none());
        // What a body turned out not to need is there for others, of its kind too.
        flood.shrink(10 * PERMIT_BYTES);
        let second = bodies.admit(40 * PERMIT_BYTES, true, SOON).await;
        assert!(second.is_some() && bodies.admit(1, true, SOON).await.is_none());
        assert!(!bodies.none_left(SOON).await);
        drop((flood, second, others));
        assert!(bodies.none_left(SOON).await);
    }
}
