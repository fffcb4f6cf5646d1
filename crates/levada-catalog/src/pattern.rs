//! Stream names that are regular expressions in PCRE's spelling: `/pattern/flags`.

use fancy_regex::{Regex, RegexBuilder};

/// Steps a match may take. Names have at most 249 bytes; a pattern that needs more than this for
/// one of them would let a stranger burn the server's time with a name.
const BACKTRACK_MAX: usize = 100_000;

/// A compiled `/pattern/flags`.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: Regex,
    body: String,
    flags: String,
}

impl Pattern {
    /// Whether a stream's key is meant as a pattern.
    pub(crate) fn is_pattern(key: &str) -> bool {
        key.starts_with('/')
    }

    /// Compiles `/pattern/flags`; the flags are `i`, `m`, `s`, `x`, `u` and `D`.
    pub(crate) fn parse(key: &str) -> Result<Self, String> {
        let inner = key.strip_prefix('/').ok_or("a pattern starts with /")?;
        let end = closing_slash(inner).ok_or("the pattern has no closing /")?;
        let (body, flags) = (&inner[..end], &inner[end + 1..]);
        if let Some(flag) = flags.chars().find(|c| !"imsxuD".contains(*c)) {
            return Err(format!(
                "the pattern ends at its second /, and {flag:?} behind it is no flag"
            ));
        }
        let inline: String = flags.chars().filter(|c| "imsx".contains(*c)).collect();
        let text = if inline.is_empty() {
            body.to_owned()
        } else {
            format!("(?{inline}){body}")
        };
        let regex = RegexBuilder::new(&text)
            .backtrack_limit(BACKTRACK_MAX)
            .build()
            .map_err(|e| format!("the pattern does not compile: {e}"))?;
        Ok(Self {
            regex,
            body: body.into(),
            flags: flags.into(),
        })
    }

    /// Whether the pattern occurs in `name`. A match that takes too many steps counts as none.
    pub(crate) fn is_match(&self, name: &str) -> bool {
        self.regex.is_match(name).unwrap_or(false)
    }

    /// The pattern of topics: one of `prefixes` before what this pattern matches (contract
    /// eventplatform §3.4). Flags stay where flags belong.
    pub(crate) fn with_prefixes(&self, prefixes: &[String]) -> String {
        let quoted: Vec<String> = prefixes.iter().map(|prefix| quote(prefix)).collect();
        let (anchor, rest) = match self.body.strip_prefix('^') {
            Some(rest) => ("^", rest),
            None => ("", self.body.as_str()),
        };
        format!("/{anchor}({}){rest}/{}", quoted.join("|"), self.flags)
    }
}

/// Byte of the first slash that no backslash escapes.
fn closing_slash(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let found = byte == b'/' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })
}

/// Escapes what has a meaning in a pattern, as PHP's `preg_quote` with `/` does.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if r".\+*?[^]$(){}=!<>|:-#/".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_anywhere_in_a_name() {
        let job = Pattern::parse(r"/^mediawiki\.job\..+/").unwrap();
        assert!(job.is_match("mediawiki.job.A"));
        assert!(!job.is_match("mediawiki.job."));
        assert!(!job.is_match(r"/^mediawiki\.job\..+/"));
        assert!(Pattern::parse("/b/").unwrap().is_match("abc"));
        assert!(Pattern::parse("/B/i").unwrap().is_match("abc"));
        assert!(Pattern::parse("/^(?!x)a/").unwrap().is_match("abc"));
    }

    #[test]
    fn unfit_patterns_are_refused_with_a_reason() {
        for (key, reason) in [
            ("/a", "closing"),
            ("/a/b", "flag"),
            ("/(a/", "compile"),
            (r"/a\/", "closing"),
        ] {
            assert!(Pattern::parse(key).unwrap_err().contains(reason), "{key}");
        }
    }

    #[test]
    fn prefixes_go_behind_the_anchor() {
        let prefixes = ["eqiad.".to_owned(), "codfw.".to_owned()];
        let with = |key: &str| Pattern::parse(key).unwrap().with_prefixes(&prefixes);
        assert_eq!(
            with(r"/^mediawiki\.job\..+/"),
            r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"
        );
        assert_eq!(with("/a/i"), r"/(eqiad\.|codfw\.)a/i");
    }
}
