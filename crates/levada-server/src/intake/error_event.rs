//! Error events: what became of an invalid event, for those who watch the error stream
//! (contract eventplatform §2.10, schema `/error/2.1.0`).

use levada_event::json::{Document, Value, write_string};
use levada_wire::{ErrorCode, Failure};

use super::RequestContext;

const SCHEMA: &str = "/error/2.1.0";

/// Texts of error events for the failures that deserve one: events that violate their schema.
pub(super) fn build(
    stream: &str,
    emitter: &str,
    failures: &[Failure<'_>],
    request: &RequestContext,
) -> Vec<String> {
    failures
        .iter()
        .filter(|failure| matches!(failure.code, ErrorCode::SchemaViolation | ErrorCode::TimeInvalid))
        .map(|failure| one(stream, emitter, failure, request))
        .collect()
}

fn one(stream: &str, emitter: &str, failure: &Failure<'_>, request: &RequestContext) -> String {
    let document = Document::parse(failure.event.as_bytes()).ok();
    let event = document.as_ref().map(Document::root);
    let meta = |key: &str| text_at(event, &["meta", key]);
    let mut now = Vec::new();
    request.received.write_iso(&mut now);
    let now = String::from_utf8_lossy(&now).into_owned();
    let mut out = Vec::with_capacity(failure.event.len() * 2 + 512);
    out.extend_from_slice(b"{\"$schema\":");
    write_string(&mut out, SCHEMA);
    out.extend_from_slice(b",\"meta\":{\"stream\":");
    write_string(&mut out, stream);
    for (name, value) in [
        ("uri", meta("uri")),
        ("domain", meta("domain")),
        ("request_id", meta("request_id")),
    ] {
        field(&mut out, name, &value);
    }
    field(&mut out, "id", &uuid::Uuid::now_v7().to_string());
    out.push(b'}');
    field(&mut out, "dt", &now);
    field(&mut out, "emitter_id", emitter);
    field(&mut out, "raw_event", &failure.event);
    field(&mut out, "message", &failure.context.text());
    field(&mut out, "error_type", "ValidationError");
    field(&mut out, "errored_schema_uri", &text_at(event, &["$schema"]));
    field(&mut out, "errored_stream_name", &meta("stream"));
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    write_string(out, name);
    out.push(b':');
    write_string(out, value);
}

/// The text at a path as the reference writes it: a string's characters, other values as JSON,
/// `unknown` when there is nothing.
fn text_at(event: Option<Value<'_>>, path: &[&str]) -> String {
    match event.and_then(|event| event.at_path(path.iter().copied())) {
        Some(value) => value
            .as_str()
            .map_or_else(|| value.raw().to_owned(), |text| text.into_owned()),
        None => "unknown".into(),
    }
}
