//! What a filter asks of one value, and how stored values answer.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::instant::Instant;
use super::number::Number;
use crate::json::Kind;
use crate::scan::unescape;

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Literal {
    /// Strings with these characters; if they are a date and time with zone, strings that name the same
    /// moment.
    String(Box<str>),
    /// Numbers of this value.
    Number(Number),
    /// This boolean.
    Bool(bool),
    /// What [`String`](Self::String) matches, and numbers and booleans with this text: how a query
    /// string names values.
    Loose(Box<str>),
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Limit {
    Number(Number),
    Instant(Instant),
    /// Strings in the order of their code points.
    String(Box<str>),
}

impl Limit {
    /// A limit given as a string: a time if it is one.
    pub(crate) fn of_text(text: &str) -> Self {
        match Instant::parse(text) {
            Some(instant) => Self::Instant(instant),
            None => Self::String(text.into()),
        }
    }

    /// How `value` compares to the limit; `None` when they are of different kinds.
    fn order_of(&self, value: &Found<'_>) -> Option<Ordering> {
        match (self, value.kind) {
            (Self::Number(limit), Kind::Number) => Some(limit.order_of(value.bytes)),
            (Self::Instant(limit), Kind::String) => Some(Instant::parse(&value.text()?)?.cmp(limit)),
            (Self::String(limit), Kind::String) => Some(value.text()?.as_ref().cmp(limit)),
            _ => None,
        }
    }
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Op {
    /// Any value but null.
    Exists,
    OneOf(OneOf),
    Prefix(Box<str>),
    Range {
        low: Option<(Limit, Inclusive)>,
        high: Option<(Limit, Inclusive)>,
    },
}

/// Whether a range contains its end.
pub(crate) type Inclusive = bool;

/// A set of literals, taken apart by the kind of value they match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OneOf {
    strings: Vec<Box<str>>,
    instants: Vec<Instant>,
    numbers: Vec<Number>,
    yes: bool,
    no: bool,
}

impl OneOf {
    pub(crate) fn new(literals: impl IntoIterator<Item = Literal>) -> Self {
        let mut set = Self::default();
        for literal in literals {
            set.add(literal);
        }
        set.strings.sort_unstable();
        set.strings.dedup();
        set.instants.sort_unstable();
        set.instants.dedup();
        set.numbers.sort_unstable();
        set.numbers.dedup();
        set
    }

    /// Number of literals, those that match two kinds of values counted twice.
    pub(crate) fn len(&self) -> usize {
        self.strings.len() + self.numbers.len()
    }

    fn add(&mut self, literal: Literal) {
        let text = match literal {
            Literal::Number(number) => {
                self.numbers.push(number);
                return;
            }
            Literal::Bool(true) => {
                self.yes = true;
                return;
            }
            Literal::Bool(false) => {
                self.no = true;
                return;
            }
            Literal::Loose(text) => {
                self.numbers.extend(Number::parse(&text));
                self.yes |= &*text == "true";
                self.no |= &*text == "false";
                text
            }
            Literal::String(text) => text,
        };
        self.instants.extend(Instant::parse_complete(&text));
        self.strings.push(text);
    }

    #[inline]
    fn matches(&self, value: &Found<'_>) -> bool {
        match value.kind {
            Kind::String => self.matches_string(value),
            Kind::Number => self
                .numbers
                .binary_search_by(|n| n.order_of(value.bytes).reverse())
                .is_ok(),
            Kind::Bool => {
                if value.bytes.first() == Some(&b't') {
                    self.yes
                } else {
                    self.no
                }
            }
            _ => false,
        }
    }

    #[inline]
    fn matches_string(&self, value: &Found<'_>) -> bool {
        /// Sets of at most this size are searched from end to end.
        const LINEAR_MAX: usize = 8;
        let unescaped;
        let bytes = if value.escaped {
            unescaped = unescape(value.bytes);
            unescaped.as_bytes()
        } else {
            value.bytes
        };
        let found = if self.strings.len() <= LINEAR_MAX {
            self.strings.iter().any(|s| s.as_bytes() == bytes)
        } else {
            self.strings.binary_search_by(|s| s.as_bytes().cmp(bytes)).is_ok()
        };
        found
            || !self.instants.is_empty()
                && std::str::from_utf8(bytes)
                    .ok()
                    .and_then(Instant::parse_complete)
                    .is_some_and(|instant| self.instants.binary_search(&instant).is_ok())
    }

    /// Whether the zero value of some kind is in the set: what a field left out for being zero stands for.
    fn has_zero(&self) -> bool {
        self.no || self.strings.iter().any(|s| s.is_empty()) || self.numbers.iter().any(Number::is_zero)
    }
}

impl Op {
    /// Whether `value` (not null) is what is asked for.
    #[inline]
    pub(crate) fn matches(&self, value: &Found<'_>) -> bool {
        match self {
            Op::Exists => true,
            Op::OneOf(set) => set.matches(value),
            Op::Prefix(prefix) => {
                value.kind == Kind::String
                    && if value.escaped {
                        unescape(value.bytes).starts_with(&**prefix)
                    } else {
                        value.bytes.starts_with(prefix.as_bytes())
                    }
            }
            Op::Range { low, high } => {
                let above = low.as_ref().is_none_or(|(limit, inclusive)| {
                    limit
                        .order_of(value)
                        .is_some_and(|o| o.is_gt() || *inclusive && o.is_eq())
                });
                above
                    && high.as_ref().is_none_or(|(limit, inclusive)| {
                        limit
                            .order_of(value)
                            .is_some_and(|o| o.is_lt() || *inclusive && o.is_eq())
                    })
            }
        }
    }

    /// Whether a field that was left out because it is zero is what is asked for: `""`, `0` or
    /// `false`, whichever kind the literal is of. Times have no zero.
    pub(crate) fn matches_zero(&self) -> bool {
        let zero = |kind, bytes| Found {
            kind,
            bytes,
            escaped: false,
        };
        match self {
            Op::Exists => false,
            Op::OneOf(set) => set.has_zero(),
            Op::Prefix(prefix) => prefix.is_empty(),
            Op::Range { .. } => {
                self.matches(&zero(Kind::Number, b"0")) || self.matches(&zero(Kind::String, b""))
            }
        }
    }
}

/// A scalar or container as the scanner found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'t> {
    pub(crate) kind: Kind,
    /// The value's text; of strings what is between the quotes.
    pub(crate) bytes: &'t [u8],
    /// Whether a string has escapes.
    pub(crate) escaped: bool,
}

impl<'t> Found<'t> {
    fn text(&self) -> Option<Cow<'t, str>> {
        if self.escaped {
            Some(Cow::Owned(unescape(self.bytes)))
        } else {
            std::str::from_utf8(self.bytes).ok().map(Cow::Borrowed)
        }
    }
}
