//! The JSON representation of [`levada_event::json`], as the validator reads it: straight from the
//! event's text, with nothing built and nothing copied.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object, cmp};
use jsonschema_value::LazyInstance;
use levada_event::json::{Entries, Items, Kind, Value};
use serde_json::Number;

use crate::text;

/// Marks validators of this representation.
pub(super) struct Text;

/// A value of an event, or the name of a property that `propertyNames` looks at.
#[derive(Clone, Copy)]
pub(super) enum TextNode<'a> {
    Value(Value<'a>),
    Name(&'a str),
}

impl Json for Text {
    type Node<'a> = TextNode<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    // Looking a name up means walking over the entries before it; one walk for all names is cheaper.
    const KEYS_PER_LOOKUP: usize = 16;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(_: &mut (), string: &str, f: impl FnOnce(TextNode<'_>) -> T) -> T {
        f(TextNode::Name(string))
    }
}

impl<'a> TextNode<'a> {
    fn kind(&self) -> Kind {
        match self {
            Self::Value(value) => value.kind(),
            Self::Name(_) => Kind::String,
        }
    }
}

impl<'a> Node<'a, Text> for TextNode<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = Digits<'a>;

    fn as_object(&self) -> Option<Members<'a>> {
        match self {
            Self::Value(value) if value.kind() == Kind::Object => Some(Members(*value)),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        match self {
            Self::Value(value) if value.kind() == Kind::Array => Some(Elements(*value)),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Value(value) => value.as_str(),
            Self::Name(name) => Some(Cow::Borrowed(name)),
        }
    }

    fn as_number(&self) -> Option<Digits<'a>> {
        match self {
            Self::Value(value) => value.as_number().map(Digits),
            Self::Name(_) => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Value(value) => value.as_bool(),
            Self::Name(_) => None,
        }
    }

    fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    fn is_number(&self) -> bool {
        self.kind() == Kind::Number
    }

    fn is_string(&self) -> bool {
        self.kind() == Kind::String
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::String => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        self.as_string().map(|string| {
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
        match (self, expected) {
            (Self::Name(name), expected) => expected == name,
            (Self::Value(value), serde_json::Value::String(expected)) => value.is_str(expected),
            (Self::Value(value), serde_json::Value::Null) => value.kind() == Kind::Null,
            (Self::Value(value), serde_json::Value::Bool(expected)) => value.as_bool() == Some(*expected),
            (Self::Value(value), serde_json::Value::Number(expected)) => value
                .as_number()
                .is_some_and(|digits| cmp::equal_numbers(&Digits(digits), expected)),
            (Self::Value(value), expected) => {
                matches!(value.kind(), Kind::Array | Kind::Object) && cmp::equal(&self.to_value(), expected)
            }
        }
    }

    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Owned(match self {
            Self::Value(value) => rebuild(*value),
            Self::Name(name) => (*name).into(),
        })
    }

    fn lazy_value(&self) -> LazyInstance<'a> {
        let (text, tag) = match self {
            Self::Value(value) => (value.raw(), TAG_VALUE),
            Self::Name(name) => (*name, TAG_NAME),
        };
        LazyInstance::Deferred {
            bytes: text.as_bytes(),
            tag,
            make,
            cell: std::sync::OnceLock::new(),
        }
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match self {
            Self::Value(value) => {
                // An event has fewer than 2^32 values: its text is shorter than 4 GiB.
                Some(NodeIdentity::tagged(value.document(), value.index() as u32))
            }
            Self::Name(_) => None,
        }
    }
}

const TAG_VALUE: u32 = 0;
const TAG_NAME: u32 = 1;

/// Builds the value of an error from its text, when somebody asks for it.
fn make(bytes: &[u8], tag: u32) -> serde_json::Value {
    if tag == TAG_NAME {
        return String::from_utf8_lossy(bytes).into();
    }
    levada_event::json::Document::parse(bytes)
        .map_or(serde_json::Value::Null, |document| rebuild(document.root()))
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

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &Box<str>) -> Option<TextNode<'a>> {
        self.0.get(key).map(TextNode::Value)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.entries())
    }
}

pub(super) struct MembersIter<'a>(Entries<'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (Cow<'a, str>, TextNode<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.0.next()?;
        Some((key.as_str()?, TextNode::Value(value)))
    }
}

/// An array's items.
pub(super) struct Elements<'a>(Value<'a>);

impl<'a> Array<'a, Text> for Elements<'a> {
    type Node = TextNode<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter(self.0.items())
    }
}

pub(super) struct ElementsIter<'a>(Items<'a>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = TextNode<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(TextNode::Value)
    }
}

/// A number as the event writes it.
#[derive(Clone, Copy)]
pub(super) struct Digits<'a>(&'a str);

impl JsonNumber for Digits<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

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

    fn is_integer(&self) -> bool {
        // 1.0 is an integer, and so is 1e400, which no double can hold.
        !self.0.contains(['.', 'e', 'E'])
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
