//! The name of a feed: which one, of which wiki, of which day, in which language variant.

use crate::date::{FeedDate, MonthDay};
use crate::model::OnThisDayKind;
use std::fmt;
use std::sync::Arc;

/// A feed, with the day it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Feed {
    /// Today's featured article.
    Tfa(FeedDate),
    /// Picture of the day.
    Image(FeedDate),
    /// Most read on that day.
    MostRead(FeedDate),
    /// In the news, now.
    News,
    /// Did you know, now.
    Dyk,
    /// One list of a day of the year.
    OnThisDay(OnThisDayKind, MonthDay),
}

impl Feed {
    /// The name in metrics and headers: the key of the part in the composed feed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Feed::Tfa(_) => "tfa",
            Feed::Image(_) => "image",
            Feed::MostRead(_) => "mostread",
            Feed::News => "news",
            Feed::Dyk => "dyk",
            Feed::OnThisDay(kind, _) => kind.as_str(),
        }
    }

    /// The same feed a day earlier, for those that still make sense a day later.
    pub(crate) fn day_before(self) -> Option<(Feed, FeedDate)> {
        match self {
            Feed::Tfa(date) => Some((Feed::Tfa(date.plus_days(-1)), date.plus_days(-1))),
            Feed::Image(date) => Some((Feed::Image(date.plus_days(-1)), date.plus_days(-1))),
            Feed::MostRead(date) => Some((Feed::MostRead(date.plus_days(-1)), date.plus_days(-1))),
            Feed::News | Feed::Dyk | Feed::OnThisDay(..) => None,
        }
    }

    /// Whether a source page without a single item means that something is wrong.
    pub(crate) fn empty_is_suspicious(self) -> bool {
        matches!(self, Feed::News | Feed::Dyk | Feed::OnThisDay(..))
    }
}

/// The name of a feed of a wiki.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FeedKey {
    /// The wiki, lower case.
    pub(crate) domain: Arc<str>,
    /// Which feed.
    pub(crate) feed: Feed,
    /// The language variant, of wikis that have several.
    pub(crate) variant: Option<Arc<str>>,
}

impl fmt::Display for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|", self.domain, self.feed.name())?;
        match self.feed {
            Feed::Tfa(date) | Feed::Image(date) | Feed::MostRead(date) => write!(f, "{date}")?,
            Feed::News | Feed::Dyk => {}
            Feed::OnThisDay(_, day) => write!(f, "{day}")?,
        }
        write!(f, "|{}", self.variant.as_deref().unwrap_or(""))
    }
}

impl FeedKey {
    /// Reads what `Display` wrote.
    pub(crate) fn parse(text: &str) -> Option<FeedKey> {
        let mut parts = text.split('|');
        let (domain, name, day, variant) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let date = || day.parse::<jiff::civil::Date>().ok().map(FeedDate::new);
        let feed = match name {
            "tfa" => Feed::Tfa(date()?),
            "image" => Feed::Image(date()?),
            "mostread" => Feed::MostRead(date()?),
            "news" => Feed::News,
            "dyk" => Feed::Dyk,
            kind => {
                let (month, day) = day.split_once('-')?;
                Feed::OnThisDay(kind.parse().ok()?, MonthDay::parse(month, day)?)
            }
        };
        let variant = (!variant.is_empty()).then(|| Arc::from(variant));
        Some(FeedKey {
            domain: Arc::from(domain),
            feed,
            variant,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back() {
        for text in [
            "en.wikipedia.org|tfa|2026-11-20|",
            "zh.wikipedia.org|news||zh-tw",
            "en.wikipedia.org|births|02-29|",
            "en.wikipedia.org|mostread|2026-11-19|",
        ] {
            assert_eq!(FeedKey::parse(text).expect(text).to_string(), text);
        }
        for text in ["", "en|tfa|2026-02-30|", "en|nothing|01-01|", "en|news|"] {
            assert_eq!(FeedKey::parse(text), None, "{text}");
        }
    }
}
