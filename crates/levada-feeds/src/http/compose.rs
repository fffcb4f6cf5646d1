//! Answers made of several feeds (contract §2.11, §3.2, §3.3), and the simple ones made of one.
//!
//! Feeds are joined as bytes: each was serialised when it was made.

use super::headers::quoted;
use crate::date::{FeedDate, MonthDay};
use crate::feed::{Feed, FeedKey, Kitchen, Plate};
use crate::http::Problem;
use crate::model::OnThisDayKind;
use bytes::Bytes;
use futures_util::future::join_all;
use std::sync::Arc;

/// How the feeds of an answer are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// One feed as it is.
    Plain,
    /// One list of a day, under its name.
    List(OnThisDayKind),
    /// All lists of a day, all or nothing: the service's own route.
    AllLists,
    /// All lists of a day, as many as there are: the public routes.
    PublicLists,
    /// The feed of a day.
    Featured,
    /// No feeds at all.
    Named,
}

/// What is served: feeds and how they are put together.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) kind: Kind,
    pub(crate) keys: Vec<FeedKey>,
    /// Whether a feed of today that cannot be had may be yesterday's.
    day_before: bool,
}

/// The feeds of a course, with their standing.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) course: Course,
    pub(crate) plates: Vec<Plate>,
}

impl Course {
    /// One feed.
    pub(crate) fn one(domain: &Arc<str>, variant: Option<Arc<str>>, feed: Feed) -> Course {
        let kind = match feed {
            Feed::OnThisDay(kind, _) => Kind::List(kind),
            _ => Kind::Plain,
        };
        Course {
            kind,
            keys: vec![FeedKey {
                domain: Arc::clone(domain),
                feed,
                variant,
            }],
            day_before: false,
        }
    }

    /// All lists of a day of the year.
    pub(crate) fn lists(
        domain: &Arc<str>,
        variant: Option<&Arc<str>>,
        day: MonthDay,
        public: bool,
    ) -> Course {
        use OnThisDayKind::{Births, Deaths, Events, Holidays, Selected};
        let order = if public {
            [Selected, Births, Deaths, Events, Holidays]
        } else {
            [Selected, Events, Births, Deaths, Holidays]
        };
        let key = |kind| FeedKey {
            domain: Arc::clone(domain),
            feed: Feed::OnThisDay(kind, day),
            variant: variant.cloned(),
        };
        let kind = if public { Kind::PublicLists } else { Kind::AllLists };
        Course {
            kind,
            keys: order.map(key).to_vec(),
            day_before: false,
        }
    }

    /// The feed of a day: what `supports` says of each part decides whether it is asked for at all.
    pub(crate) fn featured(
        domain: &Arc<str>,
        variant: Option<&Arc<str>>,
        date: FeedDate,
        today: FeedDate,
        compat: bool,
        supports: impl Fn(Feed) -> bool,
    ) -> Course {
        // Somewhere it is tomorrow already; further ahead there is no news, though the original gives today's (W25).
        let is_now = date >= today && (compat || date <= today.plus_days(1));
        let mut feeds = vec![
            Feed::Tfa(date),
            Feed::MostRead(date.plus_days(-1)),
            Feed::Image(date),
        ];
        if is_now {
            feeds.push(Feed::News);
        }
        feeds.push(Feed::OnThisDay(OnThisDayKind::Selected, date.month_day()));
        if is_now {
            feeds.push(Feed::Dyk);
        }
        let keys = feeds
            .into_iter()
            .filter(|feed| supports(*feed))
            .map(|feed| FeedKey {
                domain: Arc::clone(domain),
                feed,
                // The picture is described in a language, not in a variant of it.
                variant: variant.filter(|_| !matches!(feed, Feed::Image(_))).cloned(),
            });
        Course {
            kind: Kind::Featured,
            keys: keys.collect(),
            day_before: date == today,
        }
    }

    /// Gets all feeds, at the same time.
    pub(crate) async fn serve(self, kitchen: &Arc<Kitchen>, request_id: &Arc<str>) -> Served {
        let plates = if let [key] = self.keys.as_slice() {
            vec![kitchen.obtain(key, request_id).await]
        } else {
            let day_before = self.day_before;
            let obtained = self.keys.iter().map(|key| async move {
                if day_before {
                    kitchen.obtain_or_day_before(key, request_id).await
                } else {
                    kitchen.obtain(key, request_id).await
                }
            });
            join_all(obtained).await
        };
        Served { course: self, plates }
    }
}

impl Served {
    /// The versions of the feeds, for recognising the same body.
    pub(crate) fn versions(&self) -> Vec<Option<u64>> {
        self.plates
            .iter()
            .map(|plate| plate.entry.as_ref().ok().map(|entry| entry.version))
            .collect()
    }

    /// The body, as JSON.
    pub(crate) fn body(&self, compat: bool) -> Bytes {
        match self.course.kind {
            Kind::Plain | Kind::Named => self.json(0).unwrap_or_default(),
            Kind::List(kind) => {
                let json = self.json(0).unwrap_or_default();
                joined([(kind.as_str(), json)])
            }
            Kind::AllLists | Kind::PublicLists => {
                let lacking: &[u8] = if compat { b"{}" } else { b"[]" };
                joined(self.feeds().map(|(at, feed)| {
                    (
                        feed.name(),
                        self.json(at).unwrap_or_else(|| Bytes::copy_from_slice(lacking)),
                    )
                }))
            }
            Kind::Featured => joined(self.feeds().filter_map(|(at, feed)| {
                let made = self.plates[at].made()?;
                let on_this_day = matches!(feed, Feed::OnThisDay(..));
                let name = if on_this_day { "onthisday" } else { feed.name() };
                (made.items > 0 || on_this_day).then(|| made.json.clone().map(|json| (name, json)))?
            })),
        }
    }

