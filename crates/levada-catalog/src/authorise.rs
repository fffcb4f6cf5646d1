//! Whether events of a schema may go into a stream (contract eventplatform §2.8).

use std::sync::Arc;

use crate::schema::Schema;
use crate::snapshot::Snapshot;
use crate::stream::Stream;

/// Why events of a schema may not go into a stream. The text is the end of the reference's message,
/// whose beginning [`describe_event`] gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorised {
    /// No such stream, or not one of this service.
    #[error("is not allowed in stream; {stream} is not configured.")]
    NotConfigured {
        /// The stream's name as the event has it.
        stream: String,
    },
    /// The stream has no settings of its own.
    #[error("is not allowed in stream; {stream} is configured but does not have any settings.")]
    NoSettings {
        /// The stream's name.
        stream: String,
    },
    /// The stream does not say what its events must look like.
    #[error("is not allowed in stream; {stream} does not have a schema_title setting.")]
    NoSchemaTitle {
        /// The stream's name.
        stream: String,
    },
    /// The stream is for events of another title.
    #[error("is not allowed in stream; schema title must be {expected}.")]
    WrongTitle {
        /// The stream's name.
        stream: String,
        /// The title its events must have.
        expected: String,
    },
}

/// The stream that events of `schema` may go into under the name `stream`. With `service`, streams
/// of other services, and of none, count as not configured. Aliases are names for readers only.
///
/// # Errors
/// [`Unauthorised`] says what stands against it.
pub fn authorise(
    snapshot: &Snapshot,
    stream: &str,
    schema: &Schema,
    service: Option<&str>,
) -> Result<Arc<Stream>, Unauthorised> {
    let name = || stream.chars().take(300).collect::<String>();
    let found = snapshot
        .stream(stream)
        .filter(|found| !found.is_pattern())
        .filter(|found| service.is_none_or(|s| found.destination_event_service.as_deref() == Some(s)))
        .ok_or_else(|| Unauthorised::NotConfigured { stream: name() })?;
    let Some(expected) = &found.schema_title else {
        return Err(
            match found
                .settings
                .keys()
                .all(|key| key == "stream" || key == "topics")
            {
                true => Unauthorised::NoSettings { stream: name() },
                false => Unauthorised::NoSchemaTitle { stream: name() },
            },
        );
    };
    if schema.title() != Some(expected) {
        return Err(Unauthorised::WrongTitle {
            stream: name(),
            expected: expected.clone(),
        });
    }
    Ok(found)
}

/// How the reference's messages name an event. Parts that are not known are left out or `unknown`.
pub fn describe_event(id: Option<&str>, schema_uri: Option<&str>, stream: Option<&str>) -> String {
    let id = id.map(|id| format!(" {id}")).unwrap_or_default();
    let (schema_uri, stream) = (schema_uri.unwrap_or("unknown"), stream.unwrap_or("unknown"));
    format!("event{id} of schema at {schema_uri} destined to stream {stream}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Catalog, CatalogConfig, Compat, NoFetch, Source};

    #[tokio::test]
    async fn title_and_service_decide() {
        let text = json!({"streams": {
            "a": {"schema_title": "t", "destination_event_service": "main"}, "none": {}, "untitled": {"x": 1},
            "other": {"schema_title": "t", "destination_event_service": "analytics"},
            "/^job\\./": {"schema_title": "t", "destination_event_service": "main"}
        }});
        let config = CatalogConfig {
            sources: vec![Source::inline("test", text.to_string())],
            ..CatalogConfig::default()
        };
        let snapshot = Catalog::open(config, Arc::new(NoFetch)).await.unwrap().snapshot();
        let schema =
            |title: &str| Schema::from_json("/t/1.0.0", json!({"title": title}), &Compat::default()).unwrap();
        let verdict = |stream: &str, title: &str, service: Option<&str>| {
            authorise(&snapshot, stream, &schema(title), service)
                .map_or_else(|fault| fault.to_string(), |stream| stream.name.clone())
        };
        assert_eq!(verdict("a", "t", Some("main")), "a");
        assert_eq!(verdict("a", "t", None), "a");
        assert_eq!(verdict("job.x", "t", Some("main")), "job.x");
        assert_eq!(
            verdict("a", "u", None),
            "is not allowed in stream; schema title must be t."
        );
        assert_eq!(
            verdict("job.x", "u", None),
            "is not allowed in stream; schema title must be t."
        );
        assert_eq!(
            verdict("b", "t", None),
            "is not allowed in stream; b is not configured."
        );
        assert_eq!(
            verdict("other", "t", Some("main")),
            "is not allowed in stream; other is not configured."
        );
        assert_eq!(
            verdict("/^job\\./", "t", None),
            "is not allowed in stream; /^job\\./ is not configured."
        );
        assert_eq!(
            verdict("none", "t", None),
            "is not allowed in stream; none is configured but does not have any settings."
        );
        assert_eq!(
            verdict("untitled", "t", None),
            "is not allowed in stream; untitled does not have a schema_title setting."
        );
    }

    #[test]
    fn events_are_named_by_what_is_known() {
        assert_eq!(
            describe_event(Some("1-2"), Some("/a/1.0.0"), Some("a")),
            "event 1-2 of schema at /a/1.0.0 destined to stream a"
        );
        assert_eq!(
            describe_event(None, None, None),
            "event of schema at unknown destined to stream unknown"
        );
    }
}
