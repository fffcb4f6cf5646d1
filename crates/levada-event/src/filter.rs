//! Filters: which events a subscriber wants.
//!
//! A filter is a tree of *not*, *all* and *any* over tests, each asking something of the values at one
//! [`FieldPath`]. It is written in a query string ([`Filter::parse_query`]), in JSON
//! ([`Filter::from_json`]) or built in code, and is compiled together with a projection into a
//! [`Selection`](crate::select::Selection).
//!
//! What a test says of a path:
//! * Strings compare by their characters, however they are escaped; dates with a zone as moments; numbers by
//!   exact value (`1.0` is `1`, and integers beyond 2^53 keep their last digit).
//! * Arrays of scalars: the test holds if it holds for any element.
//! * Arrays of objects on the way: by default if it holds in any element ([`Lists::Any`]), or, as the
//!   original Realtime API does, in every one, an empty or missing array included ([`Lists::All`]).
//! * Missing and null are the same. By default they match nothing; with [`Missing::Zero`] a
//!   missing scalar stands for `""`, `0` or `false` if the object around it is there, since Article events leave
//!   out zero values (contract realtime §1.5). `not` turns whatever came out around.
//! * Values of another kind than the test's match nothing.

mod instant;
mod json;
mod number;
mod op;
mod query;

use crate::path::{FieldPath, PathError};

pub use number::Number;
pub use op::Literal;
pub(crate) use op::{Found, Op};
use op::{Limit, OneOf};

/// Longest text of a filter in bytes. A Realtime request has at most 255 filters; this leaves each
/// 1 KiB for its field of 255 characters and its value.
pub const FILTER_BYTES_MAX: usize = 256 * 1024;

/// Most tests in a filter. Their outcomes are kept in a fixed set of bits; 255 filters of four limits fit.
pub const FILTER_TESTS_MAX: usize = 1024;

/// Most values of one `in`; more would make the filter slower than the stream is worth.
pub const FILTER_VALUES_MAX: usize = 4096;

/// Longest number in bytes. It is compared digit by digit with every event.
pub const NUMBER_BYTES_MAX: usize = 1000;

/// Deepest nesting of `not`, `all` and `any`, which are evaluated recursively.
pub const FILTER_DEPTH_MAX: usize = 16;

/// Why a filter is refused. The text tells the client what is wrong and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The field path is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The stream's schema refuses the field; the text is the resolver's own.
    #[error("{0}")]
    Field(String),
    /// The value's kind is not the field's (wording: contract realtime §1.5).
    #[error("the filter '{field}' should not be of type '{found}'")]
    WrongType {
        /// The field as the client named it.
        field: String,
        /// `string`, `bool`, `float64`, `slice` or `map`.
        found: &'static str,
    },
    /// `null` as a value (contract realtime case 65).
    #[error(
        "the filter '{field}' has no value to compare with: to ask for missing values write \"exists\": false"
    )]
    NullValue {
        /// The field as the client named it.
        field: String,
    },
    /// The filter is malformed in a way the text explains.
    #[error("{fault} in the filter '{filter}': {remedy}")]
    Syntax {
        /// The filter, or the part of it that is meant, shortened.
        filter: String,
        /// What is wrong.
        fault: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
    /// The filter's JSON text is no JSON.
    #[error("the filter is not acceptable JSON: {0}")]
    Json(#[from] crate::json::JsonError),
    /// More than [`FILTER_BYTES_MAX`] bytes of text.
    #[error("a filter has at most {FILTER_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// More than [`FILTER_TESTS_MAX`] tests.
    #[error(
        "a filter has at most {FILTER_TESTS_MAX} tests, this one has {0}: use 'in' for alternatives of one field"
    )]
    TooManyTests(usize),
    /// More than [`FILTER_VALUES_MAX`] values in one `in`.
    #[error("one field is compared with at most {FILTER_VALUES_MAX} values, here are {0}")]
    TooManyValues(usize),
    /// Nested deeper than [`FILTER_DEPTH_MAX`].
    #[error("'not', 'all' and 'any' nest at most {FILTER_DEPTH_MAX} deep")]
    TooDeep,
}

/// What kind of values a field holds according to its schema. Comparisons with others are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FieldKind {
    /// Not known: every scalar may be compared with.
    #[default]
    Any,
    /// Strings.
    String,
    /// Numbers.
    Number,
    /// Booleans.
    Bool,
    /// Dates and times in strings.
    Date,
}

/// What a missing (or null) scalar in an object that is there stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Missing {
    /// Nothing: no comparison holds.
    #[default]
    Never,
    /// The zero value of the literal's kind.
    Zero,
}

