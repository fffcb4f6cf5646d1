//! One event: find its schema and stream, complete it, validate it, decide where it goes.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use levada_catalog::{
    Schema, SchemaError, Snapshot, SpliceKind, Stream, Unauthorised, authorise, describe_event,
};
use levada_event::json::{Document, Kind, Recycled, Value, push_one_line};
use levada_event::limits::RECORD_BYTES_MAX;
use levada_event::splice::{Dialect, escape_separators, find_splice_in, has_separators};
use levada_event::{Flags, Splice, Timestamp};
use levada_log::partition_of;
use levada_wire::report::{Context, Violation};
use levada_wire::{ErrorCode, Failure};

use super::topics::Topic;
use super::{Intake, MayWrite, RequestContext, article_key, enrich};

/// What holds for the events of a request, and not for the error events that come of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Terms<'a> {
    /// As [`RequestContext::may_write`].
    pub(super) may_write: Option<&'a MayWrite>,
    /// As [`RequestContext::topic`].
    pub(super) topic: Option<&'a str>,
}

/// The texts of a request while its events are checked.
pub(super) struct Scratch {
    out: Vec<u8>,
    recycled: Recycled,
    one_line: bool,
    /// What the event before needed, since the events of a request are mostly alike.
    needs: Option<Needs>,
}

/// What an event of this schema for this stream needs to be accepted.
struct Needs {
    uri: String,
    schema: Arc<Schema>,
    name: String,
    stream: Option<Arc<Stream>>,
    /// The stream, once events of this schema were found to be allowed in it.
    approved: Option<Arc<Stream>>,
    topic: Option<Arc<Topic>>,
}

impl Scratch {
    pub(super) fn with_capacity(bytes: usize, one_line: bool) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
            recycled: Recycled::default(),
            one_line,
            needs: None,
        }
    }

    pub(super) fn mark(&self) -> usize {
        self.out.len()
    }

    pub(super) fn reset(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    pub(super) fn freeze(self) -> Bytes {
        Bytes::from(self.out)
    }
}

/// An event that may be stored, its texts as ranges of the scratch.
pub(super) struct Checked {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: u32,
    pub(super) key: Option<Range<usize>>,
    pub(super) value: Range<usize>,
    pub(super) timestamp: Timestamp,
    pub(super) splice: Splice,
    pub(super) flags: Flags,
    /// `meta.id`, where the stream wants repeated events to be recognised.
    pub(super) dedupe: Option<(Arc<Stream>, String)>,
}

/// An event that is not stored, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    context: Context,
    event: String,
}

impl Refusal {
    fn new(code: ErrorCode, message: impl Into<String>, event: &str) -> Box<Self> {
        Box::new(Self {
            code,
            context: Context::Message(message.into()),
            event: event.into(),
        })
    }

    pub(super) fn into_failure(self, index: usize) -> Failure<'static> {
        Failure {
            index,
            code: self.code,
            event: Cow::Owned(self.event),
            context: self.context,
        }
    }
}

