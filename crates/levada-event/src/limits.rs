//! Bounds that more than one crate must agree on, each with its reason.

/// Deepest nesting of arrays and objects in an accepted event. Deeper documents are refused: every
/// later reader walks them with a bounded stack. (The deepest Wikimedia schema nests 5 levels.)
pub const JSON_DEPTH_MAX: usize = 128;

/// Longest stream or topic name in bytes; Apache Kafka refuses longer topic names.
pub const NAME_BYTES_MAX: usize = 249;

/// Largest record value in bytes a log takes, and so the largest event. Clients of the Realtime API
/// read lines of at most 20 MiB including the line feed (contract realtime §5.1); the rest is room
/// for the fields that delivery adds.
pub const RECORD_BYTES_MAX: usize = 20 * 1024 * 1024 - 4096;

/// Longest line in bytes, without its line feed, that clients of the Realtime API read (contract realtime
/// §5.1). A longer one would end them, and again whenever they resume.
pub const LINE_BYTES_MAX: usize = 20 * 1024 * 1024 - 1;

/// Most partitions a topic may have. The Realtime API uses 50; the rest is room to choose.
pub const PARTITIONS_MAX: u32 = 1024;
