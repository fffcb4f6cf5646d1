//! What the feeds ask of wikis, in the feeds' own words, with caches in front.
//!
//! Each question goes through a shelf: asked once for everybody who wants it at the same time, kept for its lifetime,
//! and answered with an old copy when the wiki does not answer. What was used and what failed is noted in the
//! [`Trace`] of the feed that is being made.

mod fault;
mod page;
mod shape;
mod trace;

pub(crate) use fault::Fault;
pub(crate) use page::Page;
pub(crate) use trace::{Failure, Noted, Source, Trace};

use crate::cache::{Disk, Got, Keep, Keeping, Shelf};
use crate::config::FeedsConfig;
use crate::date::FeedDate;
use crate::metrics::{Kept, Metrics};
use crate::model::{Siteinfo, Summary};
use crate::upstream::address::Caller;
use crate::upstream::{Addresses, Fetch, Request, Response};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Who asks, when, and how fresh source pages have to be.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Headers that go upstream.
    pub(crate) caller: Caller,
    /// Now, milliseconds since the epoch.
    pub(crate) now_ms: i64,
    /// Source pages fetched earlier than this are fetched again.
    pub(crate) pages_since_ms: i64,
    /// Until when site information that can be done without is waited for.
    pub(crate) site_by: Instant,
    /// Until when pieces that can be done without (summaries, histories, captions) are waited for.
    pub(crate) pieces_by: Instant,
}

impl Ask {
    /// Asks now, for a part whose clients wait for `part_deadline_ms`: what the part can do without has to be there
    /// early enough that the part is, too.
    pub(crate) fn new(caller: Caller, now_ms: i64, pages_since_ms: i64, part_deadline_ms: u64) -> Ask {
        let (begun, deadline) = (Instant::now(), Duration::from_millis(part_deadline_ms));
        Ask {
            caller,
            now_ms,
            pages_since_ms,
            site_by: begun + deadline * 2 / 5,
            pieces_by: begun + deadline * 4 / 5,
        }
    }
}

/// The answer, if it is there by then. What comes later is kept for the next who asks.
pub(crate) async fn in_time<T>(
    by: Instant,
    answer: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match tokio::time::timeout_at(by, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Fault::late()),
    }
}

/// The upstream services, as the feeds see them.
pub(crate) struct Wiki {
    fetch: Arc<dyn Fetch>,
    addresses: Addresses,
    pages: Arc<Shelf<Page>>,
    summaries: Arc<Shelf<Summary>>,
    siteinfo: Arc<Shelf<Arc<Siteinfo>>>,
    answers: Arc<Shelf<Bytes>>,
    page_ms: i64,
    missing_ms: i64,
}

impl Wiki {
    pub(crate) fn new(
        fetch: Arc<dyn Fetch>,
        config: &FeedsConfig,
        disk: Option<Arc<Disk>>,
        metrics: &Arc<Metrics>,
    ) -> Wiki {
        let (fresh, origins) = (&config.fresh, config.bases());
        let spare_ms = i64::from(config.cache.stale_if_error_s) * 1000;
        let keeping = |found: u32, missing: u32| Keeping {
            found_ms: i64::from(found) * 1000,
            missing_ms: i64::from(missing) * 1000,
            spare_ms,
        };
        let cache = &config.cache;
        let (page, summary) = (
            keeping(fresh.page, fresh.missing),
            keeping(fresh.summary, fresh.summary_missing),
        );
        let (site, views) = (
            keeping(fresh.siteinfo, fresh.missing),
            keeping(fresh.pageviews, fresh.missing),
        );
        // Site information is a few kilobytes per wiki: this bound is thousands of wikis.
        let siteinfo_bytes = cache.answers_bytes.max(1 << 20);
        Wiki {
            fetch,
            addresses: Addresses::new(config),
            pages: Shelf::new(
                Kept::Page,
                &origins,
                cache.pages_bytes,
                page,
                disk.clone(),
                Arc::clone(metrics),
            ),
            summaries: Shelf::new(
                Kept::Summary,
                &origins,
                cache.summaries_bytes,
                summary,
                disk.clone(),
                Arc::clone(metrics),
            ),
            siteinfo: Shelf::new(
                Kept::Siteinfo,
                &origins,
                siteinfo_bytes,
                site,
                disk.clone(),
                Arc::clone(metrics),
            ),
            answers: Shelf::new(
                Kept::Answer,
                &origins,
                cache.answers_bytes,
                views,
                disk,
                Arc::clone(metrics),
            ),
            page_ms: page.found_ms,
            missing_ms: views.missing_ms,
        }
    }

    /// The domain of the media repository of a wiki.
    pub(crate) fn commons_domain(&self, domain: &str) -> String {
        self.addresses.commons_domain(domain)
    }

