//! One pass over a text: grammar, depth, duplicate keys, and the index of values.

use super::value::Kind;
use crate::limits::JSON_DEPTH_MAX;

/// Why a text is not acceptable JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte of the text at which it shows.
    pub at: usize,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// The text ends before the value does.
    #[error("unexpected end of JSON")]
    End,
    /// A character that cannot stand here.
    #[error("unexpected character {0:?}")]
    Character(char),
    /// A control character inside a string.
    #[error("unescaped control character in a string")]
    Control,
    /// An escape that JSON does not know.
    #[error("invalid escape in a string")]
    Escape,
    /// A number that JSON does not allow.
    #[error("invalid number")]
    Number,
    /// A key stands twice in one object.
    #[error("duplicate key {0:?}")]
    Duplicate(String),
    /// Arrays and objects nest deeper than [`JSON_DEPTH_MAX`].
    #[error("nesting deeper than {JSON_DEPTH_MAX}")]
    Depth,
    /// Something follows the value.
    #[error("text after the JSON value")]
    Trailing,
    /// The text is 1 GiB or longer.
    #[error("text of 1 GiB or more")]
    Size,
}

/// Texts are shorter than this, so that a node's count leaves room for its kind.
const TEXT_BYTES_MAX: usize = 1 << 30;

/// Where a value lies, and how to step over it. Objects hold key, value, key, value, …
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    start: u32,
    end: u32,
    /// Index of the node behind this value's subtree.
    after: u32,
    /// Kind in the three lowest bits. Above them items or entries; for strings 1 if they have escapes.
    facts: u32,
}

/// Bits of a node's kind.
const KIND_BITS: u32 = 3;

impl Node {
    #[inline]
    pub(super) fn kind(&self) -> Kind {
        match self.facts & 7 {
            0 => Kind::Null,
            1 => Kind::Bool,
            2 => Kind::Number,
            3 => Kind::String,
            4 => Kind::Array,
            _ => Kind::Object,
        }
    }
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start as usize
    }
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.end as usize
    }
    #[inline]
    pub(super) fn after(&self) -> u32 {
        self.after
    }
    #[inline]
    pub(super) fn count(&self) -> usize {
        if self.kind() == Kind::String {
            0
        } else {
            (self.facts >> KIND_BITS) as usize
        }
    }
    /// Whether this is a string without escapes, whose characters stand in the text as they are.
    #[inline]
    pub(super) fn plain_string(&self) -> bool {
        self.facts == Kind::String as u32
    }
}

/// Objects with at most this many entries are searched for duplicate keys pair by pair.
const PAIRWISE_MAX: usize = 4;

/// Objects with at most this many entries are searched by a table on the stack, larger ones by sorting:
/// whoever makes keys meet in the table costs only this many comparisons squared.
const TABLE_MAX: usize = 64;

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    let text = simdutf8::compat::from_utf8(bytes).map_err(|e| JsonError {
        kind: JsonErrorKind::Utf8,
        at: e.valid_up_to(),
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// About so many bytes of an event make a node.
const BYTES_PER_NODE: usize = 12;

/// Most nodes that are made room for before they are met.
const NODES_RESERVED_MAX: usize = 1 << 16;

/// A key that stands twice in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The key.
    pub key: String,
    /// Byte at which it stands the second time.
    pub at: usize,
}

/// Most duplicate keys that are remembered of one text; one is enough to refuse an event.
const DUPLICATES_MAX: usize = 10_000;

/// Indexes all values of `text` into `nodes` (which is emptied first), and lists duplicate keys.
pub(super) fn index(text: &str, mut nodes: Vec<Node>) -> Result<(Vec<Node>, Vec<Duplicate>), JsonError> {
    nodes.clear();
    if text.len() >= TEXT_BYTES_MAX {
        return Err(JsonError {
            kind: JsonErrorKind::Size,
            at: 0,
        });
    }
    // Growing step by step would copy the nodes of a large batch several times over.
    nodes.reserve((text.len() / BYTES_PER_NODE).min(NODES_RESERVED_MAX));
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
        nodes,
        open: Vec::with_capacity(16),
        top: Frame::default(),
        duplicates: Vec::new(),
    };
    parser.run()?;
    Ok((parser.nodes, parser.duplicates))
}

