//! The answers that no wiki is asked for, and random pages.

use super::super::page;
use super::super::problem::Problem;
use super::super::query::parameter;
use super::super::route::{Contract, Route};
use super::Answerer;
use super::reply::{Asked, Reply};
use super::serving::hash_tag;
use crate::date::FeedDate;
use crate::feed::announcements;
use crate::model::{RandomTitle, static_hash};
use crate::upstream::address::component;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use std::sync::Arc;

const ANNOUNCEMENTS: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/Announcements/0.3.0\"";
const AVAILABILITY: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/Availability/1.0.1\"";
const CONFIGURATION: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/Configuration/0.1.0\"";
const RANDOM: &str =
    "application/json; charset=utf-8; profile=\"https://www.mediawiki.org/wiki/Specs/Random/0.7.0\"";
const JSON: &str = "application/json; charset=utf-8";

const NEVER: &str = "private, max-age=0, s-maxage=0, must-revalidate";

/// What the original encodes in a `Location`: only what cannot stand in a header or a URL at all (contract §2.9).
const ILLEGAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl Answerer {
    pub(super) async fn announcements(&self, route: &Route) -> Reply {
        let rules = self.kitchen.rules();
        let (body, hash) = announcements(&rules, &route.domain, self.kitchen.clock.now_ms(), self.quirks());
        let document = self
            .documents
            .named(&format!("announcements {hash}"), Bytes::from(body))
            .await;
        let cache = match route.contract {
            Contract::Restbase => "s-maxage=86400, max-age=86400",
            _ => "public, max-age=86400, s-maxage=900",
        };
        Reply::ready(document, ANNOUNCEMENTS)
            .cached(cache)
            .tagged(hash_tag(hash))
    }

    pub(super) async fn availability(&self) -> Reply {
        let rules = self.kitchen.rules();
        let body = serde_json::to_string(rules.availability()).unwrap_or_default();
        let tag = hash_tag(static_hash(&body));
        let document = self.documents.named("availability", Bytes::from(body)).await;
        Reply::ready(document, AVAILABILITY).cached(NEVER).tagged(tag)
    }

    pub(super) async fn configuration(&self) -> Reply {
        let rules = self.kitchen.rules();
        let body = rules.configuration_json();
        let tag = hash_tag(static_hash(body));
        let document = self
            .documents
            .named("configuration", Bytes::copy_from_slice(body.as_bytes()))
            .await;
        Reply::ready(document, CONFIGURATION)
            .cached("s-maxage=300, max-age=60")
            .tagged(tag)
    }

    pub(super) async fn random_title(&self, route: &Route, asked: &Asked<'_>) -> Reply {
        match self.random(route, asked).await {
            Ok(title) => {
                let body = serde_json::to_vec(&RandomTitle::new(title)).unwrap_or_default();
                Reply::plain(Bytes::from(body), RANDOM)
            }
            Err(reply) => reply,
        }
    }

    pub(super) async fn random_redirect(&self, route: &Route, format: &str, asked: &Asked<'_>) -> Reply {
        let title = match self.random(route, asked).await {
            Ok(title) => title,
            Err(reply) => return reply.cached(NEVER),
        };
        let location = if route.contract == Contract::Restbase {
            format!("../{format}/{}", component(title.as_str()))
        } else {
            let title = if self.kitchen.config.compat {
                utf8_percent_encode(title.as_str(), ILLEGAL).to_string()
            } else {
                component(title.as_str())
            };
            format!("https://{}/api/rest_v1/page/{format}/{title}", route.domain)
        };
        let body = format!("See Other. Redirecting to {location}");
        let reply = Reply {
            status: 303,
            ..Reply::text(Bytes::from(body))
        };
        Reply {
            location: Some(location),
            ..reply.cached(NEVER)
        }
    }

    async fn random(&self, route: &Route, asked: &Asked<'_>) -> Result<crate::model::DbTitle, Reply> {
        let domain = self
            .admit(&route.domain)
            .map_err(|problem| Reply::problem(*problem))?;
        let deadline = std::time::Duration::from_millis(self.kitchen.config.upstream.part_deadline_ms);
        let ask = self.ask(asked);
        match tokio::time::timeout(deadline, self.kitchen.random(&domain, &ask)).await {
            Ok(Ok(title)) => Ok(title),
            Ok(Err(refusal)) => Err(Reply::problem(refusal.problem(self.kitchen.config.compat))),
            Err(_) => Err(Reply::problem(Problem::late())),
        }
    }

    pub(super) fn info(&self, key: Option<&str>) -> Reply {
        let all = if self.kitchen.config.compat {
            json!({
                "name": "@wikimedia/wikifeeds",
                "version": "1.0.0",
                "description": "A node webservice supporting featured wiki content feeds",
                "home": self.home(),
            })
        } else {
            json!({
                "name": "levada-feeds",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Explore feeds of wikis",
                "home": self.home(),
            })
        };
        let body = match key {
            Some(key) => json!({ key: all[key] }),
            None => all,
        };
        Reply::plain(Bytes::from(body.to_string()), JSON)
    }

    /// Where the service is at home.
    pub(super) fn home(&self) -> &'static str {
        if self.kitchen.config.compat {
            "https://phabricator.wikimedia.org/tag/wikifeeds"
        } else {
            env!("CARGO_PKG_REPOSITORY")
        }
    }

    pub(super) async fn root(&self, asked: &Asked<'_>) -> Reply {
        if parameter(asked.query, "spec").is_some() {
            return Reply::ready(self.documents.named("spec", self.spec.clone()).await, JSON);
        }
        if parameter(asked.query, "doc").is_some() || asked.path.to_ascii_lowercase().starts_with("/feeds") {
            let policy = Some(page::POLICY);
            return Reply {
                policy,
                ..Reply::plain(page::reference(&self.spec), "text/html; charset=utf-8")
            };
        }
        self.no_such_path(asked)
    }

    /// A page on which a person can look at the feeds of a wiki.
    pub(super) async fn preview(&self, asked: &Asked<'_>) -> Reply {
        let html = |status, body| Reply {
            policy: Some(page::POLICY),
            status,
            ..Reply::plain(body, "text/html; charset=utf-8")
        };
        let today = self.today();
        let wanted = parameter(asked.query, "domain").unwrap_or("en.wikipedia.org".into());
        let wanted = wanted.trim().to_ascii_lowercase();
        let day = match parameter(asked.query, "date").as_deref() {
            None | Some("") => today,
            Some(text) => match text.parse().map(FeedDate::new) {
                Ok(day) => day,
                Err(_) => {
                    return html(
                        400,
                        page::form_only(&wanted, today, "That is not a day of the form YYYY-MM-DD."),
                    );
                }
            },
        };
        let domain: Arc<str> = match self.admit(&wanted) {
            Ok(domain) => domain,
            Err(_) => {
                return html(
                    404,
                    page::form_only(&wanted, day, "This server does not serve that wiki."),
                );
            }
        };
        let variant = self.variant(&domain, asked).await;
        let course = self.featured_course(&domain, variant.as_ref(), day, true);
        let served = self.serve(course, asked).await;
        self.with_standing(html(200, page::preview(&domain, day, &served)), &served)
    }

    pub(super) fn style() -> Reply {
        let body = Bytes::from_static(include_bytes!("../../../assets/feeds.css"));
        Reply::plain(body, "text/css; charset=utf-8").cached("public, max-age=86400")
    }
}
