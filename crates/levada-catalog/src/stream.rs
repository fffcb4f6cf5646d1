//! A declared stream: its settings as merged, and what they mean.

mod build;
mod key;
mod options;
mod quantity;
mod redaction;
mod topics;

use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use build::Entry;
pub use key::{KeyField, KeyTemplate, MissingKeyField};
pub use options::{Bound, RetentionSettings, SpliceKind, StreamOptions, Visibility};
pub use redaction::Redaction;

/// A stream with everything its settings say. Immutable; shared by all who work with it.
#[derive(Debug)]
pub struct Stream {
    /// The stream's concrete name; for an entry whose key is a pattern, the pattern.
    pub name: String,
    /// The key as configured. Differs from `name` only where a pattern matched a concrete name.
    pub key: String,
    /// The merged settings with `stream` and `topics`, keys in the order of the contract.
    pub settings: Map<String, Value>,
    /// Title that schemas of events in this stream must have.
    pub schema_title: Option<String>,
    /// URI of the schema to show for this stream, if it is not the latest one of the title.
    pub schema_uri: Option<String>,
    /// Name of the intake service that may accept events for this stream.
    pub destination_event_service: Option<String>,
    /// Topics the stream consists of; for a pattern, one pattern of topics.
    pub topics: Vec<String>,
    /// How record keys are built; `None` for records without keys.
    pub message_key: Option<KeyTemplate>,
    /// Fields filled from request headers, in configured order. Fields set to false are left out.
    pub enrich: Vec<HeaderField>,
    /// Whether canary events are produced into this stream.
    pub canary_events_enabled: bool,
    /// Text for people.
    pub description: Option<String>,
    /// Levada's own additions, from the sub-object `levada`.
    pub levada: StreamOptions,
    /// The file or address that declares the stream.
    pub source: Arc<str>,
    pattern: bool,
    topics_computed: bool,
}

impl Stream {
    /// Whether this is the entry of a pattern itself, which stands for many streams and is none.
    pub fn is_pattern(&self) -> bool {
        self.pattern
    }

    /// Whether readers may see the stream.
    pub fn is_public(&self) -> bool {
        self.levada.visibility == Visibility::Public
    }

    /// Whether `topics` was computed from the prefixes rather than configured.
    pub fn has_computed_topics(&self) -> bool {
        self.topics_computed
    }
}

/// A field of events that is filled from a request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// The field's path. Header names inside paths keep their dots out: `http.request_headers.user-agent`
    /// has three steps.
    pub path: Vec<String>,
    /// The header's name in lower case.
    pub header: String,
}
