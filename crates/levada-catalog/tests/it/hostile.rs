//! Schemas and events made to hurt.

use std::sync::Arc;

use levada_catalog::{Compat, NoFetch, Schema, SchemaConfig, SchemaError, SchemaRepository};
use levada_event::json::Document;
use serde_json::{Value, json};

fn compile(schema: Value) -> Result<Schema, SchemaError> {
    Schema::from_json("/h/1.0.0", schema, &Compat::default())
}

fn is_valid(schema: &Schema, event: &str) -> bool {
    schema
        .validate(Document::parse(event.as_bytes()).unwrap().root())
        .is_ok()
}

#[test]
fn a_long_chain_of_references_is_followed_on_a_small_stack() {
    let mut definitions = serde_json::Map::new();
    for i in 0..250 {
        let next = if i == 249 {
            json!({"type": "string"})
        } else {
            json!({"$ref": format!("#/definitions/d{}", i + 1)})
        };
        definitions.insert(format!("d{i}"), next);
    }
    let schema = json!({"definitions": definitions, "properties": {"a": {"$ref": "#/definitions/d0"}}});
    let thread = std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(move || {
            let schema = compile(schema).unwrap();
            assert!(is_valid(&schema, r#"{"a":"x"}"#));
            assert!(!is_valid(&schema, r#"{"a":1}"#));
        });
    thread.unwrap().join().unwrap();
}

#[test]
fn deep_schemas_and_events_fit_a_small_stack() {
    let mut schema = json!({"type": "string"});
    for _ in 0..120 {
        schema = json!({"properties": {"a": schema}, "additionalProperties": false});
    }
    let recursive = json!({"properties": {"a": {"$ref": "#"}}, "additionalProperties": {"type": "null"}});
    let deep = |n: usize, leaf: &str| format!("{}{leaf}{}", "{\"a\":".repeat(n), "}".repeat(n));
    let thread = std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(move || {
            let schema = compile(schema).unwrap();
            assert!(is_valid(&schema, &deep(120, "\"x\"")));
            assert!(!is_valid(&schema, &deep(120, "1")));
            let recursive = compile(recursive).unwrap();
            assert!(is_valid(&recursive, &deep(128, "1")));
            assert!(!is_valid(&recursive, &deep(127, "{\"b\":1}")));
        });
    thread.unwrap().join().unwrap();
}

#[test]
fn schemas_that_refer_to_themselves_alone_end() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
    ] {
        if let Ok(schema) = compile(schema) {
            let _ = is_valid(&schema, r#"{"a":1}"#);
        }
    }
    assert!(compile(json!({"$ref": "#/definitions/nowhere"})).is_err());
}

#[test]
fn patterns_that_explode_give_up() {
    let schema =
        compile(json!({"type": "string", "maxLength": 100, "pattern": "^(?=(a+)+$)(a+)+b$"})).unwrap();
    let event = format!("\"{}\"", "a".repeat(60));
    assert!(!is_valid(&schema, &event));
    assert!(compile(json!({"maxLength": 1, "pattern": "((a{1000}){1000}){1000}"})).is_err());
}

#[test]
fn numbers_beyond_every_type_are_compared() {
    let schema = compile(json!({"type": "integer", "maximum": 100})).unwrap();
    for number in ["1e400", "123456789012345678901234567890", "101", "1e3"] {
        assert!(!is_valid(&schema, number), "{number}");
    }
    for number in [
        "-1e400",
        "-123456789012345678901234567890",
        "100.0",
        "1e2",
        "1e-400",
        "-0",
        "-0.0",
    ] {
        assert!(is_valid(&schema, number), "{number}");
    }
    let schema = compile(json!({"enum": [9007199254740993_i64, 1.5]})).unwrap();
    assert!(is_valid(&schema, "9007199254740993") && is_valid(&schema, "15e-1"));
    assert!(!is_valid(&schema, "9007199254740992") && !is_valid(&schema, "1e400"));
    assert!(!is_valid(&compile(json!({"multipleOf": 2})).unwrap(), "3"));
    assert!(is_valid(&compile(json!({"multipleOf": 0.01})).unwrap(), "4.35"));
}

#[tokio::test]
async fn a_repository_is_never_left() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("base")).unwrap();
    std::fs::write(dir.path().join("outside.yaml"), "title: outside\n").unwrap();
    std::fs::write(dir.path().join("base/in.yaml"), "$ref: ../outside\n").unwrap();
    let base_uris = vec![dir.path().join("base").display().to_string()];
    let schemas = SchemaRepository::new(
        SchemaConfig {
            base_uris,
            ..SchemaConfig::default()
        },
        Arc::new(NoFetch),
    );
    for uri in [
        "../outside",
        "/../outside",
        "/x/../../outside",
        "..%2foutside",
        "/./../outside",
        "\\..\\outside",
    ] {
        assert!(
            matches!(schemas.schema(uri).await, Err(SchemaError::BadUri { .. })),
            "{uri}"
        );
    }
    let absolute = dir.path().join("outside").display().to_string();
    assert!(schemas.schema(&absolute).await.is_err());
    assert!(
        schemas
            .schema("/in")
            .await
            .unwrap_err()
            .to_string()
            .contains("/outside")
    );
}
