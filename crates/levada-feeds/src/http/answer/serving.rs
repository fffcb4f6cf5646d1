//! The answers that are made of feeds.

use super::super::compose::{Course, Kind, Served};
use super::super::document::DocumentKey;
use super::super::problem::Problem;
use super::super::query::{is_aggregated, parameter};
use super::super::route::{Contract, Route};
use super::Answerer;
use super::reply::{Asked, Content, Reply, Tag};
use crate::date::{FeedDate, MonthDay};
use crate::feed::Feed;
use crate::model::OnThisDayKind;
use crate::render::{self, Format};
use bytes::Bytes;
use std::sync::Arc;

/// Life of composed and on-this-day answers (contract §1.0).
const FEED_CACHE: &str = "s-maxage=300, max-age=60";
/// Life of an answer that is past its time or lacks something: long enough to shield us, short enough to heal.
const DEGRADED_CACHE: &str = "s-maxage=30, max-age=15";
/// An answer with nothing in it because of an outage is nobody's to keep (W33).
const LOST_CACHE: &str = "no-store";

const UNPUBLISHED: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/Unpublished/0.0.0\"";
const DID_YOU_KNOW: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/DidYouKnow/0.1.0\"";
const ON_THIS_DAY: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/OnThisDay/0.5.0\"";
const AGGREGATED: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/aggregated-feed/0.5.0\"";
const ON_THIS_DAY_FEED: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/onthisday-feed/0.5.0\"";

/// How an answer made of feeds is given.
struct Manner {
    content_type: &'static str,
    cache_control: Option<&'static str>,
    tag: Tag,
}

impl Answerer {
    pub(super) async fn tfa(&self, route: &Route, date: &[String; 3], asked: &Asked<'_>) -> Reply {
        let aggregated = self.is_aggregated(asked);
        let refuse = |problem| {
            if aggregated {
                Reply::nothing()
            } else {
                Reply::problem(problem)
            }
        };
        let Some(day) = self.date(date) else {
            return refuse(Problem::invalid_date());
        };
        let rules = self.kitchen.rules();
        let Some(language) = rules.featured(&route.domain) else {
            return refuse(Problem::unsupported());
        };
        if !language.in_window(day, self.today()) {
            return Reply::nothing();
        }
        let domain = match self.admit(&route.domain) {
            Ok(domain) => domain,
            Err(problem) => return refuse(*problem),
        };
        let variant = self.variant(&domain, asked).await;
        let served = self
            .serve(Course::one(&domain, variant, Feed::Tfa(day)), asked)
            .await;
        if aggregated && served.problem().is_some() {
            return self.with_standing(Reply::nothing(), &served);
        }
        self.give(served, unpublished, asked).await
    }

    pub(super) async fn image(&self, route: &Route, date: &[String; 3], asked: &Asked<'_>) -> Reply {
        let aggregated = self.is_aggregated(asked);
        let refuse = |problem| {
            if aggregated {
                Reply::nothing()
            } else {
                Reply::problem(problem)
            }
        };
        let Some(day) = self.date(date) else {
            return refuse(Problem::invalid_date());
        };
        let domain = match self.admit(&route.domain) {
            Ok(domain) => domain,
            Err(problem) => return refuse(*problem),
        };
        let served = self
            .serve(Course::one(&domain, None, Feed::Image(day)), asked)
            .await;
        if aggregated && served.problem().is_some() {
            return self.with_standing(Reply::nothing(), &served);
        }
        self.give(served, unpublished, asked).await
    }

    pub(super) async fn most_read(&self, route: &Route, date: &[String; 3], asked: &Asked<'_>) -> Reply {
        if !self.kitchen.rules().most_read_supported(&route.domain) {
            return Reply::nothing();
        }
        let aggregated = self.is_aggregated(asked);
        let Some(day) = self.date(date) else {
            return if aggregated {
                Reply::nothing()
            } else {
                Reply::problem(Problem::invalid_date())
            };
        };
        let domain = match self.admit(&route.domain) {
            Ok(domain) => domain,
            Err(problem) => return Reply::problem(*problem),
        };
        let variant = self.variant(&domain, asked).await;
        // The composed feed of a day shows what was read the day before.
        let of = if aggregated { day.plus_days(-1) } else { day };
        let served = self
            .serve(Course::one(&domain, variant, Feed::MostRead(of)), asked)
            .await;
        if aggregated && served.problem().is_some_and(|problem| problem.status == 404) {
            return Reply::nothing();
        }
        let tag = move |_: &Served| Tag::Quoted(day.compact());
        self.give(
            served,
            |served| Manner {
                tag: tag(served),
                ..unpublished(served)
            },
            asked,
        )
        .await
    }

