//! Schemas by URI: found in the bases, checked, compiled once, remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex as SyncMutex;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::cache::Cache;
use super::load::Loader;
use super::uri::SchemaUri;
use super::{Schema, SchemaError, bundle};
use crate::Compat;
use crate::fetch::Fetch;

/// Schemas that are loaded at the same time. Strangers choose the URIs; without a bound a burst of
/// unknown ones would become as many requests to the bases.
const LOADS_MAX: usize = 16;

/// Where schemas come from and how long they are remembered.
#[derive(Debug, Clone)]
pub struct SchemaConfig {
    /// Directories and http(s) addresses; the first that has a schema wins. A path below a base
    /// follows it after exactly one slash.
    pub base_uris: Vec<String>,
    /// Request headers for addresses.
    pub headers: Vec<(String, String)>,
    /// Extension to add to URIs without one; `None` tries the bare name, `.yaml` and `.json`.
    pub extension: Option<String>,
    /// How long a schema is used before it is read again.
    pub ttl: Duration,
    /// How long a failure is given as the answer before it is tried again.
    pub negative_ttl: Duration,
    /// Most spellings of schema URIs that are remembered.
    pub capacity: usize,
    /// Quirks to keep.
    pub compat: Compat,
}

impl Default for SchemaConfig {
    fn default() -> Self {
        Self {
            base_uris: Vec::new(),
            headers: Vec::new(),
            extension: None,
            ttl: Duration::from_secs(600),
            negative_ttl: Duration::from_secs(30),
            capacity: 8_192,
            compat: Compat::default(),
        }
    }
}

/// All schemas there are. Shared by everyone who validates.
pub struct SchemaRepository {
    loader: Loader,
    cache: Cache,
    ttl: Duration,
    negative_ttl: Duration,
    compat: Compat,
    /// One lock per URI that is being loaded: whoever waits finds the result in the cache.
    flights: SyncMutex<HashMap<Box<str>, Arc<Mutex<()>>>>,
    loads: Semaphore,
}

impl SchemaRepository {
    /// A repository over the configured bases. Nothing is read yet.
    pub fn new(config: SchemaConfig, fetch: Arc<dyn Fetch>) -> Self {
        let SchemaConfig {
            base_uris,
            headers,
            extension,
            ttl,
            negative_ttl,
            capacity,
            compat,
        } = config;
        Self {
            loader: Loader::new(&base_uris, headers, extension, compat.absolute_schema_uris, fetch),
            cache: Cache::new(capacity),
            ttl,
            negative_ttl,
            compat,
            flights: SyncMutex::default(),
            loads: Semaphore::new(LOADS_MAX),
        }
    }

    /// Adds schemas that are part of the program, as pairs of path and text. They are looked at after
    /// all other bases.
    #[must_use]
    pub fn with_embedded(mut self, files: &'static [(&'static str, &'static str)]) -> Self {
        self.loader.add_embedded(files);
        self
    }

    /// The schema under a URI as an event spells it, if it is at hand. Neither waits nor allocates.
    /// `None` says nothing: ask [`schema`](Self::schema).
    pub fn cached(&self, uri: &str) -> Option<Arc<Schema>> {
        self.cache.fresh(uri, Instant::now())
    }

    /// The schema under a URI as an event spells it. Concurrent calls for the same schema load it
    /// once. A schema that is out of date and cannot be read again stays in use, unless it was
    /// removed. Safe to cancel.
    ///
    /// # Errors
    /// [`SchemaError`]; the same failure is the answer for some time without trying again.
    pub async fn schema(&self, uri: &str) -> Result<Arc<Schema>, SchemaError> {
        if let Some(schema) = self.cached(uri) {
            return Ok(schema);
        }
        let plain = SchemaUri::parse(uri, self.compat.absolute_schema_uris)?;
        let schema = self.by_plain(&plain).await?;
        if plain.as_str() != uri
            && let Some(until) = self.cache.until(plain.as_str())
        {
            self.cache.put(uri, schema.clone(), until, Instant::now());
        }
        Ok(schema)
    }

    /// The newest schema of a title.
    ///
    /// # Errors
    /// As [`schema`](Self::schema).
    pub async fn latest(&self, title: &str) -> Result<Arc<Schema>, SchemaError> {
        self.schema(&format!("/{}/latest", title.trim_matches('/'))).await
    }

