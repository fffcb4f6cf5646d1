use serde_json::json;

use super::*;

fn filled(schema: Value, event: &str) -> Option<String> {
    let document = Document::parse(event.as_bytes()).unwrap();
    let text = Plan::of(&schema)?.fill(event.as_bytes(), document.root())?;
    Document::parse(&text).unwrap();
    Some(String::from_utf8(text).unwrap())
}

fn with_default(default: Value) -> Value {
    json!({ "default": default })
}

#[test]
fn missing_names_go_behind_the_others() {
    let schema = json!({"properties": {"a": with_default(json!(1)), "b\"": with_default(json!("x"))}});
    assert_eq!(filled(schema.clone(), "{}").unwrap(), r#"{"a":1,"b\"":"x"}"#);
    assert_eq!(
        filled(schema.clone(), "{ \"z\" : 12345678901234567890 }").unwrap(),
        "{ \"z\" : 12345678901234567890,\"a\":1,\"b\\\"\":\"x\" }"
    );
    assert_eq!(filled(schema.clone(), r#"{"a":null,"b\u0022":2}"#), None);
    assert_eq!(filled(schema, "[]"), None);
    assert!(Plan::of(&json!({"properties": {"a": {"type": "string"}}})).is_none());
}

#[test]
fn defaults_nest() {
    let inner = json!({"properties": {"y": with_default(json!("yy"))}});
    let mut outer = inner.clone();
    outer["default"] = json!({"x": 1});
    let schema = json!({"properties": {"o": outer, "p": inner}});
    assert_eq!(filled(schema.clone(), "{}").unwrap(), r#"{"o":{"x":1,"y":"yy"}}"#);
    assert_eq!(
        filled(schema.clone(), r#"{"p":{},"o":{"y":0}}"#).unwrap(),
        r#"{"p":{"y":"yy"},"o":{"y":0}}"#
    );
    assert_eq!(
        filled(schema, r#"{"o":{"q":{}},"p":5}"#).unwrap(),
        r#"{"o":{"q":{},"y":"yy"},"p":5}"#
    );
}

#[test]
fn tuples_are_filled_up() {
    let schema =
        json!({"properties": {"t": {"items": [{"default": 1}, {"default": 2}, {}, {"default": 4}]}}});
    assert_eq!(filled(schema.clone(), r#"{"t":[]}"#).unwrap(), r#"{"t":[1,2]}"#);
    assert_eq!(
        filled(schema.clone(), r#"{"t":[0 ]}"#).unwrap(),
        r#"{"t":[0,2 ]}"#
    );
    assert_eq!(
        filled(schema.clone(), r#"{"t":[0,0,0]}"#).unwrap(),
        r#"{"t":[0,0,0,4]}"#
    );
    assert_eq!(filled(schema, r#"{"t":[0,0]}"#), None);
}

#[test]
fn parts_that_all_apply_are_filled_and_alternatives_are_not() {
    let part = json!({"properties": {"a": with_default(json!(1))}});
    assert_eq!(filled(json!({"allOf": [part]}), "{}").unwrap(), r#"{"a":1}"#);
    assert_eq!(
        filled(
            json!({"definitions": {"d": part}, "$ref": "#/definitions/d"}),
            "{}"
        )
        .unwrap(),
        r#"{"a":1}"#
    );
    for keyword in ["anyOf", "oneOf"] {
        assert_eq!(filled(json!({keyword: [part]}), "{}"), None);
    }
    for keyword in ["not", "if", "contains", "propertyNames"] {
        assert_eq!(filled(json!({keyword: part}), "{}"), None);
    }
}

#[test]
fn values_of_maps_and_lists_are_filled() {
    let part = json!({"properties": {"a": with_default(json!(1))}});
    let schema = json!({"properties": {"l": {"items": part}, "m": {"additionalProperties": part, "properties": {"own": {}}}}});
    let event = r#"{"l":[{},{"a":0}],"m":{"k":{"b":{}},"own":{}}}"#;
    assert_eq!(
        filled(schema, event).unwrap(),
        r#"{"l":[{"a":1},{"a":0}],"m":{"k":{"b":{},"a":1},"own":{}}}"#
    );
}

#[test]
fn schemas_that_refer_to_themselves_end() {
    let schema = json!({"properties": {"a": with_default(json!(1)), "n": {"$ref": "#"}}});
    assert_eq!(
        filled(schema, r#"{"n":{"n":{}}}"#).unwrap(),
        r#"{"n":{"n":{"a":1},"a":1},"a":1}"#
    );
}

#[test]
fn of_several_defaults_for_one_field_the_first_counts() {
    let part = |default: i32| json!({"properties": {"a": with_default(json!(default))}});
    let schema = json!({"properties": {"a": with_default(json!(1))}, "allOf": [part(2), part(3)]});
    assert_eq!(filled(schema, "{}").unwrap(), r#"{"a":1}"#);
}
