//! Selectors and patterns of the tables, made ready.

use std::fmt;

use dom_query::Matcher;
use regex::{Regex, RegexBuilder};

use super::error::{Place, RulesError};

/// White space as JavaScript's `\s` and `trim` have it (contract §10), as the inside of a class.
const JS_SPACE: &str =
    r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

/// The line ends at which JavaScript's `.` stops, as the inside of a class.
const JS_LINE_END: &str = r"\n\r\u{2028}\u{2029}";

/// The four dashes of the item grammar (contract §2.6).
const DASHES: &str = r"\-\u{2013}\u{2014}\u{2212}";

/// Largest compiled pattern, in bytes: tables are small, and a mistyped repetition must not eat memory.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Whether a character is white space in JavaScript.
pub(crate) fn is_js_space(c: char) -> bool {
    matches!(c,
        '\t'..='\r' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{2028}'
        | '\u{2029}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{FEFF}')
}

/// `String.prototype.trim`.
pub(crate) fn js_trim(text: &str) -> &str {
    text.trim_matches(is_js_space)
}

/// A compiled CSS selector that remembers how it was written.
#[derive(Clone)]
pub(crate) struct Selector {
    css: String,
    matcher: Matcher,
}

impl Selector {
    /// Compiles a selector list.
    ///
    /// # Errors
    /// [`RulesError::Value`] at the place and key given.
    pub(super) fn new(css: &str, place: Place<'_>, key: &'static str) -> Result<Self, RulesError> {
        let matcher = Matcher::new(css)
            .map_err(|error| place.error(key, format!("not a CSS selector: {css:?} ({error:?})")))?;
        Ok(Self {
            css: css.to_owned(),
            matcher,
        })
    }

    /// A selector that is part of the program.
    pub(crate) fn fixed(css: &'static str) -> Self {
        let matcher = Matcher::new(css).expect("selectors in the source are valid: tests use each");
        Self {
            css: css.to_owned(),
            matcher,
        }
    }

    /// The compiled form.
    pub(crate) fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// As it was written.
    pub(crate) fn css(&self) -> &str {
        &self.css
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selector({})", self.css)
    }
}

/// Compiles a pattern of a table: macros replaced, case disregarded.
pub(super) fn pattern(source: &str, place: Place<'_>, key: &'static str) -> Result<Regex, RulesError> {
    RegexBuilder::new(&expand(source))
        .case_insensitive(true)
        .size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(|error| place.error(key, error))
}

/// Replaces the macros of the tables: `{s}`, `{D}`, `{Y}`, `{T}`, `{TT}`.
fn expand(source: &str) -> String {
    let line = format!("[^{JS_LINE_END}]*[^{JS_SPACE}][^{JS_LINE_END}]*");
    let all = format!(r"[\s\S]*[^{JS_SPACE}][\s\S]*");
    source
        .replace("{s}", &format!("[{JS_SPACE}]"))
        .replace("{D}", &format!("[{DASHES}]"))
        .replace("{Y}", "(?<year>[0-9]+)")
        .replace("{TT}", &format!("(?<text>{all})"))
        .replace("{T}", &format!("(?<text>{line})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        file: "x.toml",
        entry: "en",
    };

    #[test]
    fn macros_have_javascript_semantics() {
        let re = pattern("^{s}*{Y}{s}*{D}{s}*{T}", PLACE, "line").expect("compiles");
        let caps = re
            .captures("\u{FEFF}1900\u{A0}\u{2212} two \nthree")
            .expect("matches");
        assert_eq!((&caps["year"], &caps["text"]), ("1900", "two "));
        assert!(!re.is_match("\u{85}1900 - x"), "U+0085 is no white space");
        assert!(!re.is_match("١٩٠٠ - x"), "only ASCII digits are digits");
        assert!(
            !re.is_match("1900 - \u{2003}\n "),
            "the text must contain something"
        );
        let re = pattern("^{Y}{TT}", PLACE, "line").expect("compiles");
        assert_eq!(&re.captures("1a\nb").expect("matches")["text"], "a\nb");
    }

    #[test]
    fn every_space_of_the_class_is_a_space_and_no_other() {
        let re = pattern("^{s}$", PLACE, "x").expect("compiles");
        for c in (0..0x1_0000_u32).filter_map(char::from_u32) {
            assert_eq!(
                re.is_match(&c.to_string()),
                is_js_space(c),
                "{:04X}",
                u32::from(c)
            );
        }
    }

    #[test]
    fn mistakes_name_file_entry_and_key() {
        let error = Selector::new("ul >> li", PLACE, "items")
            .expect_err("refused")
            .to_string();
        assert!(
            error.starts_with("x.toml: entry \"en\": items: not a CSS selector"),
            "{error}"
        );
        let error = pattern("(", PLACE, "line").expect_err("refused").to_string();
        assert!(error.starts_with("x.toml: entry \"en\": line: "), "{error}");
        assert!(pattern("a{100000}{1,1000}", PLACE, "line").is_err(), "too large");
    }
}
