//! The Realtime API: `GET|POST /v2/articles` and, for every declared stream, `/v2/streams/{stream}`
//! (contract realtime §1). `articles` is a stream like any other.
//!
//! Everything that can be refused is refused before the first byte, in the order of the contract (§1.4).

use std::num::NonZeroU32;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode, Version};
use levada_catalog::{SpliceKind, Stream};
use levada_event::project::Projection;
use levada_event::select::{Selection, SelectionSpec, Separators};
use levada_event::splice::Dialect;
use levada_event::{Start, Timestamp, filter::Filter};
use levada_wire::ErrorCode;
use levada_wire::cursor::{self, PartitionElement};
use levada_wire::paths::{GAP, LAST_EVENT_ID, LOG_ID};
use levada_wire::{Element, paths};

use super::access::Wanted;
use super::clients::Place;
use super::respond::Body;
use super::route::Route;
use super::stream::{Counted, redaction, topics};
use super::{App, Call};
use crate::delivery::{Api, From, OpenError, Request, TopicRequest};

mod bind;
mod fields;
mod negotiate;
mod original;
mod parts;
mod positions;

use bind::Params;
use fields::Fields;
pub(super) use original::without_slash;
pub(super) use positions::positions;

/// The stream behind `/v2/articles`.
pub(super) const ARTICLES: &str = "articles";

/// A refusal: its status and the client's message.
pub(super) struct Refusal(StatusCode, String);

impl Refusal {
    fn unprocessable(message: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, message.into())
    }
}

pub(super) async fn get(app: &App, mut call: Call, name: &str) -> Response<Body> {
    let method = call.request.method().clone();
    let response = match subscribe(app, &mut call, name).await {
        Ok(response) => response,
        Err(refusal) => *refusal,
    };
    App::headless(&method, response)
}

