use super::*;
use crate::limits::{
    FAILURES_FORGOTTEN_AFTER, FAILURES_REMEMBERED_MAX, FREE_FAILURES_PER_ADDRESS, FREE_FAILURES_PER_USER,
    FREE_RESETS_PER_USER,
};

const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);
const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

fn user(name: &str, peer: Option<IpAddr>) -> Claim<'_> {
    Claim {
        name,
        exists: true,
        peer,
    }
}

fn stranger(name: &str, peer: Option<IpAddr>) -> Claim<'_> {
    Claim {
        exists: false,
        ..user(name, peer)
    }
}

fn fail(guard: &Guard, name: &str, peer: Option<IpAddr>, now: Timestamp) -> Result<(), Duration> {
    guard
        .begin(user(name, peer), now)
        .map(|attempt| attempt.failed(now))
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
        let wait = guard.begin(user("ann", HERE), now).err().unwrap();
        waits.push(wait.as_secs());
        now = now.plus_millis(millis(wait));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    assert!(
        guard.begin(user("bob", HERE), now).is_ok(),
        "others are not concerned"
    );
    now = now.plus_millis(millis(FAILURES_FORGOTTEN_AFTER) + 1);
    assert_eq!(fail(&guard, "ann", HERE, now), Ok(()));
    assert!(guard.begin(user("ann", HERE), now).is_ok(), "it was forgotten");
}

#[test]
fn a_known_address_is_not_locked_by_strangers() {
    let guard = Guard::default();
    guard
        .begin(user("ann", HERE), START)
        .ok()
        .unwrap()
        .succeeded(START);
    for _ in 0..=FREE_FAILURES_PER_USER {
        assert_eq!(fail(&guard, "ann", THERE, START), Ok(()));
    }
    assert!(guard.begin(user("ann", THERE), START).is_err());
    guard
        .begin(user("ann", HERE), START)
        .ok()
        .unwrap()
        .succeeded(START);
    assert!(
        guard.begin(user("ann", THERE), START).is_err(),
        "her success does not help the stranger"
    );
    for _ in 0..=FREE_FAILURES_PER_USER {
        assert_eq!(fail(&guard, "ann", HERE, START), Ok(()));
    }
    assert!(
        guard.begin(user("ann", HERE), START).is_err(),
        "a known address has its own count"
    );
}

#[test]
fn one_address_cannot_try_many_users() {
    let guard = Guard::default();
    for n in 0..=FREE_FAILURES_PER_ADDRESS {
        assert_eq!(fail(&guard, &format!("user{n}"), HERE, START), Ok(()));
    }
    assert!(guard.begin(user("another", HERE), START).is_err());
    assert!(guard.begin(user("another", THERE), START).is_ok());
}

#[test]
fn neighbours_of_ipv6_are_one_address() {
    let guard = Guard::default();
    for n in 0..=FREE_FAILURES_PER_ADDRESS {
        let peer = format!("2001:db8::{n:x}").parse().ok();
        assert_eq!(fail(&guard, &format!("user{n}"), peer, START), Ok(()));
    }
    assert!(
        guard
            .begin(user("x", "2001:db8::ffff".parse().ok()), START)
            .is_err()
    );
    assert!(
        guard
            .begin(user("x", "2001:db8:0:1::1".parse().ok()), START)
            .is_ok()
    );
    assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), HERE.unwrap());
}

#[test]
fn bursts_cannot_outrun_the_counting() {
    let guard = Guard::default();
    let held: Vec<Attempt> = (0..ATTEMPTS_IN_FLIGHT_MAX)
        .map(|_| guard.begin(user("ann", None), START).ok().unwrap())
        .collect();
    assert_eq!(guard.begin(user("ann", None), START).err(), Some(LOCKOUT_FIRST));
    for attempt in held {
        attempt.failed(START);
    }
    assert!(guard.begin(user("ann", None), START).err().unwrap() > LOCKOUT_FIRST);
}

