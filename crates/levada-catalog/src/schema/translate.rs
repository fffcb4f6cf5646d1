//! From the validator's findings to violations in ajv's words.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use levada_event::json;
use serde_json::{Value, json};

use super::node::{Text, TextNode};
use super::order::{self, Rank, Steps};
use super::violation::{Violation, Violations};

/// Of events larger than this only the first violation is looked for: each one found costs memory,
/// and an author can put tens of thousands of them into such an event.
const THOROUGH_BYTES_MAX: usize = 64 * 1024;

/// What is wrong with an event that is not valid.
pub(super) fn violations(validator: &Validator<Text>, schema: &Value, event: json::Value<'_>) -> Violations {
    let node = TextNode(event);
    let partial = event.end() - event.start() > THOROUGH_BYTES_MAX;
    let errors: Vec<ValidationError<'_>> = if partial {
        validator.validate(node).err().into_iter().collect()
    } else {
        validator.iter_errors(node).collect()
    };
    let mut translator = Translator {
        schema,
        event,
        found: Vec::new(),
    };
    for error in errors.iter().take(Violations::MAX) {
        translator.error(error);
    }
    let mut found = translator.found;
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.dedup_by(|(_, a), (_, b)| a == b);
    let found = found.into_iter().map(|(_, violation)| violation).collect();
    Violations::new(found, errors.len().saturating_sub(Violations::MAX), partial)
}

struct Translator<'a> {
    schema: &'a Value,
    event: json::Value<'a>,
    found: Vec<(Rank, Violation)>,
}

impl Translator<'_> {
    fn error(&mut self, error: &ValidationError<'_>) {
        let (evaluation, instance) = (error.evaluation_path().as_str(), error.instance_path().as_str());
        let (rank, branches) = order::rank(self.schema, self.event, evaluation, instance);
        for inner in inner(error.kind()) {
            self.error(inner);
        }
        let path = self.data_path(instance);
        if is_lone_additional_properties(error) {
            self.additional_properties(error, &rank, &path);
            return;
        }
        for (keyword, schema_path, params, message) in words(self.schema, error) {
            let violation = Violation {
                keyword,
                data_path: path.clone(),
                schema_path,
                params,
                message,
            };
            // Two dependencies on one field are found twice and told of twice.
            if violation.keyword != "dependencies" || !self.found.iter().any(|(_, found)| *found == violation)
            {
                self.found.push((rank.clone(), violation));
            }
        }
        for branch in branches {
            let violation = Violation {
                keyword: "if".into(),
                data_path: self.data_path(&instance[..branch.value]),
                schema_path: format!("#{}/if", &evaluation[..branch.schema]),
                params: json!({"failingKeyword": branch.keyword}),
                message: format!("should match \"{}\" schema", branch.keyword),
            };
            if !self.found.iter().any(|(_, found)| *found == violation) {
                self.found.push((branch.rank, violation));
            }
        }
    }

    /// Where `additionalProperties: false` stands alone, the validator finds a false schema.
    fn additional_properties(&mut self, error: &ValidationError<'_>, rank: &Rank, path: &str) {
        let steps = Steps {
            pointer: error.instance_path().as_str(),
            at: 0,
        };
        let object = steps
            .into_iter()
            .try_fold(self.event, |value, step| Some(order::child(value, &step)?.1));
        for (name, _) in object.into_iter().flat_map(json::Value::entries) {
            let violation = Violation {
                keyword: "additionalProperties".into(),
                data_path: path.into(),
                schema_path: format!("#{}", error.schema_path().as_str()),
                params: json!({"additionalProperty": name.as_str()}),
                message: "should NOT have additional properties".into(),
            };
            self.found.push((rank.clone(), violation));
        }
    }

    /// An instance path as a JavaScript expression.
    fn data_path(&self, instance: &str) -> String {
        let mut path = String::new();
        let mut value = Some(self.event);
        let mut steps = Steps {
            pointer: instance,
            at: 0,
        }
        .peekable();
        while let Some(step) = steps.next() {
            if value.is_some_and(|value| value.kind() == json::Kind::Array) {
                path.push_str(&format!("[{step}]"));
            } else if is_identifier(&step) {
                path.push('.');
                path.push_str(&step);
            } else {
                path.push_str(&format!(
                    "['{}']",
                    step.replace('\\', "\\\\").replace('\'', "\\'")
                ));
            }
            if steps.peek().is_some() {
                value = value
                    .and_then(|value| order::child(value, &step))
                    .map(|(_, value)| value);
            }
        }
        path
    }
}

fn is_identifier(step: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$');
    step.starts_with(first) && step.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Whether a false schema is that of the keyword `additionalProperties`, not of a property so named.
fn is_lone_additional_properties(error: &ValidationError<'_>) -> bool {
    if !matches!(error.kind(), Kind::FalseSchema) {
        return false;
    }
    let mut steps = Steps {
        pointer: error.schema_path().as_str(),
        at: 0,
    };
    let mut last = String::new();
    while let Some(keyword) = steps.next() {
        last = keyword;
        let names_follow = matches!(
            last.as_str(),
            "properties"
                | "patternProperties"
                | "definitions"
                | "$defs"
                | "dependencies"
                | "dependentSchemas"
        );
        if names_follow && steps.next().is_some() {
            last.clear();
        }
    }
    last == "additionalProperties"
}

/// The violations of alternatives, which ajv reports before the rule itself.
fn inner<'e>(kind: &'e Kind) -> Vec<&'e ValidationError<'static>> {
    match kind {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } | Kind::OneOfMultipleValid { context } => {
            context.iter().flatten().collect()
        }
        Kind::PropertyNames { error } => vec![error],
        _ => Vec::new(),
    }
}

/// Keyword, schema path, params and message.
type Words = (String, String, Value, String);

fn words(schema: &Value, error: &ValidationError<'_>) -> Vec<Words> {
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

#[cfg(test)]
mod tests {
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
}
