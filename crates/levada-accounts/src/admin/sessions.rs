//! Sessions and passwords of users.

use levada_event::Timestamp;

use super::{Admin, AdminError, ShownOnce};
use crate::clock::later;
use crate::limits::{LIST_MAX, RESET_CODE_LIFETIME, TEXT_CHARS_MAX};
use crate::model::{Session, User};
use crate::password::Verdict;
use crate::records::{put, remove};
use crate::routes::{long_enough, new_reset_code};
use crate::secret::{Secret, random_password};
use crate::store::Kind;

/// What may be shown of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its id: `sid` in tokens.
    pub id: String,
    /// Its user.
    pub user: String,
    /// When the login was.
    pub created_at: Timestamp,
    /// When its last token will have ended.
    pub expires_at: Timestamp,
}

impl Admin {
    /// Sets a password (a random one without `password`, which is answered) and ends all sessions.
    ///
    /// # Errors
    /// [`AdminError::Unknown`], [`AdminError::Invalid`].
    pub async fn set_password(
        &self,
        name: &str,
        password: Option<Secret>,
        must_change: bool,
    ) -> Result<Option<ShownOnce>, AdminError> {
        let made = if password.is_none() {
            Some(random_password()?)
        } else {
            None
        };
        let password = password
            .or_else(|| made.clone())
            .unwrap_or_else(|| Secret::new(""));
        let (hash, now) = (self.hash(&password).await?, self.now());
        self.change_user(name, |user| {
            *user = User {
                must_change,
                ..user.clone().with_hash(hash.clone(), now)
            };
            Ok(())
        })
        .await?;
        tracing::info!(user = name, "password set; sessions ended");
        Ok(made)
    }

    /// Whether the user may log in with this password.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn has_password(&self, name: &str, password: &Secret) -> Result<bool, AdminError> {
        let user = self.find(name).await?;
        let verdict = self.passwords.verify(password, user.password.as_ref()).await?;
        Ok(!user.disabled && verdict != Verdict::Wrong)
    }

    /// A code for `/v1/forgot-password-confirm`, good for an hour, for the operator to pass on.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn reset_code(&self, name: &str) -> Result<ShownOnce, AdminError> {
        let user = self.find(name).await?;
        let (code, document) = new_reset_code(&user, later(self.now(), RESET_CODE_LIFETIME))?;
        self.records.write(&[put(&document)?]).await?;
        tracing::info!(user = user.name, "code for a new password made");
        Ok(code)
    }

    /// Ends all sessions of a user: all tokens die, API keys stay.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn end_sessions(&self, name: &str) -> Result<(), AdminError> {
        self.change_user(name, |user| {
            user.epoch += 1;
            Ok(())
        })
        .await?;
        tracing::info!(user = name, "sessions ended");
        Ok(())
    }

    /// The sessions of a user that go on, oldest first.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn sessions(&self, name: &str) -> Result<Vec<SessionInfo>, AdminError> {
        let (user, now) = (self.find(name).await?, self.now());
        let page = self
            .records
            .page::<Session>(Some(&user.name), None, LIST_MAX)
            .await?;
        let live = page.into_iter().map(|read| read.value).filter(|session| {
            session.sub == user.sub && session.epoch == user.epoch && session.expires_at > now
        });
        Ok(live.map(SessionInfo::from).collect())
    }

    /// Ends one session.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn end_session(&self, id: &str) -> Result<(), AdminError> {
        let session = self.records.get::<Session>(id).await?;
        let session = session
            .ok_or_else(|| AdminError::Unknown(format!("session {id}")))?
            .value;
        self.records
            .write(&[
                remove(Kind::Session, &session.id),
                remove(Kind::Refresh, &session.refresh),
            ])
            .await?;
        tracing::info!(user = session.user, session = id, "session ended");
        Ok(())
    }

    /// The hash of a password that someone may have.
    pub(super) async fn hash(&self, password: &Secret) -> Result<Secret, AdminError> {
        long_enough(password).map_err(|why| AdminError::Invalid(why.to_owned()))?;
        if password.expose().chars().count() > TEXT_CHARS_MAX {
            return Err(AdminError::Invalid(format!(
                "a password has at most {TEXT_CHARS_MAX} characters"
            )));
        }
        Ok(self.passwords.hash(password).await?)
    }
}

impl From<Session> for SessionInfo {
    fn from(session: Session) -> Self {
        let Session {
            id,
            user,
            created_at,
            expires_at,
            ..
        } = session;
        Self {
            id,
            user,
            created_at,
            expires_at,
        }
    }
}
