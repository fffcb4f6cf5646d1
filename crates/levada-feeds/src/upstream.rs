//! The port to everything the feeds are made from, and the layers over it.
//!
//! [`Fetch`] is the one door: a request goes in, an answer or the reason why there is none comes out. Policies
//! (time-outs, bounds, retries, breaking, coalescing, recording) are types over a `Fetch`, stacked by [`stack`].
//! An answer with any status, even 500, is an `Ok`; what it means is decided above.

pub(crate) mod address;
mod breaker;
mod coalesce;
mod faulty;
mod limit;
mod pooled;
mod record;
mod redirect;
pub(crate) mod retry;
mod stack;
mod timeout;

pub use address::Addresses;
pub use breaker::Breaker;
pub use coalesce::Coalesce;
pub use faulty::{Fault, Faulty};
pub use limit::Limit;
pub use pooled::Pooled;
pub use record::{Recorder, Replay};
pub use redirect::Redirects;
pub use retry::Retry;
pub use stack::stack;
pub use timeout::Timeout;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;

/// The services that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Upstream {
    /// The action API, `api.php`.
    Action,
    /// `index.php`: rendered special pages.
    Index,
    /// Core REST page HTML.
    Html,
    /// Page summaries.
    Summary,
    /// Pageview counts.
    Pageviews,
}

impl Upstream {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Upstream; 5] = [
        Upstream::Action,
        Upstream::Index,
        Upstream::Html,
        Upstream::Summary,
        Upstream::Pageviews,
    ];

    /// The name in metrics, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Upstream::Action => "action",
            Upstream::Index => "index",
            Upstream::Html => "html",
            Upstream::Summary => "summary",
            Upstream::Pageviews => "pageviews",
        }
    }
}

/// A GET to an upstream service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which service.
    pub upstream: Upstream,
    /// The wiki the answer is about.
    pub domain: String,
    /// Absolute URL, percent-encoded.
    pub url: String,
    /// `Host` header when it is not the URL's own (requests through a mesh or a local port).
    pub host: Option<String>,
    /// `Accept`, when the service is picky.
    pub accept: Option<&'static str>,
    /// `Accept-Language`: the language variant of the content.
    pub language: Option<Arc<str>>,
    /// `X-Request-Id`: that of the request on whose behalf this one is sent. Not part of the identity.
    pub request_id: Arc<str>,
}

impl Request {
    /// The host the answer speaks for: the `Host` header, else that of the URL.
    pub fn authority(&self) -> &str {
        self.host.as_deref().unwrap_or_else(|| split_url(&self.url).0)
    }

    /// Path and query of the URL, beginning with `/`.
    pub fn path_and_query(&self) -> &str {
        split_url(&self.url).1
    }

    /// What identifies the answer: host, path, sorted query and language. Two requests with the same identity may
    /// share one answer.
    pub fn identity(&self) -> String {
        let (path, query) = self
            .path_and_query()
            .split_once('?')
            .unwrap_or((self.path_and_query(), ""));
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        let mut identity = format!("{}{}?{}", self.authority(), path, pairs.join("&"));
        if let Some(language) = &self.language {
            identity.push('#');
            identity.push_str(language);
        }
        identity
    }

    /// SHA-256 of [`Request::identity`] in hexadecimal: the name of the answer in a recording.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.identity().as_bytes()))
    }
}

/// An answer of an upstream service, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`, when the answer redirects.
    pub location: Option<String>,
    /// `Retry-After` in seconds, when given as a number.
    pub retry_after_s: Option<u32>,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Response {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Response {
        Response {
            status,
            content_type: Some("application/json".to_owned()),
            location: None,
            retry_after_s: None,
            body: body.into(),
        }
    }

    /// Whether the service failed: 5xx or 429.
    pub fn is_fault(&self) -> bool {
        self.status >= 500 || self.status == 429
    }
}