/// A container that is still open.
#[derive(Clone, Copy, Default)]
struct Frame {
    node: u32,
    /// Items or entries so far.
    count: u32,
    object: bool,
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    /// The innermost open container; means nothing while `open` is empty.
    top: Frame,
    /// What `top` was when each open container began.
    open: Vec<Frame>,
    duplicates: Vec<Duplicate>,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), JsonError> {
        self.space();
        loop {
            if self.value()? {
                self.top.count = 1;
                continue;
            }
            // Behind a value, or where an empty container ends.
            loop {
                if self.open.is_empty() {
                    self.space();
                    return if self.at < self.bytes.len() {
                        self.fail(JsonErrorKind::Trailing)
                    } else {
                        Ok(())
                    };
                }
                match self.peek() {
                    b',' if self.top.count > 0 => {
                        self.at += 1;
                        self.space();
                        if self.top.object {
                            self.key()?;
                        }
                        self.top.count += 1;
                        break;
                    }
                    b'}' if self.top.object => self.close(),
                    b']' if !self.top.object => self.close(),
                    b' ' | b'\n' | b'\r' | b'\t' => self.space(),
                    _ => return self.unexpected(),
                }
            }
        }
    }

    /// The next byte; NUL, which no text may have outside of strings, at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Reads a scalar, or the beginning of a container; whether the container's first value is next.
    #[inline]
    fn value(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            b'"' => self.string()?,
            b'{' => {
                self.begin(Kind::Object)?;
                if self.peek() != b'}' {
                    self.key()?;
                    return Ok(true);
                }
            }
            b'[' => {
                self.begin(Kind::Array)?;
                return Ok(self.peek() != b']');
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word(b"true", Kind::Bool)?,
            b'f' => self.word(b"false", Kind::Bool)?,
            b'n' => self.word(b"null", Kind::Null)?,
            _ => return self.unexpected(),
        }
        Ok(false)
    }

    /// Reads an entry's key and its colon.
    #[inline]
    fn key(&mut self) -> Result<(), JsonError> {
        if self.peek() != b'"' {
            return self.unexpected();
        }
        self.string()?;
        self.space();
        if self.peek() != b':' {
            return self.unexpected();
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn begin(&mut self, kind: Kind) -> Result<(), JsonError> {
        if self.open.len() == JSON_DEPTH_MAX {
            return self.fail(JsonErrorKind::Depth);
        }
        self.open.push(self.top);
        self.top = Frame {
            node: self.nodes.len() as u32,
            count: 0,
            object: kind == Kind::Object,
        };
        self.push(kind, self.at, 0);
        self.at += 1;
        self.space();
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        let Frame { node, count, object } = self.top;
        let after = self.nodes.len() as u32;
        let container = &mut self.nodes[node as usize];
        container.end = self.at as u32;
        container.after = after;
        container.facts |= count << KIND_BITS;
        if object && count > 1 {
            self.unique(node as usize, count as usize);
        }
        self.top = self.open.pop().unwrap_or_default();
    }

    #[inline]
    fn push(&mut self, kind: Kind, start: usize, count: u32) {
        let after = self.nodes.len() as u32 + 1;
        self.nodes.push(Node {
            start: start as u32,
            end: self.at as u32,
            after,
            facts: kind as u32 | count << KIND_BITS,
        });
    }

    #[inline]
    fn word(&mut self, word: &'static [u8], kind: Kind) -> Result<(), JsonError> {
        let start = self.at;
        if self.bytes[start..].starts_with(word) {
            self.at += word.len();
            self.push(kind, start, 0);
            return Ok(());
        }
        while word.get(self.at - start) == self.bytes.get(self.at) {
            self.at += 1;
        }
        self.unexpected()
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fail(JsonErrorKind::Number),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            return self.fail(JsonErrorKind::Number);
        }
        self.push(Kind::Number, start, 0);
        Ok(())
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.digits();
        if self.at == start {
            self.fail(JsonErrorKind::Number)
        } else {
            Ok(())
        }
    }

    /// Reads a string whose quote is next.
    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.at += 1;
        let mut escaped = 0;
        loop {
            self.at = skip_plain(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = 1;
                    self.escape()?;
                }
                Some(_) => return self.fail(JsonErrorKind::Control),
                None => return self.fail(JsonErrorKind::End),
            }
        }
        self.at += 1;
        self.push(Kind::String, start, escaped);
        Ok(())
    }

    #[cold]
    fn escape(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return self.fail(JsonErrorKind::Escape);
                }
                self.at += 6;
            }
            Some(_) => return self.fail(JsonErrorKind::Escape),
            None => {
                self.at += 1;
                return self.fail(JsonErrorKind::End);
            }
        }
        Ok(())
    }

    /// Notes a key that stands twice in an object, comparing keys as characters.
    fn unique(&mut self, container: usize, count: usize) {
        if count <= PAIRWISE_MAX {
            let mut keys = [0_usize; PAIRWISE_MAX];
            let mut key = container + 1;
            for i in 0..count {
                keys[i] = key;
                if keys[..i].iter().any(|&other| self.same_key(other, key)) {
                    return self.duplicate(key);
                }
                key = self.nodes[key + 1].after() as usize;
            }
            return;
        }
        if count > TABLE_MAX || !self.unique_by_table(container, count) {
            self.unique_by_sorting(container, count);
        }
    }

    /// Whether no key stands twice. `false` also where a key has an escape, which the table cannot tell.
    fn unique_by_table(&self, container: usize, count: usize) -> bool {
        // Ordinals of keys, from 1, at the places their hashes say.
        let mut table = [0_u8; 2 * TABLE_MAX];
        let mut keys = [0_usize; TABLE_MAX];
        let mut key = container + 1;
        for ordinal in 0..count {
            keys[ordinal] = key;
            if !self.nodes[key].plain_string() {
                return false;
            }
            let mut place = self.hash(key);
            while let Some(earlier) = usize::from(table[place]).checked_sub(1) {
                if self.same_key(keys[earlier], key) {
                    return false;
                }
                place = (place + 1) % table.len();
            }
            // At most TABLE_MAX, so it fits.
            table[place] = ordinal as u8 + 1;
            key = self.nodes[key + 1].after() as usize;
        }
        true
    }

    fn unique_by_sorting(&mut self, container: usize, count: usize) {
        let mut keys = Vec::with_capacity(count);
        let mut key = container + 1;
        for _ in 0..count {
            keys.push((self.key_text(key), key));
            key = self.nodes[key + 1].after() as usize;
        }
        keys.sort_unstable();
        if let Some(pair) = keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let later = pair[0].1.max(pair[1].1);
            drop(keys);
            self.duplicate(later);
        }
    }

    /// A place in the table for a key without escapes.
    #[inline]
    fn hash(&self, key: usize) -> usize {
        let (start, end) = (self.nodes[key].start() + 1, self.nodes[key].end() - 1);
        let length = end - start;
        let mixed = if length >= 8 {
            self.load(start) ^ self.load(end - 8).rotate_left(23)
        } else {
            self.load(start) & ((1 << (8 * length)) - 1)
        };
        let hash = (mixed ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> (64 - (2 * TABLE_MAX).ilog2())) as usize
    }

    /// Eight bytes from a place on; zeros behind the end of the text.
    #[inline]
    fn load(&self, at: usize) -> u64 {
        match self.bytes[at..].first_chunk() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self.bytes[at..]
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        }
    }

    fn same_key(&self, a: usize, b: usize) -> bool {
        let (x, y) = (&self.nodes[a], &self.nodes[b]);
        if x.plain_string() && y.plain_string() {
            return x.end - x.start == y.end - y.start
                && self.bytes[x.start()..x.end()] == self.bytes[y.start()..y.end()];
        }
        self.key_text(a) == self.key_text(b)
    }

    fn key_text(&self, key: usize) -> std::borrow::Cow<'_, str> {
        let node = &self.nodes[key];
        let inner = &self.text[node.start() + 1..node.end() - 1];
        if node.plain_string() {
            inner.into()
        } else {
            unescape(inner).into()
        }
    }

    fn duplicate(&mut self, key: usize) {
        if self.duplicates.len() < DUPLICATES_MAX {
            let text = self.key_text(key).into_owned();
            self.duplicates.push(Duplicate {
                key: text,
                at: self.nodes[key].start(),
            });
        }
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[cold]
    fn unexpected<T>(&self) -> Result<T, JsonError> {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) => self.fail(JsonErrorKind::Character(character)),
            None => self.fail(JsonErrorKind::End),
        }
    }

    #[cold]
    fn fail<T>(&self, kind: JsonErrorKind) -> Result<T, JsonError> {
        Err(JsonError { kind, at: self.at })
    }
}

