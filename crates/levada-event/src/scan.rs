//! Looking for values in stored JSON text without building any.
//!
//! The scanner trusts that the text is one JSON object as intake stores it
//! ([`Flags::CHECKED`](crate::Flags::CHECKED)): valid UTF-8, valid grammar, no key twice in one object, no line break. It
//! steps over values it is not asked for many bytes at a time and does not look at their inner
//! grammar. On other bytes it still never panics and never runs past the end, but what it answers
//! then means nothing; so bytes of unknown origin go through [`Text::check`], which parses them fully first.

mod block;
mod text;

use block::{Block, escaped, first_end, parities};
pub(crate) use text::unescape;
pub use text::{Raw, Text, Unreadable};

use crate::json::Kind;
use crate::limits::JSON_DEPTH_MAX;

/// The text is not what the scanner was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// A place in trusted text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'t> {
    pub(crate) bytes: &'t [u8],
    pub(crate) at: usize,
}

/// A string in the text: where its characters lie, and whether some are written as escapes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Str<'t> {
    pub(crate) inner: &'t [u8],
    pub(crate) escaped: bool,
}

impl<'t> Cursor<'t> {
    pub(crate) fn new(bytes: &'t [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> Result<u8, Broken> {
        self.bytes.get(self.at).copied().ok_or(Broken)
    }

    /// Steps over spaces between tokens.
    #[inline(always)]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// Steps over `byte`, or fails.
    #[inline(always)]
    pub(crate) fn take(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(Broken)
        }
    }

    /// Reads the string that starts at the cursor.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Str<'t>, Broken> {
        self.take(b'"')?;
        let start = self.at;
        let (end, escaped) = string_end(self.bytes, start)?;
        self.at = end + 1;
        Ok(Str {
            inner: &self.bytes[start..end],
            escaped,
        })
    }

    /// Steps over `"key":` and the spaces around it; returns the key.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<Str<'t>, Broken> {
        let key = self.string()?;
        self.space();
        self.take(b':')?;
        self.space();
        Ok(key)
    }

    /// Steps over the value at the cursor.
    #[inline(always)]
    pub(crate) fn skip_value(&mut self) -> Result<(), Broken> {
        match self.peek()? {
            b'"' => {
                self.at = string_end(self.bytes, self.at + 1)?.0 + 1;
                Ok(())
            }
            b'{' => {
                self.at += 1;
                self.skip_rest_of_object()
            }
            b'[' => {
                self.at += 1;
                self.skip_rest_of_array()
            }
            _ => self.skip_scalar(),
        }
    }

    /// Steps over a number or word.
    #[inline(always)]
    pub(crate) fn skip_scalar(&mut self) -> Result<(), Broken> {
        let start = self.at;
        while let Some(byte) = self.bytes.get(self.at) {
            if matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r') {
                break;
            }
            self.at += 1;
        }
        if self.at == start || self.at == self.bytes.len() {
            return Err(Broken);
        }
        Ok(())
    }

    /// From inside an object (and outside strings), steps behind its closing brace.
    #[inline(never)]
    pub(crate) fn skip_rest_of_object(&mut self) -> Result<(), Broken> {
        self.skip_rest::<b'{', b'}'>()
    }

    #[inline(never)]
    fn skip_rest_of_array(&mut self) -> Result<(), Broken> {
        self.skip_rest::<b'[', b']'>()
    }

    /// In valid text only brackets of the container's own shape need counting.
    #[inline(always)]
    fn skip_rest<const OPEN: u8, const CLOSE: u8>(&mut self) -> Result<(), Broken> {
        let start = self.at;
        let mut depth = 1_u32;
        let mut inside = 0; // all ones while the block starts inside a string
        let mut short = [0; Block::SIZE];
        while self.at < self.bytes.len() {
            let block = Block::load(self.bytes, self.at, &mut short);
            let mut quotes = block.places::<b'"'>();
            if quotes != 0 {
                let slashes = block.places::<b'\\'>();
                quotes &= !escaped(slashes, is_escaped(self.bytes, start, self.at));
            }
            if quotes == 0 && inside != 0 {
                self.at += Block::SIZE; // a long string goes on
                continue;
            }
            let strings = parities(quotes) ^ inside;
            inside = ((strings as i64) >> 63) as u64;
            let closes = block.places::<CLOSE>() & !strings;
            let opens = block.places::<OPEN>() & !strings;
            let closing = closes.count_ones();
            if closing < depth {
                depth += opens.count_ones();
                depth -= closing;
                self.at += Block::SIZE;
                continue;
            }
            let mut marks = opens | closes;
            while marks != 0 {
                let mark = marks & marks.wrapping_neg();
                if opens & mark != 0 {
                    depth += 1;
                } else {
                    depth -= 1;
                    if depth == 0 {
                        self.at += mark.trailing_zeros() as usize + 1;
                        return Ok(());
                    }
                }
                marks ^= mark;
            }
            self.at += Block::SIZE;
        }
        Err(Broken)
    }

    /// The value at the cursor with its kind; the cursor moves behind it.
    pub(crate) fn value(&mut self) -> Result<Raw<'t>, Broken> {
        let start = self.at;
        let kind = kind_of(self.peek()?)?;
        self.skip_value()?;
        Ok(Raw::new(kind, &self.bytes[start..self.at]))
    }

    /// In an object: moves to the value of `key`. Leaves the cursor behind the object and returns
    /// false when the object does not have it. The cursor stands at the object's brace.
    pub(crate) fn enter(&mut self, key: &str) -> Result<bool, Broken> {
        self.take(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(false);
        }
        loop {
            if self.key()?.is(key) {
                return Ok(true);
            }
            self.skip_value()?;
            if !self.next_entry(b'}')? {
                return Ok(false);
            }
        }
    }

    /// Behind an entry: steps over the comma (true) or the closing byte (false).
    #[inline(always)]
    pub(crate) fn next_entry(&mut self, close: u8) -> Result<bool, Broken> {
        self.space();
        match self.peek()? {
            b',' => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(Broken),
        }
    }
}