#[test]
fn behind_a_lock_one_guess_is_made_at_a_time() {
    let guard = Guard::default();
    for _ in 0..=FREE_FAILURES_PER_USER {
        fail(&guard, "ann", None, START).unwrap();
    }
    let now = START.plus_millis(millis(LOCKOUT_FIRST));
    let first = guard.begin(user("ann", None), now).ok().unwrap();
    assert_eq!(guard.begin(user("ann", None), now).err(), Some(LOCKOUT_FIRST));
    first.succeeded(now);
    assert!(guard.begin(user("ann", None), now).is_ok());
}

#[test]
fn made_up_names_and_addresses_do_not_open_a_lock() {
    let guard = Guard::default();
    let address = |n: usize| format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xffff).parse().ok();
    for _ in 0..=FREE_FAILURES_PER_USER {
        fail(&guard, "ann", HERE, START).unwrap();
        guard.reset_asked(user("bob", HERE), START).ok();
    }
    let locked = |now| {
        let claims = [user("ann", THERE), user("ann", None)];
        claims.into_iter().all(|claim| guard.begin(claim, now).is_err())
            && guard.check("ann", THERE, now).is_err()
            && guard.reset_asked(user("bob", THERE), now).is_err()
    };
    assert!(locked(START));
    // Turned away before they are checked, as under a flood: nothing is left of them.
    for n in 0..FAILURES_REMEMBERED_MAX + 5000 {
        let name = format!("name{n}");
        for claim in [user(&name, address(n)), stranger(&name, address(n))] {
            drop(guard.begin(claim, START.plus_millis(1)).ok().unwrap());
        }
    }
    assert_eq!(guard.sizes(), [2, 0, 1, 0]);
    // Checked and wrong, or asking for codes, later than she failed.
    for n in 0..FAILURES_REMEMBERED_MAX + 5000 {
        let name = format!("name{n}");
        let now = START.plus_millis(2);
        let claim = stranger(&name, address(n));
        guard.begin(claim, now).ok().unwrap().failed(now);
        guard.reset_asked(claim, now).unwrap();
    }
    assert!(
        guard
            .sizes()
            .into_iter()
            .all(|size| size <= FAILURES_REMEMBERED_MAX)
    );
    assert!(locked(START.plus_millis(3)));
    // Nor do other users with a failure each.
    for n in 0..FAILURES_REMEMBERED_MAX + 5000 {
        fail(&guard, &format!("user{n}"), None, START.plus_millis(4)).unwrap();
    }
    assert!(locked(START.plus_millis(5)));
}

#[test]
fn memory_is_bounded_and_the_latest_stay() {
    let guard = Guard::default();
    let name = |n: i64| format!("user{n}");
    let last = FAILURES_REMEMBERED_MAX as i64 * 2;
    for n in 0..=last {
        let now = START.plus_millis(n);
        for _ in 0..=FREE_FAILURES_PER_USER {
            fail(&guard, &name(n), None, now).unwrap();
        }
        let known = format!("known{n}");
        guard.begin(user(&known, HERE), now).ok().unwrap().succeeded(now);
    }
    let now = START.plus_millis(last);
    assert!(guard.check(&name(last), None, now).is_err() && guard.check(&name(0), None, START).is_ok());
    let sizes = guard.sizes();
    assert!(
        sizes.into_iter().all(|size| size <= FAILURES_REMEMBERED_MAX),
        "{sizes:?}"
    );
    guard.prune(START.plus_millis(millis(KNOWN_ADDRESS_FOR) * 2));
    assert_eq!(guard.sizes(), [0; 4]);
}

#[test]
fn reset_codes_are_limited() {
    let guard = Guard::default();
    for _ in 0..=FREE_RESETS_PER_USER {
        assert_eq!(guard.reset_asked(user("ann", None), START), Ok(()));
    }
    assert!(guard.reset_asked(user("ann", None), START).is_err());
    assert!(
        guard.begin(user("ann", None), START).is_ok(),
        "logging in is another matter"
    );
}