    /// What the wiki says of itself (contract §2.0.4). A failure is not kept (W2).
    pub(crate) async fn siteinfo(&self, domain: &str, ask: &Ask) -> Result<Arc<Siteinfo>, Fault> {
        const PARAMS: [(&str, &str); 4] = [
            ("action", "query"),
            ("meta", "siteinfo|allmessages"),
            (
                "siprop",
                "general|languagevariants|namespaces|namespacealiases|specialpagealiases",
            ),
            ("ammessages", "toc"),
        ];
        // The description of a wiki does not depend on who reads it.
        let caller = Caller {
            language: None,
            ..ask.caller.clone()
        };
        let request = self.addresses.action(domain, &PARAMS, &caller);
        let fetch = self.bring(request, |request, answer| {
            Siteinfo::from_json(&answer.body)
                .map(Arc::new)
                .ok_or_else(|| Fault::unreadable(request, "no site information in the answer"))
        });
        let got = self
            .siteinfo
            .get(domain.to_owned(), ask.now_ms, i64::MIN, fetch)
            .await?;
        Ok(got.value)
    }

    /// A page's HTML, noted as a source.
    pub(crate) async fn page(
        &self,
        domain: &str,
        title: &str,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Page, Fault> {
        trace.source(domain, title);
        let request = self.addresses.html(domain, title, &ask.caller);
        let key = key(domain, title, &ask.caller);
        let fetch = self.bring(request, |request, answer| {
            Page::from_rest(&answer.body)
                .ok_or_else(|| Fault::unreadable(request, "no page HTML in the answer"))
        });
        let got = self.pages.get(key, ask.now_ms, ask.pages_since_ms, fetch).await?;
        let page = trace.used(got);
        if !page.key.is_empty() && page.key != title {
            // A redirect: a change of its target changes what was read here.
            trace.source(domain, &page.key);
        }
        Ok(page)
    }

    /// The rendered HTML of a special page, noted as a source.
    pub(crate) async fn special_page(
        &self,
        domain: &str,
        title: &str,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Page, Fault> {
        trace.source(domain, title);
        let request = self.addresses.index(domain, title, &ask.caller);
        let key = key(domain, title, &ask.caller);
        let fetch = self.bring(request, |request, answer| {
            let html = std::str::from_utf8(&answer.body)
                .map_err(|_| Fault::unreadable(request, "the page is not UTF-8"))?;
            Ok(Page {
                id: 0,
                revision: 0,
                key: String::new(),
                html: Arc::from(html),
            })
        });
        let got = self.pages.get(key, ask.now_ms, ask.pages_since_ms, fetch).await?;
        Ok(trace.used(got))
    }

    /// A page's summary, noted as a source.
    pub(crate) async fn summary(
        &self,
        domain: &str,
        title: &str,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Summary, Fault> {
        trace.linked(domain, title);
        let request = self.addresses.summary(domain, title, &ask.caller);
        let key = key(domain, title, &ask.caller);
        let fetch = self.bring(request, |request, answer| {
            Summary::from_json(&answer.body).map_err(|error| Fault::unreadable(request, &error.to_string()))
        });
        let got = self.summaries.get(key, ask.now_ms, i64::MIN, fetch).await?;
        let summary = trace.used(got);
        if summary.title().as_str() != title {
            // A redirect: a change of its target changes this summary too.
            trace.redirect(domain, title, summary.title().as_str());
        }
        Ok(summary)
    }

    /// An action API query about `title` (`wbgetentities` where that is the action), noted as a source.
    pub(crate) async fn query(
        &self,
        domain: &str,
        title: &str,
        params: &[(&str, &str)],
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Bytes, Fault> {
        trace.source(domain, title);
        let caller = Caller {
            language: None,
            ..ask.caller.clone()
        };
        let request = self.addresses.action(domain, params, &caller);
        let key = request.identity();
        let is_entities = params.first() == Some(&("action", "wbgetentities"));
        let fetch = self.bring(
            request,
            if is_entities {
                shape::entities
            } else {
                shape::query
            },
        );
        // What is asked about a page lives as long as the page.
        let since_ms = ask.pages_since_ms.max(ask.now_ms - self.page_ms);
        let got = self.answers.get(key, ask.now_ms, since_ms, fetch).await?;
        Ok(trace.used(got))
    }

    /// An action API query whose answer is different each time.
    pub(crate) async fn ask_anew(
        &self,
        domain: &str,
        params: &[(&str, &str)],
        ask: &Ask,
    ) -> Result<Bytes, Fault> {
        let request = self.addresses.action(domain, params, &ask.caller);
        self.bring(request, shape::query)().await
    }

    /// The most viewed pages of a day.
    pub(crate) async fn top(
        &self,
        project: &str,
        date: FeedDate,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Bytes, Fault> {
        let day = date.date();
        let request = self
            .addresses
            .top(project, (day.year(), day.month(), day.day()), &ask.caller);
        let complete = |body: &Bytes| !shape::is_empty_top(body);
        let got = self.views(request, ask, shape::top, complete).await?;
        Ok(trace.used(got))
    }

    /// The views of a page per day, both days included.
    pub(crate) async fn history(
        &self,
        project: &str,
        article: &str,
        (from, to): (FeedDate, FeedDate),
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Bytes, Fault> {
        let request = self
            .addresses
            .history(project, article, &from.compact(), &to.compact(), &ask.caller);
        let last = to.compact();
        let complete = |body: &Bytes| shape::has_day(body, &last);
        let got = self.views(request, ask, shape::history, complete).await?;
        Ok(trace.used(got))
    }

    /// An answer of the pageview service. One that is not complete yet lives as long as one that is not there.
    async fn views(
        &self,
        request: Request,
        ask: &Ask,
        read: fn(&Request, &Response) -> Result<Bytes, Fault>,
        is_complete: impl Fn(&Bytes) -> bool,
    ) -> Result<Got<Bytes>, Fault> {
        let key = request.identity();
        let fetch = self.bring(request.clone(), read);
        let got = self.answers.get(key.clone(), ask.now_ms, i64::MIN, fetch).await?;
        let asked_again_ms = ask.now_ms - self.missing_ms;
        if got.made_ms > asked_again_ms || is_complete(&got.value) {
            return Ok(got);
        }
        let fetch = self.bring(request, read);
        self.answers.get(key, ask.now_ms, asked_again_ms + 1, fetch).await
    }

    /// Lets everything kept of a page be fetched again, in each of the language variants.
    pub(crate) fn expire(&self, source: &Source, variants: &[Option<Arc<str>>]) {
        for variant in variants {
            let caller = Caller {
                request_id: "".into(),
                language: variant.clone(),
            };
            let key = key(&source.domain, &source.title, &caller);
            self.pages.expire(&key);
            self.summaries.expire(&key);
        }
    }

    /// Memory per cache, bytes.
    pub(crate) fn sizes(&self) -> [(Kept, u64); 4] {
        [
            (Kept::Page, self.pages.bytes()),
            (Kept::Summary, self.summaries.bytes()),
            (Kept::Siteinfo, self.siteinfo.bytes()),
            (Kept::Answer, self.answers.bytes()),
        ]
    }

    /// How to fetch and read an answer, as a shelf wants it.
    fn bring<T, R>(
        &self,
        request: Request,
        read: R,
    ) -> impl Fn() -> futures_util::future::BoxFuture<'static, Result<T, Fault>> + Clone + Send + 'static
    where
        T: Send + 'static,
        R: Fn(&Request, &Response) -> Result<T, Fault> + Clone + Send + 'static,
    {
        let fetch = Arc::clone(&self.fetch);
        move || {
            let (fetch, request, read) = (Arc::clone(&fetch), request.clone(), read.clone());
            Box::pin(async move {
                let answer = fetch
                    .fetch(request.clone())
                    .await
                    .map_err(|error| Fault::unreachable(&request, &error))?;
                if answer.status != 200 {
                    return Err(Fault::answered(&request, &answer));
                }
                read(&request, &answer)
            })
        }
    }
}

fn key(domain: &str, title: &str, caller: &Caller) -> String {
    // Titles differ by spaces or underscores only in spelling.
    let title = title.replace(' ', "_");
    match &caller.language {
        Some(language) => format!("{domain}/{title}#{language}"),
        None => format!("{domain}/{title}"),
    }
}

impl Keep for Summary {
    fn weight(&self) -> usize {
        self.as_json().len() + 256
    }

    fn to_store(&self) -> Vec<u8> {
        self.as_json().as_bytes().to_vec()
    }

    fn from_store(bytes: &[u8]) -> Option<Self> {
        Summary::from_stored(bytes).ok()
    }
}

impl Keep for Arc<Siteinfo> {
    fn weight(&self) -> usize {
        // Namespaces and aliases, a hundred or so short strings.
        8 << 10
    }

    fn to_store(&self) -> Vec<u8> {
        serde_json::to_vec(&**self).unwrap_or_default()
    }

    fn from_store(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Arc::new)
    }
}

impl Trace {
    /// Takes a value, noting when it is an old copy.
    fn used<T>(&self, got: Got<T>) -> T {
        if let Some(fault) = &got.stale {
            self.old_copy(got.made_ms, fault);
        }
        got.value
    }
}
