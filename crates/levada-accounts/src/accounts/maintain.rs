//! What must be done now and then.

use std::sync::Arc;

use super::Accounts;
use crate::clock::{later, millis};
use crate::error::AccountsError;
use crate::limits::{CHANGES_MAX, PURGE_BATCH, PURGE_BATCHES_MAX, SIGNING_KEY_LEAD};
use crate::model::{KeyUse, Keyring};
use crate::records::{put, replace};
use crate::store::StoreError;

/// What maintenance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Maintained {
    /// Expired records that were removed.
    pub purged: usize,
    /// API keys whose last use was written down.
    pub key_uses: usize,
    /// Whether the signing key was replaced because of its age.
    pub rotated: bool,
}

impl Accounts {
    /// Removes what has ended, writes down when API keys were used, replaces a signing key that is
    /// too old. To be called about every minute, and once at shutdown so that no use is lost;
    /// several processes may do so at once.
    ///
    /// # Errors
    /// [`AccountsError`]; what was not done is done the next time.
    pub async fn maintain(&self) -> Result<Maintained, AccountsError> {
        let now = self.now();
        self.inner.guard.prune(now);
        let key_uses = self.write_key_uses().await?;
        let mut purged = 0;
        for _ in 0..PURGE_BATCHES_MAX {
            let some = self.inner.records.0.purge(now, PURGE_BATCH).await?;
            purged += some;
            if some < PURGE_BATCH {
                break;
            }
        }
        let rotated = self.rotate_when_due().await?;
        if let Some(notifier) = &self.inner.settings.notifier
            && let Err(error) = notifier.tidy(now).await
        {
            tracing::warn!(%error, "notices that have ended cannot be removed");
        }
        Ok(Maintained {
            purged,
            key_uses,
            rotated,
        })
    }

    async fn write_key_uses(&self) -> Result<usize, StoreError> {
        let uses: Vec<_> = std::mem::take(&mut *self.inner.key_uses.lock())
            .into_iter()
            .collect();
        for (done, some) in uses.chunks(CHANGES_MAX).enumerate() {
            let changes = some.iter().map(|(key, at)| {
                put(&KeyUse {
                    key: key.clone(),
                    at: *at,
                })
            });
            let written = match changes.collect::<Result<Vec<_>, _>>() {
                Ok(changes) => self.inner.records.write(&changes).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                // Back with what was not written, unless the key was used again meanwhile.
                let mut pending = self.inner.key_uses.lock();
                for (key, at) in &uses[done * CHANGES_MAX..] {
                    pending.entry(key.clone()).or_insert(*at);
                }
                return Err(error);
            }
        }
        Ok(uses.len())
    }

    async fn rotate_when_due(&self) -> Result<bool, AccountsError> {
        let now = self.now();
        let Some(ring) = self.inner.records.get::<Keyring>(Keyring::ID).await? else {
            return Err(StoreError::Damaged("the signing keys are gone".to_owned()).into());
        };
        let lifetime = self.inner.settings.signing_key_lifetime;
        let young = |created| later(created, lifetime) > now;
        if millis(lifetime) == 0 || ring.value.newest().is_some_and(|key| young(key.created_at)) {
            return Ok(false);
        }
        let make = Arc::clone(&self.inner.make_key);
        let key = tokio::task::spawn_blocking(move || make())
            .await
            .map_err(|e| AccountsError::SigningKey(e.to_string()))??;
        let lead = if self.store().shared {
            SIGNING_KEY_LEAD
        } else {
            std::time::Duration::ZERO
        };
        let mut rotated = ring.value;
        rotated.rotate(key, now, lead)?;
        match self
            .inner
            .records
            .write(&[replace(ring.version, &rotated)?])
            .await
        {
            Ok(()) => {
                tracing::info!("the signing key was replaced because of its age");
                Ok(true)
            }
            // Another process was faster.
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
