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
mod tests;
