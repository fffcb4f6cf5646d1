//! Wikifeeds: the Explore feeds of the Wikipedia apps, from MediaWiki.
//!
//! Two halves. The pure one reads pages that are not ours: [`model`] (shapes), [`lang`] (rules by language, as data
//! files), [`parse`] (HTML and JSON in, values and notes out), [`date`], [`note`]. The service around it asks wikis
//! through one port ([`upstream`]), keeps what it got and what it made, composes answers after the contracts of the
//! original, of RESTBase and of the gateway, and hands them out through [`Feeds::handle`]. There is no HTTP server in
//! here and no other crate of this workspace: whoever has a listener mounts [`Feeds`].
//!
//! Promises: each distinct upstream page is asked for once however many want it; an outage serves the last good answer
//! marked stale; nothing empty is served as healthy; no input makes it panic; every queue and cache is bounded.

pub mod check;
pub mod clock;
pub mod config;
pub mod date;
pub mod lang;
pub mod metrics;
pub mod model;
pub mod note;
pub mod parse;
mod service;
pub mod upstream;

mod cache;
mod feed;
mod flight;
mod http;
mod render;
mod wiki;
mod work;

pub use cache::StoreError;
pub use check::{CheckPart, CheckReport, CheckStatus};
pub use clock::{Clock, StillClock, SystemClock};
pub use config::{ConfigError, FeedsConfig};
pub use service::{Feeds, FeedsError};
