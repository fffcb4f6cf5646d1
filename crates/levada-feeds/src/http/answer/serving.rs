//! Giving feeds as an answer: the body ready to send, how fresh it is, what it lacks.

use super::super::compose::{Course, Kind, Served};
use super::super::document::DocumentKey;
use super::super::problem::Problem;
use super::super::query::{is_aggregated, parameter};
use super::Answerer;
use super::reply::{Asked, Content, Reply, Tag};
use crate::date::FeedDate;
use crate::render::{self, Format};

/// Life of composed and on-this-day answers (contract §1.0).
pub(super) const FEED_CACHE: &str = "s-maxage=300, max-age=60";
/// Life of an answer that is past its time or lacks something: long enough to shield us, short enough to heal.
const DEGRADED_CACHE: &str = "s-maxage=30, max-age=15";
/// An answer with nothing in it because of an outage is nobody's to keep (W33).
const LOST_CACHE: &str = "no-store";

/// How an answer made of feeds is given.
pub(super) struct Manner {
    pub(super) content_type: &'static str,
    pub(super) cache_control: Option<&'static str>,
    pub(super) tag: Tag,
    /// Whether to say that it depends on the language variant, if it does.
    pub(super) varies: bool,
}

impl Answerer {
    pub(super) async fn serve(&self, course: Course, asked: &Asked<'_>) -> Served {
        course.serve(&self.kitchen, &asked.request_id).await
    }

    pub(super) fn quirks(&self) -> crate::parse::Compat {
        crate::parse::Compat::from_switch(self.kitchen.config.compat)
    }

    /// The feeds as an answer: the body ready to send, or the problem of the first that has one.
    pub(super) async fn give(
        &self,
        served: Served,
        manner: impl FnOnce(&Served) -> Manner,
        asked: &Asked<'_>,
    ) -> Reply {
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
            varies,
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
                    _ => render::syndicate(&served, format, &self.kitchen.work).await,
                }
            })
            .await;
        let mut reply = Reply::ready(document, format.content_type().unwrap_or(content_type)).tagged(tag);
        reply.varies = served.varies() && varies;
        reply.cache_control = match cache_control {
            _ if composed && served.is_lost() && !compat => Some(LOST_CACHE),
            Some(_) if (served.is_degraded() || served.failed_text().is_some()) && !compat => {
                Some(DEGRADED_CACHE)
            }
            other => other,
        };
        self.with_standing(reply, &served)
    }

    pub(super) fn is_aggregated(&self, asked: &Asked<'_>) -> bool {
        is_aggregated(asked.query, self.kitchen.config.compat)
    }

    pub(super) fn date(&self, date: &[String; 3]) -> Option<FeedDate> {
        FeedDate::parse(&date[0], &date[1], &date[2], self.today())
    }

    /// Says what is past its time and what failed.
    pub(super) fn with_standing(&self, mut reply: Reply, served: &Served) -> Reply {
        reply.stale = served.stale_text();
        reply.failed = served.failed_text();
        let is_bare = matches!(reply.content, Content::Empty | Content::Problem(_));
        if is_bare && reply.failed.is_some() && !self.kitchen.config.compat {
            reply.cache_control = Some(LOST_CACHE);
        }
        reply
    }
}

/// A second entity-tag half for bodies without feeds.
pub(super) fn hash_tag(hash: i64) -> Tag {
    Tag::Quoted(hash.to_string())
}
