//! Limits on guessing passwords: per user and per address, in bounded memory, without a clock of its
//! own.
//!
//! The first failures are free; each one after them locks the user (or the address) for twice as
//! long as the one before, up to [`LOCKOUT_MAX`]. While locked nothing is checked, not even the
//! right password. An address from which a user logged in lately is counted apart from the rest of
//! the world, so that a stranger who guesses at a name does not lock its owner out. Addresses of
//! IPv6 count by their /64 network.
//!
//! The counts live in this process: where several processes share one database, each counts for
//! itself, and they are forgotten at a restart.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use levada_event::Timestamp;
use parking_lot::Mutex;

use crate::clock::millis;
use crate::limits::{
    ATTEMPTS_IN_FLIGHT_MAX, FAILURES_FORGOTTEN_AFTER, FAILURES_REMEMBERED_MAX, FREE_FAILURES_PER_ADDRESS,
    FREE_FAILURES_PER_USER, FREE_RESETS_PER_USER, KNOWN_ADDRESS_FOR, LOCKOUT_FIRST, LOCKOUT_MAX,
};

/// Whom failures are counted against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    UserAt(String, IpAddr),
    Address(IpAddr),
    Reset(String),
}

impl Subject {
    fn free(&self) -> u32 {
        match self {
            Subject::User(_) | Subject::UserAt(..) => FREE_FAILURES_PER_USER,
            Subject::Address(_) => FREE_FAILURES_PER_ADDRESS,
            Subject::Reset(_) => FREE_RESETS_PER_USER,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Track {
    failures: u32,
    in_flight: u32,
    last: Timestamp,
    locked_until: Timestamp,
}

impl Track {
    fn forgotten(&self, now: Timestamp) -> bool {
        self.in_flight == 0 && now.as_millis() - self.last.as_millis() > millis(FAILURES_FORGOTTEN_AFTER)
    }
}

#[derive(Default)]
struct State {
    tracks: HashMap<Subject, Track>,
    known: HashMap<(String, IpAddr), Timestamp>,
}

/// The counts. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Guard(Arc<Mutex<State>>);

/// One check of a password on its way. Dropped without a word it counts as neither.
pub(crate) struct Attempt {
    guard: Guard,
    user: Subject,
    name: String,
    address: Option<IpAddr>,
}

impl Guard {
    /// Lets a check of `user`'s password begin, or says how long to wait.
    pub(crate) fn begin(
        &self,
        user: &str,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let address = peer.map(network);
        let mut state = self.0.lock();
        let subject = match address {
            Some(address) if state.knows(user, address, now) => Subject::UserAt(user.to_owned(), address),
            _ => Subject::User(user.to_owned()),
        };
        if let Some(address) = address {
            state.open(&Subject::Address(address), now)?;
        }
        state.open(&subject, now)?;
        let track = state.track(&subject, now);
        if track.in_flight >= ATTEMPTS_IN_FLIGHT_MAX {
            return Err(LOCKOUT_FIRST);
        }
        track.in_flight += 1;
        Ok(Attempt {
            guard: self.clone(),
            user: subject,
            name: user.to_owned(),
            address,
        })
    }

    /// Counts one request for a reset code, or says how long to wait.
    pub(crate) fn reset_asked(
        &self,
        user: &str,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let mut state = self.0.lock();
        let address = peer.map(|peer| Subject::Address(network(peer)));
        let subject = Subject::Reset(user.to_owned());
        if let Some(address) = &address {
            state.open(address, now)?;
        }
        state.open(&subject, now)?;
        state.fail(&subject, now);
        if let Some(address) = &address {
            state.fail(address, now);
        }
        Ok(())
    }

    /// Drops what is forgotten anyway.
    pub(crate) fn prune(&self, now: Timestamp) {
        let mut state = self.0.lock();
        state.tracks.retain(|_, track| !track.forgotten(now));
        state
            .known
            .retain(|_, seen| now.as_millis() - seen.as_millis() <= millis(KNOWN_ADDRESS_FOR));
    }

    #[cfg(test)]
    fn sizes(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.tracks.len(), state.known.len())
    }
}

impl Attempt {
    /// The password was right.
    pub(crate) fn succeeded(self, now: Timestamp) {
        let mut state = self.guard.0.lock();
        // Not the address's count: one's own right password must not pay for guessing at others'.
        if let Some(track) = state.tracks.get_mut(&self.user) {
            track.failures = 0;
        }
        if let Some(address) = self.address {
            make_room(&mut state.known, |seen| Some(*seen));
            state.known.insert((self.name.clone(), address), now);
        }
    }

    /// The password was wrong.
    pub(crate) fn failed(self, now: Timestamp) {
        let mut state = self.guard.0.lock();
        state.fail(&self.user, now);
        if let Some(address) = self.address {
            state.fail(&Subject::Address(address), now);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(track) = self.guard.0.lock().tracks.get_mut(&self.user) {
            track.in_flight = track.in_flight.saturating_sub(1);
        }
    }
}

impl State {
    fn knows(&self, user: &str, address: IpAddr, now: Timestamp) -> bool {
        self.known
            .get(&(user.to_owned(), address))
            .is_some_and(|seen| now.as_millis() - seen.as_millis() <= millis(KNOWN_ADDRESS_FOR))
    }

    fn open(&self, subject: &Subject, now: Timestamp) -> Result<(), Duration> {
        match self.tracks.get(subject) {
            Some(track) if track.locked_until > now => {
                let wait = track.locked_until.as_millis() - now.as_millis();
                Err(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
            }
            _ => Ok(()),
        }
    }

    fn track(&mut self, subject: &Subject, now: Timestamp) -> &mut Track {
        if !self.tracks.contains_key(subject) {
            make_room(&mut self.tracks, |track| {
                (track.in_flight == 0).then_some(track.last)
            });
        }
        let track = self.tracks.entry(subject.clone()).or_insert(Track {
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

    fn fail(&mut self, subject: &Subject, now: Timestamp) {
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
}

/// When `map` is full, drops the eighth of it that was touched least lately. `age` gives the time of
/// an entry, or `None` for one that must stay.
fn make_room<K: Hash + Eq, V>(map: &mut HashMap<K, V>, age: impl Fn(&V) -> Option<Timestamp>) {
    if map.len() < FAILURES_REMEMBERED_MAX {
        return;
    }
    let mut ages: Vec<Timestamp> = map.values().filter_map(&age).collect();
    if ages.is_empty() {
        return;
    }
    let at = (FAILURES_REMEMBERED_MAX / 8).min(ages.len() - 1);
    let (_, bound, _) = ages.select_nth_unstable(at);
    let (bound, mut surplus) = (*bound, at + 1);
    map.retain(|_, value| {
        let old = surplus > 0 && age(value).is_some_and(|seen| seen <= bound);
        surplus -= usize::from(old);
        !old
    });
}

/// The network that an address counts as: itself, or its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !0xffff_ffff_ffff_ffff)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);
    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    fn fail(guard: &Guard, user: &str, peer: Option<IpAddr>, now: Timestamp) -> Result<(), Duration> {
        guard.begin(user, peer, now).map(|attempt| attempt.failed(now))
    }

    #[test]
    fn waiting_times_double_up_to_the_longest() {
        let guard = Guard::default();
        let mut now = START;
        for _ in 0..FREE_FAILURES_PER_USER {
            assert_eq!(fail(&guard, "ann", HERE, now), Ok(()));
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(fail(&guard, "ann", HERE, now), Ok(()));
            let wait = guard.begin("ann", HERE, now).err().unwrap();
            waits.push(wait.as_secs());
            now = now.plus_millis(millis(wait));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert!(guard.begin("bob", HERE, now).is_ok(), "others are not concerned");
        now = now.plus_millis(millis(FAILURES_FORGOTTEN_AFTER) + 1);
        assert_eq!(fail(&guard, "ann", HERE, now), Ok(()));
        assert!(guard.begin("ann", HERE, now).is_ok(), "it was forgotten");
    }

    #[test]
    fn a_known_address_is_not_locked_by_strangers() {
        let guard = Guard::default();
        guard.begin("ann", HERE, START).ok().unwrap().succeeded(START);
        for _ in 0..=FREE_FAILURES_PER_USER {
            assert_eq!(fail(&guard, "ann", THERE, START), Ok(()));
        }
        assert!(guard.begin("ann", THERE, START).is_err());
        guard.begin("ann", HERE, START).ok().unwrap().succeeded(START);
        assert!(
            guard.begin("ann", THERE, START).is_err(),
            "her success does not help the stranger"
        );
        for _ in 0..=FREE_FAILURES_PER_USER {
            assert_eq!(fail(&guard, "ann", HERE, START), Ok(()));
        }
        assert!(
            guard.begin("ann", HERE, START).is_err(),
            "a known address has its own count"
        );
    }

    #[test]
    fn one_address_cannot_try_many_users() {
        let guard = Guard::default();
        for n in 0..=FREE_FAILURES_PER_ADDRESS {
            assert_eq!(fail(&guard, &format!("user{n}"), HERE, START), Ok(()));
        }
        assert!(guard.begin("another", HERE, START).is_err());
        assert!(guard.begin("another", THERE, START).is_ok());
    }

    #[test]
    fn neighbours_of_ipv6_are_one_address() {
        let guard = Guard::default();
        for n in 0..=FREE_FAILURES_PER_ADDRESS {
            let peer = format!("2001:db8::{n:x}").parse().ok();
            assert_eq!(fail(&guard, &format!("user{n}"), peer, START), Ok(()));
        }
        assert!(guard.begin("x", "2001:db8::ffff".parse().ok(), START).is_err());
        assert!(guard.begin("x", "2001:db8:0:1::1".parse().ok(), START).is_ok());
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), HERE.unwrap());
    }

    #[test]
    fn bursts_cannot_outrun_the_counting() {
        let guard = Guard::default();
        let held: Vec<Attempt> = (0..ATTEMPTS_IN_FLIGHT_MAX)
            .map(|_| guard.begin("ann", None, START).ok().unwrap())
            .collect();
        assert_eq!(guard.begin("ann", None, START).err(), Some(LOCKOUT_FIRST));
        for attempt in held {
            attempt.failed(START);
        }
        assert!(guard.begin("ann", None, START).err().unwrap() > LOCKOUT_FIRST);
    }

    #[test]
    fn memory_is_bounded_and_the_latest_stay() {
        let guard = Guard::default();
        for n in 0..(FAILURES_REMEMBERED_MAX as i64 * 2) {
            let now = START.plus_millis(n);
            fail(&guard, &format!("user{n}"), None, now).unwrap();
            guard
                .begin(&format!("known{n}"), HERE, now)
                .ok()
                .unwrap()
                .succeeded(now);
        }
        let (tracks, known) = guard.sizes();
        assert!(
            tracks <= FAILURES_REMEMBERED_MAX && known <= FAILURES_REMEMBERED_MAX,
            "{tracks} {known}"
        );
        guard.prune(START.plus_millis(millis(KNOWN_ADDRESS_FOR) * 2));
        assert_eq!(guard.sizes(), (0, 0));
    }

    #[test]
    fn reset_codes_are_limited() {
        let guard = Guard::default();
        for _ in 0..=FREE_RESETS_PER_USER {
            assert_eq!(guard.reset_asked("ann", None, START), Ok(()));
        }
        assert!(guard.reset_asked("ann", None, START).is_err());
        assert!(
            guard.begin("ann", None, START).is_ok(),
            "logging in is another matter"
        );
    }
}
