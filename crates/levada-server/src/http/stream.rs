//! `GET /v2/stream/{streams}`: EventStreams (contract eventstreams §1.3 to §1.8).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body::{Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use levada_catalog::{Snapshot, Stream};
use levada_event::filter::Filter;
use levada_event::project::Projection;
use levada_event::redact::Redaction;
use levada_event::select::{Selection, SelectionSpec, Separators};
use levada_event::splice::Dialect;
use levada_event::{Start, Timestamp, TopicName};
use levada_log::{Retention, TopicSpec};
use levada_wire::paths::{GAP, LAST_EVENT_ID, STREAM};
use levada_wire::report::reason_phrase;
use levada_wire::subscription::{self, Subscription};
use levada_wire::{ErrorCode, StreamError, cursor};

use super::access::Wanted;
use super::clients::Place;
use super::respond::{Body, JSON, StreamCut, plain};
use super::{App, Call};
use crate::delivery::{Api, Format, From, Request, SessionBody, TopicRequest};

/// What clients are told to wait before they reconnect.
const RETRY: Duration = Duration::from_secs(2);

pub(super) async fn get(app: &App, call: Call, segment: &str) -> Response<Body> {
    let method = call.request.method().clone();
    match subscribe(app, &call, segment).await {
        Ok(response) => App::headless(&method, response),
        Err(refusal) => *refusal,
    }
}

