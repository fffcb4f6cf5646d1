//! The streams and schemas that come with the program.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use levada_catalog::{
    NoFetch, SchemaConfig, SchemaRepository, authorise, builtin, canary_event, check, demo,
};
use levada_event::json::Document;
use serde_json::json;

use crate::shared::snapshot;

fn schemas() -> SchemaRepository {
    SchemaRepository::new(SchemaConfig::default(), Arc::new(NoFetch))
        .with_embedded(demo::SCHEMAS)
        .with_embedded(builtin::SCHEMAS)
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found)
        } else {
            found.push(path)
        }
    }
}

#[test]
fn all_files_are_embedded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/schemas");
    let mut found = Vec::new();
    files(&root, &mut found);
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
        .collect();
    names.sort();
    let mut embedded: Vec<&str> = demo::SCHEMAS.iter().map(|(path, _)| *path).collect();
    embedded.sort_unstable();
    assert_eq!(names, embedded);
}

#[tokio::test]
async fn nothing_can_be_said_against_it() {
    let report = check(&*snapshot(demo::source(), None, &[]).await, &schemas()).await;
    assert_eq!(report.findings, []);
    assert_eq!(
        (
            report.streams,
            report.patterns,
            report.titles,
            report.titles_found
        ),
        (8, 1, 8, 8)
    );
}

#[tokio::test]
async fn examples_are_valid_and_allowed_where_they_say() {
    let (streams, schemas) = (snapshot(demo::source(), None, &[]).await, schemas());
    for (path, _) in demo::SCHEMAS.iter().chain(builtin::SCHEMAS) {
        let schema = schemas.schema(path).await.unwrap();
        assert_eq!(format!("{}.yaml", schema.id().unwrap()), format!("/{path}"));
        for example in schema.examples() {
            assert_eq!(example["$schema"].as_str(), schema.id());
            let text = example.to_string();
            let document = Document::parse(text.as_bytes()).unwrap();
            schema
                .validate(document.root())
                .unwrap_or_else(|fault| panic!("{path}: {fault}"));
            let stream = authorise(
                &streams,
                example["meta"]["stream"].as_str().unwrap(),
                &schema,
                Some("levada"),
            );
            let stream = stream.unwrap_or_else(|fault| panic!("{path} {fault}"));
            if let Some(key) = &stream.message_key {
                key.render(document.root(), &mut Vec::new()).unwrap();
            }
            let canary = canary_event(&stream, &schema, None).unwrap();
            let canary = Document::parse(&canary).unwrap();
            assert!(
                canary
                    .root()
                    .at_path(["meta", "domain"])
                    .unwrap()
                    .is_str("canary")
            );
        }
    }
}

#[tokio::test]
async fn settings_mean_what_they_say() {
    let streams = snapshot(demo::source(), None, &[]).await;
    let edits = streams.resolve("edits").unwrap();
    assert_eq!(
        (edits.levada.partitions, edits.topics.as_slice()),
        (4, &["demo.edits".to_owned()][..])
    );
    assert_eq!(edits.levada.retention.bytes.or(None), Some(1 << 30));
    let change = streams.stream("demo.page_change.v1").unwrap();
    assert_eq!(
        change.topics,
        ["east.demo.page_change.v1", "west.demo.page_change.v1"]
    );
    assert_eq!(change.levada.dedupe_window, Some(Duration::from_secs(600)));
    assert!(change.levada.redaction.hides("en.demo.example", "secret  page"));
    let job = streams.stream("demo.job.refresh").unwrap();
    assert!(!job.is_public() && !job.canary_events_enabled && !job.is_pattern());
    assert_eq!(streams.stream("demo.web_actions").unwrap().enrich.len(), 2);
}

#[tokio::test]
async fn the_conformance_event_behaves_as_told() {
    let schema = schemas().schema("/test/0.0.1").await.unwrap();
    let text = |meta: serde_json::Value, test: serde_json::Value| {
        json!({"$schema": "/test/0.0.1", "meta": meta, "test": test}).to_string()
    };
    let good = json!({"stream": "test.event", "id": "3f0c9f7e-8d3c-4e0f-9b1a-6f5d2a1b0c9d"});
    let fault = |text: String| {
        let document = Document::parse(text.as_bytes()).unwrap();
        schema
            .validate(document.root())
            .map_err(|v| v.errors_text())
            .unwrap_err()
    };
    // E3, E60, E62, E71
    assert_eq!(fault(text(good.clone(), json!(0.01))), "'.test' should be string");
    assert_eq!(
        fault(text(json!({"stream": "s"}), json!("v"))),
        "'.meta' should have required property 'id'"
    );
    let pattern = "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$";
    let bad_id = fault(text(json!({"stream": "s", "id": "bad"}), json!("v")));
    assert_eq!(bad_id, format!("'.meta.id' should match pattern \"{pattern}\""));
    let map = json!({"$schema": "/test/0.0.1", "meta": good, "test": "v", "map": {"a-b": 1}}).to_string();
    assert_eq!(fault(map), "'.map['a-b']' should be string");
    // E4: the default is filled, behind everything else.
    let text = text(good, json!("v"));
    let document = Document::parse(text.as_bytes()).unwrap();
    let filled = schema.fill_defaults(text.as_bytes(), document.root()).unwrap();
    let expected = format!("{},\"test_default\":\"default_value\"}}", &text[..text.len() - 1]);
    assert_eq!(String::from_utf8(filled).unwrap(), expected);
}
