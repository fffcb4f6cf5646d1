//! Intake: events in, verdicts out.
//!
//! One call takes the decoded body of a request and gives exactly one verdict per event, in the
//! order of the request. Events keep their text: fields that intake adds are spliced in, nothing is
//! re-serialised. What is accepted was durable in the log before the verdict. Intake knows no HTTP;
//! rules are those of the contract eventplatform §2.7 to §2.10.

use std::net::IpAddr;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use levada_catalog::{Catalog, SchemaRepository, Snapshot};
use levada_event::Timestamp;
use levada_event::json::{Document, JsonError, JsonErrorKind, Recycled};
use levada_log::{Log, Partitioner, Retention};
use levada_wire::{ErrorCode, Failure, Report};

mod add;
mod append;
mod article_key;
mod check;
mod dedupe;
mod enrich;
mod error_event;
mod recall;
#[cfg(test)]
mod tests;
mod topics;

use append::Plan;
use check::{Scratch, Terms};
use dedupe::Windows;
use topics::Topics;
pub(crate) use topics::{retention_of, topic_of};

/// What intake is told once.
#[derive(Debug, Clone)]
pub struct IntakeOptions {
    /// Name of this intake; only streams destined to it are accepted. `None` accepts all.
    pub service: Option<String>,
    /// Put before a stream's name to make its topic.
    pub topic_prefix: String,
    /// Stream that receives error events.
    pub error_stream: Option<String>,
    /// Largest event in bytes.
    pub event_bytes_max: usize,
    /// Most events in one request.
    pub batch_events_max: usize,
    /// How long a request may take: its body, the schemas it needs, and storage each at most so long.
    pub deadline: Duration,
    /// Retention of streams that declare none.
    pub retention: Retention,
    /// Named as `emitter_id` in error events.
    pub emitter: String,
    /// Which partition a key goes to.
    pub partitioner: Partitioner,
}

/// What intake needs to know of the request that brought the events.
pub struct RequestContext {
    /// Looks up a request header by its name in lower case.
    pub headers: Headers,
    /// Who sent the request, as far as the connection tells.
    pub peer: IpAddr,
    /// Made when it is asked for.
    pub request_id: OnceLock<String>,
    /// `$schema` for events without one.
    pub schema_uri: Option<String>,
    /// `meta.stream` for events without one.
    pub stream: Option<String>,
    /// When the request came.
    pub received: Timestamp,
    /// Until when schemas that are not at hand are waited for, all of them together.
    pub due: tokio::time::Instant,
    /// Whether whoever sent the request may publish to the stream of this name; `None` where
    /// nobody is asked.
    pub may_write: Option<MayWrite>,
    /// Whether the client was answered before the events are stored, so that a faster and less
    /// certain way of storing may be taken.
    pub hasty: bool,
    /// Topic that the events go to, one of their stream's; `None` for the one that their stream and the
    /// intake's prefix name.
    pub topic: Option<String>,
}

impl RequestContext {
    /// Value of `x-request-id`, or one made for this request.
    pub fn request_id(&self) -> &str {
        let made = || uuid::Uuid::now_v7().to_string();
        self.request_id
            .get_or_init(|| (self.headers)("x-request-id").unwrap_or_else(made))
    }

    /// The client's address. As the original: the producer's word, then the proxy's, then the socket's
    /// (contract §2.7 step 8).
    pub fn client_ip(&self) -> String {
        let forwarded = || {
            let all = (self.headers)("x-forwarded-for")?;
            all.split(',').next().map(|ip| ip.trim().to_owned())
        };
        (self.headers)("x-client-ip")
            .or_else(forwarded)
            .unwrap_or_else(|| self.peer.to_string())
    }
}

/// Whether someone may publish to the stream of this name.
pub type MayWrite = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Looks up a request header by its name in lower case.
pub type Headers = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Why a body as a whole was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// No events: nothing, `{}` or `[]`.
    #[error("Request body was empty. Must provide JSON encoded events.")]
    Empty,
    /// Not JSON, or JSON that is refused.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// JSON, but neither an object nor an array.
    #[error("the body must be a JSON object (one event) or an array of events")]
    Scalar,
    /// More events than one request may have.
    #[error("the body has {events} events, more than the {max} that one request may have; split it")]
    TooMany {
        /// Events in the body.
        events: usize,
        /// Most that are taken.
        max: usize,
    },
}

impl BodyFault {
    /// The public code of this fault.
    pub fn code(&self) -> ErrorCode {
        match self {
            BodyFault::Empty => ErrorCode::EmptyBody,
            BodyFault::TooMany { .. } => ErrorCode::TooManyEvents,
            BodyFault::Json(JsonError {
                kind: JsonErrorKind::Utf8,
                ..
            }) => ErrorCode::InvalidUtf8,
            BodyFault::Json(JsonError {
                kind: JsonErrorKind::Depth,
                ..
            }) => ErrorCode::TooDeep,
            BodyFault::Json(JsonError {
                kind: JsonErrorKind::Size,
                ..
            }) => ErrorCode::BodyTooLarge,
            BodyFault::Json(_) | BodyFault::Scalar => ErrorCode::MalformedJson,
        }
    }
}

/// Takes events.
pub struct Intake {
    catalog: Arc<Catalog>,
    schemas: Arc<SchemaRepository>,
    log: Arc<dyn Log>,
    options: IntakeOptions,
    topics: Topics,
    windows: Arc<Windows>,
    round_robin: AtomicU32,
    /// Counts accepted events; looked up once.
    accepted: OnceLock<metrics::Counter>,
}

