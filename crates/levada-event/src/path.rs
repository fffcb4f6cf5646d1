//! Field paths: how filters and projections name a place in an event.
//!
//! `meta.domain` names the entry `domain` of the object `meta`; arrays on the way are passed through,
//! so `categories.name` names the name of every category. A key that holds a dot, colon, comma, star,
//! quote or backslash is quoted: `labels."zh-hans:x"` (inside quotes `\"` and `\\` stand for
//! the characters). A last `.*` says "the whole object". Keys are compared exactly.

use std::fmt;

/// Longest path text in bytes; the Realtime API takes fields of at most 255 characters
/// (contract realtime §1.3), which is 4 bytes each at most.
pub const PATH_BYTES_MAX: usize = 1020;

/// Most keys in a path. The deepest path of the Article schema has 6; walking a path recurses per key.
pub const PATH_KEYS_MAX: usize = 32;

/// Why a text is no field path. The messages name the place and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing stands where a key is expected.
    #[error("a key is missing at byte {at} of the field path '{path}': write keys joined by single dots")]
    MissingKey {
        /// The path as given.
        path: String,
        /// Byte of the path.
        at: usize,
    },
    /// `*` stands somewhere else than as the last key.
    #[error(
        "'*' at byte {at} of the field path '{path}' may only stand last, as in 'meta.*'; quote a key that contains it"
    )]
    Wildcard {
        /// The path as given.
        path: String,
        /// Byte of the path.
        at: usize,
    },
    /// A quote or backslash inside an unquoted key, an unclosed quote, or text right behind one.
    #[error("bad quoting at byte {at} of the field path '{path}': quote a whole key as in 'a.\"b.c\"'")]
    Quote {
        /// The path as given.
        path: String,
        /// Byte of the path.
        at: usize,
    },
    /// More than [`PATH_BYTES_MAX`] bytes.
    #[error("a field path has at most {PATH_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// More than [`PATH_KEYS_MAX`] keys.
    #[error("a field path has at most {PATH_KEYS_MAX} keys, this one has {0}")]
    TooDeep(usize),
    /// A path that has to name one field names a whole object.
    #[error("the field path '{0}' must not end in '*' here: name one field")]
    NotAField(String),
}

/// A parsed field path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath {
    keys: Box<[Box<str>]>,
    wildcard: bool,
}

impl FieldPath {
    /// Parses a path such as `meta.domain`, `a."b.c"`, `meta.*` or `*` (the whole event).
    ///
    /// # Errors
    /// [`PathError`] names the fault and its place.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (path, end) = Self::parse_until(text, |_| false)?;
        debug_assert_eq!(end, text.len(), "without a stop the whole text is the path");
        Ok(path)
    }

    /// A path of keys taken as they are.
    ///
    /// # Errors
    /// [`PathError`] when there is no key, or too many or too long ones.
    pub fn from_keys<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, PathError> {
        let keys: Vec<Box<str>> = keys.into_iter().map(Box::from).collect();
        let path = Self::bounded(keys, false)?;
        if path.keys.is_empty() {
            return Err(PathError::MissingKey {
                path: String::new(),
                at: 0,
            });
        }
        Ok(path)
    }

    /// Parses the path at the start of `text` up to an unquoted character for which `stop` holds.
    /// Returns the path and the byte at which it stopped.
    pub(crate) fn parse_until(text: &str, stop: impl Fn(char) -> bool) -> Result<(Self, usize), PathError> {
        let mut reader = Reader { text, at: 0 };
        let mut keys = Vec::new();
        let mut wildcard = false;
        loop {
            let start = reader.at;
            let (key, quoted) = reader.key(&stop)?;
            if wildcard {
                return Err(reader.wildcard(start - 2)); // the star before this key's dot
            }
            if key == "*" && !quoted {
                wildcard = true;
            } else {
                keys.push(key.into_boxed_str());
            }
            if reader.peek() != Some('.') {
                break;
            }
            reader.at += 1;
        }
        if reader.at > PATH_BYTES_MAX {
            return Err(PathError::TooLong(reader.at));
        }
        Ok((Self::bounded(keys, wildcard)?, reader.at))
    }

    fn bounded(keys: Vec<Box<str>>, wildcard: bool) -> Result<Self, PathError> {
        let bytes = keys.iter().map(|key| key.len() + 1).sum::<usize>();
        if bytes > PATH_BYTES_MAX + 1 {
            return Err(PathError::TooLong(bytes));
        }
        if keys.len() > PATH_KEYS_MAX {
            return Err(PathError::TooDeep(keys.len()));
        }
        Ok(Self {
            keys: keys.into(),
            wildcard,
        })
    }

    /// The keys from the outermost object inwards, without the `*`.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.keys.iter().map(|key| &**key)
    }

    /// Number of keys, without the `*`; 0 for `*` alone.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the path is `*`: the whole event.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The same path with a `*` at its end, since for a projection `a` and `a.*` are one thing.
    pub(crate) fn widened(self) -> Self {
        Self {
            wildcard: true,
            ..self
        }
    }

    /// Whether this path names `outer` or something within it.
    pub(crate) fn starts_with(&self, outer: &Self) -> bool {
        self.keys.starts_with(&outer.keys)
    }

    /// Whether the path ends in `*`.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }
}

