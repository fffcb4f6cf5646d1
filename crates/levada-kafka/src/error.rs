//! Why a cluster cannot be used.

/// What went wrong when opening or administering a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// A setting that librdkafka refuses, or that the log contract does not allow.
    #[error("[kafka] {key}: {reason}")]
    Setting {
        /// The property or key.
        key: String,
        /// Why it is refused, and what to do.
        reason: String,
    },
    /// The cluster did not answer in time.
    #[error("no answer from Kafka at {servers} (waiting up to {seconds} s): {reason}")]
    Unreachable {
        /// The bootstrap servers that were tried.
        servers: String,
        /// How long.
        seconds: u64,
        /// What was last heard.
        reason: String,
    },
    /// The cluster refused.
    #[error("Kafka refused to {what}: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The cluster's answer.
        reason: String,
    },
}
