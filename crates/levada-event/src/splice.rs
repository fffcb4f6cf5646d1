//! The fields that delivery adds to an event: where it came from.
//!
//! EventStreams puts `"topic":…,"partition":…,"offset":…` at the end of `meta` (contract eventstreams §1.7), the
//! Realtime API puts `"partition":…,"offset":…` at the end of `event` (contract realtime §1.6). An object that is
//! absent, or stands there as something else than an object, is created; fields of these names that the
//! event already carries (mirrored events do) are replaced, never doubled.
//!
//! Intake remembers the byte before the object's closing brace ([`find_splice`]), so that adding the fields
//! costs two copies and no look at the text.

mod separators;

pub(crate) use separators::escape_separators_from;
pub use separators::{escape_separators, has_separators};

use crate::json::{Kind, Value};
use crate::record::Splice;
use crate::scan::{Broken, Cursor, Text};

/// Which fields delivery adds, and to which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// None: the event as stored.
    Bare,
    /// EventStreams: `topic`, `partition` and `offset` in `meta`.
    Meta,
    /// Articles: `partition` and `offset` in `event`.
    Event,
}

impl Dialect {
    /// Key of the object that receives the fields.
    pub fn object(self) -> Option<&'static str> {
        match self {
            Dialect::Bare => None,
            Dialect::Meta => Some("meta"),
            Dialect::Event => Some("event"),
        }
    }

    /// Keys of the fields, in the order in which they are added.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Dialect::Bare => &[],
            Dialect::Meta => &["topic", "partition", "offset"],
            Dialect::Event => &["partition", "offset"],
        }
    }
}

/// Where records come from: one partition of a topic, with its part of the added fields rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `"topic":"…","partition":…,"offset":`
    fields: Box<[u8]>,
    /// Where `"partition"` begins.
    partition_at: usize,
    topic: Box<str>,
    partition: Box<str>,
    stored: Dialect,
}

impl Origin {
    /// For records of `partition` of `topic`. `stored` says for which dialect the topic's records
    /// carry their [`Splice`]: [`Dialect::Event`] for articles, [`Dialect::Meta`] for everything
    /// else, [`Dialect::Bare`] if they carry none.
    pub fn new(topic: &str, partition: u32, stored: Dialect) -> Self {
        let mut fields = b"\"topic\":".to_vec();
        crate::json::write_string(&mut fields, topic);
        fields.push(b',');
        let partition_at = fields.len();
        let partition = partition.to_string();
        fields.extend_from_slice(b"\"partition\":");
        fields.extend_from_slice(partition.as_bytes());
        fields.extend_from_slice(b",\"offset\":");
        Self {
            fields: fields.into(),
            partition_at,
            topic: topic.into(),
            partition: partition.into(),
            stored,
        }
    }

