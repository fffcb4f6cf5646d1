//! The secure check: constructs whose cost a stranger's event could drive up must be bounded
//! (contract eventplatform §2.5).

use serde_json::{Map, Value};

use super::walk;

/// `Err` carries the place of the first violation (a pointer as fragment) and the rule it breaks.
pub(super) fn check(schema: &Value) -> Result<(), (String, String)> {
    walk::each(schema, &mut |at, schema| match fault(schema) {
        Some(reason) => Err((at.to_owned(), reason.to_owned())),
        None => Ok(()),
    })
}

fn fault(schema: &Map<String, Value>) -> Option<&'static str> {
    let bounded = schema.contains_key("maxLength");
    if schema.contains_key("pattern") && !bounded {
        return Some("pattern needs maxLength beside it");
    }
    if schema.contains_key("format") && !bounded {
        return Some("format needs maxLength beside it");
    }
    if schema.contains_key("patternProperties")
        && schema
            .get("propertyNames")
            .and_then(|names| names.get("maxLength"))
            .is_none()
    {
        return Some("patternProperties needs propertyNames with maxLength beside it");
    }
    if schema.get("uniqueItems") == Some(&Value::Bool(true))
        && !schema.contains_key("maxItems")
        && !schema.get("items").is_some_and(has_scalars)
    {
        return Some("uniqueItems of anything but scalars needs maxItems beside it");
    }
    None
}

/// Whether all items are of a type that is cheap to compare.
fn has_scalars(items: &Value) -> bool {
    let scalar = |kind: &Value| {
        matches!(
            kind.as_str(),
            Some("string" | "number" | "integer" | "boolean" | "null")
        )
    };
    match items {
        Value::Object(schema) => match schema.get("type") {
            Some(Value::Array(kinds)) => !kinds.is_empty() && kinds.iter().all(scalar),
            Some(kind) => scalar(kind),
            None => false,
        },
        Value::Array(tuple) => !tuple.is_empty() && tuple.iter().all(has_scalars),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_exact_place_is_named() {
        let pattern = json!({"type": "string", "pattern": "a"});
        for (schema, place) in [
            (json!({"properties": {"a": pattern}}), "#/properties/a"),
            (json!({"items": pattern}), "#/items"),
            (json!({"items": [{}, pattern]}), "#/items/1"),
            (json!({"additionalItems": pattern}), "#/additionalItems"),
            (json!({"additionalProperties": pattern}), "#/additionalProperties"),
            (json!({"definitions": {"x": pattern}}), "#/definitions/x"),
            (json!({"dependencies": {"x": pattern}}), "#/dependencies/x"),
            (json!({"if": pattern}), "#/if"),
            (json!({"then": pattern}), "#/then"),
            (json!({"else": pattern}), "#/else"),
            (json!({"allOf": [pattern]}), "#/allOf/0"),
            (json!({"anyOf": [pattern]}), "#/anyOf/0"),
            (json!({"oneOf": [pattern]}), "#/oneOf/0"),
            (json!({"not": pattern}), "#/not"),
            (json!({"contains": pattern}), "#/contains"),
            (json!({"propertyNames": pattern}), "#/propertyNames"),
            (json!({"format": "date"}), "#"),
            (json!({"patternProperties": {"a": {}}}), "#"),
            (json!({"patternProperties": {"a": {}}, "propertyNames": {}}), "#"),
            (json!({"uniqueItems": true}), "#"),
            (json!({"uniqueItems": true, "items": {"type": "object"}}), "#"),
            (
                json!({"uniqueItems": true, "items": {"type": ["string", "array"]}}),
                "#",
            ),
        ] {
            assert_eq!(check(&schema).unwrap_err().0, place, "{schema}");
        }
    }

    #[test]
    fn bounded_schemas_pass() {
        for schema in [
            json!({"pattern": "a", "maxLength": 5}),
            json!({"format": "date", "maxLength": 5}),
            json!({"patternProperties": {"a": {}}, "propertyNames": {"maxLength": 9}}),
            json!({"uniqueItems": true, "items": {"type": "string"}}),
            json!({"uniqueItems": true, "items": {"type": ["string", "null"]}}),
            json!({"uniqueItems": true, "maxItems": 5}),
            json!({"uniqueItems": false}),
            json!({"properties": {"pattern": {"type": "string"}}, "enum": [{"pattern": "a"}]}),
        ] {
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }
}
