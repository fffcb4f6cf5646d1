//! Responses: the body type, and the plain answers every route needs.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ALLOW, CONTENT_TYPE, RETRY_AFTER,
};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use levada_wire::{ErrorCode, Problem};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::route::Route;
use super::{App, Call, access};

/// A response body: nothing, bytes at hand, or a subscription.
pub enum Body {
    /// Bytes at hand; empty after the first frame.
    Ready(Bytes),
    /// Frames as they come.
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = StreamCut> + Send>>),
}

/// The connection must end abnormally, because a clean end would say that all was sent.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the stream was cut")]
pub struct StreamCut;

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = StreamCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamCut>>> {
        match self.get_mut() {
            Body::Ready(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Ready(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Ready(bytes) => bytes.is_empty(),
            Body::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Ready(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Stream(stream) => stream.size_hint(),
        }
    }
}

impl From<Infallible> for StreamCut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A response with a body of the given type.
pub(super) fn plain(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::Ready(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response with neither body nor content type.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Ready(Bytes::new()));
    *response.status_mut() = status;
    response
}

pub(super) const JSON: &str = "application/json; charset=utf-8";

/// Seconds after which a client may try again when storage or capacity was lacking.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

impl App {
    /// The one translation of an error code to a response.
    pub(super) fn problem(
        &self,
        code: ErrorCode,
        kind: &str,
        title: &str,
        detail: &str,
        call: &Call,
    ) -> Response<Body> {
        self.problem_status(code, code.status(), kind, title, detail, call)
    }

    /// As [`problem`](Self::problem), with the status that an original has for it.
    pub(super) fn problem_status(
        &self,
        code: ErrorCode,
        status: u16,
        kind: &str,
        title: &str,
        detail: &str,
        call: &Call,
    ) -> Response<Body> {
        let uri = call.request.uri();
        let problem = Problem {
            status,
            kind: kind.into(),
            title: title.into(),
            detail: detail.into(),
            method: call.request.method().as_str().into(),
            uri: uri
                .path_and_query()
                .map_or_else(|| uri.path().into(), |pq| pq.as_str().into()),
            code: None,
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = plain(status, JSON, problem.to_json());
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(code.as_str()) {
            headers.insert(levada_wire::paths::ERROR_CODE, value);
        }
        if code.retryable() || status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        self.stream_headers(headers);
        response
    }

    pub(super) fn not_found(&self, call: &Call) -> Response<Body> {
        let path = call.request.uri().path();
        if access::is_realtime(path) {
            return self.message(StatusCode::NOT_FOUND, "Not Found", "");
        }
        let detail = format!("there is nothing at {path}");
        self.problem(ErrorCode::NotFound, "not_found", "Not Found", &detail, call)
    }

    pub(super) fn wrong_method(&self, route: &Route, call: &Call) -> Response<Body> {
        if self.config.compat.eventgate && route.is_intake() {
            let mut response = self.not_found(call);
            self.as_intake(response.headers_mut());
            return response;
        }
        let detail = format!(
            "{} is not possible here; use {}",
            call.request.method(),
            route.allow()
        );
        let mut response = self.problem(
            ErrorCode::MethodNotAllowed,
            "method_not_allowed",
            "Method Not Allowed",
            &detail,
            call,
        );
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(route.allow()));
        if route.is_intake() {
            self.as_intake(response.headers_mut());
        }
        response
    }

    pub(super) fn options(&self, route: &Route) -> Response<Body> {
        if route.is_realtime() || *route == Route::Account {
            let mut response = empty(StatusCode::NO_CONTENT);
            self.stream_headers(response.headers_mut());
            let headers = response.headers_mut();
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static(route.allow()),
            );
            // Where scripts are let in at all. Browsers do not count Authorization among `*`.
            if headers.contains_key(ACCESS_CONTROL_ALLOW_HEADERS) {
                let any = if self.auth.is_some() {
                    "*, authorization"
                } else {
                    "*"
                };
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(any));
            }
            return response;
        }
        let mut response = plain(StatusCode::OK, "text/html; charset=utf-8", route.allow());
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(route.allow()));
        if route.is_intake() {
            self.intake_headers(response.headers_mut());
        } else {
            self.stream_headers(response.headers_mut());
        }
        response
    }

    /// The answer without its body, for HEAD.
    pub(super) fn headless(method: &Method, mut response: Response<Body>) -> Response<Body> {
        if method == Method::HEAD {
            *response.body_mut() = Body::Ready(Bytes::new());
        }
        response
    }
}

/// Turns a connection away that is one too many.
pub(super) async fn refuse(mut socket: TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    if let Err(error) = socket.write_all(ANSWER).await {
        tracing::debug!(%error, "a refused connection was gone");
    }
}
