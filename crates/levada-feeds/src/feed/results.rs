//! The feeds that were made: in memory, and across restarts.
//!
//! Memory is the truth while the service runs; at start it is filled from the store. An entry knows whether it is
//! fresh, outdated by a page change, or held because nothing better could be made.

mod recent;
mod stored;

use super::key::FeedKey;
use super::links::Links;
use crate::cache::Disk;
use crate::http::Problem;
use crate::wiki::{Failure, Source};
use bytes::Bytes;
use parking_lot::Mutex;
use recent::Recent;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A feed as it was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// JSON of the feed; `None` for nothing that day, or for a problem.
    pub(crate) json: Option<Bytes>,
    /// That there is no such feed.
    pub(crate) problem: Option<Problem>,
    /// Items in it.
    pub(crate) items: usize,
    /// First half of the original's entity tag.
    pub(crate) id: String,
    /// Whether it depends on the reader's language variant.
    pub(crate) varies: bool,
    /// The pages it was built from.
    pub(crate) sources: Vec<Source>,
    /// Those of them whose own text it was made from; of the others it shows a summary.
    pub(crate) own: Vec<Source>,
    /// Pages of which it shows a summary that is another page's, with that page.
    pub(crate) redirects: Vec<(Source, Source)>,
    /// What it lacks because something failed.
    pub(crate) failures: Vec<Failure>,
    /// What the parsers noticed, in words.
    pub(crate) notes: Vec<String>,
}

impl Made {
    /// Bytes that it takes in memory, with its share of the index from pages to feeds.
    fn weight(&self) -> usize {
        // Each source is here and in the index, there with a set of feeds (a table of four names).
        let source = |source: &Source| 2 * (source.domain.len() + source.title.len() + 64) + 320;
        let sources: usize = self.sources.iter().map(source).sum();
        let redirects = self.redirects.iter().flat_map(|(from, to)| [from, to]);
        let more = self.own.iter().chain(redirects);
        let more: usize = more
            .map(|source| source.domain.len() + source.title.len() + 64)
            .sum();
        let problem = self.problem.as_ref().map_or(0, Problem::weight);
        let failures = self
            .failures
            .iter()
            .map(|failure| failure.what.len() + failure.why.len() + 56);
        let notes = self.notes.iter().map(|note| note.len() + 24);
        let json = self.json.as_ref().map_or(0, Bytes::len);
        json + sources + more + problem + failures.sum::<usize>() + notes.sum::<usize>() + 512
    }
}

/// That a change has outdated a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outdated {
    /// Since when, milliseconds since the epoch.
    pub(crate) since_ms: i64,
    /// Whether a page that the feed is made from has changed, and not only a page of which it shows a summary.
    pub(crate) own: bool,
}

impl Outdated {
    /// With another change after `earlier`: since the last change of a page that the feed is made from, else since the
    /// first change of one that it shows.
    fn after(self, earlier: Option<Outdated>) -> Outdated {
        match earlier {
            Some(earlier) if !self.own => earlier,
            _ => self,
        }
    }
}

/// A feed with its standing.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What was made.
    pub(crate) made: Arc<Made>,
    /// When; older than the making when an old copy of a source page had to serve. Milliseconds since the epoch.
    pub(crate) made_ms: i64,
    /// Until when it is fresh.
    pub(crate) fresh_until_ms: i64,
    /// That a change has outdated it.
    pub(crate) outdated: Option<Outdated>,
    /// Why it is served although it is past its time, and when the next attempt is due.
    pub(crate) held: Option<(Arc<str>, i64)>,
    /// Differs whenever the content may differ.
    pub(crate) version: u64,
    /// When it was asked for last.
    asked_ms: AtomicI64,
}

