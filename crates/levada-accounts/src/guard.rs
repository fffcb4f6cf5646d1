//! Limits on guessing passwords: per user and per address, in bounded memory, without a clock of its
//! own.
//!
//! The first failures are free; each one after them locks the user (or the address) for twice as
//! long as the one before, up to [`LOCKOUT_MAX`](crate::limits::LOCKOUT_MAX). While locked nothing is
//! checked, not even the right password; behind a lock one password is checked at a time. An address
//! from which a user logged in lately is counted apart from the rest of the world, so that a stranger
//! who guesses at a name does not lock its owner out. Addresses of IPv6 count by their /64 network.
//!
//! Names that nobody has are counted like users, but apart from them, and addresses apart from both:
//! made-up names and addresses push no user's count out of the memory.
//!
//! The counts live in this process: where several processes share one database, each counts for
//! itself, and they are forgotten at a restart.

mod tracks;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use levada_event::Timestamp;
use parking_lot::Mutex;

use self::tracks::{Subject, Tracks, make_room};
use crate::clock::millis;
use crate::limits::{ATTEMPTS_IN_FLIGHT_MAX, KNOWN_ADDRESS_FOR, LOCKOUT_FIRST};

#[derive(Default)]
struct State {
    users: Tracks,
    /// Of names that nobody has.
    strangers: Tracks,
    addresses: Tracks,
    known: HashMap<(String, IpAddr), Timestamp>,
}

/// The counts. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Guard(Arc<Mutex<State>>);

/// A name that someone gives, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'c> {
    pub(crate) name: &'c str,
    /// Whether there is such a user.
    pub(crate) exists: bool,
    pub(crate) peer: Option<IpAddr>,
}

/// One check of a password on its way. Dropped without a word it counts as neither.
pub(crate) struct Attempt {
    guard: Guard,
    user: Subject,
    exists: bool,
    name: String,
    address: Option<IpAddr>,
}

impl Guard {
    /// How long this address has to wait.
    pub(crate) fn check_address(&self, peer: Option<IpAddr>, now: Timestamp) -> Result<(), Duration> {
        match peer.map(network) {
            Some(address) => self.0.lock().addresses.open(&Subject::Address(address), now),
            None => Ok(()),
        }
    }

    /// How long this address has to wait, or this name for which nobody has looked yet whether there is
    /// such a user.
    pub(crate) fn check(&self, name: &str, peer: Option<IpAddr>, now: Timestamp) -> Result<(), Duration> {
        self.check_address(peer, now)?;
        let state = self.0.lock();
        let subject = state.subject(name, peer.map(network), now);
        state.users.open(&subject, now)?;
        state.strangers.open(&subject, now)
    }

    /// Lets a check of a password begin, or says how long to wait.
    pub(crate) fn begin(&self, claim: Claim<'_>, now: Timestamp) -> Result<Attempt, Duration> {
        let address = claim.peer.map(network);
        let mut state = self.0.lock();
        let subject = state.subject(claim.name, address, now);
        if let Some(address) = address {
            state.addresses.open(&Subject::Address(address), now)?;
        }
        let tracks = state.tracks(claim.exists);
        tracks.open(&subject, now)?;
        let track = tracks.track(&subject, now);
        // Each failure behind a lock has to count before the next guess.
        let at_once = match track.failures > subject.free() {
            true => 1,
            false => ATTEMPTS_IN_FLIGHT_MAX,
        };
        if track.in_flight >= at_once {
            return Err(LOCKOUT_FIRST);
        }
        track.in_flight += 1;
        Ok(Attempt {
            guard: self.clone(),
            user: subject,
            exists: claim.exists,
            name: claim.name.to_owned(),
            address,
        })
    }

    /// Counts one request for a reset code, or says how long to wait.
    pub(crate) fn reset_asked(&self, claim: Claim<'_>, now: Timestamp) -> Result<(), Duration> {
        let mut state = self.0.lock();
        let address = claim.peer.map(|peer| Subject::Address(network(peer)));
        let subject = Subject::Reset(claim.name.to_owned());
        if let Some(address) = &address {
            state.addresses.open(address, now)?;
        }
        let tracks = state.tracks(claim.exists);
        tracks.open(&subject, now)?;
        tracks.fail(&subject, now);
        if let Some(address) = &address {
            state.addresses.fail(address, now);
        }
        Ok(())
    }

    /// Drops what is forgotten anyway.
    pub(crate) fn prune(&self, now: Timestamp) {
        let mut state = self.0.lock();
        state.users.prune(now);
        state.strangers.prune(now);
        state.addresses.prune(now);
        state
            .known
            .retain(|_, seen| now.as_millis() - seen.as_millis() <= millis(KNOWN_ADDRESS_FOR));
    }

    /// How many users, strangers, addresses and known addresses are remembered.
    #[cfg(test)]
    fn sizes(&self) -> [usize; 4] {
        let state = self.0.lock();
        let (users, strangers) = (state.users.len(), state.strangers.len());
        [users, strangers, state.addresses.len(), state.known.len()]
    }
}

impl Attempt {
    /// The password was right.
    pub(crate) fn succeeded(self, now: Timestamp) {
        let mut state = self.guard.0.lock();
        // Not the address's count: one's own right password must not pay for guessing at others'.
        state.tracks(self.exists).pardon(&self.user);
        if let Some(address) = self.address {
            make_room(&mut state.known, |_, seen| Some(*seen));
            state.known.insert((self.name.clone(), address), now);
        }
    }

    /// The password was wrong.
    pub(crate) fn failed(self, now: Timestamp) {
        let mut state = self.guard.0.lock();
        state.tracks(self.exists).fail(&self.user, now);
        if let Some(address) = self.address {
            state.addresses.fail(&Subject::Address(address), now);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.guard.0.lock().tracks(self.exists).finish(&self.user);
    }
}

impl State {
    fn tracks(&mut self, exists: bool) -> &mut Tracks {
        match exists {
            true => &mut self.users,
            false => &mut self.strangers,
        }
    }

    /// Whom a wrong password for this name from there counts against.
    fn subject(&self, name: &str, address: Option<IpAddr>, now: Timestamp) -> Subject {
        match address {
            Some(address) if self.knows(name, address, now) => Subject::UserAt(name.to_owned(), address),
            _ => Subject::User(name.to_owned()),
        }
    }

    fn knows(&self, name: &str, address: IpAddr, now: Timestamp) -> bool {
        self.known
            .get(&(name.to_owned(), address))
            .is_some_and(|seen| now.as_millis() - seen.as_millis() <= millis(KNOWN_ADDRESS_FOR))
    }
}

/// The network that an address counts as: itself, or its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !0xffff_ffff_ffff_ffff)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests;