impl Intake {
    /// Checks one event of `document`; on success its key and value stand at the end of `scratch`.
    pub(super) async fn check(
        &self,
        document: &Document<'_>,
        event: Value<'_>,
        (request, terms): (&RequestContext, Terms<'_>),
        snapshot: &Snapshot,
        scratch: &mut Scratch,
    ) -> Result<Checked, Box<Refusal>> {
        let refuse = |code, message: &str| Refusal::new(code, message, event.raw());
        if event.kind() != Kind::Object {
            return Err(refuse(ErrorCode::NotAnObject, "an event must be a JSON object"));
        }
        if let Some(key) = document.duplicate_in(event) {
            let message = format!("the key {key:?} stands twice in one object");
            return Err(refuse(ErrorCode::DuplicateKey, &message));
        }
        if event.raw().len() > self.options.event_bytes_max {
            let message = format!(
                "the event has {} bytes, more than the {} that are taken",
                event.raw().len(),
                self.options.event_bytes_max
            );
            return Err(refuse(ErrorCode::EventTooLarge, &message));
        }
        // Delivered lines have no raw separators, and an escape may be three times as long (contract realtime §5.1).
        let raw = event.raw().as_bytes();
        if raw.len() > RECORD_BYTES_MAX / 3 && escape_separators(raw).len() > RECORD_BYTES_MAX {
            let message = "the event with its U+0085, U+2028 and U+2029 escaped would be longer than the 20 MiB that clients read";
            return Err(refuse(ErrorCode::EventTooLarge, message));
        }
        let named = event
            .get("meta")
            .and_then(|meta| meta.get("stream"))
            .map(|s| s.as_str());
        let uri = match event.get("$schema").map(|s| s.as_str()) {
            Some(Some(uri)) if !uri.is_empty() => uri,
            Some(_) => {
                return Err(refuse(
                    ErrorCode::SchemaMissing,
                    "$schema must be a non-empty string",
                ));
            }
            None => match (&request.schema_uri, &request.stream) {
                (Some(uri), _) => Cow::Borrowed(uri.as_str()),
                (None, Some(stream)) => {
                    let name = named.as_ref().and_then(Option::as_deref);
                    let declared = declared_schema(snapshot, name.unwrap_or(stream));
                    Cow::Owned(declared.map_err(|why| refuse(ErrorCode::SchemaMissing, &why))?)
                }
                (None, None) => {
                    let message = "Field(s) $schema were missing from event and could not be extracted.";
                    return Err(refuse(ErrorCode::SchemaMissing, message));
                }
            },
        };
        let alike = scratch.needs.as_ref().filter(|needs| needs.uri == uri);
        let schema = alike.map(|needs| needs.schema.clone());
        let schema = match schema.or_else(|| self.schemas.cached(&uri)) {
            Some(schema) => schema,
            None => match tokio::time::timeout_at(request.due, self.schemas.schema(&uri)).await {
                Ok(loaded) => loaded.map_err(|e| schema_refusal(&e, event.raw()))?,
                Err(_) => {
                    let message = format!(
                        "Failed loading schema at {uri}: it was not there within the request's deadline; try again"
                    );
                    return Err(refuse(ErrorCode::SchemaUnavailable, &message));
                }
            },
        };
        let stream_name = match named {
            Some(Some(name)) if !name.is_empty() => name,
            Some(_) => {
                return Err(refuse(
                    ErrorCode::StreamMissing,
                    "meta.stream must be a non-empty string",
                ));
            }
            None => match &request.stream {
                Some(name) => Cow::Borrowed(name.as_str()),
                None => {
                    let message = "Field(s) meta.stream were missing from event and could not be extracted.";
                    return Err(refuse(ErrorCode::StreamMissing, message));
                }
            },
        };
        if let Some(may_write) = terms.may_write
            && !may_write(&stream_name)
        {
            let message = format!("these credentials may not publish to {stream_name}");
            return Err(refuse(ErrorCode::Forbidden, &message));
        }
        let alike = scratch.needs.as_ref();
        let alike = alike.filter(|needs| needs.name == stream_name && needs.uri == uri);
        let stream = match alike {
            Some(needs) => needs.stream.clone(),
            None => {
                let stream = snapshot.stream(&stream_name);
                scratch.needs = Some(Needs {
                    uri: uri.to_string(),
                    schema: schema.clone(),
                    name: stream_name.to_string(),
                    stream: stream.clone(),
                    approved: None,
                    topic: None,
                });
                stream
            }
        };
        // A version is named, also where "latest" was looked up.
        let schema_uri = match (event.get("$schema"), &request.schema_uri) {
            (Some(_), _) => None,
            (None, Some(uri)) => Some(uri.as_str()),
            (None, None) => schema.id().filter(|id| id.starts_with('/')).or(Some(&*uri)),
        };
        let additions = enrich::additions(event, &schema, stream.as_deref(), request, schema_uri);
        let start = scratch.mark();
        if scratch.one_line && additions.is_empty() && !schema.has_defaults() {
            scratch.out.extend_from_slice(event.raw().as_bytes());
            return self
                .accept(
                    event,
                    snapshot,
                    &schema,
                    &stream_name,
                    (request, terms.topic, start..scratch.mark()),
                    scratch,
                )
                .await;
        }
        // The text changes, so what is checked and stored is the changed text, parsed again.
        let mut text = Vec::with_capacity(event.raw().len() + 256);
        additions.render(event, &mut text);
        if !scratch.one_line {
            let mut flat = Vec::with_capacity(text.len());
            push_one_line(&mut flat, &String::from_utf8_lossy(&text));
            text = flat;
        }
        let fault = |e: levada_event::json::JsonError| {
            Refusal::new(ErrorCode::MalformedJson, e.to_string(), event.raw())
        };
        let mut changed =
            Document::parse_with(&text, std::mem::take(&mut scratch.recycled)).map_err(fault)?;
        let filled = schema.fill_defaults(&text, changed.root());
        if let Some(filled) = &filled {
            changed = Document::parse(filled).map_err(fault)?;
        }
        scratch.out.extend_from_slice(changed.root().raw().as_bytes());
        let range = start..scratch.mark();
        let result = self
            .accept(
                changed.root(),
                snapshot,
                &schema,
                &stream_name,
                (request, terms.topic, range),
                scratch,
            )
            .await;
        scratch.recycled = changed.recycle();
        result
    }

    /// Authorises and validates the complete event and plans its record.
    async fn accept(
        &self,
        event: Value<'_>,
        snapshot: &Snapshot,
        schema: &Arc<Schema>,
        stream_name: &str,
        (request, named, value): (&RequestContext, Option<&str>, Range<usize>),
        scratch: &mut Scratch,
    ) -> Result<Checked, Box<Refusal>> {
        let refuse = |code, message: String| Refusal::new(code, message, event.raw());
        let meta = event.get("meta");
        let id = meta.and_then(|m| m.get("id")).and_then(|id| id.as_str());
        let approved = scratch.needs.as_ref().and_then(|needs| needs.approved.clone());
        let stream = match approved {
            Some(stream) => stream,
            None => {
                authorise(snapshot, stream_name, schema, self.options.service.as_deref()).map_err(|e| {
                    let who = describe_event(id.as_deref(), Some(schema.uri()), Some(stream_name));
                    let declared = snapshot.stream(stream_name);
                    let code = unauthorised_code(&e, declared.is_some_and(|found| !found.is_pattern()));
                    refuse(code, format!("{who} {e}"))
                })?
            }
        };
        if let Err(violations) = schema.validate(event) {
            let violations = violations.iter().map(wire_violation).collect();
            let context = Context::Violations(violations);
            let event = event.raw().to_owned();
            return Err(Box::new(Refusal {
                code: ErrorCode::SchemaViolation,
                context,
                event,
            }));
        }
        let now = || Timestamp::from_system(std::time::SystemTime::now());
        let timestamp = match meta.and_then(|m| m.get("dt")).and_then(|dt| dt.as_str()) {
            Some(dt) => Timestamp::parse_iso(&dt).ok_or_else(|| {
                refuse(
                    ErrorCode::TimeInvalid,
                    format!("meta.dt {dt:?} names no moment in time"),
                )
            })?,
            None => now(),
        };
        // Clients of the Realtime API resume by the time at which they were sent articles, so theirs is
        // the time of storing (contract realtime §1.4).
        let timestamp = match stream.levada.splice {
            SpliceKind::Meta => timestamp,
            SpliceKind::Event => now(),
        };
        let key = match &stream.message_key {
            None => None,
            Some(template) => {
                let start = scratch.mark();
                if let Err(missing) = template.render(event, &mut scratch.out)
                    && !(stream.levada.splice == SpliceKind::Event
                        && article_key::by_title(event, &mut scratch.out))
                {
                    return Err(refuse(ErrorCode::KeyFieldMissing, missing.to_string()));
                }
                Some(start..scratch.mark())
            }
        };
        let topic = match scratch.needs.as_ref().and_then(|needs| needs.topic.clone()) {
            Some(topic) => topic,
            None => self
                .topic(&stream, (stream_name, named), request.due)
                .await
                .map_err(|(code, why)| refuse(code, why))?,
        };
        if let Some(needs) = &mut scratch.needs
            && needs.topic.is_none()
        {
            needs.approved = Some(stream.clone());
            needs.topic = Some(topic.clone());
        }
        let key_bytes = key.clone().map(|range| &scratch.out[range]);
        let partition = partition_of(key_bytes, topic.partitions(), self.options.partitioner, || {
            self.round_robin.fetch_add(1, Ordering::Relaxed)
        });
        let dialect = match stream.levada.splice {
            SpliceKind::Meta => Dialect::Meta,
            SpliceKind::Event => Dialect::Event,
        };
        // The record's text begins where the event does, the document's may begin earlier.
        let splice = find_splice_in(event, dialect)
            .get()
            .map_or(Splice::UNKNOWN, |at| Splice::at(at - event.start()));
        let canary = meta
            .and_then(|m| m.get("domain"))
            .is_some_and(|domain| domain.is_str("canary"));
        let mut flags = Flags::CHECKED;
        if canary {
            flags = flags.with(Flags::CANARY);
        }
        if !has_separators(&scratch.out[value.clone()]) {
            flags = flags.with(Flags::NO_SEPARATORS);
        }
        // Canaries repeat the id of their schema's example on purpose.
        let dedupe = match id {
            Some(id) if stream.levada.dedupe_window.is_some() && !canary => {
                self.recall(&stream, &topic, request.due)
                    .await
                    .map_err(|(code, why)| refuse(code, why))?;
                Some((stream, id.into_owned()))
            }
            _ => None,
        };
        Ok(Checked {
            topic,
            partition,
            key,
            value,
            timestamp,
            splice,
            flags,
            dedupe,
        })
    }
}

/// The schema of an event that names none, in a request that names its stream.
fn declared_schema(snapshot: &Snapshot, stream: &str) -> Result<String, String> {
    let declared = snapshot.stream(stream);
    match declared.map(|stream| (stream.schema_uri.clone(), stream.schema_title.clone())) {
        Some((Some(uri), _)) => Ok(uri),
        Some((None, Some(title))) => Ok(format!("/{}/latest", title.trim_matches('/'))),
        Some((None, None)) => Err(format!(
            "the event has no $schema, and the stream {stream} declares none"
        )),
        None => Err(format!(
            "the event has no $schema, and there is no stream {stream} whose schema could be taken"
        )),
    }
}

fn schema_refusal(error: &SchemaError, event: &str) -> Box<Refusal> {
    let code = match error {
        SchemaError::BadUri { .. } => ErrorCode::SchemaRefused,
        SchemaError::NotFound { .. } | SchemaError::Unreadable { .. } => ErrorCode::SchemaUnreadable,
        SchemaError::Unavailable { .. } => ErrorCode::SchemaUnavailable,
        SchemaError::Insecure { .. } => ErrorCode::SchemaInsecure,
        SchemaError::Invalid { .. } => ErrorCode::SchemaInvalid,
    };
    // The text begins as the original's: `Failed loading schema at {uri}`.
    Refusal::new(code, error.to_string(), event)
}

fn unauthorised_code(error: &Unauthorised, declared: bool) -> ErrorCode {
    match error {
        // A declared stream that counts as not configured is one of another service.
        Unauthorised::NotConfigured { .. } if declared => ErrorCode::StreamNotAcceptedHere,
        Unauthorised::NotConfigured { .. } | Unauthorised::NoSettings { .. } => ErrorCode::StreamUnknown,
        Unauthorised::NoSchemaTitle { .. } | Unauthorised::WrongTitle { .. } => {
            ErrorCode::SchemaTitleMismatch
        }
    }
}

fn wire_violation(violation: &levada_catalog::Violation) -> Violation {
    Violation {
        keyword: violation.keyword.clone(),
        data_path: violation.data_path.clone(),
        schema_path: violation.schema_path.clone(),
        params: violation.params.to_string(),
        message: violation.message.clone(),
    }
}
