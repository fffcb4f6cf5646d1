//! The query string and the headers of a request that matter here.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The value of a query parameter, decoded; the last one wins. A parameter without `=` has the empty value.
pub(crate) fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut found = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key) == name {
            found = Some(decode(value));
        }
    }
    found
}

/// Whether `aggregated` is set. In compat mode any text is (contract §1.4), otherwise `false`, `0` and `no` are not.
pub(crate) fn is_aggregated(query: &str, compat: bool) -> bool {
    match parameter(query, "aggregated").as_deref() {
        None | Some("") => false,
        Some(value) => {
            compat
                || !["false", "0", "no", "off"]
                    .iter()
                    .any(|word| value.eq_ignore_ascii_case(word))
        }
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        return Cow::Owned(
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned(),
        );
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_decoded() {
        assert_eq!(parameter("a=1&format=at%6fm", "format").as_deref(), Some("atom"));
        assert_eq!(parameter("spec", "spec").as_deref(), Some(""));
        assert_eq!(parameter("specs=1", "spec"), None);
    }

    #[test]
    fn case_039_what_counts_as_aggregated() {
        for (query, by_default, compat) in [
            ("aggregated=true", true, true),
            ("aggregated=1", true, true),
            ("aggregated=false", false, true),
            ("aggregated=0", false, true),
            ("aggregated=", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_aggregated(query, false), by_default, "{query}");
            assert_eq!(is_aggregated(query, true), compat, "{query} in compat");
        }
    }
}
