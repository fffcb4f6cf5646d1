//! The table of the news, and that of the remark "(pictured)".

use std::collections::HashMap;

use regex::Regex;
use serde::Deserialize;

use super::compile::{Selector, pattern};
use super::domain::{Domains, Wikis};
use super::error::{Place, RulesError};
use super::table::{Entry, entries};

/// The topic link is usually the first bold one …
const BOLD: &str = r#"b:nth-of-type(1) a[rel="mw:WikiLink"]"#;
/// … or the first link (contract §2.4).
const LINK: &str = r#"a[rel="mw:WikiLink"]:nth-of-type(1)"#;

/// Patterns of the remark by language.
pub(super) type Pictured = HashMap<String, Regex>;

/// Where a wiki keeps its headlines and how to read them.
#[derive(Clone, Debug)]
pub struct NewsLang {
    /// Language code of the entry.
    pub lang: String,
    /// Title of the source page.
    pub page: String,
    pub(super) wikis: Wikis,
    pub(crate) headlines: Selector,
    pub(crate) topic: Selector,
    pub(crate) pictured: Option<Regex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    lang: String,
    #[serde(default)]
    domains: Domains,
    page: String,
    headlines: String,
    topic: String,
}

impl Entry for Raw {
    fn lang(&self) -> &str {
        &self.lang
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPictured {
    lang: String,
    pattern: String,
}

impl Entry for RawPictured {
    fn lang(&self) -> &str {
        &self.lang
    }
}

pub(super) fn pictured(file: &'static str, base: &str, over: Option<&str>) -> Result<Pictured, RulesError> {
    let raw: Vec<RawPictured> = entries(file, base, over)?;
    raw.into_iter()
        .map(|raw| {
            let place = Place {
                file,
                entry: &raw.lang,
            };
            Ok((raw.lang.clone(), pattern(&raw.pattern, place, "pattern")?))
        })
        .collect()
}

pub(super) fn load(
    file: &'static str,
    base: &str,
    over: Option<&str>,
    pictured: &Pictured,
) -> Result<Vec<NewsLang>, RulesError> {
    let raw: Vec<Raw> = entries(file, base, over)?;
    raw.into_iter()
        .map(|raw| {
            let place = Place {
                file,
                entry: &raw.lang,
            };
            let topic = match raw.topic.as_str() {
                "bold" => BOLD,
                "link" => LINK,
                other => other,
            };
            Ok(NewsLang {
                headlines: Selector::new(&raw.headlines, place, "headlines")?,
                topic: Selector::new(topic, place, "topic")?,
                pictured: pictured.get(&raw.lang).cloned(),
                wikis: Wikis::new(&raw.lang, raw.domains),
                page: raw.page,
                lang: raw.lang,
            })
        })
        .collect()
}
