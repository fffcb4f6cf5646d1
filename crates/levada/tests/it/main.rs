//! Tests of the built binary from outside, over real sockets: scenarios as data, real data, kills.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod arrival;
#[cfg(test)]
mod articles;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod client;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod curl;
#[cfg(test)]
mod deadline;
#[cfg(test)]
mod dedupe;
mod descriptors;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod export;
#[cfg(test)]
mod feeds;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod kafka;
#[cfg(test)]
mod kafka_chaos;
#[cfg(test)]
mod kafka_foreign;
mod kafka_hasty;
mod kafka_leaders;
#[cfg(test)]
mod kafka_streams;
mod kafka_unled;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod log;
#[cfg(test)]
#[path = "../../../levada-accounts/tests/it/postgres.rs"]
mod postgres;
#[cfg(test)]
mod quickstart;
#[cfg(test)]
mod real_data;
#[cfg(test)]
mod realtime_accounts;
#[cfg(test)]
mod realtime_coding;
#[cfg(test)]
mod realtime_expired;
#[cfg(test)]
mod realtime_hostile;
#[cfg(test)]
mod realtime_http;
mod realtime_idle;
#[cfg(test)]
mod realtime_lines;
#[cfg(test)]
mod realtime_produce;
#[cfg(test)]
mod realtime_redeclared;
#[cfg(test)]
mod realtime_resume;
#[cfg(test)]
mod realtime_runtime;
#[cfg(test)]
mod realtime_sdk_go;
#[cfg(test)]
mod realtime_sdk_python;
#[cfg(test)]
mod realtime_slow;
#[cfg(test)]
mod realtime_soak;
#[cfg(test)]
mod realtime_tail;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod server;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod tail_pipe;
mod unreadable;
#[cfg(test)]
mod web;
