//! The intake's answer: which events of a request were not accepted, and why (contract eventplatform
//! §1.3).
//!
//! Two lists, `invalid` (the event does not satisfy its schema) and `error` (everything else), as
//! existing producers expect. Each element carries in addition the event's `index` in the request and
//! a machine-readable `code`. Event texts are spliced in untouched.

use std::borrow::Cow;

use levada_event::json::write_string;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ErrorCode;

/// Longest reason phrase in bytes: some HTTP parsers bound the status line.
const REASON_BYTES_MAX: usize = 512;

/// In which of the two lists a failed event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The event does not satisfy its schema.
    Invalid,
    /// Everything else.
    Error,
}

impl FailureKind {
    /// The list for a code.
    pub fn of(code: ErrorCode) -> Self {
        if code == ErrorCode::SchemaViolation {
            Self::Invalid
        } else {
            Self::Error
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Error => "error",
        }
    }
}

/// One way in which an event does not satisfy its schema, as the reference's validator words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The JSON Schema keyword, such as `type`.
    pub keyword: String,
    /// Where in the event, in JavaScript notation: `.meta.id`, `.map['a-b']`, empty for the whole.
    pub data_path: String,
    /// Where in the schema, such as `#/properties/test/type`.
    pub schema_path: String,
    /// The keyword's parameters: the text of a JSON object.
    pub params: String,
    /// What should be, such as `should be string`.
    pub message: String,
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// It does not satisfy its schema, in these ways.
    Violations(Vec<Violation>),
    /// A sentence.
    Message(String),
}

impl Context {
    /// All violations in one line, as the reference joins them, or the sentence.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Message(message) => Cow::Borrowed(message),
            Self::Violations(violations) => Cow::Owned(errors_text(violations)),
        }
    }
}

/// Joins violations as the reference does: `'{dataPath}' {message}`, separated by `, `.
pub fn errors_text(violations: &[Violation]) -> String {
    let mut out = String::new();
    for violation in violations {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push('\'');
        out.push_str(&violation.data_path);
        out.push_str("' ");
        out.push_str(&violation.message);
    }
    out
}

/// One event that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure<'e> {
    /// The event's place in the request, from 0.
    pub index: usize,
    /// Why, for machines. It decides the list.
    pub code: ErrorCode,
    /// The event's JSON text as it stood at failure; spliced into the body untouched.
    pub event: Cow<'e, str>,
    /// Why, for people.
    pub context: Context,
}

/// The outcome of a request: how many events it had, and which were not accepted.
#[derive(Debug, Clone, Default)]
pub struct Report<'e> {
    /// Number of events in the request.
    pub total: usize,
    /// Those not accepted, in the order of the request.
    pub failures: Vec<Failure<'e>>,
}

impl Report<'_> {
    /// Number of accepted events.
    pub fn accepted(&self) -> usize {
        self.total.saturating_sub(self.failures.len())
    }

    fn counts(&self) -> (usize, usize) {
        let invalid = self
            .failures
            .iter()
            .filter(|failure| FailureKind::of(failure.code) == FailureKind::Invalid)
            .count();
        (invalid, self.failures.len() - invalid)
    }

    /// The status: 201 when all events were accepted, 207 when some were. When none was: the status
    /// that all failures share; among client faults that differ 400; with trouble of the server 503
    /// when all of it passes by itself, else 500.
    pub fn status(&self) -> u16 {
        if self.failures.is_empty() {
            return 201;
        }
        if self.accepted() > 0 {
            return 207;
        }
        let mut statuses = self.failures.iter().map(|failure| failure.code.status());
        let first = statuses.next().unwrap_or(500);
        statuses.fold(first, |so_far, next| match (so_far, next) {
            (a, b) if a == b => a,
            (500, _) | (_, 500) => 500,
            (500.., _) | (_, 500..) => 503,
            _ => 400,
        })
    }

    /// The status that the reference gives: 201, 207, 400 when all events were invalid, else 500.
    pub fn status_compat(&self) -> u16 {
        match (self.failures.is_empty(), self.accepted(), self.counts()) {
            (true, ..) => 201,
            (false, 1.., _) => 207,
            (false, 0, (_, 0)) => 400,
            (false, 0, _) => 500,
        }
    }

    /// The code that all failures share, if no event was accepted and they share one.
    pub fn common_code(&self) -> Option<ErrorCode> {
        let first = self.failures.first().filter(|_| self.accepted() == 0)?.code;
        self.failures
            .iter()
            .all(|failure| failure.code == first)
            .then_some(first)
    }

    /// The reason phrase. Producers show it to people.
    pub fn reason(&self) -> String {
        let n = self.total;
        let (invalid, errored) = self.counts();
        let failed = invalid + errored;
        let ok = self.accepted();
        if failed == 0 {
            format!("All {ok} out of {n} events were accepted.")
        } else if ok > 0 {
            format!(
                "{ok} out of {n} events were accepted, but {failed} failed ({invalid} invalid and {errored} errored)."
            )
        } else if errored == 0 {
            format!("{n} out of {n} events were invalid and not accepted.")
        } else {
            format!(
                "{failed} out of {n} events had failures and were not accepted. ({invalid} invalid and {errored} errored)."
            )
        }
    }

    /// The body: empty when all events were accepted; only the list `invalid` when all were invalid;
    /// else both lists.
    pub fn body(&self) -> Vec<u8> {
        let (invalid, errored) = self.counts();
        if invalid + errored == 0 {
            return Vec::new();
        }
        let events: usize = self.failures.iter().map(|f| f.event.len() + 256).sum();
        let mut out = Vec::with_capacity(events + 32);
        out.extend_from_slice(b"{\"invalid\":");
        self.write_list(&mut out, FailureKind::Invalid);
        if errored > 0 || self.accepted() > 0 {
            out.extend_from_slice(b",\"error\":");
            self.write_list(&mut out, FailureKind::Error);
        }
        out.push(b'}');
        out
    }

    fn write_list(&self, out: &mut Vec<u8>, kind: FailureKind) {
        out.push(b'[');
        let mut first = true;
        for failure in self.failures.iter().filter(|f| FailureKind::of(f.code) == kind) {
            if !first {
                out.push(b',');
            }
            first = false;
            write_failure(out, failure, kind);
        }
        out.push(b']');
    }
}

