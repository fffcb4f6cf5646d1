//! Compiled schemas and failures by URI, both with expiry, both bounded.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::time::Instant;

use super::{Schema, SchemaError};

/// Failures that are remembered. Strangers make their URIs up, so they are kept apart from schemas.
const FAILURES_MAX: usize = 4_096;

#[derive(Debug)]
pub(super) struct Cache {
    ready: RwLock<HashMap<Box<str>, Ready>>,
    failed: RwLock<HashMap<Box<str>, Failed>>,
    capacity: usize,
}

#[derive(Debug)]
struct Ready {
    schema: Arc<Schema>,
    until: Instant,
}

#[derive(Debug)]
struct Failed {
    error: SchemaError,
    until: Instant,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            ready: RwLock::default(),
            failed: RwLock::default(),
            capacity: capacity.max(1),
        }
    }

    /// The schema under a spelling of its URI, while it is fresh.
    pub(super) fn fresh(&self, uri: &str, now: Instant) -> Option<Arc<Schema>> {
        self.ready
            .read()
            .get(uri)
            .filter(|ready| now < ready.until)
            .map(|ready| ready.schema.clone())
    }

    /// The schema under a URI, however old.
    pub(super) fn stale(&self, uri: &str) -> Option<Arc<Schema>> {
        self.ready.read().get(uri).map(|ready| ready.schema.clone())
    }

    /// The failure under a URI, while it is fresh.
    pub(super) fn failure(&self, uri: &str, now: Instant) -> Option<SchemaError> {
        self.failed
            .read()
            .get(uri)
            .filter(|failed| now < failed.until)
            .map(|failed| failed.error.clone())
    }

    /// Remembers a schema. When all places are taken, what is out of date goes first, else everything.
    pub(super) fn put(&self, uri: &str, schema: Arc<Schema>, until: Instant, now: Instant) {
        self.failed.write().remove(uri);
        let mut ready = self.ready.write();
        if ready.len() >= self.capacity && !ready.contains_key(uri) {
            ready.retain(|_, ready| now < ready.until);
            if ready.len() >= self.capacity {
                ready.clear();
            }
        }
        ready.insert(uri.into(), Ready { schema, until });
    }

    /// When the schema under a URI goes out of date.
    pub(super) fn until(&self, uri: &str) -> Option<Instant> {
        self.ready.read().get(uri).map(|ready| ready.until)
    }

    /// Remembers a failure, and forgets the schema that was there.
    pub(super) fn put_failure(&self, uri: &str, error: SchemaError, until: Instant, now: Instant) {
        self.ready.write().remove(uri);
        let mut failed = self.failed.write();
        if failed.len() >= FAILURES_MAX && !failed.contains_key(uri) {
            failed.retain(|_, failed| now < failed.until);
            if failed.len() >= FAILURES_MAX {
                failed.clear();
            }
        }
        failed.insert(uri.into(), Failed { error, until });
    }

    /// Lets everything go out of date, failures at once, schemas once they have been read again.
    pub(super) fn expire(&self, now: Instant) {
        self.failed.write().clear();
        for ready in self.ready.write().values_mut() {
            ready.until = now;
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.ready.read().len(), self.failed.read().len())
    }
}
