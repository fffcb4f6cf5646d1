//! Numbers compared as written: exact for any digits and exponent, without floating point.

use std::cmp::Ordering;

use super::NUMBER_BYTES_MAX;

/// A number of a filter, kept as its JSON text. Two are equal if their texts are; their order is that of their values,
/// and of their texts where the values are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number {
    text: Box<str>,
    /// The value, when the text is a plain integer of at most 18 digits.
    small: Option<i64>,
}

impl Number {
    /// From JSON number text such as `12`, `-0.5` or `1e6`, of at most [`NUMBER_BYTES_MAX`]; `None` for any
    /// other text.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= NUMBER_BYTES_MAX && is_number(text)).then(|| Self {
            text: text.into(),
            small: small(text.as_bytes()),
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How the number written as `text` (JSON number text) compares to this one.
    pub(crate) fn order_of(&self, text: &[u8]) -> Ordering {
        match (small(text), self.small) {
            (Some(value), Some(limit)) => value.cmp(&limit),
            _ => compare(&Digits::of(text), &Digits::of(self.text.as_bytes())),
        }
    }

    /// Whether this is zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.order_of(b"0") == Ordering::Equal
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .order_of(self.text.as_bytes())
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether `text` is a number of JSON's grammar.
fn is_number(text: &str) -> bool {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let int = digits(rest);
    if int == 0 || int > 1 && rest.starts_with('0') {
        return false;
    }
    let mut rest = &rest[int..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = &exponent[count..];
    }
    rest.is_empty()
}

fn small(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(if negative { -value } else { value })
}

/// A number as 0.d₁d₂d₃… × 10^point, d₁ not zero.
struct Digits<'t> {
    negative: bool,
    /// Digits before the decimal point, without leading zeros.
    int: &'t [u8],
    /// Digits after it, without leading zeros if there are none before it.
    fraction: &'t [u8],
    point: i64,
}

/// Exponents beyond this count as this: no two texts of a record's size tell the difference otherwise.
const EXPONENT_MAX: i64 = 1 << 50;

impl<'t> Digits<'t> {
    fn of(text: &'t [u8]) -> Self {
        let (negative, text) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(e) => (&text[..e], exponent(&text[e + 1..])),
            None => (text, 0),
        };
        let (int, fraction) = match mantissa.iter().position(|&b| b == b'.') {
            Some(dot) => (&mantissa[..dot], &mantissa[dot + 1..]),
            None => (mantissa, &[][..]),
        };
        let zeros = |digits: &[u8]| digits.iter().take_while(|&&b| b == b'0').count();
        let int = &int[zeros(int)..];
        let mut point = int.len() as i64;
        let mut fraction = fraction;
        if int.is_empty() {
            let skipped = zeros(fraction);
            fraction = &fraction[skipped..];
            point = -(skipped as i64);
        }
        Self {
            negative,
            int,
            fraction,
            point: point + exponent,
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.int.iter().chain(self.fraction).copied()
    }

    fn is_zero(&self) -> bool {
        self.digits().all(|d| d == b'0')
    }
}

fn exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let mut value = 0_i64;
    for byte in digits {
        value = (value * 10 + i64::from(byte.wrapping_sub(b'0'))).min(EXPONENT_MAX);
    }
    if negative { -value } else { value }
}

fn compare(a: &Digits<'_>, b: &Digits<'_>) -> Ordering {
    let sign = |d: &Digits<'_>| match (d.is_zero(), d.negative) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    match (sign(a), sign(b)) {
        (0, 0) => Ordering::Equal,
        (-1, -1) => magnitude(b, a),
        (1, 1) => magnitude(a, b),
        (x, y) => x.cmp(&y),
    }
}

fn magnitude(a: &Digits<'_>, b: &Digits<'_>) -> Ordering {
    a.point.cmp(&b.point).then_with(|| {
        let (mut x, mut y) = (a.digits(), b.digits());
        loop {
            match (x.next(), y.next()) {
                (None, None) => return Ordering::Equal,
                (p, q) => match p.unwrap_or(b'0').cmp(&q.unwrap_or(b'0')) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(a: &str, b: &str) -> Ordering {
        Number::parse(b).unwrap().order_of(a.as_bytes())
    }

    #[test]
    fn numbers_compare_by_value_not_by_spelling() {
        for (a, b) in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("0.001", "1E-3"),
            ("-0", "0"),
            ("0e9", "0"),
            ("12345678901234567890", "1234567890123456789e1"),
            ("1500000", "1.5e+06"),
            ("0.10", "0.1"),
        ] {
            assert_eq!(order(a, b), Ordering::Equal, "{a} {b}");
        }
        for (less, more) in [
            ("9007199254740992", "9007199254740993"),
            ("12345678901234567890", "12345678901234567891"),
            ("0.1", "0.10000000000000000001"),
            ("-2", "-1.5"),
            ("-1e99", "1e-99"),
            ("9", "1e1"),
            ("0", "1e-999999999999999999999"),
            ("99", "1e999999999999999999999"),
        ] {
            assert_eq!(order(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(order(more, less), Ordering::Greater, "{more} {less}");
        }
    }

    #[test]
    fn only_json_numbers_are_numbers() {
        for text in ["0", "-1", "1.5", "1e5", "1E+5", "0.0e-0"] {
            assert!(Number::parse(text).is_some(), "{text}");
        }
        for text in [
            "", "-", "05", "+5", "5.", ".5", "1e", "1e+", "0x1", "1 ", "NaN", "١",
        ] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn order_agrees_with_big_integers(a in any::<i64>(), x in 0_u32..18, b in any::<i64>(), y in 0_u32..18) {
            let spell = |value: i64, places: u32| format!("{value}e-{places}");
            let scaled = |value: i64, places: u32| i128::from(value) * 10_i128.pow(18 - places);
            prop_assert_eq!(order(&spell(a, x), &spell(b, y)), scaled(a, x).cmp(&scaled(b, y)));
        }

        #[test]
        fn spelling_does_not_matter(value in any::<i32>(), places in 0_usize..12, zeros in 0_usize..4) {
            let digits = format!("{:0>13}", i64::from(value).unsigned_abs());
            let (int, fraction) = digits.split_at(13 - places);
            let sign = if value < 0 { "-" } else { "" };
            let int = match int.trim_start_matches('0') { "" => "0", int => int };
            let dot = if places + zeros > 0 { "." } else { "" };
            let plain = format!("{sign}{int}{dot}{fraction}{}", "0".repeat(zeros));
            prop_assert_eq!(order(&plain, &format!("{value}e-{places}")), Ordering::Equal, "{}", plain);
        }

        #[test]
        fn any_bytes_compare_without_panic(text in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = Number::parse("1.5").unwrap().order_of(&text);
        }
    }
}
