use serde_json::json;

use crate::{Compat, Schema};

use super::*;

fn compiled(schema: Value) -> Schema {
    let compat = Compat {
        insecure_schemas: true,
        ..Compat::default()
    };
    Schema::from_json("/t/1.0.0", schema, &compat).unwrap()
}

fn text(schema: Value, event: &str) -> String {
    let document = json::Document::parse(event.as_bytes()).unwrap();
    compiled(schema)
        .validate(document.root())
        .map_or_else(|v| v.errors_text(), |()| "valid".into())
}

#[test]
fn every_keyword_has_its_words() {
    let inner = json!({"type": "string"});
    for (schema, event, expected) in [
        (json!({"type": "string"}), "1", "'' should be string"),
        (
            json!({"type": ["string", "null"]}),
            "1",
            "'' should be string,null",
        ),
        (json!({"type": "integer"}), "1.5", "'' should be integer"),
        (json!({"type": "integer"}), "1.0", "valid"),
        (
            json!({"required": ["x"]}),
            "{}",
            "'' should have required property 'x'",
        ),
        (
            json!({"enum": [1]}),
            "2",
            "'' should be equal to one of the allowed values",
        ),
        (json!({"const": 1}), "2", "'' should be equal to constant"),
        (
            json!({"additionalProperties": false}),
            r#"{"a":1}"#,
            "'' should NOT have additional properties",
        ),
        (
            json!({"items": [{}], "additionalItems": false}),
            "[1,2,3]",
            "'' should NOT have more than 1 items",
        ),
        (
            json!({"pattern": "^a$"}),
            "\"b\"",
            "'' should match pattern \"^a$\"",
        ),
        (
            json!({"format": "date-time"}),
            "\"notadate\"",
            "'' should match format \"date-time\"",
        ),
        (json!({"maximum": 5.0}), "6", "'' should be <= 5"),
        (json!({"minimum": 5}), "4", "'' should be >= 5"),
        (json!({"exclusiveMaximum": 5}), "5", "'' should be < 5"),
        (json!({"exclusiveMinimum": 5}), "5", "'' should be > 5"),
        (json!({"multipleOf": 2}), "3", "'' should be multiple of 2"),
        (
            json!({"maxLength": 1}),
            "\"ab\"",
            "'' should NOT be longer than 1 characters",
        ),
        (json!({"maxLength": 2}), "\"\\ud83d\\ude00\u{1f600}\"", "valid"),
        (
            json!({"minLength": 2}),
            "\"a\"",
            "'' should NOT be shorter than 2 characters",
        ),
        (
            json!({"maxItems": 1}),
            "[1,2]",
            "'' should NOT have more than 1 items",
        ),
        (
            json!({"minItems": 1}),
            "[]",
            "'' should NOT have fewer than 1 items",
        ),
        (
            json!({"maxProperties": 0}),
            r#"{"a":1}"#,
            "'' should NOT have more than 0 properties",
        ),
        (
            json!({"minProperties": 1}),
            "{}",
            "'' should NOT have fewer than 1 properties",
        ),
        (
            json!({"uniqueItems": true}),
            "[1,2,1.0]",
            "'' should NOT have duplicate items (items ## 0 and 2 are identical)",
        ),
        (
            json!({"contains": inner}),
            "[1]",
            "'' should contain a valid item",
        ),
        (json!({"not": {}}), "1", "'' should NOT be valid"),
        (
            json!({"properties": {"a": false}}),
            r#"{"a":1}"#,
            "'.a' boolean schema is false",
        ),
        (
            json!({"propertyNames": {"maxLength": 1}}),
            r#"{"ab":1}"#,
            "'' should NOT be longer than 1 characters, '' property name 'ab' is invalid",
        ),
        (
            json!({"dependencies": {"a": ["b", "c"]}}),
            r#"{"a":1,"b":1}"#,
            "'' should have properties b, c when property a is present",
        ),
        (
            json!({"dependencies": {"a": ["b"]}}),
            r#"{"a":1}"#,
            "'' should have property b when property a is present",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "1",
            "'' should be string, '' should be null, '' should match some schema in anyOf",
        ),
        (
            json!({"oneOf": [{"type": "string"}]}),
            "1",
            "'' should be string, '' should match exactly one schema in oneOf",
        ),
        (
            json!({"oneOf": [{}, {}]}),
            "1",
            "'' should match exactly one schema in oneOf",
        ),
        (
            json!({"if": {"required": ["a"]}, "then": {"required": ["b", "c"]}}),
            r#"{"a":1}"#,
            "'' should have required property 'b', '' should have required property 'c', \
             '' should match \"then\" schema",
        ),
        (
            json!({"properties": {"x": {"if": {"const": 1}, "else": {"const": 2}}}}),
            r#"{"x":3}"#,
            "'.x' should be equal to constant, '.x' should match \"else\" schema",
        ),
    ] {
        assert_eq!(text(schema.clone(), event), expected, "{schema} {event}");
    }
}

