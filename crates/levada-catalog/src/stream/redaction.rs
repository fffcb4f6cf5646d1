//! Pages whose events are delivered without naming the user (contract eventstreams §1.10).

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The pages of a stream to redact, by domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    pages: HashMap<String, HashSet<String>>,
}

impl Redaction {
    /// Whether no page is listed, so that events need not be looked at.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The pages: domains with their titles (normalised).
    pub fn pages(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.pages
            .iter()
            .map(|(domain, titles)| (domain.as_str(), titles.iter().map(String::as_str)))
    }

    /// Whether the page `title` of the wiki at `domain` is listed. Domains are compared as they
    /// are; titles without regard to letter case, surrounding space and how words are joined.
    pub fn hides(&self, domain: &str, title: &str) -> bool {
        self.pages
            .get(domain)
            .is_some_and(|titles| titles.contains(&normalise(title)))
    }

    /// From a map of domain to list of titles.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let fault = || "levada.redaction is no map from domain to a list of titles".to_owned();
        let mut pages = HashMap::new();
        for (domain, titles) in value.as_object().ok_or_else(fault)? {
            let titles = titles
                .as_array()
                .ok_or_else(fault)?
                .iter()
                .map(|title| match title {
                    Value::String(title) => Ok(normalise(title)),
                    Value::Number(title) => Ok(normalise(&title.to_string())),
                    _ => Err(fault()),
                })
                .collect::<Result<_, _>>()?;
            pages.insert(domain.clone(), titles);
        }
        Ok(Self { pages })
    }
}

/// Trims, turns each run of spaces into one underscore, and lowers letters.
fn normalise(title: &str) -> String {
    let mut normal = String::with_capacity(title.len());
    let mut space = false;
    for c in title.trim().chars() {
        if c == ' ' {
            space = true;
            continue;
        }
        if std::mem::take(&mut space) {
            normal.push('_');
        }
        normal.extend(c.to_lowercase());
    }
    normal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn titles_are_compared_in_their_normal_form() {
        let redaction = Redaction::read(&json!({"en.wikipedia.org": ["User:Some  One", 7]})).unwrap();
        assert!(redaction.hides("en.wikipedia.org", " user:some_one "));
        assert!(redaction.hides("en.wikipedia.org", "User:Some One"));
        assert!(redaction.hides("en.wikipedia.org", "7"));
        assert!(!redaction.hides("en.wikipedia.org", "User:Some__One"));
        assert!(!redaction.hides("EN.wikipedia.org", "User:Some One"));
        assert!(Redaction::read(&json!(["x"])).is_err());
        assert!(Redaction::read(&json!({"d": "x"})).is_err());
    }
}