    pub(super) async fn news(&self, route: &Route, asked: &Asked<'_>) -> Reply {
        let supported = self.kitchen.rules().news(&route.domain, &self.quirks()).is_some();
        self.dateless(route, Feed::News, supported, unpublished, asked)
            .await
    }

    pub(super) async fn dyk(&self, route: &Route, asked: &Asked<'_>) -> Reply {
        let supported = self.kitchen.rules().did_you_know(&route.domain).is_some();
        let manner = |served: &Served| Manner {
            content_type: DID_YOU_KNOW,
            cache_control: Some(FEED_CACHE),
            tag: if self.kitchen.config.compat {
                Tag::Bare
            } else {
                Tag::Quoted(served.id(0).to_owned())
            },
        };
        self.dateless(route, Feed::Dyk, supported, manner, asked).await
    }

    pub(super) async fn on_this_day(
        &self,
        route: &Route,
        kind: Option<OnThisDayKind>,
        day: &[String; 2],
        asked: &Asked<'_>,
    ) -> Reply {
        let restbase = route.contract == Contract::Restbase;
        let cache_control = (kind.is_some() || restbase).then_some(FEED_CACHE);
        let refuse = |problem: Problem| Reply {
            cache_control,
            ..Reply::problem(problem)
        };
        if self
            .kitchen
            .rules()
            .on_this_day(&route.domain, &self.quirks())
            .is_none()
        {
            return refuse(Problem::unsupported());
        }
        let domain = match self.admit(&route.domain) {
            Ok(domain) => domain,
            Err(problem) => return refuse(*problem),
        };
        let Some(of) = MonthDay::parse(&day[0], &day[1]) else {
            return refuse(self.no_such_day());
        };
        let variant = self.variant(&domain, asked).await;
        let course = match kind {
            Some(kind) => Course::one(&domain, variant, Feed::OnThisDay(kind, of)),
            None => Course::lists(&domain, variant.as_ref(), of, false),
        };
        let served = self.serve(course, asked).await;
        let manner = |served: &Served| {
            let tag = if restbase {
                Tag::Unquoted(format!("{}{}", day[0], day[1]))
            } else {
                // The larger of the page of the day and the page of the selected events.
                let ids = [0, 1].map(|at| served.id(at));
                let number = |id: &str| id.parse::<u64>().unwrap_or_default();
                Tag::Quoted(
                    ids.into_iter()
                        .max_by_key(|id| number(id))
                        .unwrap_or_default()
                        .to_owned(),
                )
            };
            let content_type = if restbase { ON_THIS_DAY_FEED } else { ON_THIS_DAY };
            Manner {
                content_type,
                cache_control,
                tag,
            }
        };
        let mut reply = self.give(served, manner, asked).await;
        reply.cache_control = reply.cache_control.or(cache_control);
        reply
    }

