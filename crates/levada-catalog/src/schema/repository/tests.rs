use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::advance;

use super::*;
use crate::fetch::{FetchError, FetchedBody, NoFetch};

/// Addresses with texts that a test can change, counting requests, holding answers back if told so.
#[derive(Default)]
struct Web {
    texts: SyncMutex<HashMap<String, Result<String, FetchError>>>,
    requests: AtomicUsize,
    gate: Option<Notify>,
}

impl Web {
    fn says(&self, path: &str, text: &str) {
        self.texts
            .lock()
            .insert(format!("http://b/{path}"), Ok(text.into()));
    }

    fn fails(&self, path: &str) {
        let error = FetchError::Unavailable("timed out".into());
        self.texts.lock().insert(format!("http://b/{path}"), Err(error));
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fetch for Web {
    async fn get(&self, url: &str, _: &[(String, String)]) -> Result<FetchedBody, FetchError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        let answer = self.texts.lock().get(url).cloned();
        answer
            .unwrap_or_else(|| Err(FetchError::NotFound(url.into())))
            .map(|text| FetchedBody { bytes: text.into() })
    }
}

fn over(web: &Arc<Web>) -> SchemaRepository {
    let config = SchemaConfig {
        base_uris: vec!["http://b/".into()],
        ..SchemaConfig::default()
    };
    SchemaRepository::new(config, web.clone())
}

#[tokio::test(start_paused = true)]
async fn schemas_are_read_once_until_they_are_out_of_date() {
    let web = Arc::new(Web::default());
    web.says("a/1.0.0", "title: a\ntype: object\n");
    let schemas = over(&web);
    assert!(schemas.cached("/a/1.0.0").is_none());
    let first = schemas.schema("/a/1.0.0").await.unwrap();
    for uri in ["/a/1.0.0", "a/1.0.0", "/a/1.0.0#"] {
        assert!(Arc::ptr_eq(&first, &schemas.schema(uri).await.unwrap()));
        assert!(schemas.cached(uri).is_some());
    }
    assert_eq!(web.requests(), 1);
    advance(Duration::from_secs(601)).await;
    assert!(schemas.cached("/a/1.0.0").is_none());
    assert!(
        Arc::ptr_eq(&first, &schemas.schema("/a/1.0.0").await.unwrap()),
        "it says the same"
    );
    assert_eq!(web.requests(), 2);
    web.says("a/1.0.0", "title: b\n");
    schemas.forget();
    assert_eq!(schemas.schema("a/1.0.0").await.unwrap().title(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn failures_are_remembered_for_a_while() {
    let web = Arc::new(Web::default());
    let schemas = over(&web);
    let fault = schemas.schema("/a/1.0.0").await.unwrap_err();
    assert_eq!(
        fault.to_string(),
        "Failed loading schema at /a/1.0.0: not found in http://b/a/1.0.0, http://b/a/1.0.0.yaml, http://b/a/1.0.0.json"
    );
    assert_eq!(fault.reference_message(), "Failed loading schema at /a/1.0.0");
    let before = web.requests();
    assert_eq!(schemas.schema("a/1.0.0#").await.unwrap_err(), fault);
    assert_eq!(web.requests(), before);
    web.says("a/1.0.0", "{}");
    advance(Duration::from_secs(31)).await;
    assert!(schemas.schema("/a/1.0.0").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_old_schema_outlives_trouble_but_not_its_removal() {
    let web = Arc::new(Web::default());
    web.says("a/1.0.0", "title: a\n");
    let schemas = over(&web);
    let first = schemas.schema("/a/1.0.0").await.unwrap();
    web.fails("a/1.0.0");
    advance(Duration::from_secs(601)).await;
    assert!(Arc::ptr_eq(&first, &schemas.schema("/a/1.0.0").await.unwrap()));
    web.says("a/1.0.0", "title: [");
    advance(Duration::from_secs(31)).await;
    assert!(Arc::ptr_eq(&first, &schemas.schema("/a/1.0.0").await.unwrap()));
    web.texts.lock().clear();
    advance(Duration::from_secs(31)).await;
    assert!(matches!(
        schemas.schema("/a/1.0.0").await,
        Err(SchemaError::NotFound { .. })
    ));
}

#[tokio::test]
async fn concurrent_calls_load_once_and_survive_cancellation() {
    let web = Arc::new(Web {
        gate: Some(Notify::new()),
        ..Web::default()
    });
    web.says("a/1.0.0", "{}");
    let schemas = Arc::new(over(&web));
    let ask = |schemas: &Arc<SchemaRepository>| {
        let schemas = schemas.clone();
        tokio::spawn(async move { schemas.schema("/a/1.0.0").await })
    };
    // On one thread every task has had its turn, and stands still, after so many rounds.
    let settle = async || {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    let leader = ask(&schemas);
    settle().await;
    assert_eq!(web.requests(), 1);
    let others: Vec<_> = (0..5).map(|_| ask(&schemas)).collect();
    leader.abort();
    assert!(leader.await.is_err());
    settle().await;
    assert_eq!(web.requests(), 2, "one of the others took over");
    web.gate.as_ref().unwrap().notify_one();
    for other in others {
        assert!(other.await.unwrap().is_ok());
    }
    assert_eq!(web.requests(), 2);
    assert!(schemas.flights.lock().is_empty());
}

#[tokio::test]
async fn strangers_cannot_grow_the_memory() {
    let schemas = SchemaRepository::new(SchemaConfig::default(), Arc::new(NoFetch));
    for i in 0..10_000 {
        assert!(schemas.schema(&format!("/x/{i}")).await.is_err());
    }
    let (ready, failed) = schemas.cache.sizes();
    assert!(ready == 0 && failed <= 4_096 && schemas.flights.lock().is_empty());
}

fn write(dir: &std::path::Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn local(dirs: &[&std::path::Path]) -> SchemaRepository {
    let base_uris = dirs.iter().map(|dir| dir.display().to_string()).collect();
    SchemaRepository::new(
        SchemaConfig {
            base_uris,
            ..SchemaConfig::default()
        },
        Arc::new(NoFetch),
    )
}

#[tokio::test]
async fn directories_are_read_in_order_and_links_followed() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(one.path(), "a/1.9.0.yaml", "title: one\n");
    write(one.path(), "a/1.10.0.json", "{\"title\":\"ten\"}");
    write(two.path(), "a/1.9.0.yaml", "title: two\n");
    write(two.path(), "b/1.0.0.yaml", "title: b\n");
    write(two.path(), "b/latest.yaml", "1.0.0.yaml");
    write(two.path(), "b/latest", "latest.yaml");
    write(two.path(), "c/1.0.0", "1.0.0");
    write(two.path(), "d/1.0.0", "../../../etc/passwd");
    let schemas = local(&[one.path(), two.path()]);
    let title = async |uri: &str| {
        schemas
            .schema(uri)
            .await
            .unwrap()
            .title()
            .map(str::to_owned)
            .unwrap()
    };
    assert_eq!(title("/a/1.9.0").await, "one");
    assert_eq!(title("/a/1.9.0.yaml").await, "one");
    assert_eq!(title("/a/latest").await, "ten");
    assert_eq!(title("/b/latest").await, "b");
    assert_eq!(schemas.latest("b").await.unwrap().title(), Some("b"));
    assert!(
        schemas
            .schema("/c/1.0.0")
            .await
            .unwrap_err()
            .to_string()
            .contains("from file to file")
    );
    assert!(
        schemas
            .schema("/d/1.0.0")
            .await
            .unwrap_err()
            .to_string()
            .contains("is no map")
    );
    assert!(matches!(
        schemas.schema("/a").await,
        Err(SchemaError::NotFound { .. })
    ));
    assert!(matches!(
        schemas.schema("../a/1.9.0").await,
        Err(SchemaError::BadUri { .. })
    ));
}

#[tokio::test]
async fn references_are_resolved_through_the_repository() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "common/1.0.0.yaml",
        "properties: {meta: {type: object, properties: {id: {type: string}}}}\n",
    );
    write(
        dir.path(),
        "a/1.0.0.yaml",
        "$id: /a/1.0.0\nallOf: [{$ref: /common/1.0.0}, {$ref: ../b/1.0.0#}]\n",
    );
    write(dir.path(), "b/1.0.0.yaml", "required: [x]\n");
    write(dir.path(), "up/1.0.0.yaml", "$ref: /../../x\n");
    write(dir.path(), "web/1.0.0.yaml", "$ref: http://127.0.0.1/x\n");
    let schemas = local(&[dir.path()]);
    let schema = schemas.schema("/a/1.0.0").await.unwrap();
    assert!(schema.fields().meta_id && !schema.fields().meta_dt);
    let document = levada_event::json::Document::parse(br#"{"meta":{"id":1}}"#).unwrap();
    let text = schema.validate(document.root()).unwrap_err().errors_text();
    assert_eq!(
        text,
        "'.meta.id' should be string, '' should have required property 'x'"
    );
    for uri in ["/up/1.0.0", "/web/1.0.0"] {
        let fault = schemas.schema(uri).await.unwrap_err();
        assert!(matches!(fault, SchemaError::Invalid { .. }), "{fault}");
    }
}

#[tokio::test]
async fn unfit_schemas_are_refused() {
    let web = Arc::new(Web::default());
    let schemas = over(&web);
    for (path, text, part) in [
        (
            "insecure/1",
            "properties: {a: {pattern: x}}",
            "not secure at #/properties/a: pattern needs maxLength",
        ),
        ("format/1", "properties: {a: {format: x, maxLength: 5}}", "ormat"),
        ("type/1", "type: strang", "strang"),
        ("pattern/1", "{pattern: '(', maxLength: 5}", "("),
        (
            "draft/1",
            "$schema: http://example.org/draft",
            "unknown metaschema",
        ),
        ("list/1", "[1]", "is no map"),
        ("torn/1", "a: [", "http://b/torn/1"),
    ] {
        web.says(path, text);
        let fault = schemas.schema(&format!("/{path}")).await.unwrap_err().to_string();
        assert!(
            fault.starts_with(&format!("Failed loading schema at /{path}: ")) && fault.contains(part),
            "{fault}"
        );
    }
    web.says("draft4/1", "{$schema: 'http://json-schema.org/draft-04/schema#', id: /draft4/1, maximum: 5, exclusiveMaximum: true}");
    let schema = schemas.schema("/draft4/1").await.unwrap();
    assert_eq!(schema.id(), Some("/draft4/1"));
    let document = levada_event::json::Document::parse(b"5").unwrap();
    assert_eq!(
        schema.validate(document.root()).unwrap_err().errors_text(),
        "'' should be < 5"
    );
    web.says(
        "late/1",
        "{$schema: 'https://json-schema.org/draft/2020-12/schema', prefixItems: [{type: string}]}",
    );
    let schema = schemas.schema("/late/1").await.unwrap();
    let document = levada_event::json::Document::parse(b"[1]").unwrap();
    assert_eq!(
        schema.validate(document.root()).unwrap_err().errors_text(),
        "'[0]' should be string"
    );
}
