//! What becomes of a feed that was just made: it is kept, unless the one before is better.

use super::Kitchen;
use super::make::Traced;
use crate::feed::dish::{Dish, Refusal};
use crate::feed::key::{Feed, FeedKey};
use crate::feed::plate::Plate;
use crate::feed::results::{Entry, Made, Outdated, Times};
use crate::http::Problem;
use crate::note::Note;
use crate::wiki::{Failure, Noted, Source};
use std::sync::Arc;

impl Kitchen {
    /// Keeps what was made, unless what there is is better.
    pub(super) fn keep(
        &self,
        key: &FeedKey,
        cooked: Result<Dish, Refusal>,
        traced: Traced,
        now_ms: i64,
    ) -> Plate {
        let name = key.feed.name();
        let Traced { noted, outdated } = traced;
        let held = self.results.get(key);
        let usable = held
            .as_ref()
            .filter(|entry| entry.made.json.is_some() && self.is_usable(entry, now_ms));
        let dish = match cooked {
            Ok(dish) => dish,
            Err(refusal) => {
                let why = refusal.reason();
                let problem = refusal.problem(self.config.compat);
                // A page that is always there and is gone was moved, by accident or with the rules lagging behind.
                let is_moved = key.feed.empty_is_suspicious() && usable.is_some();
                if refusal.is_final() && !is_moved {
                    self.metrics.build(name, "ok");
                    return Plate::fresh(self.keep_problem(key, problem, noted, outdated, now_ms));
                }
                if let Some(entry) = usable {
                    return self.go_on_with(key, entry, &why, now_ms);
                }
                self.metrics.build(name, "failed");
                tracing::warn!(feed = %key, %why, "feed not made");
                return Plate::failed(problem, &why);
            }
        };
        let Noted {
            sources,
            own,
            redirects,
            mut failures,
            old_copy,
        } = noted;
        let why = dish.notes.iter().find(|note| note.kind.is_suspicious());
        // There is not an article every day; but a page that is none of those that name the article does not say so.
        let is_nothing_of_the_day = dish.json.is_none() && why.is_some();
        let is_empty = dish.json.is_some() && key.feed.empty_is_suspicious();
        if dish.items == 0 && (is_empty || is_nothing_of_the_day) {
            self.metrics.empty(name);
            let why = why.map_or_else(|| "the source page has no item".to_owned(), Note::to_string);
            failures.push(Failure {
                what: "items".to_owned(),
                count: 1,
                why,
            });
        }
        if let Some(entry) = usable
            && let Some(why) = worse(&dish, &failures, &sources, &entry.made)
        {
            return self.go_on_with(key, entry, &why, now_ms);
        }
        self.metrics
            .build(name, if failures.is_empty() { "ok" } else { "degraded" });
        let life_s = match &dish.json {
            _ if !failures.is_empty() => self.config.fresh.degraded,
            None => self.config.fresh.missing,
            // A list that has no rows yet.
            Some(_) if dish.items == 0 => self.config.fresh.missing,
            Some(_) => self.life_s(key.feed),
        };
        let made = Made {
            json: dish.json,
            problem: None,
            items: dish.items,
            id: dish.id,
            varies: dish.varies,
            sources,
            own,
            redirects,
            failures,
            notes: dish.notes.iter().map(Note::to_string).collect(),
        };
        match old_copy {
            // Made from an old copy of a page: it is as old as that, and stays so until the page can be had.
            Some((made_ms, why)) => {
                let why: Arc<str> = Arc::from(why);
                let next_ms = now_ms + i64::from(self.config.fresh.degraded) * 1000;
                let until_ms = made_ms + i64::from(life_s) * 1000;
                let held = Some((Arc::clone(&why), next_ms));
                let times = Times {
                    made_ms,
                    until_ms,
                    held,
                    outdated,
                };
                let entry = self.results.put(key, made, times, now_ms);
                Plate::stale(entry, now_ms, "error", &why)
            }
            None => {
                let until_ms = now_ms + i64::from(life_s) * 1000;
                let times = Times {
                    made_ms: now_ms,
                    until_ms,
                    held: None,
                    outdated,
                };
                Plate::fresh(self.results.put(key, made, times, now_ms))
            }
        }
    }

    fn go_on_with(&self, key: &FeedKey, entry: &Entry, why: &str, now_ms: i64) -> Plate {
        self.metrics.build(key.feed.name(), "held");
        tracing::warn!(feed = %key, why, "feed not renewed, the old one serves");
        let next_ms = now_ms + i64::from(self.config.fresh.degraded) * 1000;
        Plate::stale(self.results.hold(key, entry, why, next_ms), now_ms, "error", why)
    }

    fn keep_problem(
        &self,
        key: &FeedKey,
        problem: Problem,
        noted: Noted,
        outdated: Option<Outdated>,
        now_ms: i64,
    ) -> Arc<Entry> {
        let made = Made {
            json: None,
            problem: Some(problem),
            items: 0,
            id: String::new(),
            varies: false,
            sources: noted.sources,
            own: noted.own,
            redirects: noted.redirects,
            failures: Vec::new(),
            notes: Vec::new(),
        };
        let until_ms = now_ms + i64::from(self.config.fresh.missing) * 1000;
        let times = Times {
            made_ms: now_ms,
            until_ms,
            held: None,
            outdated,
        };
        self.results.put(key, made, times, now_ms)
    }

    fn life_s(&self, feed: Feed) -> u32 {
        let fresh = &self.config.fresh;
        match feed {
            Feed::Tfa(_) => fresh.tfa,
            Feed::Image(_) => fresh.image,
            Feed::MostRead(_) => fresh.mostread,
            Feed::News => fresh.news,
            Feed::Dyk => fresh.dyk,
            Feed::OnThisDay(..) => fresh.onthisday,
        }
    }
}

/// Why what was made now is worse than what there is; `None` when it is not.
fn worse(dish: &Dish, failures: &[Failure], sources: &[Source], held: &Made) -> Option<String> {
    let lacks = |failures: &[Failure]| failures.iter().map(|failure| failure.count).sum::<u32>();
    if dish.items == 0 && held.items > 0 {
        let why = failures
            .first()
            .map_or("nothing was found where there was something", |lack| &lack.why);
        return Some(why.to_owned());
    }
    // One page of many without its summary is no reason to hold the news back; a quarter of them is.
    let lack = failures.first()?;
    let much = lacks(failures).saturating_mul(4) as usize >= sources.len();
    (much && lacks(failures) > lacks(&held.failures)).then(|| lack.why.clone())
}
