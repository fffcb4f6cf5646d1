//! The table of random articles: descriptions of pages that nobody wants to land on.

use serde::Deserialize;

use super::error::RulesError;
use super::table::{Entry, entries};

/// Markers of unwanted descriptions.
#[derive(Clone, Debug, Default)]
pub struct RandomRules {
    markers: Vec<String>,
    original: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    lang: String,
    markers: Vec<String>,
    #[serde(default)]
    original: bool,
}

impl Entry for Raw {
    fn lang(&self) -> &str {
        &self.lang
    }
}

impl RandomRules {
    /// Whether the description is that of a disambiguation page or a list, in any language.
    pub fn unwanted(&self, description: &str) -> bool {
        let description = description.to_lowercase();
        self.markers.iter().any(|marker| description.contains(marker))
    }

    /// Whether the node service finds it unwanted: English markers, case regarded.
    pub fn unwanted_originally(&self, description: &str) -> bool {
        self.original.iter().any(|marker| description.contains(marker))
    }
}

pub(super) fn load(file: &'static str, base: &str, over: Option<&str>) -> Result<RandomRules, RulesError> {
    let raw: Vec<Raw> = entries(file, base, over)?;
    let mut rules = RandomRules::default();
    for entry in raw {
        rules
            .markers
            .extend(entry.markers.iter().map(|marker| marker.to_lowercase()));
        if entry.original {
            rules.original.extend(entry.markers);
        }
    }
    Ok(rules)
}
