//! Times in events compared as times: zones and trailing zeros of fractions do not matter.

use std::borrow::Cow;

use crate::Timestamp;

/// A point in time as precise as an event writes it (to 10⁻¹⁸ s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Instant {
    time: Timestamp,
    /// The fraction below milliseconds in units of 10⁻¹⁸ s.
    rest: u64,
}

impl Instant {
    /// Reads whatever [`Timestamp::parse_iso`] reads, also a date alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.get(4) != Some(&b'-') {
            return None; // not even a date: the common case in strings that hold no time
        }
        let time = Timestamp::parse_iso(text)?;
        let mut rest = 0;
        if let Some(mark) = bytes.iter().position(|b| matches!(b, b'.' | b',')) {
            let mut unit = 100_000_000_000_000;
            for digit in bytes[mark + 1..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .skip(3)
            {
                rest += u64::from(digit - b'0') * unit;
                unit /= 10;
            }
        }
        Some(Self { time, rest })
    }

    /// Reads a complete date and time with zone (RFC 3339): what a string has to be so that
    /// equality means the moment and not the spelling.
    pub(crate) fn parse_complete(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let zoned = matches!(bytes.last(), Some(b'Z' | b'z'))
            || matches!(bytes.get(19..), Some([.., b'+' | b'-', _, _, b':', _, _]));
        if bytes.len() < 20 || !matches!(bytes[10], b'T' | b't') || bytes[16] != b':' || !zoned {
            return None;
        }
        Self::parse(text)
    }

    /// The text of a moment as [`parse_complete`](Self::parse_complete) reads it: what is left out at the end
    /// is midnight, and UTC. `None` where that makes no moment of it.
    pub(crate) fn completed(text: &str) -> Option<Cow<'_, str>> {
        let moment = Self::parse(text)?;
        if Self::parse_complete(text).is_some() {
            return Some(text.into());
        }
        let ends = ["Z", ":00Z", "T00:00:00Z"].map(|end| format!("{text}{end}"));
        let mut complete = ends.into_iter();
        let complete = complete.find(|text| Self::parse_complete(text).as_ref() == Some(&moment))?;
        Some(complete.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_not_spellings() {
        let at = |text| Instant::parse_complete(text).unwrap();
        assert_eq!(
            at("2025-04-11T04:59:23.77047Z"),
            at("2025-04-11T06:59:23.7704700+02:00")
        );
        assert!(at("2025-04-11T04:59:23.770470001Z") > at("2025-04-11T04:59:23.77047Z"));
        assert!(at("1969-12-31T23:59:59.9999Z") > at("1969-12-31T23:59:59.9998Z"));
        assert!(at("0001-01-01T00:00:00Z") < at("1970-01-01T00:00:00Z"));
        assert!(
            Instant::parse("2025-04-11").unwrap() == at("2025-04-11T00:00:00Z"),
            "a date is its midnight"
        );
        for text in [
            "2025-04-11",
            "2025-04-11T04:59:23",
            "2025-04-11T04:59Z",
            "2025-04-11 04:59:23Z",
            "",
            "é025-04-11T04:59:23Z",
        ] {
            assert_eq!(Instant::parse_complete(text), None, "{text}");
        }
    }
}
