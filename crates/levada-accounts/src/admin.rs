//! What an administrator does: users, groups, API keys, signing keys. `levada user` works through
//! this, on the store itself, with no server in between.
//!
//! Changes take hold in running processes at once (same process) or within the freshness bound
//! (PostgreSQL). Names are logged, secrets never.

use std::sync::Arc;

use levada_event::Timestamp;

use crate::clock::Clock;
use crate::password::{PasswordCost, PasswordError, Passwords};
use crate::records::Records;
use crate::scope::Scope;
use crate::secret::{NoRandomness, Secret};
use crate::store::{Store, StoreError};
use crate::token::keyset::{KeyError, KeyMaker, NewKey};

pub(crate) mod groups;
pub(crate) mod keys;
mod sessions;
mod signing;
mod users;

pub use self::groups::GroupInfo;
pub use self::keys::{KeyInfo, NewApiKey};
pub use self::sessions::SessionInfo;
pub use self::signing::{Rotation, SigningKeyInfo};
pub use self::users::{Ensured, NewUser, UserInfo};

/// Why an administrator's wish is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// A user, group or key of that name is there already.
    #[error("{0} exists already")]
    Exists(String),
    /// No user, group, key or session of that name.
    #[error("{0} does not exist")]
    Unknown(String),
    /// The wish makes no sense; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// The store's trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No secret can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A hash or a signing key cannot be made.
    #[error("{0}")]
    Failed(String),
}

impl From<PasswordError> for AdminError {
    fn from(error: PasswordError) -> Self {
        AdminError::Failed(error.to_string())
    }
}

impl From<KeyError> for AdminError {
    fn from(error: KeyError) -> Self {
        AdminError::Failed(error.to_string())
    }
}

/// The functions of an administrator over one store.
#[derive(Clone)]
pub struct Admin {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
    pub(crate) passwords: Passwords,
    pub(crate) make_key: KeyMaker,
}

impl Admin {
    /// Over `store`, hashing passwords at `cost`.
    pub fn new(store: Arc<dyn Store>, clock: Clock, cost: PasswordCost) -> Self {
        Self {
            records: Records(store),
            clock,
            passwords: Passwords::new(cost),
            make_key: Arc::new(NewKey::make),
        }
    }

    pub(crate) fn with_key_maker(mut self, make_key: KeyMaker) -> Self {
        self.make_key = make_key;
        self
    }

    /// Makes the groups of a new store if nobody did yet. [`Accounts::open`](crate::Accounts::open)
    /// does so; a tool that works on a store that no server has opened calls this first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prepare(&self) -> Result<(), StoreError> {
        groups::seed(&self.records, self.now()).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admin({:?})", self.records.0.facts())
    }
}

/// A secret that is shown once, now.
pub type ShownOnce = Secret;

/// Whether these scopes may be given to someone.
pub(crate) fn check_scopes(scopes: &[Scope]) -> Result<(), AdminError> {
    if scopes.len() > crate::limits::SCOPES_MAX {
        return Err(AdminError::Invalid(format!(
            "at most {} scopes",
            crate::limits::SCOPES_MAX
        )));
    }
    Ok(())
}

/// Adds what is new and removes what is to go, in order and without doubles.
pub(crate) fn merge<T: Clone + PartialEq>(of: &mut Vec<T>, add: &[T], remove: &[T]) {
    for item in add {
        if !of.contains(item) {
            of.push(item.clone());
        }
    }
    of.retain(|item| !remove.contains(item));
}
