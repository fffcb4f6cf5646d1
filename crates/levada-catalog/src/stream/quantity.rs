//! Durations and sizes as people write them in settings.

use std::time::Duration;

use serde_json::Value;

/// A duration: a number of seconds, or text such as `500ms`, `90s`, `15m`, `48h`, `7d`.
pub(super) fn duration(value: &Value) -> Result<Duration, String> {
    let fault = || format!("{value} is no duration; write for example 90s, 15m, 48h or 7d");
    let (amount, unit) = split(value).ok_or_else(fault)?;
    let millis: u64 = match unit.as_str() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(fault()),
    };
    amount
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(fault)
}

/// A size in bytes: a number, or text such as `10GiB`, `512MiB`, `5GB`.
pub(super) fn bytes(value: &Value) -> Result<u64, String> {
    let fault = || format!("{value} is no size; write for example 512MiB or 10GiB");
    let (amount, unit) = split(value).ok_or_else(fault)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(fault()),
    };
    amount.checked_mul(factor).ok_or_else(fault)
}

fn split(value: &Value) -> Option<(u64, String)> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let amount = text[..digits].parse().ok()?;
    Some((amount, text[digits..].trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(duration(&json!("7d")), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration(&json!(" 15 m ")), Ok(Duration::from_secs(900)));
        assert_eq!(duration(&json!(90)), Ok(Duration::from_secs(90)));
        assert_eq!(bytes(&json!("10GiB")), Ok(10 << 30));
        assert_eq!(bytes(&json!("5 gb")), Ok(5_000_000_000));
    }

    #[test]
    fn everything_else_is_refused() {
        for value in [
            json!("7 weeks"),
            json!("-1s"),
            json!(1.5),
            json!(""),
            json!(true),
            json!("99999999999999999d"),
        ] {
            assert!(duration(&value).is_err(), "{value}");
            assert!(bytes(&value).is_err(), "{value}");
        }
    }
}
