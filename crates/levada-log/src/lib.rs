//! The log: partitioned, durable, append-only. [`Log`] is the contract; everything above it (fan-out,
//! history, filters, pacing) is written once against this trait.
//!
//! [`Embedded`](embedded::Embedded) is the engine that runs inside the process, [`Memory`](memory::Memory)
//! the model for tests; `suite` (feature `suite`) is the contract as tests that every backend has to pass.

pub mod clock;
mod contract;
pub mod memory;
mod partitioner;
#[cfg(any(test, feature = "suite"))]
#[macro_use]
pub mod suite;

pub mod embedded;

pub use contract::{Durability, Log, LogError, LogFacts, OnRead, ReadLimit, Retention, TopicInfo, TopicSpec};
pub use partitioner::{Partitioner, partition_of};
