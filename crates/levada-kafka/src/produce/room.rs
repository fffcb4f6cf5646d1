//! The bound of bytes that wait for delivery.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::Role;

/// Bytes that one permit stands for: permits are counted in 32 bits.
const PERMIT_BYTES: usize = 1024;

/// One bound for both producers. Hasty records hold at most half of it, so that however many of them
/// wait, guaranteed ones are not behind them.
pub(crate) struct Room {
    all: Share,
    hasty: Share,
}

struct Share {
    permits: Arc<Semaphore>,
    size: u32,
}

/// Room that is taken until this is dropped.
pub(crate) struct Held {
    _all: OwnedSemaphorePermit,
    _hasty: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// For `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let share = |bytes: usize| {
            let size = u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX);
            let size = size.clamp(1, 1 << 28);
            let permits = Arc::new(Semaphore::new(size as usize));
            Share { permits, size }
        };
        Self {
            all: share(bytes),
            hasty: share(bytes / 2),
        }
    }

    /// Waits for room for `bytes`. `None` when there will be none.
    pub(crate) async fn take(&self, role: Role, bytes: usize) -> Option<Held> {
        // In this order: whoever stands in the common line holds a place in its own already, so that
        // hasty records that wait there are few, too.
        let hasty = match role {
            Role::Hasty => Some(self.hasty.take(bytes).await?),
            _ => None,
        };
        Some(Held {
            _all: self.all.take(bytes.min(self.largest(role))).await?,
            _hasty: hasty,
        })
    }

    /// A single append larger than its whole share takes that.
    fn largest(&self, role: Role) -> usize {
        let share = match role {
            Role::Hasty => &self.hasty,
            _ => &self.all,
        };
        share.size as usize * PERMIT_BYTES
    }
}

impl Share {
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let permits = permits.clamp(1, self.size);
        self.permits.clone().acquire_many_owned(permits).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What is there without waiting.
    fn now(take: impl Future<Output = Option<Held>>) -> Option<Held> {
        match pin!(take).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(held) => held,
            Poll::Pending => None,
        }
    }

    #[test]
    fn hasty_records_leave_half_to_the_others() {
        let room = Room::new(100 * PERMIT_BYTES);
        let whole = now(room.take(Role::Hasty, 1 << 30)).expect("as much as there is for them");
        assert!(now(room.take(Role::Hasty, 1)).is_none());
        let half = now(room.take(Role::Guaranteed, 50 * PERMIT_BYTES)).expect("the other half");
        assert!(now(room.take(Role::Guaranteed, 1)).is_none());
        drop(whole);
        let rest = now(room.take(Role::Guaranteed, 50 * PERMIT_BYTES)).expect("all of it");
        drop((half, rest));
        assert!(now(room.take(Role::Guaranteed, 1 << 30)).is_some());
    }
}
