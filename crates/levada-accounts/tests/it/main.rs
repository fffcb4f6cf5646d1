//! Accounts from outside: the store suite on every store, the cases of the contract, attacks,
//! administration, and several processes over one database.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

mod admin;
mod attacks;
mod authenticate;
mod fixture;
mod passwords;
mod postgres;
mod routes;
mod shared;
mod store;
