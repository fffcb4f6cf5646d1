//! Going at once to the object that receives delivery's fields, since intake noted where it ends.
//!
//! An article's `event` stands behind its body, which is most of its text. When nothing in between is
//! wanted, nothing in between needs to be looked at.

use memchr::memmem;

use crate::scan::Cursor;

/// Stepping over less than this costs no more than looking for the place.
const NEAR: usize = 128;

/// Where the key of the root's member `key` begins, somewhere behind `from`, if its value is the object
/// whose closing brace stands at `end`. `None` where that cannot be told, as with spaces around the colon.
///
/// In text that intake has checked, only one object closes at a brace, so what is found cannot be another.
pub(super) fn key_of_object(bytes: &[u8], from: usize, key: &str, end: usize) -> Option<usize> {
    let opening: &[u8] = match key {
        "event" => br#""event":{"#,
        "meta" => br#""meta":{"#,
        _ => return None,
    };
    let between = bytes.get(from..end).filter(|between| between.len() > NEAR)?;
    let at = from + memmem::rfind(between, opening)?;
    let mut cursor = Cursor {
        bytes,
        at: at + opening.len(),
    };
    cursor.skip_rest_of_object().ok()?;
    (cursor.at == end + 1).then_some(at)
}
