//! The port to where accounts are kept: documents with versions, and nothing about what they mean.
//!
//! A store has records named by kind and id. A write is a list of changes, all or none, each bound
//! to what its writer believed to be there; when another writer was faster the answer is
//! [`StoreError::Conflict`] and nothing happened. All rules of accounts are built on that, once, so
//! that every store behaves alike; `tests/it/store.rs` holds each adapter to the same suite.
//!
//! Every write that can make a remembered answer wrong raises the store's *generation*
//! ([`Change::matters_to_caches`]). Who remembers what it read keeps the generation from before the
//! read beside it, and reads again when the number has moved.

use std::fmt;

use async_trait::async_trait;
use levada_event::Timestamp;

pub mod embedded;
pub mod postgres;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A user, by name.
    User,
    /// A group, by name.
    Group,
    /// A session, by id.
    Session,
    /// A refresh token, by fingerprint.
    Refresh,
    /// A one-time code, by fingerprint.
    Code,
    /// An API key, by id.
    Key,
    /// The last use of an API key, by the key's id.
    KeyUse,
    /// The signing keys.
    Keyring,
    /// Something done once.
    Mark,
}

impl Kind {
    /// The kind's name in the store. Names are stored and never change.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Session => "session",
            Kind::Refresh => "refresh",
            Kind::Code => "code",
            Kind::Key => "key",
            Kind::KeyUse => "key_use",
            Kind::Keyring => "keyring",
            Kind::Mark => "mark",
        }
    }
}

/// A stored document.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Id among the records of its kind.
    pub id: String,
    /// Differs after every change, also when a record was deleted and made again.
    pub version: u64,
    /// Name of the user whose it is; empty for nobody's.
    pub owner: String,
    /// From when on [`Store::purge`] may remove it.
    pub expires_at: Option<Timestamp>,
    /// The document as JSON. It may hold secrets: never print it.
    pub json: String,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id, version, owner, ..
        } = self;
        write!(f, "Record({id:?} of {owner:?}, version {version}, ***)")
    }
}

/// What a change must find for it to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there, also nothing.
    Any,
    /// Nothing.
    Absent,
    /// A record of this version.
    Version(u64),
}

/// The contents that a change gives a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// See [`Record::owner`].
    pub owner: String,
    /// See [`Record::expires_at`].
    pub expires_at: Option<Timestamp>,
    /// See [`Record::json`]; at most [`RECORD_BYTES_MAX`](crate::limits::RECORD_BYTES_MAX) bytes.
    pub json: String,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content(of {:?}, ***)", self.owner)
    }
}

/// One change of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Kind of the record.
    pub kind: Kind,
    /// Id of the record.
    pub id: String,
    /// What must be there.
    pub expect: Expect,
    /// What is there afterwards; `None` removes the record.
    pub to: Option<Content>,
}

impl Change {
    /// Whether an answer that someone remembers may be wrong after this change. The birth of a
    /// session or key cannot make one wrong (no answer about it was remembered), and refresh
    /// tokens, codes, marks and last uses are never answered from memory.
    pub fn matters_to_caches(&self) -> bool {
        match self.kind {
            Kind::User | Kind::Group | Kind::Keyring => true,
            Kind::Session | Kind::Key => !(self.expect == Expect::Absent && self.to.is_some()),
            Kind::Refresh | Kind::Code | Kind::KeyUse | Kind::Mark => false,
        }
    }
}

/// What kind of store it is: for people to read, and the one property that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFacts {
    /// `embedded`, `memory` or `postgres`.
    pub backend: &'static str,
    /// Whether other processes may write to it too. If not, [`Store::generation`] is exact.
    pub shared: bool,
}

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another writer was faster; nothing happened. Read again and decide again.
    #[error("another change came first")]
    Conflict,
    /// Another process holds the store; nothing happened.
    #[error("{0}")]
    Busy(String),
    /// The store does not answer. A write may or may not have happened.
    #[error("the account store does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be understood, or was written by a newer version.
    #[error("the account store cannot be read: {0}")]
    Damaged(String),
    /// The write is larger than a store takes; nothing happened.
    #[error("too much for one write to the account store")]
    TooLarge,
}

/// Where accounts are kept.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What kind of store this is.
    fn facts(&self) -> StoreFacts;

    /// The record of this kind and id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Damaged`].
    async fn get(&self, kind: Kind, id: &str) -> Result<Option<Record>, StoreError>;

    /// Up to `limit` (at most [`LIST_MAX`](crate::limits::LIST_MAX)) records of a kind in the order
    /// of their ids' bytes, of one owner if given, with ids greater than `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Damaged`].
    async fn list(
        &self,
        kind: Kind,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError>;

    /// How many records of a kind an owner has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Damaged`].
    async fn count(&self, kind: Kind, owner: &str) -> Result<usize, StoreError>;

    /// Makes all changes (at most [`CHANGES_MAX`](crate::limits::CHANGES_MAX), of different records)
    /// or none. After `Ok` they survive the loss of power.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::TooLarge`] when nothing happened,
    /// [`StoreError::Unavailable`] when it is not known, [`StoreError::Damaged`].
    async fn write(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// Removes up to `limit` records that expired at or before `now`, and says how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Damaged`].
    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// The generation as far as this process knows, without waiting. Writes through this value show
    /// at once; those of other processes after [`look_again`](Store::look_again).
    fn generation(&self) -> u64;

    /// Asks the storage for the generation, so that [`generation`](Store::generation) knows it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn look_again(&self) -> Result<(), StoreError>;
}

/// What every adapter checks before a write.
pub(crate) fn check_changes(changes: &[Change]) -> Result<(), StoreError> {
    let too_long = |change: &Change| {
        change
            .to
            .as_ref()
            .is_some_and(|to| to.json.len() > crate::limits::RECORD_BYTES_MAX)
    };
    if changes.len() > crate::limits::CHANGES_MAX || changes.iter().any(too_long) {
        return Err(StoreError::TooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_birth_of_a_session_leaves_caches_alone() {
        let content = Content {
            owner: String::new(),
            expires_at: None,
            json: "{}".into(),
        };
        let change = |kind, expect, to| Change {
            kind,
            id: "x".into(),
            expect,
            to,
        };
        assert!(!change(Kind::Session, Expect::Absent, Some(content.clone())).matters_to_caches());
        assert!(change(Kind::Session, Expect::Any, None).matters_to_caches());
        assert!(change(Kind::Session, Expect::Any, Some(content.clone())).matters_to_caches());
        assert!(change(Kind::User, Expect::Absent, Some(content.clone())).matters_to_caches());
        assert!(!change(Kind::Refresh, Expect::Any, None).matters_to_caches());
    }

    #[test]
    fn records_do_not_print_their_contents() {
        let record = Record {
            id: "i".into(),
            version: 1,
            owner: "o".into(),
            expires_at: None,
            json: "hunter2".into(),
        };
        assert!(!format!("{record:?}").contains("hunter2"));
    }
}
