//! The one list of error codes that Levada shows to clients.
//!
//! A code answers three questions with total functions: which HTTP status, whether sending the same
//! again can succeed, and whether anything was stored. Codes are part of the API: their text never
//! changes; new ones may come.

use std::fmt;

/// What is known about the effect of a request (or of one event in it) that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was stored; sending again stores once.
    Nothing,
    /// It may or may not have been stored; sending again may store it twice.
    Unknown,
    /// It is stored already.
    Happened,
}

macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $retry:ident, $outcome:ident; )*) => {
        /// A reason for refusing a request or an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $( $(#[$doc])* $name, )*
        }

        impl ErrorCode {
            /// All codes, in the order of the reference documentation.
            pub const ALL: &[ErrorCode] = &[$( ErrorCode::$name, )*];

            /// The code's text form, as bodies, logs and metrics carry it.
            pub const fn as_str(self) -> &'static str {
                match self { $( ErrorCode::$name => $text, )* }
            }

            /// HTTP status of a response whose only problem is this. An event's code gives the status
            /// of a request in which no event was accepted; see [`Report::status`](crate::Report::status).
            pub const fn status(self) -> u16 {
                match self { $( ErrorCode::$name => $status, )* }
            }

            /// Whether sending the same again, later, can succeed without anyone changing the request.
            pub const fn retryable(self) -> bool {
                match self { $( ErrorCode::$name => codes!(@retry $retry), )* }
            }

            /// What is known about the effect.
            pub const fn outcome(self) -> Outcome {
                match self { $( ErrorCode::$name => Outcome::$outcome, )* }
            }
        }
    };
    (@retry Again) => { true };
    (@retry Never) => { false };
}

