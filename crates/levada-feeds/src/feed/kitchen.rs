//! Where feeds are made, kept and handed out.
//!
//! Promises: a feed is made once for everybody who wants it at the same time; a feed that could not be made as well as
//! the one before does not replace it; nobody waits longer than the deadline; what is under way when a client gives up
//! is finished and kept.

mod keep;
mod make;

use super::dish::Refusal;
use super::key::FeedKey;
use super::on_this_day::ReadDay;
use super::plate::{Plate, Stale};
use super::random::Urn;
use super::results::{Entry, Results};
use crate::cache::Disk;
use crate::clock::Clock;
use crate::config::FeedsConfig;
use crate::flight::Flights;
use crate::http::Problem;
use crate::lang::Rules;
use crate::metrics::{Kept, Metrics};
use crate::model::{DayPage, DbTitle, Siteinfo};
use crate::note::Note;
use crate::parse::Compat;
use crate::upstream::Fetch;
use crate::wiki::{Ask, Fault, Page, Source, Trace, Wiki, in_time};
use crate::work::Workers;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The kitchen.
pub(crate) struct Kitchen {
    pub(crate) config: Arc<FeedsConfig>,
    pub(crate) wiki: Wiki,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) results: Results,
    pub(crate) work: Arc<Workers>,
    pub(super) quirks: Compat,
    pub(super) days: moka::sync::Cache<String, ReadPage>,
    pub(super) readings: Arc<Flights<ReadDay>>,
    pub(super) urn: Urn,
    pub(super) drawings: Arc<Flights<Result<Arc<[DbTitle]>, Refusal>>>,
    rules: ArcSwap<Rules>,
    /// Counts the rules that were in force.
    generation: AtomicU64,
    /// Stands for site information that could not be had.
    unknown_site: Arc<Siteinfo>,
    flights: Arc<Flights<Plate>>,
    stoves: Semaphore,
    /// Places for those who are at a stove or wait for one.
    places: Semaphore,
}

/// For each feed that may be in the making at once, so many may wait.
const WAITING: usize = 4;

/// The fault when a parser brings nothing.
pub(super) fn lost() -> Fault {
    Fault::internal("a parser ended by a panic")
}

/// A day page's text and what was read in it.
type ReadPage = (Arc<str>, Arc<(DayPage, Vec<Note>)>);

