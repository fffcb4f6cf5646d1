//! From merged settings to a [`Stream`].

use std::sync::Arc;

use levada_event::{StreamName, TopicName};
use serde_json::{Map, Value};

use super::key::{KeyField, KeyTemplate};
use super::{HeaderField, Stream, options, topics};
use crate::pattern::Pattern;

/// An entry of the configuration, ready to become streams: one, or one per name its pattern matches.
#[derive(Debug)]
pub(crate) struct Entry {
    key: String,
    settings: Map<String, Value>,
    pattern: Option<Pattern>,
    source: Arc<str>,
}

impl Entry {
    /// Takes merged settings as configured, or as an API answer gives them.
    pub(crate) fn new(
        key: String,
        mut settings: Map<String, Value>,
        source: Arc<str>,
    ) -> Result<Self, String> {
        let pattern = if Pattern::is_pattern(&key) {
            Some(Pattern::parse(&key)?)
        } else {
            StreamName::new(&key).map_err(|e| e.to_string())?;
            None
        };
        forget_computed_topics(&key, &mut settings, pattern.as_ref())?;
        Ok(Self {
            key,
            settings,
            pattern,
            source,
        })
    }

    /// Whether the entry's pattern matches a name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.pattern
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(name))
    }

    /// The entry itself as a stream. Remarks on settings that mean nothing go to `warnings`.
    pub(crate) fn stream(&self, warnings: &mut Vec<String>) -> Result<Stream, String> {
        self.build(&self.key, self.pattern.as_ref(), warnings)
    }

    /// The stream of a concrete name that the entry's pattern matches.
    pub(crate) fn concrete(&self, name: &str) -> Result<Stream, String> {
        self.build(name, None, &mut Vec::new())
    }

    fn build(
        &self,
        name: &str,
        pattern: Option<&Pattern>,
        warnings: &mut Vec<String>,
    ) -> Result<Stream, String> {
        let mut settings = self.settings.clone();
        let (topics, topics_computed) = topics::topics(&settings, name, pattern)?;
        if pattern.is_none() {
            for topic in &topics {
                TopicName::new(topic).map_err(|e| format!("topic {topic:?}: {e}"))?;
            }
        }
        let levada = options::read(&settings, warnings)?;
        settings.insert("stream".into(), self.key.clone().into());
        if topics_computed {
            // Also where topics was null: the computed ones come last.
            settings.shift_remove("topics");
            settings.insert("topics".into(), topics.clone().into());
        }
        Ok(Stream {
            name: name.to_owned(),
            key: self.key.clone(),
            schema_title: string(&settings, "schema_title")?,
            schema_uri: string(&settings, "schema")?.or(string(&settings, "$schema")?),
            destination_event_service: string(&settings, "destination_event_service")?,
            message_key: message_key(&settings)?,
            enrich: enrich(&settings)?,
            canary_events_enabled: flag(&settings, "canary_events_enabled")?,
            description: string(&settings, "description")?,
            pattern: pattern.is_some(),
            source: self.source.clone(),
            settings,
            topics,
            levada,
            topics_computed,
        })
    }
}

/// An API answer carries topics that were computed from its prefixes. They are computed again here,
/// so that names under a pattern get topics of their own.
fn forget_computed_topics(
    key: &str,
    settings: &mut Map<String, Value>,
    pattern: Option<&Pattern>,
) -> Result<(), String> {
    if settings.get("stream").is_some_and(|stream| stream == key)
        && let Some(given) = settings.get("topics").cloned()
    {
        let mut without = settings.clone();
        without.shift_remove("topics");
        let (computed, _) = topics::topics(&without, key, pattern)?;
        if given == Value::from(computed) {
            *settings = without;
        }
    }
    Ok(())
}

fn string(settings: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match settings.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{key} is no string")),
    }
}

fn flag(settings: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match settings.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("{key} is neither true nor false")),
    }
}

fn message_key(settings: &Map<String, Value>) -> Result<Option<KeyTemplate>, String> {
    let fault = || "message_key_fields is no map from key path to event path".to_owned();
    let map = match settings.get("message_key_fields") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) if list.is_empty() => &Map::new(),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(fault()),
    };
    let mut fields = Vec::with_capacity(map.len());
    for (path, from) in map {
        let from = from.as_str().ok_or_else(fault)?;
        fields.push(KeyField {
            path: path.clone(),
            from: from.split('.').map(Into::into).collect(),
        });
    }
    KeyTemplate::new(fields).map(Some)
}

