//! Failures that are remembered, and the locks that follow from them.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use levada_event::Timestamp;

use crate::clock::millis;
use crate::limits::{
    FAILURES_FORGOTTEN_AFTER, FAILURES_REMEMBERED_MAX, FREE_FAILURES_PER_ADDRESS, FREE_FAILURES_PER_USER,
    FREE_RESETS_PER_USER, LOCKOUT_FIRST, LOCKOUT_MAX,
};

/// Whom failures are counted against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    User(String),
    UserAt(String, IpAddr),
    Address(IpAddr),
    Reset(String),
}

impl Subject {
    /// Failures that cost no waiting time.
    pub(super) fn free(&self) -> u32 {
        match self {
            Subject::User(_) | Subject::UserAt(..) => FREE_FAILURES_PER_USER,
            Subject::Address(_) => FREE_FAILURES_PER_ADDRESS,
            Subject::Reset(_) => FREE_RESETS_PER_USER,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) failures: u32,
    pub(super) in_flight: u32,
    last: Timestamp,
    locked_until: Timestamp,
}

impl Track {
    fn forgotten(&self, now: Timestamp) -> bool {
        self.in_flight == 0 && now.as_millis() - self.last.as_millis() > millis(FAILURES_FORGOTTEN_AFTER)
    }
}

/// Failures of at most [`FAILURES_REMEMBERED_MAX`] subjects.
#[derive(Debug, Default)]
pub(super) struct Tracks(HashMap<Subject, Track>);

impl Tracks {
    /// How long this subject is still locked, if it is.
    pub(super) fn open(&self, subject: &Subject, now: Timestamp) -> Result<(), Duration> {
        match self.0.get(subject) {
            Some(track) if track.locked_until > now => {
                let wait = track.locked_until.as_millis() - now.as_millis();
                Err(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
            }
            _ => Ok(()),
        }
    }

    /// What is remembered of this subject. When there is no room for another, those with free failures go
    /// first, then those that failed least lately.
    pub(super) fn track(&mut self, subject: &Subject, now: Timestamp) -> &mut Track {
        if !self.0.contains_key(subject) {
            make_room(&mut self.0, |subject, track| {
                (track.in_flight == 0).then_some((track.failures > subject.free(), track.last))
            });
        }
        let track = self.0.entry(subject.clone()).or_insert(Track {
            failures: 0,
            in_flight: 0,
            last: now,
            locked_until: Timestamp::from_millis(i64::MIN),
        });
        if track.forgotten(now) {
            track.failures = 0;
        }
        track
    }

    pub(super) fn fail(&mut self, subject: &Subject, now: Timestamp) {
        let free = subject.free();
        let track = self.track(subject, now);
        track.failures = track.failures.saturating_add(1);
        track.last = now;
        if track.failures > free {
            let doubled = 1_i64
                .checked_shl(track.failures - free - 1)
                .filter(|times| *times > 0);
            let wait = doubled.map_or(i64::MAX, |times| times.saturating_mul(millis(LOCKOUT_FIRST)));
            track.locked_until = now.plus_millis(wait.min(millis(LOCKOUT_MAX)));
        }
    }

    /// Forgets the failures.
    pub(super) fn pardon(&mut self, subject: &Subject) {
        if let Some(track) = self.0.get_mut(subject) {
            track.failures = 0;
        }
    }

    /// One of those in flight is over. Without a failure nothing is left to remember.
    pub(super) fn finish(&mut self, subject: &Subject) {
        if let Some(track) = self.0.get_mut(subject) {
            track.in_flight = track.in_flight.saturating_sub(1);
            if track.in_flight == 0 && track.failures == 0 {
                self.0.remove(subject);
            }
        }
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|_, track| !track.forgotten(now));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// When `map` is full, drops the eighth of it that comes first by `rank`, which is `None` for an entry
/// that must stay.
pub(super) fn make_room<K: Hash + Eq, V, R: Ord + Copy>(
    map: &mut HashMap<K, V>,
    rank: impl Fn(&K, &V) -> Option<R>,
) {
    if map.len() < FAILURES_REMEMBERED_MAX {
        return;
    }
    let mut ranks: Vec<R> = map.iter().filter_map(|(key, value)| rank(key, value)).collect();
    if ranks.is_empty() {
        return;
    }
    let at = (FAILURES_REMEMBERED_MAX / 8).min(ranks.len() - 1);
    let (_, bound, _) = ranks.select_nth_unstable(at);
    let (bound, mut surplus) = (*bound, at + 1);
    map.retain(|key, value| {
        let goes = surplus > 0 && rank(key, value).is_some_and(|rank| rank <= bound);
        surplus -= usize::from(goes);
        !goes
    });
}
