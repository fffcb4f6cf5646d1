//! The JSON representation of [`levada_event::json`], as the validator reads it: straight from the
//! event's text, with nothing built and nothing copied.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object, cmp};
use jsonschema_value::LazyInstance;
use levada_event::json::{self, Document, Entries, Items, Kind, Value};
use serde_json::Number;

use crate::text;

/// Marks validators of this representation.
pub(super) struct Text;

/// A value of an event.
#[derive(Clone, Copy)]
pub(super) struct TextNode<'a>(pub(super) Value<'a>);

impl Json for Text {
    type Node<'a> = TextNode<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Vec<u8>;

    // Looking a name up means walking over the entries before it; one walk for all names is cheaper.
    const KEYS_PER_LOOKUP: usize = 16;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    /// Names of properties become texts of their own: `propertyNames` is rare, and the common node
    /// stays as small as a value is.
    fn with_string_node<T>(buffer: &mut Vec<u8>, string: &str, f: impl FnOnce(TextNode<'_>) -> T) -> T {
        buffer.clear();
        json::write_string(buffer, string);
        match Document::parse(buffer) {
            Ok(document) => f(TextNode(document.root())),
            // A string written as JSON is JSON, unless it has a gigabyte; then it is one too long.
            Err(_) => f(TextNode(null().root())),
        }
    }
}

/// A document of nothing.
fn null() -> Document<'static> {
    Document::parse(b"null").expect("null is JSON")
}

impl<'a> Node<'a, Text> for TextNode<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = Digits<'a>;

    #[inline]
    fn as_object(&self) -> Option<Members<'a>> {
        if self.0.kind() == Kind::Object {
            Some(Members(self.0))
        } else {
            None
        }
    }

    #[inline]
    fn as_array(&self) -> Option<Elements<'a>> {
        if self.0.kind() == Kind::Array {
            Some(Elements(self.0))
        } else {
            None
        }
    }

    #[inline]
    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.0.as_str()
    }

    #[inline]
    fn as_number(&self) -> Option<Digits<'a>> {
        self.0.as_number().map(Digits)
    }

    #[inline]
    fn as_boolean(&self) -> Option<bool> {
        self.0.as_bool()
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.0.kind() == Kind::Null
    }

    #[inline]
    fn is_number(&self) -> bool {
        self.0.kind() == Kind::Number
    }

    #[inline]
    fn is_string(&self) -> bool {
        self.0.kind() == Kind::String
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        match self.0.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::String => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    #[inline]
    fn string_length(&self) -> Option<u64> {
        self.0.as_str().map(|string| {
            // ASCII needs no counting, and most strings are.
            let length = if string.is_ascii() {
                string.len()
            } else {
                string.chars().count()
            };
            length as u64
        })
    }

    fn equals_value(&self, expected: &serde_json::Value) -> bool {
        match expected {
            serde_json::Value::String(expected) => self.0.is_str(expected),
            serde_json::Value::Null => self.is_null(),
            serde_json::Value::Bool(expected) => self.0.as_bool() == Some(*expected),
            serde_json::Value::Number(expected) => self
                .as_number()
                .is_some_and(|digits| cmp::equal_numbers(&digits, expected)),
            _ => {
                matches!(self.0.kind(), Kind::Array | Kind::Object) && cmp::equal(&self.to_value(), expected)
            }
        }
    }

    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Owned(rebuild(self.0))
    }

    fn lazy_value(&self) -> LazyInstance<'a> {
        let bytes = self.0.raw().as_bytes();
        LazyInstance::Deferred {
            bytes,
            tag: 0,
            make,
            cell: std::sync::OnceLock::new(),
        }
    }

    #[inline]
    fn identity(&self) -> Option<NodeIdentity> {
        // A document has fewer than 2^32 values: its text has less than a gigabyte.
        Some(NodeIdentity::tagged(self.0.document(), self.0.index() as u32))
    }
}

/// Builds the value of an error from its text, when somebody asks for it.
fn make(bytes: &[u8], _: u32) -> serde_json::Value {
    Document::parse(bytes).map_or(serde_json::Value::Null, |document| rebuild(document.root()))
}

