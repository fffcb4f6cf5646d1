//! Reading an item: year, era and text.

use std::sync::LazyLock;

use regex::Regex;

use super::items::{Above, Lines};
use crate::lang::{Grammar, is_js_space, js_trim};
use crate::parse::Compat;

/// Footnote marks, which are not text.
static FOOTNOTE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[[0-9]+\]").expect("a valid pattern"));

/// What is put after a line to see whether it is a year and nothing else.
const PROBE: &str = " \u{2013} x";

/// An item as the grammar reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Negative before the common era.
    pub(super) year: i64,
    /// What happened.
    pub(super) text: String,
    /// The year's digits as written.
    digits: String,
    /// The era as written, where there is one: before or after the digits.
    era: Option<Era>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Era {
    Before(String),
    After(String),
}

/// A grammar at work.
pub(super) struct Reader<'g> {
    grammar: &'g Grammar,
    compat: Compat,
}

impl<'g> Reader<'g> {
    pub(super) fn new(grammar: &'g Grammar, compat: Compat) -> Self {
        Self { grammar, compat }
    }

    /// Reads an item of a day page.
    pub(super) fn day_item(&self, lines: &Lines) -> Option<Item> {
        let nested = lines.above.iter().any(|line| matches!(line, Above::Text(_)));
        if self.compat.original_nesting || !nested {
            return self.read(&lines.joined(), &self.grammar.line, false);
        }
        // The lines above are part of the text; of its own text the item keeps the first line, as
        // items that are not nested do.
        let first = lines.own.split(['\n', '\r']).next().unwrap_or_default();
        self.read(&lines.joined_with(js_trim(first)), &self.grammar.line, true)
            .or_else(|| self.read(&lines.own, &self.grammar.line, false))
    }

    /// Reads an item of a page of selected events.
    pub(super) fn selected_item(&self, text: &str) -> Option<Item> {
        self.read(text, &self.grammar.selected_line, false)
    }

    /// The year, era included, when a line is a year and nothing else.
    pub(super) fn only_year(&self, line: &str) -> Option<String> {
        let word = self.grammar.year_word.as_deref();
        let bare = line.trim_end_matches(|c| is_js_space(c) || is_separator(c));
        let digits = word.and_then(|word| bare.strip_suffix(word)).unwrap_or(bare);
        let digits = digits.trim_end_matches(is_js_space);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Some(digits.to_owned());
        }
        if self.compat.original_nesting || bare.is_empty() {
            return None;
        }
        let read = self.read(&format!("{bare}{PROBE}"), &self.grammar.line, false)?;
        (read.text == "x").then(|| bare.to_owned())
    }

    /// Whether a link's `title` is that of the item's year.
    pub(super) fn is_year_page(&self, title: &str, item: &Item) -> bool {
        let title = squeezed(title);
        let digits = item.digits.as_str();
        // The original has no era to compare with where it stands before the year.
        let same = match &item.era {
            None => title == digits,
            Some(Era::After(era)) => title == squeezed(&format!("{digits}{era}")),
            Some(Era::Before(_)) if self.compat.original_grammar => false,
            Some(Era::Before(era)) => {
                title == squeezed(&format!("{era}{digits}")) || title == squeezed(&format!("{digits}{era}"))
            }
        };
        let pattern = if item.year < 0 {
            &self.grammar.year_page_bc
        } else {
            &self.grammar.year_page
        };
        same || pattern
            .as_deref()
            .is_some_and(|pattern| title == squeezed(&pattern.replace("{y}", digits)))
    }

    /// Applies a pattern. With `whole`, the text goes on to the end instead of stopping with the
    /// line.
    fn read(&self, text: &str, pattern: &Regex, whole: bool) -> Option<Item> {
        let found = pattern.captures(text)?;
        let digits = found.name("year")?.as_str();
        let said = found.name("text")?;
        let said = if whole {
            &text[said.start()..]
        } else {
            said.as_str()
        };
        let written = |name| found.name(name).map(|m| m.as_str()).filter(|era| !era.is_empty());
        let era = written("era")
            .map(|era| Era::After(era.to_owned()))
            .or_else(|| written("era_before").map(|era| Era::Before(era.to_owned())));
        // A year of more digits than fit is no year.
        let year: i64 = digits.parse().ok()?;
        let text = clean(said);
        if text.is_empty() && !self.compat.original_nesting {
            return None;
        }
        Some(Item {
            year: if era.is_some() { -year } else { year },
            text,
            digits: digits.to_owned(),
            era,
        })
    }
}

/// Text without footnote marks, trimmed.
pub(super) fn clean(text: &str) -> String {
    js_trim(&FOOTNOTE.replace_all(text, "")).to_owned()
}

/// Lower case without white space, for comparing titles of years.
fn squeezed(text: &str) -> String {
    text.chars()
        .filter(|c| !is_js_space(*c))
        .flat_map(char::to_lowercase)
        .collect()
}

/// What may follow a year that stands alone.
fn is_separator(c: char) -> bool {
    matches!(c, ':' | '：' | '-' | '\u{2013}' | '\u{2014}' | '\u{2212}')
}
