//! How to reach a cluster and what to ask of it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError as KafkaFault;

use levada_event::limits::RECORD_BYTES_MAX;

/// Everything a [`KafkaLog`](crate::KafkaLog) or an [`Admin`](crate::Admin) is told.
#[derive(Clone)]
pub struct Settings {
    /// `host:port`, several separated by commas; any of the cluster's brokers will do.
    pub bootstrap_servers: String,
    /// Passed on to librdkafka as they are (`security.protocol`, `sasl.mechanism`, `ssl.ca.location`,
    /// `linger.ms` …), for every client of this process. Keys that the contract depends on are refused
    /// by [`check`](Settings::check).
    pub properties: BTreeMap<String, String>,
    /// Name of this process in the brokers' logs and quotas.
    pub client_id: String,
    /// How topics are created.
    pub topics: TopicSettings,
    /// How long the delivery of a record may take. Should be a little below the deadline of the
    /// request that brought it, so that the outcome is known in time.
    pub delivery_timeout: Duration,
    /// How long a question to the cluster (bounds, time seeks, topics) may take, and how long a read
    /// waits for a broker that should have records.
    pub request_timeout: Duration,
    /// Most bytes of records that wait for delivery, of both producers together; hasty ones hold at most
    /// half of them. More are refused as unavailable.
    pub produce_bytes_max: usize,
    /// Largest record (key and value) in bytes; topics are created to take it. A topic that takes less
    /// refuses what is larger.
    pub record_bytes_max: usize,
    /// Largest event in bytes that comes to be appended. A topic that exists is found wanting only where
    /// it takes less than this and what is added to it.
    pub event_bytes_max: usize,
    /// How long a partition's broker may be away before its readers are told. Shorter than this are
    /// most elections and restarts; meanwhile clients get heartbeats.
    pub outage_grace: Duration,
    /// Most readers in the past at a time (partitions of sessions that catch up); others wait or share
    /// by turns. Each holds a megabyte and what one more fetch brings: a megabyte as it travels, several
    /// when batches are compressed well, and the whole of a batch that is larger.
    pub catch_up_max: usize,
    /// Bytes of the past that are kept a few seconds for readers that come to the same place.
    pub catch_up_bytes_max: usize,
}

/// How topics are created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// Whether topics that do not exist are created. Otherwise their absence is an error that names
    /// the command which creates them.
    pub create: bool,
    /// Copies of each record; `None` leaves it to the cluster's default.
    pub replication_factor: Option<u16>,
    /// `min.insync.replicas` of created topics; `None` leaves it to the cluster's default.
    pub min_insync_replicas: Option<u16>,
    /// Further topic settings (`compression.type`, `segment.bytes` …) of created topics.
    pub config: BTreeMap<String, String>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            create: true,
            replication_factor: None,
            min_insync_replicas: None,
            config: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The defaults for the cluster at `bootstrap_servers`.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            properties: BTreeMap::new(),
            client_id: "levada".into(),
            topics: TopicSettings::default(),
            delivery_timeout: Duration::from_secs(25),
            request_timeout: Duration::from_secs(10),
            produce_bytes_max: 256 * 1024 * 1024,
            record_bytes_max: RECORD_BYTES_MAX,
            event_bytes_max: RECORD_BYTES_MAX,
            outage_grace: Duration::from_secs(15),
            catch_up_max: 256,
            catch_up_bytes_max: 64 * 1024 * 1024,
        }
    }
}

impl std::fmt::Debug for Settings {
    /// Without the values of properties: there are passwords among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys())
            .field("client_id", &self.client_id)
            .field("topics", &self.topics)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

/// Properties that are set by the contract, and why a configuration must not.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set [kafka] bootstrap_servers"),
    ("metadata.broker.list", "set [kafka] bootstrap_servers"),
    ("client.id", "set [kafka] client_id"),
    ("group.id", "readers hold explicit offsets and join no group"),
    (
        "enable.idempotence",
        "acknowledged events must be stored once and in order",
    ),
    ("acks", "acknowledged events must be on every in-sync replica"),
    (
        "request.required.acks",
        "acknowledged events must be on every in-sync replica",
    ),
    ("transactional.id", "appends are not transactions"),
    ("message.timeout.ms", "it follows intake.deadline"),
    ("delivery.timeout.ms", "it follows intake.deadline"),
    ("partitioner", "set log.partitioner"),
    (
        "message.max.bytes",
        "the largest event that can be configured must pass (20 MiB); intake.event_bytes_max bounds events",
    ),
    ("queue.buffering.max.messages", "set [kafka] produce_bytes_max"),
    ("queue.buffering.max.kbytes", "set [kafka] produce_bytes_max"),
    ("allow.auto.create.topics", "set [kafka] create_topics"),
    (
        "client.rack",
        "followers would be read, which may be behind the bounds that leaders tell, so that records would be skipped",
    ),
    (
        "fetch.wait.max.ms",
        "readers at the end, and the watch over brokers that hang, depend on it",
    ),
    ("auto.offset.reset", "readers say where they start"),
    ("enable.auto.commit", "positions are the clients' cursors"),
    ("enable.auto.offset.store", "positions are the clients' cursors"),
    ("enable.partition.eof", "readers need to know the end"),
    ("statistics.interval.ms", "metrics and readers depend on it"),
    (
        "test.mock.num.brokers",
        "it would put a mock in the cluster's place",
    ),
];