impl Intake {
    /// Other streams may be declared by now, or declared otherwise.
    pub(crate) fn was_reloaded(&self) {
        let snapshot = self.catalog.snapshot();
        self.windows.keep(|name| {
            let stream = snapshot.stream(name);
            stream.is_some_and(|stream| stream.levada.dedupe_window.is_some())
        });
    }

    /// An intake that checks against `catalog` and `schemas` and appends to `log`.
    pub fn new(
        catalog: Arc<Catalog>,
        schemas: Arc<SchemaRepository>,
        log: Arc<dyn Log>,
        options: IntakeOptions,
    ) -> Self {
        Self {
            catalog,
            schemas,
            log,
            options,
            topics: Topics::default(),
            windows: Arc::default(),
            round_robin: AtomicU32::new(0),
            accepted: OnceLock::new(),
        }
    }

    /// How many events `body` has, without looking at them; the answer to a hasty request.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn count(&self, body: &[u8]) -> Result<usize, BodyFault> {
        let document = Document::parse_batch(body, Recycled::default())?;
        self.events(&document).map(|events| events.len())
    }

    /// Checks, completes and stores the events of `body` (one object, or an array of events).
    ///
    /// # Errors
    /// [`BodyFault`] when the body as a whole is no batch of events; then nothing happened.
    pub async fn submit(&self, body: &[u8], request: &RequestContext) -> Result<Report<'static>, BodyFault> {
        let document = Document::parse_batch(body, Recycled::default())?;
        let events = self.events(&document)?;
        let total = events.len();
        let snapshot = self.catalog.snapshot();
        let one_line = memchr::memchr3(b'\n', b'\r', b'\t', body).is_none();
        let mut scratch = Scratch::with_capacity(body.len() + total * 96, one_line);
        let mut plan = Plan::default();
        let mut failures: Vec<Failure<'static>> = Vec::new();
        let terms = Terms {
            may_write: request.may_write.as_ref(),
            topic: request.topic.as_deref(),
        };
        for (index, event) in events.iter().enumerate() {
            let from = scratch.mark();
            match self
                .check(&document, *event, (request, terms), &snapshot, &mut scratch)
                .await
            {
                Ok(checked) => plan.add(index, checked),
                Err(refusal) => {
                    failures.push(refusal.into_failure(index));
                    scratch.reset(from);
                }
            }
        }
        drop(events);
        self.append(plan, scratch.freeze(), request.hasty, &mut failures)
            .await;
        failures.sort_by_key(|failure| failure.index);
        self.count_verdicts(total, &failures);
        if let Some(stream) = &self.options.error_stream {
            self.report_errors(stream, &failures, request, &snapshot).await;
        }
        Ok(Report { total, failures })
    }

    fn events<'d>(
        &self,
        document: &'d Document<'_>,
    ) -> Result<Vec<levada_event::json::Value<'d>>, BodyFault> {
        use levada_event::json::Kind;
        let root = document.root();
        let events: Vec<_> = match root.kind() {
            Kind::Array => root.items().collect(),
            Kind::Object => vec![root],
            _ => return Err(BodyFault::Scalar),
        };
        if root.is_empty() {
            return Err(BodyFault::Empty);
        }
        if events.len() > self.options.batch_events_max {
            return Err(BodyFault::TooMany {
                events: events.len(),
                max: self.options.batch_events_max,
            });
        }
        Ok(events)
    }

    fn count_verdicts(&self, total: usize, failures: &[Failure<'_>]) {
        self.accepted
            .get_or_init(|| metrics::counter!("levada_intake_events_total", "verdict" => "accepted"))
            .increment((total - failures.len()) as u64);
        for failure in failures {
            metrics::counter!("levada_intake_events_total", "verdict" => failure.code.as_str()).increment(1);
        }
    }

    /// Stores error events for the failures that deserve one. Their own failures are logged and
    /// counted, never reported again.
    async fn report_errors(
        &self,
        stream: &str,
        failures: &[Failure<'static>],
        request: &RequestContext,
        snapshot: &Snapshot,
    ) {
        let texts = error_event::build(
            stream,
            &self.options.emitter,
            failures,
            request,
            self.options.event_bytes_max,
        );
        if texts.is_empty() {
            return;
        }
        let mut scratch = Scratch::with_capacity(texts.iter().map(String::len).sum(), true);
        let mut plan = Plan::default();
        let mut lost: Vec<Failure<'static>> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let document = match Document::parse(text.as_bytes()) {
                Ok(document) => document,
                Err(error) => {
                    tracing::error!(%error, "an error event is not JSON");
                    continue;
                }
            };
            let from = scratch.mark();
            // These are our own: what holds for the sender's events does not count.
            let from_us = (request, Terms::default());
            match self
                .check(&document, document.root(), from_us, snapshot, &mut scratch)
                .await
            {
                Ok(checked) => plan.add(index, checked),
                Err(refusal) => {
                    lost.push(refusal.into_failure(index));
                    scratch.reset(from);
                }
            }
        }
        self.append(plan, scratch.freeze(), request.hasty, &mut lost)
            .await;
        metrics::counter!("levada_intake_error_events_total").increment((texts.len() - lost.len()) as u64);
        if let Some(first) = lost.first() {
            metrics::counter!("levada_intake_error_events_lost_total").increment(lost.len() as u64);
            tracing::warn!(stream, lost = lost.len(), reason = %first.context.text(), "error events were not stored");
        }
    }
}

/// The texts of a request's events, keys and values one behind the other, as one shared buffer.
type Texts = Bytes;

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
