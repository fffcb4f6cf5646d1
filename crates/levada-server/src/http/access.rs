//! Who asks, and whether they may: in front of every route that is not open to all.
//!
//! Credentials that are shown must be good, also where none are needed. Refusals are written in the
//! manner of the API they stand before: problem bodies for intake and EventStreams, the two-field
//! shape of the contract (realtime §1.9) for the Realtime API and the accounts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use levada_accounts::{Action, AuthError, Credentials, Principal};
use levada_wire::{ErrorCode, paths};

use super::clients::Place;
use super::respond::{Body, JSON, plain};
use super::route::Route;
use super::{App, Call};
use crate::intake::MayWrite;

/// How often an open stream looks whether its reader may still read.
const WATCH: Duration = Duration::from_secs(5);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// One right that a request needs: to read a stream through a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The paths of the route; one that fits suffices.
    paths: Vec<String>,
    stream: String,
}

impl Wanted {
    /// To read `stream` through `path` (as routed, decoded).
    pub(crate) fn read(path: impl Into<String>, stream: impl Into<String>) -> Self {
        Self {
            paths: vec![path.into()],
            stream: stream.into(),
        }
    }

    /// The same through another path of the route.
    #[must_use]
    pub(crate) fn or_through(mut self, path: impl Into<String>) -> Self {
        self.paths.push(path.into());
        self
    }

    fn is_given(&self, principal: &Principal, method: &str) -> bool {
        let may = |path: &String| principal.may(method, path, Some(&self.stream), Action::Read);
        self.paths.iter().any(may)
    }
}

impl Route {
    /// Whether everyone may ask, with whatever credentials.
    fn is_open(&self) -> bool {
        match self {
            Route::Livez
            | Route::Readyz(_)
            | Route::Metrics
            | Route::Status
            | Route::Robots
            | Route::Info(_)
            | Route::Spec
            | Route::Doc
            | Route::Rc
            | Route::Root
            // These look at credentials themselves.
            | Route::Account => true,
            _ => false,
        }
    }
}

impl Call {
    /// The address that counts as the sender's: what a trusted proxy says, or the peer's.
    pub(super) fn sender(&self, app: &App) -> IpAddr {
        self.vouched(app).unwrap_or_else(|| self.peer.ip())
    }

    /// The sender's address, if it is known for sure. Behind a proxy the peer is the proxy, whose address
    /// gives nobody a right; and a header that came twice was written by someone else as well.
    fn vouched(&self, app: &App) -> Option<IpAddr> {
        let header = app.config.http.client_ip_header.as_str();
        if header.is_empty() {
            return Some(self.peer.ip());
        }
        let mut lines = self.request.headers().get_all(header).iter();
        match (lines.next(), lines.next()) {
            (Some(only), None) => only.to_str().ok()?.trim().parse().ok(),
            _ => None,
        }
    }

    /// Whether the sender may publish to a stream; `None` where nobody is asked.
    pub(super) fn may_write(&self) -> Option<MayWrite> {
        let principal = self.principal.clone()?;
        Some(Box::new(move |stream| {
            principal.may("POST", paths::EVENTS, Some(stream), Action::Write)
        }))
    }
}

/// What the headers of a request and its sender's address show.
pub(super) fn credentials(headers: &HeaderMap, peer: Option<IpAddr>) -> Credentials<'_> {
    Credentials {
        authorization: headers.get(AUTHORIZATION).map(HeaderValue::as_bytes),
        api_key: headers.get(API_KEY).map(HeaderValue::as_bytes),
        peer,
    }
}

impl App {
    /// Learns who asks. Everyone passes where there are no accounts or the route is open.
    pub(super) async fn admit(&self, route: &Route, call: &mut Call) -> Result<(), Response<Body>> {
        let Some(auth) = &self.auth else { return Ok(()) };
        if route.is_open() {
            return Ok(());
        }
        let sender = call.vouched(self);
        let shown = credentials(call.request.headers(), sender);
        match auth.accounts.authenticate(&shown).await {
            Ok(principal) => call.principal = Some(principal),
            Err(AuthError::Missing) if !auth.required => {}
            Err(error) => return Err(self.refusal(call, &error, "")),
        }
        if matches!(route, Route::Events | Route::TestEvents)
            && let Some(principal) = &call.principal
            && !principal.may("POST", paths::EVENTS, None, Action::Write)
        {
            let why = "these credentials may publish to no stream";
            return Err(self.refusal(call, &AuthError::Forbidden, why));
        }
        Ok(())
    }

