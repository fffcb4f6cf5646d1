//! Error events: what became of an invalid event, for those who watch the error stream
//! (contract eventplatform §2.10, schema `/error/2.1.0`).

use levada_event::json::{Document, Value, write_string};
use levada_wire::{ErrorCode, Failure};

use super::RequestContext;

const SCHEMA: &str = "/error/2.1.0";

/// Bytes that intake may add to an error event as to any other.
const ADDED_BYTES: usize = 1024;

/// What is left of other texts of the event, and of the message, where the whole is too long.
const TEXT_BYTES: usize = 1024;

/// Texts of error events for the failures that deserve one: events that violate their schema. None is
/// longer than `bytes_max`: escaped, an event may be longer than it was, and then only its beginning is in
/// `raw_event` and the message says so.
pub(super) fn build(
    stream: &str,
    emitter: &str,
    failures: &[Failure<'_>],
    request: &RequestContext,
    bytes_max: usize,
) -> Vec<String> {
    let room = bytes_max.saturating_sub(ADDED_BYTES);
    failures
        .iter()
        .filter(|failure| matches!(failure.code, ErrorCode::SchemaViolation | ErrorCode::TimeInvalid))
        .map(|failure| fitting(stream, emitter, failure, request, room))
        .collect()
}

fn fitting(
    stream: &str,
    emitter: &str,
    failure: &Failure<'_>,
    request: &RequestContext,
    room: usize,
) -> String {
    let (raw, message) = (&*failure.event, failure.context.text());
    let render =
        |raw: &str, message: &str, texts| one(stream, emitter, failure, request, (raw, message), texts);
    let whole = render(raw, &message, usize::MAX);
    if whole.len() <= room {
        return whole;
    }
    let (message, of) = (beginning(&message, TEXT_BYTES), raw.len());
    let told = |kept: usize| format!("{message} (raw_event is cut: the first {kept} of {of} bytes)");
    let rest = render("", &told(of), TEXT_BYTES).len();
    let raw = beginning_escaped(raw, room.saturating_sub(rest));
    render(raw, &told(raw.len()), TEXT_BYTES)
}

/// The longest beginning of `text` that has at most `bytes` bytes.
fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The longest beginning of `text` that as a JSON string has at most `bytes` bytes between its quotes.
fn beginning_escaped(text: &str, bytes: usize) -> &str {
    let mut left = bytes;
    for (at, char) in text.char_indices() {
        let size = match char {
            '"' | '\\' => 2,
            // At most: some have short forms.
            '\0'..='\x1f' | '\u{7f}' | '\u{85}' | '\u{2028}' | '\u{2029}' => 6,
            other => other.len_utf8(),
        };
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

/// The error event with `raw_event` and `message` as given, and of other texts at most so many bytes.
fn one(
    stream: &str,
    emitter: &str,
    failure: &Failure<'_>,
    request: &RequestContext,
    (raw, message): (&str, &str),
    texts: usize,
) -> String {
    let document = Document::parse(failure.event.as_bytes()).ok();
    let event = document.as_ref().map(Document::root);
    let text = |path: &[&str]| {
        let whole = text_at(event, path);
        beginning(&whole, texts).to_owned()
    };
    let meta = |key: &str| text(&["meta", key]);
    let mut now = Vec::new();
    request.received.write_iso(&mut now);
    let now = String::from_utf8_lossy(&now).into_owned();
    let mut out = Vec::with_capacity(raw.len() * 2 + 512);
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
    field(&mut out, "raw_event", raw);
    field(&mut out, "message", message);
    field(&mut out, "error_type", "ValidationError");
    field(&mut out, "errored_schema_uri", &text(&["$schema"]));
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

#[cfg(test)]
mod tests {
    use super::beginning_escaped;

    #[test]
    fn a_beginning_fits_as_it_is_written() {
        let text = "a\"\\\u{1}\u{e9}\u{1f600}\n".repeat(50);
        for bytes in 0..600 {
            let kept = beginning_escaped(&text, bytes);
            let mut out = Vec::new();
            levada_event::json::write_string(&mut out, kept);
            assert!(out.len() <= bytes + 2, "{bytes}: {}", out.len());
            assert!(text.starts_with(kept));
        }
        assert_eq!(beginning_escaped(&text, 10_000), text);
    }
}
