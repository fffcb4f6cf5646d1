//! The log: partitioned, durable, append-only. [`Log`] is the contract; everything above it (fan-out,
//! history, filters, pacing) is written once against this trait.
//!
//! [`Memory`](memory::Memory) is the model for tests.

pub mod clock;
mod contract;
pub mod memory;
mod partitioner;
#[cfg(any(test, feature = "suite"))]
#[macro_use]
pub mod suite;

pub use contract::{Durability, Log, LogError, LogFacts, ReadLimit, Retention, TopicInfo, TopicSpec};
pub use partitioner::{Partitioner, partition_of};