    /// Whether not a single feed has anything to show, and that is because something failed.
    pub(crate) fn is_lost(&self) -> bool {
        let any_lost = self.plates.iter().any(Plate::is_lost);
        any_lost
            && self
                .plates
                .iter()
                .all(|plate| plate.made().is_none_or(|made| made.json.is_none()))
    }

    /// Whether the feed of a day has nothing at all because the wiki has no such thing in any of its parts: possible,
    /// but more likely the wrong wiki was asked.
    fn is_bare(&self) -> bool {
        let is_absent = |plate: &Plate| plate.problem().is_some();
        self.course.kind == Kind::Featured && !self.plates.is_empty() && self.plates.iter().all(is_absent)
    }

    /// Whether a feed is past its time or lacks something.
    pub(crate) fn is_degraded(&self) -> bool {
        if self.is_bare() {
            return true;
        }
        self.plates.iter().any(|plate| {
            plate.is_lost()
                || plate.stale.is_some()
                || plate.made().is_some_and(|made| !made.failures.is_empty())
        })
    }

    /// Whether a feed depends on the reader's language variant.
    pub(crate) fn varies(&self) -> bool {
        self.plates
            .iter()
            .any(|plate| plate.made().is_some_and(|made| made.varies))
    }

    /// The first problem, in the order of the feeds.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.plates.iter().find_map(Plate::problem)
    }

    /// The problem, when it is the same kind of thing for all feeds: the language is not supported, say.
    pub(crate) fn common_absence(&self) -> Option<&Problem> {
        let first = self.problem().filter(|problem| problem.status == 404)?;
        self.plates
            .iter()
            .all(|plate| plate.problem() == Some(first))
            .then_some(first)
    }

    /// The text of the header that names what is past its time.
    pub(crate) fn stale_text(&self) -> Option<String> {
        let parts: Vec<String> = self
            .feeds()
            .filter_map(|(at, feed)| {
                let stale = self.plates[at].stale.as_ref()?;
                let day = stale.day.map(|day| format!(";day={day}")).unwrap_or_default();
                let age = stale.age_ms.max(0) / 1000;
                Some(format!(
                    "{};age={age}{day};why={}",
                    feed.name(),
                    quoted(&stale.why)
                ))
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The text of the header that names what failed.
    pub(crate) fn failed_text(&self) -> Option<String> {
        let mut parts = Vec::new();
        let is_bare = self.is_bare();
        for (at, feed) in self.feeds() {
            let (plate, name) = (&self.plates[at], feed.name());
            if let Some(why) = &plate.failed {
                parts.push(format!("{name};why={}", quoted(why)));
            }
            for lack in plate.made().into_iter().flat_map(|made| &made.failures) {
                let count = if lack.count > 1 {
                    format!(";count={}", lack.count)
                } else {
                    String::new()
                };
                parts.push(format!("{name}.{}{count};why={}", lack.what, quoted(&lack.why)));
            }
            // A source page that is gone is no outage, but it is not how this wiki is meant to be either.
            if matches!(self.course.kind, Kind::Featured | Kind::PublicLists)
                && let Some(problem) = plate.made().and_then(|made| made.problem.as_ref())
                && (is_bare || feed.empty_is_suspicious())
            {
                let why = problem.detail.as_deref().unwrap_or("missing");
                parts.push(format!("{name};status={};why={}", problem.status, quoted(why)));
            }
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// JSON of the feed at a place.
    pub(crate) fn json(&self, at: usize) -> Option<Bytes> {
        self.plates.get(at)?.made()?.json.clone()
    }

    /// First half of the original's entity tag of the feed at a place.
    pub(crate) fn id(&self, at: usize) -> &str {
        self.plates
            .get(at)
            .and_then(Plate::made)
            .map_or("", |made| &made.id)
    }

    pub(crate) fn feeds(&self) -> impl Iterator<Item = (usize, Feed)> + '_ {
        self.course.keys.iter().map(|key| key.feed).enumerate()
    }
}

/// A JSON object of ready members.
fn joined<'a>(members: impl IntoIterator<Item = (&'a str, Bytes)>) -> Bytes {
    let mut body = Vec::from(*b"{");
    for (name, json) in members {
        if body.len() > 1 {
            body.push(b',');
        }
        body.push(b'"');
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\":");
        body.extend_from_slice(&json);
    }
    body.push(b'}');
    Bytes::from(body.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_joined_as_they_are() {
        let json = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(
            joined([("a", json("[1]")), ("b", json("{}"))]),
            r#"{"a":[1],"b":{}}"#
        );
        assert_eq!(joined([]), "{}");
    }

    #[test]
    fn case_104_to_106_which_parts_a_day_has() {
        let today = FeedDate::from_ymd(2026, 11, 20).expect("a day");
        let names = |days: i32| -> Vec<&str> {
            let course = Course::featured(
                &Arc::from("en.wikipedia.org"),
                None,
                today.plus_days(days),
                today,
                false,
                |_| true,
            );
            course.keys.iter().map(|key| key.feed.name()).collect()
        };
        assert_eq!(names(-1), ["tfa", "mostread", "image", "selected"]);
        assert_eq!(names(0), ["tfa", "mostread", "image", "news", "selected", "dyk"]);
        assert_eq!(names(1), names(0));
        assert_eq!(names(2), names(-1));
    }
}
