//! Reads the layers of configuration and keeps where each value is from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::keys::{self, KEYS, Key, Secrecy};
use super::{Config, Loaded, secrecy};

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A command-line flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}

/// A fault in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Place and reason as the TOML parser gives them.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: there is no key `{key}`{}", .nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// A known key like it.
        nearest: Option<&'static str>,
    },
    /// A value that does not fit its key.
    #[error("{origin}: `{key}`: {reason}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// What does not fit.
        reason: String,
    },
}

struct Setting {
    key: &'static Key,
    value: toml::Value,
    origin: Origin,
}

pub(super) fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Loaded, ConfigError> {
    let mut settings: Vec<Setting> = KEYS
        .iter()
        .map(|key| Setting {
            key,
            value: literal(key.default),
            origin: Origin::Default,
        })
        .collect();
    if let Some(path) = path {
        read_file(&mut settings, path)?;
    }
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix("LEVADA_") else {
            continue;
        };
        // Variables of the commands and of the test harness are no configuration.
        if matches!(
            rest,
            "SHARED"
                | "REQUIRE_POSTGRES"
                | "TEST_KAFKA"
                | "REQUIRE_KAFKA"
                | "KAFKA_RAN"
                | "LOG"
                | "CONFIG"
                | "URL"
                | "TOKEN"
                | "TOKEN_FILE"
                | "API_KEY"
                | "USERNAME"
                | "PASSWORD"
                | "PASSWORD_FILE"
                | "PROGRESS"
        ) {
            continue;
        }
        let key = rest.to_ascii_lowercase().replace("__", ".");
        set(&mut settings, &key, given(&key, &text), Origin::Environment(name))?;
    }
    for (flag, text) in flags {
        set(&mut settings, flag, given(flag, text), Origin::Flag(flag.clone()))?;
    }
    build(settings)
}

fn read_file(settings: &mut [Setting], path: &Path) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.into(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| ConfigError::Syntax {
        path: path.into(),
        message: e.to_string(),
    })?;
    let at = |key: &str| Origin::File {
        path: path.into(),
        line: line_of(&text, key),
    };
    for (name, value) in table {
        match value {
            toml::Value::Table(section) if !KEYS.iter().any(|k| k.name == name) => {
                for (inner, value) in section {
                    let key = format!("{name}.{inner}");
                    set(settings, &key, value, at(&key))?;
                }
            }
            value => set(settings, &name, value, at(&name))?,
        }
    }
    Ok(())
}

fn set(settings: &mut [Setting], key: &str, value: toml::Value, origin: Origin) -> Result<(), ConfigError> {
    match settings.iter_mut().find(|s| s.key.name == key) {
        Some(setting) => {
            setting.value = value;
            setting.origin = origin;
            Ok(())
        }
        None => Err(ConfigError::UnknownKey {
            origin,
            key: key.into(),
            nearest: keys::nearest(key),
        }),
    }
}

/// TOML if the text is a TOML value, else the text itself, so that variables need no quotes.
fn literal(text: &str) -> toml::Value {
    let table: Result<toml::Table, _> = format!("v = {text}").parse();
    table
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.into()))
}

/// The value of a key as a variable or flag gives it. A secret that looks like a number is a text all
/// the same.
fn given(key: &str, text: &str) -> toml::Value {
    let secret = KEYS.iter().any(|k| k.name == key && k.secrecy == Secrecy::Secret);
    match literal(text) {
        value if !secret || value.is_str() => value,
        _ => toml::Value::String(text.into()),
    }
}

/// The line (from 1) on which a dotted key is set, as well as a look at the text can tell.
fn line_of(text: &str, key: &str) -> usize {
    let (section, name) = key.split_once('.').unwrap_or(("", key));
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            current = header.trim_end_matches(']').trim().to_owned();
            if current == key || current.starts_with(&format!("{key}.")) {
                return number + 1;
            }
        }
        let is_key = |k: &str| {
            line.strip_prefix(k)
                .is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
        };
        if (current == section && is_key(name)) || (current.is_empty() && is_key(key)) {
            return number + 1;
        }
    }
    1
}

fn build(settings: Vec<Setting>) -> Result<Loaded, ConfigError> {
    let mut root = toml::Table::new();
    for setting in &settings {
        let (section, name) = setting.key.name.split_once('.').unwrap_or(("", setting.key.name));
        let table = if section.is_empty() {
            &mut root
        } else {
            root.entry(section)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                .as_table_mut()
                .expect("only tables are put under a section's name")
        };
        table.insert(name.into(), setting.value.clone());
    }
    let config = match Config::deserialize(toml::Value::Table(root.clone())) {
        Ok(config) => config,
        Err(whole) => return Err(blame(&settings, &root, &whole.to_string())),
    };
    let values = settings
        .into_iter()
        .map(|s| {
            let value = secrecy::printed(s.key, &s.value);
            (s.key.name.to_owned(), value, s.origin)
        })
        .collect();
    Ok(Loaded { config, values })
}

/// Finds the setting that the configuration cannot be built with: the one whose default heals it.
fn blame(settings: &[Setting], root: &toml::Table, whole: &str) -> ConfigError {
    for setting in settings.iter().filter(|s| s.origin != Origin::Default) {
        // Only this setting differs from the defaults: does it fail alone?
        let mut alone = root.clone();
        for other in settings.iter().filter(|o| o.key.name != setting.key.name) {
            let (section, name) = other.key.name.split_once('.').unwrap_or(("", other.key.name));
            let default = literal(other.key.default);
            match alone.get_mut(section).and_then(toml::Value::as_table_mut) {
                Some(table) => table.insert(name.into(), default),
                None => alone.insert(name.into(), default),
            };
        }
        if let Err(error) = Config::deserialize(toml::Value::Table(alone)) {
            let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
            return ConfigError::Value {
                origin: setting.origin.clone(),
                key: setting.key.name.into(),
                reason,
            };
        }
    }
    ConfigError::Value {
        origin: Origin::Default,
        key: String::new(),
        reason: whole.into(),
    }
}
