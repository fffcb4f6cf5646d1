//! `levada feeds check`: all feeds of a wiki on a day, made once, with what is missing and why.

use crate::date::FeedDate;
use crate::feed::{Feed, FeedKey, Kitchen, campaigns};
use crate::model::OnThisDayKind;
use crate::parse::Compat;
use crate::upstream::address::Caller;
use crate::wiki::Ask;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// How a feed fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// Made whole.
    Ok,
    /// Made, but something is lacking or looks wrong.
    Degraded,
    /// There is nothing that day, as the wiki says.
    Nothing,
    /// The wiki does not have this feed.
    Unsupported,
    /// Could not be made.
    Failed,
}

impl CheckStatus {
    fn text(self) -> &'static str {
        match self {
            CheckStatus::Ok => "ok",
            CheckStatus::Degraded => "degraded",
            CheckStatus::Nothing => "nothing",
            CheckStatus::Unsupported => "unsupported",
            CheckStatus::Failed => "FAILED",
        }
    }
}

/// One feed in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckPart {
    /// The feed: `tfa`, `news`, `births` …
    pub feed: &'static str,
    /// How it fared.
    pub status: CheckStatus,
    /// Items in it.
    pub items: usize,
    /// Bytes of its JSON.
    pub bytes: usize,
    /// Pages it was built from.
    pub sources: usize,
    /// Milliseconds it took, from asking to having.
    pub took_ms: u64,
    /// What is missing and why.
    pub missing: Vec<String>,
    /// What the parsers noticed.
    pub notes: Vec<String>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The wiki.
    pub domain: String,
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// One line per feed, in the order of the composed feed, then the lists of the day, then random pages and
    /// announcements.
    pub parts: Vec<CheckPart>,
}

impl CheckReport {
    /// Whether every supported feed was made whole. Nothing that day is fine: not every day has a picture.
    pub fn is_ok(&self) -> bool {
        self.parts
            .iter()
            .all(|part| !matches!(part.status, CheckStatus::Failed | CheckStatus::Degraded))
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "feeds of {} on {}", self.domain, self.date)?;
        for part in &self.parts {
            writeln!(
                f,
                "  {:<9} {:<11} {:>4} items {:>9} bytes {:>5} pages {:>6} ms",
                part.feed,
                part.status.text(),
                part.items,
                part.bytes,
                part.sources,
                part.took_ms
            )?;
            for text in &part.missing {
                writeln!(f, "            missing: {text}")?;
            }
            for text in &part.notes {
                writeln!(f, "            noticed: {text}")?;
            }
        }
        Ok(())
    }
}

/// Makes all feeds of a wiki once and reports.
pub(crate) async fn check(
    kitchen: &Arc<Kitchen>,
    domain: &str,
    date: FeedDate,
    today: FeedDate,
) -> CheckReport {
    let compat = Compat::from_switch(kitchen.config.compat);
    let rules = kitchen.rules();
    let day = date.month_day();
    let lists = rules.on_this_day(domain, &compat).is_some();
    let in_window = rules
        .featured(domain)
        .map(|language| language.in_window(date, today));
    let mut feeds = vec![
        (Feed::Tfa(date), in_window == Some(true)),
        (
            Feed::MostRead(date.plus_days(-1)),
            rules.most_read_supported(domain),
        ),
        (Feed::Image(date), true),
        (Feed::News, rules.news(domain, &compat).is_some()),
        (Feed::Dyk, rules.did_you_know(domain).is_some()),
    ];
    feeds.extend(OnThisDayKind::ALL.map(|kind| (Feed::OnThisDay(kind, day), lists)));
    let domain: Arc<str> = Arc::from(domain);
    let request_id: Arc<str> = Arc::from(crate::http::request_id());
    let parts = feeds.into_iter().map(|(feed, supported)| {
        let key = FeedKey {
            domain: Arc::clone(&domain),
            feed,
            variant: None,
        };
        let request_id = &request_id;
        async move {
            if supported {
                made(kitchen, &key, request_id).await
            } else {
                unsupported(feed)
            }
        }
    });
    let (parts, random) = tokio::join!(
        futures_util::future::join_all(parts),
        random(kitchen, &domain, &request_id)
    );
    let mut parts: Vec<CheckPart> = parts;
    parts.extend([random, announced(kitchen, &domain)]);
    CheckReport {
        domain: domain.to_string(),
        date: date.to_string(),
        parts,
    }
}

