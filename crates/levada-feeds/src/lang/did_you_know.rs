//! The table of did you know.

use regex::Regex;
use serde::Deserialize;

use super::compile::Selector;
use super::domain::{Domains, Wikis};
use super::error::{Place, RulesError};
use super::news::Pictured;
use super::table::{Entry, entries};

/// Where a wiki keeps its items and how to read them.
#[derive(Clone, Debug)]
pub struct DykLang {
    /// Language code of the entry.
    pub lang: String,
    /// Title of the source page.
    pub page: String,
    pub(super) wikis: Wikis,
    pub(crate) items: Selector,
    pub(crate) pictured: Option<Regex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    lang: String,
    #[serde(default)]
    domains: Domains,
    page: String,
    items: String,
}

impl Entry for Raw {
    fn lang(&self) -> &str {
        &self.lang
    }
}

pub(super) fn load(
    file: &'static str,
    base: &str,
    over: Option<&str>,
    pictured: &Pictured,
) -> Result<Vec<DykLang>, RulesError> {
    let raw: Vec<Raw> = entries(file, base, over)?;
    raw.into_iter()
        .map(|raw| {
            let place = Place {
                file,
                entry: &raw.lang,
            };
            Ok(DykLang {
                items: Selector::new(&raw.items, place, "items")?,
                pictured: pictured.get(&raw.lang).cloned(),
                wikis: Wikis::new(&raw.lang, raw.domains),
                page: raw.page,
                lang: raw.lang,
            })
        })
        .collect()
}
