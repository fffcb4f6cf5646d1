//! Characters that some clients take for line ends although JSON allows them raw in strings.
//!
//! Python's `splitlines`, which the Realtime API's Python client and readers of EventStreams read with, splits at U+2028, U+2029
//! and U+0085 (contract realtime §5.2, case 41); the other characters it splits at are control
//! characters, which JSON forbids raw. In valid JSON the three stand only inside strings, so they may be
//! written as escapes wherever they occur. U+007F splits nothing and stays.

use std::borrow::Cow;

/// `text` with U+2028, U+2029 and U+0085 written as `\u2028`, `\u2029` and `\u0085`. Copies only if there are any.
pub fn escape_separators(text: &[u8]) -> Cow<'_, [u8]> {
    match find(text, 0) {
        None => Cow::Borrowed(text),
        Some(first) => {
            let mut out = Vec::with_capacity(text.len() + 64);
            escape_into(text, first, &mut out);
            Cow::Owned(out)
        }
    }
}

/// Whether there is anything in `text` for [`escape_separators`] to do.
pub fn has_separators(text: &[u8]) -> bool {
    find(text, 0).is_some()
}

/// The same for what `out` holds from `start` on, in place.
pub(crate) fn escape_separators_from(out: &mut Vec<u8>, start: usize) {
    let Some(first) = find(out, start) else { return };
    let tail = out.split_off(first);
    escape_into(&tail, 0, out);
}

fn escape_into(text: &[u8], first: usize, out: &mut Vec<u8>) {
    let mut plain = 0;
    let mut next = Some(first);
    while let Some(at) = next {
        out.extend_from_slice(&text[plain..at]);
        let (escape, length): (&[u8], _) = match text[at..] {
            [0xc2, ..] => (b"\\u0085", 2),
            [_, _, 0xa8, ..] => (b"\\u2028", 3),
            _ => (b"\\u2029", 3),
        };
        out.extend_from_slice(escape);
        plain = at + length;
        next = find(text, plain);
    }
    out.extend_from_slice(&text[plain..]);
}

/// Where the first of the three characters at or after `at` begins.
fn find(text: &[u8], at: usize) -> Option<usize> {
    memchr::memchr2_iter(0xe2, 0xc2, &text[at..])
        .map(|found| at + found)
        .find(|&i| match text[i..] {
            [0xe2, 0x80, c, ..] => c & 0xfe == 0xa8,
            [0xc2, c, ..] => c == 0x85,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_without_them_is_not_copied() {
        let text = "{\"a\":\"é – … \u{7f} \u{a0} \u{2027}\u{202a}\u{86}\"}".repeat(9);
        assert!(matches!(escape_separators(text.as_bytes()), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn all_and_only_they_are_escaped(
            parts in prop::collection::vec(prop_oneof![
                2 => Just("\u{2028}"), 2 => Just("\u{2029}"), 2 => Just("\u{85}"), 1 => Just("\u{2020}"), 1 => Just("\u{84}"),
                1 => Just("x"), 1 => Just("é"), 1 => Just("0123456789012345678901234567890123456789012345678901234567890"),
            ], 0..30), before in 0_usize..5
        ) {
            let text = parts.concat();
            let expected = text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").replace('\u{85}', "\\u0085");
            let escaped = escape_separators(text.as_bytes());
            prop_assert_eq!(has_separators(text.as_bytes()), text != expected);
            prop_assert_eq!(&*escaped, expected.as_bytes());
            let kept = "\u{85}".repeat(before);
            let mut out = format!("{kept}{text}").into_bytes();
            escape_separators_from(&mut out, kept.len());
            prop_assert_eq!(out, format!("{kept}{expected}").into_bytes());
        }

        #[test]
        fn any_bytes_pass(bytes in prop::collection::vec(prop_oneof![Just(0xe2), Just(0x80), Just(0xa8), Just(0xc2), any::<u8>()], 0..150)) {
            let _ = escape_separators(&bytes);
        }
    }
}