async fn made(kitchen: &Arc<Kitchen>, key: &FeedKey, request_id: &Arc<str>) -> CheckPart {
    let started = Instant::now();
    let plate = kitchen.make_anew(key, request_id).await;
    let took_ms = started.elapsed().as_millis() as u64;
    let mut part = CheckPart {
        took_ms,
        ..unsupported(key.feed)
    };
    let mut missing = Vec::new();
    if let Some(stale) = &plate.stale {
        missing.push(format!("a newer one: {}", stale.why));
    }
    if let Some(why) = &plate.failed {
        missing.push(why.to_string());
    }
    part.status = match (&plate.entry, plate.made()) {
        (Ok(_), Some(made)) => {
            part.items = made.items;
            part.bytes = made.json.as_ref().map_or(0, bytes::Bytes::len);
            part.sources = made.sources.len();
            part.notes = made.notes.clone();
            for lack in &made.failures {
                missing.push(format!("{} ×{}: {}", lack.what, lack.count, lack.why));
            }
            match &made.problem {
                Some(problem) => {
                    missing.push(problem.detail.clone().unwrap_or_else(|| problem.kind.clone()));
                    // A template page that is gone is what this report is for; not every day has a picture.
                    if problem.status == 404 && !key.feed.empty_is_suspicious() {
                        CheckStatus::Nothing
                    } else {
                        CheckStatus::Failed
                    }
                }
                None if !missing.is_empty() => CheckStatus::Degraded,
                None if made.json.is_none() => CheckStatus::Nothing,
                None => CheckStatus::Ok,
            }
        }
        _ => CheckStatus::Failed,
    };
    part.missing = missing;
    part
}

/// Draws random pages, so that a recording has an answer to draw from.
async fn random(kitchen: &Arc<Kitchen>, domain: &str, request_id: &Arc<str>) -> CheckPart {
    let started = Instant::now();
    let caller = Caller {
        request_id: Arc::clone(request_id),
        language: None,
    };
    let deadline_ms = kitchen.config.upstream.part_deadline_ms;
    let ask = Ask::new(caller, kitchen.clock.now_ms(), i64::MIN, deadline_ms);
    let drawn = tokio::time::timeout_at(ask.pieces_by, kitchen.draw_batch(domain, &ask)).await;
    let (status, items, missing) = match drawn {
        Ok(Ok(titles)) if titles.is_empty() => (
            CheckStatus::Degraded,
            0,
            vec!["the wiki has no article to choose from".to_owned()],
        ),
        Ok(Ok(titles)) => (CheckStatus::Ok, titles.len(), Vec::new()),
        Ok(Err(refusal)) => (CheckStatus::Failed, 0, vec![refusal.reason()]),
        Err(_) => (CheckStatus::Failed, 0, vec!["not there in time".to_owned()]),
    };
    CheckPart {
        status,
        items,
        missing,
        took_ms: started.elapsed().as_millis() as u64,
        ..blank("random")
    }
}

/// The campaigns in force; that there is none is how it mostly is.
fn announced(kitchen: &Kitchen, domain: &str) -> CheckPart {
    let compat = Compat::from_switch(kitchen.config.compat);
    let (body, items) = campaigns(&kitchen.rules(), domain, kitchen.clock.now_ms(), compat);
    CheckPart {
        status: if items == 0 {
            CheckStatus::Nothing
        } else {
            CheckStatus::Ok
        },
        items,
        bytes: body.len(),
        ..blank("announcements")
    }
}

fn unsupported(feed: Feed) -> CheckPart {
    blank(feed.name())
}

fn blank(feed: &'static str) -> CheckPart {
    CheckPart {
        feed,
        status: CheckStatus::Unsupported,
        items: 0,
        bytes: 0,
        sources: 0,
        took_ms: 0,
        missing: Vec::new(),
        notes: Vec::new(),
    }
}