impl Kitchen {
    pub(crate) fn new(
        config: Arc<FeedsConfig>,
        rules: Arc<Rules>,
        fetch: Arc<dyn Fetch>,
        disk: Option<Arc<Disk>>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Kitchen {
        let keep_ms = i64::from(config.cache.stale_if_error_s) * 1000;
        let builds = config
            .cache
            .builds
            .clamp(1, Semaphore::MAX_PERMITS / (WAITING + 1));
        let manner = manner(&config, &rules);
        Kitchen {
            wiki: Wiki::new(fetch, &config, disk.clone(), &metrics),
            results: Results::open(config.cache.results_bytes, disk, clock.now_ms(), keep_ms, manner),
            work: Workers::for_processors(),
            quirks: Compat::from_switch(config.compat),
            days: moka::sync::Cache::builder()
                .max_capacity(config.cache.pages_bytes)
                .weigher(|key: &String, (html, read): &ReadPage| {
                    let (day, notes) = &**read;
                    let size = key.len() + html.len() + day.weight() + notes.len() * 300 + 256;
                    u32::try_from(size).unwrap_or(u32::MAX)
                })
                .eviction_policy(moka::policy::EvictionPolicy::lru())
                .build(),
            readings: Arc::default(),
            urn: Urn::default(),
            drawings: Arc::default(),
            rules: ArcSwap::new(rules),
            generation: AtomicU64::new(0),
            unknown_site: Arc::default(),
            flights: Arc::default(),
            stoves: Semaphore::new(builds),
            places: Semaphore::new(builds * (WAITING + 1)),
            config,
            clock,
            metrics,
        }
    }

    /// The language rules in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Puts other language rules in force; every feed is made anew for the next who asks.
    pub(crate) fn set_rules(&self, rules: Arc<Rules>) {
        let manner = manner(&self.config, &rules);
        self.rules.store(rules);
        // After the rules: who reads a day by the old ones does so under the old number.
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.days.invalidate_all();
        self.results.outdate_all(self.clock.now_ms(), manner);
    }

    /// The number of the rules in force; to be read before them.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Whether this is what site information could be had of.
    pub(super) fn is_known(&self, site: &Arc<Siteinfo>) -> bool {
        !Arc::ptr_eq(site, &self.unknown_site)
    }

    /// The feed: the one kept while it is fresh, a new one otherwise, the old one when there is no new one.
    pub(crate) async fn obtain(self: &Arc<Self>, key: &FeedKey, request_id: &Arc<str>) -> Plate {
        let plate = self.look_or_make(key, request_id).await;
        match &plate.stale {
            Some(stale) => self.metrics.stale(key.feed.name(), stale.class),
            None if plate.is_lost() => self.metrics.failed(key.feed.name()),
            None => {}
        }
        plate
    }

    /// As [`Kitchen::obtain`]; when an outage keeps the feed from being made, the same feed of the day before, if it
    /// is still there.
    pub(crate) async fn obtain_or_day_before(
        self: &Arc<Self>,
        key: &FeedKey,
        request_id: &Arc<str>,
    ) -> Plate {
        let plate = self.obtain(key, request_id).await;
        if !plate.is_lost() || self.config.compat {
            return plate;
        }
        let Some((feed, day)) = key.feed.day_before() else {
            return plate;
        };
        let earlier = FeedKey { feed, ..key.clone() };
        let Some(entry) = self
            .results
            .get(&earlier)
            .filter(|entry| entry.made.json.is_some())
        else {
            return plate;
        };
        let why = plate.failed.clone().unwrap_or_else(|| Arc::from("unavailable"));
        let now_ms = self.clock.now_ms();
        let age_ms = now_ms - entry.made_ms;
        entry.asked(now_ms);
        self.metrics.stale(key.feed.name(), "error");
        let stale = Stale {
            age_ms,
            why,
            class: "error",
            day: Some(day),
        };
        Plate {
            entry: Ok(entry),
            failed: None,
            stale: Some(stale),
        }
    }

    /// Makes a feed anew now, keeps it and hands it out.
    pub(crate) async fn make_anew(self: &Arc<Self>, key: &FeedKey, request_id: &Arc<str>) -> Plate {
        let since_ms = self.clock.now_ms();
        self.flight(key, request_id, since_ms).await
    }

    /// Starts refreshing what will expire soon or is outdated, and was asked for lately. Gives how many.
    pub(crate) fn tend(self: &Arc<Self>) -> usize {
        let now_ms = self.clock.now_ms();
        let cache = &self.config.cache;
        let ahead_ms = i64::from(cache.refresh_ahead_s) * 1000;
        let since_ms = now_ms - i64::from(cache.refresh_idle_s) * 1000;
        let due = self.results.due(now_ms, ahead_ms, since_ms);
        let request_id: Arc<str> = Arc::from(crate::http::request_id());
        // However much is due at once, those who ask for something else find a place too.
        due.iter()
            .filter(|(key, since_ms)| self.launch(key, &request_id, *since_ms))
            .take(self.places.available_permits().div_ceil(2))
            .count()
    }

    /// A page has changed: outdates exactly the feeds built from it. Gives how many.
    pub(crate) fn invalidate(&self, domain: &str, title: &str) -> usize {
        let source = Source::new(domain, title);
        let keys = self.results.outdate(&source, self.clock.now_ms());
        let mut variants: Vec<Option<Arc<str>>> = keys.iter().map(|key| key.variant.clone()).collect();
        variants.push(None);
        variants.sort_unstable();
        variants.dedup();
        self.wiki.expire(&source, &variants);
        for page in self.results.redirects_to(&source, &keys) {
            self.wiki.expire(&page, &variants);
        }
        for key in &keys {
            self.metrics.invalidated(key.feed.name(), 1);
        }
        keys.len()
    }

    /// Runs a parser off the runtime's threads: parsing a large page takes tens of milliseconds.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.work.run(work).await.ok_or_else(lost)
    }

    /// The half of the original's entity tag that stands for a page: its revision; in compat mode the page id, which
    /// the original takes for one (contract §2.0.3).
    pub(super) fn page_tag(&self, page: &Page) -> String {
        if self.config.compat || page.revision == 0 {
            page.id
        } else {
            page.revision
        }
        .to_string()
    }

