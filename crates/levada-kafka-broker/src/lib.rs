//! A real Apache Kafka for tests and benchmarks: its jars from Maven Central, kept under `target/`,
//! and one KRaft broker in a JVM on loopback.
//!
//! Tests that only need a cluster ask for [`shared`]; a test that stops and starts its broker has a
//! [`Broker`] of its own. Needs Java 17 or later, and Maven for the first run.

mod broker;
mod jars;
mod port;
mod probe;
mod shared;

pub use broker::{Broker, REMOVES_NOTHING};
pub use jars::Jars;
pub use port::free as free_port;
pub use shared::{RAN, REQUIRED, SHARED, found, jars, note, shared};

#[cfg(test)]
mod tests;