codes! {
    // The request as a whole.
    /// The request is not understood; the detail says why.
    BadRequest = "bad_request", 400, Never, Nothing;
    /// No such route.
    NotFound = "not_found", 404, Never, Nothing;
    /// The route exists, but not for this method.
    MethodNotAllowed = "method_not_allowed", 405, Never, Nothing;
    /// The client was too slow in sending the request.
    RequestTimeout = "request_timeout", 408, Again, Nothing;
    /// The request's header fields are too large.
    HeaderTooLarge = "header_too_large", 431, Never, Nothing;
    /// The body has no events: nothing, `{}` or `[]`.
    EmptyBody = "empty_body", 400, Never, Nothing;
    /// The body is not JSON.
    MalformedJson = "malformed_json", 400, Never, Nothing;
    /// The body is not UTF-8.
    InvalidUtf8 = "invalid_utf8", 400, Never, Nothing;
    /// One key stands twice in one object.
    DuplicateKey = "duplicate_key", 400, Never, Nothing;
    /// Arrays and objects nest too deep.
    TooDeep = "too_deep", 400, Never, Nothing;
    /// The body is larger than the server takes.
    BodyTooLarge = "body_too_large", 413, Never, Nothing;
    /// More events in one request than the server takes.
    TooManyEvents = "too_many_events", 413, Never, Nothing;
    /// The content type is none of those that carry events.
    UnsupportedMediaType = "unsupported_media_type", 415, Never, Nothing;
    /// The content type names a charset that is not UTF-8 (or UTF-16).
    UnsupportedCharset = "unsupported_charset", 415, Never, Nothing;
    /// The content encoding is not one the server decodes.
    UnsupportedEncoding = "unsupported_encoding", 415, Never, Nothing;
    /// The body cannot be decoded by its content encoding.
    MalformedEncoding = "malformed_encoding", 400, Never, Nothing;

    // One event.
    /// The event is not a JSON object.
    NotAnObject = "not_an_object", 400, Never, Nothing;
    /// The event is larger than the log takes.
    EventTooLarge = "event_too_large", 413, Never, Nothing;
    /// The event names no schema (`$schema` is absent, empty or not a string).
    SchemaMissing = "schema_missing", 400, Never, Nothing;
    /// No schema repository has a readable schema at this URI.
    SchemaUnreadable = "schema_unreadable", 400, Never, Nothing;
    /// A schema repository could not be reached.
    SchemaUnavailable = "schema_unavailable", 503, Again, Nothing;
    /// The URI is of a kind that is never followed: absolute, leaving the repository, a fragment, a
    /// metaschema.
    SchemaRefused = "schema_refused", 400, Never, Nothing;
    /// The schema itself is not valid, or not secure to validate with.
    SchemaInvalid = "schema_invalid", 400, Never, Nothing;
    /// The schema can be exploited (a pattern on text of unbounded length, and the like).
    SchemaInsecure = "schema_insecure", 400, Never, Nothing;
    /// The event names no stream (`meta.stream`).
    StreamMissing = "stream_missing", 400, Never, Nothing;
    /// No such stream is declared.
    StreamUnknown = "stream_unknown", 400, Never, Nothing;
    /// The stream is declared, but not for this intake (`destination_event_service`).
    StreamNotAcceptedHere = "stream_not_accepted_here", 400, Never, Nothing;
    /// The stream is for events of another schema title.
    SchemaTitleMismatch = "schema_title_mismatch", 400, Never, Nothing;
    /// The event does not satisfy its schema.
    SchemaViolation = "schema_violation", 400, Never, Nothing;
    /// A field that the stream's message key needs is absent.
    KeyFieldMissing = "key_field_missing", 400, Never, Nothing;
    /// The event's time (`meta.dt`) names no moment.
    TimeInvalid = "time_invalid", 400, Never, Nothing;
    /// An event with this `meta.id` was accepted a short while ago.
    DuplicateEvent = "duplicate_event", 409, Never, Happened;

    // The server's own trouble.
    /// The log takes nothing at the moment.
    StorageUnavailable = "storage_unavailable", 503, Again, Nothing;
    /// The disk is full.
    StorageFull = "storage_full", 503, Again, Nothing;
    /// Stored bytes are damaged and cannot be read.
    StorageDamaged = "storage_damaged", 500, Never, Nothing;
    /// The request's deadline passed before anything was stored.
    DeadlineExceeded = "deadline_exceeded", 503, Again, Nothing;
    /// The log did not say whether it stored the event.
    OutcomeUnknown = "outcome_unknown", 503, Again, Unknown;
    /// More requests at once than the server takes.
    Overloaded = "overloaded", 503, Again, Nothing;
    /// The server is about to stop.
    ShuttingDown = "shutting_down", 503, Again, Nothing;
    /// A fault of the server; its log has the details.
    Internal = "internal", 500, Again, Unknown;

    // Subscriptions.
    /// A requested stream does not exist or is not public.
    StreamNotFound = "stream_not_found", 400, Never, Nothing;
    /// `since` names no moment.
    InvalidTimestamp = "invalid_timestamp", 400, Never, Nothing;
    /// `Last-Event-ID` is no cursor.
    InvalidLastEventId = "invalid_last_event_id", 400, Never, Nothing;
    /// The cursor names a topic that the requested streams do not have.
    TopicNotAvailable = "topic_not_available", 404, Never, Nothing;
    /// A `filter` cannot be read.
    InvalidFilter = "invalid_filter", 400, Never, Nothing;
    /// `fields` cannot be read.
    InvalidFields = "invalid_fields", 400, Never, Nothing;
    /// A parameter has a value outside what it may have.
    InvalidParameter = "invalid_parameter", 400, Never, Nothing;
    /// `X-Client-IP` is required and absent (`compat.eventstreams`).
    ClientIpMissing = "client_ip_missing", 400, Never, Nothing;
    /// This client has as many connections open as it may.
    TooManyConnections = "too_many_connections", 429, Again, Nothing;
    /// The asked position is no longer (or not yet) kept.
    PositionGone = "position_gone", 410, Never, Nothing;

    // Who may do what.
    /// No credentials, or not valid ones.
    Unauthorized = "unauthorized", 401, Never, Nothing;
    /// The credentials are valid and do not allow this.
    Forbidden = "forbidden", 403, Never, Nothing;
    /// Too many requests in too short a time.
    RateLimited = "rate_limited", 429, Again, Nothing;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no code that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code")]
pub struct UnknownCode;

impl std::str::FromStr for ErrorCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownCode)
    }
}

impl serde::Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct_snake_case_and_read_back() {
        let mut seen = HashSet::new();
        for &code in ErrorCode::ALL {
            let text = code.as_str();
            assert!(seen.insert(text), "{text} stands twice");
            assert!(
                text.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            );
            assert_eq!(text.parse(), Ok(code));
        }
        assert_eq!("nope".parse::<ErrorCode>(), Err(UnknownCode));
    }

    #[test]
    fn client_faults_are_never_retryable_and_store_nothing() {
        for &code in ErrorCode::ALL {
            match code.status() {
                408 | 429 => assert!(code.retryable(), "{code}"),
                400..=499 => assert!(!code.retryable(), "{code}"),
                503 => assert!(code.retryable(), "{code}"),
                status => assert_eq!(status, 500, "{code}"),
            }
            if code.outcome() == Outcome::Unknown {
                assert!(code.status() >= 500, "{code}");
            }
        }
    }
}