/// A value as a tree. Numbers beyond the range of a double become the largest one.
pub(super) fn rebuild(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => value.as_bool().into(),
        Kind::Number => Digits(value.raw()).to_number().into_owned().into(),
        Kind::String => value.as_str().into(),
        Kind::Array => value.items().map(rebuild).collect(),
        Kind::Object => serde_json::Value::Object(
            value
                .entries()
                .map(|(k, v)| (k.as_str().unwrap_or_default().into_owned(), rebuild(v)))
                .collect(),
        ),
    }
}

/// An object's entries.
pub(super) struct Members<'a>(Value<'a>);

impl<'a> Object<'a, Text> for Members<'a> {
    type Node = TextNode<'a>;
    type MemberName = Cow<'a, str>;
    type MembersIter = MembersIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn get(&self, key: &Box<str>) -> Option<TextNode<'a>> {
        self.0.get(key).map(TextNode)
    }

    #[inline]
    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.entries())
    }
}

pub(super) struct MembersIter<'a>(Entries<'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (Cow<'a, str>, TextNode<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.0.next()?;
        Some((key.as_str()?, TextNode(value)))
    }
}

/// An array's items.
pub(super) struct Elements<'a>(Value<'a>);

impl<'a> Array<'a, Text> for Elements<'a> {
    type Node = TextNode<'a>;
    type ElementsIter = ElementsIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter(self.0.items())
    }
}

pub(super) struct ElementsIter<'a>(Items<'a>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = TextNode<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(TextNode)
    }
}

/// A number as the event writes it.
#[derive(Clone, Copy)]
pub(super) struct Digits<'a>(&'a str);

/// The number that digits alone spell.
#[inline]
fn whole(digits: &[u8]) -> Option<u64> {
    // Up to 19 digits fit without looking.
    if digits.len() > 19 {
        return std::str::from_utf8(digits).ok()?.parse().ok();
    }
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

impl JsonNumber for Digits<'_> {
    #[inline]
    fn as_u64(&self) -> Option<u64> {
        whole(self.0.as_bytes())
    }

    #[inline]
    fn as_i64(&self) -> Option<i64> {
        match self.0.strip_prefix('-') {
            Some(_) => self.0.parse().ok(),
            None => whole(self.0.as_bytes()).and_then(|number| number.try_into().ok()),
        }
    }

    #[inline]
    fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|number: &f64| number.is_finite())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        let largest = if self.0.starts_with('-') {
            f64::MIN
        } else {
            f64::MAX
        };
        Cow::Owned(
            text::number(self.0)
                .or_else(|| Number::from_f64(largest))
                .unwrap_or_else(|| 0.into()),
        )
    }

    #[inline]
    fn is_integer(&self) -> bool {
        // 1.0 is an integer, and so is 1e400, which no double can hold.
        !self.0.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
            || match self.as_f64() {
                Some(number) => number.fract() == 0.0,
                None => true,
            }
    }

    /// Also in draft 4, as ajv has it.
    fn is_written_as_integer(&self) -> bool {
        self.is_integer()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_equal_what_means_the_same() {
        let same = |text: &str, value: serde_json::Value| {
            let document = Document::parse(text.as_bytes()).unwrap();
            TextNode(document.root()).equals_value(&value)
        };
        for (text, value) in [
            (r#""a\u0062""#, json!("ab")),
            ("null", json!(null)),
            ("true", json!(true)),
            ("1.0", json!(1)),
            ("18446744073709551615", json!(u64::MAX)),
            (r#"{"b":[1e0],"a":"x"}"#, json!({"a": "x", "b": [1]})),
            ("[]", json!([])),
        ] {
            assert!(same(text, value.clone()), "{text} {value}");
            for other in [
                json!("abc"),
                json!(false),
                json!(2),
                json!({"a": "x"}),
                json!([null]),
                json!("null"),
            ] {
                assert!(!same(text, other.clone()), "{text} {other}");
            }
        }
        assert!(!same("1e400", json!(f64::MAX)) && !same(r#""1""#, json!(1)) && !same("0", json!(null)));
    }

    #[test]
    fn numbers_read_as_their_digits() {
        for text in [
            "0",
            "-0",
            "7",
            "-7",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "1.5",
            "1e2",
        ] {
            let digits = Digits(text);
            assert_eq!(digits.as_u64(), text.parse().ok(), "{text}");
            assert_eq!(digits.as_i64(), text.parse().ok(), "{text}");
            assert_eq!(digits.as_f64(), text.parse().ok(), "{text}");
        }
        assert_eq!(Digits("1e400").as_f64(), None);
    }
}
