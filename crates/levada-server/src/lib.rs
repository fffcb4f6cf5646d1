//! The Levada service as a library: configuration, intake, delivery, HTTP and the boot that joins them.
//!
//! `intake` and `delivery` know neither HTTP nor each other; `http` calls both; only `boot` builds things.

mod auth;
pub mod boot;
mod canary;
pub mod config;
pub mod delivery;
mod descriptors;
pub mod feeds;
pub mod http;
pub mod intake;
pub mod kafka;
mod metrics;
pub mod outbound;
mod retention;
pub mod shutdown;
pub mod sources;
pub mod topics;

pub use auth::{DEMO_PASSWORD, DEMO_USER};
pub use boot::{BootError, Running, StartOptions, start};
