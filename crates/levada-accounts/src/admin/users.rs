//! Users and their groups.

use levada_event::Timestamp;
use uuid::Uuid;

use super::{Admin, AdminError, ShownOnce, merge};
use crate::limits::{GROUPS_PER_USER_MAX, LIST_MAX, TEXT_CHARS_MAX};
use crate::model::{Group, Key, KeyUse, Session, User};
use crate::name::user_name;
use crate::records::{Read, create, remove, replace};
use crate::secret::{Secret, random_password};
use crate::store::{Kind, StoreError};

/// A user to be made.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    /// Name; stored in lower case.
    pub name: String,
    /// Where codes are sent, if anywhere.
    pub email: Option<String>,
    /// Password; without one a random one is made.
    pub password: Option<Secret>,
    /// Groups, all of which must exist.
    pub groups: Vec<String>,
    /// Whether the first login asks for another password.
    pub must_change: bool,
}

/// What may be shown of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserInfo {
    /// Name in lower case.
    pub name: String,
    /// Mail address, if known.
    pub email: Option<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Whether logins, tokens and keys of the user are refused.
    pub disabled: bool,
    /// Whether the next login asks for another password.
    pub must_change: bool,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the password was set last.
    pub password_changed_at: Option<Timestamp>,
}

/// What [`Admin::ensure_user`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// There was no such user.
    Created,
    /// There was one, with another password or other groups; its sessions have ended.
    Updated,
}