#[test]
fn paths_are_javascript_expressions() {
    let deep = json!({"additionalProperties": {"items": {"type": "string"}}});
    assert_eq!(
        text(json!({"properties": {"map": deep}}), r#"{"map":{"a-b":[1]}}"#),
        "'.map['a-b'][0]' should be string"
    );
    assert_eq!(
        text(deep, r#"{"it's":["a",1]}"#),
        "'['it\\'s'][1]' should be string"
    );
}

#[test]
fn violations_serialise_as_ajv_has_them() {
    let schema = compiled(json!({"properties": {"test": {"type": "string"}}}));
    let document = json::Document::parse(br#"{"test":0.01}"#).unwrap();
    let violations = schema.validate(document.root()).unwrap_err();
    assert_eq!(
        serde_json::to_string(&violations).unwrap(),
        r##"[{"keyword":"type","dataPath":".test","schemaPath":"#/properties/test/type","params":{"type":"string"},"message":"should be string"}]"##
    );
    let schema = compiled(json!({"required": ["a"], "properties": {"m": {"required": ["id"]}}}));
    let document = json::Document::parse(br#"{"m":{}}"#).unwrap();
    let violations = schema.validate(document.root()).unwrap_err();
    assert_eq!(
        violations.errors_text(),
        "'' should have required property 'a', '.m' should have required property 'id'"
    );
    assert_eq!(violations[1].params, json!({"missingProperty": "id"}));
    assert_eq!(violations[1].schema_path, "#/properties/m/required");
}

#[test]
fn properties_come_as_the_schema_lists_them() {
    let string = json!({"type": "string"});
    let schema = json!({
        "properties": {"c": {"items": [string, string]}, "a": string, "b": {"$ref": "#/definitions/d"}},
        "definitions": {"d": {"properties": {"y": string, "x": string}}},
        "required": ["q"], "additionalProperties": {"type": "null"}, "maxProperties": 1
    });
    let event = r#"{"z2":1,"z1":2,"b":{"x":1,"y":2},"a":1,"c":[1,2]}"#;
    assert_eq!(
        text(schema, event),
        "'' should NOT have more than 1 properties, '' should have required property 'q', \
         '.z2' should be null, '.z1' should be null, '.c[0]' should be string, '.c[1]' should be string, \
         '.a' should be string, '.b.y' should be string, '.b.x' should be string"
    );
}

#[test]
fn there_are_never_too_many() {
    let event = format!("[{}1]", "1,".repeat(9_999));
    let document = json::Document::parse(event.as_bytes()).unwrap();
    let schema = compiled(json!({"items": {"type": "string"}}));
    let violations = schema.validate(document.root()).unwrap_err();
    assert_eq!(
        (violations.len(), violations.omitted()),
        (Violations::MAX, 10_000 - Violations::MAX)
    );
    assert!(violations.errors_text().ends_with(", and 9800 more"));
    let event = format!("[{}1]", "1,".repeat(40_000));
    let document = json::Document::parse(event.as_bytes()).unwrap();
    let violations = schema.validate(document.root()).unwrap_err();
    assert_eq!((violations.len(), violations.is_partial()), (1, true));
}
