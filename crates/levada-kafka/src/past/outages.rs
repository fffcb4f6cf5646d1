//! Partitions whose broker gave nothing, and how long it is waited for from then on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use levada_event::TopicPartition;

/// After a partition's broker was waited for in vain, reads are this patient,
const IMPATIENT: Duration = Duration::from_millis(500);

/// but one of them in so long a time, which finds out whether it is only slow.
const PATIENT_EVERY: Duration = Duration::from_secs(15);

/// Since when, of each partition, the last patient read is being waited for or was waited for in vain.
#[derive(Default)]
pub(super) struct Outages(HashMap<TopicPartition, Instant>);

impl Outages {
    /// How long a read that begins `now` waits for the broker, which otherwise has `timeout`.
    pub(super) fn patience(&mut self, of: &TopicPartition, timeout: Duration, now: Instant) -> Duration {
        match self.0.get_mut(of) {
            Some(last) if now.saturating_duration_since(*last) < PATIENT_EVERY => IMPATIENT.min(timeout),
            Some(last) => {
                *last = now;
                timeout
            }
            None => timeout,
        }
    }

    /// A patient read was in vain until `now`.
    pub(super) fn begins(&mut self, of: &TopicPartition, now: Instant) {
        // Where nobody has read for so long nothing is known.
        self.0
            .retain(|_, last| now.saturating_duration_since(*last) < 2 * PATIENT_EVERY);
        self.0.insert(of.clone(), now);
    }

    /// The broker gave something.
    pub(super) fn ends(&mut self, of: &TopicPartition) {
        self.0.remove(of);
    }
}

#[cfg(test)]
mod tests {
    use levada_event::TopicName;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn impatience_does_not_renew_itself() {
        let of = TopicPartition::new(TopicName::new("t").unwrap(), 0);
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut outages = Outages::default();
        assert_eq!(outages.patience(&of, TIMEOUT, at(0)), TIMEOUT);
        outages.begins(&of, at(10));
        // However many try, one in fifteen seconds waits as long as it takes a slow broker.
        let patient = (10..70).filter(|second| outages.patience(&of, TIMEOUT, at(*second)) == TIMEOUT);
        assert_eq!(patient.collect::<Vec<_>>(), [25, 40, 55]);
        assert_eq!(
            outages.patience(&of, Duration::from_millis(1), at(70)),
            Duration::from_millis(1)
        );
        assert_eq!(outages.patience(&of, TIMEOUT, at(71)), IMPATIENT);
        outages.ends(&of);
        assert_eq!(outages.patience(&of, TIMEOUT, at(72)), TIMEOUT);
    }
}
