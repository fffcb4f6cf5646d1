//! Sessions: begun by a login, carried on by refreshes, ended by revocation.

use serde::Serialize;
use uuid::{NoContext, Uuid};

use super::Accounts;
use super::counters::count;
use crate::clock::later;
use crate::limits::{ACCESS_LIFETIME, REFRESH_LIFETIME, REFRESHES_MAX, SESSIONS_PER_USER_MAX};
use crate::model::{Document as _, Refresh, Session, User};
use crate::records::{Read, create, remove, replace};
use crate::routes::Refusal;
use crate::secret::{Secret, fingerprint, random_token};
use crate::store::{Kind, StoreError};
use crate::token::{self, Claims, IdClaims};

/// The tokens of an answer, in the order of the contract (realtime §3.1).
#[derive(Serialize)]
pub(crate) struct Tokens {
    #[serde(with = "crate::secret::stored")]
    id_token: Secret,
    #[serde(with = "crate::secret::stored")]
    access_token: Secret,
    #[serde(
        with = "crate::secret::stored::option",
        skip_serializing_if = "Option::is_none"
    )]
    refresh_token: Option<Secret>,
    expires_in: u64,
}

impl Accounts {
    /// Begins a session of `user`, and ends the oldest of too many.
    pub(crate) async fn begin_session(&self, user: &User) -> Result<Tokens, Refusal> {
        let now = self.now();
        let refresh_token = random_token("lvr_")?;
        let expires_at = later(now, REFRESH_LIFETIME);
        let (seconds, nanos) = (
            now.as_millis().div_euclid(1000),
            now.as_millis().rem_euclid(1000) * 1_000_000,
        );
        let time = uuid::Timestamp::from_unix(
            NoContext,
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanos).unwrap_or(0),
        );
        let session = Session {
            id: Uuid::new_v7(time).to_string(),
            user: user.name.clone(),
            sub: user.sub.clone(),
            epoch: user.epoch,
            refresh: fingerprint(&[refresh_token.expose()]),
            created_at: now,
            // The last refresh gives a token that outlives the refresh token.
            expires_at: later(expires_at, ACCESS_LIFETIME),
        };
        let refresh = Refresh {
            id: session.refresh.clone(),
            user: user.name.clone(),
            session: session.id.clone(),
            uses: 0,
            expires_at,
        };
        let mut changes = vec![create(&session)?, create(&refresh)?];
        for old in self.surplus_sessions(&user.name).await? {
            tracing::warn!(user = user.name, "the oldest session ends: the user has too many");
            changes.push(remove(Kind::Session, &old.value.id));
            changes.push(remove(Kind::Refresh, &old.value.refresh));
        }
        // Signed before it is stored: a session without tokens would be of no use.
        let mut tokens = self.mint(user, &session).await?;
        self.inner.records.write(&changes).await?;
        tokens.refresh_token = Some(refresh_token);
        Ok(tokens)
    }

    async fn surplus_sessions(&self, user: &str) -> Result<Vec<Read<Session>>, StoreError> {
        let records = &self.inner.records;
        // Logins at the same moment may overshoot by their number; the next one corrects that.
        let surplus = (records.0.count(Kind::Session, user).await? + 1).saturating_sub(SESSIONS_PER_USER_MAX);
        if surplus == 0 {
            return Ok(Vec::new());
        }
        records.page(Some(user), None, surplus.min(100)).await
    }

    /// New tokens for a refresh token (contract realtime §3.1): the same session, no new refresh
    /// token, at most [`REFRESHES_MAX`] times.
    pub(crate) async fn refresh_session(
        &self,
        username: &str,
        refresh_token: &str,
    ) -> Result<Tokens, Refusal> {
        let now = self.now();
        let id = fingerprint(&[refresh_token]);
        let unauthorized = || Refusal::unauthorized("Unauthorized.");
        let refresh = self
            .inner
            .records
            .get::<Refresh>(&id)
            .await?
            .map(|read| read.value);
        let refresh = refresh
            .filter(|r| r.user == username && r.expires_at > now)
            .ok_or_else(unauthorized)?;
        let session = self
            .inner
            .records
            .get::<Session>(&refresh.session)
            .await?
            .map(|read| read.value);
        let session = session.ok_or_else(unauthorized)?;
        let user = self
            .inner
            .records
            .get::<User>(&session.user)
            .await?
            .map(|read| read.value);
        let user = user
            .filter(|u| u.sub == session.sub && u.epoch == session.epoch && !u.disabled)
            .ok_or_else(unauthorized)?;
        // Counted before the signing, so that no more are ever signed. A revocation in between
        // removes the document, and its session with it.
        self.inner
            .records
            .update(&id, |read: Option<Read<Refresh>>| {
                let mut read = read.ok_or_else(unauthorized)?;
                if read.value.uses >= REFRESHES_MAX {
                    return Err(Refusal::too_many("Refresh tokens limit has been exceeded.", None));
                }
                read.value.uses += 1;
                Ok((vec![replace(read.version, &read.value)?], ()))
            })
            .await?;
        let tokens = self.mint(&user, &session).await?;
        count(&self.inner.counters.refreshes);
        Ok(tokens)
    }

    /// Ends the session of a refresh token: all its tokens die, those of the login too.
    pub(crate) async fn revoke_session(&self, refresh_token: &str) -> Result<(), Refusal> {
        let id = fingerprint(&[refresh_token]);
        let refresh = self.inner.records.get::<Refresh>(&id).await?;
        let refresh = refresh
            .ok_or_else(|| Refusal::unauthorized("Unauthorized"))?
            .value;
        let changes = [
            remove(Kind::Session, &refresh.session),
            remove(Kind::Refresh, refresh.id()),
        ];
        self.inner.records.write(&changes).await?;
        count(&self.inner.counters.revocations);
        Ok(())
    }

    /// Signs an access token and an id token of the session.
    async fn mint(&self, user: &User, session: &Session) -> Result<Tokens, Refusal> {
        let now = self.now();
        let generation = self.generation().await?;
        let snapshot = self.snapshot(generation).await?;
        let (user, session, pinned) = (user.clone(), session.clone(), self.inner.pinned.clone());
        // Two signatures take about two milliseconds of one core.
        let signed = tokio::task::spawn_blocking(move || {
            let signer = snapshot.keys.signer(now).ok_or(token::SignError)?;
            let iat = now.as_millis().div_euclid(1000);
            let exp = later(now, ACCESS_LIFETIME).as_millis().div_euclid(1000);
            let auth_time = session.created_at.as_millis().div_euclid(1000);
            let jti = Uuid::new_v4().to_string();
            let id = IdClaims {
                sub: &user.sub,
                iss: &pinned.issuer,
                aud: &pinned.client_id,
                groups: &user.groups,
                username: &user.name,
                email: user.email.as_deref(),
                token_use: "id",
                sid: &session.id,
                jti: &jti,
                auth_time,
                iat,
                exp,
            };
            let id_token = token::sign(signer, &id)?;
            let access = Claims {
                sub: user.sub,
                iss: pinned.issuer,
                client_id: Some(pinned.client_id),
                groups: user.groups,
                token_use: "access".to_owned(),
                sid: session.id,
                jti: Uuid::new_v4().to_string(),
                auth_time,
                iat,
                exp,
                username: user.name,
            };
            Ok::<_, token::SignError>((id_token, token::sign(signer, &access)?))
        });
        let (id_token, access_token) = signed
            .await
            .map_err(|e| Refusal::internal(&e.to_string()))?
            .map_err(|e| Refusal::internal(&e.to_string()))?;
        Ok(Tokens {
            id_token,
            access_token,
            refresh_token: None,
            expires_in: ACCESS_LIFETIME.as_secs(),
        })
    }
}
