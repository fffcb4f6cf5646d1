//! A schema together with all schemas it refers to, in one document.
//!
//! Referred documents are laid into `definitions`, and references to them become local ones. The
//! identities (`$id`, `$schema`) of all of them are taken out: real schemas carry the same nested
//! `$id` with different content, and nothing may be resolved but through the repository.

use std::collections::VecDeque;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::SchemaError;
use super::uri::is_metaschema;
use super::walk;

/// Documents that one schema may refer to, directly or not. Wikimedia's sources refer to at most 8.
const DOCUMENTS_MAX: usize = 64;

/// References in all of these documents. Each may lead to the next, and every step costs stack.
const REFERENCES_MAX: usize = 256;

/// Schemas in all of these documents. The largest Wikimedia schema has 110.
const SCHEMAS_MAX: usize = 20_000;

/// Names of the referred documents in `definitions`.
const NAME: &str = "levada:document:";

/// A schema ready to be compiled.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) schema: Value,
    /// Whether other documents were laid in.
    pub(super) refers: bool,
}

/// Reads documents that a schema refers to.
#[async_trait]
pub(super) trait Documents: Send + Sync {
    /// The document at a path or, where allowed, an absolute address.
    async fn document(&self, uri: &str) -> Result<Value, SchemaError>;
}

/// Bundles a schema that refers to no other document.
pub(super) fn alone(uri: &str, json: &Value) -> Result<Bundle, SchemaError> {
    let mut bundler = Bundler::new(uri, json)?;
    match bundler.wanted.pop_front() {
        None => Ok(bundler.finish()),
        Some(other) => Err(SchemaError::Invalid {
            uri: uri.into(),
            reason: format!("it refers to {other}"),
        }),
    }
}

/// Bundles a schema, reading what it refers to.
pub(super) async fn with(uri: &str, json: &Value, documents: &dyn Documents) -> Result<Bundle, SchemaError> {
    let mut bundler = Bundler::new(uri, json)?;
    while let Some(next) = bundler.wanted.pop_front() {
        let document = documents.document(&next).await.map_err(|error| match error {
            SchemaError::Unavailable { reason, .. } => SchemaError::Unavailable {
                uri: uri.into(),
                reason: format!("it refers to {next}: {reason}"),
            },
            other => SchemaError::Invalid {
                uri: uri.into(),
                reason: format!("it refers to {next}: {other}"),
            },
        })?;
        bundler.add(document)?;
    }
    Ok(bundler.finish())
}

struct Bundler {
    uri: String,
    /// URIs of all documents; the first is the schema's own.
    names: Vec<String>,
    documents: Vec<Value>,
    wanted: VecDeque<String>,
    references: usize,
    schemas: usize,
}

impl Bundler {
    fn new(uri: &str, json: &Value) -> Result<Self, SchemaError> {
        let mut bundler = Self {
            uri: uri.into(),
            names: vec![uri.into()],
            documents: Vec::new(),
            wanted: VecDeque::new(),
            references: 0,
            schemas: 0,
        };
        bundler.add(json.clone())?;
        Ok(bundler)
    }

    /// Takes the next document in.
    fn add(&mut self, mut document: Value) -> Result<(), SchemaError> {
        if !document.is_object() {
            return Err(self.unreadable("a schema is a map"));
        }
        let index = self.documents.len();
        let id = document
            .get("$id")
            .or_else(|| document.get("id"))
            .and_then(Value::as_str);
        // What a relative reference is relative to.
        let base = match id {
            Some(id) if id.starts_with('/') => id.trim_end_matches('#').to_owned(),
            _ => self.names[index].clone(),
        };
        walk::each_mut(&mut document, &mut |schema| self.schema(schema, index, &base))?;
        self.documents.push(document);
        Ok(())
    }

