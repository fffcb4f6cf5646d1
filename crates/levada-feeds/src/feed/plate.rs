//! A feed as it is handed over: with its standing.

use super::results::{Entry, Made};
use crate::date::FeedDate;
use crate::http::Problem;
use std::sync::Arc;

/// A feed, or the problem that there is none.
#[derive(Debug, Clone)]
pub(crate) struct Plate {
    /// What was made.
    pub(crate) entry: Result<Arc<Entry>, Problem>,
    /// Why there is none, or what is wrong, when an upstream failure is behind it.
    pub(crate) failed: Option<Arc<str>>,
    /// That it is past its time.
    pub(crate) stale: Option<Stale>,
}

/// That a feed is past its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stale {
    /// Since when it is as it is, milliseconds before now.
    pub(crate) age_ms: i64,
    /// Why no newer one is given.
    pub(crate) why: Arc<str>,
    /// Class of the reason, for counting: `revalidating`, `error` or `late`.
    pub(crate) class: &'static str,
    /// The day it is of, when that is another day than asked for.
    pub(crate) day: Option<FeedDate>,
}

impl Plate {
    pub(crate) fn fresh(entry: Arc<Entry>) -> Plate {
        Plate {
            entry: Ok(entry),
            failed: None,
            stale: None,
        }
    }

    pub(crate) fn stale(entry: Arc<Entry>, now_ms: i64, class: &'static str, why: &str) -> Plate {
        let stale = Stale {
            age_ms: now_ms - entry.made_ms,
            why: Arc::from(why),
            class,
            day: None,
        };
        Plate {
            entry: Ok(entry),
            failed: None,
            stale: Some(stale),
        }
    }

    pub(crate) fn failed(problem: Problem, why: &str) -> Plate {
        Plate {
            entry: Err(problem),
            failed: Some(Arc::from(why)),
            stale: None,
        }
    }

    /// What was made, when something was.
    pub(crate) fn made(&self) -> Option<&Made> {
        self.entry.as_ref().ok().map(|entry| &*entry.made)
    }

    /// The problem, be it remembered or new.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match &self.entry {
            Ok(entry) => entry.made.problem.as_ref(),
            Err(problem) => Some(problem),
        }
    }

    /// Whether an upstream failure keeps the feed from being there at all.
    pub(crate) fn is_lost(&self) -> bool {
        self.entry.is_err()
    }
}
