//! Login, refresh and revocation (contract realtime §3.1).

use std::time::Duration;

use serde_json::json;

use super::fields::Fields;
use super::{Refusal, Request};
use crate::accounts::Accounts;
use crate::accounts::counters::count;
use crate::clock::later;
use crate::guard::{Attempt, Claim};
use crate::limits::{BODY_BYTES_MAX, CHALLENGE_LIFETIME, TEXT_CHARS_MAX};
use crate::model::{Code, Purpose, User};
use crate::name::user_name;
use crate::password::Verdict;
use crate::records::{Read, create, replace};
use crate::response::Response;
use crate::secret::{Secret, fingerprint, random_token};
use crate::store::StoreError;

pub(super) const WRONG: &str = "Incorrect username or password.";

impl Accounts {
    pub(super) async fn login(&self, fields: &Fields, request: &Request<'_>) -> Result<Response, Refusal> {
        let username = fields.text("username", 1..=TEXT_CHARS_MAX)?;
        let password = Secret::new(fields.text("password", 1..=TEXT_CHARS_MAX)?);
        // A name that nobody can have takes the way of a name that nobody has.
        let name = user_name(username).unwrap_or_default();
        self.unlocked(&name, request)?;
        let found = self.user(&name).await?;
        let attempt = self.attempt(&name, found.is_some(), request)?;
        let able = found.filter(|user| !user.value.disabled);
        let hash = able.as_ref().and_then(|user| user.value.password.as_ref());
        let verdict = self.inner.passwords.verify(&password, hash).await?;
        let Some(user) = able.filter(|_| verdict != Verdict::Wrong) else {
            return Err(self.failed(attempt));
        };
        attempt.succeeded(self.now());
        if user.value.must_change {
            return self.challenge(&user.value).await;
        }
        let user = match verdict {
            Verdict::RightOutdated => self.rehash(user, &password).await?,
            Verdict::Right | Verdict::Wrong => user.value,
        };
        let tokens = self.begin_session(&user).await?;
        count(&self.inner.counters.logins);
        Ok(Response::private(200, &tokens))
    }

    pub(super) async fn token_refresh(&self, fields: &Fields) -> Result<Response, Refusal> {
        let username = fields.text("username", 1..=TEXT_CHARS_MAX)?;
        let refresh_token = fields.text("refresh_token", 1..=BODY_BYTES_MAX)?;
        let username = user_name(username).ok_or(Refusal::unauthorized("Unauthorized."))?;
        Ok(Response::private(
            200,
            &self.refresh_session(&username, refresh_token).await?,
        ))
    }

    pub(super) async fn token_revoke(&self, fields: &Fields) -> Result<Response, Refusal> {
        self.revoke_session(fields.text("refresh_token", 1..=BODY_BYTES_MAX)?)
            .await?;
        Ok(Response::empty(204))
    }

    /// The user of this name; nobody has the empty one.
    pub(super) async fn user(&self, name: &str) -> Result<Option<Read<User>>, Refusal> {
        match name {
            "" => Ok(None),
            name => Ok(self.inner.records.get::<User>(name).await?),
        }
    }

    /// Turns away whoever is locked out, before the store is asked for anything.
    pub(super) fn unlocked(&self, name: &str, request: &Request<'_>) -> Result<(), Refusal> {
        self.inner
            .guard
            .check(name, request.peer(), self.now())
            .map_err(|wait| self.locked_out(wait))
    }

    /// Lets a password be checked, or says how long to wait.
    pub(super) fn attempt(
        &self,
        name: &str,
        exists: bool,
        request: &Request<'_>,
    ) -> Result<Attempt, Refusal> {
        let claim = Claim {
            name,
            exists,
            peer: request.peer(),
        };
        self.inner
            .guard
            .begin(claim, self.now())
            .map_err(|wait| self.locked_out(wait))
    }

    pub(super) fn locked_out(&self, wait: Duration) -> Refusal {
        count(&self.inner.counters.locked_out);
        Refusal::too_many("Password attempts exceeded", Some(wait))
    }

    /// The answer to a wrong password, and its counting.
    pub(super) fn failed(&self, attempt: Attempt) -> Refusal {
        attempt.failed(self.now());
        count(&self.inner.counters.wrong_passwords);
        Refusal::unauthorized(WRONG)
    }

    /// Asks for a new password before there are tokens.
    async fn challenge(&self, user: &User) -> Result<Response, Refusal> {
        let session = random_token("lvn_")?;
        let code = Code {
            id: new_password_id(&user.name, session.expose()),
            user: user.name.clone(),
            sub: user.sub.clone(),
            epoch: user.epoch,
            purpose: Purpose::NewPassword,
            expires_at: later(self.now(), CHALLENGE_LIFETIME),
        };
        self.inner.records.write(&[create(&code)?]).await?;
        let body = json!({ "challenge_name": "NEW_PASSWORD_REQUIRED", "session": session.expose() });
        Ok(Response::private(200, &body))
    }

    /// Renews a hash that was made at another cost. When someone else changes the user at the same
    /// time, the old hash stays: it is still right.
    async fn rehash(&self, user: Read<User>, password: &Secret) -> Result<User, Refusal> {
        let hash = self.inner.passwords.hash(password).await?;
        let renewed = User {
            password: Some(hash),
            ..user.value.clone()
        };
        match self
            .inner
            .records
            .write(&[replace(user.version, &renewed)?])
            .await
        {
            Ok(()) => Ok(renewed),
            Err(StoreError::Conflict) => Ok(user.value),
            Err(error) => Err(error.into()),
        }
    }
}

/// Under what name the challenge of a login is kept.
pub(super) fn new_password_id(user: &str, session: &str) -> String {
    fingerprint(&["new-password", user, session])
}
