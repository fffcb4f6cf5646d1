//! Routes and header names, so that server and client cannot drift apart.

/// `POST`: the intake (contract eventplatform §1.1).
pub const EVENTS: &str = "/v1/events";
/// `GET`: posts the configured test events to the intake.
pub const TEST_EVENTS: &str = "/v1/_test/events";
/// `GET`: the intake's view of stream configuration; `/{names}` may follow.
pub const STREAM_CONFIGS: &str = "/v1/stream-configs";
/// `GET ?action=streamconfigs`: stream configuration as MediaWiki answers it.
pub const API: &str = "/w/api.php";
/// The short spelling of [`API`].
pub const API_SHORT: &str = "/api.php";
/// `GET`: an EventStreams response; `/{streams}` follows (contract eventstreams §1.1).
pub const STREAM: &str = "/v2/stream";
/// `GET`, `POST`: the Realtime API's articles.
pub const ARTICLES: &str = "/v2/articles";
/// `GET`, `POST`: the Realtime API for any declared stream; `/{stream}` follows.
pub const STREAMS: &str = "/v2/streams";
/// `GET`: name, version, description and home of the service; `/name`, `/version`, `/home` may follow.
pub const INFO: &str = "/_info";
/// `GET`: what crawlers may do (nothing).
pub const ROBOTS: &str = "/robots.txt";
/// `GET`: whether the process lives.
pub const LIVEZ: &str = "/livez";
/// `GET`: whether the process can serve, by component.
pub const READYZ: &str = "/readyz";
/// `GET`: metrics in Prometheus' text format.
pub const METRICS: &str = "/metrics";
/// `GET`: the user interface.
pub const UI: &str = "/v2/ui";
/// The path of the long-gone RCStream, redirected to the documentation.
pub const RC: &str = "/rc";

/// Request header with the cursor to resume from (contract eventstreams §1.4).
pub const LAST_EVENT_ID: &str = "last-event-id";
/// Response header of a subscription whose asked position is gone: a list as
/// [`Gap::header_item`](crate::Gap::header_item) writes it, joined by `, `; the last
/// may be `+N`: so many more that did not fit.
pub const GAP: &str = "levada-gap";
/// Response header of the Realtime API: the id of the log that offsets belong to. Another id under the same
/// address means other data.
pub const LOG_ID: &str = "levada-log";
/// Request and response header that names a request in logs.
pub const REQUEST_ID: &str = "x-request-id";
/// Response header of the intake: the machine-readable outcome of the whole request where it is one
/// code. The reason phrase carries the sentence, but HTTP/2 has none.
pub const ERROR_CODE: &str = "levada-error-code";
/// Content type of an SSE response.
pub const TYPE_SSE: &str = "text/event-stream";
/// Content type of a Realtime NDJSON response.
pub const TYPE_NDJSON: &str = "application/x-ndjson";
/// Content type of JSON bodies and of EventStreams' NDJSON mode.
pub const TYPE_JSON: &str = "application/json";
