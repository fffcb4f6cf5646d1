//! What went into a feed while it was made: the pages it was built from, the copies that were old, and what failed.

use super::Fault;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A page that a feed was built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The wiki.
    pub(crate) domain: String,
    /// The page's title with underscores.
    pub(crate) title: String,
}

impl Source {
    pub(crate) fn new(domain: &str, title: &str) -> Source {
        Source {
            domain: domain.to_owned(),
            title: title.replace(' ', "_"),
        }
    }
}

/// Something that a feed lacks because an upstream service failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// What is lacking: `summaries`, `history`, `description` …
    pub(crate) what: String,
    /// How often.
    pub(crate) count: u32,
    /// Why, the first time.
    pub(crate) why: String,
}

/// The notes of one making.
#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sources: BTreeSet<Source>,
    failures: BTreeMap<&'static str, (u32, String)>,
    oldest: Option<(i64, String)>,
}

impl Trace {
    /// Notes a page as a source.
    pub(crate) fn source(&self, domain: &str, title: &str) {
        self.0.lock().sources.insert(Source::new(domain, title));
    }

    /// Notes that something could not be had.
    pub(crate) fn failure(&self, what: &'static str, fault: &Fault) {
        let mut inner = self.0.lock();
        let entry = inner.failures.entry(what).or_insert_with(|| (0, fault.reason()));
        entry.0 += 1;
    }

    /// Notes that a copy fetched at `made_ms` was used because of `fault`.
    pub(crate) fn old_copy(&self, made_ms: i64, fault: &Fault) {
        let mut inner = self.0.lock();
        if inner.oldest.as_ref().is_none_or(|(oldest, _)| made_ms < *oldest) {
            inner.oldest = Some((made_ms, fault.reason()));
        }
    }

    /// The sources, the failures, and the age and reason of the oldest copy that had to serve.
    pub(crate) fn finish(&self) -> (Vec<Source>, Vec<Failure>, Option<(i64, String)>) {
        let inner = std::mem::take(&mut *self.0.lock());
        let failures = inner.failures.into_iter().map(|(what, (count, why))| Failure {
            what: what.to_owned(),
            count,
            why,
        });
        (
            inner.sources.into_iter().collect(),
            failures.collect(),
            inner.oldest,
        )
    }
}
