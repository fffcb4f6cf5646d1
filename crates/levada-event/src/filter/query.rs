//! The query spelling: `filter=<path>:<values>`, one condition per parameter, all of them required.
//!
//! ```text
//! filter := ["!"] path ":" value *( "|" value )        "!" negates the whole; "|" separates alternatives
//! value  := text                the string, or the number or boolean with that text
//!         | text "*"            strings that begin with text
//!         | "*"                 anything but null
//!         | "null"              null or missing (also the string "null")
//!         | op text             op is >= > <= <; text a number, a date or any other string
//!         | text ".." text      from … to, both included; either side may be left out; numbers or dates
//!         | '"' characters '"'  exactly that string; \" and \\ stand for the characters
//!         | '"' characters '"*' strings that begin with the characters
//! ```
//! Spaces count. Quotes are needed where a value begins with `"`, `>`, `<` or contains `|` or `*`, and to
//! tell the string `"5"` from the number 5. `a..b` is a range only between numbers or dates.

use super::instant::Instant;
use super::number::Number;
use super::{FILTER_BYTES_MAX, Field, Filter, FilterError, Literal, Range, shortened};
use crate::path::FieldPath;

pub(super) fn parse(
    text: &str,
    resolve: &dyn Fn(FieldPath) -> Result<Field, String>,
) -> Result<Filter, FilterError> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(FilterError::TooLong(text.len()));
    }
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let fault = |fault, remedy| FilterError::Syntax {
        filter: shortened(text),
        fault,
        remedy,
    };
    // Find the colon first: without one the whole text would be blamed as a path.
    let (path, end) = match FieldPath::parse_until(rest, |c| c == ':') {
        Ok(found) => found,
        Err(_) if !rest.contains(':') => {
            return Err(fault(
                "no colon stands",
                "write <field>:<value>, as in meta.domain:en.wikipedia.org",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let Some(values) = rest[end..].strip_prefix(':') else {
        return Err(fault(
            "no colon stands",
            "write <field>:<value>, as in meta.domain:en.wikipedia.org",
        ));
    };
    if path.is_wildcard() {
        return Err(crate::path::PathError::NotAField(path.to_string()).into());
    }
    let field = resolve(path).map_err(FilterError::Field)?;
    let filter = Values { rest: values }.read(&field, &fault)?;
    let filter = if negated { Filter::not(filter) } else { filter };
    filter.check()?;
    Ok(filter)
}

type Fault<'a> = &'a dyn Fn(&'static str, &'static str) -> FilterError;

struct Values<'t> {
    rest: &'t str,
}

impl<'t> Values<'t> {
    fn read(mut self, field: &Field, fault: Fault<'_>) -> Result<Filter, FilterError> {
        let mut equal = Vec::new();
        let mut others = Vec::new();
        loop {
            if self.rest.starts_with('"') {
                let characters = self.quoted(fault)?;
                if let Some(rest) = self.rest.strip_prefix('*') {
                    self.rest = rest;
                    others.push(Filter::prefix(field.clone(), &characters));
                } else {
                    equal.push(Literal::String(characters.into()));
                }
            } else {
                self.bare(field, &mut equal, &mut others, fault)?;
            }
            match self.rest.strip_prefix('|') {
                Some(rest) => self.rest = rest,
                None if self.rest.is_empty() => break,
                None => {
                    return Err(fault(
                        "text follows a closing quote",
                        "write \\\" for a quote inside quotes and | between values",
                    ));
                }
            }
        }
        if !equal.is_empty() {
            others.push(Filter::one_of(field.clone(), equal));
        }
        Ok(Filter::any(others))
    }

    fn bare(
        &mut self,
        field: &Field,
        equal: &mut Vec<Literal>,
        others: &mut Vec<Filter>,
        fault: Fault<'_>,
    ) -> Result<(), FilterError> {
        for (sign, place) in [(">=", 0), ("<=", 1), (">", 2), ("<", 3)] {
            if let Some(rest) = self.rest.strip_prefix(sign) {
                self.rest = rest;
                let literal = self.limit(fault)?;
                let mut range = Range::default();
                *[&mut range.gte, &mut range.lte, &mut range.gt, &mut range.lt][place] = Some(literal);
                others.push(Filter::range(field.clone(), range));
                return Ok(());
            }
        }
        let text = self.until_bar();
        if text.is_empty() {
            return Err(fault(
                "a value is missing",
                "write \"\" for the empty string, * for any value, null for none",
            ));
        }
        if text.contains('"') {
            return Err(fault(
                "a quote stands inside a value",
                "quote the whole value and write \\\" for the quote",
            ));
        }
        if let Some(prefix) = text.strip_suffix('*') {
            if prefix.contains('*') {
                return Err(stars(fault));
            }
            others.push(if prefix.is_empty() {
                Filter::exists(field.clone())
            } else {
                Filter::prefix(field.clone(), prefix)
            });
            return Ok(());
        }
        if text.contains('*') {
            return Err(stars(fault));
        }
        if let Some(range) = between(text) {
            others.push(Filter::range(field.clone(), range));
            return Ok(());
        }
        if text == "null" {
            others.push(Filter::not(Filter::exists(field.clone())));
        }
        equal.push(Literal::Loose(text.into()));
        Ok(())
    }

    /// The literal behind a comparison sign.
    fn limit(&mut self, fault: Fault<'_>) -> Result<Literal, FilterError> {
        if self.rest.starts_with('"') {
            return Ok(Literal::String(self.quoted(fault)?.into()));
        }
        match self.until_bar() {
            "" => Err(fault(
                "a value is missing behind a comparison sign",
                "write a number, a date or a string, as in >=5",
            )),
            text if text.contains(['*', '"']) => Err(fault(
                "a star or quote stands behind a comparison sign",
                "quote the whole value if the character is meant",
            )),
            text => Ok(Literal::Loose(text.into())),
        }
    }

    fn until_bar(&mut self) -> &'t str {
        let end = self.rest.find('|').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        text
    }

    fn quoted(&mut self, fault: Fault<'_>) -> Result<String, FilterError> {
        let mut characters = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(characters);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => characters.push(escaped),
                    _ => {
                        return Err(fault(
                            "a backslash stands before something else than a quote or backslash",
                            "write \\\\ for a backslash inside quotes",
                        ));
                    }
                },
                _ => characters.push(c),
            }
        }
        Err(fault("a quote is not closed", "end the value with \""))
    }
}

