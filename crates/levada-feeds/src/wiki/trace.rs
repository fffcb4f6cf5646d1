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

/// What a making tells in the end.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// The pages that the feed was built from, in order.
    pub(crate) sources: Vec<Source>,
    /// Those of them whose own text was read; of the others only a summary is shown.
    pub(crate) own: Vec<Source>,
    /// Redirects that were followed for a summary: the page asked for and the page it leads to.
    pub(crate) redirects: Vec<(Source, Source)>,
    /// What the feed lacks because something failed.
    pub(crate) failures: Vec<Failure>,
    /// When the oldest copy that had to serve was fetched, and why it had to.
    pub(crate) old_copy: Option<(i64, String)>,
}

/// The notes of one making.
#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sources: BTreeSet<Source>,
    own: BTreeSet<Source>,
    redirects: BTreeSet<(Source, Source)>,
    failures: BTreeMap<&'static str, (u32, String)>,
    oldest: Option<(i64, String)>,
}

impl Trace {
    /// Notes a page whose text is read as a source.
    pub(crate) fn source(&self, domain: &str, title: &str) {
        let source = Source::new(domain, title);
        let mut inner = self.0.lock();
        inner.own.insert(source.clone());
        inner.sources.insert(source);
    }

    /// Notes a page of which a summary is shown as a source.
    pub(crate) fn linked(&self, domain: &str, title: &str) {
        self.0.lock().sources.insert(Source::new(domain, title));
    }

    /// Notes that the summary of a page is that of another one, as [`Trace::linked`].
    pub(crate) fn redirect(&self, domain: &str, from: &str, to: &str) {
        let (from, to) = (Source::new(domain, from), Source::new(domain, to));
        let mut inner = self.0.lock();
        inner.sources.insert(to.clone());
        inner.redirects.insert((from, to));
    }

    /// Notes that something could not be had.
    pub(crate) fn failure(&self, what: &'static str, fault: &Fault) {
        self.failures(what, 1, fault);
    }

    /// Notes that so many of them could not be had.
    pub(crate) fn failures(&self, what: &'static str, count: u32, fault: &Fault) {
        let mut inner = self.0.lock();
        let entry = inner.failures.entry(what).or_insert_with(|| (0, fault.reason()));
        entry.0 = entry.0.saturating_add(count);
    }

    /// Notes that a copy fetched at `made_ms` was used because of `fault`.
    pub(crate) fn old_copy(&self, made_ms: i64, fault: &Fault) {
        let mut inner = self.0.lock();
        if inner.oldest.as_ref().is_none_or(|(oldest, _)| made_ms < *oldest) {
            inner.oldest = Some((made_ms, fault.reason()));
        }
    }

    /// What was noted, once.
    pub(crate) fn finish(&self) -> Noted {
        let inner = std::mem::take(&mut *self.0.lock());
        let failures = inner.failures.into_iter().map(|(what, (count, why))| Failure {
            what: what.to_owned(),
            count,
            why,
        });
        Noted {
            sources: inner.sources.into_iter().collect(),
            own: inner.own.into_iter().collect(),
            redirects: inner.redirects.into_iter().collect(),
            failures: failures.collect(),
            old_copy: inner.oldest,
        }
    }
}
