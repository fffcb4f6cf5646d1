//! Per-wiki settings: a map from selector to value, resolved for one wiki (contract eventplatform §3.6).
//!
//! Selectors are `default`, the name of a wiki, or a tag (a group of wikis). With a `+` before it
//! the value of a wiki or tag is merged over less specific ones, without it replaces them.

use serde_json::{Map, Value};

use crate::merge::{keyed, unkeyed};

/// Whether a map is keyed by selectors: it has `default` or a key that starts with `+`. Neither
/// can be the name of a stream or of a setting.
pub(crate) fn is_selected(map: &Map<String, Value>) -> bool {
    map.keys().any(|key| key == "default" || key.starts_with('+'))
}

/// The value for `wiki` and its `tags`, most specific first. Selectors of other wikis do not count.
pub(crate) fn resolve(map: &Map<String, Value>, wiki: Option<&str>, tags: &[String]) -> Map<String, Value> {
    if let Some(value) = wiki.and_then(|wiki| map.get(wiki)) {
        return keyed(value);
    }
    let mut resolved = Map::new();
    if let Some(value) = wiki.and_then(|wiki| map.get(&format!("+{wiki}"))) {
        merge(&mut resolved, keyed(value));
    }
    for tag in tags {
        if let Some(value) = map.get(tag) {
            merge(&mut resolved, keyed(value));
            return resolved;
        }
        if let Some(value) = map.get(&format!("+{tag}")) {
            merge(&mut resolved, keyed(value));
        }
    }
    if let Some(value) = map.get("default") {
        merge(&mut resolved, keyed(value));
    }
    resolved
}

/// Adds `lower` below `higher`: maps recurse, numbered entries are appended, and what `higher` has
/// stays, unless it is exactly `false`.
fn merge(higher: &mut Map<String, Value>, lower: Map<String, Value>) {
    for (key, value) in lower {
        if is_number(&key) {
            let next = higher
                .keys()
                .filter_map(|k| k.parse::<u64>().ok())
                .max()
                .map_or(0, |last| last + 1);
            higher.insert(next.to_string(), value);
            continue;
        }
        match higher.get_mut(&key) {
            None => {
                higher.insert(key, value);
            }
            Some(above @ (Value::Object(_) | Value::Array(_)))
                if matches!(value, Value::Object(_) | Value::Array(_)) =>
            {
                let mut above_map = keyed(above);
                let was_empty_map = above_map.is_empty() && value.as_object().is_some_and(Map::is_empty);
                merge(&mut above_map, keyed(&value));
                if !was_empty_map {
                    *above = unkeyed(above_map);
                }
            }
            Some(above @ Value::Bool(false)) => *above = value,
            Some(_) => {}
        }
    }
}

/// Whether the key of a map is a number, and the entry thus an item of a list.
pub(crate) fn is_number(key: &str) -> bool {
    !key.is_empty() && key.len() < 19 && key.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(map: Value, wiki: &str, tags: &[&str]) -> Value {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        Value::Object(resolve(map.as_object().unwrap(), Some(wiki), &tags))
    }

    #[test]
    fn more_specific_wins_but_false_does_not() {
        let map = json!({
            "default": {"ua": "user-agent", "n": 5, "l": ["a", "b"]},
            "+w": {"ua": false, "n": 0, "l": ["c"]}
        });
        let got = resolved(map, "w", &[]);
        assert_eq!(got.to_string(), r#"{"ua":"user-agent","n":0,"l":["c","a","b"]}"#);
    }

    #[test]
    fn selectors_without_plus_end_the_cascade() {
        let map = json!({
            "default": {"a": 1, "b": 1}, "+t1": {"b": 2, "c": 2}, "t2": {"c": 3, "d": 3}, "w": {"z": 1}
        });
        assert_eq!(resolved(map.clone(), "w", &["t1"]), json!({"z": 1}));
        assert_eq!(
            resolved(map.clone(), "x", &["t1", "t2"]),
            json!({"b": 2, "c": 2, "d": 3})
        );
        assert_eq!(
            resolved(map.clone(), "x", &["t1"]),
            json!({"b": 2, "c": 2, "a": 1})
        );
        assert_eq!(resolved(map, "x", &[]), json!({"a": 1, "b": 1}));
    }

    #[test]
    fn numbered_entries_are_appended() {
        let map = json!({"default": {"x": {"k": 1}, "0": {"stream": "s"}}, "+w": {"x": {"k": 2}}});
        assert_eq!(
            resolved(map, "w", &[]),
            json!({"x": {"k": 2}, "0": {"stream": "s"}})
        );
    }
}