    fn schema(
        &mut self,
        schema: &mut Map<String, Value>,
        index: usize,
        base: &str,
    ) -> Result<(), SchemaError> {
        self.schemas += 1;
        if self.schemas > SCHEMAS_MAX {
            return Err(self.invalid(format!("more than {SCHEMAS_MAX} schemas in one")));
        }
        schema.shift_remove("$schema");
        for key in ["$id", "id"] {
            // A fragment is a name inside the document, not an identity.
            if schema
                .get(key)
                .and_then(Value::as_str)
                .is_some_and(|id| index > 0 || !id.starts_with('#'))
            {
                schema.shift_remove(key);
            }
        }
        if let Some(Value::String(reference)) = schema.get_mut("$ref") {
            self.references += 1;
            if self.references > REFERENCES_MAX {
                return Err(self.invalid(format!("more than {REFERENCES_MAX} references in one schema")));
            }
            let local = self.local(reference, index, base)?;
            *reference = local;
        }
        Ok(())
    }

    /// A reference as one inside the bundle.
    fn local(&mut self, reference: &str, index: usize, base: &str) -> Result<String, SchemaError> {
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if is_metaschema(document) {
            return Ok(reference.to_owned());
        }
        let target = match document {
            "" | "." | "./" => index,
            _ => {
                let uri = resolve(base, document);
                match self.names.iter().position(|known| *known == uri) {
                    Some(known) => known,
                    None if uri == base => index,
                    None => self.want(uri)?,
                }
            }
        };
        if !fragment.is_empty() && !fragment.starts_with('/') && target > 0 {
            return Err(self.invalid(format!(
                "the reference {reference:?} names an anchor in another document"
            )));
        }
        Ok(match target {
            0 => format!("#{fragment}"),
            target => format!("#/definitions/{NAME}{target}{fragment}"),
        })
    }

    fn want(&mut self, uri: String) -> Result<usize, SchemaError> {
        if self.names.len() == DOCUMENTS_MAX {
            return Err(self.invalid(format!("it refers to more than {DOCUMENTS_MAX} documents")));
        }
        self.wanted.push_back(uri.clone());
        self.names.push(uri);
        Ok(self.names.len() - 1)
    }

    fn finish(self) -> Bundle {
        let refers = self.documents.len() > 1;
        let mut documents = self.documents.into_iter();
        let mut schema = documents.next().unwrap_or_default();
        if let (true, Value::Object(root)) = (refers, &mut schema) {
            let definitions = root
                .entry("definitions")
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(definitions) = definitions {
                for (index, document) in documents.enumerate() {
                    definitions.insert(format!("{NAME}{}", index + 1), document);
                }
            }
        }
        Bundle { schema, refers }
    }

    fn invalid(&self, reason: String) -> SchemaError {
        SchemaError::Invalid {
            uri: self.uri.clone(),
            reason,
        }
    }

    fn unreadable(&self, reason: &str) -> SchemaError {
        SchemaError::Unreadable {
            uri: self.uri.clone(),
            reason: reason.into(),
        }
    }
}

