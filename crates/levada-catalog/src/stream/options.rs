//! Levada's own additions to a stream's settings: the sub-object `levada`.

use std::time::Duration;

use levada_event::limits::PARTITIONS_MAX;
use serde_json::{Map, Value};

use super::quantity;
use super::redaction::Redaction;

/// What the sub-object `levada` of a stream's settings says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// Partitions of each of the stream's topics, 1 to
    /// [`PARTITIONS_MAX`](levada_event::limits::PARTITIONS_MAX); 1 unless set.
    pub partitions: u32,
    /// How long records are kept.
    pub retention: RetentionSettings,
    /// Pages whose events are delivered without naming the user.
    pub redaction: Redaction,
    /// Within this time a second event with the same `meta.id` is not stored again; `None` for never.
    pub dedupe_window: Option<Duration>,
    /// Where delivery writes a record's place.
    pub splice: SpliceKind,
    /// Who may read the stream.
    pub visibility: Visibility,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            partitions: 1,
            retention: RetentionSettings {
                age: Bound::Unset,
                bytes: Bound::Unset,
            },
            redaction: Redaction::default(),
            dedupe_window: None,
            splice: SpliceKind::Meta,
            visibility: Visibility::Public,
        }
    }
}

/// How long records of a stream are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Counted from the time of appending.
    pub age: Bound<Duration>,
    /// Bytes per partition.
    pub bytes: Bound<u64>,
}

/// A bound that a stream may leave to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound<T> {
    /// The stream says nothing; the server's default counts.
    Unset,
    /// The stream says `unlimited`.
    Unlimited,
    /// The stream says how much.
    AtMost(T),
}

impl<T> Bound<T> {
    /// The bound in force, where `default` is the server's; `None` for no bound.
    pub fn or(self, default: Option<T>) -> Option<T> {
        match self {
            Self::Unset => default,
            Self::Unlimited => None,
            Self::AtMost(bound) => Some(bound),
        }
    }
}

/// Where delivery writes a record's topic, partition and offset into the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpliceKind {
    /// `meta.topic`, `meta.partition`, `meta.offset`, as EventStreams does.
    Meta,
    /// `event.partition`, `event.offset`, as the articles of the Realtime API have it.
    Event,
}

/// Who may read a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Everyone the server serves.
    Public,
    /// Nobody over the public routes; the stream is for intake and for the server itself.
    Private,
}

/// Reads the sub-object. A value that makes no sense is an error; a key that means nothing is a
/// warning, which goes to `warnings`.
pub(super) fn read(
    settings: &Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<StreamOptions, String> {
    let mut options = StreamOptions::default();
    let entries = match settings.get("levada") {
        None | Some(Value::Null) => return Ok(options),
        Some(Value::Array(list)) if list.is_empty() => return Ok(options),
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err("levada is no map".into()),
    };
    for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "partitions" => options.partitions = partitions(value)?,
            "retention" => options.retention = retention(value, warnings)?,
            "redaction" => options.redaction = Redaction::read(value)?,
            "dedupe_window" => {
                let window = quantity::duration(value).map_err(|e| format!("levada.dedupe_window: {e}"))?;
                options.dedupe_window = (!window.is_zero()).then_some(window);
            }
            "splice" => {
                options.splice = word(
                    key,
                    value,
                    &[("meta", SpliceKind::Meta), ("event", SpliceKind::Event)],
                )?;
            }
            "visibility" => {
                let words = [("public", Visibility::Public), ("private", Visibility::Private)];
                options.visibility = word(key, value, &words)?;
            }
            _ => warnings.push(format!("levada.{key} means nothing and is not looked at")),
        }
    }
    Ok(options)
}

fn partitions(value: &Value) -> Result<u32, String> {
    value
        .as_u64()
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=PARTITIONS_MAX).contains(count))
        .ok_or_else(|| format!("levada.partitions is {value}; it is a number from 1 to {PARTITIONS_MAX}"))
}

fn retention(value: &Value, warnings: &mut Vec<String>) -> Result<RetentionSettings, String> {
    let mut retention = StreamOptions::default().retention;
    for (key, value) in value.as_object().ok_or("levada.retention is no map")? {
        match key.as_str() {
            "age" => retention.age = bound(key, value, quantity::duration)?,
            "bytes" => retention.bytes = bound(key, value, quantity::bytes)?,
            _ => warnings.push(format!(
                "levada.retention.{key} means nothing and is not looked at"
            )),
        }
    }
    Ok(retention)
}

fn bound<T>(key: &str, value: &Value, read: fn(&Value) -> Result<T, String>) -> Result<Bound<T>, String> {
    match value {
        Value::Null => Ok(Bound::Unset),
        Value::String(text) if text == "unlimited" => Ok(Bound::Unlimited),
        _ => read(value)
            .map(Bound::AtMost)
            .map_err(|e| format!("levada.retention.{key}: {e}, or unlimited")),
    }
}

fn word<T: Copy>(key: &str, value: &Value, words: &[(&str, T)]) -> Result<T, String> {
    words
        .iter()
        .find(|(text, _)| value == text)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(text, _)| *text).collect();
            format!("levada.{key} is {value}; it is one of {}", known.join(", "))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_levada(levada: Value) -> Result<(StreamOptions, Vec<String>), String> {
        let mut warnings = Vec::new();
        let settings = json!({ "levada": levada });
        read(settings.as_object().unwrap(), &mut warnings).map(|options| (options, warnings))
    }

    #[test]
    fn everything_can_be_set() {
        let (options, warnings) = read_levada(json!({
            "partitions": 8, "retention": {"age": "48h", "bytes": "unlimited"}, "dedupe_window": "10m",
            "splice": "event", "visibility": "private", "redaction": {"d": ["T"]}
        }))
        .unwrap();
        assert!(warnings.is_empty());
        assert_eq!(options.partitions, 8);
        assert_eq!(options.retention.age.or(None), Some(Duration::from_secs(172_800)));
        assert_eq!(options.retention.bytes.or(Some(1)), None);
        assert_eq!(options.dedupe_window, Some(Duration::from_secs(600)));
        assert_eq!(options.splice, SpliceKind::Event);
        assert_eq!(options.visibility, Visibility::Private);
        assert!(options.redaction.hides("d", "t"));
    }

    #[test]
    fn nothing_need_be_set() {
        assert_eq!(read_levada(json!({})).unwrap().0, StreamOptions::default());
        assert_eq!(read_levada(Value::Null).unwrap().0, StreamOptions::default());
        assert_eq!(
            read_levada(json!({"retention": {"age": null}})).unwrap().0,
            StreamOptions::default()
        );
    }

    #[test]
    fn faults_say_what_is_wrong() {
        for (levada, part) in [
            (json!({"partitions": 0}), "levada.partitions is 0"),
            (json!({"partitions": 1025}), "from 1 to 1024"),
            (json!({"retention": {"age": "soon"}}), "levada.retention.age"),
            (json!({"splice": "tail"}), "one of meta, event"),
            (json!({"visibility": 1}), "one of public, private"),
            (json!("x"), "no map"),
        ] {
            let fault = read_levada(levada).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        }
        let (_, warnings) = read_levada(json!({"partitons": 3})).unwrap();
        assert_eq!(warnings, ["levada.partitons means nothing and is not looked at"]);
    }
}
