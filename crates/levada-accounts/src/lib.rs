//! Accounts of Levada: users, groups, tokens, API keys, and who may do what.
//!
//! Three entry points, over one [`Store`]:
//!
//! * [`Accounts::handle`] answers the account routes of the contract (realtime §3.1) — login, refresh,
//!   revocation, passwords — without an HTTP server: the server hands in bytes and sends bytes.
//! * [`Accounts::authenticate`] turns credentials into a [`Principal`], which says what it
//!   [`may`](Principal::may) do. Nothing outside the process is asked except the store.
//! * [`Admin`] makes and changes users, groups and keys; `levada user` is a thin shell around it.
//!
//! Trusted: the store, the clock, and the address that the server gives for a peer. Not trusted:
//! every byte of a request, and what a token says about who signed it. Secrets are kept as hashes
//! (passwords with argon2id, the rest as SHA-256 of 256 random bits), except the signing keys.

pub mod limits;

mod accounts;
mod addresses;
mod admin;
mod cache;
mod clock;
mod error;
mod guard;
mod model;
mod name;
mod notify;
mod password;
mod principal;
mod records;
mod response;
mod routes;
mod scope;
mod secret;
pub mod store;
mod token;

pub use accounts::counters::Stats;
pub use accounts::{Accounts, Maintained, Settings, Watch, open_store};
pub use addresses::{AddressError, AddressList, AddressRange};
pub use admin::{
    Admin, AdminError, Ensured, GroupInfo, KeyInfo, NewApiKey, NewUser, Rotation, SessionInfo, ShownOnce,
    SigningKeyInfo, UserInfo,
};
pub use clock::{Clock, ManualClock};
pub use error::{AccountsError, AuthError};
pub use notify::{Notice, Notifier, NotifyError, Outbox};
pub use password::PasswordCost;
pub use principal::{Credentials, Principal, Via};
pub use response::Response;
pub use routes::{ROUTES, Request};
pub use scope::{Action, Scope, ScopeError};
pub use secret::{NoRandomness, Secret, random_password};
pub use store::embedded::EmbeddedStore;
pub use store::postgres::PostgresStore;
pub use store::{Store, StoreError, StoreFacts};
