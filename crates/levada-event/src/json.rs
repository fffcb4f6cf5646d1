//! JSON text, checked and indexed without being copied or rewritten.
//!
//! [`Document::parse`] checks a whole text (grammar, UTF-8, depth, duplicate keys) and remembers
//! where every value lies. Values are views into the text: numbers keep their digits, objects
//! their key order, strings their escapes.

mod parse;
mod value;

pub use parse::{JsonError, JsonErrorKind};
pub use value::{Document, Entries, Items, Kind, Recycled, Value};

/// Writes `text` as a JSON string with quotes, escaping only what JSON requires.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(b"00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        plain = i + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// Removes line breaks and tabs between tokens, so that the text fits on one line. Everything else,
/// also spaces between tokens, stays. Returns how many bytes were dropped before byte `mark`.
pub fn push_one_line(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if memchr::memchr3(b'\n', b'\r', b'\t', bytes).is_none() {
        out.extend_from_slice(bytes);
        return;
    }
    // Checked JSON has no raw control characters inside strings, so every one lies between tokens.
    out.extend(
        bytes
            .iter()
            .copied()
            .filter(|b| !matches!(b, b'\n' | b'\r' | b'\t')),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_requires() {
        let mut out = Vec::new();
        write_string(&mut out, "a\"b\\c\n\u{1}é\u{2028}");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a\\\"b\\\\c\\n\\u0001é\u{2028}\""
        );
    }

    #[test]
    fn one_line_keeps_spaces_and_drops_breaks() {
        let mut out = Vec::new();
        push_one_line(&mut out, "{\r\n\t\"a\": 1\n}");
        assert_eq!(out, b"{\"a\": 1}");
    }
}
