//! The answers about a day: the lists of a day of the year, and the feed of a day (contract §1.0 routes 6, 7, 13, 14 and
//! what RESTBase made of them, §3.2, §3.3).

use super::super::compose::{Course, Served};
use super::super::problem::Problem;
use super::super::route::{Contract, Route};
use super::Answerer;
use super::reply::{Asked, Reply, Tag};
use super::serving::{FEED_CACHE, Manner};
use crate::date::{FeedDate, MonthDay};
use crate::feed::Feed;
use crate::model::OnThisDayKind;
use bytes::Bytes;
use std::sync::Arc;

const ON_THIS_DAY: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/OnThisDay/0.5.0\"";
const AGGREGATED: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/aggregated-feed/0.5.0\"";
const ON_THIS_DAY_FEED: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/onthisday-feed/0.5.0\"";

impl Answerer {
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
                varies: true,
            }
        };
        let mut reply = self.give(served, manner, asked).await;
        reply.cache_control = reply.cache_control.or(cache_control);
        reply
    }

    pub(super) async fn all_on_this_day(&self, route: &Route, day: &[String; 2], asked: &Asked<'_>) -> Reply {
        let compat = self.kitchen.config.compat;
        let restbase = route.contract == Contract::Restbase;
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
                // The original forgets to say so (W12).
                varies: restbase || !compat,
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
            varies: restbase || !self.kitchen.config.compat,
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

    /// A day that no calendar has. The original asks the wiki for a page named after it and fails on the 404.
    fn no_such_day(&self) -> Problem {
        if self.kitchen.config.compat {
            return Problem::internal("AxiosError", "Request failed with status code 404");
        }
        Problem::invalid_day()
    }
}
