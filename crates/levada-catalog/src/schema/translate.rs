//! From the validator's findings to violations in ajv's words.

mod words;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use levada_event::json;
use serde_json::{Value, json};

use super::node::{Text, TextNode};
use super::order::{self, Rank, Steps};
use super::violation::{Violation, Violations};
use words::words;

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
fn inner(kind: &Kind) -> Vec<&ValidationError<'static>> {
    match kind {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } | Kind::OneOfMultipleValid { context } => {
            context.iter().flatten().collect()
        }
        Kind::PropertyNames { error } => vec![error],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
