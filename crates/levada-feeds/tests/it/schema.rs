//! Case 122: every answer is what the description of the service says.

use crate::bench::{Bench, EN};
use serde_json::Value;

/// The part of JSON Schema that the description uses.
fn validate(value: &Value, schema: &Value, spec: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/definitions/");
        return validate(value, &spec["definitions"][name], spec, at);
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        None => true,
        Some(other) => return Err(format!("{at}: unknown type {other}")),
    };
    if !fits {
        return Err(format!("{at}: {value} is no {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{at}: {value} is not among {allowed:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().expect("a name")).is_none() {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{at}/{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(known), _) => validate(member, known, spec, &place)?,
            (None, Value::Bool(false)) => return Err(format!("{place}: not foreseen")),
            (None, Value::Object(other)) => validate(member, &Value::Object(other.clone()), spec, &place)?,
            _ => {}
        }
        if member.is_null() {
            return Err(format!("{place}: null"));
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(schema) = schema.get("items") {
            validate(item, schema, spec, &format!("{at}[{number}]"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn case_122_answers_are_as_described() {
    for bench in [Bench::new(), Bench::compat()] {
        let spec = bench.get("/?spec").await.json();
        let mut checked = 0;
        for (path, item) in spec["paths"].as_object().expect("paths") {
            let schema = &item["get"]["responses"]["200"]["schema"];
            let path = path
                .replace("{domain}", EN)
                .replace("{yyyy}", "2026")
                .replace("{mm}", "11")
                .replace("{dd}", "20")
                .replace("{type}", "all")
                .replace("{format}", "summary");
            let path = if path.contains("most-read") {
                path.replace("20", "19").replace("1926", "2026")
            } else {
                path
            };
            let answer = bench.get(&path).await;
            if schema.is_null() {
                assert_eq!(answer.status, 303, "{path}");
                continue;
            }
            let body = answer.ok().json();
            // The remote configuration has a null of its own.
            if !path.ends_with("configuration") {
                validate(&body, schema, &spec, &path).unwrap_or_else(|error| panic!("{error}"));
            }
            checked += 1;
        }
        assert!(checked >= 18, "{checked}");
        for path in [
            "/en.wikipedia.org/v1/page/featured/2016/13/01",
            "/is.wikipedia.org/v1/page/news",
        ] {
            let answer = bench.get(path).await;
            let schema = serde_json::json!({"$ref": "#/definitions/problem"});
            validate(&answer.json(), &schema, &spec, path).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn the_validator_notices() {
    let spec = serde_json::json!({"definitions": {"a": {"type": "object", "required": ["x"], "additionalProperties": false, "properties": {"x": {"type": "integer"}}}}});
    let schema = serde_json::json!({"type": "array", "items": {"$ref": "#/definitions/a"}});
    for (text, good) in [
        (r#"[{"x":1}]"#, true),
        (r#"[{}]"#, false),
        (r#"[{"x":"1"}]"#, false),
        (r#"[{"x":1,"y":2}]"#, false),
        ("{}", false),
    ] {
        let value = serde_json::from_str(text).expect("JSON");
        assert_eq!(validate(&value, &schema, &spec, "").is_ok(), good, "{text}");
    }
}
