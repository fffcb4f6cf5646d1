//! YAML and JSON text as a tree of values.
//!
//! YAML is read by the rules of YAML 1.2: only `true` and `false` are booleans, timestamps are
//! strings. Integers outside 64 bits become the nearest float, as bounds in real schemas need.

use std::fmt;

use levada_event::json;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a document that is JSON or YAML; JSON if it starts like it, unless only YAML makes sense
/// of it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("not UTF-8: {e}"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json_fault = if text.trim_start().starts_with(['{', '[']) {
        match json::Document::parse(text.as_bytes()) {
            Ok(document) => return tree(document.root()).ok_or_else(|| "a number is out of range".into()),
            Err(fault) => Some(fault),
        }
    } else {
        None
    };
    yaml(text).map_err(|fault| match json_fault {
        Some(json_fault) => format!("neither JSON ({json_fault}) nor YAML ({fault})"),
        None => fault,
    })
}

fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::Reject,
    };
    serde_saphyr::from_str_with_options::<Tree>(text, options)
        .map(|tree| tree.0)
        .map_err(|e| e.to_string())
}

/// A value of a document as a tree; `None` if a number is beyond the range of a double.
pub(crate) fn tree(value: json::Value<'_>) -> Option<Value> {
    Some(match value.kind() {
        json::Kind::Null => Value::Null,
        json::Kind::Bool => Value::Bool(value.as_bool()?),
        json::Kind::Number => Value::Number(number(value.raw())?),
        json::Kind::String => Value::String(value.as_str()?.into_owned()),
        json::Kind::Array => Value::Array(value.items().map(tree).collect::<Option<_>>()?),
        json::Kind::Object => Value::Object(
            value
                .entries()
                .map(|(key, value)| Some((key.as_str()?.into_owned(), tree(value)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// A JSON number's text as a number: exact within 64 bits, else the nearest double.
pub(crate) fn number(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse::<u64>() {
        Some(number.into())
    } else if let Ok(number) = text.parse::<i64>() {
        Some(number.into())
    } else {
        Number::from_f64(text.parse().ok()?)
    }
}

struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder).map(Tree)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can express")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Tree(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_reads_by_the_core_schema() {
        let text = "a: yes\nb: on\nc: true\nd: ~\ne: 2020-01-02T03:04:05Z\nf: 18446744073709551616\n\
                    g: 18446744073709552000.0\nh: -3\n1: x\ni: [1.5, '1']\nj: 0.10\n";
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            json!({"a": "yes", "b": "on", "c": true, "d": null, "e": "2020-01-02T03:04:05Z",
                   "f": 18446744073709551616.0, "g": 18446744073709552000.0, "h": -3, "1": "x",
                   "i": [1.5, "1"], "j": 0.1})
        );
    }

    #[test]
    fn anchors_and_flow_collections_are_read() {
        let text = "a: &x {k: v}\nb: *x\n";
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            json!({"a": {"k": "v"}, "b": {"k": "v"}})
        );
        assert_eq!(parse(b"{a: 1}").unwrap(), json!({"a": 1}));
    }

    #[test]
    fn faults_are_named() {
        for text in [
            "a: 1\na: 2\n",
            "a: [1\n",
            "{\"a\":1,\"a\":2}",
            "a: .inf\n",
            "\u{1}",
        ] {
            let fault = parse(text.as_bytes()).unwrap_err();
            assert!(!fault.is_empty(), "{text}");
        }
        assert!(parse(b"\xff").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let last = i - 1;
            text.push_str(&format!("a{i}: &a{i} [*a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}]\n"));
        }
        assert!(parse(text.as_bytes()).is_err());
    }

    #[test]
    fn keys_keep_their_order() {
        let Value::Object(map) = parse(b"{\"b\":1,\"a\":2,\"10\":3,\"9\":4}").unwrap() else {
            panic!()
        };
        assert_eq!(map.keys().collect::<Vec<_>>(), ["b", "a", "10", "9"]);
    }
}
