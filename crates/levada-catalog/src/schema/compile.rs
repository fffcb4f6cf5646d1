//! From a checked schema to a validator.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::node::Text;
use super::{SchemaError, format};
use crate::Compat;

/// Steps a pattern with look-around or back-references may take on one string. Other patterns are
/// matched in linear time.
const BACKTRACK_MAX: usize = 100_000;

/// Largest compiled form of one pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// The draft a schema is written in; draft 7 where it does not say.
pub(super) fn draft(uri: &str, schema: &Value) -> Result<Draft, SchemaError> {
    let declared = match schema.get("$schema") {
        None => return Ok(Draft::Draft7),
        Some(Value::String(declared)) => declared.as_str(),
        Some(_) => return Err(invalid(uri, "its $schema is no string")),
    };
    let name = declared.strip_suffix('#').unwrap_or(declared);
    let name = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"))
        .unwrap_or(name);
    Ok(match name {
        "json-schema.org/draft-04/schema" => Draft::Draft4,
        "json-schema.org/draft-06/schema" => Draft::Draft6,
        "json-schema.org/draft-07/schema" | "json-schema.org/schema" => Draft::Draft7,
        "json-schema.org/draft/2019-09/schema" => Draft::Draft201909,
        "json-schema.org/draft/2020-12/schema" => Draft::Draft202012,
        _ => {
            return Err(invalid(
                uri,
                format!("its $schema names the unknown metaschema {declared}"),
            ));
        }
    })
}

/// Compiles a schema that refers to nothing outside itself.
pub(super) fn validator(
    uri: &str,
    schema: &Value,
    draft: Draft,
    compat: &Compat,
) -> Result<Validator<Text>, SchemaError> {
    let mut options = jsonschema::options_for::<Text>()
        .with_draft(draft)
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(
            PatternOptions::fancy_regex()
                .backtrack_limit(BACKTRACK_MAX)
                .size_limit(PATTERN_BYTES_MAX),
        );
    for (name, check) in format::checks(compat) {
        options = options.with_format(name, check);
    }
    options.build(schema).map_err(|error| {
        let place = error.instance_path().as_str();
        let reason = match place {
            "" => error.to_string(),
            place => format!("{error} at #{place}"),
        };
        invalid(uri, reason)
    })
}

fn invalid(uri: &str, reason: impl Into<String>) -> SchemaError {
    SchemaError::Invalid {
        uri: uri.into(),
        reason: reason.into(),
    }
}
