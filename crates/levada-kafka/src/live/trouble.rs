//! Trouble with the broker of a live partition, over several looks.

use std::time::{Duration, Instant};

use crate::statistics::Fetches;

/// After so long without trouble it is over. A broker that lets clients in and answers no fetch looks well
/// for five seconds each time, until that fetch is overdue too.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// So many fetches since the trouble say that the broker answers them: only one is under way at a time,
/// and the first may have come with a new connection.
const ANSWERED: u64 = 3;

#[derive(Default)]
pub(super) struct Trouble(Option<Spell>);

struct Spell {
    since: Instant,
    why: String,
    /// Since when there was none to be seen.
    quiet: Option<Quiet>,
}

struct Quiet {
    from: Instant,
    /// Fetches that were sent until then.
    fetches: Option<Fetches>,
}

impl Trouble {
    /// Since when there is trouble, and what it is; `None` while there is none to be seen.
    pub(super) fn now(&self) -> Option<(Instant, String)> {
        let spell = self.0.as_ref().filter(|spell| spell.quiet.is_none())?;
        Some((spell.since, spell.why.clone()))
    }

    /// Records came.
    pub(super) fn ends(&mut self) {
        self.0 = None;
    }

    /// Takes what a look at `now` says. `true` when the trouble is not new.
    pub(super) fn take(&mut self, why: Option<String>, fetches: Option<Fetches>, now: Instant) -> bool {
        if self.is_over(fetches, now) {
            self.0 = None;
        }
        match (why, &mut self.0) {
            (Some(why), Some(spell)) => {
                spell.why = why;
                spell.quiet = None;
                return true;
            }
            (Some(why), none) => {
                *none = Some(Spell {
                    since: now,
                    why,
                    quiet: None,
                });
            }
            (None, Some(spell)) => {
                let elsewhere = |quiet: &Quiet| {
                    let of = |fetches: Option<Fetches>| fetches.map(|fetches| fetches.broker);
                    of(quiet.fetches) != of(fetches)
                };
                let from = spell.quiet.as_ref().map_or(now, |quiet| quiet.from);
                if spell.quiet.as_ref().is_none_or(elsewhere) {
                    spell.quiet = Some(Quiet { from, fetches });
                }
            }
            (None, None) => {}
        }
        false
    }

    fn is_over(&self, fetches: Option<Fetches>, now: Instant) -> bool {
        let quiet = self.0.as_ref().and_then(|spell| spell.quiet.as_ref());
        let Some(quiet) = quiet else { return false };
        let answered = quiet.fetches.zip(fetches).is_some_and(|(then, now)| {
            then.broker == now.broker && now.sent >= then.sent.saturating_add(ANSWERED)
        });
        answered || now.saturating_duration_since(quiet.from) >= OVER_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(15);

    fn hangs() -> Option<String> {
        Some("it hangs".into())
    }

    fn sent(broker: i32, sent: u64) -> Option<Fetches> {
        Some(Fetches { broker, sent })
    }

    /// Looks once a second. At each second a broker says whether there is trouble, and how many fetches it
    /// was sent. When a reader is told.
    fn told(seconds: u64, look: impl Fn(u64) -> (bool, Option<Fetches>)) -> Option<u64> {
        let begun = Instant::now();
        let mut trouble = Trouble::default();
        (0..seconds).find(|second| {
            let (hang, fetches) = look(*second);
            let now = begun + Duration::from_secs(*second);
            trouble.take(hang.then(|| "it hangs".into()), fetches, now);
            trouble.now().is_some_and(|(since, _)| now - since >= GRACE)
        })
    }

    #[test]
    fn a_broker_that_lets_clients_in_and_answers_no_fetch_is_told() {
        // It looks well for five seconds after each connection, which is given up after ten.
        let hangs = |second: u64| (second % 10 >= 5, sent(1, second / 10));
        assert_eq!(told(60, hangs), Some(25));
        // That leaders are not there all the time is told too.
        assert_eq!(told(60, |second| (second % 4 != 3, None)), Some(16));
    }

    #[test]
    fn a_broker_that_answers_between_is_not_told() {
        let answers = |second: u64| (second % 10 >= 5, sent(1, second));
        assert_eq!(told(120, answers), None);
        let pauses = |second: u64| (second % 16 < 5, sent(1, 0));
        assert_eq!(told(120, pauses), None);
    }

    #[test]
    fn fetches_count_only_at_the_broker_they_go_to() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut trouble = Trouble::default();
        assert!(!trouble.take(hangs(), sent(1, 7), at(0)));
        assert!(!trouble.take(None, sent(2, 1000), at(1)));
        assert!(!trouble.take(None, sent(1, 8), at(2)));
        assert!(trouble.now().is_none());
        assert!(trouble.take(hangs(), sent(1, 8), at(3)));
        assert_eq!(trouble.now(), Some((at(0), "it hangs".into())));
        trouble.take(None, sent(1, 9), at(4));
        trouble.take(None, sent(1, 12), at(5));
        assert!(!trouble.take(hangs(), sent(1, 12), at(6)));
        assert_eq!(trouble.now().map(|(since, _)| since), Some(at(6)));
        trouble.ends();
        assert!(trouble.now().is_none() && !trouble.take(hangs(), None, at(7)));
    }
}