fn write_failure(out: &mut Vec<u8>, failure: &Failure<'_>, kind: FailureKind) {
    out.extend_from_slice(b"{\"status\":\"");
    out.extend_from_slice(kind.as_str().as_bytes());
    out.extend_from_slice(b"\",\"index\":");
    out.extend_from_slice(itoa::Buffer::new().format(failure.index).as_bytes());
    out.extend_from_slice(b",\"code\":\"");
    out.extend_from_slice(failure.code.as_str().as_bytes());
    out.extend_from_slice(b"\",\"event\":");
    out.extend_from_slice(failure.event.as_bytes());
    out.extend_from_slice(b",\"context\":{");
    match &failure.context {
        Context::Message(message) => {
            out.extend_from_slice(b"\"message\":");
            write_string(out, message);
        }
        Context::Violations(violations) => {
            out.extend_from_slice(b"\"errors\":[");
            for (i, violation) in violations.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_violation(out, violation);
            }
            out.extend_from_slice(b"],\"errorsText\":");
            write_string(out, &errors_text(violations));
        }
    }
    out.extend_from_slice(b"}}");
}

fn write_violation(out: &mut Vec<u8>, violation: &Violation) {
    out.extend_from_slice(b"{\"keyword\":");
    write_string(out, &violation.keyword);
    out.extend_from_slice(b",\"dataPath\":");
    write_string(out, &violation.data_path);
    out.extend_from_slice(b",\"schemaPath\":");
    write_string(out, &violation.schema_path);
    out.extend_from_slice(b",\"params\":");
    out.extend_from_slice(violation.params.as_bytes());
    out.extend_from_slice(b",\"message\":");
    write_string(out, &violation.message);
    out.push(b'}');
}

/// The reason phrase of a request without events.
pub const REASON_EMPTY: &str = "Request body was empty. Must provide JSON encoded events.";

/// The reason phrase of a hasty request.
pub fn reason_hasty(events: usize) -> String {
    format!("{events} events hastily received.")
}

/// Makes a text fit for a status line: visible ASCII and spaces (others become `?`), at most 512
/// bytes.
pub fn reason_phrase(text: &str) -> String {
    text.chars()
        .take(REASON_BYTES_MAX)
        .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
        .collect()
}

/// A report as a producer receives it, also from servers that know neither `index` nor `code`.
#[derive(Debug, Default, Deserialize)]
pub struct ReceivedReport {
    /// Events that do not satisfy their schema.
    #[serde(default)]
    pub invalid: Vec<ReceivedFailure>,
    /// Events that failed otherwise.
    #[serde(default)]
    pub error: Vec<ReceivedFailure>,
}

/// An element of a [`ReceivedReport`].
#[derive(Debug, Deserialize)]
pub struct ReceivedFailure {
    /// The event's place in the request, from 0; absent from the reference's answers.
    #[serde(default)]
    pub index: Option<usize>,
    /// Text of the code, possibly one that this version does not know.
    #[serde(default)]
    pub code: Option<String>,
    /// The event's JSON text as the server saw it.
    #[serde(default)]
    pub event: Option<Box<RawValue>>,
    #[serde(default)]
    context: ReceivedContext,
}

