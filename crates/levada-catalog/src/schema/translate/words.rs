//! What each kind of violation is called: keyword, params and message of ajv 6.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::{Value, json};

/// Keyword, schema path, params and message.
pub(super) type Words = (String, String, Value, String);

/// The violations that one finding of the validator stands for.
pub(super) fn words(schema: &Value, error: &ValidationError<'_>) -> Vec<Words> {
    let place = error.schema_path().as_str();
    let rule = schema.pointer(place);
    let one = |keyword: &str, params: Value, message: String| {
        vec![(keyword.to_owned(), format!("#{place}"), params, message)]
    };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .flat_map(|name| {
                one(
                    "additionalProperties",
                    json!({"additionalProperty": name}),
                    "should NOT have additional properties".into(),
                )
            })
            .collect(),
        Kind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .flat_map(|name| {
                one(
                    "unevaluatedProperties",
                    json!({"unevaluatedProperty": name}),
                    "should NOT have unevaluated properties".into(),
                )
            })
            .collect(),
        Kind::Required { property } => required(schema, error, property),
        Kind::Type { .. } => {
            let names = match rule {
                Some(Value::Array(names)) => names
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(","),
                other => other
                    .and_then(Value::as_str)
                    .unwrap_or("something else")
                    .to_owned(),
            };
            one("type", json!({"type": names}), format!("should be {names}"))
        }
        Kind::Enum { options } => one(
            "enum",
            json!({"allowedValues": **options}),
            "should be equal to one of the allowed values".into(),
        ),
        Kind::Constant { expected_value } => one(
            "const",
            json!({"allowedValue": **expected_value}),
            "should be equal to constant".into(),
        ),
        Kind::Maximum { limit } => bound(one, "maximum", "<=", limit, false),
        Kind::Minimum { limit } => bound(one, "minimum", ">=", limit, false),
        Kind::ExclusiveMaximum { limit } => bound(one, "exclusiveMaximum", "<", limit, true),
        Kind::ExclusiveMinimum { limit } => bound(one, "exclusiveMinimum", ">", limit, true),
        Kind::MultipleOf { multiple_of } => {
            let factor = rule.cloned().unwrap_or_else(|| json!(multiple_of));
            let message = format!("should be multiple of {}", number(&factor));
            one("multipleOf", json!({"multipleOf": factor}), message)
        }
        Kind::MaxLength { limit } => count(one, "maxLength", "longer", "characters", *limit),
        Kind::MinLength { limit } => count(one, "minLength", "shorter", "characters", *limit),
        Kind::MaxItems { limit } => count(one, "maxItems", "more", "items", *limit),
        Kind::MinItems { limit } => count(one, "minItems", "fewer", "items", *limit),
        Kind::MaxProperties { limit } => count(one, "maxProperties", "more", "properties", *limit),
        Kind::MinProperties { limit } => count(one, "minProperties", "fewer", "properties", *limit),
        Kind::AdditionalItems { limit } => count(one, "additionalItems", "more", "items", *limit as u64),
        Kind::UnevaluatedItems { .. } => one(
            "unevaluatedItems",
            json!({}),
            "should NOT have unevaluated items".into(),
        ),
        Kind::UniqueItems => {
            let (i, j) = twins(error.instance());
            let message = format!("should NOT have duplicate items (items ## {j} and {i} are identical)");
            one("uniqueItems", json!({"i": i, "j": j}), message)
        }
        Kind::Pattern { pattern } => one(
            "pattern",
            json!({"pattern": pattern}),
            format!("should match pattern \"{pattern}\""),
        ),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            let pattern = rule.and_then(Value::as_str).unwrap_or_default();
            one(
                "pattern",
                json!({"pattern": pattern}),
                format!("should match pattern \"{pattern}\""),
            )
        }
        Kind::Format { format } => one(
            "format",
            json!({"format": format}),
            format!("should match format \"{format}\""),
        ),
        Kind::Contains => one("contains", json!({}), "should contain a valid item".into()),
        Kind::PropertyNames { error: inner } => {
            let name = inner.instance().as_str().unwrap_or_default().to_owned();
            let place = place_of_names(place);
            let message = format!("property name '{name}' is invalid");
            vec![(
                "propertyNames".into(),
                format!("#{place}"),
                json!({"propertyName": name}),
                message,
            )]
        }
        Kind::AnyOf { .. } => one("anyOf", json!({}), "should match some schema in anyOf".into()),
        Kind::OneOfNotValid { .. } => one(
            "oneOf",
            json!({"passingSchemas": null}),
            "should match exactly one schema in oneOf".into(),
        ),
        Kind::OneOfMultipleValid { context } => {
            let passing: Vec<usize> = context
                .iter()
                .enumerate()
                .filter(|(_, errors)| errors.is_empty())
                .map(|(at, _)| at)
                .take(2)
                .collect();
            one(
                "oneOf",
                json!({"passingSchemas": passing}),
                "should match exactly one schema in oneOf".into(),
            )
        }
        Kind::Not { .. } => one("not", json!({}), "should NOT be valid".into()),
        Kind::FalseSchema => {
            let place = format!("#{place}/false schema");
            vec![(
                "false schema".into(),
                place,
                json!({}),
                "boolean schema is false".into(),
            )]
        }
        other => one(other.keyword(), json!({}), error.to_string()),
    }
}

