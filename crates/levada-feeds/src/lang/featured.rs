//! The table of the featured article.

use serde::Deserialize;

use super::domain::{Domains, Wikis};
use super::error::RulesError;
use super::table::{Entry, entries};
use crate::date::FeedDate;
use crate::model::Siteinfo;

/// A wiki with a featured-article feed.
#[derive(Clone, Debug)]
pub struct FeaturedLang {
    /// Language code of the entry.
    pub lang: String,
    pub(super) wikis: Wikis,
    feed_language: Option<String>,
    days_before: Option<u32>,
    days_after: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    lang: String,
    #[serde(default)]
    domains: Domains,
    feed_language: Option<String>,
    days_before: Option<u32>,
    days_after: Option<u32>,
}

impl Entry for Raw {
    fn lang(&self) -> &str {
        &self.lang
    }
}

impl FeaturedLang {
    /// Whether the wiki's feed has an answer for the date, seen from today (UTC); outside, the
    /// answer is 204 without asking (contract §2.1.1).
    pub fn in_window(&self, date: FeedDate, today: FeedDate) -> bool {
        let offset = i64::from(date.days_since(today));
        let after = self.days_after.is_none_or(|days| offset <= i64::from(days));
        let before = self.days_before.is_none_or(|days| -offset <= i64::from(days));
        after && before
    }

    /// The title of the special page to fetch:
    /// `Special:FeedItem/featured/20261120000000/en`, in the wiki's own words (contract §2.1.2).
    pub fn feed_item_title(&self, site: &Siteinfo, date: FeedDate) -> String {
        let special = site.namespaces.get(&-1).map_or("Special", |ns| ns.name.as_str());
        let language = self.feed_language.as_deref().unwrap_or(&site.lang);
        format!(
            "{}:{}/featured/{}000000/{language}",
            special.replace(' ', "_"),
            site.feed_item_alias,
            date.compact()
        )
    }
}

pub(super) fn load(
    file: &'static str,
    base: &str,
    over: Option<&str>,
) -> Result<Vec<FeaturedLang>, RulesError> {
    let raw: Vec<Raw> = entries(file, base, over)?;
    Ok(raw
        .into_iter()
        .map(|raw| FeaturedLang {
            wikis: Wikis::new(&raw.lang, raw.domains),
            lang: raw.lang,
            feed_language: raw.feed_language,
            days_before: raw.days_before,
            days_after: raw.days_after,
        })
        .collect())
}
