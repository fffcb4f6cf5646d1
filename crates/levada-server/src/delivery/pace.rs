//! Throttle: so many events per second and no more (contract realtime §1.10). Off unless configured.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// How much time unused slots may pile up to: timers are coarse, and a pace above a thousand events
/// per second needs several slots per tick.
const CREDIT: Duration = Duration::from_millis(10);

/// Slots of equal distance in time.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    slot: Instant,
}

impl Pace {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.get(),
            slot: Instant::now(),
        }
    }

    /// Waits for the next slot.
    pub(crate) async fn next(&mut self) {
        let now = Instant::now();
        let oldest = now
            .checked_sub(CREDIT.saturating_sub(self.interval))
            .unwrap_or(now);
        self.slot = self.slot.max(oldest);
        tokio::time::sleep_until(self.slot).await;
        self.slot += self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slots_have_the_configured_distance() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU32::new(50).unwrap());
        for _ in 0..11 {
            pace.next().await;
        }
        assert_eq!(start.elapsed(), Duration::from_millis(200));
        tokio::time::sleep(Duration::from_secs(10)).await;
        let later = Instant::now();
        pace.next().await;
        pace.next().await;
        assert_eq!(
            later.elapsed(),
            Duration::from_millis(20),
            "a pause earns no burst"
        );
    }
}