/// Of a fault of a name, the place of `propertyNames` itself.
fn place_of_names(place: &str) -> &str {
    const KEYWORD: &str = "/propertyNames";
    place
        .rfind(KEYWORD)
        .map_or(place, |at| &place[..at + KEYWORD.len()])
}

/// A missing field, or the dependencies that ask for it.
fn required(schema: &Value, error: &ValidationError<'_>, property: &Value) -> Vec<Words> {
    let place = error.schema_path().as_str();
    let missing = property.as_str().unwrap_or_default();
    let Some(Value::Object(dependencies)) = schema.pointer(place) else {
        let message = format!("should have required property '{missing}'");
        let params = json!({"missingProperty": missing});
        return vec![("required".into(), format!("#{place}"), params, message)];
    };
    let mut words = Vec::new();
    for (present, wanted) in dependencies {
        let names: Vec<&str> = wanted
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !names.contains(&missing) || error.instance().get(present).is_none() {
            continue;
        }
        let list = names.join(", ");
        let noun = if names.len() == 1 {
            "property"
        } else {
            "properties"
        };
        words.push((
            "dependencies".into(),
            format!("#{place}"),
            json!({"property": present, "missingProperty": missing, "depsCount": names.len(), "deps": list}),
            format!("should have {noun} {list} when property {present} is present"),
        ));
    }
    words
}

fn bound(
    one: impl Fn(&str, Value, String) -> Vec<Words>,
    keyword: &str,
    comparison: &str,
    limit: &Value,
    exclusive: bool,
) -> Vec<Words> {
    let params = json!({"comparison": comparison, "limit": limit, "exclusive": exclusive});
    one(
        keyword,
        params,
        format!("should be {comparison} {}", number(limit)),
    )
}

fn count(
    one: impl Fn(&str, Value, String) -> Vec<Words>,
    keyword: &str,
    adverb: &str,
    noun: &str,
    limit: u64,
) -> Vec<Words> {
    let verb = if noun == "characters" { "be" } else { "have" };
    one(
        keyword,
        json!({"limit": limit}),
        format!("should NOT {verb} {adverb} than {limit} {noun}"),
    )
}

/// A number as JavaScript prints it, which matters for whole numbers only.
fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(number)
            if !value.is_u64() && !value.is_i64() && number.fract() == 0.0 && number.abs() < 1e21 =>
        {
            format!("{number:.0}")
        }
        _ => value.to_string(),
    }
}

/// The two equal items that ajv finds first, searching from the end; the later one comes first.
fn twins(list: &Value) -> (usize, usize) {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    for later in (0..items.len()).rev() {
        for earlier in (0..later).rev() {
            if jsonschema::json::cmp::equal(&items[later], &items[earlier]) {
                return (later, earlier);
            }
        }
    }
    (0, 0)
}