async fn subscribe(app: &App, call: &mut Call, name: &str) -> Result<Response<Body>, Box<Response<Body>>> {
    let refused = |refusal: Refusal| Box::new(app.refuse(&refusal));
    let stream = find(app, name).map_err(refused)?;
    let wanted = vec![wanted(name, &stream)];
    app.require(call, &wanted)?;
    let places = enter(app, call)?;
    let strict = app.config.compat.realtime;
    let params = bind::read(call, app.config.intake.deadline, strict)
        .await
        .map_err(refused)?;
    let selection = selection(app, &stream, &params).await.map_err(refused)?;
    let mut topics = topics(app, &stream);
    let count = count(app, &topics).await.map_err(refused)?;
    let (partitions, mut from) = start(call, (&stream, count), &topics, &params, strict).map_err(refused)?;
    if strict {
        original::forget_gone(&**app.delivery.log(), &topics, &mut from).await;
    }
    for topic in &mut topics {
        topic.partitions.clone_from(&partitions);
    }
    let (format, content_type) = if strict {
        original::format(call.request.headers()).map_err(refused)?
    } else {
        negotiate::format(call.request.headers())
    };
    let age = app.config.streams.connection_age_max;
    let request = Request {
        topics,
        from,
        now: call.received,
        api: Api::Realtime,
        format,
        selection,
        drop_canaries: true,
        retry: None,
        max_age: (!age.is_zero()).then_some(age),
        rate: rate(app, params.parts.len()),
    };
    let opened = app.delivery.open(request).await.map_err(|error| {
        let status = match &error {
            OpenError::TooManyPartitions | OpenError::IdTooLong => StatusCode::UNPROCESSABLE_ENTITY,
            other => StatusCode::from_u16(other.code().status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        };
        refused(Refusal(status, error.to_string()))
    })?;
    let gaps = opened.gap_header();
    let mut session = opened.body;
    if let Some(revoked) = app.revoked(call, wanted) {
        session.end_when(revoked);
    }
    let body = Body::Stream(Box::pin(Counted::new(session, places)));
    let (body, encoding) = if strict {
        (body, None)
    } else {
        negotiate::encode(call.request.headers(), format, body)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(encoding) = encoding {
        headers.insert(http::header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        headers.insert(
            http::header::VARY,
            HeaderValue::from_static("accept, accept-encoding"),
        );
    }
    if call.request.version() < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    if let Ok(id) = HeaderValue::try_from(app.delivery.log().facts().id.as_str()) {
        headers.insert(LOG_ID, id);
    }
    if let Some(gaps) = gaps.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(GAP, gaps);
    }
    app.stream_headers(headers);
    Ok(response)
}

/// Most events per second over a connection that reads this many parts, none meaning all (§1.10).
fn rate(app: &App, parts: usize) -> Option<NonZeroU32> {
    let all = match app.config.realtime.events_per_second {
        0 if app.config.compat.realtime => original::EVENTS_PER_SECOND,
        set => set,
    };
    let parts = match parts {
        0 => parts::PARTS,
        some => (some as u32).min(parts::PARTS),
    };
    if all == 0 || !app.config.realtime.per_part {
        return NonZeroU32::new(all);
    }
    let share = u64::from(all) * u64::from(parts) / u64::from(parts::PARTS);
    NonZeroU32::new((share as u32).max(1))
}

/// The stream that readers mean by `name`.
fn find(app: &App, name: &str) -> Result<Arc<Stream>, Refusal> {
    let snapshot = app.catalog.snapshot();
    snapshot
        .resolve(name)
        .filter(|stream| app.readable(name, stream))
        .ok_or_else(|| {
            let message = if name == ARTICLES {
                "Not Found: no stream named articles is declared; declare one with schema_title levada/article"
                    .to_owned()
            } else {
                format!("Not Found: no stream named {name} is declared for readers")
            };
            Refusal(StatusCode::NOT_FOUND, message)
        })
}

/// The right to read a stream; articles have two paths.
fn wanted(name: &str, stream: &Stream) -> Wanted {
    let wanted = Wanted::read(format!("{}/{name}", paths::STREAMS), &stream.name);
    match name {
        ARTICLES => wanted.or_through(paths::ARTICLES),
        _ => wanted,
    }
}

/// Places among the open streams: of the account where there is one, else of the address.
fn enter(app: &App, call: &Call) -> Result<Vec<Place>, Box<Response<Body>>> {
    let too_many =
        |message: &str| Box::new(app.refuse(&Refusal(StatusCode::TOO_MANY_REQUESTS, message.to_owned())));
    if let Some(place) = app.enter_account(call).map_err(|why| too_many(&why))? {
        return Ok(vec![place]);
    }
    match app.clients.enter(&call.sender(app).to_string()) {
        Some(place) => Ok(vec![place]),
        None => {
            metrics::counter!("levada_streams_refused_total", "reason" => "too_many_connections")
                .increment(1);
            Err(too_many(
                "Too many parallel connections from this address; end one and try again",
            ))
        }
    }
}

/// Fields and filters, checked against the stream's schema where it has one. Who names none gets events
/// whether or not the schema can be read.
async fn selection(app: &App, stream: &Arc<Stream>, params: &Params) -> Result<Selection, Refusal> {
    let named = !params.fields.is_empty() || !params.filters.is_empty();
    let loaded = match (&stream.schema_uri, &stream.schema_title) {
        _ if !named => None,
        (Some(uri), _) => Some(app.schemas.schema(uri).await),
        (None, Some(title)) => Some(app.schemas.latest(title).await),
        (None, None) => None,
    };
    let schema = match loaded.transpose() {
        Ok(schema) => schema,
        Err(error) => return Err(unreadable(stream, &error.to_string())),
    };
    let dialect = match stream.levada.splice {
        SpliceKind::Meta => Dialect::Meta,
        SpliceKind::Event => Dialect::Event,
    };
    let strict = app.config.compat.realtime;
    let known = Fields::new(schema.as_deref(), dialect, strict);
    let mut paths = Vec::with_capacity(params.fields.len());
    for field in &params.fields {
        paths.push(known.select(field).map_err(Refusal::unprocessable)?);
    }
    let filters = if strict {
        original::filters(&params.filters, &known)?
    } else {
        let read = |text: &String| {
            Filter::from_json(text, &|name| known.filter(name))
                .map_err(|e| Refusal::unprocessable(e.to_string()))
        };
        params.filters.iter().map(read).collect::<Result<Vec<_>, _>>()?
    };
    let projection = match paths.is_empty() {
        true => None,
        false => Some(Projection::new(paths).map_err(|e| Refusal::unprocessable(e.to_string()))?),
    };
    let spec = SelectionSpec {
        filter: (!filters.is_empty()).then(|| Filter::all(filters)),
        projection,
        dialect,
        separators: Separators::Escaped,
        redaction: redaction(app, std::slice::from_ref(stream)),
    };
    Selection::new(spec).map_err(|e| Refusal::unprocessable(e.to_string()))
}

/// Unchecked, a slip of the pen in a name would be an empty stream.
fn unreadable(stream: &Stream, error: &str) -> Refusal {
    tracing::warn!(
        stream = stream.name,
        error,
        "fields and filters cannot be checked"
    );
    Refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        format!(
            "the schema of {} cannot be read just now, so fields and filters cannot be checked; try again, or ask without them",
            stream.name
        ),
    )
}

/// How many partitions the stream has: as many as the widest of its topics, whatever is declared, since
/// events stand in all of them. What is declared counts for topics that are still to come.
async fn count(app: &App, topics: &[TopicRequest]) -> Result<u32, Refusal> {
    let mut most = 0;
    for topic in topics {
        let existing = positions::partitions(app.delivery.log(), &topic.spec).await?;
        most = most.max(existing.unwrap_or(topic.spec.partitions));
    }
    Ok(most)
}

/// A position in one partition.
#[derive(Debug, Clone, Copy)]
enum Position {
    Offset(i64),
    Since(Timestamp),
}

/// The partitions asked for and where they start (§1.3, §1.4).
fn start(
    call: &Call,
    (stream, count): (&Stream, u32),
    topics: &[TopicRequest],
    params: &Params,
    strict: bool,
) -> Result<(Option<Vec<u32>>, From), Refusal> {
    params
        .check_times(call.received)
        .map_err(Refusal::unprocessable)?;
    let partitions = parts::partitions(&params.parts, count).map_err(Refusal::unprocessable)?;
    if params.since.is_some() && !params.parts.is_empty() {
        return Err(Refusal::unprocessable(
            "for parallel consumption, specify either offsets or time-offsets (since_per_partition) parameter",
        ));
    }
    params.check_sizes(count).map_err(Refusal::unprocessable)?;
    check_topics(stream, topics, params).map_err(Refusal::unprocessable)?;
    let chosen = |partition: i64| match &partitions {
        None if strict => false,
        // Beyond the original: without parts, positions are those of all parts.
        None => (0..i64::from(count)).contains(&partition),
        Some(some) => some.iter().any(|p| i64::from(*p) == partition),
    };
    let rest = params.since.map_or(Start::Latest, Start::Since);
    // `since` without parts decides for every partition (§1.4).
    let positions = if params.since.is_some() {
        Vec::new()
    } else {
        params.positions(chosen).map_err(Refusal::unprocessable)?
    };
    // The id goes first: a browser that reconnects asks as it did at first, and adds it.
    let header = call.request.headers().get(LAST_EVENT_ID);
    let Some(header) = header.filter(|header| !header.is_empty()) else {
        let mut elements: Vec<Element> = topics.iter().flat_map(|topic| named(topic, &positions)).collect();
        if params.since.is_none() {
            let of_topics = params.topic_offsets.iter();
            let read = of_topics.filter(|((_, partition), _)| chosen(*partition));
            elements.extend(read.map(|((topic, partition), offset)| {
                Element::Partition(PartitionElement {
                    topic: topic.clone(),
                    partition: *partition,
                    offset: Some(*offset),
                    timestamp: None,
                    at: None,
                })
            }));
        }
        return Ok((partitions, From::Each { elements, rest }));
    };
    let text = String::from_utf8_lossy(header.as_bytes());
    let elements =
        cursor::parse_any(&text).map_err(|e| Refusal::unprocessable(format!("Last-Event-ID: {e}")))?;
    let readable = |name: &str| topics.iter().any(|topic| topic.spec.name.as_str() == name);
    if let Some(foreign) = elements.iter().find(|element| !readable(element.topic())) {
        let message = format!(
            "Last-Event-ID names {}, which is not part of {}; leave the header out or ask for that stream",
            foreign.topic(),
            stream.name
        );
        return Err(Refusal::unprocessable(message));
    }
    Ok((partitions, From::Each { elements, rest }))
}

/// Offsets belong to a topic: of a stream with several they name it.
fn check_topics(stream: &Stream, topics: &[TopicRequest], params: &Params) -> Result<(), String> {
    let names: Vec<&str> = topics.iter().map(|topic| topic.spec.name.as_str()).collect();
    if names.len() > 1 && !params.offsets.is_empty() {
        return Err(format!(
            "{} has the topics {}, each with offsets of its own: write them as {{\"{}/0\":5}}",
            stream.name,
            names.join(", "),
            names[0]
        ));
    }
    let mut named = params.topic_offsets.keys().map(|(topic, _)| topic);
    match named.find(|topic| !names.contains(&topic.as_str())) {
        Some(foreign) => Err(format!(
            "offsets name {foreign}, which is no topic of {}; its topics are {}",
            stream.name,
            names.join(", ")
        )),
        None => Ok(()),
    }
}

fn named(topic: &TopicRequest, positions: &[(u32, Position)]) -> Vec<Element> {
    let element = |(partition, position): &(u32, Position)| {
        let (offset, timestamp) = match position {
            Position::Offset(offset) => (Some(*offset), None),
            Position::Since(time) => (None, Some(time.as_millis())),
        };
        Element::Partition(PartitionElement {
            topic: topic.spec.name.as_str().to_owned(),
            partition: i64::from(*partition),
            offset,
            timestamp,
            at: None,
        })
    };
    positions.iter().map(element).collect()
}

impl App {
    /// A refusal in the shape of the contract (§1.9); one that may pass says when to ask again.
    fn refuse(&self, Refusal(status, message): &Refusal) -> Response<Body> {
        let mut response = self.message(*status, message, "");
        if matches!(
            *status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// A wrong method on a route of the Realtime API.
    pub(super) fn realtime_wrong_method(&self, route: &Route) -> Response<Body> {
        if self.config.compat.realtime {
            return self.message(StatusCode::NOT_FOUND, "Not Found", "");
        }
        let message = match route {
            Route::Positions(_) => "Method Not Allowed: use GET",
            _ => "Method Not Allowed: use GET or POST",
        };
        let code = ErrorCode::MethodNotAllowed.as_str();
        let mut response = self.message(StatusCode::METHOD_NOT_ALLOWED, message, code);
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(route.allow()));
        response
    }
}

#[cfg(test)]
mod tests;
