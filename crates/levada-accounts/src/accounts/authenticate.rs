//! From what a request shows to whose it is.
//!
//! Every credential that is shown must be good: a wrong one is refused also where a right one stands
//! beside it, or where none would have been needed. What was verified is remembered; the memory
//! answers while the store has not changed, so that the usual request costs a look into a table.

use std::net::IpAddr;
use std::sync::Arc;

use super::Accounts;
use super::counters::count;
use crate::error::AuthError;
use crate::limits::{KEY_USES_PENDING_MAX, TOKEN_BYTES_MAX};
use crate::model::{Key, Session, User};
use crate::principal::{Credentials, Principal, Via};
use crate::secret::{fingerprint, same};
use crate::token::{self, TokenError};

/// What every API key begins with; no signed token does.
pub(crate) const KEY_PREFIX: &str = "lvd_";

/// What the reference's identity provider says of tokens it took back.
const REVOKED: &str = "Access Token has been revoked";

impl Accounts {
    /// Whose request it is (contract realtime §3.3). `Authorization` may carry an access token or an
    /// API key, after `Bearer ` or bare; `X-Api-Key` an API key. Without either the address decides.
    ///
    /// # Errors
    /// [`AuthError::Missing`], [`AuthError::Wrong`], [`AuthError::Unavailable`]; never `Forbidden`:
    /// what someone may do is for [`Principal::require`] to say.
    pub async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Arc<Principal>, AuthError> {
        let outcome = self.decide(credentials).await;
        match &outcome {
            Ok(_) | Err(AuthError::Missing | AuthError::Forbidden) => {}
            Err(AuthError::Wrong(_)) => count(&self.inner.counters.refused),
            Err(AuthError::Unavailable(error)) => {
                count(&self.inner.counters.undecided);
                tracing::warn!(%error, "a request cannot be authenticated");
            }
        }
        outcome
    }

    async fn decide(&self, credentials: &Credentials<'_>) -> Result<Arc<Principal>, AuthError> {
        let authorization = text(credentials.authorization)?
            .map(bare)
            .filter(|text| !text.is_empty());
        let api_key = text(credentials.api_key)?.filter(|text| !text.is_empty());
        if api_key.is_some_and(|key| !key.starts_with(KEY_PREFIX)) {
            return Err(wrong("X-Api-Key is no API key"));
        }
        match (authorization, api_key) {
            (Some(shown), None) | (None, Some(shown)) => self.recognise(shown).await,
            (Some(shown), Some(key)) => {
                let principal = self.recognise(shown).await?;
                self.recognise(key).await?;
                Ok(principal)
            }
            (None, None) => match credentials.peer {
                Some(peer) => self.by_address(peer).await,
                None => Err(AuthError::Missing),
            },
        }
    }

    /// Whose access token this is. API keys do not count.
    pub(crate) async fn by_access_token(&self, shown: &str) -> Result<Arc<Principal>, AuthError> {
        if shown.starts_with(KEY_PREFIX) {
            return Err(wrong("this is no access token"));
        }
        self.recognise(shown).await
    }

    async fn recognise(&self, shown: &str) -> Result<Arc<Principal>, AuthError> {
        if shown.len() > TOKEN_BYTES_MAX {
            return Err(wrong(&TokenError::TooLong.to_string()));
        }
        let generation = self.generation().await?;
        if let Some(principal) = self.inner.cache.get(shown, generation, self.now()) {
            count(&self.inner.counters.recognised_from_memory);
            self.note_use(shown, &principal);
            return Ok(principal);
        }
        let principal = Arc::new(if shown.starts_with(KEY_PREFIX) {
            self.by_key(shown, generation).await?
        } else {
            self.by_token(shown, generation).await?
        });
        self.inner.cache.put(shown, &principal, generation);
        count(&self.inner.counters.recognised);
        self.note_use(shown, &principal);
        Ok(principal)
    }

    async fn by_token(&self, shown: &str, generation: u64) -> Result<Principal, AuthError> {
        let snapshot = self.snapshot(generation).await?;
        let claims = token::verify(shown, &snapshot.keys, &self.inner.pinned, self.now())
            .map_err(|e| wrong(&e.to_string()))?;
        let session = self
            .inner
            .records
            .get::<Session>(&claims.sid)
            .await?
            .map(|read| read.value);
        let session = session
            .filter(|s| s.sub == claims.sub && s.user == claims.username && s.expires_at > self.now())
            .ok_or_else(|| wrong(REVOKED))?;
        let user = self
            .standing_user(&session.user, &session.sub, Some(session.epoch))
            .await?;
        Ok(Principal {
            via: Via::Token,
            account: format!("user:{}", user.name),
            name: user.name,
            sub: user.sub,
            // The groups of today, not those of when the token was made.
            scopes: snapshot.scopes(&user.groups),
            groups: user.groups,
            ceiling: None,
            session: Some(session.id),
            epoch: session.epoch,
            expires_at: Some(levada_event::Timestamp::from_millis(
                claims.exp.saturating_mul(1000),
            )),
        })
    }

