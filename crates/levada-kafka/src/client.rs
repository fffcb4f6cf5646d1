//! librdkafka clients: their settings by what they are for, and what they call back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::produce::Ticket;
use crate::settings::canonical;
use crate::{KafkaError, Settings};

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Asks for metadata, bounds and times.
    Probe,
    /// Creates topics.
    Admin,
    /// Fetches the ends of partitions.
    Live,
    /// Fetches the past.
    Past,
    /// Produces what was promised to be stored.
    Guaranteed,
    /// Produces what nobody waits for.
    Hasty,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Probe => "probe",
            Role::Admin => "admin",
            Role::Live => "live",
            Role::Past => "past",
            Role::Guaranteed => "guaranteed",
            Role::Hasty => "hasty",
        }
    }

    fn consumes(self) -> bool {
        matches!(self, Role::Live | Role::Past)
    }
}

/// Room in a batch beside one largest record: batch and record headers, our own header.
pub(crate) const BATCH_OVERHEAD: usize = 4096;

/// Records that librdkafka fetches ahead per assigned partition, in KiB. Looked at before a fetch, so a
/// reader in the past costs this much and what one response holds: as many bytes again as they travel,
/// more when they are unpacked, and a batch that is larger is sent whole.
const FETCH_AHEAD_KIB: usize = 1024;

/// Settings of a client: ours that may be overridden, then the user's, then those that the contract
/// depends on. Under one name each, because librdkafka is told in no order: of two names the last told
/// would win.
fn config(settings: &Settings, role: Role) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Below the grace after which readers are told, so that a broker that hangs is noticed in time.
    config.set("socket.timeout.ms", "10000");
    config.set("socket.keepalive.enable", "true");
    config.set("socket.nagle.disable", "true");
    config.set("reconnect.backoff.max.ms", "2000");
    config.set("topic.metadata.refresh.interval.ms", "60000");
    config.set("log.connection.close", "false");
    // OpenSSL is linked statically and knows no certificates of the system by itself.
    config.set("ssl.ca.location", "probe");
    match role {
        Role::Probe | Role::Admin => {}
        Role::Live => {
            // Also how long a partition that is added to the live ones may wait for its first fetch.
            config.set("fetch.wait.max.ms", "100");
        }
        Role::Past => {
            // Readers here are not at the end; a fetch that waits there keeps others from starting.
            config.set("fetch.wait.max.ms", "20");
        }
        Role::Guaranteed => {
            config.set(canonical("linger.ms"), "1");
            config.set("compression.codec", "snappy");
        }
        Role::Hasty => {
            config.set(canonical("linger.ms"), "50");
            config.set("compression.codec", "snappy");
        }
    }
    if role.consumes() {
        config.set("fetch.error.backoff.ms", "100");
        // How soon a partition is fetched again whose queue was full: the default is a second, in which a
        // reader has long emptied it.
        config.set("fetch.queue.backoff.ms", "5");
        config.set(
            canonical("max.partition.fetch.bytes"),
            (FETCH_AHEAD_KIB * 1024).to_string(),
        );
        config.set("queued.max.messages.kbytes", FETCH_AHEAD_KIB.to_string());
    }
    for (key, value) in &settings.properties {
        config.set(canonical(key), value);
    }
    config.set("bootstrap.servers", &settings.bootstrap_servers);
    config.set("client.id", format!("{}-{}", settings.client_id, role.name()));
    config.set("allow.auto.create.topics", "false");
    if role.consumes() {
        // A group is named because librdkafka wants one; it is never joined and nothing is committed.
        config.set("group.id", format!("{}-{}", settings.client_id, role.name()));
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "error");
        config.set("enable.partition.eof", "true");
        config.set("statistics.interval.ms", STATISTICS_EVERY.as_millis().to_string());
    }
    if matches!(role, Role::Guaranteed | Role::Hasty) {
        let timeout = settings.delivery_timeout.as_millis().max(1).to_string();
        config.set("message.timeout.ms", timeout);
        config.set(
            "message.max.bytes",
            (settings.record_bytes_max + BATCH_OVERHEAD).to_string(),
        );
        // Our own bound of bytes stands before librdkafka's queue.
        config.set("queue.buffering.max.messages", "0");
        config.set("queue.buffering.max.kbytes", "2147483647");
        if role == Role::Guaranteed {
            config.set("enable.idempotence", "true");
            config.set("acks", "all");
        } else {
            config.set("enable.idempotence", "false");
            config.set("acks", "1");
        }
    }
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// How often librdkafka tells how the fetching clients are.
pub(crate) const STATISTICS_EVERY: Duration = Duration::from_secs(1);

