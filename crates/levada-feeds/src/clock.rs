//! The time of day, as the feeds see it.
//!
//! Every lifetime, "today" and age is computed from a [`Clock`] that is handed in, so that a test can move time and
//! `replay` can stand still on the day of a recording. Waiting (timeouts, back-off) uses the runtime's timer instead.

use jiff::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};

/// A source of the current instant.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;
}

/// The clock of the machine.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        Timestamp::now().as_millisecond()
    }
}

/// A clock that stands still until it is moved: for tests and for replaying a recording of a past day.
#[derive(Debug)]
pub struct StillClock(AtomicI64);

impl StillClock {
    /// A clock that shows `now_ms` (milliseconds since the epoch) until it is moved.
    pub fn at_ms(now_ms: i64) -> StillClock {
        StillClock(AtomicI64::new(now_ms))
    }

    /// A clock at noon UTC of the given civil day; `None` when there is no such day.
    pub fn at_noon(year: i16, month: i8, day: i8) -> Option<StillClock> {
        let noon = jiff::civil::Date::new(year, month, day).ok()?.at(12, 0, 0, 0);
        let instant = noon.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(StillClock::at_ms(instant.timestamp().as_millisecond()))
    }

    /// Moves the clock forward by whole seconds (back when negative).
    pub fn advance_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The UTC calendar day of an instant as (year, month, day).
pub(crate) fn civil_day(now_ms: i64) -> (i16, i8, i8) {
    let instant = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let day = instant.to_zoned(jiff::tz::TimeZone::UTC).date();
    (day.year(), day.month(), day.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_still_clock_moves_only_when_moved() {
        let clock = StillClock::at_noon(2026, 11, 20).expect("a real day");
        assert_eq!(civil_day(clock.now_ms()), (2026, 11, 20));
        clock.advance_s(43_200);
        assert_eq!(civil_day(clock.now_ms()), (2026, 11, 21));
        assert!(StillClock::at_noon(2026, 2, 30).is_none());
    }
}