/// When a test holds for a path that leads through an array of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Lists {
    /// If it holds in some element.
    #[default]
    Any,
    /// If it holds in every element; an empty array passes, and so does a missing one that
    /// [`Field::list_at`] declares.
    All,
}

/// A field to test, with what its schema says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Where the values are.
    pub path: FieldPath,
    /// What they are.
    pub kind: FieldKind,
    /// What missing ones stand for.
    pub missing: Missing,
    /// How arrays of objects count.
    pub lists: Lists,
    /// For [`Lists::All`]: bit i is set if the path's key i holds an array of objects.
    pub list_at: u64,
}

impl Field {
    /// A field of which nothing but the path is known.
    pub fn plain(path: FieldPath) -> Self {
        Self {
            path,
            kind: FieldKind::Any,
            missing: Missing::Never,
            lists: Lists::Any,
            list_at: 0,
        }
    }
}

/// A test of the values at one path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Test {
    pub(crate) path: FieldPath,
    pub(crate) missing: Missing,
    pub(crate) lists: Lists,
    pub(crate) list_at: u64,
    pub(crate) op: Op,
}

/// The tree of a filter. `All` and `Any` are sorted and free of copies, so that equal filters
/// in different order are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Expr {
    Test(Test),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
}

/// Which events are wanted. Two filters are equal if they consist of the same tests in any order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter(pub(crate) Expr);

/// The ends of a range; `None` is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Range {
    /// `>=`
    pub gte: Option<Literal>,
    /// `>`
    pub gt: Option<Literal>,
    /// `<=`
    pub lte: Option<Literal>,
    /// `<`
    pub lt: Option<Literal>,
}

impl Filter {
    /// Parses one filter of a query string: `meta.domain:en.wikipedia.org`. The grammar stands in
    /// the documentation of this module's file `query.rs` and in the reference of the HTTP API.
    ///
    /// # Errors
    /// [`FilterError`] names the fault and the remedy.
    pub fn parse_query(text: &str) -> Result<Self, FilterError> {
        query::parse(text, &|path| Ok(Field::plain(path)))
    }

    /// As [`parse_query`](Self::parse_query), with what a schema says of the fields.
    ///
    /// # Errors
    /// [`FilterError`]; what `resolve` refuses comes back as [`FilterError::Field`].
    pub fn parse_query_with(
        text: &str,
        resolve: &dyn Fn(FieldPath) -> Result<Field, String>,
    ) -> Result<Self, FilterError> {
        query::parse(text, resolve)
    }

