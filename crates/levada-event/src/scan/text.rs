//! Texts that may be scanned, and values found in them.

use std::borrow::Cow;

use super::{Broken, Cursor, kind_of};
use crate::json::{Document, Kind};
use crate::path::FieldPath;
use crate::record::{Flags, RecordRef};

/// The bytes are no event: not one JSON object, or not acceptable JSON at all. Delivery skips such
/// records and counts them (contract eventstreams §1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record's value is not one JSON object without duplicate keys")]
pub struct Unreadable;

impl From<Broken> for Unreadable {
    fn from(_: Broken) -> Self {
        Unreadable
    }
}

/// The text of one JSON object on one line, fit for scanning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'t>(&'t [u8]);

impl<'t> Text<'t> {
    /// Text that intake checked ([`Flags::CHECKED`]). Spaces around it are cut off; nothing more is checked
    /// than its two braces.
    ///
    /// # Errors
    /// [`Unreadable`] when it does not begin and end as an object.
    pub fn trusted(bytes: &'t [u8]) -> Result<Self, Unreadable> {
        let bytes = bytes.trim_ascii();
        if bytes.len() >= 2 && bytes.first() == Some(&b'{') && bytes.last() == Some(&b'}') {
            Ok(Self(bytes))
        } else {
            Err(Unreadable)
        }
    }

    /// Text of unknown origin: checked completely, and put on one line in `scratch` if it is not.
    ///
    /// # Errors
    /// [`Unreadable`] when it is not one JSON object (grammar, UTF-8, nesting, duplicate keys as in
    /// [`Document::parse`]).
    pub fn check(bytes: &'t [u8], scratch: &'t mut Vec<u8>) -> Result<Self, Unreadable> {
        let document = Document::parse(bytes).map_err(|_| Unreadable)?;
        let root = document.root();
        if root.kind() != Kind::Object {
            return Err(Unreadable);
        }
        let raw = root.raw();
        if raw.bytes().any(|b| matches!(b, b'\n' | b'\r' | b'\t')) {
            scratch.clear();
            crate::json::push_one_line(scratch, raw);
            return Self::trusted(scratch);
        }
        // The view borrows the document; the same bytes of the input outlive it.
        Self::trusted(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
    }

    /// The text of a record: trusted if intake checked it, checked otherwise.
    ///
    /// # Errors
    /// As [`trusted`](Self::trusted) and [`check`](Self::check).
    pub fn of(record: RecordRef<'t>, scratch: &'t mut Vec<u8>) -> Result<Self, Unreadable> {
        if record.flags.contains(Flags::CHECKED) {
            Self::trusted(record.value)
        } else {
            Self::check(record.value, scratch)
        }
    }

    /// The bytes, from `{` to `}`.
    pub fn bytes(self) -> &'t [u8] {
        self.0
    }

    /// The value at `path`, if there is one. Arrays on the way are not entered.
    ///
    /// # Errors
    /// [`Unreadable`] when the text turns out to be broken before the value is found.
    pub fn get(self, path: &FieldPath) -> Result<Option<Raw<'t>>, Unreadable> {
        self.get_keys(path.keys())
    }

    /// As [`get`](Self::get), by keys.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_keys<'k>(
        self,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<Option<Raw<'t>>, Unreadable> {
        let mut cursor = Cursor::new(self.0);
        for key in keys {
            if cursor.peek()? != b'{' || !cursor.enter(key)? {
                return Ok(None);
            }
        }
        Ok(Some(cursor.value()?))
    }
}

/// A value in scanned text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'t> {
    kind: Kind,
    bytes: &'t [u8],
}

impl<'t> Raw<'t> {
    pub(crate) fn new(kind: Kind, bytes: &'t [u8]) -> Self {
        Self { kind, bytes }
    }

    /// Its JSON type.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Its text as written; strings with their quotes.
    pub fn bytes(self) -> &'t [u8] {
        self.bytes
    }

    /// The string's characters, borrowed unless it has escapes. A lone surrogate escape reads as
    /// U+FFFD.
    pub fn as_str(self) -> Option<Cow<'t, str>> {
        if self.kind != Kind::String {
            return None;
        }
        let inner = self.bytes.get(1..self.bytes.len().checked_sub(1)?)?;
        Some(if memchr::memchr(b'\\', inner).is_some() {
            Cow::Owned(unescape(inner))
        } else {
            String::from_utf8_lossy(inner)
        })
    }

    /// Whether this is a string with these characters.
    pub fn is_str(self, text: &str) -> bool {
        self.as_str().is_some_and(|s| s == text)
    }

    /// The number's text.
    pub fn as_number(self) -> Option<&'t str> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.bytes).ok()
    }

    /// The boolean.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind == Kind::Bool).then(|| self.bytes.first() == Some(&b't'))
    }

    /// Items of an array, in order; nothing for other kinds.
    pub fn items(self) -> impl Iterator<Item = Raw<'t>> {
        let mut cursor = Cursor::new(self.bytes);
        let mut more = self.kind == Kind::Array && cursor.take(b'[').is_ok();
        cursor.space();
        more &= cursor.peek().is_ok_and(|b| b != b']');
        std::iter::from_fn(move || {
            if !more {
                return None;
            }
            let start = cursor.at;
            let kind = cursor.peek().and_then(kind_of).ok()?;
            cursor.skip_value().ok()?;
            let bytes = cursor.bytes.get(start..cursor.at)?;
            more = cursor.next_entry(b']').unwrap_or(false);
            Some(Raw { kind, bytes })
        })
    }
}

