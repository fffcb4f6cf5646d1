//! The adapter against a real Apache Kafka, and against librdkafka's mock cluster for faults.

mod cluster;
mod contract;
mod faults;
mod foreign;
mod holes;
mod readers;
mod records;
mod retention;
mod secured;
mod spread;
mod topics;