fn enrich(settings: &Map<String, Value>) -> Result<Vec<HeaderField>, String> {
    const SETTING: &str = "producers.eventgate.enrich_fields_from_http_headers";
    let eventgate = settings
        .get("producers")
        .and_then(|producers| producers.get("eventgate"));
    let map = match eventgate.and_then(|eventgate| eventgate.get("enrich_fields_from_http_headers")) {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.is_empty() => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(format!("{SETTING} is no map from field to header")),
    };
    let mut fields = Vec::new();
    for (path, header) in map {
        match header {
            Value::String(header) if !header.is_empty() => fields.push(HeaderField {
                path: path.split('.').map(Into::into).collect(),
                header: header.to_ascii_lowercase(),
            }),
            Value::Bool(false) | Value::Null => {}
            _ => {
                return Err(format!(
                    "{SETTING}: {path:?} is neither a header's name nor false"
                ));
            }
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(key: &str, settings: Value) -> Result<Entry, String> {
        Entry::new(key.into(), settings.as_object().unwrap().clone(), "test".into())
    }

    fn stream(key: &str, settings: Value) -> Stream {
        entry(key, settings).unwrap().stream(&mut Vec::new()).unwrap()
    }

    #[test]
    fn topics_follow_the_contract() {
        let prefixes = json!({"topic_prefixes": ["eqiad.", "codfw."]});
        assert_eq!(stream("a", prefixes.clone()).topics, ["eqiad.a", "codfw.a"]);
        assert_eq!(stream("a", json!({"topic_prefixes": null})).topics, ["a"]);
        assert_eq!(stream("a", json!({})).topics, ["a"]);
        let explicit = stream("a", json!({"topic_prefixes": ["eqiad."], "topics": ["t"]}));
        assert_eq!(
            (explicit.topics.as_slice(), explicit.has_computed_topics()),
            (&["t".to_owned()][..], false)
        );
        let jobs = entry(r"/^job\..+/", prefixes).unwrap();
        assert_eq!(
            jobs.stream(&mut Vec::new()).unwrap().topics,
            [r"/^(eqiad\.|codfw\.)job\..+/"]
        );
        let job = jobs.concrete("job.A").unwrap();
        assert_eq!(job.topics, ["eqiad.job.A", "codfw.job.A"]);
        assert_eq!(job.settings["stream"], r"/^job\..+/");
        assert!(!job.is_pattern());
    }

    #[test]
    fn settings_end_with_stream_and_topics() {
        let got = stream(
            "a",
            json!({"topics": null, "topic_prefixes": ["p."], "stream": "other", "schema_title": "t"}),
        );
        let expected = r#"{"topic_prefixes":["p."],"stream":"a","schema_title":"t","topics":["p.a"]}"#;
        assert_eq!(Value::Object(got.settings).to_string(), expected);
    }

    #[test]
    fn computed_topics_of_an_answer_are_computed_again() {
        let answered = json!({"topic_prefixes": ["p."], "stream": "/^j/", "topics": ["/^(p\\.)j/"]});
        let concrete = entry("/^j/", answered).unwrap().concrete("jx").unwrap();
        assert_eq!(
            (concrete.topics.as_slice(), concrete.has_computed_topics()),
            (&["p.jx".to_owned()][..], true)
        );
    }

    #[test]
    fn enrichment_leaves_out_what_is_switched_off() {
        let settings = json!({"producers": {"eventgate": {"enrich_fields_from_http_headers": {
            "meta.request_id": "X-Request-Id", "http.request_headers.user-agent": false}}}});
        let got = stream("a", settings).enrich;
        assert_eq!(got.len(), 1);
        assert_eq!(
            (got[0].path.join("."), got[0].header.as_str()),
            ("meta.request_id".into(), "x-request-id")
        );
    }

    #[test]
    fn unfit_settings_are_named() {
        let fault = |settings| entry("a", settings).unwrap().stream(&mut Vec::new()).unwrap_err();
        assert!(fault(json!({"topics": "x"})).contains("topics is no list"));
        assert!(fault(json!({"topic_prefixes": [1]})).contains("topic_prefixes has an item"));
        assert!(fault(json!({"topics": ["a b"]})).contains("topic \"a b\""));
        assert!(fault(json!({"schema_title": 5})).contains("schema_title"));
        assert!(fault(json!({"canary_events_enabled": 1})).contains("canary_events_enabled"));
        assert!(fault(json!({"message_key_fields": {"a": 1}})).contains("message_key_fields"));
        assert!(entry("a b", json!({})).unwrap_err().contains("letters"));
        assert!(entry("/a", json!({})).unwrap_err().contains("closing"));
    }
}
