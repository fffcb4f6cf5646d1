//! `POST /v1/events` and `GET /v1/_test/events`: requests in, reports out
//! (contract eventplatform §1.3, §1.4).

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use levada_event::Timestamp;
use levada_wire::report::{REASON_EMPTY, reason_hasty, reason_phrase};
use levada_wire::{ErrorCode, Report};
use percent_encoding::percent_decode_str;

use super::in_flight::Admitted;
use super::respond::{Body, JSON, empty, plain};
use super::{App, Call, body};
use crate::intake::{BodyFault, RequestContext};

/// What a body of unknown size is counted as until it is read.
const UNKNOWN_BYTES: usize = 1024 * 1024;

/// Media types that carry events (contract eventplatform §1.2).
const MEDIA_TYPES: [&str; 3] = ["application/json", "text/plain", "application/reports+json"];

/// What [`Report::reason`] says when the only event of a request was accepted.
const ONE_ACCEPTED: &[u8] = b"All 1 out of 1 events were accepted.";

fn carries_events(headers: &HeaderMap) -> bool {
    let text = body::media_type_text(headers);
    MEDIA_TYPES
        .iter()
        .any(|carries| text.eq_ignore_ascii_case(carries.as_bytes()))
}

pub(super) async fn post(app: &App, call: Call) -> Response<Body> {
    let query = call.request.uri().query().unwrap_or_default().to_owned();
    let hasty = query_values(&query, "hasty").any(|value| !value.is_empty());
    if !carries_events(call.request.headers()) {
        if app.config.compat.eventgate {
            return empty_body(app);
        }
        let media_type = body::media_type(call.request.headers());
        let detail = format!(
            "content type {media_type:?} carries no events; send application/json (or text/plain, application/reports+json)"
        );
        return fault(
            app,
            &call,
            ErrorCode::UnsupportedMediaType,
            "UnsupportedMediaTypeError",
            &detail,
        );
    }
    let max = app.config.intake.body_bytes_max;
    let bytes = expected(call.request.headers(), max);
    let deadline = app.config.intake.deadline;
    let Some(mut permit) = app.in_flight.admit(bytes, hasty, deadline).await else {
        let detail = "too many requests are in work; try again";
        return fault(app, &call, ErrorCode::Overloaded, "OverloadedError", detail);
    };
    let (peer, received) = (call.peer, call.received);
    let may_write = call.may_write();
    let (mut parts, mut incoming) = call.request.into_parts();
    let read = tokio::time::timeout(deadline, body::read(&parts.headers, &mut incoming, max)).await;
    let headers = std::mem::take(&mut parts.headers);
    let request = http::Request::from_parts(parts, ());
    let text = match read {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return app.body_fault(&request, error.code, error.title, &error.detail),
        Err(_) => {
            let detail = "the body did not arrive within the deadline";
            return app.body_fault(&request, ErrorCode::RequestTimeout, "RequestTimeoutError", detail);
        }
    };
    if text.is_empty() {
        return empty_body(app);
    }
    // What the body turned out not to need, others may have.
    permit.shrink(text.len());
    let mut context = context(headers, peer, received, deadline);
    context.may_write = may_write;
    context.schema_uri = query_value(&query, &app.config.intake.schema_uri_query_param);
    context.stream = query_value(&query, &app.config.intake.stream_query_param);
    if hasty {
        return post_hasty(app, &request, text, context, permit);
    }
    let answer = match app.intake.submit(&text, &context).await {
        Ok(report) => respond(app, &report),
        Err(BodyFault::Empty) => empty_body(app),
        Err(fault) => app.body_fault(&request, fault.code(), "SyntaxError", &fault.to_string()),
    };
    drop(permit);
    answer
}

/// Answers before the events are checked; they are worked on in the background, and a shutdown
/// waits for them.
fn post_hasty(
    app: &App,
    request: &http::Request<()>,
    text: Bytes,
    mut context: RequestContext,
    permit: Admitted,
) -> Response<Body> {
    context.hasty = true;
    let events = match app.intake.count(&text) {
        Ok(events) => events,
        Err(BodyFault::Empty) => return empty_body(app),
        Err(fault) => return app.body_fault(request, fault.code(), "SyntaxError", &fault.to_string()),
    };
    let intake = app.intake.clone();
    tokio::spawn(async move {
        match intake.submit(&text, &context).await {
            Ok(report) if report.failures.is_empty() => {}
            Ok(report) => {
                metrics::counter!("levada_intake_hasty_failed_total").increment(report.failures.len() as u64);
                tracing::warn!(
                    request_id = context.request_id(),
                    reason = report.reason(),
                    "hasty events were not accepted"
                );
            }
            Err(error) => tracing::error!(%error, "a hasty body changed its mind"),
        }
        drop(permit);
    });
    let mut response = empty(StatusCode::ACCEPTED);
    set_reason(&mut response, &reason_hasty(events));
    app.intake_headers(response.headers_mut());
    response
}

/// Posts the configured test events.
pub(super) async fn test(app: &App, call: Call) -> Response<Body> {
    let events = &app.config.intake.test_events;
    if events.is_empty() {
        return app.not_found(&call);
    }
    let hasty = query_values(call.request.uri().query().unwrap_or_default(), "hasty").any(|v| !v.is_empty());
    let text = Bytes::from(format!("[{}]", events.join(",")));
    let may_write = call.may_write();
    let (parts, _) = call.request.into_parts();
    let deadline = app.config.intake.deadline;
    let mut context = context(parts.headers.clone(), call.peer, call.received, deadline);
    context.may_write = may_write;
    let request = http::Request::from_parts(parts, ());
    if hasty {
        let Some(permit) = app.in_flight.admit(text.len(), true, deadline).await else {
            return app.body_fault(
                &request,
                ErrorCode::Overloaded,
                "OverloadedError",
                "too many requests are in work",
            );
        };
        return post_hasty(app, &request, text, context, permit);
    }
    match app.intake.submit(&text, &context).await {
        Ok(report) => respond(app, &report),
        Err(fault) => app.body_fault(&request, fault.code(), "SyntaxError", &fault.to_string()),
    }
}

