//! `[kafka]`: which cluster, and what librdkafka is told beyond what the log contract fixes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use levada_accounts::Secret;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{secrecy, units};

/// `[kafka]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every key is documented once, in the table of keys")]
pub struct Kafka {
    #[serde(deserialize_with = "units::list")]
    pub bootstrap_servers: Vec<String>,
    pub client_id: String,
    pub properties: Properties,
    #[serde(deserialize_with = "units::secret")]
    pub sasl_password: Option<Secret>,
    pub create_topics: bool,
    pub replication_factor: u16,
    pub min_insync_replicas: u16,
    pub topic_config: Properties,
    #[serde(deserialize_with = "units::duration")]
    pub request_timeout: Duration,
    #[serde(deserialize_with = "units::bytes")]
    pub produce_bytes_max: usize,
    pub catch_up_max: usize,
}

/// Properties by their dotted names. In TOML a name may be quoted or not: `"sasl.mechanism" = "PLAIN"`
/// and `sasl.mechanism = "PLAIN"` are the same property. Numbers and booleans become their text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| {
            let value = if secrecy::is_secret(name) { "***" } else { value };
            (name, value)
        });
        f.debug_map().entries(shown).finish()
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut flat = BTreeMap::new();
        flatten("", toml::Table::deserialize(from)?, &mut flat).map_err(D::Error::custom)?;
        Ok(Self(flat))
    }
}

fn flatten(prefix: &str, table: toml::Table, into: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&format!("{name}."), inner, into)?;
                continue;
            }
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err(format!("{name:?} must be a text, a number or true or false"));
            }
        };
        if into.insert(name.clone(), text).is_some() {
            return Err(format!("{name:?} is set twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Properties, String> {
        toml::from_str(text).map_err(|e: toml::de::Error| e.message().to_owned())
    }

    #[test]
    fn quoted_and_dotted_names_are_the_same() {
        let properties = read("\"a.b\" = 1\na.c.d = \"x\"\ne = true\n").unwrap();
        let pairs: Vec<_> = properties
            .0
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, [("a.b", "1"), ("a.c.d", "x"), ("e", "true")]);
    }

    #[test]
    fn what_is_no_property_is_refused() {
        assert!(read("a = [1]").unwrap_err().contains("\"a\""));
        assert!(read("\"a.b\" = 1\na.b = 2\n").unwrap_err().contains("twice"));
    }

    #[test]
    fn passwords_are_not_in_debug_output() {
        let properties = read("sasl.password = \"hush\"\nsasl.username = \"me\"\n").unwrap();
        let shown = format!("{properties:?}");
        assert!(!shown.contains("hush") && shown.contains("me"), "{shown}");
    }
}
