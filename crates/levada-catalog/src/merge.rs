//! How settings are laid over each other (contract eventplatform §3.3).

use serde_json::{Map, Value};

/// `over` laid over `base`: maps merge key by key at any depth, lists merge by index, everything
/// else (also null) of `over` wins. Keys of `base` come first, in its order. An empty list and an
/// empty map are the same thing, as they are in the reference.
pub(crate) fn replace_recursive(base: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = base.clone();
    for (key, value) in over {
        match merged.get_mut(key) {
            Some(below) => replace_value(below, value),
            None => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    merged
}

fn replace_value(below: &mut Value, over: &Value) {
    match (&mut *below, over) {
        (Value::Object(base), Value::Object(over)) => {
            if base.is_empty() {
                *base = over.clone();
            } else {
                *base = replace_recursive(base, over);
            }
        }
        (Value::Array(base), Value::Array(over)) => {
            for (index, value) in over.iter().enumerate() {
                match base.get_mut(index) {
                    Some(below) => replace_value(below, value),
                    None => base.push(value.clone()),
                }
            }
        }
        (Value::Array(_) | Value::Object(_), Value::Array(_) | Value::Object(_)) => {
            let (base, over) = (keyed(below), keyed(over));
            *below = unkeyed(replace_recursive(&base, &over));
        }
        _ => *below = over.clone(),
    }
}

/// A list as a map from index to item; a map as it is.
pub(crate) fn keyed(value: &Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map.clone(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item.clone()))
            .collect(),
        _ => Map::new(),
    }
}

/// A map whose keys are 0, 1, 2, … as a list; any other map (also an empty one) as it is.
pub(crate) fn unkeyed(map: Map<String, Value>) -> Value {
    let is_list = !map.is_empty() && map.keys().enumerate().all(|(index, key)| is_index(key, index));
    if is_list {
        Value::Array(map.into_iter().map(|(_, item)| item).collect())
    } else {
        Value::Object(map)
    }
}

fn is_index(key: &str, index: usize) -> bool {
    key.parse() == Ok(index) && (key == "0" || !key.starts_with(['0', '+']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(base: Value, over: Value) -> Value {
        let (Value::Object(base), Value::Object(over)) = (base, over) else {
            panic!("maps only")
        };
        Value::Object(replace_recursive(&base, &over))
    }

    #[test]
    fn lists_merge_by_index() {
        let base = json!({"l": ["eqiad.", "codfw."]});
        assert_eq!(
            merged(base.clone(), json!({"l": ["a."]})),
            json!({"l": ["a.", "codfw."]})
        );
        assert_eq!(merged(base.clone(), json!({"l": []})), base);
        assert_eq!(
            merged(base.clone(), json!({"l": ["x.", "y.", "z."]})),
            json!({"l": ["x.", "y.", "z."]})
        );
        assert_eq!(merged(base, json!({"l": {}})), json!({"l": ["eqiad.", "codfw."]}));
    }

    #[test]
    fn maps_and_scalars_replace_each_other() {
        assert_eq!(merged(json!({"a": {"b": 1}}), json!({"a": 2})), json!({"a": 2}));
        assert_eq!(
            merged(json!({"a": 2}), json!({"a": {"b": 1}})),
            json!({"a": {"b": 1}})
        );
        assert_eq!(
            merged(json!({"a": {"b": 1}}), json!({"a": []})),
            json!({"a": {"b": 1}})
        );
        assert_eq!(
            merged(json!({"a": {"b": 1}}), json!({"a": null})),
            json!({"a": null})
        );
        assert_eq!(merged(json!({"a": {}}), json!({"a": ["x"]})), json!({"a": ["x"]}));
        assert_eq!(
            merged(json!({"a": ["x"]}), json!({"a": {"k": 1}})),
            json!({"a": {"0": "x", "k": 1}})
        );
    }

    #[test]
    fn keys_of_the_base_come_first() {
        let Value::Object(map) = merged(
            json!({"b": 1, "a": {"y": 1}}),
            json!({"c": 3, "a": {"x": 2}, "b": 4}),
        ) else {
            panic!()
        };
        assert_eq!(
            Value::Object(map).to_string(),
            r#"{"b":4,"a":{"y":1,"x":2},"c":3}"#
        );
    }
}
