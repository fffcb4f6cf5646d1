//! A compiled event schema: what it says about events, and whether an event satisfies it.

mod bundle;
mod cache;
mod compile;
mod defaults;
mod error;
mod fields;
mod format;
mod load;
mod node;
mod order;
mod repository;
mod secure;
mod translate;
mod uri;
mod violation;
mod walk;

use std::fmt;

use jsonschema::Validator;
use levada_event::json;
use serde_json::Value;

pub use error::SchemaError;
pub use fields::KnownFields;
pub use repository::{SchemaConfig, SchemaRepository};
pub use violation::{Violation, Violations};

use crate::Compat;
use node::Text;

/// A schema that was loaded, checked and compiled. Immutable; shared by all who validate with it.
pub struct Schema {
    uri: String,
    json: Value,
    /// The schema as compiled, where that differs from `json` by more than identities: with the
    /// schemas it refers to inside.
    bundled: Option<Value>,
    fields: KnownFields,
    defaults: Option<defaults::Plan>,
    validator: Validator<Text>,
}

impl Schema {
    /// Checks and compiles a schema that refers to no other document, for callers that have one at
    /// hand rather than in a repository.
    ///
    /// # Errors
    /// [`SchemaError::Unreadable`], [`SchemaError::Insecure`] or [`SchemaError::Invalid`].
    pub fn from_json(uri: &str, json: Value, compat: &Compat) -> Result<Self, SchemaError> {
        let bundled = bundle::alone(uri, &json)?;
        Self::compile(uri, json, bundled, compat)
    }

    fn compile(uri: &str, json: Value, bundle: bundle::Bundle, compat: &Compat) -> Result<Self, SchemaError> {
        if !compat.insecure_schemas {
            secure::check(&bundle.schema).map_err(|(at, reason)| SchemaError::Insecure {
                uri: uri.into(),
                at,
                reason,
            })?;
        }
        let draft = compile::draft(uri, &json)?;
        let validator = compile::validator(uri, &bundle.schema, draft, compat)?;
        Ok(Self {
            uri: uri.into(),
            fields: KnownFields::of(&bundle.schema),
            defaults: defaults::Plan::of(&bundle.schema),
            bundled: bundle.refers.then_some(bundle.schema),
            json,
            validator,
        })
    }

    /// The URI it was loaded under: a path from the root of the repository, in its plain spelling.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The schema as loaded.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Its `title`, which streams are declared with.
    pub fn title(&self) -> Option<&str> {
        self.json.get("title")?.as_str()
    }

    /// Its `$id` (draft 4: `id`).
    pub fn id(&self) -> Option<&str> {
        self.json.get("$id").or_else(|| self.json.get("id"))?.as_str()
    }

    /// Its `examples`.
    pub fn examples(&self) -> &[Value] {
        self.json
            .get("examples")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Which of the fields that intake may fill it declares.
    pub fn fields(&self) -> &KnownFields {
        &self.fields
    }

    /// Whether events of this schema may carry a field at `path`: the field is declared, or the
    /// object it stands in is declared and takes other fields (contract eventplatform §2.7).
    /// Declarations in `allOf` and behind `$ref` count.
    pub fn has_path(&self, path: &[&str]) -> bool {
        fields::accepts(self.compiled(), path)
    }

    /// The schema as OpenAPI documents show it: without `$schema`, `$id` and `examples` on top.
    pub fn for_openapi(&self) -> Value {
        let mut shown = self.json.clone();
        if let Value::Object(map) = &mut shown {
            for key in ["$schema", "$id", "examples"] {
                map.shift_remove(key);
            }
        }
        shown
    }

    /// Whether an event satisfies the schema, and if not, why.
    ///
    /// # Errors
    /// [`Violations`] in the order and words of ajv 6 with `allErrors`.
    pub fn validate(&self, event: json::Value<'_>) -> Result<(), Violations> {
        let node = node::TextNode(event);
        if self.validator.is_valid(node) {
            return Ok(());
        }
        Err(translate::violations(&self.validator, self.compiled(), event))
    }

    /// Whether the schema fills in anything at all.
    pub fn has_defaults(&self) -> bool {
        self.defaults.is_some()
    }

    /// The event with the schema's defaults filled in, or `None` if it lacks none of them. Missing
    /// fields are added behind the existing ones of their object; every other byte stays.
    ///
    /// `event` is the value of the whole of `text`.
    pub fn fill_defaults(&self, text: &[u8], event: json::Value<'_>) -> Option<Vec<u8>> {
        self.defaults.as_ref()?.fill(text, event)
    }

    fn compiled(&self) -> &Value {
        self.bundled.as_ref().unwrap_or(&self.json)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}
