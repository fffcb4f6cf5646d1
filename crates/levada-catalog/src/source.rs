//! One document of stream configuration, of any of the known shapes, as declared entries.
//!
//! Shapes (contract eventplatform §3.2, §3.6, §4.2): `default_settings` and `streams`, each plain
//! or keyed by selector; streams as a map or as the legacy list with an inner `stream`; the answer
//! of the streamconfigs API; a bare map of streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::{merge, selector};

/// Keys with a meaning beside `streams`.
const KNOWN: [&str; 4] = ["streams", "default_settings", "overrides", "stream_aliases"];

/// Keys an API answer may have beside `streams`, which say nothing about streams.
const ANSWER: [&str; 6] = [
    "batchcomplete",
    "warnings",
    "servedby",
    "curtimestamp",
    "requestid",
    "uselang",
];

/// A stream as a source declares it, defaults of that source below it.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) key: String,
    pub(crate) settings: Map<String, Value>,
    pub(crate) source: Arc<str>,
}

/// What one source says.
#[derive(Debug, Default)]
pub(crate) struct Declarations {
    pub(crate) streams: Vec<Declared>,
    /// Settings to lay over finished entries, by key or pattern.
    pub(crate) overrides: Vec<Declared>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) problems: Vec<Problem>,
}

/// For which wiki a source is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) wiki: Option<&'a str>,
    pub(crate) tags: &'a [String],
}

/// Reads a document. `Err` means that the document as a whole is no stream configuration.
pub(crate) fn read(
    document: Value,
    object_path: &[String],
    source: &str,
    site: Site<'_>,
) -> Result<Declarations, String> {
    let mut reader = Reader {
        source: source.into(),
        site,
        defaults: Map::new(),
        read: Declarations::default(),
    };
    reader.document(document, object_path)?;
    Ok(reader.read)
}

struct Reader<'a> {
    source: Arc<str>,
    site: Site<'a>,
    defaults: Map<String, Value>,
    read: Declarations,
}

