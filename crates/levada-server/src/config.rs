//! Configuration: one file, one table of keys, four layers.
//!
//! Every key is declared once, in [`KEYS`](keys::KEYS); the example file, the reference page and
//! `levada config print` come from that table. Layers, later ones win: defaults, the file,
//! environment variables `LEVADA_SECTION__KEY`, command-line flags. An unknown key is an error with
//! its place and the nearest known key, never ignored.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use levada_accounts::{AddressList, Secret};
use serde::Deserialize;

mod kafka;
pub mod keys;
mod layers;
pub mod places;
mod secrecy;
mod units;

pub use kafka::{Kafka, Properties};
pub use layers::{ConfigError, Origin};

/// The whole configuration of a server, each field documented in [`keys::KEYS`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Config {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub http: Http,
    pub catalog: Catalog,
    pub intake: Intake,
    pub log: LogSection,
    pub kafka: Kafka,
    pub streams: Streams,
    pub realtime: Realtime,
    pub canary: Canary,
    pub auth: Auth,
    pub compat: Compat,
    pub feeds: toml::Table,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Http {
    pub cors: String,
    pub csp: bool,
    pub client_ip_header: String,
    #[serde(deserialize_with = "units::duration")]
    pub header_timeout: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub drain_timeout: Duration,
    pub connections_max: usize,
}

/// `[catalog]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Catalog {
    #[serde(deserialize_with = "units::list")]
    pub stream_config: Vec<String>,
    pub stream_config_headers: BTreeMap<String, String>,
    #[serde(deserialize_with = "units::duration")]
    pub ttl: Duration,
    pub wiki: String,
    #[serde(deserialize_with = "units::list")]
    pub wiki_tags: Vec<String>,
    #[serde(deserialize_with = "units::list")]
    pub schema_base_uris: Vec<String>,
    pub schema_file_extension: String,
    #[serde(deserialize_with = "units::duration")]
    pub schema_ttl: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub schema_negative_ttl: Duration,
    pub allow_absolute_schema_uris: bool,
    pub stream_aliases: BTreeMap<String, String>,
}

/// `[intake]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Intake {
    pub service: String,
    pub topic_prefix: String,
    pub error_stream: String,
    #[serde(deserialize_with = "units::bytes")]
    pub body_bytes_max: usize,
    #[serde(deserialize_with = "units::bytes")]
    pub event_bytes_max: usize,
    pub batch_events_max: usize,
    #[serde(deserialize_with = "units::bytes")]
    pub in_flight_bytes_max: usize,
    #[serde(deserialize_with = "units::duration")]
    pub deadline: Duration,
    pub schema_uri_query_param: String,
    pub stream_query_param: String,
    #[serde(deserialize_with = "units::list")]
    pub test_events: Vec<String>,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct LogSection {
    pub kind: LogKind,
    pub partitioner: KeyHash,
    pub durability: Durability,
    #[serde(deserialize_with = "units::bytes")]
    pub segment_bytes: usize,
    pub compress: bool,
    #[serde(deserialize_with = "units::duration")]
    pub retention_age: Duration,
    #[serde(deserialize_with = "units::bytes")]
    pub retention_bytes: usize,
}

/// Which log keeps the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// The engine inside the process.
    Embedded,
    /// An Apache Kafka cluster.
    Kafka,
    /// Memory only, for tests and trials.
    Memory,
}

/// Which partition a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyHash {
    /// CRC-32 of the key, as librdkafka's producers.
    ConsistentRandom,
    /// murmur2 of the key, as Kafka's Java producers.
    Murmur2Random,
}

/// What an acknowledged event survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Power loss.
    Fsync,
    /// The death of the process.
    Os,
}

/// `[streams]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Streams {
    #[serde(deserialize_with = "units::list")]
    pub allowed: Vec<String>,
    pub connections_per_client: usize,
    #[serde(deserialize_with = "units::duration")]
    pub connection_age_max: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub heartbeat: Duration,
    pub pass_damage: bool,
    pub redacted_pages: BTreeMap<String, Vec<String>>,
}

/// `[realtime]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Realtime {
    pub events_per_second: u32,
    pub per_part: bool,
}