fn stars(fault: Fault<'_>) -> FilterError {
    fault(
        "a star stands before the end of a value",
        "a star may only end a value, as in pre*; quote the value if the character is meant",
    )
}

/// `5..10`, `5..`, `..10` with numbers or dates.
fn between(text: &str) -> Option<Range> {
    let (low, high) = text.split_once("..")?;
    let side = |text: &str| match text {
        "" => Some(None),
        text if Number::parse(text).is_some() || Instant::parse(text).is_some() => {
            Some(Some(Literal::Loose(text.into())))
        }
        _ => None,
    };
    let range = Range {
        gte: side(low)?,
        lte: side(high)?,
        ..Range::default()
    };
    (range.gte.is_some() || range.lte.is_some()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Text;
    use proptest::prelude::*;

    fn check(filter: &str, event: &str) -> bool {
        let filter = Filter::parse_query(filter).unwrap();
        filter.matches(Text::trusted(event.as_bytes()).unwrap()).unwrap()
    }

    const EVENT: &str = r#"{"meta":{"domain":"en.wikipedia.org","dt":"2024-05-01T10:00:00.5Z"},"n":5,"big":12345678901234567890,
        "f":0.5,"s":"5","bot":true,"word":"true","none":null,"nil":"null","title":"A|B*\"\\","e":"","tags":["x","y"],
        "dots":"a..b","list":[{"k":1},{"k":2}],"k:e.y":{"!a":"q"},"x":"\u0041b"}"#;

    #[test]
    fn the_documented_forms() {
        let event: String = EVENT.lines().map(str::trim).collect();
        for filter in [
            "meta.domain:en.wikipedia.org",
            "meta.domain:de.wikipedia.org|en.wikipedia.org",
            "meta.domain:en.*",
            "!meta.domain:de.*|fr.*",
            "n:5",
            "n:5.0",
            "s:5",
            "s:\"5\"",
            "!n:\"5\"",
            "n:>=5",
            "n:<=5",
            "!n:>5",
            "!n:<5",
            "n:1..5",
            "n:5..",
            "n:..5",
            "!n:6..",
            "big:12345678901234567890",
            "!big:12345678901234567891",
            "big:>12345678901234567889",
            "f:0.50",
            "f:0.4..0.6",
            "bot:true",
            "!bot:false",
            "word:true",
            "!word:false",
            "none:null",
            "absent:null",
            "absent.deep:null",
            "nil:null",
            "n:null|5",
            "n:*",
            "e:*",
            "!none:*",
            "!absent:*",
            "meta:*",
            "list:*",
            "title:\"A|B*\\\"\\\\\"",
            "title:\"A|\"*",
            "e:\"\"",
            "tags:y",
            "!tags:z",
            "dots:a..b",
            "list.k:2",
            "!list.k:3",
            "!list.k:1..1|2.5..3|2",
            "\"k:e.y\".\"!a\":q",
            "x:Ab",
            "x:A*",
            "meta.dt:2024-05-01T12:00:00.500+02:00",
            "meta.dt:>=2024-05-01",
            "meta.dt:2024-05-01..2024-05-02",
            "!meta.dt:..2024-05-01",
            "meta.dt:2024-05-01T*",
            "x:>\"A\"|<\"A\"",
            "!s:>4",
        ] {
            let expected = filter != "!list.k:1..1|2.5..3|2";
            assert_eq!(check(filter, &event), expected, "{filter}");
        }
    }

    #[test]
    fn faults_name_the_remedy() {
        for (filter, part) in [
            ("meta.domain", "write <field>:<value>"),
            ("meta.domain=x", "write <field>:<value>"),
            ("", "write <field>:<value>"),
            (":x", "a key is missing at byte 0"),
            ("a..b:x", "a key is missing at byte 2"),
            ("a:", "write \"\" for the empty string"),
            ("a:x|", "write \"\" for the empty string"),
            ("a:x*y", "a star may only end a value"),
            ("a:**", "a star may only end a value"),
            ("a:x\"y", "quote the whole value"),
            ("a:\"x", "end the value with"),
            ("a:\"x\"y", "and | between values"),
            ("a:\"\\x\"", "write \\\\ for a backslash"),
            ("a:>", "as in >=5"),
            ("a:>=x*", "quote the whole value"),
            ("a.*:x", "name one field"),
        ] {
            let error = Filter::parse_query(filter).unwrap_err().to_string();
            assert!(error.contains(part), "{filter}: {error}");
        }
        let long = format!("a:{}", "x|".repeat(FILTER_BYTES_MAX));
        assert_eq!(Filter::parse_query(&long), Err(FilterError::TooLong(long.len())));
        assert!(matches!(
            Filter::parse_query(&format!("a:{}y", "x*|".repeat(2000))),
            Err(FilterError::TooManyTests(_)) | Ok(_)
        ));
    }

    #[test]
    fn equal_filters_are_equal_in_any_order() {
        assert_eq!(Filter::parse_query("a:x|y|x"), Filter::parse_query("a:y|x"));
        let f = |texts: [&str; 3]| Filter::all(texts.map(|t| Filter::parse_query(t).unwrap()));
        assert_eq!(f(["a:1", "b:2", "a:1"]), f(["b:2", "a:1", "b:2"]));
        assert_ne!(f(["a:1", "b:2", "a:1"]), f(["b:2", "a:3", "b:2"]));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in r#"[a.:|"*\\!><=0-9-]{0,30}|.{0,30}"#) {
            let _ = Filter::parse_query(&text);
        }

        #[test]
        fn a_quoted_value_is_that_string(value in ".{0,20}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let filter = Filter::parse_query(&format!("a:\"{quoted}\"")).unwrap();
            let event = format!("{{\"a\":{}}}", serde_json::to_string(&value).unwrap());
            prop_assert!(filter.matches(Text::trusted(event.as_bytes()).unwrap()).unwrap());
        }
    }
}
