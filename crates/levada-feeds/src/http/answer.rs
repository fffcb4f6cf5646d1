//! What is answered to a request: the rules of the three contracts, where they meet the feeds.

mod days;
mod reply;
mod serving;
mod single;
mod statics;

pub(crate) use reply::Asked;

use super::document::Documents;
use super::headers::Dress;
use super::language;
use super::problem::Problem;
use super::route::{self, Contract, NoRoute, Route, Target};
use crate::config::RestV1;
use crate::date::FeedDate;
use crate::feed::Kitchen;
use crate::metrics::Kept;
use crate::upstream::address::Caller;
use crate::wiki::Ask;
use bytes::Bytes;
use http::{Method, Response};
use reply::Reply;
use std::sync::Arc;
use std::time::Duration;

/// Answers requests.
pub(crate) struct Answerer {
    pub(crate) kitchen: Arc<Kitchen>,
    documents: Documents,
    dress: Dress,
    spec: Bytes,
}

impl Answerer {
    pub(crate) fn new(kitchen: Arc<Kitchen>) -> Answerer {
        let documents = Documents::new(
            kitchen.config.cache.replies_bytes,
            Arc::clone(&kitchen.metrics),
            Arc::clone(&kitchen.work),
        );
        let dress = Dress::new(&kitchen.config);
        Answerer {
            kitchen,
            documents,
            dress,
            spec: super::spec::swagger(),
        }
    }

    /// The answer, and the name of the endpoint in metrics.
    pub(crate) async fn answer(&self, asked: &Asked<'_>) -> (&'static str, Response<Bytes>) {
        let config = &self.kitchen.config;
        let rules = route::Rules {
            rest_v1: config.rest_v1,
            compat: config.compat,
        };
        match Route::read(asked.path, asked.host, rules) {
            Ok(route) => {
                let endpoint = endpoint(&route.target);
                let reply = self.reply(&route, asked).await;
                (endpoint, self.dressed(reply, route.contract, asked))
            }
            Err(reason) => ("none", self.lost(reason, asked)),
        }
    }

    /// Memory taken by ready bodies, bytes.
    pub(crate) fn size(&self) -> (Kept, u64) {
        (Kept::Reply, self.documents.bytes())
    }

    async fn reply(&self, route: &Route, asked: &Asked<'_>) -> Reply {
        if route.target == Target::Home {
            return Reply::moved(self.home());
        }
        match asked.method {
            &Method::GET | &Method::HEAD => {}
            &Method::OPTIONS => return Reply::options(),
            _ => return self.no_such_path(asked),
        }
        match &route.target {
            Target::Tfa(date) => self.tfa(route, date, asked).await,
            Target::Image(date) => self.image(route, date, asked).await,
            Target::MostRead(date) => self.most_read(route, date, asked).await,
            Target::News => self.news(route, asked).await,
            Target::Dyk => self.dyk(route, asked).await,
            Target::OnThisDay(kind, day) => self.on_this_day(route, *kind, day, asked).await,
            Target::AllOnThisDay(day) => self.all_on_this_day(route, day, asked).await,
            Target::NoSuchList => {
                let detail = "Invalid value for the parameter type: expected all, selected, births, deaths, events or holidays";
                Reply::problem(Problem::bad_request("Invalid parameters", detail))
            }
            Target::Featured(date) => self.featured(route, date, asked).await,
            Target::Announcements => self.announcements(route).await,
            Target::Availability => self.availability().await,
            Target::Configuration => self.configuration().await,
            Target::RandomTitle => self.random_title(route, asked).await,
            Target::RandomRedirect(format) => self.random_redirect(route, format, asked).await,
            Target::Info(key) => self.info(*key),
            Target::Robots => Reply::text(Bytes::from_static(b"User-agent: *\nDisallow: /\n")),
            Target::Root => self.root(asked).await,
            Target::Preview => self.preview(asked).await,
            Target::Style => Self::style(),
            Target::Home => Reply::moved(self.home()),
        }
    }

    /// Today, UTC.
    fn today(&self) -> FeedDate {
        let (year, month, day) = crate::clock::civil_day(self.kitchen.clock.now_ms());
        // Every instant of a clock has a day.
        FeedDate::from_ymd(year, month, day).unwrap_or_else(|| FeedDate::new(jiff::civil::Date::ZERO))
    }