impl Entry {
    /// Notes that it was asked for.
    pub(crate) fn asked(&self, now_ms: i64) {
        self.asked_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When it was asked for last.
    pub(crate) fn asked_ms(&self) -> i64 {
        self.asked_ms.load(Ordering::Relaxed)
    }

    /// Whether it is served without a second thought.
    pub(crate) fn is_fresh(&self, now_ms: i64) -> bool {
        self.outdated.is_none() && self.held.is_none() && now_ms < self.fresh_until_ms
    }

    /// Whether it is old enough to be made anew because a page that it shows has changed.
    pub(crate) fn is_worth_renewing(&self, now_ms: i64) -> bool {
        now_ms >= self.made_ms + LEAST_MS
    }
}

/// The times of a feed that was just made.
#[derive(Debug)]
pub(crate) struct Times {
    /// When it was made, or when the oldest copy it was made from was fetched.
    pub(crate) made_ms: i64,
    /// Until when it is fresh.
    pub(crate) until_ms: i64,
    /// Why it is past its time already, and when to try again.
    pub(crate) held: Option<(Arc<str>, i64)>,
    /// That something changed while it was made.
    pub(crate) outdated: Option<Outdated>,
}

/// How long a feed serves at least before it is made anew because a page of which it shows a summary has changed,
/// milliseconds: those are the most edited pages of a wiki.
const LEAST_MS: i64 = 5_000;

/// The feeds that were made.
pub(crate) struct Results {
    memory: moka::sync::Cache<FeedKey, Arc<Entry>>,
    links: Arc<Links>,
    disk: Option<Arc<Disk>>,
    versions: AtomicU64,
    recent: Recent,
    manner: Mutex<Arc<str>>,
}

impl Results {
    /// Up to `most_bytes` of feeds, beginning with those in the store that are younger than `keep_ms` at `now_ms`; those
    /// that were not made in the same `manner` are outdated.
    pub(crate) fn open(
        most_bytes: u64,
        disk: Option<Arc<Disk>>,
        now_ms: i64,
        keep_ms: i64,
        manner: String,
    ) -> Results {
        let links = Arc::new(Links::default());
        let unlink = Arc::clone(&links);
        let memory = moka::sync::Cache::builder()
            .max_capacity(most_bytes)
            .weigher(|_: &FeedKey, entry: &Arc<Entry>| u32::try_from(entry.made.weight()).unwrap_or(u32::MAX))
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .eviction_listener(move |key, entry, cause| {
                if cause.was_evicted() {
                    unlink.replace(&key, &entry.made.sources, &[]);
                }
            })
            .build();
        let results = Results {
            memory,
            links,
            disk,
            versions: AtomicU64::new(1),
            recent: Recent::default(),
            manner: Mutex::new(Arc::from(manner)),
        };
        results.load(now_ms, keep_ms);
        results
    }

    /// The feed of that name, whatever its standing.
    pub(crate) fn get(&self, key: &FeedKey) -> Option<Arc<Entry>> {
        self.memory.get(key)
    }

    /// Puts a feed that was just made, and remembers it across restarts unless it is a problem.
    pub(crate) fn put(&self, key: &FeedKey, made: Made, times: Times, now_ms: i64) -> Arc<Entry> {
        self.store(key, &made, &times, now_ms);
        // Being made anew is not being asked for.
        let asked_ms = self.memory.get(key).map_or(now_ms, |known| known.asked_ms());
        let entry = self.entry(made, times, asked_ms);
        self.insert(key, entry)
    }

    /// Goes on serving what there is, because of `why`, until the next attempt.
    pub(crate) fn hold(&self, key: &FeedKey, entry: &Entry, why: &str, next_ms: i64) -> Arc<Entry> {
        self.insert(
            key,
            Entry {
                held: Some((Arc::from(why), next_ms)),
                ..copy(entry)
            },
        )
    }

    /// Outdates the feeds built from a page. Gives their names.
    pub(crate) fn outdate(&self, source: &Source, now_ms: i64) -> Vec<FeedKey> {
        self.recent.page(source);
        let keys = self.links.built_from(source);
        for key in &keys {
            if let Some(entry) = self.memory.get(key) {
                let change = Outdated {
                    since_ms: now_ms,
                    own: entry.made.own.contains(source),
                };
                if entry.outdated.is_none() && entry.made.json.is_some() {
                    self.store_outdated(key, now_ms);
                }
                self.insert(key, outdated(&entry, change));
            }
        }
        keys
    }

    /// The pages whose summaries those feeds show, when what they show is the summary of `target`.
    pub(crate) fn redirects_to(&self, target: &Source, keys: &[FeedKey]) -> Vec<Source> {
        let mut pages = Vec::new();
        for entry in keys.iter().filter_map(|key| self.memory.get(key)) {
            let leading = entry.made.redirects.iter().filter(|(_, to)| to == target);
            pages.extend(leading.map(|(from, _)| from.clone()));
        }
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    /// Outdates every feed, also those in the making: from now on they are made in another `manner`.
    pub(crate) fn outdate_all(&self, now_ms: i64, manner: String) {
        *self.manner.lock() = Arc::from(manner);
        self.recent.everything();
        let change = Outdated {
            since_ms: now_ms,
            own: true,
        };
        for (key, entry) in &self.memory {
            self.insert(&key, outdated(&entry, change));
        }
    }

    /// The number of the latest change.
    pub(crate) fn changes(&self) -> u64 {
        self.recent.number()
    }

    /// Whether one of the pages has changed after the change of that number: see [`Recent::changed_since`].
    pub(crate) fn changed_since(&self, number: u64, sources: &[Source], own: &[Source]) -> Option<bool> {
        self.recent.changed_since(number, sources, own)
    }

    /// Feeds that were asked for since `asked_since_ms` and are outdated, or will expire within `ahead_ms` (a fifth of
    /// their life if that is shorter), or are held and due for another attempt. With each, from when on its source
    /// pages have to be.
    pub(crate) fn due(&self, now_ms: i64, ahead_ms: i64, asked_since_ms: i64) -> Vec<(FeedKey, i64)> {
        let due = |entry: &Entry| {
            let life_ms = entry.fresh_until_ms - entry.made_ms;
            let is_ending = entry.fresh_until_ms - ahead_ms.min(life_ms / 5) <= now_ms;
            match (&entry.held, entry.outdated) {
                (Some((_, next_ms)), _) => (*next_ms <= now_ms).then_some(now_ms),
                (None, Some(outdated)) if outdated.own => Some(now_ms),
                (None, _) if is_ending => Some(now_ms),
                (None, Some(_)) => entry.is_worth_renewing(now_ms).then_some(i64::MIN),
                (None, None) => None,
            }
        };
        let is_wanted = |entry: &Entry| entry.made.json.is_some() && entry.asked_ms() >= asked_since_ms;
        self.memory
            .iter()
            .filter(|(_, entry)| is_wanted(entry))
            .filter_map(|(key, entry)| Some(((*key).clone(), due(&entry)?)))
            .collect()
    }

    /// By name of the feed, the age of the oldest one that is past its time and was asked for since `asked_since_ms`,
    /// milliseconds; 0 when there is none.
    pub(crate) fn stale_ages(&self, now_ms: i64, asked_since_ms: i64) -> BTreeMap<&'static str, i64> {
        let mut ages = BTreeMap::new();
        for (key, entry) in &self.memory {
            let is_stale = !entry.is_fresh(now_ms) && entry.asked_ms() >= asked_since_ms;
            let age_ms = if is_stale && entry.made.json.is_some() {
                now_ms - entry.made_ms
            } else {
                0
            };
            let oldest = ages.entry(key.feed.name()).or_insert(0);
            *oldest = age_ms.max(*oldest);
        }
        ages
    }

