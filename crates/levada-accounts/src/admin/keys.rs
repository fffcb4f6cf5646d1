//! API keys for machines.
//!
//! A key is `lvd_<id>_<secret>`: the id is shown in lists, the secret is 32 random bytes, and only
//! the fingerprint of the whole is kept.

use std::time::Duration;

use levada_event::Timestamp;

use super::{Admin, AdminError, ShownOnce, check_scopes};
use crate::accounts::KEY_PREFIX;
use crate::clock::later;
use crate::limits::LIST_MAX;
use crate::model::Key;
use crate::name::is_plain_name;
use crate::records::{Read, create, remove, replace};
use crate::scope::Scope;
use crate::secret::{Secret, fingerprint, random_token, random_words};
use crate::store::Kind;

/// An API key to be made.
#[derive(Debug, Clone, Default)]
pub struct NewApiKey {
    /// What it is for: 1 to 64 letters, digits, hyphens, dots and underscores.
    pub name: String,
    /// The user whose rights bound the key's; `None` for a machine of its own.
    pub user: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// What may be shown of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The part of the key that may be shown, after `lvd_`.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The user whose rights bound it.
    pub user: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends or ended.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute or so.
    pub last_used_at: Option<Timestamp>,
    /// Id of the key that took its place.
    pub replaced_by: Option<String>,
}

impl Admin {
    /// Makes an API key, and answers with its id and the key itself, which nobody can see again.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] for the user, [`AdminError::Invalid`].
    pub async fn add_key(&self, new: NewApiKey) -> Result<(String, ShownOnce), AdminError> {
        if !is_plain_name(&new.name) {
            return Err(AdminError::Invalid(
                "a key's name has 1 to 64 letters, digits, hyphens, dots and underscores".to_owned(),
            ));
        }
        if new.scopes.is_empty() {
            return Err(AdminError::Invalid("a key needs at least one scope".to_owned()));
        }
        check_scopes(&new.scopes)?;
        let now = self.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(AdminError::Invalid("the key would have ended already".to_owned()));
        }
        let owner = match &new.user {
            Some(name) => Some(self.find(name).await?),
            None => None,
        };
        let (id, secret) = fresh()?;
        let (user, sub) = owner.map_or((None, None), |user| (Some(user.name), Some(user.sub)));
        let key = Key {
            id,
            name: new.name,
            user,
            sub,
            scopes: new.scopes,
            hash: fingerprint(&[secret.expose()]),
            created_at: now,
            expires_at: new.expires_at,
            replaced_by: None,
        };
        self.records.write(&[create(&key)?]).await?;
        tracing::info!(key = key.id, name = key.name, "API key added");
        Ok((key.id, secret))
    }

    /// Makes a new key in the place of an old one, with the same name, user, scopes and end. The old
    /// one stays good for `overlap` (no longer than it would have been).
    ///
    /// # Errors
    /// [`AdminError::Unknown`]; [`AdminError::Invalid`] when the key was replaced or has ended.
    pub async fn rotate_key(&self, id: &str, overlap: Duration) -> Result<(String, ShownOnce), AdminError> {
        let (new_id, secret) = fresh()?;
        let now = self.now();
        self.records
            .update(id, |read: Option<Read<Key>>| {
                let read = read.ok_or_else(|| AdminError::Unknown(format!("API key {id}")))?;
                if let Some(by) = &read.value.replaced_by {
                    return Err(AdminError::Invalid(format!(
                        "API key {id} was replaced by {by} already"
                    )));
                }
                if read.value.expires_at.is_some_and(|end| end <= now) {
                    return Err(AdminError::Invalid(format!(
                        "API key {id} has ended: make a new one"
                    )));
                }
                let end = later(now, overlap);
                let old = Key {
                    expires_at: Some(read.value.expires_at.map_or(end, |before| before.min(end))),
                    replaced_by: Some(new_id.clone()),
                    ..read.value.clone()
                };
                let new = Key {
                    id: new_id.clone(),
                    hash: fingerprint(&[secret.expose()]),
                    created_at: now,
                    ..read.value
                };
                Ok::<_, AdminError>((vec![replace(read.version, &old)?, create(&new)?], ()))
            })
            .await?;
        tracing::info!(key = id, by = new_id, "API key replaced");
        Ok((new_id, secret))
    }

    /// Ends an API key at once and forgets it.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn remove_key(&self, id: &str) -> Result<(), AdminError> {
        if self.records.get::<Key>(id).await?.is_none() {
            return Err(AdminError::Unknown(format!("API key {id}")));
        }
        self.records
            .write(&[remove(Kind::Key, id), remove(Kind::KeyUse, id)])
            .await?;
        tracing::info!(key = id, "API key removed");
        Ok(())
    }

    /// Up to 1000 API keys in the order of their ids, those after `after`; of one user if given.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] for the user.
    pub async fn keys(&self, user: Option<&str>, after: Option<&str>) -> Result<Vec<KeyInfo>, AdminError> {
        let owner = match user {
            Some(name) => Some(self.find(name).await?.name),
            None => None,
        };
        let mut infos = Vec::new();
        for read in self
            .records
            .page::<Key>(owner.as_deref(), after, LIST_MAX)
            .await?
        {
            let last_used_at = self.last_use(&read.value.id).await?;
            let Key {
                id,
                name,
                user,
                scopes,
                created_at,
                expires_at,
                replaced_by,
                ..
            } = read.value;
            infos.push(KeyInfo {
                id,
                name,
                user,
                scopes,
                created_at,
                expires_at,
                last_used_at,
                replaced_by,
            });
        }
        Ok(infos)
    }
}

/// A new id and the whole key. The id has 60 random bits, so that no two are alike.
fn fresh() -> Result<(String, Secret), AdminError> {
    let id = random_words(3)?.expose().replace('-', "");
    let secret = random_token(&format!("{KEY_PREFIX}{id}_"))?;
    Ok((id, secret))
}
