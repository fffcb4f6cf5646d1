//! One document of stream configuration, of any of the known shapes, as declared entries.
//!
//! Shapes (contract eventplatform §3.2, §3.6, §4.2): `default_settings` and `streams`, each plain
//! or keyed by selector; streams as a map or as the legacy list with an inner `stream`; the answer
//! of the streamconfigs API; a bare map of streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::pattern::Pattern;
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
    /// `Err` with the reason for what is no map of settings.
    pub(crate) settings: Result<Map<String, Value>, String>,
    pub(crate) source: Arc<str>,
}

/// Settings to lay over finished entries.
#[derive(Debug)]
pub(crate) struct Override {
    pub(crate) key: String,
    /// For a key that is a pattern.
    pub(crate) pattern: Option<Pattern>,
    pub(crate) settings: Map<String, Value>,
    pub(crate) source: Arc<str>,
}

/// What one source says.
#[derive(Debug, Default)]
pub(crate) struct Declarations {
    pub(crate) streams: Vec<Declared>,
    /// The source if it has entries that do not say which stream they are about.
    pub(crate) nameless: Option<Arc<str>>,
    pub(crate) overrides: Vec<Override>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) problems: Vec<Problem>,
}

/// For which wiki a source is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) wiki: Option<&'a str>,
    pub(crate) tags: &'a [String],
}

/// Reads a document. `Err` means that the document as a whole is no stream configuration, or must not be
/// used without a part that makes no sense: an override may be what hides a stream or keeps its events.
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
                let faults = overrides.into_iter().filter_map(|(key, value)| {
                    let fault = self.overlay(&key, value).err()?;
                    Some(format!("the override {key:?} cannot be used: {fault}"))
                });
                let faults: Vec<_> = faults.collect();
                if !faults.is_empty() {
                    return Err(faults.join("; "));
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
            _ => {
                self.read.nameless = Some(self.source.clone());
                self.fail(
                    index,
                    "the entry has a number for its key and no \"stream\" setting with its name",
                );
            }
        }
    }

    fn stream(&mut self, key: String, settings: Value) {
        if key.is_empty() {
            self.read.nameless = Some(self.source.clone());
            return self.fail(&key, "the name is empty");
        }
        let settings = match settings {
            Value::Object(settings) => Ok(settings),
            Value::Array(list) if list.is_empty() => Ok(Map::new()),
            _ => Err("the settings are no map".to_owned()),
        };
        let settings = settings.map(|settings| merge::replace_recursive(&self.defaults, &settings));
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

    fn overlay(&mut self, key: &str, value: Value) -> Result<(), String> {
        let settings = match value {
            Value::Object(settings) => settings,
            Value::Array(list) if list.is_empty() => Map::new(),
            _ => return Err("it is no map".into()),
        };
        let pattern = Pattern::is_pattern(key)
            .then(|| Pattern::parse(key))
            .transpose()?;
        self.read.overrides.push(Override {
            key: key.to_owned(),
            pattern,
            settings,
            source: self.source.clone(),
        });
        Ok(())
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
mod tests;