/// `[canary]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Canary {
    #[serde(deserialize_with = "units::duration")]
    pub interval: Duration,
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Auth {
    pub mode: AuthMode,
    #[serde(deserialize_with = "units::secret")]
    pub database: Option<Secret>,
    #[serde(deserialize_with = "units::addresses")]
    pub ip_allow_list: AddressList,
    pub connections_per_account: usize,
    pub issuer: String,
    pub client_id: String,
    #[serde(deserialize_with = "units::duration")]
    pub signing_key_lifetime: Duration,
    pub outbox: PathBuf,
}

/// Whether the server asks who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// There are no accounts; nobody is asked.
    Off,
    /// Who shows credentials has their rights, and wrong ones are refused; who shows none is let in.
    Optional,
    /// Who shows no credentials is refused.
    Required,
}

/// `[compat]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Compat {
    pub eventgate: bool,
    pub eventstreams: bool,
    pub realtime: bool,
    pub streamconfigs: bool,
    pub wikifeeds: bool,
}

/// A configuration with the origin of each value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed configuration.
    pub config: Config,
    /// Each key in the order of the table, its value as TOML (secrets as `***`) and where it is from.
    pub values: Vec<(String, String, Origin)>,
}

impl Config {
    /// Reads the layers: defaults, the file at `path` if given, `environment` (pairs as from
    /// `std::env::vars`; only names that begin with `LEVADA_` count) and `flags` (dotted key and
    /// text).
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line, the key and what to write instead.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Loaded, ConfigError> {
        layers::load(path, environment, flags)
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value, origin) in &self.values {
            writeln!(f, "{key} = {value}  # {origin}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("levada.toml");
        std::fs::write(&path, file).unwrap();
        let env = env.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Config::load(Some(&path), env, &[])
    }

    #[test]
    fn defaults_alone_make_a_configuration() {
        let loaded = Config::load(None, [], &[]).unwrap();
        assert!(loaded.config.listen.ip().is_loopback());
        assert_eq!(loaded.config.log.kind, LogKind::Embedded);
        assert_eq!(loaded.values.len(), keys::KEYS.len());
    }

    #[test]
    fn later_layers_win_and_tell_their_origin() {
        let loaded = load(
            "listen = \"127.0.0.1:1\"\n[intake]\nservice = \"a\"\ndeadline = \"2s\"\n",
            &[
                ("LEVADA_INTAKE__SERVICE", "b"),
                ("LEVADA_COMPAT__EVENTGATE", "true"),
                ("HOME", "/"),
            ],
        )
        .unwrap();
        assert_eq!(loaded.config.listen.port(), 1);
        assert_eq!(loaded.config.intake.service, "b");
        assert!(loaded.config.compat.eventgate);
        assert_eq!(loaded.config.intake.deadline, Duration::from_secs(2));
        let origin = |key: &str| {
            loaded
                .values
                .iter()
                .find(|(k, ..)| k == key)
                .unwrap()
                .2
                .to_string()
        };
        assert!(origin("listen").contains("levada.toml:1"), "{}", origin("listen"));
        assert_eq!(origin("intake.service"), "LEVADA_INTAKE__SERVICE");
        assert_eq!(origin("data"), "default");
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_with_place_and_remedy() {
        let fault = load("[intake]\nservise = \"a\"\n", &[]).unwrap_err().to_string();
        assert!(
            fault.contains("levada.toml:2") && fault.contains("intake.service"),
            "{fault}"
        );
        let fault = load("[intake]\ndeadline = \"soon\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            fault.contains("intake.deadline") && fault.contains("30s"),
            "{fault}"
        );
        let fault = load("[intake]\ndeadline = 5\n[log]\ndurability = \"none\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(fault.contains("log.durability"), "{fault}");
        let fault = load("listen = ", &[]).unwrap_err().to_string();
        assert!(fault.contains("levada.toml"), "{fault}");
        let fault = load("", &[("LEVADA_INTAKE__NOPE", "1")]).unwrap_err().to_string();
        assert!(fault.contains("LEVADA_INTAKE__NOPE"), "{fault}");
    }
}
