//! Changing passwords: with the old one, with the challenge of a login, or with a code.
//!
//! Each change ends the user's sessions, so that whoever knew the old password is out; only the
//! session that changes its own password goes on.

use super::fields::Fields;
use super::login::{WRONG, new_password_id};
use super::{Refusal, Request};
use crate::accounts::Accounts;
use crate::accounts::counters::count;
use crate::clock::later;
use crate::error::AuthError;
use crate::guard::Claim;
use crate::limits::{BODY_BYTES_MAX, PASSWORD_CHARS_MIN, RESET_CODE_LIFETIME, TEXT_CHARS_MAX};
use crate::model::{Code, Purpose, Session, User};
use crate::name::user_name;
use crate::notify::Notice;
use crate::password::Verdict;
use crate::records::{Read, create, remove_read, replace};
use crate::response::Response;
use crate::secret::{Secret, fingerprint, random_words};
use crate::store::Kind;

/// Shortest and longest texts of `/v1/change-password` (contract realtime §3.1, which allows one character
/// more there than login takes: its owner could not log in any more).
const CHANGED: std::ops::RangeInclusive<usize> = 6..=TEXT_CHARS_MAX;
/// Longest confirmation code (contract realtime §3.1).
const CODE_CHARS_MAX: usize = 2048;

const TOO_SHORT: &str = "a new password must have at least 8 characters";

impl Accounts {
    pub(super) async fn change_password(
        &self,
        fields: &Fields,
        request: &Request<'_>,
    ) -> Result<Response, Refusal> {
        let access_token = fields.text("access_token", 1..=BODY_BYTES_MAX)?;
        let previous = Secret::new(fields.text("previous_password", CHANGED)?);
        let proposed = Secret::new(fields.text("proposed_password", CHANGED)?);
        let principal = self
            .by_access_token(access_token)
            .await
            .map_err(|error| match error {
                AuthError::Unavailable(error) => error.into(),
                other => Refusal::unauthorized(WRONG).with_detail(&other.to_string()),
            })?;
        self.unlocked(principal.name(), request)?;
        let user = self.user(principal.name()).await?;
        let attempt = self.attempt(principal.name(), user.is_some(), request)?;
        let hash = user.as_ref().and_then(|user| user.value.password.as_ref());
        let verdict = self.inner.passwords.verify(&previous, hash).await?;
        let Some(user) = user.filter(|user| user.value.sub == principal.sub && verdict != Verdict::Wrong)
        else {
            return Err(self.failed(attempt));
        };
        attempt.succeeded(self.now());
        long_enough(&proposed).map_err(|detail| Refusal::unauthorized(WRONG).with_detail(detail))?;
        let changed = self.with_password(user.value, &proposed).await?;
        let mut changes = vec![replace(user.version, &changed)?];
        let session = principal.session().unwrap_or_default();
        if let Some(own) = self.inner.records.get::<Session>(session).await? {
            changes.push(replace(
                own.version,
                &Session {
                    epoch: changed.epoch,
                    ..own.value
                },
            )?);
        }
        self.inner.records.write(&changes).await?;
        Ok(Response::empty(204))
    }

    pub(super) async fn new_password_required(
        &self,
        fields: &Fields,
        request: &Request<'_>,
    ) -> Result<Response, Refusal> {
        let username = fields.text("username", 1..=TEXT_CHARS_MAX)?;
        let session = fields.text("session", 1..=BODY_BYTES_MAX)?;
        let password = Secret::new(fields.text("new_password", 6..=TEXT_CHARS_MAX)?);
        let name = user_name(username).unwrap_or_default();
        let id = new_password_id(&name, session);
        let user = self
            .redeem(
                &name,
                &id,
                Purpose::NewPassword,
                &password,
                request,
                "Unauthorized.",
            )
            .await?;
        let tokens = self.begin_session(&user).await?;
        count(&self.inner.counters.logins);
        Ok(Response::private(200, &tokens))
    }