impl Str<'_> {
    /// Whether the string's characters are `text`.
    #[inline]
    pub(crate) fn is(self, text: &str) -> bool {
        if self.escaped {
            text::unescape(self.inner) == text
        } else {
            self.inner == text.as_bytes()
        }
    }
}

/// The kind of value that starts with `byte`.
#[inline(always)]
pub(crate) fn kind_of(byte: u8) -> Result<Kind, Broken> {
    Ok(match byte {
        b'"' => Kind::String,
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        b't' | b'f' => Kind::Bool,
        b'n' => Kind::Null,
        b'-' | b'0'..=b'9' => Kind::Number,
        _ => return Err(Broken),
    })
}

/// Deepest nesting that functions recursing over text follow; what intake accepted is within it.
pub(crate) const NESTING_MAX: usize = JSON_DEPTH_MAX;

/// The closing quote of the string whose characters start at `start`, and whether it has escapes.
#[inline(always)]
fn string_end(bytes: &[u8], start: usize) -> Result<(usize, bool), Broken> {
    /// Keys and most values end within this many bytes.
    const NEAR: usize = 48;
    let mut at = start;
    while at < start + NEAR {
        let Some(near) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) else {
            break;
        };
        if let Some(end) = first_end(near) {
            let place = at + end;
            if bytes[place] == b'"' {
                return Ok((place, false));
            }
            return Ok((long_string_end(bytes, start, place)?.0, true));
        }
        at += 16;
    }
    long_string_end(bytes, start, at)
}

/// The same from `at` on, where the string has not ended before.
#[inline(never)]
fn long_string_end(bytes: &[u8], start: usize, mut at: usize) -> Result<(usize, bool), Broken> {
    let mut any = false;
    let mut short = [0; Block::SIZE];
    while at < bytes.len() {
        let block = Block::load(bytes, at, &mut short);
        let slashes = block.places::<b'\\'>();
        let quotes = block.places::<b'"'>();
        if slashes != 0 {
            // The quote that ends the string may stand before all of them: then they are another's.
            any |= slashes.trailing_zeros() < quotes.trailing_zeros();
        }
        if quotes != 0 {
            let ends = quotes & !escaped(slashes, is_escaped(bytes, start, at));
            if ends != 0 {
                return Ok((at + ends.trailing_zeros() as usize, any));
            }
        }
        at += Block::SIZE;
    }
    Err(Broken)
}

/// Whether an odd number of backslashes stands right before `at`, none of them before `start`.
#[inline(always)]
fn is_escaped(bytes: &[u8], start: usize, at: usize) -> bool {
    at > start && bytes[at - 1] == b'\\' && odd_slashes(&bytes[start..at])
}

#[inline(never)]
fn odd_slashes(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow_string_end(bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            match bytes.get(at)? {
                b'"' => return Some(at),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    proptest! {
        #[test]
        fn strings_end_at_the_first_unescaped_quote(
            parts in prop::collection::vec(prop_oneof![
                6 => "[a-z]{1,40}", 2 => r"\\{1,70}", 1 => Just("\\\"".to_owned()), 1 => Just("\"".to_owned()),
            ], 0..12)
        ) {
            let text = parts.concat();
            let end = slow_string_end(text.as_bytes());
            prop_assert_eq!(string_end(text.as_bytes(), 0).ok().map(|e| e.0), end);
            let quoted = format!("\"{text}");
            let read = Cursor::new(quoted.as_bytes()).string();
            prop_assert_eq!(read.ok().map(|s| s.inner), end.map(|end| &text.as_bytes()[..end]));
            if let (Ok(string), Some(end)) = (read, end) {
                prop_assert_eq!(string.escaped, text[..end].contains('\\'));
            }
        }

        #[test]
        fn containers_end_where_serde_json_says(
            parts in prop::collection::vec(prop_oneof![
                Just(r#""a\"}]{[\\""#.to_owned()), Just("{}".to_owned()), Just("[[],{}]".to_owned()), "[1-9]{1,9}",
                r#""[a-z{}\[\]]{0,90}""#, r#""(\\\\|\\"|[{}\[\]]){0,70}""#, Just(r#"{"a":{"b":[{}]}}"#.to_owned()),
            ], 0..20), tail in "[\\]},{\\[ ]{0,5}"
        ) {
            let array = format!("[{}]", parts.join(","));
            let object = format!("{{\"x\":{array}}}");
            for whole in [array, object] {
                let text = format!("{whole}{tail}");
                let mut cursor = Cursor::new(text.as_bytes());
                cursor.skip_value().unwrap();
                prop_assert_eq!(cursor.at, whole.len());
                prop_assert!(Cursor::new(&whole.as_bytes()[..whole.len() - 1]).skip_value().is_err());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut cursor = Cursor::new(&bytes);
            let _ = cursor.value();
            let _ = Cursor::new(&bytes).enter("a");
        }
    }
}
