//! The log: partitioned, durable, append-only. [`Log`] is the contract; everything above it (fan-out,
//! history, filters, pacing) is written once against this trait.
//!
//! [`Embedded`](embedded::Embedded) is the engine that runs inside the process, [`Memory`](memory::Memory)
//! the model for tests, and [`suite`] the contract as tests that every backend has to pass.

mod contract;

pub use contract::{Durability, Log, LogError, LogFacts, ReadLimit, Retention, TopicInfo, TopicSpec};
