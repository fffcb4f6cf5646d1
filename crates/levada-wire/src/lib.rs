//! The HTTP contract of Levada in both directions: paths, error codes, reports, cursors as text,
//! subscriptions, SSE and NDJSON.
//!
//! The server writes what the client here reads, and the other way round. Nothing in this crate does
//! I/O, reads a clock, or knows an HTTP library: statuses are numbers, headers are names, bodies are
//! bytes. Everything that comes from the other side is taken within named bounds.

pub mod code;
pub mod cursor;
pub mod gap;
pub mod ndjson;
pub mod paths;
pub mod problem;
pub mod report;
pub mod sse;
pub mod subscription;

pub use code::{ErrorCode, Outcome};
pub use cursor::{CursorError, CursorText, Element, Exact};
pub use gap::{Gap, GapReason};
pub use problem::{Problem, StreamError};
pub use report::{Failure, FailureKind, Report, Violation};
pub use subscription::{FilterText, QueryError, Subscription};