impl std::str::FromStr for FieldPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// Writes the path so that [`FieldPath::parse`] reads it back.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, key) in self.keys.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            if key.is_empty() || key.starts_with('!') || key.contains(['.', ':', ',', '*', '"', '\\']) {
                write!(f, "\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))?;
            } else {
                f.write_str(key)?;
            }
        }
        match (self.wildcard, self.keys.is_empty()) {
            (true, true) => f.write_str("*"),
            (true, false) => f.write_str(".*"),
            _ => Ok(()),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    /// One key, and whether it was quoted.
    fn key(&mut self, stop: &impl Fn(char) -> bool) -> Result<(String, bool), PathError> {
        let start = self.at;
        if self.peek() == Some('"') {
            let key = self.quoted()?;
            return match self.peek() {
                Some(c) if c != '.' && !stop(c) => Err(self.quote(self.at)),
                _ => Ok((key, true)),
            };
        }
        while let Some(c) = self.peek().filter(|&c| c != '.' && !stop(c)) {
            match c {
                '"' | '\\' => return Err(self.quote(self.at)),
                _ => self.at += c.len_utf8(),
            }
        }
        match &self.text[start..self.at] {
            "" => Err(PathError::MissingKey {
                path: self.text.to_owned(),
                at: start,
            }),
            "*" => Ok(("*".to_owned(), false)),
            key => match key.find('*') {
                Some(star) => Err(self.wildcard(start + star)),
                None => Ok((key.to_owned(), false)),
            },
        }
    }

    fn quoted(&mut self) -> Result<String, PathError> {
        let open = self.at;
        self.at += 1;
        let mut key = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(key),
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '\\')) => {
                        key.push(escaped);
                        self.at += 1;
                    }
                    _ => return Err(self.quote(self.at - 1)),
                },
                _ => key.push(c),
            }
        }
        Err(self.quote(open))
    }

    fn quote(&self, at: usize) -> PathError {
        PathError::Quote {
            path: self.text.to_owned(),
            at,
        }
    }

    fn wildcard(&self, at: usize) -> PathError {
        PathError::Wildcard {
            path: self.text.to_owned(),
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> Vec<String> {
        FieldPath::parse(text)
            .unwrap()
            .keys()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn paths_are_keys_between_dots() {
        assert_eq!(keys("meta.domain"), ["meta", "domain"]);
        assert_eq!(keys("$schema"), ["$schema"]);
        assert_eq!(keys(r#"a."b.c"."d\"\\""#), ["a", "b.c", "d\"\\"]);
        assert_eq!(keys("a b.c"), ["a b", "c"]);
        let wide = FieldPath::parse("meta.*").unwrap();
        assert!(wide.is_wildcard() && wide.len() == 1);
        let all = FieldPath::parse("*").unwrap();
        assert!(all.is_wildcard() && all.is_empty());
        assert_eq!(keys(r#"a."*""#), ["a", "*"]);
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let fault = |text: &str| FieldPath::parse(text).unwrap_err().to_string();
        assert_eq!(
            fault(""),
            "a key is missing at byte 0 of the field path '': write keys joined by single dots"
        );
        assert!(fault("a..b").contains("missing at byte 2"));
        assert!(fault("a.").contains("missing at byte 2"));
        assert!(fault("event.*.*").contains("'*' at byte 6"));
        assert!(fault("*.a").contains("'*' at byte 0"));
        assert!(fault("a*").contains("'*' at byte 1"));
        assert!(fault("a\"b\"").contains("bad quoting at byte 1"));
        assert!(fault("a.\"b").contains("bad quoting at byte 2"));
        assert!(fault("\"a\"b").contains("bad quoting at byte 3"));
        assert!(fault("\"a\\n\"").contains("bad quoting at byte 2"));
        assert!(fault(&"a".repeat(1021)).contains("at most 1020 bytes"));
        assert!(fault(&["a"; 33].join(".")).contains("at most 32 keys"));
        assert!(FieldPath::from_keys([]).is_err());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(keys in prop::collection::vec(".{0,6}", 1..4), wildcard: bool) {
            let path = FieldPath { keys: keys.iter().map(|k| k.as_str().into()).collect(), wildcard };
            prop_assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,40}") {
            let _ = FieldPath::parse(&text);
        }
    }
}
