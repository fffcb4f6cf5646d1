//! What every verification needs and hardly ever changes: groups and signing keys.

use std::collections::HashMap;
use std::sync::Arc;

use super::Accounts;
use crate::limits::GROUPS_MAX;
use crate::model::{Group, Keyring};
use crate::scope::Scope;
use crate::store::StoreError;
use crate::token::keyset::KeySet;

/// Groups and keys as they were in one generation.
pub(crate) struct Snapshot {
    generation: u64,
    groups: HashMap<String, Arc<[Scope]>>,
    keyring_version: u64,
    pub(crate) keys: Arc<KeySet>,
}

impl Snapshot {
    /// The scopes of those of `groups` that exist.
    pub(crate) fn scopes(&self, groups: &[String]) -> Vec<Arc<[Scope]>> {
        groups
            .iter()
            .filter_map(|name| self.groups.get(name))
            .map(Arc::clone)
            .collect()
    }
}

impl Accounts {
    /// Groups and keys, not older than `generation`.
    pub(crate) async fn snapshot(&self, generation: u64) -> Result<Arc<Snapshot>, StoreError> {
        let current = || {
            self.inner
                .snapshot
                .read()
                .clone()
                .filter(|s| s.generation >= generation)
        };
        if let Some(snapshot) = current() {
            return Ok(snapshot);
        }
        let _one_at_a_time = self.inner.loading.lock().await;
        if let Some(snapshot) = current() {
            return Ok(snapshot);
        }
        let snapshot = Arc::new(self.load_snapshot().await?);
        *self.inner.snapshot.write() = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    async fn load_snapshot(&self) -> Result<Snapshot, StoreError> {
        // Before the reading, so that a change in between makes this look old, not new.
        let generation = self.inner.records.0.generation();
        let groups = self.inner.records.all::<Group>(None, GROUPS_MAX).await?;
        let ring = self.inner.records.get::<Keyring>(Keyring::ID).await?;
        let ring = ring.ok_or_else(|| StoreError::Damaged("the signing keys are gone".to_owned()))?;
        let before = self
            .inner
            .snapshot
            .read()
            .clone()
            .filter(|s| s.keyring_version == ring.version);
        let keys = match before {
            Some(before) => Arc::clone(&before.keys),
            None => Arc::new(KeySet::read(&ring.value).map_err(|e| StoreError::Damaged(e.to_string()))?),
        };
        let groups = groups
            .into_iter()
            .map(|group| (group.value.name, group.value.scopes.into()))
            .collect();
        Ok(Snapshot {
            generation,
            groups,
            keyring_version: ring.version,
            keys,
        })
    }
}