/// A reference resolved against the path or address it stands in, as URLs are.
fn resolve(base: &str, reference: &str) -> String {
    if reference.contains("://") {
        return reference.to_owned();
    }
    let (origin, path) = match base.split_once("://") {
        Some((scheme, rest)) => {
            let slash = rest.find('/').unwrap_or(rest.len());
            base.split_at(scheme.len() + 3 + slash)
        }
        None => ("", base),
    };
    let mut steps: Vec<&str> = Vec::new();
    if !reference.starts_with('/') {
        steps.extend(path.split('/').filter(|step| !step.is_empty()));
        steps.pop();
    }
    for step in reference.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    format!("{origin}/{}", steps.join("/"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    /// Whether a schema has a reference anywhere.
    fn refers_anywhere(schema: &Value) -> bool {
        let mut found = false;
        let Ok(()) = walk::each::<Infallible>(schema, &mut |_, schema| {
            found |= schema.contains_key("$ref");
            Ok(())
        });
        found
    }

    struct Shelf(HashMap<&'static str, Value>);

    #[async_trait]
    impl Documents for Shelf {
        async fn document(&self, uri: &str) -> Result<Value, SchemaError> {
            let missing = || SchemaError::NotFound {
                uri: uri.into(),
                tried: vec!["shelf".into()],
            };
            self.0.get(uri).cloned().ok_or_else(missing)
        }
    }

    async fn bundled(uri: &str, json: Value, shelf: &[(&'static str, Value)]) -> Result<Bundle, SchemaError> {
        with(uri, &json, &Shelf(shelf.iter().cloned().collect())).await
    }

    #[tokio::test]
    async fn references_become_local() {
        let schema = json!({
            "$id": "/a/1.0.0", "$schema": "x",
            "properties": {
                "own": {"$ref": "#/properties/x"}, "self": {"$ref": "/a/1.0.0#/properties/y"},
                "abs": {"$ref": "/c/2.0.0#"}, "rel": {"$ref": "b/1.0.0#/properties/z"}, "$id": {"$ref": "./#"},
                "meta": {"$ref": "http://json-schema.org/draft-07/schema#"}
            },
            "examples": [{"$ref": "#/$id", "$id": 1}]
        });
        let shelf = [
            (
                "/c/2.0.0",
                json!({"$id": "/c/2.0.0", "allOf": [{"$ref": "#/definitions/q"}, {"$ref": "/a/1.0.0"}]}),
            ),
            (
                "/a/b/1.0.0",
                json!({"properties": {"z": {"$ref": "../../c/2.0.0"}}}),
            ),
        ];
        let got = bundled("/a/1.0.0", schema, &shelf).await.unwrap();
        assert!(got.refers);
        assert_eq!(
            got.schema,
            json!({
                "properties": {
                    "own": {"$ref": "#/properties/x"}, "self": {"$ref": "#/properties/y"},
                    "abs": {"$ref": "#/definitions/levada:document:1"},
                    "rel": {"$ref": "#/definitions/levada:document:2/properties/z"}, "$id": {"$ref": "#"},
                    "meta": {"$ref": "http://json-schema.org/draft-07/schema#"}
                },
                "examples": [{"$ref": "#/$id", "$id": 1}],
                "definitions": {
                    "levada:document:1": {
                        "allOf": [{"$ref": "#/definitions/levada:document:1/definitions/q"}, {"$ref": "#"}]
                    },
                    "levada:document:2": {"properties": {"z": {"$ref": "#/definitions/levada:document:1"}}}
                }
            })
        );
    }

    #[tokio::test]
    async fn endless_references_are_refused() {
        struct Endless;
        #[async_trait]
        impl Documents for Endless {
            async fn document(&self, uri: &str) -> Result<Value, SchemaError> {
                Ok(json!({"$ref": format!("{uri}x")}))
            }
        }
        let fault = with("/a", &json!({"$ref": "/b"}), &Endless).await.unwrap_err();
        assert!(fault.to_string().contains("more than 64 documents"), "{fault}");
        let many: Vec<Value> = (0..300).map(|_| json!({"$ref": "#"})).collect();
        let fault = alone("/a", &json!({"allOf": many})).unwrap_err();
        assert!(fault.to_string().contains("more than 256 references"), "{fault}");
    }

    #[tokio::test]
    async fn a_missing_document_is_named() {
        let fault = bundled("/a", json!({"items": {"$ref": "/nowhere"}}), &[])
            .await
            .unwrap_err();
        assert!(matches!(&fault, SchemaError::Invalid { uri, .. } if uri == "/a"));
        assert!(fault.to_string().contains("it refers to /nowhere"));
        assert!(
            alone("/a", &json!({"$ref": "/b"}))
                .unwrap_err()
                .to_string()
                .contains("it refers to /b")
        );
        assert!(matches!(
            alone("/a", &json!([])),
            Err(SchemaError::Unreadable { .. })
        ));
    }

    #[test]
    fn nested_identities_are_taken_out() {
        let schema = json!({"properties": {
            "a": {"$id": "/same", "type": "string"}, "b": {"$id": "/same", "type": "integer"}}, "id": "/x"});
        let got = alone("/x", &schema).unwrap();
        assert!(!got.refers && !refers_anywhere(&got.schema));
        let expected = json!({"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}});
        assert_eq!(got.schema, expected);
    }

    #[test]
    fn paths_resolve_as_urls_do() {
        for (base, reference, resolved) in [
            ("/ref/1.0.0", "dflt/1.0.0", "/ref/dflt/1.0.0"),
            ("/a/b", "../../../c", "/c"),
            ("/a/b", "/c/./d", "/c/d"),
            ("http://h/a/b", "c", "http://h/a/c"),
            ("http://h", "/c", "http://h/c"),
            ("/a", "http://h/b", "http://h/b"),
        ] {
            assert_eq!(resolve(base, reference), resolved);
        }
    }
}