    /// Whether the wiki may be asked.
    fn admit(&self, domain: &str) -> Result<Arc<str>, Box<Problem>> {
        if route::is_domain(domain) && self.kitchen.config.admits(domain) {
            Ok(Arc::from(domain))
        } else {
            Err(Box::new(Problem::foreign_domain()))
        }
    }

    /// The language variant that the reader wants, of wikis that have several.
    async fn variant(&self, domain: &str, asked: &Asked<'_>) -> Option<Arc<str>> {
        asked.accept_language?;
        // A quarter of a part's deadline: the default variant in time is better than the right one too late.
        let patience = Duration::from_millis(self.kitchen.config.upstream.part_deadline_ms / 4);
        let ask = self.ask(asked);
        let site = tokio::time::timeout(patience, self.kitchen.wiki.siteinfo(domain, &ask))
            .await
            .ok()?
            .ok()?;
        language::variant(asked.accept_language, &site.variants)
    }

    fn ask(&self, asked: &Asked<'_>) -> Ask {
        let caller = Caller {
            request_id: Arc::clone(&asked.request_id),
            language: None,
        };
        let deadline_ms = self.kitchen.config.upstream.part_deadline_ms;
        Ask::new(caller, self.kitchen.clock.now_ms(), i64::MIN, deadline_ms)
    }

    /// The answer to a path that is none.
    fn lost(&self, reason: NoRoute, asked: &Asked<'_>) -> Response<Bytes> {
        let compat = self.kitchen.config.compat;
        let contract = self.contract(asked);
        match reason {
            NoRoute::Yue => self.dressed(Reply::bare_not_found("Domain not found"), contract, asked),
            NoRoute::Unknown => self.dressed(self.no_such_path(asked), contract, asked),
            NoRoute::Malformed => {
                let detail = format!("Failed to decode the path '{}'", asked.path);
                if !compat {
                    return self.dressed(
                        Reply::problem(Problem::bad_request("Bad request", &detail)),
                        contract,
                        asked,
                    );
                }
                let problem = Problem::internal("URIError", &detail);
                let mut response = self.dressed(Reply::problem(problem), contract, asked);
                // The original fails before it comes to these.
                for name in ["allow-origin", "allow-headers", "allow-methods", "expose-headers"] {
                    response.headers_mut().remove(format!("access-control-{name}"));
                }
                response
            }
        }
    }

    /// The contract of a path, for errors that come before there is a route.
    fn contract(&self, asked: &Asked<'_>) -> Contract {
        let path = asked.path.to_ascii_lowercase();
        if path.contains("/api/rest_v1/") {
            match self.kitchen.config.rest_v1 {
                RestV1::Restbase => Contract::Restbase,
                RestV1::Gateway => Contract::Gateway,
            }
        } else if path.starts_with("/feed/v1/") {
            Contract::Gateway
        } else {
            Contract::Internal
        }
    }

    fn no_such_path(&self, asked: &Asked<'_>) -> Reply {
        let detail = format!("Cannot {} {}", asked.method, asked.path);
        if self.kitchen.config.compat && self.contract(asked) == Contract::Internal {
            return Reply::html_not_found(&detail);
        }
        Reply::problem(Problem::not_found(&detail))
    }
}

/// The name of an endpoint in metrics: the route without its parameters.
fn endpoint(target: &Target) -> &'static str {
    match target {
        Target::Tfa(_) => "page/featured",
        Target::Image(_) => "media/image/featured",
        Target::MostRead(_) => "page/most-read",
        Target::News => "page/news",
        Target::Dyk => "feed/did-you-know",
        Target::OnThisDay(None, _) => "feed/onthisday/all",
        Target::OnThisDay(Some(_), _) | Target::NoSuchList => "feed/onthisday",
        Target::Announcements => "feed/announcements",
        Target::Availability => "feed/availability",
        Target::Configuration => "feed/configuration",
        Target::RandomTitle => "page/random/title",
        Target::RandomRedirect(_) => "page/random/redirect",
        Target::Featured(_) => "aggregated/featured",
        Target::AllOnThisDay(_) => "aggregated/onthisday/all",
        Target::Info(_) | Target::Home => "info",
        Target::Robots | Target::Root => "root",
        Target::Preview | Target::Style => "preview",
    }
}
