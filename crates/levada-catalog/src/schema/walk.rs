//! Where schemas lie inside a schema. Values of `enum`, `const`, `default` and `examples`, and names
//! of properties, are data and not schemas, whatever they look like.

use serde_json::{Map, Value};

/// What a keyword holds.
enum Holds {
    /// One schema.
    Schema,
    /// One schema or a list of them.
    SchemaOrList,
    /// A list of schemas.
    List,
    /// A map from a name to a schema; values that are no schemas (`dependencies`) are skipped.
    Map,
}

fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "additionalItems"
        | "additionalProperties"
        | "contains"
        | "else"
        | "if"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Holds::Schema,
        "items" => Holds::SchemaOrList,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::List,
        "properties" | "patternProperties" | "definitions" | "$defs" | "dependencies"
        | "dependentSchemas" => Holds::Map,
        _ => return None,
    })
}

/// Calls `visit` for each schema that is a map, `schema` itself first, with the JSON pointer to it.
pub(super) fn each<'s, E>(
    schema: &'s Value,
    visit: &mut impl FnMut(&str, &'s Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    below(schema, &mut String::from("#"), visit)
}

fn below<'s, E>(
    schema: &'s Value,
    at: &mut String,
    visit: &mut impl FnMut(&str, &'s Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    let Value::Object(map) = schema else { return Ok(()) };
    visit(at, map)?;
    let here = at.len();
    for (keyword, value) in map {
        let Some(holds) = holds(keyword) else { continue };
        push(at, keyword);
        let keyword_end = at.len();
        match (holds, value) {
            (Holds::Schema | Holds::SchemaOrList, Value::Object(_)) => below(value, at, visit)?,
            (Holds::List | Holds::SchemaOrList, Value::Array(list)) => {
                for (index, schema) in list.iter().enumerate() {
                    push(at, &index.to_string());
                    below(schema, at, visit)?;
                    at.truncate(keyword_end);
                }
            }
            (Holds::Map, Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    push(at, name);
                    below(schema, at, visit)?;
                    at.truncate(keyword_end);
                }
            }
            _ => {}
        }
        at.truncate(here);
    }
    Ok(())
}

/// Calls `change` for each schema that is a map, `schema` itself first.
pub(super) fn each_mut<E>(
    schema: &mut Value,
    change: &mut impl FnMut(&mut Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    let Value::Object(map) = schema else { return Ok(()) };
    change(map)?;
    for (keyword, value) in map {
        match (holds(keyword), value) {
            (Some(Holds::Schema | Holds::SchemaOrList), value @ Value::Object(_)) => each_mut(value, change)?,
            (Some(Holds::List | Holds::SchemaOrList), Value::Array(list)) => {
                for schema in list {
                    each_mut(schema, change)?;
                }
            }
            (Some(Holds::Map), Value::Object(schemas)) => {
                for (_, schema) in schemas {
                    each_mut(schema, change)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Appends a step to a JSON pointer.
pub(super) fn push(pointer: &mut String, step: &str) {
    pointer.push('/');
    for c in step.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(c),
        }
    }
}

/// The schema a `$ref` inside `root` leads to, if it is one into `root` itself.
pub(super) fn target<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    let pointer = reference.strip_prefix('#')?;
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    root.pointer(&pointer)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_found_and_data_is_left_alone() {
        let schema = json!({
            "properties": {"$id": {"a": 1}, "x/y": {"items": [{"b": 1}, true]}},
            "enum": [{"not": {}}], "default": {"properties": {"n": {}}}, "examples": [{"if": {}}],
            "dependencies": {"p": ["q"], "r": {"c": 1}}, "not": {"anyOf": [{}, {"d": 1}]}
        });
        let mut found = Vec::new();
        each::<Infallible>(&schema, &mut |at, _| {
            found.push(at.to_owned());
            Ok(())
        })
        .unwrap();
        let expected = [
            "#",
            "#/properties/$id",
            "#/properties/x~1y",
            "#/properties/x~1y/items/0",
            "#/dependencies/r",
            "#/not",
            "#/not/anyOf/0",
            "#/not/anyOf/1",
        ];
        assert_eq!(found, expected);
        let mut copy = schema.clone();
        let mut count = 0;
        each_mut::<Infallible>(&mut copy, &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, expected.len());
        assert_eq!(target(&schema, "#/not/anyOf/1"), Some(&json!({"d": 1})));
        assert_eq!(
            target(&schema, "#/properties/x~1y/items/0"),
            Some(&json!({"b": 1}))
        );
    }
}