    pub(super) async fn all_on_this_day(&self, route: &Route, day: &[String; 2], asked: &Asked<'_>) -> Reply {
        let compat = self.kitchen.config.compat;
        let supported = self
            .kitchen
            .rules()
            .on_this_day(&route.domain, &self.quirks())
            .is_some();
        let of = MonthDay::parse(&day[0], &day[1]);
        let admitted = self.admit(&route.domain);
        let (domain, of) = match (supported, admitted, of) {
            (true, Ok(domain), Some(of)) => (domain, of),
            // The original's composition gives five failed lists for what does not exist (W16).
            _ if compat && route.contract != Contract::Restbase => {
                let body = r#"{"selected":{},"births":{},"deaths":{},"events":{},"holidays":{}}"#;
                let document = self
                    .documents
                    .named("no lists", Bytes::from_static(body.as_bytes()))
                    .await;
                return Reply::ready(document, ON_THIS_DAY_FEED)
                    .cached(FEED_CACHE)
                    .tagged(Tag::Bare);
            }
            (false, ..) => return Reply::problem(Problem::unsupported()).cached(FEED_CACHE),
            (_, Err(problem), _) => return Reply::problem(*problem),
            (.., None) => return Reply::problem(self.no_such_day()).cached(FEED_CACHE),
        };
        let variant = self.variant(&domain, asked).await;
        let served = self
            .serve(Course::lists(&domain, variant.as_ref(), of, true), asked)
            .await;
        // One list that fails brings RESTBase down, though it was not meant to (contract §3.3).
        if compat
            && route.contract == Contract::Restbase
            && let Some(problem) = served.problem()
        {
            let detail = problem.detail.clone().unwrap_or_default();
            return Reply::problem(Problem::internal("TypeError", &detail));
        }
        if !compat && let Some(problem) = served.common_absence() {
            return Reply::problem(problem.clone()).cached(FEED_CACHE);
        }
        let manner = |_: &Served| {
            let tag = match route.contract {
                Contract::Restbase => Tag::Unquoted(format!("{}{}", day[0], day[1])),
                _ => Tag::Bare,
            };
            Manner {
                content_type: ON_THIS_DAY_FEED,
                cache_control: Some(FEED_CACHE),
                tag,
            }
        };
        self.give(served, manner, asked).await
    }

    pub(super) async fn featured(&self, route: &Route, date: &[String; 3], asked: &Asked<'_>) -> Reply {
        let restbase = route.contract == Contract::Restbase;
        let day = if restbase {
            match FeedDate::parse_restbase(&date[0], &date[1], &date[2]) {
                Ok(day) => day,
                Err(name) => {
                    let detail = format!("Invalid {name} parameter");
                    return Reply::problem(Problem::bad_request("Bad request", &detail));
                }
            }
        } else {
            match self.date(date) {
                Some(day) => day,
                None => return Reply::problem(Problem::invalid_date()),
            }
        };
        let domain = match self.admit(&route.domain) {
            Ok(domain) => domain,
            Err(problem) => return Reply::problem(*problem),
        };
        let variant = self.variant(&domain, asked).await;
        let course = self.featured_course(&domain, variant.as_ref(), day, !restbase);
        let served = self.serve(course, asked).await;
        let manner = |_: &Served| Manner {
            content_type: AGGREGATED,
            cache_control: Some(FEED_CACHE),
            tag: if restbase {
                Tag::Unquoted(date.join("-"))
            } else {
                Tag::Bare
            },
        };
        self.give(served, manner, asked).await
    }

    /// The course of a day, with what the wiki supports.
    pub(super) fn featured_course(
        &self,
        domain: &Arc<str>,
        variant: Option<&Arc<str>>,
        day: FeedDate,
        with_dyk: bool,
    ) -> Course {
        let (rules, today, compat) = (self.kitchen.rules(), self.today(), self.kitchen.config.compat);
        Course::featured(domain, variant, day, today, compat, |feed| match feed {
            Feed::Tfa(day) => rules
                .featured(domain)
                .is_some_and(|language| language.in_window(day, today)),
            Feed::MostRead(_) => rules.most_read_supported(domain),
            Feed::Image(_) => true,
            Feed::News => rules.news(domain, &self.quirks()).is_some(),
            Feed::OnThisDay(..) => rules.on_this_day(domain, &self.quirks()).is_some(),
            Feed::Dyk => with_dyk && rules.did_you_know(domain).is_some(),
        })
    }

    pub(super) async fn serve(&self, course: Course, asked: &Asked<'_>) -> Served {
        course.serve(&self.kitchen, &asked.request_id).await
    }

    pub(super) fn quirks(&self) -> crate::parse::Compat {
        crate::parse::Compat::from_switch(self.kitchen.config.compat)
    }

