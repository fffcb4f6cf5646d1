//! How long to wait before trying again.

use std::time::Duration;

use levada_event::Timestamp;
use rand::{Rng, RngExt};

/// Longest wait that a server's `Retry-After` can impose.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Exponential back-off with jitter: the wait doubles with every attempt up to a bound, and its second
/// half is random, so that clients that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait before the second attempt.
    pub first: Duration,
    /// Longest wait at all (a server's `Retry-After` may be longer).
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            max: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The wait after `failures` failed attempts (1 is the first). What the server asked for is a
    /// lower bound, to which at most a tenth is added.
    pub(crate) fn delay(&self, failures: u32, asked: Option<Duration>, rng: &mut impl Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.max);
        let own = full.mul_f64(rng.random_range(0.5..=1.0));
        match asked {
            Some(asked) => own.max(asked.mul_f64(rng.random_range(1.0..=1.1))),
            None => own,
        }
    }
}

/// Reads `Retry-After`: seconds, or a date of RFC 1123 seen from `now`. At most ten minutes.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if let Ok(seconds) = value.parse::<u32>() {
        Duration::from_secs(u64::from(seconds))
    } else if value.contains(',') {
        let millis = Timestamp::parse_since(value)?.as_millis() - now.as_millis();
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    } else {
        return None;
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_differ() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            max: Duration::from_secs(1),
        };
        let mut rng = StdRng::seed_from_u64(7);
        for (failures, full) in [(1, 100), (2, 200), (4, 800), (5, 1000), (99, 1000)] {
            let mut seen = std::collections::HashSet::new();
            for _ in 0..50 {
                let delay = backoff.delay(failures, None, &mut rng);
                assert!(delay >= Duration::from_millis(full / 2) && delay <= Duration::from_millis(full));
                seen.insert(delay);
            }
            assert!(seen.len() > 40, "{failures}");
        }
    }

    #[test]
    fn what_the_server_asks_is_a_lower_bound() {
        let mut rng = StdRng::seed_from_u64(7);
        let asked = Duration::from_secs(20);
        for _ in 0..50 {
            let delay = Backoff::default().delay(1, Some(asked), &mut rng);
            assert!(delay >= asked && delay <= asked.mul_f64(1.1));
            assert!(Backoff::default().delay(1, Some(Duration::ZERO), &mut rng) > Duration::ZERO);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse_since("Fri, 14 Jul 2017 02:40:00 GMT").unwrap();
        let read = |value| retry_after(value, now);
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(
            read("Fri, 14 Jul 2017 02:40:09 GMT"),
            Some(Duration::from_secs(9))
        );
        assert_eq!(read("Fri, 14 Jul 2017 02:39:09 GMT"), Some(Duration::ZERO));
        assert_eq!(read("999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }
}