#[derive(Debug, Default, Deserialize)]
struct ReceivedContext {
    #[serde(rename = "errorsText", default)]
    errors_text: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ReceivedReport {
    /// Reads a body.
    ///
    /// # Errors
    /// When the body is not a report.
    pub fn from_json(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

impl ReceivedFailure {
    /// Why, for people.
    pub fn message(&self) -> &str {
        self.context
            .errors_text
            .as_deref()
            .or(self.context.message.as_deref())
            .unwrap_or("the server gave no reason")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation() -> Violation {
        Violation {
            keyword: "type".into(),
            data_path: ".test".into(),
            schema_path: "#/properties/test/type".into(),
            params: r#"{"type":"string"}"#.into(),
            message: "should be string".into(),
        }
    }

    fn invalid(index: usize) -> Failure<'static> {
        Failure {
            index,
            code: ErrorCode::SchemaViolation,
            event: r#"{"test": 12345678901234567890}"#.into(),
            context: Context::Violations(vec![violation()]),
        }
    }

    fn errored(index: usize, code: ErrorCode) -> Failure<'static> {
        Failure {
            index,
            code,
            event: "\"x\"".into(),
            context: Context::Message("no \"luck\"".into()),
        }
    }

    fn report(total: usize, failures: Vec<Failure<'static>>) -> Report<'static> {
        Report { total, failures }
    }

    #[test]
    fn all_accepted_has_no_body() {
        let all = report(2, vec![]);
        assert_eq!(
            (all.status(), all.status_compat(), all.body()),
            (201, 201, vec![])
        );
        assert_eq!(all.reason(), "All 2 out of 2 events were accepted.");
    }

    #[test]
    fn all_invalid_has_only_the_list_invalid() {
        let all = report(1, vec![invalid(0)]);
        assert_eq!((all.status(), all.status_compat()), (400, 400));
        assert_eq!(all.reason(), "1 out of 1 events were invalid and not accepted.");
        assert_eq!(
            String::from_utf8(all.body()).unwrap(),
            concat!(
                r#"{"invalid":[{"status":"invalid","index":0,"code":"schema_violation","#,
                r#""event":{"test": 12345678901234567890},"context":{"errors":[{"keyword":"type","#,
                r##""dataPath":".test","schemaPath":"#/properties/test/type","params":{"type":"string"},"##,
                r#""message":"should be string"}],"errorsText":"'.test' should be string"}}]}"#
            )
        );
    }

    #[test]
    fn some_accepted_has_both_lists() {
        let some = report(3, vec![invalid(1), errored(2, ErrorCode::StreamUnknown)]);
        assert_eq!((some.status(), some.status_compat()), (207, 207));
        assert_eq!(
            some.reason(),
            "1 out of 3 events were accepted, but 2 failed (1 invalid and 1 errored)."
        );
        let only_invalid = report(2, vec![invalid(1)]);
        assert!(
            String::from_utf8(only_invalid.body())
                .unwrap()
                .ends_with(r#"],"error":[]}"#)
        );
    }

    #[test]
    fn none_accepted_takes_its_status_from_the_codes() {
        use ErrorCode::*;
        let status = |codes: &[ErrorCode]| {
            let failures = codes.iter().map(|&code| errored(0, code)).collect();
            report(codes.len(), failures).status()
        };
        assert_eq!(status(&[StreamUnknown]), 400);
        assert_eq!(status(&[EventTooLarge, EventTooLarge]), 413);
        assert_eq!(status(&[EventTooLarge, StreamUnknown]), 400);
        assert_eq!(status(&[StreamUnknown, StorageUnavailable, EventTooLarge]), 503);
        assert_eq!(status(&[StorageUnavailable, Internal, StreamUnknown]), 500);
        assert_eq!(report(1, vec![errored(0, StreamUnknown)]).status_compat(), 500);
        assert_eq!(
            report(1, vec![errored(0, StreamUnknown)]).common_code(),
            Some(StreamUnknown)
        );
        assert_eq!(report(2, vec![errored(0, StreamUnknown)]).common_code(), None);
    }

    #[test]
    fn reports_read_back() {
        let sent = report(3, vec![invalid(1), errored(2, ErrorCode::StreamUnknown)]);
        let read = ReceivedReport::from_json(&sent.body()).unwrap();
        assert_eq!(read.invalid[0].index, Some(1));
        assert_eq!(
            read.invalid[0].event.as_ref().unwrap().get(),
            r#"{"test": 12345678901234567890}"#
        );
        assert_eq!(read.invalid[0].message(), "'.test' should be string");
        assert_eq!(read.error[0].code.as_deref(), Some("stream_unknown"));
        assert_eq!(read.error[0].message(), "no \"luck\"");
    }

    #[test]
    fn reference_reports_read_too() {
        let body =
            br#"{"invalid":[{"status":"invalid","event":1,"context":{"errors":[],"errorsText":"e"}}]}"#;
        let read = ReceivedReport::from_json(body).unwrap();
        assert_eq!((read.invalid[0].index, read.invalid[0].message()), (None, "e"));
        assert!(ReceivedReport::from_json(b"<html>").is_err());
    }

    #[test]
    fn reason_phrases_fit_a_status_line() {
        assert_eq!(reason_phrase("a\r\nSet-Cookie: é"), "a??Set-Cookie: ?");
        assert_eq!(reason_phrase(&"x".repeat(10_000)).len(), REASON_BYTES_MAX);
    }
}