    /// Site information, or what is true of most wikis; the lack is noted.
    pub(super) async fn site_or_default(&self, domain: &str, ask: &Ask, trace: &Trace) -> Arc<Siteinfo> {
        match in_time(ask.site_by, self.wiki.siteinfo(domain, ask)).await {
            Ok(site) => site,
            Err(fault) => {
                trace.failure("siteinfo", &fault);
                Arc::clone(&self.unknown_site)
            }
        }
    }

    async fn look_or_make(self: &Arc<Self>, key: &FeedKey, request_id: &Arc<str>) -> Plate {
        let now_ms = self.clock.now_ms();
        let entry = self.results.get(key);
        if let Some(entry) = &entry {
            entry.asked(now_ms);
            if entry.is_fresh(now_ms) {
                self.metrics.cache(Kept::Result, "hit");
                return Plate::fresh(Arc::clone(entry));
            }
            match &entry.held {
                Some((why, next_ms)) if now_ms < *next_ms => {
                    return Plate::stale(Arc::clone(entry), now_ms, "error", why);
                }
                // What was held needs a new attempt, but nobody has to wait for it.
                Some((why, _)) if self.is_usable(entry, now_ms) => {
                    self.launch(key, request_id, now_ms);
                    return Plate::stale(Arc::clone(entry), now_ms, "error", why);
                }
                None if self.is_revalidable(entry, now_ms) => {
                    if entry.outdated.is_none() || entry.is_worth_renewing(now_ms) {
                        self.launch(key, request_id, i64::MIN);
                    }
                    return Plate::stale(Arc::clone(entry), now_ms, "revalidating", "being refreshed");
                }
                _ => {}
            }
        }
        self.metrics.cache(Kept::Result, "miss");
        let since_ms = entry
            .as_ref()
            .and_then(|entry| entry.outdated)
            .filter(|outdated| outdated.own)
            // What was fetched in the very millisecond of the change may be from before it.
            .map_or(i64::MIN, |outdated| outdated.since_ms.saturating_add(1));
        let deadline = Duration::from_millis(self.config.upstream.part_deadline_ms);
        match tokio::time::timeout(deadline, self.flight(key, request_id, since_ms)).await {
            Ok(plate) => plate,
            Err(_) => match entry.filter(|entry| self.is_usable(entry, now_ms)) {
                Some(entry) => Plate::stale(entry, now_ms, "late", "not ready within the deadline"),
                None => Plate::failed(Problem::late(), "not ready within the deadline"),
            },
        }
    }

    async fn flight(self: &Arc<Self>, key: &FeedKey, request_id: &Arc<str>, since_ms: i64) -> Plate {
        let (kitchen, named, id) = (Arc::clone(self), key.clone(), Arc::clone(request_id));
        let flight = self.flights.join(key.to_string(), move || async move {
            kitchen.make(named, id, since_ms).await
        });
        flight.await.unwrap_or_else(|| {
            Plate::failed(
                Problem::internal("Error", "making the feed ended by a panic"),
                "internal error",
            )
        })
    }

    fn launch(self: &Arc<Self>, key: &FeedKey, request_id: &Arc<str>, since_ms: i64) -> bool {
        let (kitchen, named, id) = (Arc::clone(self), key.clone(), Arc::clone(request_id));
        self.flights.launch(key.to_string(), move || async move {
            kitchen.make(named, id, since_ms).await
        })
    }

    pub(super) fn is_usable(&self, entry: &Entry, now_ms: i64) -> bool {
        now_ms < entry.fresh_until_ms + i64::from(self.config.cache.stale_if_error_s) * 1000
    }

    /// Whether the old one serves while a new one is made: when it is past its time, or when only a page that it shows
    /// has changed.
    fn is_revalidable(&self, entry: &Entry, now_ms: i64) -> bool {
        let past_ms = match entry.outdated {
            Some(outdated) if outdated.own => return false,
            Some(outdated) => outdated.since_ms.min(entry.fresh_until_ms),
            None => entry.fresh_until_ms,
        };
        let while_ms = i64::from(self.config.cache.stale_while_revalidate_s) * 1000;
        entry.made.json.is_some() && now_ms < past_ms + while_ms
    }
}

/// What decides how feeds are made: the program, its quirks, the rules and where the wikis are asked. What was made in
/// another manner is not taken for fresh after a restart.
fn manner(config: &FeedsConfig, rules: &Rules) -> String {
    format!(
        "{} {} {} {}",
        env!("CARGO_PKG_VERSION"),
        config.compat,
        rules.fingerprint(),
        config.bases()
    )
}
