//! The catalog against the real configuration and the real schemas, and against its contract.
//!
//! The reference data is no part of the repository: it is found through `LEVADA_SHARED`, or beside
//! the workspace. Without it those tests say how many cases they skipped.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails where it panics, and the helpers are part of tests"
)]

mod agreement;
mod corpus;
mod demo;
mod hostile;
mod oracle;
mod shared;
mod streamconfigs;