/// First byte at or after `at` that is a quote, a backslash or a control character.
#[inline]
fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the slice has 8 bytes"));
        let zero = |w: u64| w.wrapping_sub(ONES) & !w & HIGH;
        // A byte is a control character if subtracting 0x20 borrows and its high bit is clear.
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if found != 0 {
            // Borrows can only set wrong bits above the first right one, so the lowest is right.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

/// The characters of a checked string body. Lone surrogates become U+FFFD.
pub(super) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (character, length) = unescape_one(&rest[at..]);
        out.push(character);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// The character of the escape at the head of `text`, and the length of the escape.
fn unescape_one(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let high = hex4(text, 2);
            if let Some(character) = char::from_u32(high) {
                return (character, 6);
            }
            if high < 0xdc00 && text.as_bytes().get(6..8) == Some(b"\\u") {
                let low = hex4(text, 8);
                if (0xdc00..0xe000).contains(&low) {
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    return (char::from_u32(code).unwrap_or('\u{fffd}'), 12);
                }
            }
            return ('\u{fffd}', 6);
        }
        Some(&byte) => byte as char,
        None => '\u{fffd}',
    };
    (simple, 2)
}

fn hex4(text: &str, at: usize) -> u32 {
    text.get(at..at + 4)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0xd800)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Document;
    use super::*;

    fn refused(text: &str) -> JsonErrorKind {
        Document::parse(text.as_bytes()).expect_err(text).kind
    }

    #[test]
    fn values_are_views_of_the_text() {
        let text = r#" {"b": 12345678901234567890, "a": [1.0, "x\u0041\ud83d\ude00", {}, null], "c":true} "#;
        let document = Document::parse(text.as_bytes()).unwrap();
        let root = document.root();
        assert_eq!(root.raw(), text.trim());
        assert_eq!(root.get("b").unwrap().as_number(), Some("12345678901234567890"));
        let items: Vec<_> = root.get("a").unwrap().items().map(|v| v.raw()).collect();
        assert_eq!(items, ["1.0", r#""x\u0041\ud83d\ude00""#, "{}", "null"]);
        let second = root.get("a").unwrap().items().nth(1).unwrap();
        assert_eq!(second.as_str().unwrap(), "xA😀");
        assert_eq!(root.get("c").unwrap().as_bool(), Some(true));
        let keys: Vec<_> = root
            .entries()
            .map(|(k, _)| k.as_str().unwrap().into_owned())
            .collect();
        assert_eq!(keys, ["b", "a", "c"]);
    }

    #[test]
    fn faults_are_named_with_their_place() {
        assert_eq!(refused(""), JsonErrorKind::End);
        assert_eq!(refused("{\"a\":1"), JsonErrorKind::End);
        assert_eq!(refused("[1,]"), JsonErrorKind::Character(']'));
        assert_eq!(refused("{\"a\":1,}"), JsonErrorKind::Character('}'));
        assert_eq!(refused("[,1]"), JsonErrorKind::Character(','));
        assert_eq!(refused("{} x"), JsonErrorKind::Trailing);
        assert_eq!(refused("[01]"), JsonErrorKind::Number);
        assert_eq!(refused("[1.]"), JsonErrorKind::Number);
        assert_eq!(refused("\"a\nb\""), JsonErrorKind::Control);
        assert_eq!(refused("\"\\x\""), JsonErrorKind::Escape);
        assert_eq!(refused("\"\\u12\""), JsonErrorKind::Escape);
        assert_eq!(
            refused(r#"{"a":1,"\u0061":2}"#),
            JsonErrorKind::Duplicate("a".into())
        );
        assert_eq!(refused(&"[".repeat(JSON_DEPTH_MAX + 1)), JsonErrorKind::Depth);
        let fault = Document::parse(b"[1, \xff]").unwrap_err();
        assert_eq!(
            fault,
            JsonError {
                kind: JsonErrorKind::Utf8,
                at: 4
            }
        );
    }

    #[test]
    fn duplicates_are_found_in_large_objects() {
        let mut text = String::from("{");
        for i in 0..40 {
            text.push_str(&format!("\"k{i}\":{i},"));
        }
        assert!(Document::parse(format!("{text}\"z\":0}}").as_bytes()).is_ok());
        assert_eq!(
            refused(&format!("{text}\"k7\":0}}")),
            JsonErrorKind::Duplicate("k7".into())
        );
    }

    fn arbitrary_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<i32>().prop_map(|n| (f64::from(n) / 8.0).into()),
            ".{0,20}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(".{0,6}", inner, 0..20)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn rebuild(value: super::super::Value<'_>) -> serde_json::Value {
        match value.kind() {
            Kind::Object => value
                .entries()
                .map(|(k, v)| (k.as_str().unwrap().into_owned(), rebuild(v)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Kind::Array => value.items().map(rebuild).collect(),
            Kind::String => value.as_str().unwrap().into_owned().into(),
            _ => serde_json::from_str(value.raw()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_wrote(value in arbitrary_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let document = Document::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(rebuild(document.root()), value);
        }

        #[test]
        fn accepts_what_serde_json_accepts(text in r#"[\[\]{}:,"\\u0-9a-fn.eE+ -]{0,24}"#) {
            let ours = Document::parse(text.as_bytes());
            let theirs: Result<Box<serde_json::value::RawValue>, _> = serde_json::from_str(&text);
            match (&ours, &theirs) {
                (Err(e), Ok(_)) => prop_assert!(matches!(e.kind, JsonErrorKind::Duplicate(_)), "{} {:?}", text, e),
                (Ok(_), Err(e)) => prop_assert!(false, "{} {}", text, e),
                _ => {}
            }
        }

        #[test]
        fn duplicates_are_told_exactly(keys in prop::collection::vec("[ab]{0,3}|[ab]{7,10}", 0..70), escape in 0..100_usize) {
            let entries: Vec<String> = keys
                .iter()
                .enumerate()
                .map(|(i, key)| match key.strip_prefix('a') {
                    Some(rest) if i == escape => format!("\"\\u0061{rest}\":{i}"),
                    _ => format!("\"{key}\":{i}"),
                })
                .collect();
            let unique: std::collections::HashSet<&String> = keys.iter().collect();
            let text = format!("[{{{}}}]", entries.join(","));
            match Document::parse(text.as_bytes()) {
                Ok(_) => prop_assert_eq!(unique.len(), keys.len(), "{}", text),
                Err(JsonError { kind: JsonErrorKind::Duplicate(key), .. }) => {
                    prop_assert!(keys.iter().filter(|other| **other == key).count() > 1, "{} {}", text, key);
                }
                Err(other) => prop_assert!(false, "{} {}", text, other),
            }
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Document::parse(&bytes);
        }
    }
}
