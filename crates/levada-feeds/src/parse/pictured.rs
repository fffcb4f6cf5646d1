//! Removing the remark "(pictured)" (contract §2.4).

use regex::Regex;

use crate::lang::is_js_space;

/// Most wrappers that are removed with the remark: `<small><i>(pictured)</i></small>`.
const MAX_WRAPPERS: usize = 4;

/// Removes the first match. With `tidy`, elements that are left empty and the white space before
/// them go too.
pub(super) fn remove(text: String, pattern: Option<&Regex>, tidy: bool) -> String {
    let Some(found) = pattern.and_then(|pattern| pattern.find(&text)) else {
        return text;
    };
    let (mut start, mut end) = (found.start(), found.end());
    if tidy {
        for _ in 0..MAX_WRAPPERS {
            let Some(wider) = wrapper(&text, start, end) else {
                break;
            };
            (start, end) = wider;
        }
        start = without_trailing_space(&text[..start]).len();
    }
    [&text[..start], &text[end..]].concat()
}

/// The range of the element that contains nothing but the given range.
fn wrapper(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let before = without_trailing_space(&text[..start]).strip_suffix('>')?;
    let open = before.rfind('<')?;
    let tag = &before[open + 1..];
    let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let after = text[end..].trim_start_matches(is_js_space).strip_prefix("</")?;
    let after = after
        .strip_prefix(name)
        .filter(|_| !name.is_empty())?
        .strip_prefix('>')?;
    Some((open, text.len() - after.len()))
}

/// The text without white space at its end, no-break spaces as entities included.
fn without_trailing_space(mut text: &str) -> &str {
    loop {
        let trimmed = text.trim_end_matches(is_js_space);
        match trimmed.strip_suffix("&nbsp;") {
            Some(shorter) => text = shorter,
            None => return trimmed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, original: &str, tidy: &str) {
        let pattern = Regex::new(r"(?i)\s*\([^()]*picture[^()]*\)").expect("compiles");
        assert_eq!(remove(text.into(), Some(&pattern), false), original);
        assert_eq!(remove(text.into(), Some(&pattern), true), tidy);
    }

    #[test]
    fn case_72_the_remark_is_removed_once() {
        check("a (pictured) b (pictured)", "a b (pictured)", "a b (pictured)");
        check("a <i>(pictured)</i> b", "a <i></i> b", "a b");
        check(
            "a&nbsp;<small><i>(<b>car</b> Pictured)</i></small>, b",
            "a&nbsp;<small><i></i></small>, b",
            "a, b",
        );
        check("a <i>x (pictured)</i> b", "a <i>x</i> b", "a <i>x</i> b");
        check("a (b) c", "a (b) c", "a (b) c");
        check("> (pictured)</i>", "></i>", "></i>");
    }

    #[test]
    fn without_a_pattern_nothing_is_removed() {
        assert_eq!(remove("a (pictured)".into(), None, true), "a (pictured)");
    }
}
