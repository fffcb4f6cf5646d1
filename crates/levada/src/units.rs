//! Durations and points in time as people type them.

use std::time::Duration;

use levada_event::Timestamp;

/// Reads `250ms`, `30s`, `5m`, `2h`, `7d`, `1w` and sums such as `1d12h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write 250ms, 30s, 5m, 2h, 7d or 1d12h");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" | "min" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            "w" => Duration::from_secs(7 * 86_400),
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        total = unit
            .checked_mul(number)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// With the next event.
    Latest,
    /// With the oldest event kept.
    Earliest,
    /// This long ago.
    Ago(Duration),
    /// At this time.
    At(Timestamp),
}

impl Since {
    /// The time to ask the server for, `None` for the latest.
    pub(crate) fn time(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Latest => None,
            // Not 0, which other servers take for the latest.
            Self::Earliest => Some(Timestamp::from_millis(1)),
            Self::Ago(ago) => {
                let millis = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
                Some(now.plus_millis(-millis).max(Timestamp::from_millis(1)))
            }
            Self::At(time) => Some(time),
        }
    }
}

/// Reads `2h` (ago), `latest`, `earliest`, RFC 3339 and all else that the server takes as `since`.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    match text {
        "latest" | "now" => return Ok(Since::Latest),
        "earliest" | "oldest" => return Ok(Since::Earliest),
        _ => {}
    }
    if let Some(time) = Timestamp::parse_since(text) {
        return Ok(Since::At(time));
    }
    duration(text.strip_prefix('-').unwrap_or(text)).map(Since::Ago).map_err(|_| {
        format!("{text:?} names no moment; write 2h, 2026-01-31, 2026-01-31T12:00:00Z, milliseconds since 1970, earliest or latest")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1d12h", 129_600_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "5",
            "h",
            "5 m",
            "-5m",
            "5y",
            "99999999999h",
            "1.5h",
            "4294967295w4294967295w",
        ] {
            assert_eq!(
                duration(text).is_err(),
                text != "4294967295w4294967295w",
                "{text}"
            );
        }
    }

    #[test]
    fn starts() {
        let now = Timestamp::from_millis(1_500_000_000_000);
        let at = |text: &str| since(text).map(|s| s.time(now).map(Timestamp::as_millis));
        assert_eq!(at("2h"), Ok(Some(1_500_000_000_000 - 7_200_000)));
        assert_eq!(at("-2h"), at("2h"));
        assert_eq!(at("2017-07-14T02:40:01Z"), Ok(Some(1_500_000_001_000)));
        assert_eq!(at("2017-07-14"), Ok(Some(1_499_990_400_000)));
        assert_eq!(at("1500000001000"), Ok(Some(1_500_000_001_000)));
        assert_eq!(at("earliest"), Ok(Some(1)));
        assert_eq!(at("5000w"), Ok(Some(1)));
        assert_eq!(at("latest"), Ok(None));
        assert!(at("yesterday").unwrap_err().contains("2h"));
    }
}
