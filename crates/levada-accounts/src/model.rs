//! What the store keeps: users, groups, sessions, refresh tokens, codes, API keys and signing keys,
//! each one JSON document. Secrets are kept as hashes, except the signing keys, which cannot be.
//!
//! Documents are read by later versions of this crate: fields are only added, with a default.

use levada_event::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::{later, stored as time};
use crate::limits::{EXPIRED_KEYS_KEPT, KEY_USES_KEPT};
use crate::scope::Scope;
use crate::secret::{Secret, stored as secret};
use crate::store::Kind;

/// A document of one kind.
pub(crate) trait Document: Serialize + DeserializeOwned + Send + Sync {
    /// Its kind.
    const KIND: Kind;
    /// Its id among those of its kind.
    fn id(&self) -> &str;
    /// Whose it is; empty for nobody's.
    fn owner(&self) -> &str {
        ""
    }
    /// When it may be thrown away.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A person (or a program with a password).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    /// Lower-case name, unique.
    pub(crate) name: String,
    /// Never used again, also when a user of the same name is made later: `sub` in tokens.
    pub(crate) sub: String,
    #[serde(default)]
    pub(crate) email: Option<String>,
    /// Argon2id in PHC form; absent: cannot log in.
    #[serde(default, with = "secret::option")]
    pub(crate) password: Option<Secret>,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    #[serde(default)]
    pub(crate) disabled: bool,
    /// A login asks for a new password before it gives tokens.
    #[serde(default)]
    pub(crate) must_change: bool,
    /// Sessions begun under another number are over.
    #[serde(default)]
    pub(crate) epoch: u64,
    #[serde(with = "time")]
    pub(crate) created_at: Timestamp,
    #[serde(default, with = "time::option")]
    pub(crate) password_changed_at: Option<Timestamp>,
}

impl User {
    /// With another password: its sessions are over.
    pub(crate) fn with_hash(self, hash: Secret, now: Timestamp) -> Self {
        Self {
            password: Some(hash),
            must_change: false,
            epoch: self.epoch + 1,
            password_changed_at: Some(now),
            ..self
        }
    }
}

impl Document for User {
    const KIND: Kind = Kind::User;
    fn id(&self) -> &str {
        &self.name
    }
}

/// A set of rights with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) scopes: Vec<Scope>,
}

impl Document for Group {
    const KIND: Kind = Kind::Group;
    fn id(&self) -> &str {
        &self.name
    }
}

/// From a login until its refresh token ends. Its tokens are good while it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// UUID of version 7, so that the oldest sorts first: `sid` in tokens.
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) sub: String,
    pub(crate) epoch: u64,
    /// Id of its [`Refresh`].
    pub(crate) refresh: String,
    #[serde(with = "time")]
    pub(crate) created_at: Timestamp,
    #[serde(with = "time")]
    pub(crate) expires_at: Timestamp,
}

impl Document for Session {
    const KIND: Kind = Kind::Session;
    fn id(&self) -> &str {
        &self.id
    }
    fn owner(&self) -> &str {
        &self.user
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// What is known of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refresh {
    /// Fingerprint of the token.
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) session: String,
    pub(crate) uses: u32,
    #[serde(with = "time")]
    pub(crate) expires_at: Timestamp,
}

impl Document for Refresh {
    const KIND: Kind = Kind::Refresh;
    fn id(&self) -> &str {
        &self.id
    }
    fn owner(&self) -> &str {
        &self.user
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// What a code or challenge is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// Setting a new password without the old one.
    Reset,
    /// Setting the new password that a login asked for.
    NewPassword,
}

/// A code or challenge that can be used once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    /// Fingerprint of purpose, user and code.
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) sub: String,
    pub(crate) epoch: u64,
    pub(crate) purpose: Purpose,
    #[serde(with = "time")]
    pub(crate) expires_at: Timestamp,
}

impl Document for Code {
    const KIND: Kind = Kind::Code;
    fn id(&self) -> &str {
        &self.id
    }
    fn owner(&self) -> &str {
        &self.user
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// What is known of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The part of the key that may be shown.
    pub(crate) id: String,
    pub(crate) name: String,
    /// The user whose rights bound the key's; absent for a machine of its own.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The user's `sub` when the key was made: a later user of that name does not inherit it.
    #[serde(default)]
    pub(crate) sub: Option<String>,
    pub(crate) scopes: Vec<Scope>,
    /// Fingerprint of the whole key.
    pub(crate) hash: String,
    #[serde(with = "time")]
    pub(crate) created_at: Timestamp,
    #[serde(default, with = "time::option")]
    pub(crate) expires_at: Option<Timestamp>,
    /// The key that took its place.
    #[serde(default)]
    pub(crate) replaced_by: Option<String>,
}

impl Document for Key {
    const KIND: Kind = Kind::Key;
    fn id(&self) -> &str {
        &self.id
    }
    fn owner(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.map(|at| later(at, EXPIRED_KEYS_KEPT))
    }
}

/// When an API key was used last; apart from the key, so that use does not count as a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyUse {
    pub(crate) key: String,
    #[serde(with = "time")]
    pub(crate) at: Timestamp,
}

impl Document for KeyUse {
    const KIND: Kind = Kind::KeyUse;
    fn id(&self) -> &str {
        &self.key
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(later(self.at, KEY_USES_KEPT))
    }
}

/// All signing keys: one document, so that a rotation is one change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keyring {
    pub(crate) keys: Vec<SigningKeyRecord>,
}

impl Keyring {
    /// Id of the one document.
    pub(crate) const ID: &'static str = "signing";
}

impl Document for Keyring {
    const KIND: Kind = Kind::Keyring;
    fn id(&self) -> &str {
        Self::ID
    }
}

/// One signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SigningKeyRecord {
    pub(crate) kid: String,
    /// PKCS #8 in base 64.
    #[serde(with = "secret")]
    pub(crate) private: Secret,
    #[serde(with = "time")]
    pub(crate) created_at: Timestamp,
    #[serde(with = "time")]
    pub(crate) signs_from: Timestamp,
    /// Set when another took its place: its last tokens have ended by then.
    #[serde(default, with = "time::option")]
    pub(crate) verifies_until: Option<Timestamp>,
}

/// That something was done once and for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) name: String,
    #[serde(with = "time")]
    pub(crate) at: Timestamp,
}

impl Mark {
    /// The groups that a new store has were made. They are not made again when someone removed one.
    pub(crate) const GROUPS: &'static str = "default-groups";
}

impl Document for Mark {
    const KIND: Kind = Kind::Mark;
    fn id(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_keep_their_password_and_do_not_print_it() {
        let user = User {
            name: "ann".into(),
            sub: "s".into(),
            email: None,
            password: Some(Secret::new("$argon2id$…")),
            groups: vec!["group_3".into()],
            disabled: false,
            must_change: false,
            epoch: 3,
            created_at: Timestamp::from_millis(5),
            password_changed_at: None,
        };
        let json = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<User>(&json).unwrap(), user);
        assert!(json.contains("$argon2id") && !format!("{user:?}").contains("argon2id"));
    }

    #[test]
    fn documents_of_older_versions_are_read() {
        let user: User = serde_json::from_str(r#"{"name":"ann","sub":"s","created_at":1}"#).unwrap();
        assert!(user.password.is_none() && user.groups.is_empty() && !user.disabled);
        let key: Key =
            serde_json::from_str(r#"{"id":"i","name":"n","scopes":["admin"],"hash":"h","created_at":1}"#)
                .unwrap();
        assert_eq!((key.user, key.expires_at), (None, None));
    }
}
