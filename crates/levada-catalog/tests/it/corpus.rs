//! All released schemas, their examples, and recorded events.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_catalog::{NoFetch, Schema, SchemaConfig, SchemaRepository, canary_event};
use levada_event::json::Document;

use crate::shared::{production, reference};

fn repository(cases: &str) -> Option<(SchemaRepository, [PathBuf; 2])> {
    let primary = reference("schemas/primary/jsonschema", cases)?;
    let secondary = reference("schemas/secondary/jsonschema", cases)?;
    let bases = [primary, secondary];
    let base_uris = bases.iter().map(|base| base.display().to_string()).collect();
    Some((
        SchemaRepository::new(
            SchemaConfig {
                base_uris,
                ..SchemaConfig::default()
            },
            Arc::new(NoFetch),
        ),
        bases,
    ))
}

/// All files of released versions below a directory, as URIs.
fn released(dir: &Path, base: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            released(&path, base, found);
        } else if let Some(version) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".yaml")
            && version
                .split('.')
                .filter(|part| part.parse::<u64>().is_ok())
                .count()
                == 3
        {
            let title = path
                .parent()
                .unwrap()
                .strip_prefix(base)
                .unwrap()
                .display()
                .to_string();
            found.push(format!("/{title}/{version}"));
        }
    }
}

fn validate(schema: &Schema, text: &str) -> Result<(), String> {
    let document = Document::parse(text.as_bytes()).map_err(|e| e.to_string())?;
    schema
        .validate(document.root())
        .map_err(|violations| violations.errors_text())
}

#[tokio::test]
async fn all_released_schemas_load_and_their_examples_are_valid() {
    let Some((schemas, bases)) = repository("510 schemas") else {
        return;
    };
    let mut uris = Vec::new();
    for base in &bases {
        released(base, base, &mut uris);
    }
    assert_eq!(uris.len(), 510);
    let (mut examples, mut without) = (0, 0);
    for uri in &uris {
        let schema = schemas
            .schema(uri)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(schema.title().unwrap(), schema.title().unwrap().trim_matches('/'));
        without += usize::from(schema.examples().is_empty());
        for example in schema.examples() {
            examples += 1;
            validate(&schema, &example.to_string()).unwrap_or_else(|fault| panic!("{uri}: {fault}"));
        }
    }
    assert_eq!((examples, without), (546, 11));
}

#[tokio::test]
async fn titles_in_use_make_valid_canaries() {
    let Some((schemas, _)) = repository("217 canaries") else {
        return;
    };
    let snapshot = production("metawiki", &[], "217 canaries").await.unwrap();
    let (mut made, mut unknown) = (0, HashMap::new());
    for stream in snapshot
        .streams()
        .iter()
        .filter(|stream| stream.canary_events_enabled)
    {
        let title = stream.schema_title.as_deref().unwrap();
        match schemas.latest(title).await {
            Ok(schema) => {
                let dt = levada_event::Timestamp::from_millis(1_700_000_000_000);
                let event = canary_event(stream, &schema, Some(dt)).unwrap_or_else(|error| panic!("{error}"));
                validate(&schema, std::str::from_utf8(&event).unwrap())
                    .unwrap_or_else(|e| panic!("{title}: {e}"));
                made += 1;
            }
            // The configuration is newer than the schemas.
            Err(error) => {
                *unknown
                    .entry(title.to_owned())
                    .or_insert_with(|| error.to_string().len()) += 0
            }
        }
    }
    assert!(made > 150 && unknown.len() <= 25, "{made} {unknown:?}");
}

#[tokio::test]
async fn recorded_events_are_valid() {
    let Some((schemas, _)) = repository("4,246 recorded events") else {
        return;
    };
    let mut count = 0;
    for file in ["page-create", "recentchange", "revision-create", "revision-score"] {
        let path = reference(&format!("events/{file}.ndjson"), "recorded events").unwrap();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let document = Document::parse(line.as_bytes()).unwrap();
            let uri = document
                .root()
                .get("$schema")
                .unwrap()
                .as_str()
                .unwrap()
                .into_owned();
            let schema = schemas
                .schema(&uri)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
            schema
                .validate(document.root())
                .unwrap_or_else(|fault| panic!("{file}: {fault}\n{line}"));
            assert_eq!(schema.fill_defaults(line.as_bytes(), document.root()), None);
            count += 1;
        }
    }
    assert_eq!(count, 4_246);
}

#[tokio::test]
async fn real_schemas_say_which_fields_they_have() {
    let Some((schemas, _)) = repository("3 schemas") else {
        return;
    };
    let change = schemas.schema("/mediawiki/page/change/1.2.0").await.unwrap();
    let fields = change.fields();
    assert!(fields.meta_id && fields.meta_dt && fields.meta_request_id && fields.dt);
    assert!(!fields.http_client_ip && !change.has_path(&["http", "request_headers", "user-agent"]));
    let http = schemas.latest("fragment/http").await.unwrap();
    assert!(http.has_path(&["http", "request_headers", "user-agent"]));
    let shown = change.for_openapi();
    assert!(shown.get("$id").is_none() && shown.get("examples").is_none() && shown.get("title").is_some());
}

#[tokio::test]
async fn faults_in_real_events_are_told_as_ajv_tells_them() {
    let Some((schemas, bases)) = repository("1 event") else {
        return;
    };
    let schema = schemas.schema("/test/event/1.0.0").await.unwrap();
    assert!(bases[0].join("test/event/1.0.0.yaml").exists());
    let event =
        r#"{"$schema":"/test/event/1.0.0","meta":{"stream":"","dt":"2020-13-39T29:00:00Z"},"test":5}"#;
    let fault = validate(&schema, event).unwrap_err();
    assert!(
        fault.contains("'.meta.dt' should match format \"date-time\""),
        "{fault}"
    );
    assert!(
        fault.contains("'.meta.stream' should NOT be shorter than 1 characters"),
        "{fault}"
    );
    assert!(fault.contains("'.test' should be string"), "{fault}");
}
