//! An upstream that fails on command: how the tests, and an operator in a rehearsal, see what an outage looks like.

use super::{Fetch, FetchError, Request, Response, Upstream};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The service answers with this status and a JSON error body.
    Status(u16),
    /// The connection breaks.
    Broken,
    /// No answer ever comes.
    Hangs,
    /// The first half of the real body comes, as if it were whole.
    Half,
    /// A redirect to this place.
    Redirect(String),
    /// This body instead of the real one, status 200.
    Body(Bytes),
}

/// Passes requests on, except those for which a fault was set.
pub struct Faulty<F> {
    inner: F,
    rules: Mutex<Vec<Rule>>,
}

struct Rule {
    upstream: Option<Upstream>,
    url_has: String,
    fault: Fault,
    times: usize,
}

impl<F: Fetch> Faulty<F> {
    /// Passes everything on until a fault is set.
    pub fn new(inner: F) -> Faulty<F> {
        Faulty {
            inner,
            rules: Mutex::default(),
        }
    }

    /// From now on requests to `upstream` (any when `None`) whose URL contains `url_has` meet the fault. The fault
    /// set last wins.
    pub fn set(&self, upstream: Option<Upstream>, url_has: &str, fault: Fault) {
        self.set_times(upstream, url_has, fault, usize::MAX);
    }

    /// As [`Faulty::set`], for so many requests only.
    pub fn set_times(&self, upstream: Option<Upstream>, url_has: &str, fault: Fault, times: usize) {
        self.rules.lock().push(Rule {
            upstream,
            url_has: url_has.to_owned(),
            fault,
            times,
        });
    }

    /// Everything works again.
    pub fn clear(&self) {
        self.rules.lock().clear();
    }

    fn fault(&self, request: &Request) -> Option<Fault> {
        let mut rules = self.rules.lock();
        let meets = |rule: &&mut Rule| {
            rule.times > 0
                && rule.upstream.is_none_or(|upstream| upstream == request.upstream)
                && request.url.contains(&rule.url_has)
        };
        let rule = rules.iter_mut().rev().find(meets)?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Faulty<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        match self.fault(&request) {
            None => self.inner.fetch(request).await,
            Some(Fault::Status(status)) => {
                let body =
                    format!(r#"{{"errorKey":"injected","httpCode":{status},"httpReason":"injected"}}"#);
                Ok(Response::json(status, body))
            }
            Some(Fault::Broken) => Err(FetchError::Network("connection reset by peer".into())),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Half) => {
                let mut answer = self.inner.fetch(request).await?;
                answer.body.truncate(answer.body.len() / 2);
                Ok(answer)
            }
            Some(Fault::Redirect(location)) => {
                let mut answer = Response::json(302, "");
                answer.location = Some(location);
                Ok(answer)
            }
            Some(Fault::Body(body)) => Ok(Response::json(200, body)),
        }
    }
}
