//! The vocabulary of Levada: names, JSON text, records, positions, time, field paths and limits.
//!
//! Nothing here does I/O, reads a clock or knows HTTP. An event stays what its producer wrote: the
//! types in [`json`] point into the original text, so numbers keep their digits, objects keep their
//! key order and strings keep their escapes.

pub mod filter;
pub mod json;
pub mod limits;
pub mod name;
pub mod path;
pub mod pool;
pub mod position;
pub mod project;
pub mod record;
pub mod redact;
pub mod scan;
pub mod select;
pub mod splice;
pub mod time;

pub use name::{NameError, StreamName, TopicName};
pub use position::{Bounds, Offset, Position, Start, TopicPartition};
pub use record::{Flags, Record, RecordBatch, RecordBatchBuilder, RecordRef, Splice};
pub use time::Timestamp;
