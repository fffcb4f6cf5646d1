//! The validator reads events from their text. Here it is held against the same library reading
//! trees, on schemas and events that neither was made for.

use levada_catalog::{Compat, Schema};
use levada_event::json::Document;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const NAMES: [&str; 5] = ["a", "b", "c", "a-b", "\u{e9}\""];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&NAMES[..]).prop_map(Into::into)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        (-3_i64..4).prop_map(Into::into),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        (-6_i32..7).prop_map(|n| json!(f64::from(n) / 2.0)),
        prop::sample::select(&["", "a", "ab", "abc", "\u{1f600}", "a\"\\\n", "2020-01-02", "x:y"][..])
            .prop_map(Into::into),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((name(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn kind() -> impl Strategy<Value = Value> {
    let kinds = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ];
    prop_oneof![
        prop::sample::select(kinds.to_vec()).prop_map(Into::into),
        prop::sample::subsequence(kinds.to_vec(), 1..4).prop_map(Into::into),
    ]
}

fn simple_rule() -> impl Strategy<Value = (String, Value)> {
    let named =
        |name: &'static str, value: BoxedStrategy<Value>| value.prop_map(move |v| (name.to_owned(), v));
    let small = || (0_u64..4).prop_map(Value::from).boxed();
    let number = || (-3_i32..4).prop_map(|n| json!(f64::from(n) / 2.0)).boxed();
    prop_oneof![
        named("type", kind().boxed()),
        named(
            "enum",
            prop::collection::vec(event(), 1..4).prop_map(Into::into).boxed()
        ),
        named("const", event().boxed()),
        named("minimum", number()),
        named("maximum", number()),
        named("exclusiveMinimum", number()),
        named("exclusiveMaximum", number()),
        named(
            "multipleOf",
            (1_u32..4).prop_map(|n| json!(f64::from(n) / 2.0)).boxed()
        ),
        named("minLength", small()),
        named("maxLength", small()),
        named(
            "pattern",
            prop::sample::select(&["^a", "b", "^$"][..])
                .prop_map(Into::into)
                .boxed()
        ),
        named("minItems", small()),
        named("maxItems", small()),
        named("uniqueItems", any::<bool>().prop_map(Into::into).boxed()),
        named("minProperties", small()),
        named("maxProperties", small()),
        named(
            "required",
            prop::collection::hash_set(name(), 0..4)
                .prop_map(|s| s.into_iter().collect())
                .boxed()
        ),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::vec(simple_rule(), 0..3)
        .prop_map(|rules| Value::Object(rules.into_iter().collect()));
    leaf.prop_recursive(3, 30, 4, |inner| {
        let or_bool = prop_oneof![4 => inner.clone(), 1 => any::<bool>().prop_map(Value::from)].boxed();
        let many = || {
            prop::collection::vec(or_bool.clone(), 1..3)
                .prop_map(Value::from)
                .boxed()
        };
        let map = prop::collection::vec((name(), or_bool.clone()), 0..5)
            .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>()))
            .boxed();
        let named =
            |name: &'static str, value: BoxedStrategy<Value>| value.prop_map(move |v| (name.to_owned(), v));
        let rule = prop_oneof![
            3 => simple_rule(),
            4 => named("properties", map.clone()),
            2 => named("additionalProperties", or_bool.clone()),
            1 => named("patternProperties", map.prop_map(|m| json!({"^a": m})).boxed()),
            1 => named("propertyNames", or_bool.clone()),
            2 => named("items", or_bool.clone()),
            1 => named("items", many()),
            1 => named("additionalItems", or_bool.clone()),
            1 => named("contains", or_bool.clone()),
            1 => named("allOf", many()),
            1 => named("anyOf", many()),
            1 => named("oneOf", many()),
            1 => named("not", or_bool.clone()),
            1 => named("if", or_bool.clone()),
            1 => named("then", or_bool.clone()),
            1 => named("else", or_bool.clone()),
            1 => name().prop_map(|n| ("dependencies".to_owned(), json!({n: ["a", "b"]}))),
            1 => Just(("additionalProperties".to_owned(), json!(false))),
        ];
        prop::collection::vec(rule, 0..5).prop_map(|rules| Value::Object(rules.into_iter().collect()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn text_and_tree_agree(schema in schema(), events in prop::collection::vec(event(), 1..6)) {
        let compat = Compat { insecure_schemas: true, ..Compat::default() };
        let ours = Schema::from_json("/p/1.0.0", schema.clone(), &compat).unwrap();
        let theirs = jsonschema::options().with_draft(jsonschema::Draft::Draft7).build(&schema).unwrap();
        for event in events {
            for text in [event.to_string(), serde_json::to_string_pretty(&event).unwrap(), escaped(&event)] {
                let document = Document::parse(text.as_bytes()).unwrap();
                let verdict = ours.validate(document.root());
                prop_assert_eq!(verdict.is_ok(), theirs.is_valid(&event), "{} {}", schema, text);
                if let Err(violations) = verdict {
                    prop_assert!(!violations.is_empty(), "{} {}", schema, text);
                    prop_assert!(violations.iter().all(|v| v.schema_path.starts_with('#')));
                }
            }
        }
    }

    #[test]
    fn filled_events_lack_nothing(names in prop::collection::vec((name(), scalar()), 1..5), event in event()) {
        let properties: Map<String, Value> =
            names.iter().map(|(name, default)| (name.clone(), json!({ "default": default }))).collect();
        let inner = json!({"properties": properties});
        let schema = json!({"properties": properties, "items": inner, "additionalProperties": inner});
        let schema = Schema::from_json("/p/1.0.0", schema, &Compat::default()).unwrap();
        let text = event.to_string();
        let document = Document::parse(text.as_bytes()).unwrap();
        if let Some(filled) = schema.fill_defaults(text.as_bytes(), document.root()) {
            let again = Document::parse(&filled).unwrap();
            prop_assert!(schema.fill_defaults(&filled, again.root()).is_none());
            let mut left = serde_json::from_slice::<Value>(&filled).unwrap();
            strip(&mut left, &event);
            prop_assert_eq!(left, event);
        }
    }
}

/// The same text with every letter `a` written as an escape.
fn escaped(event: &Value) -> String {
    event.to_string().replace("\"a", "\"\\u0061")
}

/// Takes out what an event did not have before it was filled.
fn strip(filled: &mut Value, before: &Value) {
    match (filled, before) {
        (Value::Object(filled), Value::Object(before)) => {
            filled.retain(|key, _| before.contains_key(key));
            for (key, value) in filled {
                strip(value, &before[key]);
            }
        }
        (Value::Array(filled), Value::Array(before)) => {
            for (value, before) in filled.iter_mut().zip(before) {
                strip(value, before);
            }
        }
        _ => {}
    }
}
