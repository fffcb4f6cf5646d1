//! The adapter against a real Apache Kafka, and against librdkafka's mock cluster for faults.

mod cluster;
mod contract;
