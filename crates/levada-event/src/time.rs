//! Time as records carry it: milliseconds since 1970 UTC, printed and parsed without a clock.

use std::fmt;

/// A point in time in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The system clock's time. Hot paths and tests take a time as an argument instead.
    pub fn from_system(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => Self(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// This time plus `millis` (may be negative), stopping at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Parses a date and time of ISO 8601 as events carry it: `T`, `t` or a space between date and
    /// time, seconds and fraction optional, zone `Z`, `z`, `±hh:mm`, `±hhmm`, `±hh`; without a
    /// zone the time is UTC; a date alone is its midnight. A space in the zone's place of `+` (a
    /// plus that a query string decoded) is a plus. Second 60 is the next second. `None` where the
    /// text names no such time.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (year, at) = digits(bytes, 0, 4)?;
        expect(bytes, at, b'-')?;
        let (month, at) = digits(bytes, at + 1, 2)?;
        expect(bytes, at, b'-')?;
        let (day, mut at) = digits(bytes, at + 1, 2)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        let mut millis = days_from_civil(year, month, day) * DAY_MS;
        if at == bytes.len() {
            return Some(Self(millis));
        }
        if !matches!(bytes[at], b'T' | b't' | b' ') {
            return None;
        }
        let (hour, next) = digits(bytes, at + 1, 2)?;
        expect(bytes, next, b':')?;
        let (minute, next) = digits(bytes, next + 1, 2)?;
        at = next;
        let mut second = 0;
        if bytes.get(at) == Some(&b':') {
            (second, at) = digits(bytes, at + 1, 2)?;
            if matches!(bytes.get(at), Some(b'.' | b',')) {
                let start = at + 1;
                at = start;
                let mut scale = 100;
                while let Some(digit) = bytes.get(at).filter(|b| b.is_ascii_digit()) {
                    millis += i64::from(digit - b'0') * scale;
                    scale /= 10;
                    at += 1;
                }
                if at == start {
                    return None;
                }
            }
        }
        if hour > 23 && !(hour == 24 && minute == 0 && second == 0) || minute > 59 || second > 60 {
            return None;
        }
        millis += (hour * 3600 + minute * 60 + second) * 1000;
        match bytes.get(at) {
            None => Some(Self(millis)),
            Some(b'Z' | b'z') => (at + 1 == bytes.len()).then_some(Self(millis)),
            Some(sign @ (b'+' | b'-' | b' ')) => {
                let (hours, mut next) = digits(bytes, at + 1, 2)?;
                let mut minutes = 0;
                if next < bytes.len() {
                    if bytes[next] == b':' {
                        next += 1;
                    }
                    (minutes, next) = digits(bytes, next, 2)?;
                }
                if next != bytes.len() || hours > 23 || minutes > 59 {
                    return None;
                }
                let offset = (hours * 60 + minutes) * 60_000;
                Some(Self(if *sign == b'-' {
                    millis + offset
                } else {
                    millis - offset
                }))
            }
            Some(_) => None,
        }
    }

    /// Parses what clients send as `since`: everything [`parse_iso`](Self::parse_iso) takes,
    /// milliseconds since 1970 (`1500000000000`), MediaWiki timestamps of 14 digits
    /// (`20170714024001`), a year and month (`2018-06`), unpadded dates (`2018-6-4`) and dates of
    /// RFC 1123 (`Thu, 14 Jun 2018 00:00:00 GMT`). Contract eventstreams §1.5, §7.4.
    pub fn parse_since(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(time) = Self::parse_iso(text) {
            return Some(time);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            return mediawiki(text).or_else(|| text.parse().ok().map(Self));
        }
        short_date(text).or_else(|| rfc1123(text))
    }

    /// Writes `YYYY-MM-DDTHH:MM:SS.mmmZ` (24 bytes for years 0 to 9999).
    pub fn write_iso(self, out: &mut Vec<u8>) {
        let days = self.0.div_euclid(DAY_MS);
        let mut rest = self.0.rem_euclid(DAY_MS);
        let (year, month, day) = civil_from_days(days);
        if (0..=9999).contains(&year) {
            push_digits(out, year, 4);
        } else {
            out.extend_from_slice(format!("{year:+07}").as_bytes());
        }
        out.push(b'-');
        push_digits(out, month, 2);
        out.push(b'-');
        push_digits(out, day, 2);
        out.push(b'T');
        for (unit, mark) in [(3_600_000, b':'), (60_000, b':'), (1000, b'.')] {
            push_digits(out, rest / unit, 2);
            out.push(mark);
            rest %= unit;
        }
        push_digits(out, rest, 3);
        out.push(b'Z');
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(27);
        self.write_iso(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

fn digits(bytes: &[u8], at: usize, count: usize) -> Option<(i64, usize)> {
    let mut value = 0;
    for byte in bytes.get(at..at + count)? {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some((value, at + count))
}

fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<()> {
    (bytes.get(at) == Some(&byte)).then_some(())
}

fn push_digits(out: &mut Vec<u8>, value: i64, count: u32) {
    for place in (0..count).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

fn mediawiki(text: &str) -> Option<Timestamp> {
    if text.len() != 14 || !(text.starts_with("19") || text.starts_with("20")) {
        return None;
    }
    let (y, mo, d) = (&text[..4], &text[4..6], &text[6..8]);
    let (h, mi, s) = (&text[8..10], &text[10..12], &text[12..]);
    Timestamp::parse_iso(&format!("{y}-{mo}-{d}T{h}:{mi}:{s}Z"))
}

fn short_date(text: &str) -> Option<Timestamp> {
    let mut parts = text.split('-');
    let year = parts.next().filter(|y| y.len() == 4)?;
    let month: u32 = parts.next().filter(|m| m.len() <= 2)?.parse().ok()?;
    let day: u32 = parts.next().map_or(Some(1), |d| d.parse().ok())?;
    if parts.next().is_some() {
        return None;
    }
    Timestamp::parse_iso(&format!("{year}-{month:02}-{day:02}"))
}

fn rfc1123(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let rest = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let words: Vec<&str> = rest.split(' ').filter(|w| !w.is_empty()).collect();
    let month_of = |w: &str| {
        let short = w.get(..3)?.to_ascii_lowercase();
        MONTHS.iter().position(|m| *m == short).map(|i| i + 1)
    };
    let (day, month, year) = match words.get(..3)? {
        [d, m, y] if month_of(m).is_some() => (*d, month_of(m)?, *y),
        [m, d, y] if month_of(m).is_some() => (d.trim_end_matches(','), month_of(m)?, *y),
        _ => return None,
    };
    let day: u32 = day.parse().ok()?;
    let time = words.get(3).copied().unwrap_or("00:00:00");
    let zone = match words.get(4).copied() {
        None | Some("GMT" | "UTC" | "Z") => "Z",
        Some(other) => other,
    };
    Timestamp::parse_iso(&format!("{year}-{month:02}-{day:02}T{time}{zone}"))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day since 1970: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> Option<i64> {
        Timestamp::parse_iso(text).map(Timestamp::as_millis)
    }

    fn since(text: &str) -> Option<i64> {
        Timestamp::parse_since(text).map(Timestamp::as_millis)
    }

    #[test]
    fn iso_forms_of_one_moment() {
        for text in [
            "2017-07-14T02:40:01Z",
            "2017-07-14t02:40:01.000z",
            "2017-07-14 02:40:01",
            "2017-07-14T04:40:01+02:00",
            "2017-07-14T04:40:01+0200",
            "2017-07-14T04:40:01 02:00",
            "2017-07-13T21:40:01-05",
            "2017-07-14T02:40:00.999999Z",
        ] {
            let want = if text.contains("999999") {
                1_500_000_000_999
            } else {
                1_500_000_001_000
            };
            assert_eq!(iso(text), Some(want), "{text}");
        }
    }

    #[test]
    fn iso_refuses_what_names_no_time() {
        for text in [
            "",
            "nope",
            "2017-13-01",
            "2017-02-29",
            "2017-07-14T25:00:00Z",
            "2017-07-14T02:40:01.Z",
            "2017-07-14T02:40:01Zx",
            "20180614T000000Z",
            "2018-W24-4",
            "2017-07-14T02:61:01Z",
        ] {
            assert_eq!(iso(text), None, "{text}");
        }
    }

    #[test]
    fn since_takes_what_clients_send() {
        assert_eq!(since("1500000001000"), Some(1_500_000_001_000));
        assert_eq!(since("20170714024001"), Some(1_500_000_001_000));
        assert_eq!(since("Fri, 14 Jul 2017 02:40:01 GMT"), Some(1_500_000_001_000));
        assert_eq!(since("Jun 14 2018"), since("2018-06-14"));
        assert_eq!(since("2018-6-4"), since("2018-06-04"));
        assert_eq!(since("2018-06"), since("2018-06-01"));
        assert_eq!(since("1970-01-01T00:00:00Z"), Some(0));
        for text in ["nope", "now", "", "20180614T000000Z", "2018-W24-4", "1e3"] {
            assert_eq!(since(text), None, "{text}");
        }
    }

    #[test]
    fn printing_and_parsing_agree() {
        for millis in [
            0,
            -1,
            1_500_000_000_001,
            951_782_400_000,
            4_102_444_799_999,
            -62_167_219_200_000,
        ] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(iso(&time.to_string()), Some(millis), "{time}");
        }
        assert_eq!(
            Timestamp::from_millis(1_795_203_190_123).to_string(),
            "2026-11-20T19:33:10.123Z"
        );
    }
}
