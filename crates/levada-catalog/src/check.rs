//! Everything that can be said against a configuration before it serves anyone.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canary::canary_event;
use crate::problem::Severity;
use crate::schema::SchemaRepository;
use crate::snapshot::Snapshot;

/// What one finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The configuration itself: unreadable sources, bad entries, remarks.
    Configuration,
    /// A stream does not say which schema its events have.
    NoSchemaTitle,
    /// No schema of a stream's title is found, or it is no good.
    Schema,
    /// Two streams share a topic.
    SharedTopic,
    /// Canary events are switched on, and none can be made.
    Canary,
    /// No service accepts events for the stream.
    NoService,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub topic: Topic,
    /// The stream concerned, if it is one.
    pub stream: Option<String>,
    /// The file or address to look at.
    pub source: String,
    /// What is wrong.
    pub reason: String,
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Streams looked at, patterns among them.
    pub streams: usize,
    /// Patterns among the streams.
    pub patterns: usize,
    /// Different schema titles.
    pub titles: usize,
    /// Titles whose newest schema was found sound.
    pub titles_found: usize,
    /// What was found, problems of the configuration first, then stream by stream.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether nothing worse than a warning was found.
    pub fn is_sound(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Error)
    }
}

/// Checks the streams in force against each other and against the schemas.
pub async fn check(snapshot: &Snapshot, schemas: &SchemaRepository) -> CheckReport {
    let mut report = CheckReport {
        streams: snapshot.streams().len(),
        ..CheckReport::default()
    };
    for problem in snapshot.problems() {
        report.findings.push(Finding {
            severity: problem.severity,
            topic: Topic::Configuration,
            stream: problem.stream.clone(),
            source: problem.source.clone(),
            reason: problem.reason.clone(),
        });
    }
    let mut titles = BTreeMap::new();
    for stream in snapshot.streams() {
        if let Some(title) = &stream.schema_title
            && !titles.contains_key(title)
        {
            titles.insert(title.clone(), schemas.latest(title).await);
        }
    }
    report.titles = titles.len();
    report.titles_found = titles.values().filter(|result| result.is_ok()).count();
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for stream in snapshot.streams() {
        report.patterns += usize::from(stream.is_pattern());
        let mut find = |severity, topic, reason: String| {
            report.findings.push(Finding {
                severity,
                topic,
                stream: Some(stream.name.clone()),
                source: stream.source.to_string(),
                reason,
            });
        };
        match stream.schema_title.as_ref().map(|title| (title, &titles[title])) {
            None => find(
                Severity::Error,
                Topic::NoSchemaTitle,
                "it has no schema_title, so no event may go in".into(),
            ),
            Some((_, Err(error))) => find(Severity::Error, Topic::Schema, error.to_string()),
            Some((title, Ok(schema))) => {
                if schema.title() != Some(title) {
                    let found = schema.title().unwrap_or("none");
                    let reason = format!("the newest schema at /{title} has the title {found}");
                    find(Severity::Error, Topic::Schema, reason);
                }
                if stream.canary_events_enabled
                    && !stream.is_pattern()
                    && let Err(error) = canary_event(stream, schema, None)
                {
                    find(Severity::Warning, Topic::Canary, error.to_string());
                }
            }
        }
        if stream.canary_events_enabled && stream.is_pattern() {
            let reason = "it is a pattern, which has no canary events, and they are switched on";
            find(Severity::Warning, Topic::Canary, reason.into());
        }
        if stream.destination_event_service.is_none() {
            find(
                Severity::Warning,
                Topic::NoService,
                "it has no destination_event_service".into(),
            );
        }
        for topic in stream.topics.iter().filter(|_| !stream.is_pattern()) {
            match owners.get(topic.as_str()) {
                Some(owner) => {
                    find(
                        Severity::Warning,
                        Topic::SharedTopic,
                        format!("the topic {topic} is also one of {owner}"),
                    );
                }
                None => {
                    owners.insert(topic, &stream.name);
                }
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{Catalog, CatalogConfig, NoFetch, SchemaConfig, Source};

    const SCHEMAS: &[(&str, &str)] = &[
        ("t/1.0.0.yaml", "title: t\nexamples: [{meta: {}}]\n"),
        ("wrong/1.0.0.yaml", "title: other\n"),
        ("bare/1.0.0.yaml", "title: bare\n"),
    ];

    #[tokio::test]
    async fn findings_name_stream_and_reason() {
        let text = json!({
            "default_settings": {"destination_event_service": "m", "canary_events_enabled": true},
            "streams": {
                "good": {"schema_title": "t"}, "untitled": {"canary_events_enabled": false},
                "lost": {"schema_title": "nowhere"}, "wrong": {"schema_title": "wrong", "canary_events_enabled": false},
                "bare": {"schema_title": "bare"}, "shared": {"schema_title": "t", "topics": ["good"]},
                "/^p/": {"schema_title": "t"}, "free": {"schema_title": "t", "destination_event_service": null},
                "broken": {"schema_title": 1}
            }
        });
        let config = CatalogConfig {
            sources: vec![Source::inline("s.yaml", text.to_string())],
            ..CatalogConfig::default()
        };
        let catalog = Catalog::open(config, Arc::new(NoFetch)).await.unwrap();
        let schemas =
            SchemaRepository::new(SchemaConfig::default(), Arc::new(NoFetch)).with_embedded(SCHEMAS);
        let report = check(&catalog.snapshot(), &schemas).await;
        assert_eq!(
            (
                report.streams,
                report.patterns,
                report.titles,
                report.titles_found
            ),
            (8, 1, 4, 3)
        );
        assert!(!report.is_sound());
        let found: Vec<(&str, Topic)> = report
            .findings
            .iter()
            .map(|f| (f.stream.as_deref().unwrap_or(""), f.topic))
            .collect();
        assert_eq!(
            found,
            [
                ("broken", Topic::Configuration),
                ("untitled", Topic::NoSchemaTitle),
                ("lost", Topic::Schema),
                ("wrong", Topic::Schema),
                ("bare", Topic::Canary),
                ("shared", Topic::SharedTopic),
                ("/^p/", Topic::Canary),
                ("free", Topic::NoService),
            ]
        );
        assert!(report.findings.iter().all(|finding| finding.source == "s.yaml"));
    }
}
