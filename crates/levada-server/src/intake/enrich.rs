//! What intake fills in: identity, time and request facts, where the schema has a place for them
//! and the event lacks them (contract eventplatform §2.7, steps 3 to 8).

use levada_catalog::{Schema, Stream};
use levada_event::json::Value;

use super::RequestContext;
use super::add::Additions;

/// Longest text taken from a request header, in characters (contract §2.7).
const HEADER_CHARS_MAX: usize = 400;

/// Title prefix of schemas whose top-level `dt` the server fills in.
const LEGACY_TITLE: &str = "analytics/legacy";

/// What is to be filled in. `schema_uri` goes to an event that names none.
pub(super) fn additions<'a>(
    event: Value<'_>,
    schema: &Schema,
    stream: Option<&'a Stream>,
    request: &'a RequestContext,
    schema_uri: Option<&str>,
) -> Additions<'a> {
    let mut additions = Additions::default();
    if let Some(uri) = schema_uri {
        additions.add_text(event, &["$schema"], uri);
    }
    if let Some(name) = &request.stream {
        additions.add_text(event, &["meta", "stream"], name);
    }
    let meta = event.get("meta");
    let lacks = |key: &str| meta.is_none_or(|meta| meta.get(key).is_none());
    let fields = schema.fields();
    if fields.meta_id && lacks("id") {
        let mut buffer = uuid::Uuid::encode_buffer();
        additions.add_text(
            event,
            &["meta", "id"],
            uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer),
        );
    }
    if fields.meta_dt && lacks("dt") {
        additions.add(event, &["meta", "dt"], now(request));
    }
    // The server's own time, whatever was sent: readers resume by it. An article without an event
    // object gets one: delivery writes the position there.
    if fields.event_date_published {
        additions.set(event, &["event", "date_published"], now(request));
    }
    let legacy = schema
        .title()
        .is_some_and(|title| title.starts_with(LEGACY_TITLE));
    if legacy && fields.dt && event.get("dt").is_none() {
        additions.add(event, &["dt"], now(request));
    }
    for field in stream.map(|s| s.enrich.as_slice()).unwrap_or_default() {
        let path: Vec<&'a str> = field.path.iter().map(String::as_str).collect();
        if event.at_path(path.iter().copied()).is_some() || !schema.has_path(&path) {
            continue;
        }
        let value = match field.header.as_str() {
            "x-request-id" => Some(request.request_id().to_owned()),
            name => (request.headers)(name),
        };
        if let Some(value) = value {
            additions.add_text(event, &path, cut(&value));
        }
    }
    if fields.http_client_ip && event.at_path(["http", "client_ip"]).is_none() {
        additions.add_text(event, &["http", "client_ip"], cut(&request.client_ip()));
    }
    additions
}

fn now(request: &RequestContext) -> Vec<u8> {
    let mut out = Vec::with_capacity(26);
    out.push(b'"');
    request.received.write_iso(&mut out);
    out.push(b'"');
    out
}

fn cut(text: &str) -> &str {
    match text.char_indices().nth(HEADER_CHARS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
