//! Checks of `format` as events of the platform need them (contract eventplatform §2.6).
//!
//! They accept what ajv's fast mode accepts, because real events depend on it: URIs with letters of
//! any script, a space between date and time. Only moments that no calendar has are refused, unless
//! [`Compat::lax_formats`] says otherwise.

use levada_event::Timestamp;

use crate::Compat;

type Check = fn(&str) -> bool;

/// The checks that replace or add to the validator's own.
pub(super) fn checks(compat: &Compat) -> [(&'static str, Check); 10] {
    let (date_time, date): (Check, Check) = if compat.lax_formats {
        (lax_date_time, lax_date)
    } else {
        (date_time, date)
    };
    [
        ("date-time", date_time),
        ("date", date),
        ("time", time),
        ("uri", uri),
        ("uri-reference", uri_reference),
        ("url", url),
        ("uuid", uuid),
        ("json-pointer", json_pointer),
        ("json-pointer-uri-fragment", json_pointer_uri_fragment),
        ("relative-json-pointer", relative_json_pointer),
    ]
}

fn date_time(text: &str) -> bool {
    if let Some(known) = usual_date_time(text.as_bytes()) {
        return known;
    }
    lax_date_time(text) && Timestamp::parse_iso(text).is_some()
}

/// The verdict on a text of the usual spelling, `YYYY-MM-DDThh:mm:ss[.fraction]Z`; `None` for others.
#[inline]
fn usual_date_time(text: &[u8]) -> Option<bool> {
    let (last, text) = text.split_last()?;
    let (head, fraction) = text.split_first_chunk::<19>()?;
    let marks =
        head[4] == b'-' && head[7] == b'-' && head[10] == b'T' && head[13] == b':' && head[16] == b':';
    if *last != b'Z' || !marks {
        return None;
    }
    let two = |at: usize| {
        let (tens, ones) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
        if tens > 9 || ones > 9 {
            u8::MAX
        } else {
            tens * 10 + ones
        }
    };
    let (month, day) = (two(5), two(8));
    let (first, second) = (two(0), two(2));
    let fraction = match fraction.split_first() {
        None => true,
        Some((b'.', digits)) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    // Days that some years lack, leap seconds and faults are for the thorough way.
    let usual = first < 100 && second < 100 && matches!(month, 1..=12) && matches!(day, 1..=28);
    (usual && fraction && two(11) < 24 && two(14) < 60 && two(17) < 60).then_some(true)
}

fn date(text: &str) -> bool {
    lax_date(text) && Timestamp::parse_iso(text).is_some()
}

/// Consumes one byte that satisfies `test`.
fn one(text: &[u8], test: impl Fn(u8) -> bool) -> Option<&[u8]> {
    text.split_first()
        .filter(|(first, _)| test(**first))
        .map(|(_, rest)| rest)
}

fn digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// `dddd-[01]d-[0-3]d`
fn lax_date_at(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    for _ in 0..4 {
        rest = one(rest, digit)?;
    }
    rest = one(rest, |b| b == b'-')?;
    rest = one(rest, |b| matches!(b, b'0' | b'1'))?;
    rest = one(rest, digit)?;
    rest = one(rest, |b| b == b'-')?;
    rest = one(rest, |b| matches!(b, b'0'..=b'3'))?;
    one(rest, digit)
}

/// `[0-2]d:[0-5]d:[0-5]d` or `23:59:60`, and a fraction.
fn lax_time_at(text: &[u8]) -> Option<&[u8]> {
    let mut rest = match text.strip_prefix(b"23:59:60") {
        Some(rest) => rest,
        None => {
            let mut rest = one(text, |b| matches!(b, b'0'..=b'2'))?;
            rest = one(rest, digit)?;
            for _ in 0..2 {
                rest = one(rest, |b| b == b':')?;
                rest = one(rest, |b| matches!(b, b'0'..=b'5'))?;
                rest = one(rest, digit)?;
            }
            rest
        }
    };
    if let Some(fraction) = one(rest, |b| b == b'.') {
        rest = one(fraction, digit)?;
        while let Some(next) = one(rest, digit) {
            rest = next;
        }
    }
    Some(rest)
}

/// `Z`, `z`, `±hh`, `±hhmm` or `±hh:mm`, and nothing behind it.
fn zone(text: &[u8]) -> bool {
    match text {
        [b'z' | b'Z'] => true,
        [b'+' | b'-', digits @ ..] => match digits {
            [a, b] => [a, b].into_iter().all(|d| digit(*d)),
            [a, b, c, d] | [a, b, b':', c, d] => [a, b, c, d].into_iter().all(|d| digit(*d)),
            _ => false,
        },
        _ => false,
    }
}

fn lax_date_time(text: &str) -> bool {
    let Some(rest) = lax_date_at(text.as_bytes()) else {
        return false;
    };
    // All kinds of space, so by characters; the date before it is ASCII.
    let mut rest = text[text.len() - rest.len()..].chars();
    if !rest.next().is_some_and(|c| matches!(c, 'T' | 't') || space(c)) {
        return false;
    }
    lax_time_at(rest.as_str().as_bytes()).is_some_and(zone)
}

fn lax_date(text: &str) -> bool {
    lax_date_at(text.as_bytes()).is_some_and(<[u8]>::is_empty)
}

fn time(text: &str) -> bool {
    lax_time_at(text.as_bytes()).is_some_and(|rest| rest.is_empty() || zone(rest))
}

fn space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Whether there is no space in a text.
fn solid(text: &str) -> bool {
    if text.is_ascii() {
        !text.bytes().any(|b| matches!(b, b' ' | 0x09..=0x0d))
    } else {
        !text.chars().any(space)
    }
}

fn uri(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    named && solid(text)
}

fn uri_reference(text: &str) -> bool {
    let fragment = text.split_once('#').map_or("", |(_, fragment)| fragment);
    solid(text) && !text.starts_with('\\') && !fragment.contains('\\')
}

fn url(text: &str) -> bool {
    let rest = ["http://", "https://", "ftp://"].iter().find_map(|scheme| {
        text.get(..scheme.len())
            .filter(|s| s.eq_ignore_ascii_case(scheme))
            .map(|s| s.len())
    });
    rest.is_some_and(|at| !text[at..].starts_with(['/', '?', '#']) && text.len() > at) && solid(text)
}

fn uuid(text: &str) -> bool {
    let text = match text.get(..9) {
        Some(prefix) if prefix.eq_ignore_ascii_case("urn:uuid:") => &text[9..],
        _ => text,
    };
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn json_pointer(text: &str) -> bool {
    let mut rest = text.as_bytes();
    if !rest.is_empty() && rest[0] != b'/' {
        return false;
    }
    while let Some(tilde) = rest.iter().position(|byte| *byte == b'~') {
        if !matches!(rest.get(tilde + 1), Some(b'0' | b'1')) {
            return false;
        }
        rest = &rest[tilde + 1..];
    }
    true
}

fn json_pointer_uri_fragment(text: &str) -> bool {
    let Some(pointer) = text.strip_prefix('#') else {
        return false;
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!$&'()*+,:;=@/~%".contains(&b);
    let bytes = pointer.as_bytes();
    let encoded = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(at, _)| {
            bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        });
    encoded && pointer.bytes().all(plain) && json_pointer(pointer)
}

fn relative_json_pointer(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (up, rest) = text.split_at(digits);
    digits > 0 && (up == "0" || !up.starts_with('0')) && (rest == "#" || json_pointer(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: Check, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text), "{text}");
        }
        for text in bad {
            assert!(!check(text), "{text}");
        }
    }

    #[test]
    fn date_times_come_in_many_spellings() {
        let good = [
            "2020-01-02T03:04:05Z",
            "2020-01-02t03:04:05z",
            "2020-01-02 03:04:05.123+0100",
            "2020-01-02T03:04:05+01:00",
            "2020-01-02T03:04:05-01",
            "2016-12-31T23:59:60Z",
        ];
        let bad = [
            "notadate",
            "2020-01-02",
            "2020-01-02T03:04Z",
            "2020-01-02T03:04:05",
            "2020-01-02X03:04:05Z",
            "2020-01-02T03:04:05.Z",
            "2020-01-02T03:04:05+1",
            "2020-01-02T03:04:05ZZ",
            "2020-01-02T03:60:05Z",
            "",
        ];
        let of_no_calendar = [
            "2020-13-39T29:00:00Z",
            "2021-02-29T00:00:00Z",
            "2020-00-01T00:00:00Z",
            "2020-01-01T25:00:00Z",
        ];
        all(lax_date_time, &good, &bad);
        all(lax_date_time, &of_no_calendar, &[]);
        all(date_time, &good, &bad);
        all(date_time, &[], &of_no_calendar);
        all(
            date,
            &["2020-02-29"],
            &["2021-02-29", "2020-1-1", "2020-01-01T00:00:00Z"],
        );
        all(lax_date, &["2020-19-39"], &["2020-20-01"]);
        all(
            time,
            &["03:04:05", "03:04:05Z", "23:59:60.5+01"],
            &["3:04:05", "03:04", "03:04:05 "],
        );
    }

    #[test]
    fn uris_may_have_letters_of_any_script() {
        all(
            uri,
            &["https://ru.wikipedia.org/wiki/Привет", "a:", "urn:x"],
            &["a", "https://a b", ":x", "1:x", ""],
        );
        all(
            uri_reference,
            &["", "/wiki/Ü", "//h/x", "a#b", "https://x/y?z#ä", "a\\b"],
            &["a b", "\\x", "a#\\", "a\u{a0}b"],
        );
        all(
            url,
            &["https://a", "HTTP://a/b"],
            &["https://", "a", "https:///x", "https://a b", "é"],
        );
    }

    #[test]
    fn identifiers_and_pointers() {
        let id = "b0caf18d-6c7f-4403-947d-2712bbe28610";
        all(
            uuid,
            &[id, "urn:uuid:B0CAF18D-6c7f-4403-947d-2712bbe28610"],
            &["b0caf18d6c7f4403947d2712bbe28610", "é"],
        );
        all(json_pointer, &["", "/", "/a~0~1/b"], &["a", "/~", "/~2"]);
        all(
            json_pointer_uri_fragment,
            &["#", "#/a%20b"],
            &["", "#/a b", "#/%2", "#/é"],
        );
        all(
            relative_json_pointer,
            &["0", "1/a", "10#"],
            &["", "01", "/a", "1a"],
        );
    }
}
