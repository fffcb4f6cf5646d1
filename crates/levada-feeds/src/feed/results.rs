//! The feeds that were made: in memory, and across restarts.
//!
//! Memory is the truth while the service runs; at start it is filled from the store. An entry knows whether it is
//! fresh, outdated by a page change, or held because nothing better could be made.

use super::key::FeedKey;
use super::links::Links;
use crate::cache::{Disk, Record};
use crate::http::Problem;
use crate::metrics::Kept;
use crate::wiki::{Failure, Source};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
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
        let failures = self
            .failures
            .iter()
            .map(|failure| failure.what.len() + failure.why.len() + 56);
        let notes = self.notes.iter().map(|note| note.len() + 24);
        let json = self.json.as_ref().map_or(0, Bytes::len);
        json + sources + failures.sum::<usize>() + notes.sum::<usize>() + 512
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
    /// Since when a page change has outdated it.
    pub(crate) outdated_ms: Option<i64>,
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
        self.outdated_ms.is_none() && self.held.is_none() && now_ms < self.fresh_until_ms
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
    /// That a page changed while it was made.
    pub(crate) outdated: Option<i64>,
}

/// Page changes remembered for the feeds in the making: a minute of the busiest wikis together.
const RECENT: usize = 8_192;

#[derive(Serialize, Deserialize)]
struct Head {
    made_ms: i64,
    fresh_until_ms: i64,
    items: usize,
    id: String,
    varies: bool,
    sources: Vec<Source>,
    failures: Vec<Failure>,
    notes: Vec<String>,
}

/// The feeds that were made.
pub(crate) struct Results {
    memory: moka::sync::Cache<FeedKey, Arc<Entry>>,
    links: Arc<Links>,
    disk: Option<Arc<Disk>>,
    versions: AtomicU64,
    changes: AtomicU64,
    recent: Mutex<VecDeque<(u64, Source)>>,
}

impl Results {
    /// Up to `most_bytes` of feeds, beginning with those in the store that are younger than `keep_ms` at `now_ms`.
    pub(crate) fn open(most_bytes: u64, disk: Option<Arc<Disk>>, now_ms: i64, keep_ms: i64) -> Results {
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
            changes: AtomicU64::new(0),
            recent: Mutex::default(),
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
        if let Some(disk) = &self.disk {
            let name = key.to_string();
            match &made.json {
                Some(json) => {
                    let settled = times.held.is_none() && times.outdated.is_none();
                    let head = Head {
                        made_ms: times.made_ms,
                        // What is not fresh now is not fresh after a restart either.
                        fresh_until_ms: if settled { times.until_ms } else { times.made_ms },
                        items: made.items,
                        id: made.id.clone(),
                        varies: made.varies,
                        sources: made.sources.clone(),
                        failures: made.failures.clone(),
                        notes: made.notes.clone(),
                    };
                    let record = Record {
                        at_ms: now_ms,
                        head,
                        body: json.to_vec(),
                    };
                    if let Some(bytes) = record.encode() {
                        disk.put(Kept::Result.name(), &name, bytes);
                    }
                }
                None => disk.remove(Kept::Result.name(), &name),
            }
        }
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
        let number = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        {
            let mut recent = self.recent.lock();
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back((number, source.clone()));
        }
        let keys = self.links.built_from(source);
        for key in &keys {
            if let Some(entry) = self.memory.get(key) {
                // What was held may be made anew at once: the change may be the cure.
                self.insert(
                    key,
                    Entry {
                        outdated_ms: Some(now_ms),
                        held: None,
                        ..copy(&entry)
                    },
                );
            }
        }
        keys
    }

    /// Outdates every feed: they were made after other rules.
    pub(crate) fn outdate_all(&self, now_ms: i64) {
        for (key, entry) in &self.memory {
            let outdated = Entry {
                outdated_ms: Some(now_ms),
                held: None,
                ..copy(&entry)
            };
            self.insert(&key, outdated);
        }
    }

    /// The number of the latest page change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Whether one of the pages has changed after the change of that number. True when that is no longer known.
    pub(crate) fn changed_since(&self, number: u64, sources: &[Source]) -> bool {
        if self.changes() == number {
            return false;
        }
        let recent = self.recent.lock();
        if recent.front().is_some_and(|(first, _)| *first > number + 1) {
            return true;
        }
        let after = recent.iter().filter(|(changed, _)| *changed > number);
        let changed: std::collections::HashSet<&Source> = after.map(|(_, source)| source).collect();
        sources.iter().any(|source| changed.contains(source))
    }

