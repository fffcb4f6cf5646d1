//! Durations, sizes and lists as people write them.

use std::time::Duration;

use levada_accounts::{AddressList, Secret};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Number(u64),
    Text(String),
}

/// `"250ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`; a bare number counts seconds.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match Text::deserialize(from)? {
        Text::Number(seconds) => Ok(Duration::from_secs(seconds)),
        Text::Text(text) => parse_duration(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no duration; write \"250ms\", \"30s\", \"5m\", \"2h\" or \"7d\""
            ))
        }),
    }
}

/// Parses `250ms`, `30s`, `5m`, `2h`, `7d` or a bare number of seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match text[digits..].trim() {
        "ms" => 1,
        "s" | "" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// `"64KiB"`, `"10MiB"`, `"2GiB"`, `"1MB"`; a bare number counts bytes.
pub(super) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = match Text::deserialize(from)? {
        Text::Number(bytes) => Some(bytes),
        Text::Text(text) => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let unit = match text[digits..].trim() {
                "" | "B" => Some(1),
                "KiB" | "K" => Some(1 << 10),
                "MiB" | "M" => Some(1 << 20),
                "GiB" | "G" => Some(1 << 30),
                "kB" => Some(1000),
                "MB" => Some(1_000_000),
                "GB" => Some(1_000_000_000),
                _ => None,
            };
            let number = text[..digits]
                .parse()
                .ok()
                .zip(unit)
                .and_then(|(n, unit): (u64, u64)| n.checked_mul(unit));
            return number.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| {
                D::Error::custom(format!(
                    "{text:?} is no size; write \"64KiB\", \"10MiB\" or \"2GiB\""
                ))
            });
        }
    };
    number
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| D::Error::custom("the size is too large"))
}

/// A list of texts, or one text with commas (as environment variables and flags have it).
pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        One(String),
        Many(Vec<String>),
    }
    Ok(match List::deserialize(from)? {
        List::Many(many) => many,
        List::One(one) => one
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(Into::into)
            .collect(),
    })
}

/// A text that is never printed; empty means none.
pub(super) fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    let text = String::deserialize(from)?;
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

/// The allow list, as TOML or as the JSON text of the reference's `IP_ALLOW_LIST`.
pub(super) fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<AddressList, D::Error> {
    let text = match toml::Value::deserialize(from)? {
        toml::Value::String(text) if text.is_empty() => return Ok(AddressList::default()),
        toml::Value::String(text) => text,
        other => serde_json::to_string(&other).map_err(serde::de::Error::custom)?,
    };
    AddressList::parse_json(&text).map_err(serde::de::Error::custom)
}
