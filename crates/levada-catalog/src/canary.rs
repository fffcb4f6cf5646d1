//! Canary events: examples of a stream's schema that prove its pipe is open (contract eventstreams §4.2).

use levada_event::Timestamp;
use serde_json::Value;

use crate::schema::Schema;
use crate::stream::Stream;

/// Why there is no canary event for a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanaryError {
    /// The entry is a pattern, which is no stream.
    #[error("{stream} is a pattern and no stream, so it has no canary events")]
    Pattern {
        /// The pattern.
        stream: String,
    },
    /// The schema has no example to make one from.
    #[error("the schema {schema} of stream {stream} has no examples to make a canary event from")]
    NoExample {
        /// The stream's name.
        stream: String,
        /// The schema's URI.
        schema: String,
    },
    /// The example has no object `meta`.
    #[error("the first example of the schema {schema} has no object \"meta\"")]
    NoMeta {
        /// The schema's URI.
        schema: String,
    },
}

/// The canary event of a stream: the first example of its newest schema, with `meta.domain` saying
/// `canary` and `meta.stream` the stream. `meta.dt` becomes `dt`, or is taken out for the intake to
/// fill. Everything else stays, so that `meta.id` is the same in every canary event of a schema.
///
/// # Errors
/// [`CanaryError`] says what is missing.
pub fn canary_event(stream: &Stream, schema: &Schema, dt: Option<Timestamp>) -> Result<Vec<u8>, CanaryError> {
    if stream.is_pattern() {
        return Err(CanaryError::Pattern {
            stream: stream.name.clone(),
        });
    }
    let Some(example) = schema.examples().first() else {
        return Err(CanaryError::NoExample {
            stream: stream.name.clone(),
            schema: schema.uri().into(),
        });
    };
    let mut event = example.clone();
    let Some(Value::Object(meta)) = event.get_mut("meta") else {
        return Err(CanaryError::NoMeta {
            schema: schema.uri().into(),
        });
    };
    meta.insert("domain".into(), "canary".into());
    meta.insert("stream".into(), stream.name.clone().into());
    match dt {
        Some(dt) => {
            meta.insert("dt".into(), dt.to_string().into());
        }
        None => {
            meta.shift_remove("dt");
        }
    }
    Ok(event.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{Catalog, CatalogConfig, Compat, NoFetch, Source};

    async fn stream(name: &str) -> Arc<Stream> {
        let text = r#"{"streams":{"a":{},"/^b/":{}}}"#;
        let config = CatalogConfig {
            sources: vec![Source::inline("test", text)],
            ..CatalogConfig::default()
        };
        let catalog = Catalog::open(config, Arc::new(NoFetch)).await.unwrap();
        catalog.snapshot().stream(name).unwrap()
    }

    fn schema(examples: Value) -> Schema {
        Schema::from_json("/a/1.0.0", json!({ "examples": examples }), &Compat::default()).unwrap()
    }

    #[tokio::test]
    async fn only_what_must_change_changes() {
        let example = json!({"$schema": "/a/1.0.0", "n": 1.0, "meta": {"id": "x", "dt": "old", "stream": "other"}, "dt": "old"});
        let schema = schema(json!([example, {}]));
        let stream = stream("a").await;
        let text = |dt| String::from_utf8(canary_event(&stream, &schema, dt).unwrap()).unwrap();
        assert_eq!(
            text(None),
            r#"{"$schema":"/a/1.0.0","n":1.0,"meta":{"id":"x","stream":"a","domain":"canary"},"dt":"old"}"#
        );
        assert!(
            text(Some(Timestamp::from_millis(0))).contains(r#""dt":"1970-01-01T00:00:00.000Z","stream":"a""#)
        );
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let good = schema(json!([{"meta": {}}]));
        assert!(matches!(
            canary_event(&*stream("/^b/").await, &good, None),
            Err(CanaryError::Pattern { .. })
        ));
        assert!(canary_event(&*stream("b1").await, &good, None).is_ok());
        let none = schema(json!([]));
        assert!(matches!(
            canary_event(&*stream("a").await, &none, None),
            Err(CanaryError::NoExample { .. })
        ));
        let bare = schema(json!([{"meta": 1}]));
        assert!(matches!(
            canary_event(&*stream("a").await, &bare, None),
            Err(CanaryError::NoMeta { .. })
        ));
    }
}