    pub(super) async fn forgot_password(
        &self,
        fields: &Fields,
        request: &Request<'_>,
    ) -> Result<Response, Refusal> {
        let username = fields.text("username", 1..=TEXT_CHARS_MAX)?;
        let Some(notifier) = &self.inner.settings.notifier else {
            return Err(Refusal::not_here(
                "this server has no way to send codes: ask its operator",
            ));
        };
        let name = user_name(username).unwrap_or_default();
        let now = self.now();
        self.inner
            .guard
            .check_address(request.peer(), now)
            .map_err(|wait| self.locked_out(wait))?;
        let user = self.user(&name).await?.map(|read| read.value);
        let claim = Claim {
            name: &name,
            exists: user.is_some(),
            peer: request.peer(),
        };
        self.inner
            .guard
            .reset_asked(claim, now)
            .map_err(|wait| self.locked_out(wait))?;
        // The contract says so plainly; asking for many names is slowed down above.
        let user = user
            .filter(|user| !user.disabled)
            .ok_or(Refusal::unauthorized("User not found."))?;
        let (code, document) = new_reset_code(&user, later(now, RESET_CODE_LIFETIME))?;
        self.inner.records.write(&[create(&document)?]).await?;
        let notice = Notice {
            username: user.name,
            email: user.email,
            code,
            expires_at: document.expires_at,
        };
        notifier
            .deliver(&notice)
            .await
            .map_err(|e| Refusal::internal(&e.to_string()))?;
        Ok(Response::empty(204))
    }

    pub(super) async fn forgot_password_confirm(
        &self,
        fields: &Fields,
        request: &Request<'_>,
    ) -> Result<Response, Refusal> {
        let username = fields.text("username", 1..=TEXT_CHARS_MAX)?;
        let password = Secret::new(fields.text("password", 1..=TEXT_CHARS_MAX)?);
        let code = fields.text("confirmation_code", 1..=CODE_CHARS_MAX)?;
        let name = user_name(username).unwrap_or_default();
        let id = reset_id(&name, code);
        const REFUSED: &str = "Invalid verification code provided, please try again.";
        self.redeem(&name, &id, Purpose::Reset, &password, request, REFUSED)
            .await?;
        Ok(Response::empty(204))
    }

    /// Uses up the code kept under `id` and gives the user the new password.
    async fn redeem(
        &self,
        name: &str,
        id: &str,
        purpose: Purpose,
        password: &Secret,
        request: &Request<'_>,
        refused: &'static str,
    ) -> Result<User, Refusal> {
        self.unlocked(name, request)?;
        let user = self.user(name).await?;
        let attempt = self.attempt(name, user.is_some(), request)?;
        let code = self.inner.records.get::<Code>(id).await?;
        let code = code.filter(|c| {
            c.value.user == name && c.value.purpose == purpose && c.value.expires_at > self.now()
        });
        let user = user.filter(|user| !user.value.disabled);
        let (Some(code), Some(user)) = (code, user) else {
            attempt.failed(self.now());
            count(&self.inner.counters.wrong_passwords);
            return Err(Refusal::unauthorized(refused));
        };
        // Made for another user of that name, or before the password changed otherwise.
        if (&user.value.sub, user.value.epoch) != (&code.value.sub, code.value.epoch) {
            return Err(Refusal::unauthorized(refused));
        }
        long_enough(password).map_err(|detail| {
            Refusal::unauthorized("Password does not conform to policy: Password not long enough")
                .with_detail(detail)
        })?;
        let Read { version, value } = user;
        let changed = self.with_password(value, password).await?;
        let changes = [
            remove_read(Kind::Code, id, code.version),
            replace(version, &changed)?,
        ];
        // A conflict means that the code was used, or the user changed, at the same moment.
        match self.inner.records.write(&changes).await {
            Err(crate::store::StoreError::Conflict) => return Err(Refusal::unauthorized(refused)),
            other => other?,
        }
        attempt.succeeded(self.now());
        Ok(changed)
    }

    /// The user with another password, under which all sessions begin anew.
    async fn with_password(&self, user: User, password: &Secret) -> Result<User, Refusal> {
        let hash = self.inner.passwords.hash(password).await?;
        Ok(user.with_hash(hash, self.now()))
    }
}

/// A code that resets `user`'s password, and what is kept of it.
pub(crate) fn new_reset_code(
    user: &User,
    expires_at: levada_event::Timestamp,
) -> Result<(Secret, Code), crate::secret::NoRandomness> {
    let code = random_words(5)?;
    let document = Code {
        id: reset_id(&user.name, code.expose()),
        user: user.name.clone(),
        sub: user.sub.clone(),
        epoch: user.epoch,
        purpose: Purpose::Reset,
        expires_at,
    };
    Ok((code, document))
}

/// Under what name a code is kept. People copy codes by hand: case and outer spaces do not count.
fn reset_id(user: &str, code: &str) -> String {
    fingerprint(&["reset", user, &code.trim().to_ascii_lowercase()])
}

/// Whether a password may become someone's.
pub(crate) fn long_enough(password: &Secret) -> Result<(), &'static str> {
    if password.expose().chars().count() < PASSWORD_CHARS_MIN {
        Err(TOO_SHORT)
    } else {
        Ok(())
    }
}