/// Makes a client of type `T`.
pub(crate) fn create<T: FromClientConfigAndContext<Context>>(
    settings: &Settings,
    role: Role,
    context: Context,
) -> Result<T, KafkaError> {
    let config = config(settings, role);
    config.create_with_context(context).map_err(|error| match error {
        Native::ClientConfig(_, description, key, _) => KafkaError::Setting {
            key,
            reason: description,
        },
        other => KafkaError::Setting {
            key: "properties".into(),
            reason: other.to_string(),
        },
    })
}

/// Errors by kind, counted, and the last one's words.
#[derive(Debug, Default)]
pub(crate) struct ErrorCounts {
    counts: Mutex<BTreeMap<String, u64>>,
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl ErrorCounts {
    pub(crate) fn count(&self, code: RDKafkaErrorCode) {
        *self.counts.lock().entry(format!("{code:?}")).or_default() += 1;
    }

    /// What librdkafka last said was wrong. Its errors of a refused login or certificate say so only
    /// here; a question that it cannot ask merely times out.
    pub(crate) fn last(&self) -> Option<String> {
        self.last.lock().as_ref().map(|(_, text)| text.clone())
    }

    /// Whether the brokers refuse this client, or it them: then trying again does not help.
    pub(crate) fn is_refused(&self) -> bool {
        let last = self.last.lock();
        matches!(
            *last,
            Some((RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL, _))
        )
    }

    pub(crate) fn all(&self) -> Vec<(String, u64)> {
        let counts = self.counts.lock();
        counts
            .iter()
            .map(|(kind, count)| (kind.clone(), *count))
            .collect()
    }
}

/// Takes the statistics of a client as librdkafka writes them: JSON.
pub(crate) type OnStatistics = Box<dyn Fn(&[u8]) + Send + Sync>;

/// What a client calls back.
pub(crate) struct Context {
    role: Role,
    errors: Arc<ErrorCounts>,
    on_statistics: Option<OnStatistics>,
}

impl Context {
    pub(crate) fn new(role: Role, errors: Arc<ErrorCounts>) -> Self {
        Self {
            role,
            errors,
            on_statistics: None,
        }
    }

    pub(crate) fn with_statistics(self, on_statistics: OnStatistics) -> Self {
        Self {
            on_statistics: Some(on_statistics),
            ..self
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.role.name();
        // Producer settings handed to a consumer and the like: expected with one table for all.
        if facility == "CONFWARN" {
            tracing::debug!(client, facility, message, "kafka");
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(client, facility, message, "kafka"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(client, facility, message, "kafka");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(client, facility, message, "kafka"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(on_statistics) = &self.on_statistics {
            on_statistics(statistics);
        }
    }

    fn error(&self, error: Native, reason: &str) {
        let client = self.role.name();
        match error.rdkafka_error_code() {
            // No error: the end of a partition is reported this way.
            Some(RDKafkaErrorCode::PartitionEOF) => return,
            // Says less than the errors of the brokers before it.
            Some(RDKafkaErrorCode::AllBrokersDown) => self.errors.count(RDKafkaErrorCode::AllBrokersDown),
            Some(code) => {
                self.errors.count(code);
                *self.errors.last.lock() = Some((code, reason.to_owned()));
            }
            None => {}
        }
        tracing::warn!(client, %error, reason, "kafka reports an error");
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Arc<Ticket>) {
        if let Err((error, _)) = result
            && let Some(code) = error.rdkafka_error_code()
        {
            self.errors.count(code);
        }
        ticket.settle(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that a client of `role` takes, asked of librdkafka, which knows all names.
    fn taken(properties: &[(&str, &str)], role: Role, name: &str) -> String {
        let mut settings = Settings::new("localhost:9092");
        for (key, value) in properties {
            settings.properties.insert((*key).into(), (*value).into());
        }
        let native = config(&settings, role).create_native_config().expect("valid");
        native.get(name).expect("known")
    }

    #[test]
    fn what_is_configured_wins_under_every_name() {
        // The order in which librdkafka is told changes from one map to the next.
        for _ in 0..20 {
            for name in ["linger.ms", "queue.buffering.max.ms"] {
                for role in [Role::Guaranteed, Role::Hasty] {
                    assert_eq!(taken(&[(name, "7")], role, "queue.buffering.max.ms"), "7");
                }
            }
            for name in ["compression.type", "compression.codec"] {
                let value = taken(&[(name, "gzip")], Role::Guaranteed, "compression.codec");
                assert_eq!(value, "gzip", "{name}");
            }
            for name in ["max.partition.fetch.bytes", "fetch.message.max.bytes"] {
                let value = taken(&[(name, "4096")], Role::Past, "fetch.message.max.bytes");
                assert_eq!(value, "4096", "{name}");
            }
        }
        assert_eq!(taken(&[], Role::Hasty, "queue.buffering.max.ms"), "50");
        assert_eq!(taken(&[], Role::Hasty, "compression.codec"), "snappy");
    }
}
