//! Which streams exist and what their events must look like.
//!
//! Two things come in, stream configuration and JSON Schemas, and both are data: read whole, checked
//! whole, swapped whole. [`Catalog`] holds the stream [`Snapshot`] in force, [`SchemaRepository`]
//! holds compiled [`Schema`]s. Over them stand the pure functions that answer for them: the
//! stream configuration [`api`], [`authorise`], [`canary_event`], [`check`].
//!
//! Nothing here serves HTTP. Documents on http(s) addresses arrive through the [`Fetch`] port.
//! Files and addresses named in the configuration are trusted as the operator's; schema URIs,
//! stream names and API parameters come from strangers and are not.

pub mod api;
mod authorise;
pub mod builtin;
mod canary;
mod catalog;
mod check;
mod compat;
mod config;
pub mod demo;
mod fetch;
mod merge;
mod pattern;
mod problem;
mod schema;
mod selector;
mod snapshot;
mod source;
mod stream;
mod text;

pub use authorise::{Unauthorised, authorise, describe_event};
pub use canary::{CanaryError, canary_event};
pub use catalog::{Catalog, CatalogError, RefreshOutcome};
pub use check::{CheckReport, Finding, Topic, check};
pub use compat::Compat;
pub use config::{CatalogConfig, Location, Source};
pub use fetch::{Fetch, FetchError, FetchedBody, NoFetch};
pub use problem::{Problem, Severity};
pub use schema::{KnownFields, Schema, SchemaConfig, SchemaError, SchemaRepository, Violation, Violations};
pub use snapshot::Snapshot;
pub use stream::{
    Bound, HeaderField, KeyField, KeyTemplate, MissingKeyField, Redaction, RetentionSettings, SpliceKind,
    Stream, StreamOptions, Visibility,
};