    /// For which dialect records carry their splice position.
    pub(crate) fn stored(&self) -> Dialect {
        self.stored
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn partition(&self) -> &str {
        &self.partition
    }

    /// Writes the fields without braces.
    pub(crate) fn push_fields(&self, dialect: Dialect, offset: u64, out: &mut Vec<u8>) {
        let constant = match dialect {
            Dialect::Bare => return,
            Dialect::Meta => &self.fields[..],
            Dialect::Event => &self.fields[self.partition_at..],
        };
        out.extend_from_slice(constant);
        out.extend_from_slice(Decimal::of(offset).as_bytes());
    }

    /// Writes `text` with the fields inserted at `at`, which must be the closing brace of the object that
    /// receives them. False, and nothing written, when there is no brace at `at`.
    pub(crate) fn insert(
        &self,
        dialect: Dialect,
        offset: u64,
        text: &[u8],
        at: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        if text.get(at) != Some(&b'}') {
            return false;
        }
        let (before, after) = text.split_at(at);
        out.reserve(text.len() + self.fields.len() + 24);
        out.extend_from_slice(before);
        // Only an empty object has its opening brace right before the closing one.
        if before.trim_ascii_end().last() != Some(&b'{') {
            out.push(b',');
        }
        self.push_fields(dialect, offset, out);
        out.extend_from_slice(after);
        true
    }
}

/// The digits of a number, without allocating.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn of(mut value: u64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Where delivery inserts the fields of `dialect` into `text`, which intake has checked.
/// [`Splice::UNKNOWN`] when the object is absent or no object, or already carries one of the fields: then
/// delivery has to rewrite the text.
pub fn find_splice(text: &[u8], dialect: Dialect) -> Splice {
    let (Some(object), Ok(trusted)) = (dialect.object(), Text::trusted(text)) else {
        return Splice::UNKNOWN;
    };
    let before = text.len() - text.trim_ascii_start().len();
    match closing_brace(trusted.bytes(), object, dialect.fields()) {
        Ok(Some(at)) => Splice::at(before + at),
        Ok(None) | Err(Broken) => Splice::UNKNOWN,
    }
}

/// As [`find_splice`], for the root of a parsed document whose text is stored as it is.
pub fn find_splice_in(root: Value<'_>, dialect: Dialect) -> Splice {
    let object = dialect.object().and_then(|key| root.get(key));
    match object {
        Some(object)
            if object.kind() == Kind::Object
                && !object
                    .entries()
                    .any(|(key, _)| dialect.fields().iter().any(|f| key.is_str(f))) =>
        {
            Splice::at(object.end() - 1)
        }
        _ => Splice::UNKNOWN,
    }
}

fn closing_brace(text: &[u8], object: &str, fields: &[&str]) -> Result<Option<usize>, Broken> {
    let mut cursor = Cursor::new(text);
    if !cursor.enter(object)? || cursor.peek()? != b'{' {
        return Ok(None);
    }
    cursor.at += 1;
    cursor.space();
    if cursor.peek()? == b'}' {
        return Ok(Some(cursor.at));
    }
    loop {
        let key = cursor.key()?;
        if fields.iter().any(|field| key.is(field)) {
            return Ok(None);
        }
        cursor.skip_value()?;
        if !cursor.next_entry(b'}')? {
            return Ok(Some(cursor.at - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Document;

    fn both(text: &str, dialect: Dialect) -> Option<usize> {
        let scanned = find_splice(text.as_bytes(), dialect).get();
        let document = Document::parse(text.as_bytes()).unwrap();
        assert_eq!(find_splice_in(document.root(), dialect).get(), scanned, "{text}");
        scanned
    }

    #[test]
    fn positions_are_closing_braces() {
        assert_eq!(
            both(r#"{"a":"}","meta":{"x":{}},"b":1}"#, Dialect::Meta),
            Some(23)
        );
        assert_eq!(both(r#" {"meta" : { } }"#, Dialect::Meta), Some(13));
        assert_eq!(both(r#"{"event":{"type":"x" }}"#, Dialect::Event), Some(21));
        assert_eq!(both(r#"{"m\u0065ta":{"x":1}}"#, Dialect::Meta), Some(19));
        assert_eq!(both(r#"{"event":{"topic":"x"}}"#, Dialect::Event), Some(21));
    }

    #[test]
    fn what_has_to_be_rewritten_is_unknown() {
        for text in [
            "{}",
            r#"{"meta":null}"#,
            r#"{"meta":[]}"#,
            r#"{"meta":"{}"}"#,
            r#"{"a":{"meta":{}}}"#,
            r#"{"meta":{"topic":"x"}}"#,
            r#"{"meta":{"a":1,"offset":null}}"#,
            r#"{"meta":{"p\u0061rtition":1}}"#,
        ] {
            assert_eq!(both(text, Dialect::Meta), None, "{text}");
        }
        assert_eq!(both(r#"{"meta":{}}"#, Dialect::Bare), None);
        assert_eq!(find_splice(b"[]", Dialect::Meta), Splice::UNKNOWN);
        assert_eq!(find_splice(b"{\"meta\":{\"a}", Dialect::Meta), Splice::UNKNOWN);
    }

    #[test]
    fn inserting_minds_the_comma() {
        let origin = Origin::new("a\"b", 7, Dialect::Meta);
        let insert = |text: &str, dialect| {
            let mut out = Vec::new();
            let at = find_splice(text.as_bytes(), dialect).get().unwrap();
            assert!(origin.insert(dialect, u64::MAX, text.as_bytes(), at, &mut out));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            insert(r#"{"meta":{"x":1 }, "b":2}"#, Dialect::Meta),
            r#"{"meta":{"x":1 ,"topic":"a\"b","partition":7,"offset":18446744073709551615}, "b":2}"#
        );
        assert_eq!(
            insert(r#"{"event":{ }}"#, Dialect::Event),
            r#"{"event":{ "partition":7,"offset":18446744073709551615}}"#
        );
        let mut out = Vec::new();
        assert!(!origin.insert(Dialect::Meta, 1, b"{}", 9, &mut out) && out.is_empty());
        assert!(!origin.insert(Dialect::Meta, 1, b"{}", 0, &mut out) && out.is_empty());
    }

    #[test]
    fn digits_of_offsets() {
        for value in [0, 9, 10, 12345678901234567890, u64::MAX] {
            assert_eq!(Decimal::of(value).as_bytes(), value.to_string().as_bytes());
        }
    }
}
