use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex as SyncMutex;

use super::*;
use crate::fetch::{FetchError, FetchedBody};

/// A web of texts that a test can change.
#[derive(Default)]
struct Web(SyncMutex<HashMap<String, String>>);

#[async_trait]
impl Fetch for Web {
    async fn get(&self, url: &str, _: &[(String, String)]) -> Result<FetchedBody, FetchError> {
        match self.0.lock().get(url) {
            Some(text) => Ok(FetchedBody {
                bytes: text.clone().into(),
            }),
            None => Err(FetchError::Unavailable(format!("{url}: connection refused"))),
        }
    }
}

impl Web {
    fn says(&self, url: &str, text: Option<&str>) {
        match text {
            Some(text) => self.0.lock().insert(url.into(), text.into()),
            None => self.0.lock().remove(url),
        };
    }
}

fn config(urls: &[&str]) -> CatalogConfig {
    CatalogConfig {
        sources: urls.iter().map(|url| Source::at(url)).collect(),
        ..CatalogConfig::default()
    }
}

#[tokio::test]
async fn a_bad_reload_keeps_the_old_snapshot() {
    let web = Arc::new(Web::default());
    web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
    let catalog = Catalog::open(config(&["http://a/"]), web.clone()).await.unwrap();
    let first = catalog.snapshot();
    for bad in [
        None,
        Some("{{{"),
        Some("[1"),
        Some(r#"{"streams":{}}"#),
        Some(r#"{"error":{"code":"internal","info":"x"}}"#),
        Some(r#"{"streams":{"a b":{}}}"#),
    ] {
        web.says("http://a/", bad);
        let outcome = catalog.refresh().await;
        assert!(
            matches!(&outcome, RefreshOutcome::Kept { problems } if !problems.is_empty()),
            "{bad:?} {outcome:?}"
        );
        assert!(Arc::ptr_eq(&first, &catalog.snapshot()));
    }
    web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
    assert_eq!(catalog.refresh().await, RefreshOutcome::Unchanged);
    web.says("http://a/", Some(r#"{"streams":{"s":{},"t":{}}}"#));
    assert_eq!(
        catalog.refresh().await,
        RefreshOutcome::Replaced {
            streams: 2,
            problems: vec![]
        }
    );
    assert!(catalog.snapshot().stream("t").is_some());
    assert!(first.stream("t").is_none());
}

#[tokio::test]
async fn a_failing_source_counts_as_saying_what_it_said_before() {
    let web = Arc::new(Web::default());
    web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
    let catalog = Catalog::open(config(&["http://a/", "http://b/"]), web.clone())
        .await
        .unwrap();
    assert_eq!(catalog.snapshot().problems()[0].source, "http://b/");
    web.says("http://b/", Some(r#"{"streams":{"t":{}}}"#));
    assert!(matches!(
        catalog.refresh().await,
        RefreshOutcome::Replaced { streams: 2, .. }
    ));
    web.says("http://a/", None);
    web.says("http://b/", Some(r#"{"streams":{"t":{},"u":{}}}"#));
    let outcome = catalog.refresh().await;
    assert!(matches!(&outcome, RefreshOutcome::Replaced { streams: 3, problems } if problems.len() == 1));
}

#[tokio::test]
async fn nothing_to_start_with_is_an_error() {
    let fault = Catalog::open(config(&["http://a/"]), Arc::new(Web::default()))
        .await
        .unwrap_err();
    assert_eq!(
        fault.to_string(),
        "no stream is configured:\n  http://a/: http://a/: connection refused"
    );
    assert!(Catalog::open(config(&[]), Arc::new(Web::default())).await.is_ok());
}

#[tokio::test]
async fn files_are_read_as_yaml_or_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("streams.yaml");
    std::fs::write(&path, "streams:\n  s: {schema_title: x}\n").unwrap();
    let location = path.display().to_string();
    let catalog = Catalog::open(config(&[&location]), Arc::new(crate::NoFetch))
        .await
        .unwrap();
    assert!(catalog.snapshot().stream("s").is_some());
    let missing = dir.path().join("none.yaml").display().to_string();
    let fault = Catalog::open(config(&[&missing]), Arc::new(crate::NoFetch))
        .await
        .unwrap_err();
    assert!(fault.to_string().contains("does not exist"));
}

#[tokio::test]
async fn no_start_without_all_that_files_say() {
    let web = Arc::new(Web::default());
    web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ours.yaml");
    let location = path.display().to_string();
    let open = || Catalog::open(config(&["http://a/", &location]), web.clone());
    for (text, reason) in [
        (None, "does not exist"),
        (Some("overrides: {"), "ours.yaml: "),
        (
            Some("overrides:\n  '/./':\n  levada: {visibility: private}\n"),
            "the override \"/./\" cannot be used: it is no map",
        ),
        (
            Some("overrides: {'/(/': {levada: {visibility: private}}}"),
            "does not compile",
        ),
        (Some("overrides:\n"), "\"overrides\" is no map"),
    ] {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let fault = open().await.unwrap_err();
        assert!(matches!(&fault, CatalogError::Unusable(all) if all.len() == 1 && all[0].source == location));
        assert!(fault.to_string().contains(reason), "{fault}");
    }
    // A single stream that makes no sense takes nothing else down, also in a file.
    std::fs::write(
        &path,
        "streams: {t: 5}\noverrides: {s: {levada: {visibility: private}}}",
    )
    .unwrap();
    let snapshot = open().await.unwrap().snapshot();
    assert!(!snapshot.stream("s").unwrap().is_public() && !snapshot.is_whole());
}

#[tokio::test]
async fn a_bad_override_leaves_all_that_its_source_said() {
    let web = Arc::new(Web::default());
    web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
    let good = r#"{"streams":{"u":{}},"overrides":{"/./":{"levada":{"visibility":"private"}}}}"#;
    web.says("http://b/", Some(good));
    let catalog = Catalog::open(config(&["http://a/", "http://b/"]), web.clone())
        .await
        .unwrap();
    assert!(catalog.snapshot().is_whole());
    for bad in [
        r#"{"streams":{"v":{}},"overrides":{"/./":null,"levada":{"visibility":"private"}}}"#,
        r#"{"streams":{"v":{}},"overrides":{"/(/":{"levada":{"visibility":"private"}}}}"#,
    ] {
        web.says("http://b/", Some(bad));
        catalog.refresh().await;
        let snapshot = catalog.snapshot();
        assert!(!snapshot.stream("s").unwrap().is_public(), "{bad}");
        assert!(snapshot.stream("u").is_some() && snapshot.stream("v").is_none());
        assert!(!snapshot.is_whole());
    }
    web.says("http://b/", Some(good));
    catalog.refresh().await;
    assert!(catalog.snapshot().is_whole());
}