    /// Bytes held in memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.weighted_size()
    }

    fn entry(&self, made: Made, times: Times, asked_ms: i64) -> Entry {
        Entry {
            made: Arc::new(made),
            made_ms: times.made_ms,
            fresh_until_ms: times.until_ms,
            outdated: times.outdated,
            held: times.held,
            version: self.versions.fetch_add(1, Ordering::Relaxed),
            asked_ms: AtomicI64::new(asked_ms),
        }
    }

    fn insert(&self, key: &FeedKey, entry: Entry) -> Arc<Entry> {
        let old = self.memory.get(key);
        let known = old.as_ref().map_or(&[][..], |old| &old.made.sources);
        self.links.replace(key, known, &entry.made.sources);
        let entry = Arc::new(entry);
        self.memory.insert(key.clone(), Arc::clone(&entry));
        entry
    }
}

/// The feed, outdated. What was held may be made anew at once: the change may be the cure.
fn outdated(entry: &Entry, change: Outdated) -> Entry {
    Entry {
        outdated: Some(change.after(entry.outdated)),
        held: None,
        ..copy(entry)
    }
}

fn copy(entry: &Entry) -> Entry {
    Entry {
        made: Arc::clone(&entry.made),
        made_ms: entry.made_ms,
        fresh_until_ms: entry.fresh_until_ms,
        outdated: entry.outdated,
        held: entry.held.clone(),
        version: entry.version,
        asked_ms: AtomicI64::new(entry.asked_ms()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(title: &str) -> Made {
        Made {
            json: Some(Bytes::from_static(b"[]")),
            problem: None,
            items: 1,
            id: String::new(),
            varies: false,
            sources: vec![Source::new("en.wikipedia.org", title)],
            own: vec![Source::new("en.wikipedia.org", title)],
            redirects: Vec::new(),
            failures: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn times(made_ms: i64) -> Times {
        Times {
            made_ms,
            until_ms: made_ms + 100,
            held: None,
            outdated: None,
        }
    }

    #[test]
    fn an_evicted_feed_leaves_no_links() {
        let results = Results::open(4_000, None, 0, 0, String::new());
        for n in 1..=28 {
            let key = FeedKey::parse(&format!("en.wikipedia.org|births|02-{n:02}|")).expect("a key");
            results.put(&key, made(&format!("Page {n}")), times(n), n);
        }
        results.memory.run_pending_tasks();
        assert!(results.memory.entry_count() < 10);
        assert_eq!(results.links.len() as u64, results.memory.entry_count());
    }

    #[test]
    fn what_is_due_was_asked_for_and_is_near_its_end_outdated_or_held() {
        let results = Results::open(1 << 20, None, 0, 0, String::new());
        let key = FeedKey::parse("en.wikipedia.org|news||").expect("a key");
        results.put(&key, made("A"), times(0), 0);
        let due = |now_ms, asked_since_ms| results.due(now_ms, 1_000, asked_since_ms).len();
        // A fifth of its life before the end, for all that may be refreshed further ahead.
        assert_eq!((due(79, 0), due(80, 0), due(80, 1)), (0, 1, 0));
        results.outdate(&Source::new("en.wikipedia.org", "A"), 10);
        assert_eq!(due(10, 0), 1);
        // A problem with a long text weighs what it takes.
        let weight = made("A").weight();
        let problem = Made {
            problem: Some(Problem::not_found(&"x".repeat(5_000))),
            ..made("A")
        };
        assert!(problem.weight() > weight + 5_000);
        let entry = results.get(&key).expect("kept");
        results.hold(&key, &entry, "down", 50);
        assert_eq!((due(49, 0), due(50, 0)), (0, 1));
    }
}
