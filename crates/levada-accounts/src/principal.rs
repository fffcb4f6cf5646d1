//! Who asks, and what they may do.

use std::net::IpAddr;
use std::sync::Arc;

use levada_event::Timestamp;

use crate::error::AuthError;
use crate::scope::{Action, Scope};

/// How the asker is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// An access token of a user's session.
    Token,
    /// An API key.
    Key,
    /// An address of the allow list.
    Address,
}

/// Someone who was recognised. What they may do was read when they were recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub(crate) via: Via,
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) sub: String,
    pub(crate) groups: Vec<String>,
    pub(crate) scopes: Vec<Arc<[Scope]>>,
    pub(crate) ceiling: Option<Vec<Arc<[Scope]>>>,
    pub(crate) session: Option<String>,
    pub(crate) epoch: u64,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Principal {
    /// How the asker is known.
    pub fn via(&self) -> Via {
        self.via
    }

    /// Whose quotas and connections count: `user:<name>`, or `key:<name>` for the key of a machine.
    /// The same for all sessions of a user and all keys that replaced one another.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Name of the user or key, for people to read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups of the user; empty for a machine's key.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The session that the token belongs to.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// When the token or key ends; an open stream may outlive it (contract realtime §1.10).
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// All scopes, in the order in which groups give them.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter().flat_map(|scopes| scopes.iter())
    }

    /// Whether this one may do `action` through `method` and `path` (as routed, decoded), on
    /// `stream` when the request is about one (contract realtime §1.11).
    pub fn may(&self, method: &str, path: &str, stream: Option<&str>, action: Action) -> bool {
        let allowed = |scopes: &[Arc<[Scope]>]| {
            scopes
                .iter()
                .flat_map(|some| some.iter())
                .any(|scope| scope.allows(method, path, stream, action))
        };
        allowed(&self.scopes) && self.ceiling.as_deref().is_none_or(allowed)
    }

    /// [`may`](Self::may) as a `Result`.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`].
    pub fn require(
        &self,
        method: &str,
        path: &str,
        stream: Option<&str>,
        action: Action,
    ) -> Result<(), AuthError> {
        if self.may(method, path, stream, action) {
            Ok(())
        } else {
            Err(AuthError::Forbidden)
        }
    }
}

/// What a request shows of its sender. Header values as they came; an address that a trusted proxy
/// vouches for, or the peer's.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `X-Api-Key`.
    pub api_key: Option<&'a [u8]>,
    /// Address of the sender.
    pub peer: Option<IpAddr>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: Option<&[u8]>| value.map(|_| "***");
        f.debug_struct("Credentials")
            .field("authorization", &shown(self.authorization))
            .field("api_key", &shown(self.api_key))
            .field("peer", &self.peer)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(scopes: &[&str], ceiling: Option<&[&str]>) -> Principal {
        let list = |texts: &[&str]| vec![texts.iter().map(|text| text.parse().unwrap()).collect()];
        Principal {
            via: Via::Key,
            account: "key:k".into(),
            name: "k".into(),
            sub: String::new(),
            groups: vec![],
            scopes: list(scopes),
            ceiling: ceiling.map(list),
            session: None,
            epoch: 0,
            expires_at: None,
        }
    }

    #[test]
    fn scopes_add_up() {
        let both = principal(&["stream:a:read", "route:GET:/v2/x"], None);
        assert!(both.may("GET", "/v2/streams/a", Some("a"), Action::Read));
        assert!(both.may("GET", "/v2/x", Some("b"), Action::Read));
        assert!(!both.may("GET", "/v2/streams/b", Some("b"), Action::Read));
        assert_eq!(
            both.require("GET", "/v2/y", Some("b"), Action::Read),
            Err(AuthError::Forbidden)
        );
        assert!(!principal(&[], None).may("GET", "/v2/articles", None, Action::Read));
    }

    #[test]
    fn a_users_key_can_do_no_more_than_the_user() {
        let key = principal(&["admin"], Some(&["stream:a:read"]));
        assert!(key.may("GET", "/any", Some("a"), Action::Read));
        assert!(!key.may("GET", "/any", Some("b"), Action::Read));
        assert!(!key.may("GET", "/any", None, Action::Admin));
    }

    #[test]
    fn credentials_are_not_printed() {
        let shown = Credentials {
            authorization: Some(b"Bearer hunter2"),
            api_key: Some(b"hunter3"),
            peer: None,
        };
        assert!(!format!("{shown:?}").contains("hunter"));
    }
}
