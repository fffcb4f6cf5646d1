//! What is not printed: whole values, and entries of tables that are passed on to others.

use super::keys::{Key, Secrecy};

/// What is printed in the place of a secret.
const MASK: &str = "***";

/// Parts of names of entries that are secrets. Headers and properties of librdkafka: passwords of SASL
/// and TLS, keys as PEM, what OAUTHBEARER is configured with, credentials in headers.
const SECRET_PARTS: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "key.pem",
    "key-pem",
    "oauthbearer.config",
    "assertion.private",
    "authorization",
    "cookie",
    "api-key",
    "apikey",
    "x-auth",
];

/// The value of a key as it may be printed.
pub(super) fn printed(key: &Key, value: &toml::Value) -> String {
    match key.secrecy {
        Secrecy::Open => value.to_string(),
        Secrecy::Secret => MASK.into(),
        Secrecy::Entries => entries("", value).to_string(),
    }
}

/// The value with all secret entries masked. `name` is the dotted name so far: TOML reads
/// `sasl.password = "…"` as a table in a table.
fn entries(name: &str, value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::Table(table) => {
            let masked = table.iter().map(|(entry, value)| {
                let whole = if name.is_empty() {
                    entry.clone()
                } else {
                    format!("{name}.{entry}")
                };
                (entry.clone(), entries(&whole, value))
            });
            toml::Value::Table(masked.collect())
        }
        _ if is_secret(name) => toml::Value::String(MASK.into()),
        other => other.clone(),
    }
}

/// Whether an entry of this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> String {
        let table: toml::Table = format!("v = {text}").parse().unwrap();
        let key = Key {
            name: "kafka.properties",
            default: "{}",
            doc: "",
            secrecy: Secrecy::Entries,
        };
        printed(&key, &table["v"])
    }

    #[test]
    fn secret_entries_are_masked_and_no_others() {
        let printed = print(
            r#"{"sasl.password" = "p1", "sasl.username" = "u", ssl.key.pem = "p2", ssl.ca.location = "/ca", "SSL.Key.Password" = 7}"#,
        );
        for hidden in ["p1", "p2", "7"] {
            assert!(!printed.contains(hidden), "{printed}");
        }
        assert_eq!(printed.matches("***").count(), 3, "{printed}");
        assert!(
            printed.contains("\"u\"") && printed.contains("\"/ca\""),
            "{printed}"
        );
    }

    #[test]
    fn all_secret_properties_of_librdkafka_are_known() {
        for name in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.assertion.private.key.pem",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["sasl.username", "ssl.key.location", "sasl.mechanism", "Host"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
