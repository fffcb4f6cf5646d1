//! A feed is made: when there is a place for it, by its orchestration, and with a look at what changed meanwhile.

use super::Kitchen;
use crate::feed::dish::{Dish, Refusal};
use crate::feed::key::{Feed, FeedKey};
use crate::feed::plate::Plate;
use crate::feed::results::Outdated;
use crate::http::Problem;
use crate::upstream::address::Caller;
use crate::wiki::{Ask, Noted, Trace};
use std::sync::Arc;
use std::time::Duration;

/// What was noted while a feed was made, and whether it is outdated already.
pub(super) struct Traced {
    pub(super) noted: Noted,
    pub(super) outdated: Option<Outdated>,
}

impl Kitchen {
    /// Makes a feed and keeps it. `since_ms`: from when on its source pages have to be.
    pub(super) async fn make(self: Arc<Self>, key: FeedKey, request_id: Arc<str>, since_ms: i64) -> Plate {
        let Ok(_place) = self.places.try_acquire() else {
            return self.without(&key, "too many feeds are being made");
        };
        let deadline = Duration::from_millis(self.config.upstream.part_deadline_ms);
        // Whoever wanted it has gone by then.
        let Ok(Ok(_stove)) = tokio::time::timeout(deadline, self.stoves.acquire()).await else {
            return self.without(&key, "no feed could be begun in time");
        };
        let now_ms = self.clock.now_ms();
        let caller = Caller {
            request_id,
            language: key.variant.clone(),
        };
        let ask = Ask::new(caller, now_ms, since_ms, self.config.upstream.part_deadline_ms);
        let trace = Trace::default();
        let changes = self.results.changes();
        let cooked = self.cook(&key, &ask, &trace).await;
        let noted = trace.finish();
        // A page that changed while the feed was being made may have been read before the change.
        let changed = self.results.changed_since(changes, &noted.sources, &noted.own);
        let outdated = changed.map(|own| Outdated {
            since_ms: self.clock.now_ms(),
            own,
        });
        if outdated.is_some() {
            // Which page leads where was not known when the target changed.
            let variants = [None, key.variant.clone()];
            for (from, _) in &noted.redirects {
                self.wiki.expire(from, &variants);
            }
        }
        self.keep(&key, cooked, Traced { noted, outdated }, now_ms)
    }

    /// What is handed out when a feed is not even begun.
    fn without(&self, key: &FeedKey, why: &str) -> Plate {
        let now_ms = self.clock.now_ms();
        match self
            .results
            .get(key)
            .filter(|entry| self.is_usable(entry, now_ms))
        {
            Some(entry) => Plate::stale(entry, now_ms, "late", why),
            None => Plate::failed(Problem::late(), why),
        }
    }

    async fn cook(&self, key: &FeedKey, ask: &Ask, trace: &Trace) -> Result<Dish, Refusal> {
        let domain = &*key.domain;
        match key.feed {
            Feed::Tfa(date) => self.tfa(domain, date, ask, trace).await,
            Feed::Image(date) => self.image(domain, date, ask, trace).await,
            Feed::MostRead(date) => self.most_read(domain, date, ask, trace).await,
            Feed::News => self.news(domain, ask, trace).await,
            Feed::Dyk => self.dyk(domain, ask, trace).await,
            Feed::OnThisDay(kind, day) => self.on_this_day(domain, kind, day, ask, trace).await,
        }
    }
}