    async fn by_key(&self, shown: &str, generation: u64) -> Result<Principal, AuthError> {
        let unknown = || wrong("API key not found");
        let id = shown
            .strip_prefix(KEY_PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .map(|(id, _)| id);
        let id = id
            .filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric()))
            .ok_or_else(unknown)?;
        let key = self
            .inner
            .records
            .get::<Key>(id)
            .await?
            .map(|read| read.value)
            .ok_or_else(unknown)?;
        if !same(&key.hash, &fingerprint(&[shown])) {
            return Err(unknown());
        }
        if key.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(wrong("API key is expired"));
        }
        let mut principal = Principal {
            via: Via::Key,
            account: format!("key:{}", key.name),
            name: key.name,
            sub: key.id,
            groups: Vec::new(),
            scopes: vec![key.scopes.into()],
            ceiling: None,
            session: None,
            epoch: 0,
            expires_at: key.expires_at,
        };
        if let Some(name) = &key.user {
            let user = self
                .standing_user(name, key.sub.as_deref().unwrap_or_default(), None)
                .await?;
            let snapshot = self.snapshot(generation).await?;
            principal.account = format!("user:{}", user.name);
            principal.ceiling = Some(snapshot.scopes(&user.groups));
            principal.groups = user.groups;
        }
        Ok(principal)
    }

    /// The user that a session or key belongs to, if they still stand behind it.
    pub(crate) async fn standing_user(
        &self,
        name: &str,
        sub: &str,
        epoch: Option<u64>,
    ) -> Result<User, AuthError> {
        let user = self.inner.records.get::<User>(name).await?.map(|read| read.value);
        let user = user
            .filter(|user| user.sub == sub)
            .ok_or_else(|| wrong("User does not exist."))?;
        if user.disabled {
            return Err(wrong("User is disabled."));
        }
        if epoch.is_some_and(|epoch| epoch != user.epoch) {
            return Err(wrong(REVOKED));
        }
        Ok(user)
    }

    async fn by_address(&self, peer: IpAddr) -> Result<Arc<Principal>, AuthError> {
        let Some((place, range)) = self.inner.settings.addresses.find(peer) else {
            return Err(AuthError::Missing);
        };
        let generation = self.generation().await?;
        if let Some((_, principal)) = self.inner.by_address[place]
            .lock()
            .as_ref()
            .filter(|(g, _)| *g == generation)
        {
            return Ok(Arc::clone(principal));
        }
        let snapshot = self.snapshot(generation).await?;
        let principal = Arc::new(Principal {
            via: Via::Address,
            account: format!("user:{}", range.username),
            name: range.username.clone(),
            sub: String::new(),
            groups: range.groups.clone(),
            scopes: snapshot.scopes(&range.groups),
            ceiling: None,
            session: None,
            epoch: 0,
            expires_at: None,
        });
        *self.inner.by_address[place].lock() = Some((generation, Arc::clone(&principal)));
        Ok(principal)
    }

    /// Remembers that an API key was used, for the next maintenance to write down.
    fn note_use(&self, shown: &str, principal: &Principal) {
        if principal.via != Via::Key || !shown.starts_with(KEY_PREFIX) {
            return;
        }
        let now = self.now();
        let mut uses = self.inner.key_uses.lock();
        if let Some(at) = uses.get_mut(&principal.sub) {
            *at = now;
        } else if uses.len() < KEY_USES_PENDING_MAX {
            uses.insert(principal.sub.clone(), now);
        }
    }
}

pub(crate) fn wrong(why: &str) -> AuthError {
    AuthError::Wrong(why.to_owned())
}

/// A header's value as text. Bytes beyond ASCII are in no credential.
fn text(value: Option<&[u8]>) -> Result<Option<&str>, AuthError> {
    match value {
        None => Ok(None),
        Some(bytes) if bytes.is_ascii() => std::str::from_utf8(bytes)
            .map(|text| Some(text.trim()))
            .map_err(|_| wrong("token is malformed")),
        Some(_) => Err(wrong("token is malformed")),
    }
}

/// The credential without its scheme. The reference takes it bare, too (contract realtime §3.3).
fn bare(value: &str) -> &str {
    match value.split_at_checked("bearer".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
            if rest.is_empty() || rest.starts_with(' ') {
                rest.trim()
            } else {
                value
            }
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_taken_off() {
        for (value, token) in [
            ("Bearer abc", "abc"),
            ("bearer  abc ", "abc"),
            ("abc", "abc"),
            ("Bearer", ""),
            ("Bearer ", ""),
            ("Bearerabc", "Bearerabc"),
            ("Basic abc", "Basic abc"),
        ] {
            assert_eq!(bare(value), token, "{value}");
        }
        assert!(text(Some(b"\xff")).is_err());
        assert_eq!(text(Some(b" ")), Ok(Some("")));
    }
}
