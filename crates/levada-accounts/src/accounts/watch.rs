//! Whether someone who was let in a while ago would still be, for streams that stay open for days.

use std::sync::Arc;

use levada_event::Timestamp;

use super::Accounts;
use super::authenticate::wrong;
use crate::error::AuthError;
use crate::model::{Key, Session};
use crate::principal::{Principal, Via};

/// Keeps an eye on one [`Principal`]. Ask at each heartbeat: while nothing in the store changed, the
/// answer costs nothing.
#[derive(Debug)]
pub struct Watch {
    accounts: Accounts,
    principal: Arc<Principal>,
    generation: Option<u64>,
    /// When the session or the key ends by itself, as last read.
    ends: Option<Timestamp>,
}

impl Accounts {
    /// Starts to keep an eye on `principal`.
    pub fn watch(&self, principal: Arc<Principal>) -> Watch {
        Watch {
            accounts: self.clone(),
            principal,
            generation: None,
            ends: None,
        }
    }
}

impl Watch {
    /// The principal with the rights of now, if the session still goes on (or the key is still
    /// there) and its user is. The end of an access token's 24 hours does not count: it does not cut
    /// an open stream (contract realtime §1.10), but the end of its session does. Whether the rights
    /// still suffice is for [`Principal::require`].
    ///
    /// # Errors
    /// [`AuthError::Wrong`] when the stream should end; [`AuthError::Unavailable`] when nobody knows:
    /// ask again at the next heartbeat.
    pub async fn check(&mut self) -> Result<&Arc<Principal>, AuthError> {
        let generation = self.accounts.generation().await?;
        // An end by itself changes nothing in the store.
        let over = self.ends.is_some_and(|end| end <= self.accounts.now());
        if over || self.generation != Some(generation) {
            let now = self.look(generation).await?;
            if now != *self.principal {
                self.principal = Arc::new(now);
            }
            self.generation = Some(generation);
        }
        Ok(&self.principal)
    }

    async fn look(&mut self, generation: u64) -> Result<Principal, AuthError> {
        let inner = self.accounts.inner.clone();
        let records = &inner.records;
        let snapshot = self.accounts.snapshot(generation).await?;
        let now = self.accounts.now();
        let mut principal = Principal::clone(&self.principal);
        match principal.via {
            Via::Token => {
                let id = principal.session.as_deref().unwrap_or_default();
                let session = records.get::<Session>(id).await?.map(|read| read.value);
                let session = session
                    .filter(|session| session.expires_at > now)
                    .ok_or_else(|| wrong("Access Token has been revoked"))?;
                self.ends = Some(session.expires_at);
                let user = self
                    .accounts
                    .standing_user(&session.user, &session.sub, Some(session.epoch))
                    .await?;
                principal.groups = user.groups;
                principal.scopes = snapshot.scopes(&principal.groups);
            }
            Via::Key => {
                let key = records.get::<Key>(&principal.sub).await?.map(|read| read.value);
                let key = key.ok_or_else(|| wrong("API key not found"))?;
                if key.expires_at.is_some_and(|end| end <= now) {
                    return Err(wrong("API key is expired"));
                }
                self.ends = key.expires_at;
                if let Some(name) = &key.user {
                    let sub = key.sub.as_deref().unwrap_or_default();
                    principal.groups = self.accounts.standing_user(name, sub, None).await?.groups;
                    principal.ceiling = Some(snapshot.scopes(&principal.groups));
                }
                principal.scopes = vec![key.scopes.into()];
                principal.expires_at = key.expires_at;
            }
            Via::Address => principal.scopes = snapshot.scopes(&principal.groups),
        }
        Ok(principal)
    }
}