/// Names of properties, and the other name under which librdkafka keeps each.
const ALIASES: &[(&str, &str)] = &[
    ("compression.type", "compression.codec"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("retries", "message.send.max.retries"),
    ("sasl.mechanism", "sasl.mechanisms"),
];

/// The one name of a property that has two.
pub(crate) fn canonical(key: &str) -> &str {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == key);
    alias.map_or(key, |(_, name)| name)
}

impl Settings {
    /// Refuses properties that the contract depends on, those that are set under two names, and those
    /// that librdkafka does not know or whose values it cannot read. Asks no cluster.
    ///
    /// # Errors
    /// [`KafkaError::Setting`](crate::KafkaError::Setting) for the first of them.
    pub fn check(&self) -> Result<(), crate::KafkaError> {
        let refused = |key: &str, reason: String| crate::KafkaError::Setting {
            key: key.into(),
            reason,
        };
        if self
            .bootstrap_servers
            .split(',')
            .all(|server| server.trim().is_empty())
        {
            let reason = "is empty; name at least one broker as host:port".into();
            return Err(refused("bootstrap_servers", reason));
        }
        for key in self.properties.keys() {
            if let Some((_, why)) = OWNED.iter().find(|(owned, _)| owned == key) {
                return Err(refused(key, format!("must not be set here: {why}")));
            }
            let name = canonical(key);
            if name != key && self.properties.contains_key(name) {
                return Err(refused(
                    key,
                    format!("is another name of {name}; set only one of them"),
                ));
            }
        }
        let mechanism = |key: &str, value: &str| {
            canonical(key) == "sasl.mechanisms" && value.trim().eq_ignore_ascii_case("OAUTHBEARER")
        };
        if let Some((key, _)) = self.properties.iter().find(|(key, value)| mechanism(key, value)) {
            let reason = "OAUTHBEARER needs tokens that this program does not fetch; use SCRAM-SHA-512, PLAIN or \
                          a client certificate (ssl.certificate.location, ssl.key.location)";
            return Err(refused(key, reason.into()));
        }
        // librdkafka knows its properties best. One at a time: what only fits together (a mechanism and
        // its user, a key and its certificate) is seen when a client is made of them all.
        for (key, value) in &self.properties {
            let alone = ClientConfig::new().set(key, value).create_native_config();
            if let Err(KafkaFault::ClientConfig(_, description, ..)) = alone {
                return Err(refused(key, description));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(properties: &[(&str, &str)]) -> Option<String> {
        let mut settings = Settings::new("localhost:9092");
        for (key, value) in properties {
            settings.properties.insert((*key).into(), (*value).into());
        }
        settings.check().err().map(|error| error.to_string())
    }

    #[test]
    fn reading_from_followers_is_refused_with_the_reason() {
        let told = fault(&[("client.rack", "b")]).expect("refused");
        assert!(
            told.contains("client.rack") && told.contains("records would be skipped"),
            "{told}"
        );
    }

    #[test]
    fn logins_that_would_wait_for_ever_are_refused_with_the_ones_there_are() {
        for key in ["sasl.mechanism", "sasl.mechanisms"] {
            let told = fault(&[(key, "oauthbearer")]).expect("refused");
            assert!(told.contains(key) && told.contains("SCRAM-SHA-512"), "{told}");
        }
    }

    #[test]
    fn one_property_under_two_names_is_refused() {
        let told = fault(&[("compression.codec", "none"), ("compression.type", "zstd")]);
        let told = told.expect("refused");
        assert!(
            told.contains("compression.type") && told.contains("compression.codec"),
            "{told}"
        );
        assert_eq!(fault(&[("compression.type", "zstd"), ("linger.ms", "3")]), None);
    }
}
