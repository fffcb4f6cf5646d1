//! The log contract over Apache Kafka: one adapter, [`KafkaLog`], on librdkafka. No Kafka type
//! leaves this crate.
//!
//! It trusts the cluster for durability (`acks=all` and the topic's `min.insync.replicas`) and order
//! within a partition; it promises what [`Log`](levada_log::Log) promises, with the differences that
//! `docs/reference/guarantees.md` names.

mod admin;
mod bounds;
mod chunk;
mod client;
mod cluster;
mod error;
mod fetch;
mod header;
mod live;
mod log;
mod past;
mod probe;
mod produce;
mod read;
mod recent;
mod settings;
mod statistics;
mod stats;

pub use admin::{Admin, Creation, Deviation, TopicReport, TopicState};
pub use error::KafkaError;
pub use log::KafkaLog;
pub use settings::{Settings, TopicSettings};
pub use stats::{DELIVERY_BUCKETS_MICROS, PartitionLag, Stats};
