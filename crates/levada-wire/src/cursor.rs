//! Cursors as text: the value of `id:` in a stream and of `Last-Event-ID` in a request.
//!
//! The text is a JSON array with one element for every partition (contract eventstreams §1.4). To the
//! reference's keys we add one, `"at":"<log>:<next>"`: the exact position, as the log's eight
//! hexadecimal digits and the next offset to read. It is a string under a name that no other client
//! knows, so all of them ignore it and send it back (§2.8). Without it a cursor can only say
//! "from this millisecond on", which repeats or loses events that share one.

//!
//! The Realtime API has a [compact form](CompactCursor), because its readers have many partitions.

mod compact;
mod parse;
mod write;

pub use compact::CompactCursor;
pub use parse::{CursorError, Element, Exact, PartitionElement, parse};
pub use write::{CursorText, First};

/// Longest cursor text accepted, in bytes. Servers bound header fields before that; this bounds
/// resume files and other sources.
pub const CURSOR_BYTES_MAX: usize = 512 * 1024;

/// Most elements a cursor may have: a composite stream of several topics with
/// [`PARTITIONS_MAX`](levada_event::limits::PARTITIONS_MAX) partitions each.
pub const ELEMENTS_MAX: usize = 8192;

/// Reads a cursor in either form, JSON as [`parse`] does or [compact](CompactCursor).
///
/// # Errors
/// [`CursorError`].
pub fn parse_any(text: &str) -> Result<Vec<Element>, CursorError> {
    if compact::is_compact(text) {
        compact::parse(text)
    } else {
        parse(text)
    }
}
