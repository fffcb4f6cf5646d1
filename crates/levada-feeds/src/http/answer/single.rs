//! The answers made of one feed (contract §1.0, routes 1 to 5).

use super::super::compose::{Course, Served};
use super::super::problem::Problem;
use super::super::route::Route;
use super::Answerer;
use super::reply::{Asked, Reply, Tag};
use super::serving::{FEED_CACHE, Manner};
use crate::feed::Feed;

const UNPUBLISHED: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/Unpublished/0.0.0\"";
const DID_YOU_KNOW: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/DidYouKnow/0.1.0\"";

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
            varies: true,
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
}

fn unpublished(served: &Served) -> Manner {
    Manner {
        varies: true,
        content_type: UNPUBLISHED,
        cache_control: None,
        tag: Tag::Quoted(served.id(0).to_owned()),
    }
}