    /// Refuses when whoever asks lacks one of these rights.
    #[expect(clippy::result_large_err, reason = "a response that is sent at once")]
    pub(super) fn require(&self, call: &Call, wanted: &[Wanted]) -> Result<(), Response<Body>> {
        let Some(principal) = &call.principal else {
            return Ok(());
        };
        let method = call.request.method().as_str();
        let lacking = wanted.iter().filter(|wanted| !wanted.is_given(principal, method));
        let lacking: Vec<&str> = lacking.map(|wanted| wanted.stream.as_str()).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let why = format!("these credentials may not read {}", lacking.join(", "));
        Err(self.refusal(call, &AuthError::Forbidden, &why))
    }

    /// Takes a place among the account's open streams, on whichever route; `None` for a reader without an
    /// account.
    ///
    /// # Errors
    /// It has as many as it may: what to tell the reader.
    pub(super) fn enter_account(&self, call: &Call) -> Result<Option<Place>, String> {
        let Some(principal) = &call.principal else {
            return Ok(None);
        };
        if let Some(place) = self.per_account.enter(principal.account()) {
            return Ok(Some(place));
        }
        metrics::counter!("levada_streams_refused_total", "reason" => "too_many_connections").increment(1);
        let limit = self.config.auth.connections_per_account;
        Err(format!(
            "this account has {limit} connections open, as many as it may; end one, or read more parts over each"
        ))
    }

    /// Resolves when whoever asks may no longer read this: the session was ended, the key removed, a
    /// group taken away. The end of an access token's 24 hours does not count (contract realtime
    /// §1.10). `None` where nobody is asked.
    pub(super) fn revoked(&self, call: &Call, wanted: Vec<Wanted>) -> Option<BoxFuture<'static, ()>> {
        let principal = Arc::clone(call.principal.as_ref()?);
        let mut watch = self.auth.as_ref()?.accounts.watch(principal);
        let method = call.request.method().clone();
        let watching = async move {
            loop {
                tokio::time::sleep(WATCH).await;
                match watch.check().await {
                    Ok(principal) if wanted.iter().all(|w| w.is_given(principal, method.as_str())) => {}
                    // Nobody knows: the next look decides.
                    Err(AuthError::Unavailable(_)) => {}
                    Ok(_) | Err(_) => return,
                }
            }
        };
        Some(watching.boxed())
    }

    /// The answer to someone who is not let in, in the manner of the API that was asked.
    fn refusal(&self, call: &Call, error: &AuthError, why: &str) -> Response<Body> {
        let path = call.request.uri().path();
        let (code, title) = match error {
            AuthError::Forbidden => (ErrorCode::Forbidden, "Forbidden"),
            AuthError::Unavailable(_) => (ErrorCode::StorageUnavailable, "Service Unavailable"),
            _ => (ErrorCode::Unauthorized, "Unauthorized"),
        };
        let mut response = if is_realtime(path) {
            let answer = error.to_response();
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            if why.is_empty() {
                let mut response = plain(status, JSON, answer.body);
                self.stream_headers(response.headers_mut());
                response
            } else {
                self.message(status, &error.to_string(), why)
            }
        } else {
            let detail = match error {
                AuthError::Missing => {
                    "show an access token or an API key: `Authorization: Bearer …` (POST /v1/login gives tokens) or `X-Api-Key: …`"
                        .to_owned()
                }
                AuthError::Unavailable(_) => "the accounts cannot be asked; try again".to_owned(),
                other if why.is_empty() => other.to_string(),
                _ => why.to_owned(),
            };
            let mut response = self.problem_status(code, error.status(), code.as_str(), title, &detail, call);
            if Route::of(path, None).is_intake() {
                self.as_intake(response.headers_mut());
            }
            response
        };
        let headers = response.headers_mut();
        if error.status() == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if error.status() == 503 {
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// An error in the shape of the Realtime API: `status`, `message`, perhaps `detail`, a line feed.
    pub(super) fn message(&self, status: StatusCode, message: &str, detail: &str) -> Response<Body> {
        let mut body = serde_json::json!({ "status": status.as_u16(), "message": message });
        if !detail.is_empty() {
            body["detail"] = detail.into();
        }
        let mut response = plain(status, JSON, format!("{body}\n"));
        self.stream_headers(response.headers_mut());
        response
    }
}

/// Whether errors of this path are written in the shape of the Realtime API: everything below `/v2` but
/// what belongs to EventStreams.
pub(super) fn is_realtime(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let mut next_is = |name: &str| {
        segments
            .next()
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    next_is("v2") && !next_is("stream")
}