    /// Feeds that were asked for since `asked_since_ms` and are outdated, or will expire within `ahead_ms` (a fifth of
    /// their life if that is shorter), or are held and due for another attempt.
    pub(crate) fn due(&self, now_ms: i64, ahead_ms: i64, asked_since_ms: i64) -> Vec<FeedKey> {
        let is_due = |entry: &Entry| match &entry.held {
            Some((_, next_ms)) => *next_ms <= now_ms,
            None => {
                let life_ms = entry.fresh_until_ms - entry.made_ms;
                entry.outdated_ms.is_some() || entry.fresh_until_ms - ahead_ms.min(life_ms / 5) <= now_ms
            }
        };
        let is_wanted = |entry: &Entry| entry.made.json.is_some() && entry.asked_ms() >= asked_since_ms;
        self.memory
            .iter()
            .filter(|(_, entry)| is_wanted(entry) && is_due(entry))
            .map(|(key, _)| (*key).clone())
            .collect()
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
            outdated_ms: times.outdated,
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

    fn load(&self, now_ms: i64, keep_ms: i64) {
        let Some(disk) = &self.disk else { return };
        for (name, bytes) in disk.all(Kept::Result.name()) {
            let read = FeedKey::parse(&name).zip(Record::<Head>::decode(&bytes));
            let Some((key, record)) =
                read.filter(|(_, record)| now_ms < record.head.fresh_until_ms + keep_ms)
            else {
                disk.remove(Kept::Result.name(), &name);
                continue;
            };
            let head = record.head;
            let made = Made {
                json: Some(Bytes::from(record.body)),
                problem: None,
                items: head.items,
                id: head.id,
                varies: head.varies,
                sources: head.sources,
                failures: head.failures,
                notes: head.notes,
            };
            // Nobody has asked for it since the start.
            let until_ms = head.fresh_until_ms;
            let times = Times {
                made_ms: head.made_ms,
                until_ms,
                held: None,
                outdated: None,
            };
            let entry = self.entry(made, times, 0);
            self.insert(&key, entry);
        }
    }
}

fn copy(entry: &Entry) -> Entry {
    Entry {
        made: Arc::clone(&entry.made),
        made_ms: entry.made_ms,
        fresh_until_ms: entry.fresh_until_ms,
        outdated_ms: entry.outdated_ms,
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
    fn a_change_while_a_feed_is_made_is_noticed() {
        let results = Results::open(1 << 20, None, 0, 0);
        let page = Source::new("en.wikipedia.org", "A");
        let other = Source::new("en.wikipedia.org", "B");
        let before = results.changes();
        assert!(!results.changed_since(before, std::slice::from_ref(&page)));
        assert_eq!(results.outdate(&page, 5), []);
        assert!(results.changed_since(before, std::slice::from_ref(&page)));
        assert!(!results.changed_since(before, std::slice::from_ref(&other)));
        assert!(!results.changed_since(results.changes(), std::slice::from_ref(&page)));
        // What happened before the memory of changes begins may have been anything.
        for _ in 0..=RECENT {
            results.outdate(&other, 5);
        }
        assert!(results.changed_since(before, &[Source::new("en.wikipedia.org", "C")]));
    }

    #[test]
    fn an_evicted_feed_leaves_no_links() {
        let results = Results::open(4_000, None, 0, 0);
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
        let results = Results::open(1 << 20, None, 0, 0);
        let key = FeedKey::parse("en.wikipedia.org|news||").expect("a key");
        results.put(&key, made("A"), times(0), 0);
        let due = |now_ms, asked_since_ms| results.due(now_ms, 1_000, asked_since_ms).len();
        // A fifth of its life before the end, for all that may be refreshed further ahead.
        assert_eq!((due(79, 0), due(80, 0), due(80, 1)), (0, 1, 0));
        results.outdate(&Source::new("en.wikipedia.org", "A"), 10);
        assert_eq!(due(10, 0), 1);
        let entry = results.get(&key).expect("kept");
        results.hold(&key, &entry, "down", 50);
        assert_eq!((due(49, 0), due(50, 0)), (0, 1));
    }
}