fn respond(app: &App, report: &Report<'_>) -> Response<Body> {
    let status = if app.config.compat.eventgate {
        report.status_compat()
    } else {
        report.status()
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if report.failures.is_empty() {
        empty(status)
    } else {
        plain(status, JSON, report.body())
    };
    if report.total == 1 && report.failures.is_empty() {
        // The most common answer, without the cost of composing it.
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(ONE_ACCEPTED));
    } else {
        set_reason(&mut response, &report.reason());
    }
    let headers = response.headers_mut();
    if let Some(code) = report.common_code() {
        headers.insert(
            levada_wire::paths::ERROR_CODE,
            HeaderValue::from_static(code.as_str()),
        );
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    app.intake_headers(headers);
    response
}

fn empty_body(app: &App) -> Response<Body> {
    let mut response = empty(StatusCode::BAD_REQUEST);
    set_reason(&mut response, REASON_EMPTY);
    let code = HeaderValue::from_static(ErrorCode::EmptyBody.as_str());
    response
        .headers_mut()
        .insert(levada_wire::paths::ERROR_CODE, code);
    app.intake_headers(response.headers_mut());
    response
}

fn set_reason(response: &mut Response<Body>, text: &str) {
    // The status line admits no control characters; `reason_phrase` makes the text safe.
    if let Ok(reason) = ReasonPhrase::try_from(reason_phrase(text).into_bytes()) {
        response.extensions_mut().insert(reason);
    }
}

/// Bytes that a body is counted as until it is read: what it says, or as much as it may inflate to.
fn expected(headers: &HeaderMap, max: usize) -> usize {
    if body::is_compressed(headers) {
        return max;
    }
    body::announced(headers).unwrap_or(UNKNOWN_BYTES).min(max)
}

fn fault(app: &App, call: &Call, code: ErrorCode, title: &str, detail: &str) -> Response<Body> {
    app.intake_problem(
        call.request.method().as_str(),
        call.request.uri(),
        code,
        title,
        detail,
    )
}

fn context(headers: HeaderMap, peer: SocketAddr, received: Timestamp, deadline: Duration) -> RequestContext {
    let lookup = move |name: &str| {
        headers
            .get(name)
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
    };
    RequestContext {
        headers: Box::new(lookup),
        peer: peer.ip(),
        request_id: OnceLock::new(),
        schema_uri: None,
        stream: None,
        received,
        due: tokio::time::Instant::now() + deadline,
        may_write: None,
        topic: None,
        hasty: false,
    }
}

fn query_values<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = String> + 'q {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| {
            percent_decode_str(&value.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        })
    })
}

fn query_value(query: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    query_values(query, name).find(|value| !value.is_empty())
}

impl App {
    fn body_fault(
        &self,
        request: &http::Request<()>,
        code: ErrorCode,
        title: &str,
        detail: &str,
    ) -> Response<Body> {
        self.intake_problem(request.method().as_str(), request.uri(), code, title, detail)
    }

    /// A problem body of the intake; in compat mode everything that the original's parser threw is
    /// a 500 (§1.2).
    fn intake_problem(
        &self,
        method: &str,
        uri: &http::Uri,
        code: ErrorCode,
        title: &str,
        detail: &str,
    ) -> Response<Body> {
        let status = if self.config.compat.eventgate {
            500
        } else {
            code.status()
        };
        let problem = levada_wire::Problem {
            status,
            kind: if self.config.compat.eventgate {
                "internal_error".into()
            } else {
                code.as_str().into()
            },
            title: title.into(),
            detail: detail.into(),
            method: method.into(),
            uri: uri
                .path_and_query()
                .map_or_else(|| uri.path().into(), |pq| pq.as_str().into()),
            code: None,
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = plain(status, JSON, problem.to_json());
        let headers = response.headers_mut();
        headers.insert(
            levada_wire::paths::ERROR_CODE,
            HeaderValue::from_static(code.as_str()),
        );
        if code.retryable() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        self.intake_headers(headers);
        response
    }

    /// Waits until all requests and hasty batches in work are done, at most `timeout`.
    pub(super) async fn wait_for_background(&self, timeout: Duration) {
        if !self.in_flight.none_left(timeout).await {
            tracing::warn!("hasty events were still in work after the drain timeout");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_bodies_count_as_what_they_may_inflate_to() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            headers
        };
        let max = 10 << 20;
        assert_eq!(expected(&headers(&[("content-length", "9000")]), max), 9000);
        assert_eq!(expected(&headers(&[]), max), UNKNOWN_BYTES);
        let plain = [("content-length", "9000"), ("content-encoding", "identity")];
        assert_eq!(expected(&headers(&plain), max), 9000);
        let packed = [("content-length", "9000"), ("content-encoding", "gzip")];
        assert_eq!(expected(&headers(&packed), max), max);
    }

    #[test]
    fn the_common_answer_reads_as_if_it_were_composed() {
        let report = Report {
            total: 1,
            failures: Vec::new(),
        };
        assert_eq!(report.reason().as_bytes(), ONE_ACCEPTED);
    }
}
