//! The indexed document and views of its values.

use std::borrow::Cow;

use super::parse::{self, Duplicate, JsonError, JsonErrorKind, Node};

/// The JSON type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `null`
    Null = 0,
    /// `true` or `false`
    Bool = 1,
    /// A number.
    Number = 2,
    /// A string.
    String = 3,
    /// An array.
    Array = 4,
    /// An object.
    Object = 5,
}

/// A checked JSON text with the places of all its values.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    duplicates: Vec<Duplicate>,
}

impl<'t> Document<'t> {
    /// Checks `bytes` as one JSON text: UTF-8, the grammar of RFC 8259 (a byte order mark before it
    /// is skipped), nesting of at most [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX), no key
    /// twice in one object.
    ///
    /// # Errors
    /// [`JsonError`] with the byte where the text stops being acceptable.
    pub fn parse(bytes: &'t [u8]) -> Result<Self, JsonError> {
        Self::parse_with(bytes, Recycled::default())
    }

    /// Like [`parse`](Self::parse), reusing the allocation of an earlier document.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(bytes: &'t [u8], earlier: Recycled) -> Result<Self, JsonError> {
        let mut document = Self::parse_batch(bytes, earlier)?;
        match document.duplicates.pop() {
            Some(twice) => Err(JsonError {
                kind: JsonErrorKind::Duplicate(twice.key),
                at: twice.at,
            }),
            None => Ok(document),
        }
    }

    /// Like [`parse_with`](Self::parse_with), but a key that stands twice does not condemn the whole
    /// text: ask [`duplicate_in`](Self::duplicate_in) for each part.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), except for duplicate keys.
    pub fn parse_batch(bytes: &'t [u8], earlier: Recycled) -> Result<Self, JsonError> {
        let text = parse::utf8(bytes)?;
        let (nodes, duplicates) = parse::index(text, earlier.0)?;
        Ok(Self {
            text,
            nodes,
            duplicates,
        })
    }

    /// A key that stands twice in one object within `value`, if there is one.
    pub fn duplicate_in(&self, value: Value<'_>) -> Option<&str> {
        let within = |twice: &&Duplicate| (value.start()..value.end()).contains(&twice.at);
        self.duplicates
            .iter()
            .find(within)
            .map(|twice| twice.key.as_str())
    }

    /// The outermost value.
    #[inline]
    pub fn root(&self) -> Value<'_> {
        Value {
            document: self,
            at: 0,
        }
    }

    /// Gives the allocation back for the next document.
    pub fn recycle(mut self) -> Recycled {
        self.nodes.clear();
        Recycled(self.nodes)
    }
}

/// The allocation of a document that is no longer needed.
#[derive(Debug, Default)]
pub struct Recycled(Vec<Node>);

/// A value in a [`Document`].
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    at: u32,
}

impl<'d> Value<'d> {
    #[inline]
    fn node(self) -> &'d Node {
        &self.document.nodes[self.at as usize]
    }

    #[inline]
    fn sibling(self, at: u32) -> Self {
        Self { at, ..self }
    }

    /// What stands between the quotes, if this is a string without escapes.
    #[inline]
    fn plain(self) -> Option<&'d str> {
        let node = self.node();
        if node.plain_string() {
            Some(&self.document.text[node.start() + 1..node.end() - 1])
        } else {
            None
        }
    }

    /// The value's JSON type.
    #[inline]
    pub fn kind(self) -> Kind {
        self.node().kind()
    }

    /// A number that tells this value from all others of its document.
    #[inline]
    pub fn index(self) -> usize {
        self.at as usize
    }

    /// Address of the document, to tell values of different documents apart.
    #[inline]
    pub fn document(self) -> usize {
        self.document.nodes.as_ptr().addr()
    }

    /// First byte of the value in the document's text.
    #[inline]
    pub fn start(self) -> usize {
        self.node().start()
    }

    /// Byte behind the value in the document's text.
    #[inline]
    pub fn end(self) -> usize {
        self.node().end()
    }

    /// The value's own text, as written.
    #[inline]
    pub fn raw(self) -> &'d str {
        &self.document.text[self.start()..self.end()]
    }

    /// Number of items of an array or entries of an object; 0 for everything else.
    #[inline]
    pub fn len(self) -> usize {
        self.node().count()
    }

    /// Whether [`len`](Self::len) is 0.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The string's characters, borrowed unless it has escapes. A lone surrogate escape reads as
    /// U+FFFD (the text itself keeps it).
    #[inline]
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        match self.plain() {
            Some(plain) => Some(Cow::Borrowed(plain)),
            None => self.unescaped(),
        }
    }

    #[cold]
    fn unescaped(self) -> Option<Cow<'d, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        let inner = &self.document.text[self.start() + 1..self.end() - 1];
        Some(Cow::Owned(parse::unescape(inner)))
    }

    /// Whether this is a string equal to `text`.
    #[inline]
    pub fn is_str(self, text: &str) -> bool {
        let node = self.node();
        if node.plain_string() {
            return node.end() - node.start() == text.len() + 2
                && self.document.text.as_bytes()[node.start() + 1..node.end() - 1] == *text.as_bytes();
        }
        self.unescaped().is_some_and(|own| own == text)
    }

    /// The boolean.
    #[inline]
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == "true")
    }

    /// The number's text.
    #[inline]
    pub fn as_number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// The entry with this key, if this is an object that has it.
    #[inline]
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        if self.kind() != Kind::Object {
            return None;
        }
        self.entries().find(|(k, _)| k.is_str(key)).map(|(_, v)| v)
    }

    /// The value at a path of keys.
    pub fn at_path<'k>(self, path: impl IntoIterator<Item = &'k str>) -> Option<Value<'d>> {
        path.into_iter().try_fold(self, |value, key| value.get(key))
    }

    /// Entries of an object in their order: key (always a string) and value. Nothing for others.
    #[inline]
    pub fn entries(self) -> Entries<'d> {
        let left = if self.kind() == Kind::Object {
            self.len()
        } else {
            0
        };
        Entries {
            next: self.sibling(self.at + 1),
            left,
        }
    }

    /// Items of an array in their order. Nothing for others.
    #[inline]
    pub fn items(self) -> Items<'d> {
        let left = if self.kind() == Kind::Array { self.len() } else { 0 };
        Items {
            next: self.sibling(self.at + 1),
            left,
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.raw())
    }
}

/// Iterator over the entries of an object.
#[derive(Debug, Clone)]
pub struct Entries<'d> {
    next: Value<'d>,
    left: usize,
}

impl<'d> Iterator for Entries<'d> {
    type Item = (Value<'d>, Value<'d>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.next;
        let value = key.sibling(key.at + 1);
        self.next = value.sibling(value.node().after());
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Iterator over the items of an array.
#[derive(Debug, Clone)]
pub struct Items<'d> {
    next: Value<'d>,
    left: usize,
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = self.next;
        self.next = value.sibling(value.node().after());
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