impl Reader<'_> {
    fn document(&mut self, document: Value, object_path: &[String]) -> Result<(), String> {
        self.answer(&document)?;
        let mut document = document;
        for key in object_path {
            document = document
                .get_mut(key)
                .map(Value::take)
                .ok_or_else(|| format!("the document has no {:?}", object_path.join(".")))?;
        }
        match document {
            Value::Array(list) => self.list(list),
            Value::Object(map) if map.keys().any(|key| KNOWN.contains(&key.as_str())) => {
                self.sections(map)?
            }
            Value::Object(map) if map.values().all(|value| value.is_object() || value.is_array()) => {
                self.streams(Value::Object(map))?;
            }
            Value::Object(_) => {
                return Err("the document has no \"streams\" and is no map of streams either".into());
            }
            _ => return Err("the document is neither a map nor a list".into()),
        }
        Ok(())
    }

    /// The API answers 200 with an `error` when it fails, and complains in `warnings`.
    fn answer(&mut self, document: &Value) -> Result<(), String> {
        let is_answer = document.get("streams").is_none();
        if let Some(error) = document
            .get("error")
            .filter(|e| is_answer && e.get("code").is_some())
        {
            let text = |key| error.get(key).and_then(Value::as_str).unwrap_or("unknown");
            return Err(format!(
                "the API answered with the error {}: {}",
                text("code"),
                text("info")
            ));
        }
        if let Some(Value::Object(warnings)) = document.get("warnings") {
            for (module, warning) in warnings {
                let text = warning
                    .get("warnings")
                    .and_then(Value::as_str)
                    .unwrap_or("unknown");
                self.warn(None, format!("the API warns about {module}: {text}"));
            }
        }
        Ok(())
    }

    fn sections(&mut self, mut map: Map<String, Value>) -> Result<(), String> {
        if let Some(defaults) = map.remove("default_settings") {
            self.defaults = match self.selected(defaults) {
                Some(defaults) => defaults,
                None => return Err("\"default_settings\" is no map".into()),
            };
        }
        let streams = map.remove("streams");
        let overrides = map.remove("overrides");
        if let Some(aliases) = map.remove("stream_aliases") {
            self.aliases(aliases);
        }
        for key in map.keys().filter(|key| !ANSWER.contains(&key.as_str())) {
            self.warn(None, format!("the key {key:?} means nothing here"));
        }
        if let Some(streams) = streams {
            self.streams(streams)?;
        }
        match overrides {
            None => {}
            Some(Value::Object(overrides)) => {
                for (key, value) in overrides {
                    self.overlay(key, value);
                }
            }
            Some(_) => return Err("\"overrides\" is no map".into()),
        }
        Ok(())
    }

    /// A section's value for this site. An empty list is an empty map: PHP cannot tell them apart.
    fn selected(&self, section: Value) -> Option<Map<String, Value>> {
        match section {
            Value::Object(map) if selector::is_selected(&map) => {
                Some(selector::resolve(&map, self.site.wiki, self.site.tags))
            }
            Value::Object(map) => Some(map),
            Value::Array(list) if list.is_empty() => Some(Map::new()),
            _ => None,
        }
    }

    fn streams(&mut self, section: Value) -> Result<(), String> {
        if let Value::Array(list) = section {
            self.list(list);
            return Ok(());
        }
        let map = self
            .selected(section)
            .ok_or("\"streams\" is neither a map nor a list")?;
        for (key, settings) in map {
            if selector::is_number(&key) {
                self.listed(&key, settings);
            } else {
                self.stream(key, settings);
            }
        }
        Ok(())
    }

    fn list(&mut self, list: Vec<Value>) {
        for (index, settings) in list.into_iter().enumerate() {
            self.listed(&index.to_string(), settings);
        }
    }

    /// An entry of the legacy form, which says its name in `stream`.
    fn listed(&mut self, index: &str, settings: Value) {
        match settings.get("stream").and_then(Value::as_str) {
            Some(name) if !name.is_empty() => {
                let name = name.to_owned();
                self.stream(name, settings);
            }
            _ => self.fail(
                index,
                "the entry has a number for its key and no \"stream\" setting with its name",
            ),
        }
    }

    fn stream(&mut self, key: String, settings: Value) {
        let settings = match settings {
            Value::Object(settings) => settings,
            Value::Array(list) if list.is_empty() => Map::new(),
            _ => return self.fail(&key, "the settings are no map"),
        };
        if key.is_empty() {
            return self.fail(&key, "the name is empty");
        }
        let settings = merge::replace_recursive(&self.defaults, &settings);
        let declared = Declared {
            key,
            settings,
            source: self.source.clone(),
        };
        match self
            .read
            .streams
            .iter()
            .position(|earlier| earlier.key == declared.key)
        {
            None => self.read.streams.push(declared),
            Some(earlier) => {
                self.warn(Some(&declared.key), "declared twice; the later entry is in force");
                self.read.streams[earlier] = declared;
            }
        }
    }

    fn overlay(&mut self, key: String, value: Value) {
        match value {
            Value::Object(settings) => {
                self.read.overrides.push(Declared {
                    key,
                    settings,
                    source: self.source.clone(),
                });
            }
            _ => self.fail(&key, "the override is no map"),
        }
    }

    fn aliases(&mut self, section: Value) {
        let Value::Object(map) = section else {
            self.read
                .problems
                .push(Problem::error(&self.source, None, "\"stream_aliases\" is no map"));
            return;
        };
        for (alias, target) in map {
            match target {
                Value::String(target) => {
                    self.read.aliases.insert(alias, target);
                }
                _ => self.fail(&alias, "the alias does not name a stream"),
            }
        }
    }

    fn fail(&mut self, key: &str, reason: impl Into<String>) {
        self.read
            .problems
            .push(Problem::error(&self.source, Some(key), reason));
    }

    fn warn(&mut self, key: Option<&str>, reason: impl Into<String>) {
        self.read
            .problems
            .push(Problem::warning(&self.source, key, reason));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_for(document: Value, wiki: Option<&str>, tags: &[String]) -> Declarations {
        read(document, &[], "test", Site { wiki, tags }).unwrap()
    }

    fn keys(declarations: &Declarations) -> Vec<&str> {
        declarations.streams.iter().map(|d| d.key.as_str()).collect()
    }

    #[test]
    fn all_shapes_are_read() {
        let map = json!({"a": {"schema_title": "x"}, "b": {}});
        for document in [
            json!({"streams": map}),
            json!({"streams": [{"stream": "a", "schema_title": "x"}, {"stream": "b"}]}),
            json!({"streams": {"default": map}}),
            json!({"streams": {"0": {"stream": "a", "schema_title": "x"}, "b": []}}),
            json!([{"stream": "a", "schema_title": "x"}, {"stream": "b"}]),
            map.clone(),
        ] {
            let read = read_for(document.clone(), None, &[]);
            assert_eq!(keys(&read), ["a", "b"], "{document}");
            assert_eq!(read.streams[0].settings["schema_title"], "x");
            assert!(read.problems.is_empty(), "{:?}", read.problems);
        }
    }

    #[test]
    fn both_sections_resolve_for_the_site() {
        let document = json!({
            "default_settings": {"default": {"p": {"on": true}}, "+private": {"p": {"on": 0, "x": 1}}},
            "streams": {"default": {"a": {"r": 5}}, "+w": {"a": {"r": 0}}}
        });
        let read = read_for(document.clone(), Some("w"), &["private".into()]);
        assert_eq!(
            Value::Object(read.streams[0].settings.clone()),
            json!({"p": {"on": 0, "x": 1}, "r": 0})
        );
        let read = read_for(document, Some("v"), &[]);
        assert_eq!(
            Value::Object(read.streams[0].settings.clone()),
            json!({"p": {"on": true}, "r": 5})
        );
    }

    #[test]
    fn a_bad_entry_is_named_and_leaves_the_others() {
        let read = read_for(
            json!({"streams": {"a": 5, "1": {}, "b": {}}, "typo": 1}),
            None,
            &[],
        );
        assert_eq!(keys(&read), ["b"]);
        let problems: Vec<String> = read.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems[0], "test: the key \"typo\" means nothing here");
        assert_eq!(problems[1], "test: stream a: the settings are no map");
        assert!(problems[2].starts_with("test: stream 1: the entry has a number"));
    }

    #[test]
    fn documents_of_another_kind_are_refused() {
        let refuse = |document| {
            read(
                document,
                &[],
                "test",
                Site {
                    wiki: None,
                    tags: &[],
                },
            )
            .unwrap_err()
        };
        assert!(refuse(json!("x")).contains("neither"));
        assert!(refuse(json!({"a": 1})).contains("streams"));
        assert!(refuse(json!({"error": {"code": "badvalue", "info": "No."}})).contains("badvalue: No."));
        assert!(refuse(json!({"streams": 1})).contains("neither a map nor a list"));
        let at = ["x".to_owned()];
        assert!(
            read(
                json!({"y": 1}),
                &at,
                "test",
                Site {
                    wiki: None,
                    tags: &[]
                }
            )
            .is_err()
        );
        assert_eq!(
            keys(
                &read(
                    json!({"x": {"a": {}}}),
                    &at,
                    "t",
                    Site {
                        wiki: None,
                        tags: &[]
                    }
                )
                .unwrap()
            ),
            ["a"]
        );
    }
}