/// Why there is no answer. Cloned to everybody who waited for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke before the answer was whole.
    #[error("{0}")]
    Network(String),
    /// No answer within the time allowed, milliseconds.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// The answer is larger than allowed, bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// More redirects than allowed, or one that leads nowhere.
    #[error("redirected too often or to nowhere: {0}")]
    Redirect(String),
    /// The service failed so often lately that it was not asked.
    #[error("not asked: {upstream} failed repeatedly, next attempt in {retry_in_ms} ms")]
    Open {
        /// The name of the service.
        upstream: &'static str,
        /// Milliseconds until it is tried again.
        retry_in_ms: u64,
    },
    /// The request could not be sent at all: a broken URL or header.
    #[error("request not sendable: {0}")]
    Unsendable(String),
    /// The task that fetched ended without an answer.
    #[error("the fetching task ended without an answer")]
    Lost,
}

/// The port: fetches one answer.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// Sends the request and returns the whole answer.
    async fn fetch(&self, request: Request) -> Result<Response, FetchError>;
}

#[async_trait]
impl<F: Fetch + ?Sized> Fetch for Arc<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        (**self).fetch(request).await
    }
}

#[async_trait]
impl Fetch for Box<dyn Fetch> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        (**self).fetch(request).await
    }
}

/// Splits an absolute URL into authority and path with query; the path of a bare origin is `/`.
pub(crate) fn split_url(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    match rest.find(['/', '?']) {
        Some(at) => (&rest[..at], &rest[at..]),
        None => (rest, "/"),
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
pub(crate) mod doubles {
    //! A scripted upstream for the tests of the layers.
    use super::*;
    use parking_lot::Mutex;
    use std::collections::VecDeque;

    type Answer = Result<Response, FetchError>;

    /// Gives the scripted answers in turn, the last one for ever, and counts.
    pub(crate) struct Script {
        answers: Mutex<VecDeque<Answer>>,
        pub(crate) seen: Mutex<Vec<Request>>,
        pub(crate) delay_ms: u64,
    }

    impl Script {
        pub(crate) fn of(answers: impl IntoIterator<Item = Answer>) -> Arc<Script> {
            Script::slow(answers, 0)
        }

        pub(crate) fn slow(answers: impl IntoIterator<Item = Answer>, delay_ms: u64) -> Arc<Script> {
            Arc::new(Script {
                answers: Mutex::new(answers.into_iter().collect()),
                seen: Mutex::new(Vec::new()),
                delay_ms,
            })
        }

        pub(crate) fn asked(&self) -> usize {
            self.seen.lock().len()
        }
    }

    #[async_trait]
    impl Fetch for Script {
        async fn fetch(&self, request: Request) -> Answer {
            self.seen.lock().push(request);
            if self.delay_ms > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(self.delay_ms)).await;
            }
            let mut answers = self.answers.lock();
            if answers.len() > 1 {
                return answers.pop_front().expect("more than one answer is left");
            }
            answers
                .front()
                .cloned()
                .expect("a script has at least one answer")
        }
    }

    pub(crate) fn request(url: &str) -> Request {
        Request {
            upstream: Upstream::Html,
            domain: "en.wikipedia.org".to_owned(),
            url: url.to_owned(),
            host: None,
            accept: None,
            language: None,
            request_id: Arc::from("r1"),
        }
    }

    pub(crate) fn status(status: u16) -> Result<Response, FetchError> {
        Ok(Response::json(status, "{}"))
    }
}

#[cfg(test)]
mod tests {
    use super::doubles::request;

    #[test]
    fn the_identity_ignores_the_order_of_the_query_and_the_request_id() {
        let mut a = request("https://en.wikipedia.org/w/api.php?b=2&a=1");
        let mut b = request("http://localhost:6500/w/api.php?a=1&b=2");
        b.host = Some("en.wikipedia.org".into());
        b.request_id = "r2".into();
        assert_eq!(a.identity(), b.identity());
        assert_eq!(a.fingerprint().len(), 64);
        a.language = Some("zh-tw".into());
        assert_ne!(a.identity(), b.identity());
    }

    #[test]
    fn a_url_splits_into_authority_and_path() {
        assert_eq!(super::split_url("http://h:1/p?q"), ("h:1", "/p?q"));
        assert_eq!(super::split_url("http://h"), ("h", "/"));
        assert_eq!(super::split_url("http://h?q=1"), ("h", "?q=1"));
    }
}