    /// The feeds as an answer: the body ready to send, or the problem of the first that has one.
    async fn give(&self, served: Served, manner: impl FnOnce(&Served) -> Manner, asked: &Asked<'_>) -> Reply {
        let compat = self.kitchen.config.compat;
        let composed = matches!(served.course.kind, Kind::Featured | Kind::PublicLists);
        if !composed {
            if let Some(problem) = served.problem() {
                return self.with_standing(Reply::problem(problem.clone()), &served);
            }
            if served.json(0).is_none() {
                return self.with_standing(Reply::nothing(), &served);
            }
        }
        let format = match parameter(asked.query, "format").as_deref() {
            None | Some("" | "json") => Format::Json,
            Some(name) => match Format::named(name) {
                Some(format) => format,
                None => {
                    let detail = "format must be json, atom, rss or jsonfeed";
                    return Reply::problem(Problem::bad_request("Bad request", detail));
                }
            },
        };
        let Manner {
            content_type,
            cache_control,
            tag,
        } = manner(&served);
        let key = DocumentKey {
            kind: served.course.kind,
            feeds: served.course.keys.clone(),
            format,
            name: String::new(),
        };
        let versions = served.versions();
        let document = self
            .documents
            .of(key, versions, || async {
                match format {
                    Format::Json => served.body(compat),
                    _ => render::syndicate(&served, format).await,
                }
            })
            .await;
        let mut reply = Reply::ready(document, format.content_type().unwrap_or(content_type)).tagged(tag);
        // The composed routes of the original forget to say so (W12).
        reply.varies = served.varies() && !(compat && composed && !asked_restbase(asked));
        reply.cache_control = match cache_control {
            _ if composed && served.is_lost() && !compat => Some(LOST_CACHE),
            Some(_) if (served.is_degraded() || served.failed_text().is_some()) && !compat => {
                Some(DEGRADED_CACHE)
            }
            other => other,
        };
        self.with_standing(reply, &served)
    }

    async fn dateless(
        &self,
        route: &Route,
        feed: Feed,
        supported: bool,
        manner: impl FnOnce(&Served) -> Manner,
        asked: &Asked<'_>,
    ) -> Reply {
        if !supported {
            return if self.is_aggregated(asked) {
                Reply::nothing()
            } else {
                Reply::problem(Problem::unsupported())
            };
        }
        let domain = match self.admit(&route.domain) {
            Ok(domain) => domain,
            Err(problem) => return Reply::problem(*problem),
        };
        let variant = self.variant(&domain, asked).await;
        let served = self.serve(Course::one(&domain, variant, feed), asked).await;
        self.give(served, manner, asked).await
    }

    fn is_aggregated(&self, asked: &Asked<'_>) -> bool {
        is_aggregated(asked.query, self.kitchen.config.compat)
    }

    fn date(&self, date: &[String; 3]) -> Option<FeedDate> {
        FeedDate::parse(&date[0], &date[1], &date[2], self.today())
    }

    /// Says what is past its time and what failed.
    fn with_standing(&self, mut reply: Reply, served: &Served) -> Reply {
        reply.stale = served.stale_text();
        reply.failed = served.failed_text();
        let is_bare = matches!(reply.content, Content::Empty | Content::Problem(_));
        if is_bare && reply.failed.is_some() && !self.kitchen.config.compat {
            reply.cache_control = Some(LOST_CACHE);
        }
        reply
    }

    /// A day that no calendar has. The original asks the wiki for a page named after it and fails on the 404.
    fn no_such_day(&self) -> Problem {
        if self.kitchen.config.compat {
            return Problem::internal("AxiosError", "Request failed with status code 404");
        }
        Problem::invalid_day()
    }
}

fn unpublished(served: &Served) -> Manner {
    Manner {
        content_type: UNPUBLISHED,
        cache_control: None,
        tag: Tag::Quoted(served.id(0).to_owned()),
    }
}

fn asked_restbase(asked: &Asked<'_>) -> bool {
    asked.contract() == Contract::Restbase
}

/// A second entity-tag half for bodies without feeds.
pub(super) fn hash_tag(hash: i64) -> Tag {
    Tag::Quoted(hash.to_string())
}