    /// Forgets failures, and reads every schema again when it is next asked for.
    pub fn forget(&self) {
        self.cache.expire(Instant::now());
    }

    async fn by_plain(&self, uri: &SchemaUri) -> Result<Arc<Schema>, SchemaError> {
        let name = uri.as_str();
        if let Some(answer) = self.known(name) {
            return answer;
        }
        let flight = Flight::join(&self.flights, name);
        let _turn = flight.lock.lock().await;
        if let Some(answer) = self.known(name) {
            return answer;
        }
        let stale = self.cache.stale(name);
        let loaded = self.load(uri, stale.as_deref()).await;
        let now = Instant::now();
        match (loaded, stale) {
            (Ok(Some(schema)), _) => {
                self.cache.put(name, schema.clone(), now + self.ttl, now);
                Ok(schema)
            }
            // Read again, and it says what it said before.
            (Ok(None), Some(schema)) => {
                self.cache.put(name, schema.clone(), now + self.ttl, now);
                Ok(schema)
            }
            (Err(error), Some(schema)) if !matches!(error, SchemaError::NotFound { .. }) => {
                tracing::warn!(%error, "a schema cannot be read again; the one from before stays in use");
                self.cache.put(name, schema.clone(), now + self.negative_ttl, now);
                Ok(schema)
            }
            (Err(error), _) => {
                self.cache
                    .put_failure(name, error.clone(), now + self.negative_ttl, now);
                Err(error)
            }
            (Ok(None), None) => Err(SchemaError::Unavailable {
                uri: name.into(),
                reason: "it was removed while it was read".into(),
            }),
        }
    }

    fn known(&self, name: &str) -> Option<Result<Arc<Schema>, SchemaError>> {
        let now = Instant::now();
        match self.cache.fresh(name, now) {
            Some(schema) => Some(Ok(schema)),
            None => self.cache.failure(name, now).map(Err),
        }
    }

    /// Reads and compiles a schema; `None` if it is the same as `stale`.
    async fn load(
        &self,
        uri: &SchemaUri,
        stale: Option<&Schema>,
    ) -> Result<Option<Arc<Schema>>, SchemaError> {
        let name = uri.as_str().to_owned();
        let _permit = self.loads.acquire().await;
        let json = self.loader.load(uri).await?;
        let bundle = bundle::with(&name, &json, &self.loader).await?;
        if stale
            .is_some_and(|s| s.json == json && s.bundled.as_ref() == bundle.refers.then_some(&bundle.schema))
        {
            return Ok(None);
        }
        let compat = self.compat;
        let place = name.clone();
        // Compiling takes up to milliseconds, and a fault in it must not take its caller along.
        let compiled =
            tokio::task::spawn_blocking(move || Schema::compile(&place, json, bundle, &compat)).await;
        match compiled {
            Ok(compiled) => compiled.map(|schema| Some(Arc::new(schema))),
            Err(_) => Err(SchemaError::Invalid {
                uri: name,
                reason: "compiling it failed".into(),
            }),
        }
    }
}

impl fmt::Debug for SchemaRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaRepository")
            .field("compat", &self.compat)
            .finish_non_exhaustive()
    }
}

/// Taking part in the loading of one URI. The last to leave, also by being cancelled, clears the place.
struct Flight<'a> {
    flights: &'a SyncMutex<HashMap<Box<str>, Arc<Mutex<()>>>>,
    name: &'a str,
    lock: Arc<Mutex<()>>,
}

impl<'a> Flight<'a> {
    fn join(flights: &'a SyncMutex<HashMap<Box<str>, Arc<Mutex<()>>>>, name: &'a str) -> Self {
        let lock = flights.lock().entry(name.into()).or_default().clone();
        Self { flights, name, lock }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        // The map's and this one: nobody else takes part, and nobody can join while this holds the map.
        if Arc::strong_count(&self.lock) == 2 {
            flights.remove(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
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
        let leader = ask(&schemas);
        while web.requests() == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..5).map(|_| ask(&schemas)).collect();
        leader.abort();
        assert!(leader.await.is_err());
        while web.requests() == 1 {
            tokio::task::yield_now().await;
        }
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
}