async fn subscribe(app: &App, call: &Call, segment: &str) -> Result<Response<Body>, Box<Response<Body>>> {
    let problem =
        |code, kind: &str, title: &str, detail: &str| Box::new(app.problem(code, kind, title, detail, call));
    let mut places = vec![enter(app, call)?];
    let names = subscription::stream_names(segment)
        .map_err(|e| problem(e.code(), e.code().as_str(), "Stream Not Found", &e.to_string()))?;
    let snapshot = app.catalog.snapshot();
    let (streams, unknown) = resolve(app, &snapshot, &names);
    if !unknown.is_empty() {
        let detail = format!("Invalid streams: {}", unknown.join(","));
        return Err(problem(
            ErrorCode::StreamNotFound,
            "not_found",
            "Stream Not Found",
            &detail,
        ));
    }
    let wanted: Vec<Wanted> = streams
        .iter()
        .map(|stream| Wanted::read(format!("{STREAM}/{}", stream.name), &stream.name))
        .collect();
    app.require(call, &wanted).map_err(Box::new)?;
    let of_account = app
        .enter_account(call)
        .map_err(|why| too_many(app, call, "Too Many Concurrent Connections Of Your Account", &why))?;
    places.extend(of_account);
    let query = Subscription::parse(names, call.request.uri().query()).map_err(|e| {
        let title = match e.code() {
            ErrorCode::InvalidTimestamp => "Invalid timestamp",
            _ => "Invalid parameter",
        };
        problem(e.code(), e.code().as_str(), title, &e.to_string())
    })?;
    let selection = selection(app, &streams, &query)
        .map_err(|(code, detail)| problem(code, code.as_str(), "Invalid parameter", &detail))?;
    let accept = call
        .request
        .headers()
        .get(ACCEPT)
        .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let (format, content_type) = negotiate(accept.as_deref());
    let since = start(app, query.since);
    let from = match call.request.headers().get(LAST_EVENT_ID) {
        None => From::Everywhere(since),
        Some(header) => {
            let text = String::from_utf8_lossy(header.as_bytes());
            let elements =
                cursor::parse(&text).map_err(|e| Box::new(stream_error(app, &e.to_stream_error())))?;
            From::Exactly {
                elements,
                bare: since,
            }
        }
    };
    let age = app.config.streams.connection_age_max;
    let request = Request {
        topics: streams.iter().flat_map(|stream| topics(app, stream)).collect(),
        from,
        now: call.received,
        api: Api::EventStreams,
        format,
        selection,
        drop_canaries: query.drop_canary,
        retry: Some(RETRY),
        max_age: (!age.is_zero()).then_some(age),
        rate: None,
    };
    let opened = app
        .delivery
        .open(request)
        .await
        .map_err(|e| Box::new(stream_error(app, &e.stream_error())))?;
    let gaps = opened.gap_header();
    let mut session = opened.body;
    if let Some(revoked) = app.revoked(call, wanted) {
        session.end_when(revoked);
    }
    let body = Counted::new(session, places);
    let mut response = Response::new(Body::Stream(Box::pin(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if call.request.version() < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    if let Some(gaps) = gaps.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(GAP, gaps);
    }
    app.stream_headers(headers);
    Ok(response)
}

/// Takes a place among the client's streams; this is checked before anything else (§1.6).
fn enter(app: &App, call: &Call) -> Result<Place, Box<Response<Body>>> {
    let headers = call.request.headers();
    let named = |name: &str| {
        headers
            .get(name)
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
    };
    let compat = app.config.compat.eventstreams;
    let header = if compat {
        "x-client-ip"
    } else {
        app.config.http.client_ip_header.as_str()
    };
    let client = if header.is_empty() { None } else { named(header) };
    if compat && app.clients.limited() && client.is_none() {
        return Err(Box::new(app.problem(
            ErrorCode::ClientIpMissing,
            "bad_request",
            "Missing Required X-Client-IP Header",
            "X-Client-IP is a required request header",
            call,
        )));
    }
    let client = client.unwrap_or_else(|| call.peer.ip().to_string());
    app.clients.enter(&client).ok_or_else(|| {
        metrics::counter!("levada_streams_refused_total", "reason" => "too_many_connections").increment(1);
        too_many(
            app,
            call,
            "Too Many Concurrent Connections From Your Client IP",
            "Your HTTP client is likely opening too many concurrent connections.",
        )
    })
}

fn too_many(app: &App, call: &Call, title: &str, detail: &str) -> Box<Response<Body>> {
    Box::new(app.problem(
        ErrorCode::TooManyConnections,
        "too_many_requests",
        title,
        detail,
        call,
    ))
}

/// The streams behind the names, and the names behind which there is none for readers.
fn resolve(app: &App, snapshot: &Snapshot, names: &[String]) -> (Vec<Arc<Stream>>, Vec<String>) {
    let mut streams = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        match snapshot.resolve(name).filter(|stream| app.readable(name, stream)) {
            Some(stream) => streams.push(stream),
            None => unknown.push(name.clone()),
        }
    }
    (streams, unknown)
}

impl App {
    /// Whether readers may ask for this stream by this name. Streams that are only known by a
    /// pattern are not offered: any name would fit.
    pub(super) fn readable(&self, name: &str, stream: &Stream) -> bool {
        let allowed = &self.config.streams.allowed;
        !stream.is_pattern()
            && stream.key == stream.name
            && stream.is_public()
            && (allowed.is_empty() || allowed.iter().any(|a| a == name || *a == stream.name))
    }

    /// Retention of a stream: its own where it declares one, else the log's.
    pub(crate) fn retention(&self, stream: &Stream) -> Retention {
        let own = stream.levada.retention;
        let default = crate::boot::retention(&self.config);
        Retention {
            age: own.age.or(default.age),
            bytes: own.bytes.or(default.bytes),
        }
    }
}

pub(super) fn topics(app: &App, stream: &Stream) -> Vec<TopicRequest> {
    let topic = |name: &String| {
        let name = TopicName::new(name)
            .inspect_err(|error| tracing::warn!(stream = stream.name, topic = name, %error, "a topic's name is refused"))
            .ok()?;
        let stored = match stream.levada.splice {
            levada_catalog::SpliceKind::Meta => Dialect::Meta,
            levada_catalog::SpliceKind::Event => Dialect::Event,
        };
        let spec = TopicSpec {
            name,
            partitions: stream.levada.partitions,
            retention: app.retention(stream),
        };
        Some(TopicRequest {
            spec,
            partitions: None,
            stored,
        })
    };
    stream.topics.iter().filter_map(topic).collect()
}

fn selection(
    app: &App,
    streams: &[Arc<Stream>],
    query: &Subscription,
) -> Result<Selection, (ErrorCode, String)> {
    let mut filters = Vec::with_capacity(query.filters.len());
    for text in &query.filters {
        let filter =
            Filter::parse_query(&text.to_string()).map_err(|e| (ErrorCode::InvalidFilter, e.to_string()))?;
        filters.push(filter);
    }
    let projection = match query.fields.as_slice() {
        [] => None,
        fields => {
            let projection = Projection::parse(&fields.join(","));
            Some(projection.map_err(|e| (ErrorCode::InvalidFields, e.to_string()))?)
        }
    };
    let spec = SelectionSpec {
        filter: (!filters.is_empty()).then(|| Filter::all(filters)),
        projection,
        dialect: Dialect::Meta,
        separators: Separators::Escaped,
        redaction: redaction(app, streams),
    };
    Selection::new(spec).map_err(|e| (ErrorCode::InvalidFilter, e.to_string()))
}

/// Pages whose user fields are hidden: those of the configuration and those of the streams.
pub(super) fn redaction(app: &App, streams: &[Arc<Stream>]) -> Option<Arc<Redaction>> {
    let mut pages: Vec<(String, Vec<String>)> = app
        .config
        .streams
        .redacted_pages
        .iter()
        .map(|(domain, titles)| (domain.clone(), titles.clone()))
        .collect();
    for stream in streams {
        pages.extend(
            stream
                .levada
                .redaction
                .pages()
                .map(|(d, t)| (d.to_owned(), t.map(str::to_owned).collect())),
        );
    }
    if pages.is_empty() {
        return None;
    }
    Some(Arc::new(Redaction::new(pages)))
}

/// Format and content type, decided by the raw `Accept` header alone (§1.3). Beyond the original,
/// `application/x-ndjson` asks for lines too.
fn negotiate(accept: Option<&str>) -> (Format, &'static str) {
    match accept {
        None => (Format::Sse, "text/event-stream"),
        Some(accept) if accept.starts_with("application/json") => (Format::Ndjson, JSON),
        Some(accept) if accept.starts_with("application/x-ndjson") => {
            (Format::Ndjson, "application/x-ndjson; charset=utf-8")
        }
        Some(_) => (Format::Sse, "text/event-stream; charset=utf-8"),
    }
}

fn start(app: &App, since: Option<Timestamp>) -> Start {
    match since {
        None => Start::Latest,
        // The original takes the zero time for "not given".
        Some(time) if app.config.compat.eventstreams && time.as_millis() == 0 => Start::Latest,
        Some(time) => Start::Since(time),
    }
}

/// An answer in the shape of KafkaSSE: the name and message in the status line, JSON and a line feed
/// in the body (§1.6).
fn stream_error(app: &App, error: &StreamError) -> Response<Body> {
    let status = error
        .status_code
        .and_then(|s| StatusCode::from_u16(s).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = error.to_json();
    body.push(b'\n');
    let mut response = plain(status, JSON, body);
    if let Ok(reason) = ReasonPhrase::try_from(reason_phrase(&error.reason()).into_bytes()) {
        response.extensions_mut().insert(reason);
    }
    let headers: &mut HeaderMap = response.headers_mut();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    app.stream_headers(headers);
    response
}

/// A session that holds its client's places until it is dropped.
pub(super) struct Counted {
    session: SessionBody,
    _places: Vec<Place>,
}

impl Counted {
    pub(super) fn new(session: SessionBody, places: Vec<Place>) -> Self {
        Self {
            session,
            _places: places,
        }
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = StreamCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamCut>>> {
        Pin::new(&mut self.get_mut().session)
            .poll_frame(cx)
            .map_err(|_| StreamCut)
    }

    fn is_end_stream(&self) -> bool {
        self.session.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.session.size_hint()
    }
}