/// The characters of a string body with escapes. Lone surrogates and (in untrusted text) bytes that are no UTF-8
/// become U+FFFD; an escape that JSON does not know stands for itself.
pub(crate) fn unescape(inner: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(slash) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..slash]);
        let (character, used) = escape(&rest[slash..]);
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(slash + used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// The character of the escape that `text` starts with, and the escape's length.
fn escape(text: &[u8]) -> (char, usize) {
    let simple = match text.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => {
            let Some(first) = hex(text, 2) else {
                return ('\u{fffd}', 2);
            };
            if (0xd800..0xdc00).contains(&first)
                && text.get(6..8) == Some(b"\\u")
                && let Some(second) = hex(text, 8).filter(|s| (0xdc00..0xe000).contains(s))
            {
                let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return (char::from_u32(joined).unwrap_or('\u{fffd}'), 12);
            }
            return (char::from_u32(first).unwrap_or('\u{fffd}'), 6);
        }
        Some(&byte) if byte.is_ascii() => char::from(byte),
        _ => return ('\u{fffd}', 1),
    };
    (simple, 2)
}

fn hex(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get<'t>(text: &'t str, path: &str) -> Option<&'t str> {
        let text = Text::trusted(text.as_bytes()).unwrap();
        let found = text.get(&FieldPath::parse(path).unwrap()).unwrap();
        found.map(|raw| std::str::from_utf8(raw.bytes()).unwrap())
    }

    #[test]
    fn values_are_found_by_path() {
        let text = r#" { "x{\"" : [ "}" ] , "meta":{"d\u006fmain":"en","n":12345678901234567890,"e":{}},"z":null } "#;
        assert_eq!(get(text, "meta.domain"), Some("\"en\""));
        assert_eq!(get(text, "meta.n"), Some("12345678901234567890"));
        assert_eq!(get(text, "meta.e"), Some("{}"));
        assert_eq!(get(text, "meta.e.x"), None);
        assert_eq!(get(text, "z"), Some("null"));
        assert_eq!(get(text, "z.y"), None);
        assert_eq!(get(text, r#""x{\"""#), Some(r#"[ "}" ]"#));
        assert_eq!(get(text, "nope"), None);
    }

    #[test]
    fn items_of_arrays() {
        let raw = Text::trusted(br#"{"a":[ 1 , "x,]" ,[2], null]}"#)
            .unwrap()
            .get_keys(["a"])
            .unwrap()
            .unwrap();
        let items: Vec<_> = raw.items().map(Raw::bytes).collect();
        assert_eq!(items, [&b"1"[..], b"\"x,]\"", b"[2]", b"null"]);
    }

    #[test]
    fn unknown_text_is_checked_and_put_on_one_line() {
        let mut scratch = Vec::new();
        let mut check = |bytes: &[u8]| Text::check(bytes, &mut scratch).map(|t| t.bytes().to_vec());
        assert_eq!(check(b"\xef\xbb\xbf {\"a\":1} "), Ok(b"{\"a\":1}".to_vec()));
        assert_eq!(check(b" {\r\n\t\"a\": 1\n}\n"), Ok(b"{\"a\": 1}".to_vec()));
        for bad in [
            &b""[..],
            b"[]",
            b"1",
            b"{\"a\":1,\"a\":2}",
            b"{\"a\":1}x",
            b"{\"a\":\"\xff\"}",
            b"{a:1}",
            b"{\"a\":tru}",
        ] {
            assert_eq!(check(bad), Err(Unreadable), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn escapes_read_as_serde_json_reads_them(text in r#"(\\[nrtbf/"\\]|\\u00[0-7][0-9a-f]|\\ud83d\\ude00|[a-zé ]){0,20}"#) {
            let expected: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            prop_assert_eq!(unescape(text.as_bytes()), expected);
        }

        #[test]
        fn unescaping_never_panics(bytes in prop::collection::vec(prop_oneof![Just(b'\\'), Just(b'u'), Just(b'd'), any::<u8>()], 0..40)) {
            let _ = unescape(&bytes);
        }
    }
}