    /// Parses one filter written in JSON: `{"field":"in_language.identifier","value":"en"}` (contract realtime
    /// §1.5) or one of the richer forms `{"field":…,"in":[…]}`, `"prefix"`, `"gte"`, `"gt"`, `"lte"`, `"lt"`,
    /// `"exists"`, `{"not":{…}}`, `{"any":[…]}`, `{"all":[…]}`. Several tests in one object must all hold.
    /// `resolve` turns a field's name into its path; its refusal is the client's message.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn from_json(
        text: &str,
        resolve: &dyn Fn(&str) -> Result<Field, String>,
    ) -> Result<Self, FilterError> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(FilterError::TooLong(text.len()));
        }
        let document = crate::json::Document::parse(text.as_bytes())?;
        Self::from_value(document.root(), resolve)
    }

    /// As [`from_json`](Self::from_json), of a value inside a parsed document.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn from_value(
        value: crate::json::Value<'_>,
        resolve: &dyn Fn(&str) -> Result<Field, String>,
    ) -> Result<Self, FilterError> {
        let length = value.end() - value.start();
        if length > FILTER_BYTES_MAX {
            return Err(FilterError::TooLong(length));
        }
        let filter = json::read(value, resolve)?;
        filter.check()?;
        Ok(filter)
    }

    fn test(field: Field, op: Op) -> Self {
        Self(Expr::Test(Test {
            path: field.path,
            missing: field.missing,
            lists: field.lists,
            list_at: field.list_at,
            op,
        }))
    }

    /// The field equals `value`.
    pub fn equals(field: Field, value: Literal) -> Self {
        Self::one_of(field, [value])
    }

    /// The field equals one of `values`; none matches nothing.
    pub fn one_of(field: Field, values: impl IntoIterator<Item = Literal>) -> Self {
        Self::test(field, Op::OneOf(OneOf::new(values)))
    }

    /// The field is a string that begins with `prefix`.
    pub fn prefix(field: Field, prefix: &str) -> Self {
        Self::test(field, Op::Prefix(prefix.into()))
    }

    /// The field lies within `range`: numbers by value, strings that are dates as times if the limit
    /// is one, other strings by code points. A boolean limit matches nothing.
    pub fn range(field: Field, range: Range) -> Self {
        let limit = |literal: Literal, inclusive| match literal {
            Literal::Number(number) => Some((Limit::Number(number), inclusive)),
            Literal::String(text) => Some((Limit::of_text(&text), inclusive)),
            Literal::Loose(text) => Some(match Number::parse(&text) {
                Some(number) => (Limit::Number(number), inclusive),
                None => (Limit::of_text(&text), inclusive),
            }),
            Literal::Bool(_) => None,
        };
        let ends = |inclusive: Option<Literal>, exclusive: Option<Literal>| {
            let inclusive = inclusive.map(|l| (l, true));
            inclusive.into_iter().chain(exclusive.map(|l| (l, false)))
        };
        // The first ends of both sides make one test, so that one element of an array has to lie between them.
        let (mut lows, mut highs) = (ends(range.gte, range.gt), ends(range.lte, range.lt));
        let mut tests = Vec::new();
        loop {
            let (low, high) = (lows.next(), highs.next());
            if low.is_none() && high.is_none() {
                break;
            }
            let low = low.map(|(l, inclusive)| limit(l, inclusive));
            let high = high.map(|(l, inclusive)| limit(l, inclusive));
            tests.push(if low == Some(None) || high == Some(None) {
                Self::one_of(field.clone(), [])
            } else {
                let (low, high) = (low.flatten(), high.flatten());
                Self::test(field.clone(), Op::Range { low, high })
            });
        }
        Self::all(tests)
    }

    /// The field has a value other than null.
    pub fn exists(field: Field) -> Self {
        Self::test(field, Op::Exists)
    }

    /// `filter` does not hold.
    #[expect(
        clippy::should_implement_trait,
        reason = "the family is not, all, any; an operator would hide it"
    )]
    pub fn not(filter: Filter) -> Self {
        match filter.0 {
            Expr::Not(inner) => Self(*inner),
            expr => Self(Expr::Not(Box::new(expr))),
        }
    }

    /// All of `filters` hold; of none, always.
    pub fn all(filters: impl IntoIterator<Item = Filter>) -> Self {
        let mut parts = Vec::new();
        for filter in filters {
            match filter.0 {
                Expr::All(inner) => parts.extend(inner),
                expr => parts.push(expr),
            }
        }
        Self(single(parts).unwrap_or_else(Expr::All))
    }

    /// Some of `filters` holds; of none, never.
    pub fn any(filters: impl IntoIterator<Item = Filter>) -> Self {
        let mut parts = Vec::new();
        for filter in filters {
            match filter.0 {
                Expr::Any(inner) => parts.extend(inner),
                expr => parts.push(expr),
            }
        }
        Self(single(parts).unwrap_or_else(Expr::Any))
    }

    /// Checks the bounds [`FILTER_TESTS_MAX`], [`FILTER_VALUES_MAX`] and [`FILTER_DEPTH_MAX`].
    pub(crate) fn check(&self) -> Result<(), FilterError> {
        let mut tests = 0;
        count(&self.0, 0, &mut tests)?;
        if tests > FILTER_TESTS_MAX {
            return Err(FilterError::TooManyTests(tests));
        }
        Ok(())
    }
}

fn single(mut parts: Vec<Expr>) -> Result<Expr, Vec<Expr>> {
    parts.sort_unstable();
    parts.dedup();
    if parts.len() == 1 {
        parts.pop().ok_or(parts)
    } else {
        Err(parts)
    }
}

fn count(expr: &Expr, depth: usize, tests: &mut usize) -> Result<(), FilterError> {
    if depth > FILTER_DEPTH_MAX {
        return Err(FilterError::TooDeep);
    }
    match expr {
        Expr::Test(test) => {
            if let Op::OneOf(set) = &test.op
                && set.len() > FILTER_VALUES_MAX
            {
                return Err(FilterError::TooManyValues(set.len()));
            }
            if test.path.is_wildcard() {
                return Err(PathError::NotAField(test.path.to_string()).into());
            }
            *tests += 1;
            Ok(())
        }
        Expr::Not(inner) => count(inner, depth + 1, tests),
        Expr::All(parts) | Expr::Any(parts) => {
            parts.iter().try_for_each(|part| count(part, depth + 1, tests))
        }
    }
}

/// The start of a client's text, for messages.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 200;
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let mut end = SHOWN;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
