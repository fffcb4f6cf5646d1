//! The keys that sign tokens.

use std::sync::Arc;
use std::time::Duration;

use levada_event::Timestamp;

use super::{Admin, AdminError};
use crate::limits::SIGNING_KEY_LEAD;
use crate::model::Keyring;
use crate::records::{Read, create, replace};

/// What may be shown of a signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigningKeyInfo {
    /// `kid` in tokens.
    pub kid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs, until a later one does.
    pub signs_from: Timestamp,
    /// Until when it verifies; `None` while no other has taken its place.
    pub verifies_until: Option<Timestamp>,
}

/// What becomes of the keys before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// They go on verifying until their last tokens have ended: nobody notices.
    Overlap,
    /// They are gone: every access token dies, and clients must refresh theirs. For a key that may
    /// have been seen by others.
    AtOnce,
}

impl Admin {
    /// Makes a new signing key, and answers with its name. Takes up to some seconds.
    ///
    /// # Errors
    /// [`AdminError::Failed`] when no key can be made, or too many are still in use.
    pub async fn rotate_signing_key(&self, rotation: Rotation) -> Result<String, AdminError> {
        let make = Arc::clone(&self.make_key);
        let key = tokio::task::spawn_blocking(move || make())
            .await
            .map_err(|e| AdminError::Failed(e.to_string()))??;
        let lead = if self.records.0.facts().shared {
            SIGNING_KEY_LEAD
        } else {
            Duration::ZERO
        };
        let now = self.now();
        let kid = self
            .records
            .update(Keyring::ID, |read: Option<Read<Keyring>>| {
                let version = read.as_ref().map(|read| read.version);
                let mut ring = read.map(|read| read.value).unwrap_or_default();
                match rotation {
                    Rotation::Overlap => ring.rotate(key.clone(), now, lead)?,
                    Rotation::AtOnce => ring.replace(key.clone(), now),
                }
                let kid = ring.newest().map(|key| key.kid.clone()).unwrap_or_default();
                let change = match version {
                    Some(version) => replace(version, &ring)?,
                    None => create(&ring)?,
                };
                Ok::<_, AdminError>((vec![change], kid))
            })
            .await?;
        tracing::info!(kid, ?rotation, "signing key replaced");
        Ok(kid)
    }

    /// The signing keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError).
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyInfo>, AdminError> {
        let ring = self.records.get::<Keyring>(Keyring::ID).await?;
        let keys = ring.map(|read| read.value.keys).unwrap_or_default();
        Ok(keys
            .into_iter()
            .map(|key| SigningKeyInfo {
                kid: key.kid,
                created_at: key.created_at,
                signs_from: key.signs_from,
                verifies_until: key.verifies_until,
            })
            .collect())
    }
}