impl Admin {
    /// Makes a user. Answers with the password when it was made here.
    ///
    /// # Errors
    /// [`AdminError::Exists`], [`AdminError::Unknown`] for a group, [`AdminError::Invalid`].
    pub async fn add_user(&self, new: NewUser) -> Result<Option<ShownOnce>, AdminError> {
        let (user, made) = self.build(new).await?;
        match self.records.write(&[create(&user)?]).await {
            Ok(()) => {
                tracing::info!(user = user.name, groups = ?user.groups, "user added");
                Ok(made)
            }
            Err(StoreError::Conflict) => Err(AdminError::Exists(format!("user {}", user.name))),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a user, or gives the one of that name this password and exactly these groups: for
    /// demonstrations and set-ups that run again and again.
    ///
    /// # Errors
    /// As [`add_user`](Self::add_user), without `Exists`.
    pub async fn ensure_user(&self, new: NewUser) -> Result<Ensured, AdminError> {
        let (user, _) = self.build(new).await?;
        self.records
            .update(&user.name, |read: Option<Read<User>>| {
                Ok(match read {
                    None => (vec![create(&user)?], Ensured::Created),
                    Some(there) => {
                        let sub = there.value.sub.clone();
                        let epoch = there.value.epoch + 1;
                        let created_at = there.value.created_at;
                        let renewed = User {
                            sub,
                            epoch,
                            created_at,
                            ..user.clone()
                        };
                        (vec![replace(there.version, &renewed)?], Ensured::Updated)
                    }
                })
            })
            .await
    }

    async fn build(&self, new: NewUser) -> Result<(User, Option<ShownOnce>), AdminError> {
        let name = user_name(&new.name).ok_or_else(|| {
            AdminError::Invalid(format!(
                "a user name has 1 to {TEXT_CHARS_MAX} characters, no outer spaces and no control characters"
            ))
        })?;
        if let Some(email) = &new.email {
            let plain = email.chars().count() <= TEXT_CHARS_MAX && !email.chars().any(char::is_control);
            if !plain || !email.contains('@') {
                return Err(AdminError::Invalid("that is no mail address".to_owned()));
            }
        }
        let mut groups = Vec::new();
        merge(&mut groups, &new.groups, &[]);
        self.check_groups(&groups).await?;
        let (password, made) = match new.password {
            Some(password) => (password, None),
            None => {
                let made = random_password()?;
                (made.clone(), Some(made))
            }
        };
        let hash = self.hash(&password).await?;
        let user = User {
            name,
            sub: Uuid::new_v4().to_string(),
            email: new.email,
            password: Some(hash),
            groups,
            disabled: false,
            must_change: new.must_change,
            epoch: 0,
            created_at: self.now(),
            password_changed_at: Some(self.now()),
        };
        Ok((user, made))
    }

    async fn check_groups(&self, groups: &[String]) -> Result<(), AdminError> {
        if groups.len() > GROUPS_PER_USER_MAX {
            return Err(AdminError::Invalid(format!(
                "at most {GROUPS_PER_USER_MAX} groups"
            )));
        }
        for name in groups {
            if self.records.get::<Group>(name).await?.is_none() {
                return Err(AdminError::Unknown(format!("group {name}")));
            }
        }
        Ok(())
    }

    /// Changes a user as `change` says.
    pub(super) async fn change_user<R>(
        &self,
        name: &str,
        mut change: impl FnMut(&mut User) -> Result<R, AdminError>,
    ) -> Result<R, AdminError> {
        let unknown = || AdminError::Unknown(format!("user {name}"));
        let id = user_name(name).ok_or_else(unknown)?;
        self.records
            .update(&id, |read: Option<Read<User>>| {
                let mut read = read.ok_or_else(unknown)?;
                let before = read.value.clone();
                let result = change(&mut read.value)?;
                let changes = if read.value == before {
                    Vec::new()
                } else {
                    vec![replace(read.version, &read.value)?]
                };
                Ok((changes, result))
            })
            .await
    }

    /// Adds and removes groups of a user.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] for the user or a group to add, [`AdminError::Invalid`].
    pub async fn change_groups(
        &self,
        name: &str,
        add: &[String],
        remove: &[String],
    ) -> Result<(), AdminError> {
        self.check_groups(add).await?;
        self.change_user(name, |user| {
            merge(&mut user.groups, add, remove);
            if user.groups.len() > GROUPS_PER_USER_MAX {
                return Err(AdminError::Invalid(format!(
                    "at most {GROUPS_PER_USER_MAX} groups"
                )));
            }
            Ok(())
        })
        .await?;
        tracing::info!(user = name, ?add, ?remove, "groups changed");
        Ok(())
    }

    /// Refuses everything of a user from now on, or no longer. Sessions from before a refusal do not
    /// come back.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<(), AdminError> {
        self.change_user(name, |user| {
            user.epoch += u64::from(disabled && !user.disabled);
            user.disabled = disabled;
            Ok(())
        })
        .await?;
        tracing::info!(user = name, disabled, "user changed");
        Ok(())
    }

    /// Removes a user, with all sessions and API keys.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn remove_user(&self, name: &str) -> Result<(), AdminError> {
        let user = self.find(name).await?;
        // First the user: from then on nothing that belongs to them is good any more, whatever of
        // the rest is still there.
        self.records.write(&[remove(Kind::User, &user.name)]).await?;
        loop {
            let keys = self.records.page::<Key>(Some(&user.name), None, 100).await?;
            let sessions = self.records.page::<Session>(Some(&user.name), None, 100).await?;
            if keys.is_empty() && sessions.is_empty() {
                break;
            }
            for key in keys {
                self.records
                    .write(&[
                        remove(Kind::Key, &key.value.id),
                        remove(Kind::KeyUse, &key.value.id),
                    ])
                    .await?;
            }
            for chunk in sessions.chunks(100) {
                let gone = chunk.iter().flat_map(|session| {
                    [
                        remove(Kind::Session, &session.value.id),
                        remove(Kind::Refresh, &session.value.refresh),
                    ]
                });
                self.records.write(&gone.collect::<Vec<_>>()).await?;
            }
        }
        tracing::info!(user = user.name, "user removed");
        Ok(())
    }

    pub(super) async fn find(&self, name: &str) -> Result<User, AdminError> {
        let unknown = || AdminError::Unknown(format!("user {name}"));
        let id = user_name(name).ok_or_else(unknown)?;
        Ok(self.records.get::<User>(&id).await?.ok_or_else(unknown)?.value)
    }

    /// One user.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn user(&self, name: &str) -> Result<UserInfo, AdminError> {
        self.find(name).await.map(UserInfo::from)
    }

    /// Up to 1000 users in the order of their names, those after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users(&self, after: Option<&str>) -> Result<Vec<UserInfo>, AdminError> {
        let page = self.records.page::<User>(None, after, LIST_MAX).await?;
        Ok(page.into_iter().map(|read| UserInfo::from(read.value)).collect())
    }

    /// When an API key was used last, as far as maintenance wrote it down.
    pub(super) async fn last_use(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.records.get::<KeyUse>(key).await?.map(|read| read.value.at))
    }
}

impl From<User> for UserInfo {
    fn from(user: User) -> Self {
        let User {
            name,
            email,
            groups,
            disabled,
            must_change,
            created_at,
            password_changed_at,
            ..
        } = user;
        Self {
            name,
            email,
            groups,
            disabled,
            must_change,
            created_at,
            password_changed_at,
        }
    }
}
